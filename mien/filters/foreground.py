"""The colours of a person without what shone through from behind, at the soft edge of the matte.

M. Forte, "Approximate Fast Foreground Colour Estimation", ICIP 2021: blur fusion, applied twice (x2).
A pixel is ``image = alpha * foreground + (1 - alpha) * background``. Both layers are first taken from weighted box blurs, then
the foreground is corrected by what the equation leaves unexplained.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Plane = NDArray[np.float32]

_WORK_SIDE = 1024
_WIDE_SHARE, _NARROW_SHARE = 0.09, 0.006
_SOFT_LOW, _SOFT_HIGH = 0.004, 0.996
_EPSILON = 1e-5
_STRIP_ROWS = 256


def _blur_fusion(
    image: NDArray[np.float32], foreground: NDArray[np.float32], background: NDArray[np.float32], alpha: Plane, radius: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """One round, equations 4 to 7: the corrected foreground, and the two blurred layers it came from."""
    size = (2 * radius + 1, 2 * radius + 1)
    weight = alpha[..., None]
    blurred_alpha = cv2.blur(alpha, size)[..., None]
    blurred_foreground = cv2.blur(foreground * weight, size) / (blurred_alpha + _EPSILON)
    blurred_background = cv2.blur(background * (1 - weight), size) / (1 - blurred_alpha + _EPSILON)
    rest = image - weight * blurred_foreground - (1 - weight) * blurred_background
    return np.clip(blurred_foreground + weight * rest, 0, 255), blurred_foreground, blurred_background


def _shrunk(image: Image, matte: Plane) -> tuple[NDArray[np.float32], Plane]:
    height, width = matte.shape
    ratio = min(1.0, _WORK_SIDE / max(height, width))
    if ratio == 1.0:
        return image.astype(np.float32), matte
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    return (
        cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32),
        cv2.resize(matte, size, interpolation=cv2.INTER_AREA),
    )


def _layers(image: Image, matte: Plane) -> tuple[Image, Image]:
    """The blurred foreground and background around the edge, (H, W, 3) uint8, worked out on at most 1024 pixels a side."""
    small, alpha = _shrunk(image, matte)
    side = max(alpha.shape)
    wide, _, far = _blur_fusion(small, small, small, alpha, max(2, round(_WIDE_SHARE * side)))
    _, near_foreground, near_background = _blur_fusion(small, wide, far, alpha, max(1, round(_NARROW_SHARE * side)))
    size = (image.shape[1], image.shape[0])
    grown = [
        cv2.resize(np.clip(layer + 0.5, 0, 255).astype(np.uint8), size, interpolation=cv2.INTER_LINEAR)
        for layer in (near_foreground, near_background)
    ]
    return grown[0], grown[1]


def _strips(height: int) -> Iterator[slice]:
    return (slice(top, min(top + _STRIP_ROWS, height)) for top in range(0, height, _STRIP_ROWS))


def split_layers(image: Image, matte: Plane) -> tuple[Image, Image]:
    """Foreground and background of a picture, each with its own colours where the matte is soft.

    image: (H, W, 3) uint8. matte: (H, W) float32 in [0, 1].
    Returns two (H, W, 3) uint8 pictures. The foreground is the input where the matte is 1 and carries on into the edge; the
    background is the input where the matte is 0. On its wrong side a layer holds a smooth guess close to the edge and
    no meaning further in.
    """
    foreground, background = _layers(image, matte)
    for rows in _strips(len(matte)):
        alpha, part, over, under = matte[rows], image[rows], foreground[rows], background[rows]
        np.copyto(over, part, where=(alpha >= _SOFT_HIGH)[..., None])
        np.copyto(under, part, where=(alpha <= _SOFT_LOW)[..., None])
        soft = (alpha > _SOFT_LOW) & (alpha < _SOFT_HIGH)
        weight = alpha[soft][:, None]
        near, far = over[soft].astype(np.float32), under[soft].astype(np.float32)
        rest = part[soft] - weight * near - (1 - weight) * far
        over[soft] = np.clip(near + weight * rest + 0.5, 0, 255)
        under[soft] = np.clip(far + (1 - weight) * rest + 0.5, 0, 255)
    return foreground, background


def blend(foreground: Image, background: Image, matte: Plane) -> Image:
    """``matte * foreground + (1 - matte) * background``, (H, W, 3) uint8, rounded."""
    mixed = background.copy()
    for rows in _strips(len(matte)):
        alpha, over, out = matte[rows], foreground[rows], mixed[rows]
        np.copyto(out, over, where=(alpha >= 1)[..., None])
        soft = (alpha > 0) & (alpha < 1)
        under = out[soft].astype(np.float32)
        out[soft] = under + alpha[soft][:, None] * (over[soft] - under) + 0.5
    return mixed
