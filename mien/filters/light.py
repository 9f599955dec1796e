"""The light that falls on a person: from which side, and how warm, as far as one picture tells."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.filters.colour import oklab_to_oklch, srgb_to_oklab

Plane = NDArray[np.float32]

_WORK_SIDE = 160
_HEAD_SHARE, _HAIR_LEVEL = 0.42, 0.62
_SKIN_HUE, _SKIN_REACH, _SKIN_CHROMA = 55.0, 32.0, (0.025, 0.17)
_LEAST_PIXELS = 40
_FULL_SLOPE, _FULL_WARMTH = 0.10, 0.035
_NEUTRAL_CHROMA, _BRIGHT_QUANTILE = 0.055, 0.80


@dataclass(frozen=True)
class Light:
    """side: -1 from the picture's left, 0 the front, 1 its right. warmth: -1 is blue shade, 0 white, 1 lamplight."""

    side: float = 0.0
    warmth: float = 0.0


def find_light(image: NDArray[np.uint8], matte: Plane) -> Light:
    """Measure the light on the people of a picture.

    image: (H, W, 3) uint8. matte: (H, W) float32 in [0, 1]. The side is the slope of lightness across the skin of the upper
    part (across all of that part where no skin shows), by least squares; the warmth is the tint of what is bright and nearly
    grey. Both are 0 where there is too little to measure.
    """
    height, width = matte.shape
    ratio = min(1.0, _WORK_SIDE / max(height, width))
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    lab = srgb_to_oklab(cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255)
    solid = cv2.resize(matte, size, interpolation=cv2.INTER_AREA) > 0.9
    rows = np.flatnonzero(solid.any(axis=1))
    if solid.sum() < _LEAST_PIXELS:
        return Light()
    lch = oklab_to_oklch(lab)
    upper = solid.copy()
    upper[int(rows[0] + _HEAD_SHARE * (rows[-1] - rows[0])) + 1 :] = False
    is_skin = (
        (np.abs(lch[..., 2] - _SKIN_HUE) < _SKIN_REACH) & (lch[..., 1] > _SKIN_CHROMA[0]) & (lch[..., 1] < _SKIN_CHROMA[1])
    )
    skin = upper & is_skin & (lch[..., 0] > 0.3)
    if skin.any():
        # Brown hair has the hue of skin, but far less light.
        skin &= lch[..., 0] > _HAIR_LEVEL * np.quantile(lch[..., 0][skin], 0.9)
    return Light(_side(lch[..., 0], skin if skin.sum() >= _LEAST_PIXELS else upper), _warmth(lab, lch, solid))


def _side(lightness: Plane, region: NDArray[np.bool_]) -> float:
    y, x = np.nonzero(region)
    if len(x) < _LEAST_PIXELS or np.ptp(x) < 4:
        return 0.0
    low, high = np.quantile(x, [0.05, 0.95])
    across = (x - (low + high) / 2) / max((high - low) / 2, 1.0)
    design = np.stack([across, (y - y.mean()) / max(np.ptp(y), 1), np.ones(len(x))], axis=1)
    slope = float(np.linalg.lstsq(design, lightness[y, x].astype(np.float64), rcond=None)[0][0])
    return float(np.clip(slope / _FULL_SLOPE, -1, 1))


def _warmth(lab: Plane, lch: Plane, region: NDArray[np.bool_]) -> float:
    bright = float(np.quantile(lch[..., 0][region], _BRIGHT_QUANTILE))
    neutral = region & (lch[..., 0] >= max(bright, 0.5)) & (lch[..., 1] < _NEUTRAL_CHROMA)
    if neutral.sum() < _LEAST_PIXELS:
        return 0.0
    return float(np.clip(np.median(lab[..., 2][neutral]) / _FULL_WARMTH, -1, 1))
