"""The multi-task network that reads faces: cut and aligned crops in, every attribute and 68 contour points out.

Cutting and aligning belong to the network: `FaceCrops` runs in training and in the model file alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.attributes import ATTRIBUTES, Attribute
from mien.errors import DataError
from mien.learn.networks import Backbone, Unit

POINTS = 68
"""Contour points in the order of iBUG 300-W (Sagonas et al. 2013): jaw 0-16, brows 17-26, nose 27-35, eyes 36-47, mouth
48-67;
each from the left of the picture to its right.
"""
TEMPLATE = np.array([[0.66, 0.40], [0.34, 0.40], [0.50, 0.58], [0.63, 0.74], [0.37, 0.74]], np.float32)
"""Where left eye, right eye, nose, left and right mouth corner of an upright face lie in a crop, in units of its side."""
_FIVE = ((range(42, 48)), (range(36, 42)), (30,), (54,), (48,))


def five_of(points: Tensor) -> Tensor:
    """The five keypoints that 68 points (N, 68, 2) imply, (N, 5, 2): centres of the eyes, tip of the nose, mouth corners."""
    return torch.stack([points[:, list(rows)].mean(1) for rows in _FIVE], dim=1)


class FaceCrops(nn.Module):
    """Square crops of faces, turned upright by a similarity from five keypoints, or by their boxes where those are unknown.

    `forward` takes pictures (B, 3, H, W) with values 0 to 255, boxes (N, 4) and keypoints (N, 5, 2) in pixels (NaN for a
    face without keypoints), and gives crops (N, 3, S, S) and their frames (N, 3, 2): origin, x side and y side in pixels
    of the picture. Either all faces are in one picture (B = 1), or each is in its own (B = N). What lies outside is
    mid-grey.
    """

    def __init__(self, side: int = 96) -> None:
        super().__init__()
        self.side = side
        template = torch.from_numpy(TEMPLATE)
        self.register_buffer("template", template, persistent=False)

    def frames(self, boxes: Tensor, keypoints: Tensor) -> Tensor:
        """(N, 3, 2): where the crop's corner lies in the picture, and what one side to the right and one down are."""
        is_known = keypoints.isfinite().flatten(1).all(1)[:, None]
        known = torch.where(is_known[..., None], keypoints, 0)
        middle = self.template.mean(0)
        t, p = self.template - middle, known - known.mean(1, keepdim=True)
        # The best similarity of two centred point sets (Umeyama 1991), as one complex number.
        spread = (t * t).sum()
        real = (p * t).sum((1, 2)) / spread
        imaginary = (p[..., 1] * t[:, 0] - p[..., 0] * t[:, 1]).sum(1) / spread
        x_side = torch.stack([real, imaginary], 1)
        centre = known.mean(1)
        size = (boxes[:, 2:] - boxes[:, :2]).amax(1)
        upright = torch.stack([size, torch.zeros_like(size)], 1)
        x_side = torch.where(is_known, x_side, upright)
        y_side = torch.stack([-x_side[:, 1], x_side[:, 0]], 1)
        anchor = torch.where(is_known, centre, (boxes[:, :2] + boxes[:, 2:]) / 2)
        place = torch.where(is_known, middle.expand_as(anchor), torch.full_like(anchor, 0.5))
        origin = anchor - place[:, :1] * x_side - place[:, 1:] * y_side
        return torch.stack([origin, x_side, y_side], 1)

    def forward(self, image: Tensor, boxes: Tensor, keypoints: Tensor) -> tuple[Tensor, Tensor]:
        frames = self.frames(boxes, keypoints)
        side = self.side
        step = (torch.arange(side, dtype=torch.float32) + 0.5) / side
        along, down = (
            step[None, None, :, None] * frames[:, 1, None, None],
            step[None, :, None, None] * frames[:, 2, None, None],
        )
        points = frames[:, 0, None, None] + along + down
        height, width = image.shape[2], image.shape[3]
        size = torch.stack([torch.scalar_tensor(width), torch.scalar_tensor(height)])
        grid = points * 2 / size - 1
        if image.shape[0] == 1:
            crops = self._sampled(image, grid.reshape(1, -1, side, 2))
            crops = crops.reshape(3, -1, side, side).transpose(0, 1)
        else:
            crops = self._sampled(image, grid)
        return crops, frames

    @staticmethod
    def _sampled(image: Tensor, grid: Tensor) -> Tensor:
        return F.grid_sample(image - 127.5, grid, mode="bilinear", padding_mode="zeros", align_corners=False) + 127.5


class Head(nn.Module):
    """The numbers of one attribute: a logit for each answer, or for each step of a number's range."""

    def __init__(self, attribute: Attribute, features: int) -> None:
        super().__init__()
        self.attribute = attribute
        self.linear = nn.Linear(features, logits_of(attribute))

    def forward(self, features: Tensor) -> Tensor:
        return self.linear(features)


def logits_of(attribute: Attribute) -> int:
    """How many logits an attribute has: one an answer; one a whole unit of a number's span."""
    if attribute.answers:
        return len(attribute.answers)
    low, high = attribute.span
    return round(high - low) + 1


