"""The networks, in plain torch. The same modules are trained and exported: what is here is in the model file.

Both take a batch of RGB pictures (B, 3, H, W) with values 0 to 255, H and W multiples of `Network.multiple`, and normalise
them themselves, so that nobody can feed them wrongly.
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Unit(nn.Sequential):
    """Convolution, batch norm and (unless ``is_linear``) ReLU."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1, is_linear: bool = False
    ):
        layers: list[nn.Module] = [
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
            nn.BatchNorm2d(outputs),
        ]
        if not is_linear:
            layers.append(nn.ReLU(inplace=True))
        super().__init__(*layers)


class Separable(nn.Module):
    """Depth-wise then point-wise convolution (MobileNet, Howard et al. 2017); with a skip where the shape allows."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1):
        super().__init__()
        self.depthwise = Unit(inputs, inputs, kernel, stride, groups=inputs)
        self.pointwise = Unit(inputs, outputs)
        self.is_residual = inputs == outputs and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        y = self.pointwise(self.depthwise(x))
        return x + y if self.is_residual else y


def _stage(inputs: int, outputs: int, depth: int, kernel: int = 3) -> nn.Sequential:
    """Halve the resolution, then ``depth`` blocks more."""
    blocks = [Separable(inputs, outputs, kernel, 2), *(Separable(outputs, outputs, kernel) for _ in range(depth))]
    return nn.Sequential(*blocks)


class Backbone(nn.Module):
    """Features at strides 2, 4, 8, ... of a picture with values 0 to 255.

    widths: channels at strides 2, 4, 8, ...; depths: blocks after each halving from stride 4 on.
    """

    def __init__(self, widths: list[int], depths: list[int]):
        super().__init__()
        self.stem = Unit(3, widths[0], 3, 2)
        self.stages = nn.ModuleList(
            _stage(widths[i], widths[i + 1], depth, kernel=5 if i >= 2 else 3) for i, depth in enumerate(depths)
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        features = [self.stem(image / 127.5 - 1)]
        for stage in self.stages:
            features.append(stage(features[-1]))
        return features


class FaceNetwork(nn.Module):
    """Anchor-free face detector with five keypoints; one prediction per cell at strides 8, 16, 32 and 64.

    `forward` gives raw maps joined over strides, (B, A, 15): logit, box (left, top, right, bottom distances), ten keypoint
    offsets. `decode` turns them into pixels. Design after FCOS (Tian et al. 2019), SCRFD (Guo et al. 2021) and YuNet
    (Wu et al. 2023).
    """

    strides = (8, 16, 32, 64)
    multiple = 16
    outputs = 1 + 4 + 10

    def __init__(self, widths: list[int], depths: list[int], neck: int = 64):
        super().__init__()
        self.backbone = Backbone(widths, depths)
        levels = widths[2:]
        self.laterals = nn.ModuleList(Unit(width, neck) for width in levels)
        self.merges = nn.ModuleList(Separable(neck, neck) for _ in levels)
        self.towers = nn.ModuleList(Separable(neck, neck, 3) for _ in levels)
        self.heads = nn.ModuleList(nn.Conv2d(neck, self.outputs, 1) for _ in levels)
        for head in self.heads:
            nn.init.normal_(head.weight, std=0.01)
            nn.init.zeros_(head.bias)
            head.bias.data[0] = -4.0  # a face is rare: start at a score of 0.02 (RetinaNet, Lin et al. 2017)
            head.bias.data[1:5] = 1.0

    def forward(self, image: Tensor) -> Tensor:
        features = self.backbone(image)[2:]
        merged = [lateral(feature) for lateral, feature in zip(self.laterals, features, strict=True)]
        for i in range(len(merged) - 2, -1, -1):
            merged[i] = merged[i] + F.interpolate(merged[i + 1], size=merged[i].shape[2:], mode="nearest")
        maps = [
            head(tower(merge(x))) for merge, tower, head, x in zip(self.merges, self.towers, self.heads, merged, strict=True)
        ]
        return torch.cat([m.flatten(2).transpose(1, 2) for m in maps], dim=1)

    @classmethod
    def cells(cls, height: int, width: int) -> tuple[Tensor, Tensor]:
        """Centres (A, 2) in pixels and strides (A, 1) of all cells of a picture of that size."""
        centres, strides = [], []
        for stride in cls.strides:
            rows, columns = ((side - 1) // stride + 1 for side in (height, width))  # halving keeps a last odd cell
            y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
            centres.append((torch.stack([x, y], dim=-1).reshape(-1, 2) + 0.5) * stride)
            strides.append(torch.full_like(centres[-1][:, :1], float(stride)))
        return torch.cat(centres), torch.cat(strides)

    @staticmethod
    def decode(raw: Tensor, centres: Tensor, strides: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Scores (B, A), boxes (B, A, 4) and keypoints (B, A, 5, 2) in pixels of the network's input."""
        distances = F.softplus(raw[..., 1:5]) * strides * 2
        boxes = torch.cat([centres - distances[..., :2], centres + distances[..., 2:]], dim=-1)
        keypoints = centres[:, None, :] + raw[..., 5:15].unflatten(-1, (5, 2)) * strides[:, None, :] * 2
        return raw[..., 0].sigmoid(), boxes, keypoints


class Context(nn.Module):
    """Each channel stressed or muted by what the whole picture shows (squeeze and excitation, Hu et al. 2018).

    The means are levelled first and the gates begin at 1: gates that see raw means soon stand at 0 or 1 whatever comes.
    """

    def __init__(self, width: int):
        super().__init__()
        self.gate = nn.Conv2d(width, width, 1)
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)

    def forward(self, x: Tensor) -> Tensor:
        means = x.mean(dim=(2, 3))
        level = F.layer_norm(means, means.shape[1:])
        return x * 2 * self.gate(level[:, :, None, None]).sigmoid()


class MatteNetwork(nn.Module):
    """How much of each pixel is person: (B, 3, H, W) to logits (B, 1, H, W).

    A separable encoder, a pooled view of the whole picture, and a decoder that takes up every scale down to stride 2
    (U-Net, Ronneberger et al. 2015).
    """

    multiple = 32
    slow: ClassVar = {"context": 0.1}
    """How much smaller the steps of some layers must be: gates that jump to 0 or 1 stay there."""
    joined: ClassVar = ("merges",)
    """Layers whose inputs are two maps one after the other."""

    def __init__(self, widths: list[int], depths: list[int], decoder: list[int]):
        super().__init__()
        self.backbone = Backbone(widths, depths)
        self.context = Context(widths[-1])
        self.narrows = nn.ModuleList()
        self.merges = nn.ModuleList()
        below = widths[-1]
        for skip, width in zip(reversed(widths[:-1]), decoder, strict=True):
            self.narrows.append(Unit(below, width))
            self.merges.append(nn.Sequential(Unit(width + skip, width), Separable(width, width)))
            below = width
        self.head = nn.Conv2d(below, 1, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        *skips, x = self.backbone(image)
        x = self.context(x)
        for narrow, merge, skip in zip(self.narrows, self.merges, reversed(skips), strict=True):
            x = F.interpolate(narrow(x), scale_factor=2.0, mode="bilinear", align_corners=False)
            x = merge(torch.cat([x, skip], dim=1))
        return F.interpolate(self.head(x), scale_factor=2.0, mode="bilinear", align_corners=False)
