"""Where the people of a picture are: their outline, their heads, and where the picture's border cuts them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.types import Faces

Plane = NDArray[np.float32]

_WORK_SIDE = 320
_HAZE, _SOLID = 0.06, 0.92
_SPECK_SHARE = 0.04
_FLAT_TOP = 0.5
_HALO_SHARE, _CORE_SHARE = 0.045, 0.02
_SEEN = 0.15
_PERSON_SHARE = 0.002
_CUT_REACH, _CUT_RUN, _CUT_TOP_RUN = 0.012, 0.012, 0.04
_HEADS_PER_BODY_HEIGHT, _HEADS_PER_BODY_WIDTH = 0.36, 0.62


@dataclass(frozen=True, eq=False)
class Subject:
    """The people of a picture as one shape, in pixels of the picture.

    width, height: of the picture.
    rows, left, right: (R,) float32: centres of the rows where any person is seen, and how far they are seen in each.
    box: (4,) ``x1 y1 x2 y2`` around all that is solid.
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

    @property
    def head_light(self) -> tuple[float, float, float]:
        """(x, y, radius) in pixels of a circle around the heads: where the light behind them goes."""
        x1, y1, x2, y2 = self.heads.mean(axis=0)
        span = self.heads[:, 2].max() - self.heads[:, 0].min()
        return float(x1 + x2) / 2, float(y1 + y2) / 2, float(span + y2 - y1) / 2


def tidy_matte(matte: Plane) -> Plane:
    """A matte without its model's doubts, (H, W) float32 in [0, 1]; edges and hair stay soft.

    Values under 0.06 become 0 and those over 0.92 become 1. Haze far from people and pieces smaller than 4 % of the largest
    go; what lies deep inside a person becomes solid. A gap that the matte sees through stays open.
    """
    level = np.clip((matte - _HAZE) * (1 / (_SOLID - _HAZE)), 0, 1).astype(np.float32)
    small = _small(level)
    person = _without_specks((small > 0.5).astype(np.uint8))
    near = _spread(cv2.dilate, person, _HALO_SHARE, matte.shape)
    deep = _spread(cv2.erode, person, _CORE_SHARE, matte.shape)
    np.minimum(level, np.clip(2 * near, 0, 1), out=level)
    return np.maximum(level, np.clip(2 * deep - 1, 0, 1), out=level)


def is_empty(matte: Plane) -> bool:
    """Whether a matte, (H, W) float32, shows almost no person: solid on less than 0.2 % of the picture."""
    return bool((_small(matte) > 0.5).mean() < _PERSON_SHARE)


def find_subject(matte: Plane, faces: Faces | None) -> Subject | None:
    """Measure the people of a tidy matte, (H, W) float32; None when it is empty (`is_empty`).

    faces: boxes in pixels of the same picture; those that lie outside the matte are left out.
    """
    if is_empty(matte):
        return None
    small = _small(matte)
    solid, seen = small > 0.5, small > _SEEN
    height, width = matte.shape
    step_x, step_y = width / small.shape[1], height / small.shape[0]
    filled = np.flatnonzero(seen.any(axis=1))
    first = seen[filled].argmax(axis=1)
    last = seen.shape[1] - seen[filled, ::-1].argmax(axis=1)
    rows, left, right = (filled + 0.5) * step_y, first * step_x, last * step_x
    across, down = np.flatnonzero(solid.any(axis=0)), np.flatnonzero(solid.any(axis=1))
    box = np.array([across[0] * step_x, down[0] * step_y, (across[-1] + 1) * step_x, (down[-1] + 1) * step_y], np.float32)
    heads = _heads(solid, box, faces, step_x, step_y)
    head_width = float(np.median(heads[:, 2] - heads[:, 0]))
    reach_x, reach_y = _CUT_REACH * width + step_x, _CUT_REACH * height + step_y
    return Subject(
        width,
        height,
        rows.astype(np.float32),
        left.astype(np.float32),
        right.astype(np.float32),
        box,
        heads,
        _first_cut(rows, left <= reach_x, height),
        _first_cut(rows, right >= width - reach_x, height),
        bool(seen[0].mean() > _CUT_TOP_RUN or solid[round(_CUT_REACH * len(solid))].sum() * step_x > _FLAT_TOP * head_width),
        bool(box[3] >= height - reach_y),
    )


def _small(plane: Plane) -> Plane:
    height, width = plane.shape
    ratio = min(1.0, _WORK_SIDE / max(height, width))
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.float32)


def _spread(change: Callable[..., Any], person: NDArray[np.uint8], share: float, shape: tuple[int, ...]) -> Plane:
    """The people grown or shrunk by a share of the longer side, with a soft border that is 0.5 on the new outline."""
    reach = 2 * round(share * max(person.shape)) + 1
    region = change(person, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))).astype(np.float32)
    soft = cv2.GaussianBlur(region, (0, 0), 1 + reach / 6)
    return np.asarray(cv2.resize(soft, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR), np.float32)


def _without_specks(person: NDArray[np.uint8]) -> NDArray[np.uint8]:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(person, connectivity=8)
    if count <= 2:
        return person
    areas = stats[:, cv2.CC_STAT_AREA]
    return (person & (areas[labels] >= _SPECK_SHARE * areas[1:].max())).astype(np.uint8)


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