def expected_number(probabilities: Tensor, attribute: Attribute) -> Tensor:
    """Mean and standard deviation (N, 2) of a number whose steps have these probabilities (N, K)
    (DEX, Rothe et al. 2015).
    """
    low, high = attribute.span
    steps = torch.linspace(low, high, probabilities.shape[1])
    mean = probabilities @ steps
    variance = (probabilities * (steps - mean[:, None]).square()).sum(1)
    return torch.stack([mean, variance.clamp(min=1e-6).sqrt()], 1)


class AttributeNetwork(nn.Module):
    """Reads faces in one batch: an aligned crop of each goes through one backbone, and every attribute has a linear head.

    attributes: names out of the table. widths, depths: see `Backbone`; side: of a crop, in pixels.
    `forward` gives the logits of all attributes (N, K) in the order of ``attributes`` and 68 points (N, 68, 2) in pixels of
    the picture. ``temperatures`` (A,) calibrate each attribute's logits (Guo et al. 2017) and ``face`` (68, 3) is the mean
    face of `mien.learn.pose`, both for the model file.
    """

    multiple = 1
    slow = {"contour": 0.03}
    """How much smaller the steps of some layers must be. The contour's linear layer sums up 1,700 features: at the common
    rate of Adam, whose steps are alike in every weight, one step moves the points by a good part of the face.
    """

    def __init__(
        self, attributes: Sequence[str], widths: list[int], depths: list[int], side: int = 96, hidden: int = 192
    ) -> None:
        super().__init__()
        unknown = [name for name in attributes if name not in ATTRIBUTES]
        if unknown:
            raise DataError(f"[network] attributes: expected some of {', '.join(ATTRIBUTES)}, got {', '.join(unknown)}")
        self.attributes = [ATTRIBUTES[name] for name in attributes]
        self.crops = FaceCrops(side)
        self.backbone = Backbone(widths, depths)
        self.features = nn.Sequential(nn.Linear(widths[-1] + widths[-2], hidden), nn.ReLU(inplace=True))
        self.dropout = nn.Dropout(0.2)
        self.heads = nn.ModuleList(Head(attribute, hidden) for attribute in self.attributes)
        cells, last_cells = side // 2 ** (len(depths)), side // 2 ** (len(depths) + 1)
        self.narrow, self.narrow_last = Unit(widths[-2], 40), Unit(widths[-1], 32)
        self.contour = nn.Linear(40 * cells**2 + 32 * last_cells**2, 2 * POINTS)
        # Found after training, or without it: they are told to the model file, not learned by steps.
        self.register_buffer("temperatures", torch.ones(len(self.attributes)), persistent=False)
        self.register_buffer("face", torch.zeros(POINTS, 3), persistent=False)
        nn.init.normal_(self.contour.weight, std=1e-3)
        with torch.no_grad():
            self.contour.bias.copy_(torch.from_numpy(mean_contour()).flatten())

    @property
    def slices(self) -> dict[str, slice]:
        """Where each attribute's logits lie."""
        found, start = {}, 0
        for attribute in self.attributes:
            found[attribute.name] = slice(start, start + logits_of(attribute))
            start += logits_of(attribute)
        return found

    def forward(self, image: Tensor, boxes: Tensor, keypoints: Tensor) -> tuple[Tensor, Tensor]:
        crops, frames = self.crops(image, boxes, keypoints)
        return self.read(crops, frames)

    def read(self, crops: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """What `forward` gives, of crops that are already cut."""
        *_, fine, coarse = self.backbone(crops)
        pooled = torch.cat([fine.mean((2, 3)), coarse.mean((2, 3))], 1)
        features = self.dropout(self.features(pooled))
        logits = torch.cat([head(features) for head in self.heads], 1)
        flat = torch.cat([self.narrow(fine).flatten(1), self.narrow_last(coarse).flatten(1)], 1)
        contour = self.contour(flat).unflatten(1, (POINTS, 2))
        return logits, frames[:, :1] + contour @ frames[:, 1:]


def mean_contour() -> NDArray[np.float32]:
    """A plain face in crop units, (68, 2): where the network's points start from before training."""
    jaw = np.linspace(np.pi, 0, 17)
    ring = np.linspace(0, 2 * np.pi, 7)[:-1]
    eye = np.stack([-np.cos(ring), -0.4 * np.sin(ring)], 1) * 0.06
    brow = np.stack([np.linspace(-0.09, 0.09, 5), -0.02 * np.cos(np.linspace(-1.2, 1.2, 5))], 1)
    lips = np.linspace(0, 2 * np.pi, 13)[:-1]
    inner = np.linspace(0, 2 * np.pi, 9)[:-1]
    parts = [
        np.stack([0.5 + 0.34 * np.cos(jaw), 0.45 + 0.5 * np.sin(jaw)], 1),
        brow + np.array([0.34, 0.31]),
        brow + np.array([0.66, 0.31]),
        np.stack([np.full(4, 0.5), np.linspace(0.4, 0.58, 4)], 1),
        np.stack([np.linspace(0.43, 0.57, 5), np.full(5, 0.63)], 1),
        eye + np.array([0.34, 0.40]),
        eye + np.array([0.66, 0.40]),
        np.stack([0.5 - 0.13 * np.cos(lips), 0.755 - 0.06 * np.sin(lips)], 1),
        np.stack([0.5 - 0.1 * np.cos(inner), 0.755 - 0.02 * np.sin(inner)], 1),
    ]
    return np.concatenate(parts).astype(np.float32)
