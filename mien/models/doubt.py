"""Deciding where a matte says neither person nor background over a whole area, by what lies around it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]

_SIDE = 192
"""Longer side, in pixels, of the matte on which areas are looked for."""
_CLEAR, _SOLID = 0.08, 0.92
_DEPTH = 9
"""Pixels that an area of doubt is across at least; the soft band along an outline and hair are narrower."""
_RIM_CLEAR, _RIM_SOLID = 0.2, 0.8
_PERSON = (0.7, 0.8)
_CUT_PERSON = (0.58, 0.68)
_NOBODY = (0.2, 0.08)
"""From which share of person around it an area is changed at all, and from which wholly."""
_STRETCH = 0.4


def decided(matte: Plane) -> Plane:
    """The matte, (H, W) float32 in [0, 1], with wide areas of doubt made person or background.

    An area of values from 0.08 to 0.92 that is more than 5 % of the longer side across is no hair or blur but doubt. Where
    68 % or more of what surrounds it is person it becomes person, where 8 % or less is it becomes background; from 58 % up
    and 20 % down it goes part of the way, so that a video does not jump, and between it stays. The border of the picture
    does not count, so that a body which it cuts is filled down to it.
    """
    import cv2

    height, width = matte.shape
    ratio = min(1.0, _SIDE / max(height, width))
    small = cv2.resize(matte, (max(1, round(width * ratio)), max(1, round(height * ratio))), interpolation=cv2.INTER_AREA)
    to_person, to_background = _areas(small)
    if to_person.any():
        matte = _lifted(matte, small, to_person)
    if to_background.any():
        matte = 1 - _lifted(1 - matte, 1 - small, to_background)
    return matte


def _areas(small: Plane) -> tuple[Plane, Plane]:
    """How far each place is to become person, and how far background, both (h, w) in [0, 1]."""
    import cv2

    # The border counts as more of the same: an area may be cut by it.
    framed = cv2.copyMakeBorder(small, _DEPTH, _DEPTH, _DEPTH, _DEPTH, cv2.BORDER_REPLICATE)
    doubt = ((framed > _CLEAR) & (framed < _SOLID)).astype(np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_DEPTH, _DEPTH))
    core = cv2.morphologyEx(doubt, cv2.MORPH_OPEN, disc)[_DEPTH:-_DEPTH, _DEPTH:-_DEPTH]
    doubt = doubt[_DEPTH:-_DEPTH, _DEPTH:-_DEPTH]
    count, numbers = cv2.connectedComponents(np.ascontiguousarray(core))
    to_person, to_background = np.zeros_like(small), np.zeros_like(small)
    for number in range(1, count):
        area = cv2.dilate((numbers == number).astype(np.uint8), np.ones((_DEPTH, _DEPTH), np.uint8)) & doubt
        rim = small[(cv2.dilate(area, np.ones((5, 5), np.uint8)) > 0) & (area == 0)]
        solid, clear = np.count_nonzero(rim >= _RIM_SOLID), np.count_nonzero(rim <= _RIM_CLEAR)
        if solid + clear:
            share = solid / (solid + clear)
            for plane, (some, whole) in ((to_person, _CUT_PERSON if area[-1].any() else _PERSON), (to_background, _NOBODY)):
                strength = (share - some) / (whole - some)
                np.maximum(plane, area * np.float32(np.clip(strength, 0, 1)), out=plane)
    return to_person, to_background


def _lifted(matte: Plane, small: Plane, lift: Plane) -> Plane:
    """The matte brought to 1 as far as ``lift``, of its small version's size, says, without a seam to the 1 beside it; along
    the outline its own values are stretched instead, so that detail stays.
    """
    import cv2

    beside = cv2.dilate(lift, np.ones((7, 7), np.uint8))
    whole = np.minimum(beside, np.maximum((small >= _RIM_SOLID).astype(np.float32), lift))
    whole = cv2.morphologyEx(whole, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))

    def spread(plane: Plane) -> Plane:
        soft = cv2.GaussianBlur(plane, (0, 0), 1.0)
        return np.asarray(cv2.resize(soft, matte.shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)

    cross = np.ones((3, 3), np.uint8)
    stretched = np.clip((matte - _CLEAR) * np.float32(1 / _STRETCH), 0, 1)
    target = np.maximum(spread(cv2.erode(whole, cross)), spread(cv2.dilate(lift, cross)) * stretched)
    return np.clip(np.maximum(matte, target), 0, 1)
