"""Colour spaces: sRGB, linear light, OKLab and OKLCH, and reading a colour that a person wrote.

OKLab: B. Ottosson, "A perceptual color space for image processing", 2020 (matrices of the 2021 revision, as in CSS Color 4).
Lightness L is in [0, 1]; a and b stay within about [-0.4, 0.4]. OKLCH holds L, chroma, and the hue in degrees.
"""

from __future__ import annotations

import re

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError

Array = NDArray[np.float32]

_LINEAR_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_ROOT_LMS_TO_OKLAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
_LMS_TO_LINEAR = np.linalg.inv(_LINEAR_TO_LMS)
_OKLAB_TO_ROOT_LMS = np.linalg.inv(_ROOT_LMS_TO_OKLAB)
_HEX = re.compile(r"#(?:[0-9a-f]{3}|[0-9a-f]{6})", re.IGNORECASE)
_CHROMA_STEPS = 12


def _mix(values: Array, matrix: NDArray[np.float64]) -> Array:
    flat = np.ascontiguousarray(values, np.float32).reshape(-1, 1, 3)
    return np.asarray(cv2.transform(flat, matrix.astype(np.float32)), np.float32).reshape(np.shape(values))


def srgb_to_linear(srgb: Array) -> Array:
    """Decode sRGB in [0, 1] to linear light in [0, 1], any shape (IEC 61966-2-1)."""
    values = np.asarray(srgb, np.float32)
    return np.where(values <= 0.04045, values / 12.92, ((np.maximum(values, 0) + 0.055) / 1.055) ** 2.4).astype(np.float32)


def linear_to_srgb(linear: Array) -> Array:
    """Encode linear light as sRGB, any shape; values outside [0, 1] are clipped."""
    values = np.clip(np.asarray(linear, np.float32), 0, 1)
    return np.where(values <= 0.0031308, values * 12.92, 1.055 * values ** (1 / 2.4) - 0.055).astype(np.float32)


def srgb_to_oklab(srgb: Array) -> Array:
    """(..., 3) sRGB in [0, 1] to (..., 3) OKLab."""
    return _mix(np.cbrt(_mix(srgb_to_linear(srgb), _LINEAR_TO_LMS)), _ROOT_LMS_TO_OKLAB)


def oklab_to_linear(oklab: Array) -> Array:
    """(..., 3) OKLab to (..., 3) linear sRGB, not clipped: values outside [0, 1] are out of the gamut."""
    return _mix(_mix(oklab, _OKLAB_TO_ROOT_LMS) ** 3, _LMS_TO_LINEAR)


def oklab_to_srgb(oklab: Array) -> Array:
    """(..., 3) OKLab to (..., 3) sRGB in [0, 1]; colours out of the gamut are clipped channel by channel."""
    return linear_to_srgb(oklab_to_linear(oklab))


def oklab_to_oklch(oklab: Array) -> Array:
    """(..., 3) OKLab to (..., 3) lightness, chroma, hue in [0, 360) degrees."""
    lab = np.asarray(oklab, np.float32)
    chroma = np.hypot(lab[..., 1], lab[..., 2])
    hue = np.rad2deg(np.arctan2(lab[..., 2], lab[..., 1])) % 360
    return np.stack([lab[..., 0], chroma, hue], axis=-1).astype(np.float32)


def oklch_to_oklab(oklch: Array) -> Array:
    """(..., 3) lightness, chroma, hue in degrees, to (..., 3) OKLab."""
    lch = np.asarray(oklch, np.float32)
    hue = np.deg2rad(lch[..., 2])
    return np.stack([lch[..., 0], lch[..., 1] * np.cos(hue), lch[..., 1] * np.sin(hue)], axis=-1).astype(np.float32)


def into_gamut(oklch: Array) -> Array:
    """The same lightness and hue with chroma lowered until sRGB can show it. ``oklch`` is (..., 3)."""
    lch = np.array(oklch, np.float32)
    low, high = np.zeros_like(lch[..., 1]), lch[..., 1].copy()
    for step in range(_CHROMA_STEPS):
        tried = high if step == 0 else (low + high) / 2
        linear = oklab_to_linear(oklch_to_oklab(np.stack([lch[..., 0], tried, lch[..., 2]], axis=-1)))
        fits = np.all((linear >= -1e-4) & (linear <= 1 + 1e-4), axis=-1)
        low, high = np.where(fits, tried, low), np.where(fits, high, tried)
    lch[..., 1] = low
    return lch


def difference(oklab: Array, other: Array) -> Array:
    """How far apart two colours look: Euclidean distance in OKLab, (...,). 0.02 is just visible, black to white is 1."""
    return np.asarray(np.linalg.norm(np.asarray(oklab, np.float32) - np.asarray(other, np.float32), axis=-1), np.float32)


def parse_colour(text: str) -> NDArray[np.uint8] | None:
    """The (3,) uint8 RGB of a CSS colour name or ``#rgb`` / ``#rrggbb``; None when ``text`` is no name.

    Raises `InputError` for a ``#`` that is not followed by 3 or 6 hexadecimal digits.
    """
    from PIL import ImageColor

    word = text.strip().lower()
    if word.startswith("#") and not _HEX.fullmatch(word):
        raise InputError(f"colour {text!r}: expected # and 3 or 6 hexadecimal digits; write for example #f4c430")
    if word.startswith("#") or word in ImageColor.colormap:
        return np.array(ImageColor.getrgb(word)[:3], np.uint8)
    return None


def colour_names() -> list[str]:
    """Every CSS colour name."""
    from PIL import ImageColor

    return list(ImageColor.colormap)
