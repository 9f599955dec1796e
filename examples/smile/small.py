"""A network of one's own, by which `mien train --backbone examples.smile.small:Small` learns from nothing."""

from __future__ import annotations

import itertools

from torch import Tensor, nn


class Small(nn.Module):
    """Crops (N, 3, 96, 96) from -1 to 1 to features (N, 128): four convolutions, each of which halves the side, and a layer
    over all places. A mean over the places, as larger networks take it, would forget where the mouth is.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise((3, 16, 32, 64, 96)):
            layers += [nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.3), nn.Linear(96 * 6 * 6, 128), nn.ReLU())

    def forward(self, image: Tensor) -> Tensor:
        return self.layers(image)
