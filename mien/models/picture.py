"""What every model that takes a picture does to it first: check it, and shrink one that is too large."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.card import ModelCard
from mien.errors import InputError

_AREA_FROM = 2.0
"""How many times larger a picture is from which on the mean over areas is taken: up to there the four pixels that a bilinear
look reads leave none out.
"""


def checked(image: NDArray[Any], card: ModelCard) -> NDArray[np.uint8]:
    """The picture, (H, W, 3) uint8 RGB, row by row in memory and within the limits of the card. Raises `InputError` for
    anything else.
    """
    shape, dtype = np.shape(image), getattr(image, "dtype", type(image).__name__)
    if len(shape) != 3 or shape[2] != 3 or dtype != np.uint8 or 0 in shape:
        raise InputError(f"image: expected (H, W, 3) uint8 RGB, got {shape} {dtype}; read files with mien.read")
    least, most = card.input_limits.get("min_side", 1), card.input_limits.get("max_side")
    if min(shape[:2]) < least or (most is not None and max(shape[:2]) > most):
        wanted = f"from {least}" + (f" to {most}" if most is not None else "")
        raise InputError(f"image: expected sides {wanted} px, got {shape[1]} x {shape[0]}; resize it")
    return np.ascontiguousarray(image)


def shrunk(image: NDArray[np.uint8], long_side: float | None, least: float = 1.0) -> NDArray[np.uint8]:
    """The picture at the size that the network sees, where it is larger and at least ``least`` times as large; else the
    picture itself.

    The model's own resize gives the same answers but reads every pixel with a wide filter, which takes as long as half the
    network at 640x480 and twice as long at 12 megapixels. Coordinates are continuous (a pixel's centre is at 0.5, as in
    ONNX ``Resize`` with ``half_pixel``), so boxes and points come back by multiplying with the ratio of the sizes.
    """
    height, width = image.shape[:2]
    if not long_side or max(height, width) < max(least * long_side, long_side + 1):
        return image
    import cv2

    scale = long_side / max(height, width)
    kind = cv2.INTER_AREA if scale * _AREA_FROM <= 1 else cv2.INTER_LINEAR
    size_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image, size_wh, interpolation=kind), np.uint8)
