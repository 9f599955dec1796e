"""Backbones that are nobody's but the tests'."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Tiny(nn.Module):
    """Two convolutions and a mean: (N, 3, S, S) to (N, 8)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 7, 4), nn.ReLU(), nn.Conv2d(8, 8, 3, 2), nn.ReLU())

    def forward(self, image: Tensor) -> Tensor:
        return self.layers(image).mean((2, 3))


class Maps(nn.Module):
    """One map of cells."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 8, 8, 8)

    def forward(self, image: Tensor) -> list[Tensor]:
        return [torch.relu(self.layer(image))]


class NoModule:
    """Not a torch module."""
