"""The colours of a person without what shone through from behind, at the soft edge of the matte.

M. Forte, "Approximate Fast Foreground Colour Estimation", ICIP 2021: blur fusion, applied twice (x2).
A pixel is ``image = alpha * foreground + (1 - alpha) * background``. Both layers are first taken from weighted box blurs,
then corrected by what the equation leaves unexplained.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Plane = NDArray[np.float32]
Picture = NDArray[np.float32]

_WIDE_SIDE, _NARROW_SIDE = 256, 768
_WIDE_SHARE, _NARROW_SHARE = 0.12, 0.012
_SOFT_LOW, _SOFT_HIGH = 0.004, 0.996
_EPSILON = 1e-5
_STRIP_ROWS = 256


def _blurred_layers(foreground: Picture, background: Picture, alpha: Plane, radius: int) -> tuple[Picture, Picture]:
    """Equations 4 and 5: each layer averaged over the pixels that belong to it."""
    size = (2 * radius + 1, 2 * radius + 1)
    weights = cv2.merge([alpha, alpha, alpha])
    mean_alpha = cv2.blur(alpha, size)
    own, other = mean_alpha + _EPSILON, 1 - mean_alpha + _EPSILON
    over = cv2.blur(foreground * weights, size)
    under = cv2.blur(background * (1 - weights), size)
    return over / own[..., None], under / other[..., None]


def _shrunk(image: Image, matte: Plane, side: int) -> tuple[Picture, Plane]:
    height, width = matte.shape
    ratio = side / max(height, width)
    if ratio >= 1.0:
        return image.astype(np.float32), matte
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    return (
        cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32),
        cv2.resize(matte, size, interpolation=cv2.INTER_AREA),
    )


def _layers(image: Image, matte: Plane) -> tuple[Image, Image]:
    """The blurred foreground and background around the edge, (H, W, 3) uint8, worked out on small copies of the picture."""
    small, alpha = _shrunk(image, matte, _WIDE_SIDE)
    over, under = _blurred_layers(small, small, alpha, max(2, round(_WIDE_SHARE * max(alpha.shape))))
    small, alpha = _shrunk(image, matte, _NARROW_SIDE)
    size = (alpha.shape[1], alpha.shape[0])
    over, under = (cv2.resize(layer, size, interpolation=cv2.INTER_LINEAR) for layer in (over, under))
    weight = alpha[..., None]
    rest = small - weight * over - (1 - weight) * under
    over = np.clip(over + weight * rest, 0, 255)
    under = np.clip(under + (1 - weight) * rest, 0, 255)
    over, under = _blurred_layers(over, under, alpha, max(1, round(_NARROW_SHARE * max(alpha.shape))))
    size = (image.shape[1], image.shape[0])
    grown = [cv2.resize(np.clip(layer + 0.5, 0, 255).astype(np.uint8), size) for layer in (over, under)]
    return grown[0], grown[1]


def _strips(height: int) -> Iterator[slice]:
    return (slice(top, min(top + _STRIP_ROWS, height)) for top in range(0, height, _STRIP_ROWS))


def _correct(layer: Image, other: Image, image: Image, alpha: Plane) -> None:
    """Equation 7, in place: add what the two layers leave unexplained to the one whose share is ``alpha``."""
    np.copyto(layer, image, where=(alpha >= _SOFT_HIGH)[..., None])
    soft = (alpha > _SOFT_LOW) & (alpha < _SOFT_HIGH)
    weight = alpha[soft][:, None]
    own = layer[soft].astype(np.float32)
    rest = image[soft] - weight * own - (1 - weight) * other[soft]
    layer[soft] = np.clip(own + weight * rest + 0.5, 0, 255)


def clean_foreground(image: Image, matte: Plane) -> Image:
    """The person's own colours, (H, W, 3) uint8, without the old background in soft edges such as hair.

    image: (H, W, 3) uint8. matte: (H, W) float32 in [0, 1]. The result is the input where the matte is 1, carries on into
    the edge, holds a smooth guess just outside, and has no meaning farther out.
    """
    foreground, background = _layers(image, matte)
    for rows in _strips(len(matte)):
        _correct(foreground[rows], background[rows], image[rows], matte[rows])
    return foreground


def split_layers(image: Image, matte: Plane) -> tuple[Image, Image]:
    """`clean_foreground`, and likewise the background without the person's colours: two (H, W, 3) uint8 pictures."""
    foreground, background = _layers(image, matte)
    for rows in _strips(len(matte)):
        smooth, alpha = foreground[rows].copy(), matte[rows]
        _correct(foreground[rows], background[rows], image[rows], alpha)
        _correct(background[rows], smooth, image[rows], 1 - alpha)
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
