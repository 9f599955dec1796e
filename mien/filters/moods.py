"""How a picture feels: dark, light, pastel, vivid, warm, cool, soft, monochrome. Each changes a finished background."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Change: TypeAlias = Callable[[Image], Image]

_SOFT_SHARE = 0.012
_GREY = np.array([0.30, 0.59, 0.11])


@dataclass(frozen=True)
class Mood:
    """change: (H, W, 3) uint8 to the same. other_names: what else it is called."""

    change: Change
    other_names: tuple[str, ...]


def _toned(exponent: float, low: float, high: float) -> Change:
    """A tone curve: a power, then stretched between ``low`` and ``high`` in [0, 1]."""
    levels = np.linspace(0, 1, 256) ** exponent
    table = np.clip(255 * (low + (high - low) * levels) + 0.5, 0, 255).astype(np.uint8)
    return lambda image: np.asarray(cv2.LUT(image, table), np.uint8)


def _mixed_channels(matrix: NDArray[np.float64], lift: float = 0.0) -> Change:
    """A linear change of colours; lift: added to each channel, in levels."""
    rows = np.concatenate([matrix, np.full((3, 1), lift)], axis=1)
    return lambda image: np.asarray(cv2.transform(image, rows), np.uint8)


def _saturated(strength: float) -> NDArray[np.float64]:
    return np.asarray(strength * np.eye(3) + (1 - strength) * _GREY[None], np.float64)


def _soft(image: Image) -> Image:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), max(0.3, _SOFT_SHARE * min(image.shape[:2]))), np.uint8)


MOODS: dict[str, Mood] = {
    "dark": Mood(_toned(1.35, 0.0, 0.74), ("darker", "deep", "moody", "gloomy")),
    "light": Mood(_toned(0.72, 0.12, 1.0), ("lighter", "bright", "brighter", "airy")),
    "pastel": Mood(_mixed_channels(0.62 * _saturated(0.82), 92.0), ("soft colours", "soft colors", "pale")),
    "vivid": Mood(_mixed_channels(_saturated(1.32)), ("vibrant", "colourful", "colorful", "saturated", "strong")),
    "warm": Mood(_mixed_channels(np.diag([1.07, 1.0, 0.88])), ("warmer", "cosy", "cozy")),
    "cool": Mood(_mixed_channels(np.diag([0.90, 1.0, 1.07])), ("cooler", "cold", "icy")),
    "soft": Mood(_soft, ("blurred", "blurry", "blur", "dreamy", "out of focus")),
    "monochrome": Mood(_mixed_channels(_saturated(0.0)), ("desaturated", "desaturate", "black and white", "colourless")),
}
"""Every mood by its word."""
