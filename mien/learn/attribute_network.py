"""The multi-task network that reads faces: cut and aligned crops in, every attribute and 68 contour points out.

Cutting and aligning belong to the network: `FaceCrops` runs in training and in the model file alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

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
    """The numbers of one attribute: a logit for each answer, or for each step of a number's range, or x and y of points in
    units of the crop.
    """

    def __init__(self, attribute: Attribute, features: int) -> None:
        super().__init__()
        self.attribute = attribute
        self.linear = nn.Linear(features, logits_of(attribute))
        if attribute.points:
            nn.init.normal_(self.linear.weight, std=1e-3)
            nn.init.constant_(self.linear.bias, 0.5)

    def forward(self, features: Tensor) -> Tensor:
        return self.linear(features)


def known_attributes(attributes: Sequence[str | Attribute]) -> list[Attribute]:
    """Attributes by name, out of the table, or as they are. Raises `DataError` for a name that the table lacks."""
    unknown = [str(one) for one in attributes if not isinstance(one, Attribute) and one not in ATTRIBUTES]
    if unknown:
        raise DataError(f"[network] attributes: expected some of {', '.join(ATTRIBUTES)}, got {', '.join(unknown)}")
    return [one if isinstance(one, Attribute) else ATTRIBUTES[one] for one in attributes]


def logits_of(attribute: Attribute) -> int:
    """How many logits an attribute has: one an answer; one a whole unit of a number's span; two a point."""
    if attribute.answers or attribute.points:
        return attribute.width
    low, high = attribute.span
    return round(high - low) + 1


def in_picture(places: Tensor, frames: Tensor) -> Tensor:
    """Points (N, 2 P) in units of their crops as pixels (N, P, 2), by the ``frames`` (N, 3, 2) of the crops."""
    return frames[:, :1] + places.unflatten(1, (-1, 2)) @ frames[:, 1:]


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

    attributes: names out of the table, or attributes of one's own. widths, depths: see `Backbone`; side: of a crop, in
    pixels. backbone: another one, which gives a list of maps of crops (N, 3, S, S). has_contour: whether it tells 68 points.
    `forward` gives the logits of all attributes (N, K) in the order of ``attributes`` and 68 points (N, 68, 2) in pixels of
    the picture, or None without a contour. ``face`` (68, 3) is the mean face of `mien.learn.pose`, for the model file.
    """

    multiple = 1
    slow: ClassVar = {"contour": 0.03}
    """How much smaller the steps of some layers must be. The contour's linear layer sums up 1,700 features: at the common
    rate of Adam, whose steps are alike in every weight, one step moves the points by a good part of the face.
    """
    joined: ClassVar = ("features",)
    """Layers whose inputs are two maps one after the other."""

    def __init__(
        self,
        attributes: Sequence[str | Attribute],
        widths: Sequence[int] = (),
        depths: Sequence[int] = (),
        side: int = 96,
        hidden: int = 256,
        *,
        backbone: nn.Module | None = None,
        has_contour: bool = True,
    ) -> None:
        super().__init__()
        self.attributes = known_attributes(attributes)
        self.crops = FaceCrops(side)
        self.backbone = backbone or Backbone(list(widths), list(depths))
        fine, coarse = self._shapes(side)
        self.features = Unit(fine[0] + coarse[0], hidden)
        self.dropout = nn.Dropout(0.2)
        places = 40 * fine[1] * fine[2] + 32 * coarse[1] * coarse[2]
        self.heads = nn.ModuleList(Head(one, places if one.points else hidden) for one in self.attributes)
        self.has_contour = has_contour
        if has_contour or any(one.points for one in self.attributes):
            self.narrow, self.narrow_last = Unit(fine[0], 40), Unit(coarse[0], 32)
        # Found without training: it is told to the model file, not learned by steps.
        self.register_buffer("face", torch.zeros(POINTS, 3), persistent=False)
        if has_contour:
            self.contour = nn.Linear(places, 2 * POINTS)
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

    def read(self, crops: Tensor, frames: Tensor) -> tuple[Tensor, Tensor | None]:
        """What `forward` gives, of crops that are already cut."""
        pooled, places = self.seen(crops)
        contour = in_picture(self.contour(places), frames) if self.has_contour else None
        return self.told(pooled, places), contour

    def seen(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """What the backbone sees in crops (N, 3, S, S): features of the whole (N, F), and of places in it (N, G), which has
        no columns where no points are told.
        """
        maps = self.backbone(crops)
        fine, coarse = maps[max(-2, -len(maps))], maps[-1]
        pooled = torch.cat([fine.mean((2, 3)), coarse.mean((2, 3))], 1)
        if not hasattr(self, "narrow"):
            return pooled, pooled[:, :0]
        return pooled, torch.cat([self.narrow(fine).flatten(1), self.narrow_last(coarse).flatten(1)], 1)

    def told(self, pooled: Tensor, places: Tensor) -> Tensor:
        """The logits of all attributes, (N, K), of what is `seen`."""
        # How strongly a face is seen at all drowns what is seen, and leaves most of the next units dead.
        level = F.layer_norm(pooled, pooled.shape[1:])
        features = self.dropout(self.features(level[:, :, None, None]).flatten(1))
        return torch.cat([head(places if head.attribute.points else features) for head in self.heads], 1)

    @torch.no_grad()
    def _shapes(self, side: int) -> tuple[torch.Size, torch.Size]:
        """Channels, height and width of the last two maps of the backbone, or twice of the only one."""
        was_training = self.backbone.training
        maps = self.backbone.eval()(torch.zeros(1, 3, side, side))
        self.backbone.train(was_training)
        return maps[max(-2, -len(maps))].shape[1:], maps[-1].shape[1:]


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
