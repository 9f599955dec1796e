"""Where the people of a picture are: their outline, their heads, and where the picture's border cuts them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.types import Faces

Plane = NDArray[np.float32]

_WORK_SIDE = 320
_HAZE, _SOLID = 0.06, 0.92
_SPECK_SHARE = 0.04
_PERSON_SHARE = 0.002
_CUT_REACH, _CUT_RUN, _CUT_TOP_RUN = 0.012, 0.012, 0.04
_HEADS_PER_BODY_HEIGHT, _HEADS_PER_BODY_WIDTH = 0.36, 0.62


@dataclass(frozen=True, eq=False)
class Subject:
    """The people of a picture as one shape, in pixels of the picture.

    width, height: of the picture.
    rows, left, right: (R,) float32: centres of the rows that hold person, and how far the person reaches in each.
    box: (4,) ``x1 y1 x2 y2`` around everybody.
    heads: (K, 4) from the top of the hair to the chin, at least one.
    cut_left, cut_right: the highest row where that border cuts the person, None where it does not.
    is_cut_top, is_cut_bottom: whether those borders cut the person.
    """

    width: int
    height: int
    rows: Plane
    left: Plane
    right: Plane
    box: Plane
    heads: Plane
    cut_left: float | None
    cut_right: float | None
    is_cut_top: bool
    is_cut_bottom: bool


def tidy_matte(matte: Plane) -> Plane:
    """The matte without haze far from people and without specks, (H, W) float32 in [0, 1].

    Values under 0.06 become 0 and those over 0.92 become 1. A piece smaller than 4 % of the largest one goes.
    """
    level = np.clip((matte - _HAZE) * (1 / (_SOLID - _HAZE)), 0, 1).astype(np.float32)
    small = _small(level)
    count, labels, stats, _ = cv2.connectedComponentsWithStats((small > 0.1).astype(np.uint8), connectivity=8)
    if count <= 2:
        return level
    areas = stats[1:, cv2.CC_STAT_AREA]
    kept = np.concatenate([[True], areas >= _SPECK_SHARE * areas.max()])
    specks = (~kept[labels]).astype(np.uint8)
    if not specks.any():
        return level
    specks = cv2.dilate(specks, np.ones((3, 3), np.uint8)) & (labels * kept[labels] == 0)
    keep = cv2.resize(1 - specks.astype(np.float32), (matte.shape[1], matte.shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(level * keep, np.float32)


def find_subject(matte: Plane, faces: Faces | None) -> Subject | None:
    """Measure the people of a tidy matte, (H, W) float32; None when it holds almost no person (under 0.2 % of the picture).

    faces: boxes in pixels of the same picture; those that lie outside the matte are left out.
    """
    small = _small(matte)
    solid = small > 0.5
    if solid.mean() < _PERSON_SHARE:
        return None
    height, width = matte.shape
    step_x, step_y = width / small.shape[1], height / small.shape[0]
    filled = np.flatnonzero(solid.any(axis=1))
    first = solid[filled].argmax(axis=1)
    last = solid.shape[1] - solid[filled, ::-1].argmax(axis=1)
    rows, left, right = (filled + 0.5) * step_y, first * step_x, last * step_x
    box = np.array([left.min(), filled[0] * step_y, right.max(), (filled[-1] + 1) * step_y], np.float32)
    reach_x, reach_y = _CUT_REACH * width + step_x, _CUT_REACH * height + step_y
    return Subject(
        width,
        height,
        rows.astype(np.float32),
        left.astype(np.float32),
        right.astype(np.float32),
        box,
        _heads(solid, box, faces, step_x, step_y),
        _first_cut(rows, left <= reach_x, height),
        _first_cut(rows, right >= width - reach_x, height),
        bool(solid[0].mean() > _CUT_TOP_RUN),
        bool(box[3] >= height - reach_y),
    )


def _small(plane: Plane) -> Plane:
    height, width = plane.shape
    ratio = min(1.0, _WORK_SIDE / max(height, width))
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.float32)


def _first_cut(rows: NDArray[np.float64], is_touching: NDArray[np.bool_], height: int) -> float | None:
    if is_touching.sum() < max(1.0, _CUT_RUN * len(rows)):
        return None
    return float(rows[is_touching][0]) - 0.01 * height


def _heads(solid: NDArray[np.bool_], box: Plane, faces: Faces | None, step_x: float, step_y: float) -> Plane:
    """Each face's box grown upwards to the top of the hair; without faces, a guess at the top of the shape."""
    heads = []
    for x1, y1, x2, y2 in faces.boxes if faces is not None else ():
        columns = slice(max(0, int(x1 / step_x)), max(1, int(np.ceil(x2 / step_x))))
        above = solid[: max(1, int((y1 + y2) / 2 / step_y)), columns]
        covered = solid[max(0, int(y1 / step_y)) : max(1, int(np.ceil(y2 / step_y))), columns]
        if not covered.size or covered.mean() < 0.3:
            continue
        gaps = np.flatnonzero(~above.any(axis=1))
        top = min((gaps[-1] + 1 if len(gaps) else 0) * step_y, y1)
        top = max(top, y1 - 1.2 * (y2 - y1))
        heads.append((x1, top, x2, y2))
    if heads:
        return np.array(heads, np.float32)
    size = min(_HEADS_PER_BODY_HEIGHT * (box[3] - box[1]), _HEADS_PER_BODY_WIDTH * (box[2] - box[0]))
    near_top = solid[int(box[1] / step_y) : max(1, int((box[1] + size) / step_y)) + 1].any(axis=0)
    columns_filled = np.flatnonzero(near_top)
    centre = (columns_filled[0] + columns_filled[-1] + 1) / 2 * step_x
    return np.array([[centre - 0.4 * size, box[1], centre + 0.4 * size, box[1] + size]], np.float32)
