"""The few colours that a region is made of: weighted k-means in OKLab on a small copy of the picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.filters.colour import srgb_to_oklab

Plane = NDArray[np.float32]

_SAMPLE_SIDE = 96
_ROUNDS = 8


@dataclass(frozen=True, eq=False)
class Palette:
    """Colours with their shares, the largest first.

    colours: (K, 3) OKLab. shares: (K,) float32, sum 1. K is 0 when the region is empty.
    """

    colours: Plane
    shares: Plane

    def __len__(self) -> int:
        return len(self.shares)


def dominant_colours(image: NDArray[np.uint8], weights: Plane, count: int, seed: int = 0) -> Palette:
    """Up to ``count`` dominant colours of a region, the same for the same seed.

    image: (H, W, 3) uint8 sRGB. weights: (H, W) float32, how much each pixel counts (0: not at all).
    """
    height, width = weights.shape
    ratio = min(1.0, _SAMPLE_SIDE / max(height, width))
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA).reshape(-1, 3)
    weight = cv2.resize(weights, size, interpolation=cv2.INTER_AREA).reshape(-1)
    counted = weight > 0.05
    if not counted.any():
        return Palette(np.zeros((0, 3), np.float32), np.zeros(0, np.float32))
    points, weight = srgb_to_oklab(small[counted].astype(np.float32) / 255), weight[counted]
    centres = _spread_start(points, weight, count, np.random.default_rng(seed))
    for _ in range(_ROUNDS):
        nearest = _squared_distances(points, centres).argmin(axis=1)
        mass = np.bincount(nearest, weight, len(centres))
        sums = np.stack([np.bincount(nearest, weight * points[:, axis], len(centres)) for axis in range(3)], axis=1)
        held = mass > 0
        centres = (sums[held] / mass[held, None]).astype(np.float32)
    order = np.argsort(-mass[held], kind="stable")
    shares = mass[held][order] / mass.sum()
    return Palette(centres[order], shares.astype(np.float32))


def _squared_distances(points: Plane, centres: Plane) -> Plane:
    return np.asarray(np.square(points[:, None] - centres[None]).sum(axis=2), np.float32)


def _spread_start(points: Plane, weight: Plane, count: int, random: np.random.Generator) -> Plane:
    """k-means++ (Arthur and Vassilvitskii 2007): each start is drawn far from those already drawn."""
    chances = weight.astype(np.float64)
    rows: list[int] = []
    while len(rows) < count and chances.sum() > 1e-9:
        rows.append(int(random.choice(len(points), p=chances / chances.sum())))
        chances = weight * _squared_distances(points, points[rows]).min(axis=1).astype(np.float64)
    return points[rows]
