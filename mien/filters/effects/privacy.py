"""Making a face unknowable: the whole head, hair and ears included, is replaced, and nothing of it stays in the picture."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.filters.effects.art import Sketch, Tile, ellipse, lit, spline
from mien.filters.effects.canvas import Canvas
from mien.filters.effects.head import Head
from mien.filters.effects.registry import register

_CELLS_ACROSS = 6
_WIDER, _TALLER = 1.32, 1.14
_BOX_SIDE, _BOX_ABOVE, _BOX_BELOW = 0.22, 0.42, 0.14
_INK = (28, 30, 36)


def head_region(canvas: Canvas, head: Head) -> tuple[tuple[int, int, int, int], NDArray[np.float32]]:
    """The part of the picture that a head takes, with some room: ``x1 y1 x2 y2`` and how far inside.

    The plane, (y2 - y1, x2 - x1), is at least 1 in the region and falls to 0 a tenth of its size outside of it. It is the
    union of an ellipse round the turned head and one round the grown face box, so a wrong keypoint cannot uncover a face.
    """
    centre = head.place((0, (head.top + head.chin) / 2, -0.3))
    across, down = (
        _WIDER * max(head.half_width, canvas.hair_width(head)) * head.unit,
        _TALLER * (head.chin - head.top) / 2 * head.unit,
    )
    x1, y1, x2, y2 = head.box
    width, height = x2 - x1, y2 - y1
    grown = np.array(
        [x1 - _BOX_SIDE * width, y1 - _BOX_ABOVE * height, x2 + _BOX_SIDE * width, y2 + _BOX_BELOW * height], np.float64
    )
    middle, half = (grown[:2] + grown[2:]) / 2, np.maximum((grown[2:] - grown[:2]) / 2, 1)
    # A box that a rectangle fits is not covered by the ellipse inside it: its corners matter little, its sides do.
    half = half * 1.08
    reach, shape = max(across, down), canvas.image.shape[:2]
    low = np.floor(np.minimum(centre - 1.1 * reach, middle - 1.1 * half))
    high = np.ceil(np.maximum(centre + 1.1 * reach, middle + 1.1 * half))
    left, top = np.clip(low, 0, (shape[1], shape[0])).astype(int).tolist()
    right, bottom = np.clip(high, 0, (shape[1], shape[0])).astype(int).tolist()
    x, y = np.arange(left, right) + 0.5, np.arange(top, bottom)[:, None] + 0.5
    cos, sin = np.cos(head.roll), np.sin(head.roll)
    u, v = (x - centre[0]) * cos + (y - centre[1]) * sin, (y - centre[1]) * cos - (x - centre[0]) * sin
    away = np.minimum(np.hypot(u / across, v / down), np.hypot((x - middle[0]) / half[0], (y - middle[1]) / half[1]))
    return (left, top, right, bottom), np.clip(11 - 10 * away, 0, 2).astype(np.float32)


def _cover(canvas: Canvas, head: Head, make: str) -> None:
    (left, top, right, bottom), inside = head_region(canvas, head)
    if inside.size == 0:
        return
    part = canvas.image[top:bottom, left:right]
    height, width = part.shape[:2]
    cell = max(1.0, max(width, height) / (1.3 * _CELLS_ACROSS))
    cells = (max(1, round(width / cell)), max(1, round(height / cell)))
    small = cv2.resize(part, cells, interpolation=cv2.INTER_AREA)
    share = np.clip(inside, 0, 1)
    if make == "pixelate":
        new = cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)
        most = cv2.resize(cv2.dilate(inside, np.ones((3, 3))), cells, interpolation=cv2.INTER_AREA)
        # A cell is replaced whole or not at all; one that the region touches is replaced.
        rows = np.minimum((np.arange(height) * cells[1]) // height, cells[1] - 1)
        columns = np.minimum((np.arange(width) * cells[0]) // width, cells[0] - 1)
        touched = np.zeros(cells[::-1], np.float32)
        np.maximum.at(touched, (rows[:, None], columns[None]), (inside >= 1).astype(np.float32))
        share = np.maximum(touched, most >= 1)[rows][:, columns].astype(np.float32)
    else:
        new = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
        new = cv2.GaussianBlur(new, (0, 0), max(0.5, 0.5 * cell), borderType=cv2.BORDER_REPLICATE)
    weight = share[..., None]
    part[:] = np.round(part * (1 - weight) + new * weight).astype(np.uint8)


@register("blur", "privacy: the head out of focus beyond recognition", layer=-1)
def blur(canvas: Canvas, head: Head) -> None:
    """The head as six blots of colour across, smoothed."""
    _cover(canvas, head, "blur")


@register("pixelate", "privacy: the head as a few large squares", layer=-1)
def pixelate(canvas: Canvas, head: Head) -> None:
    """The head as about six squares across."""
    _cover(canvas, head, "pixelate")


@register("solid", "privacy: the head under one flat colour", layer=-1)
def solid(canvas: Canvas, head: Head) -> None:
    """Nothing of the head is left, not even its mean colour."""
    (left, top, right, bottom), inside = head_region(canvas, head)
    share = np.clip((inside - 0.8) * 5, 0, 1)
    weight = share[..., None]
    part = canvas.image[top:bottom, left:right]
    part[:] = np.round(part * (1 - weight) + np.array(_INK) * weight).astype(np.uint8)
    if canvas.matte is not None:
        region = canvas.matte[top:bottom, left:right]
        np.maximum(region, share, out=region)


@cache
def _emoji() -> Tile:
    """A smiling face of radius 1."""
    sheet = Sketch(-1.05, -1.05, 1.05, 1.05, 240)
    disc = sheet.fill(ellipse(0, 0, 1, 1, steps=256))
    away = np.clip(np.hypot(sheet.x, sheet.y), 0, 1)
    height = np.sqrt(1 - 0.8 * away**2)
    normals = np.dstack([0.62 * sheet.x, 0.62 * sheet.y, height]).astype(np.float32)
    normals /= np.linalg.norm(normals, axis=2, keepdims=True)
    low = np.clip(0.5 + 0.5 * (0.25 * sheet.x + sheet.y), 0, 1)[..., None]
    yellow = np.array([1.0, 0.86, 0.26]) * (1 - low) + np.array([0.98, 0.66, 0.10]) * low
    sheet.paint(disc, np.clip(lit(yellow.astype(np.float32), normals, ambient=0.66, gloss=0.16, sharpness=9) * 1.12, 0, 1))
    sheet.darken((0.30 * np.clip((away - 0.86) / 0.14, 0, 1) ** 2).astype(np.float32), (0.75, 0.38, 0.02))
    for side in (-1, 1):
        cheek = np.exp(-(((sheet.x - side * 0.60) / 0.19) ** 2 + ((sheet.y - 0.22) / 0.13) ** 2))
        sheet.darken((0.45 * cheek).astype(np.float32), (0.98, 0.42, 0.30))
        eye = sheet.fill(ellipse(side * 0.33, -0.24, 0.105, 0.175))
        sheet.paint(eye, lit((0.24, 0.13, 0.05), sheet.normals(eye, 0.1), ambient=0.6, gloss=0.3))
        sheet.lighten(0.85 * sheet.fill(ellipse(side * 0.33 - 0.03, -0.32, 0.032, 0.046)))
    mouth = sheet.fill(
        np.concatenate(
            [
                spline(((-0.52, 0.22), (-0.28, 0.275), (0, 0.29), (0.28, 0.275), (0.52, 0.22)), is_closed=False),
                spline(((0.47, 0.42), (0.30, 0.62), (0, 0.70), (-0.30, 0.62), (-0.47, 0.42)), is_closed=False),
            ]
        )
    )
    mouth = np.clip((sheet.soft(mouth, 0.016) - 0.4) * 5, 0, 1)
    sheet.paint(mouth, (0.36, 0.10, 0.06))
    teeth = mouth * np.clip((0.41 - sheet.y) * 60, 0, 1)
    sheet.paint(teeth, (1.0, 0.985, 0.96))
    tongue = mouth * sheet.fill(ellipse(0, 0.70, 0.27, 0.16))
    sheet.paint(tongue, (0.93, 0.33, 0.30))
    shine = np.exp(-(((sheet.x + 0.26) / 0.42) ** 2 + ((sheet.y + 0.68) / 0.16) ** 2))
    sheet.lighten((0.35 * shine).astype(np.float32))
    return sheet.tile()


@register("emoji", "privacy: a smiling face in place of the head", layer=-1)
def emoji(canvas: Canvas, head: Head) -> None:
    """Large enough to hide hair and ears; below it the head is gone as with `solid`, in the colour of the drawing."""
    (left, top, _, _), inside = head_region(canvas, head)
    rows, columns = np.nonzero(inside >= 1)
    if not len(rows):
        return
    # The smallest circle round the middle of the region that holds it, even where the picture cuts it.
    spots = np.stack([columns + left + 0.5, rows + top + 0.5], axis=1)
    centre = (spots.min(axis=0) + spots.max(axis=0)) / 2
    radius = 1.02 * float(np.linalg.norm(spots - centre, axis=1).max()) + 1
    cos, sin = radius * np.cos(head.roll), radius * np.sin(head.roll)
    canvas.put(_emoji(), np.array([[cos, -sin, centre[0]], [sin, cos, centre[1]]]), head, shadow=0.3, drop=(0.03, 0.12))
