"""Smooth backgrounds mixed in OKLab, so that no grey or muddy band lies between two colours."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.filters.colour import oklab_to_srgb, oklch_to_oklab
from mien.filters.harmony import Scheme

Array = NDArray[np.float32]

_WORK_SIDE = 192
_GRAIN_DEVIATION = 2.2
_SIDE_LIGHT = 0.25
_STRIP_PIXELS = 16_384
"""Grain is added to so many pixels at a time: they stay in the processor's cache."""


def mesh(
    size_wh: tuple[int, int], colours: Array, centres: Sequence[tuple[float, float]], reaches: Sequence[float]
) -> Array:
    """Coloured lights that melt into each other: (H, W, 3) float32 sRGB in [0, 255], not rounded.

    colours: (K, 3) OKLCH. centres: K points as shares of width and height. reaches: K standard deviations as shares of the
    diagonal; an infinite one is the ground colour. Each pixel is the mean of the colours, weighted by Gaussians.
    """
    width, height = size_wh
    ratio = min(1.0, _WORK_SIDE / max(size_wh))
    columns, rows = max(1, round(width * ratio)), max(1, round(height * ratio))
    x, y = np.meshgrid((np.arange(columns) + 0.5) / columns, (np.arange(rows) + 0.5) / rows)
    diagonal = float(np.hypot(width, height))
    total, mass = np.zeros((rows, columns, 3)), np.zeros((rows, columns, 1))
    for lab, (centre_x, centre_y), reach in zip(oklch_to_oklab(colours), centres, reaches, strict=True):
        squared = np.square((x - centre_x) * width / diagonal) + np.square((y - centre_y) * height / diagonal)
        weight = np.exp(-0.5 * squared / np.square(reach))[..., None]
        total += weight * lab
        mass += weight
    srgb = oklab_to_srgb((total / mass).astype(np.float32)) * 255
    return np.asarray(cv2.resize(srgb, size_wh, interpolation=cv2.INTER_CUBIC), np.float32)


def portrait_gradient(size_wh: tuple[int, int], scheme: Scheme, head: tuple[float, float, float]) -> Array:
    """The background of a portrait, (H, W, 3) float32 sRGB in [0, 255]: light behind the head, weight at the bottom.

    head: (x, y, radius) in pixels; the radius is about half the heads' width. The bright upper corner is on the side of the
    scheme's light; where that comes from the front, it is across from the head.
    """
    width, height = size_wh
    diagonal = float(np.hypot(width, height))
    place = (head[0] / width, head[1] / height)
    side = 0.0 if place[0] > 0.5 else 1.0
    if abs(scheme.light) > _SIDE_LIGHT:
        side = 1.0 if scheme.light > 0 else 0.0
    return mesh(
        size_wh,
        np.stack([scheme.base, scheme.glow, scheme.accent, scheme.deep, scheme.deep]),
        [(0.5, 0.5), place, (side, 0.0), (1 - side, 1.0), (side, 1.1)],
        [float("inf"), max(1.5 * head[2] / diagonal, 0.16), 0.34, 0.30, 0.22],
    )


def add_grain(picture: Array, seed: int, strength: float = 1.0) -> NDArray[np.uint8]:
    """(H, W, 3) float32 in [0, 255] rounded to uint8 under fine film grain, which also keeps gradients from banding.

    strength: 1 is a standard deviation of 2.2 levels; 0 rounds without any grain.
    """
    if strength <= 0:
        return np.asarray(cv2.add(picture, 0.0, dtype=cv2.CV_8U), np.uint8)
    random = np.random.default_rng(seed)
    grained = np.empty(picture.shape, np.uint8)
    count = max(1, _STRIP_PIXELS // max(1, picture.shape[1]))
    for top in range(0, len(picture), count):
        part = picture[top : top + count]
        noise = random.standard_normal(part.shape[:2], np.float32) * np.float32(_GRAIN_DEVIATION * strength)
        grained[top : top + count] = cv2.add(part, cv2.merge([noise, noise, noise]), dtype=cv2.CV_8U)
    return grained
