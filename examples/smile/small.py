"""A network of one's own, by which `mien train --backbone examples.smile.small:Small` learns from nothing."""

from __future__ import annotations

import itertools

from torch import Tensor, nn


class Small(nn.Module):
    """Crops (N, 3, 96, 96) from -1 to 1 to a map (N, 96, 6, 6): four convolutions, each of which halves the side."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 16, 32, 64, 96)
        self.layers = nn.Sequential(
            *(
                nn.Sequential(nn.Conv2d(a, b, 3, 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU())
                for a, b in itertools.pairwise(widths)
            )
        )

    def forward(self, image: Tensor) -> Tensor:
        return self.layers(image)
