"""Boxes, overlaps and plane transforms: pure functions on numpy arrays.

A box is ``x1 y1 x2 y2`` in pixels, the far corner excluded, so that width is ``x2 - x1``.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.floating[Any]]

_NMS_BLOCK = 256
_MOST_LOOSE = 4.0


def box_area(boxes: Array) -> Array:
    """Area of each box. ``boxes`` is (..., 4) in pixels; boxes turned inside out have area 0."""
    return np.maximum(boxes[..., 2] - boxes[..., 0], 0) * np.maximum(boxes[..., 3] - boxes[..., 1], 0)


def intersection_area(boxes: Array, others: Array) -> Array:
    """Shared area of every pair: (N, 4) and (M, 4) give (N, M), in square pixels."""
    top_left = np.maximum(boxes[:, None, :2], others[None, :, :2])
    bottom_right = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    return np.prod(np.maximum(bottom_right - top_left, 0), axis=2)


def iou(boxes: Array, others: Array) -> Array:
    """Intersection over union of every pair: (N, 4) and (M, 4) give (N, M) in [0, 1]."""
    shared = intersection_area(boxes, others)
    union = box_area(boxes)[:, None] + box_area(others)[None, :] - shared
    return shared / np.maximum(union, 1e-9)


def covered_share(boxes: Array, regions: Array) -> Array:
    """Share of each box that lies inside each region: (N, 4) and (M, 4) give (N, M) in [0, 1]."""
    return intersection_area(boxes, regions) / np.maximum(box_area(boxes)[:, None], 1e-9)


def transform_points(matrix: Array, points: Array) -> Array:
    """Move points by a 2x3 affine matrix. ``points`` is (..., 2) in pixels."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def transform_boxes(matrix: Array, boxes: Array) -> Array:
    """Upright boxes around the moved ellipses that fill the given ones. ``boxes`` is (N, 4), ``matrix`` 2x3 affine.

    A face fills an ellipse, not the corners of its box, so a turned box stays tight where the box of its corners would grow.
    """
    centres = transform_points(matrix, (boxes[:, :2] + boxes[:, 2:]) / 2)
    half = (boxes[:, 2:] - boxes[:, :2]) / 2
    reach = np.sqrt(np.square(half) @ np.square(matrix[:, :2]).T)
    return np.concatenate([centres - reach, centres + reach], axis=1)


def similarity_matrix(scale: float, angle_deg: float, centre: tuple[float, float], to: tuple[float, float]) -> Array:
    """The 2x3 matrix that turns by ``angle_deg`` (clockwise on screen), scales, and brings ``centre`` onto ``to``."""
    angle = np.deg2rad(angle_deg)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    shift_x = to[0] - (cos * centre[0] - sin * centre[1])
    shift_y = to[1] - (sin * centre[0] + cos * centre[1])
    return np.array([[cos, -sin, shift_x], [sin, cos, shift_y]], np.float32)


def turned_canvas(size_wh: tuple[int, int], angle_deg: float) -> tuple[tuple[int, int], Array]:
    """Width and height of the canvas that holds a picture turned clockwise by ``angle_deg``, and the 2x3 matrix that brings
    the picture's middle onto the canvas's.
    """
    width, height = size_wh
    angle = np.deg2rad(angle_deg)
    cos, sin = abs(np.cos(angle)), abs(np.sin(angle))
    canvas = (round(width * cos + height * sin), round(width * sin + height * cos))
    return canvas, similarity_matrix(1.0, angle_deg, (width / 2, height / 2), (canvas[0] / 2, canvas[1] / 2))


def clip_boxes(boxes: Array, width: int, height: int) -> Array:
    """Boxes cut to the picture. ``boxes`` is (N, 4) in pixels."""
    return np.clip(boxes, 0, np.array([width, height, width, height], boxes.dtype))


def turn_points(points: Array, quarter_turns: int, size_wh: tuple[int, int]) -> Array:
    """Where points come to lie when their picture is turned clockwise by 90 degrees ``quarter_turns`` times.

    points: (..., 2) in pixels. size_wh: of the picture before the turn. It becomes ``np.rot90(image, -quarter_turns)``.
    Negative turns go back. Nothing is interpolated: whole and half pixels stay exact.
    """
    width, height = size_wh
    x, y = points[..., 0], points[..., 1]
    places = ((x, y), (height - y, x), (width - x, height - y), (y, width - x))
    return np.stack(places[quarter_turns % 4], axis=-1)


def turn_boxes(boxes: Array, quarter_turns: int, size_wh: tuple[int, int]) -> Array:
    """Boxes (N, 4) of a picture that is turned as `turn_points` says, their corners in order again."""
    corners = turn_points(boxes.reshape(-1, 2, 2), quarter_turns, size_wh)
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)


def is_same(boxes: Array, others: Array, *, max_overlap: float = 0.5, max_covered: float = 1.0) -> NDArray[np.bool_]:
    """For every pair whether the other stands for the box: (N, 4) and (M, 4) give (N, M).

    It does when their IoU is over ``max_overlap``, when more than the share ``max_covered`` of the box lies in the other (a
    part), or when that share of the other lies in the box and the box is at most 4 times as large (a loose fit).
    """
    shared = intersection_area(boxes, others)
    areas, other_areas = box_area(boxes)[:, None], box_area(others)[None, :]
    is_alike = shared > max_overlap * (areas + other_areas - shared)
    is_part = shared > max_covered * areas
    is_loose = (shared > max_covered * other_areas) & (areas <= _MOST_LOOSE * other_areas)
    return np.asarray(is_alike | is_part | is_loose)


def paired_boxes(boxes: Array, others: Array, least: float) -> dict[int, int]:
    """Which of ``others`` (M, 4) each of ``boxes`` (N, 4) is: rows by rows, best IoU first, each once, down to ``least``."""
    overlap = iou(boxes, others)
    pairs: dict[int, int] = {}
    for place in np.argsort(-overlap, axis=None):
        row, other = (int(one) for one in np.unravel_index(place, overlap.shape))
        if overlap[row, other] < least:
            break
        if row not in pairs and other not in pairs.values():
            pairs[row] = other
    return pairs


def non_maximum_suppression(
    boxes: Array, scores: Array, *, max_overlap: float = 0.5, max_covered: float = 1.0
) -> NDArray[np.intp]:
    """Rows of the boxes that stay when each thing is kept once, by falling score; equal scores keep their order.

    boxes: (N, 4) pixels. scores: (N,). A box goes when a better one stands for it, see `is_same`. One that lies far around
    better ones stays.
    """
    order = np.argsort(-scores, kind="stable")
    kept = np.empty(0, np.intp)
    for start in range(0, len(order), _NMS_BLOCK):
        rows = order[start : start + _NMS_BLOCK]
        rows = rows[~is_same(boxes[rows], boxes[kept], max_overlap=max_overlap, max_covered=max_covered).any(axis=1)]
        same = is_same(boxes[rows], boxes[rows], max_overlap=max_overlap, max_covered=max_covered)
        is_kept = np.ones(len(rows), bool)
        for row in range(len(rows)):
            if is_kept[row]:
                is_kept[row + 1 :] &= ~same[row + 1 :, row]
        kept = np.concatenate([kept, rows[is_kept]])
    return kept
