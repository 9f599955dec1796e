"""Small faces in large pictures: a detector looks at overlapping tiles of several sizes, and no face is left cut in half."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mien.geometry import covered_share, is_same, non_maximum_suppression
from mien.types import Faces

Find: TypeAlias = Callable[[NDArray[np.uint8]], Faces]
"""A detector: (H, W, 3) uint8 RGB in, faces in its pixels out."""
Region: TypeAlias = tuple[int, int, int, int]
"""A part of a picture: x1 y1 x2 y2 in whole pixels."""

OVERLAP = 0.25
"""Share of a tile's side that its neighbour sees as well, at least: a face up to 0.2 of the side is whole in one of them."""
MOST_STEP = 9.0
"""Most by which the side grows from one size of tiles to the next: what is too large for one is large enough in the next."""
MARGIN = 0.1
"""A face is taken for cut when it ends nearer to a tile's inner border than this share of its longer side."""
LARGEST = 0.5
"""What is longer than this share of a tile's side is left to larger tiles, where all of it can be seen."""
MAX_OVERLAP, MAX_COVERED = 0.5, 0.7
"""IoU, and share of one inside the other, over which two finds are one face; see `is_same`."""


def tile_regions(width: int, height: int, side: int) -> list[Region]:
    """Where to look: the whole picture, then tiles that get smaller down to ``side``, each in reading order.

    Tiles are squares (cut to the picture), evenly spread. Their sides form a geometric series from the picture's longer side
    to ``side`` with steps of at most `MOST_STEP`, so faces of every size are seen whole, and large enough, somewhere.
    """
    longest = max(width, height)
    steps = math.ceil(math.log(longest / side, MOST_STEP)) if longest > side else 0
    sides = [longest, *(round(longest * (side / longest) ** (step / steps)) for step in range(1, steps + 1))]
    return [
        (x, y, min(x + one, width), min(y + one, height))
        for one in sides
        for y in _starts(height, one)
        for x in _starts(width, one)
    ]


def _starts(length: int, side: int) -> list[int]:
    if length <= side:
        return [0]
    last = math.ceil((length - side) / (side * (1 - OVERLAP)))
    return [round(number * (length - side) / last) for number in range(last + 1)]


def find_in_tiles(find: Find, image: NDArray[np.uint8], side: int) -> Faces:
    """The faces that a detector finds in the whole picture and in its tiles, each once, by falling score.

    image: (H, W, 3) uint8 RGB. side: of the smallest tiles, in pixels; see `tile_regions`.

    A face that ends at a tile's inner border may be cut, so it does not count by itself. Most such faces lie whole in
    another tile. Where no tile saw one whole, the detector looks once more, with that place in the middle.
    One call for each region, and one for each such place; a tile at a time is copied. (Image pyramids are as old as face
    detection: Rowley, Baluja, Kanade, "Neural network-based face detection", 1998; sliced inference: Akyon et al., 2022.)
    """
    height, width = image.shape[:2]
    whole, cut = [], []
    for region in tile_regions(width, height, side):
        faces = _look(find, image, region)
        is_cut = _is_cut(faces, region, width, height)
        whole.append(faces[~is_cut])
        cut.append(faces[is_cut])
    found = merged(whole)
    waiting = _uncovered(merged(cut), found)
    while len(waiting):
        region = _around(waiting.boxes[0], width, height, side)
        faces = _look(find, image, region)
        found = merged([found, faces[~_is_cut(faces, region, width, height)]])
        is_settled = covered_share(waiting.boxes, np.array([region], np.float32))[:, 0] > MAX_COVERED
        is_settled &= ~_is_cut(waiting, region, width, height)
        is_settled[0] = True
        waiting = _uncovered(waiting[~is_settled], found)
    return found


def merged(parts: Sequence[Faces], *, max_covered: float = MAX_COVERED) -> Faces:
    """The faces of several looks at one picture, in its pixels: each once, by falling score; all columns together."""
    some = [part for part in parts if len(part)]
    if not some:
        return Faces.none()
    faces = Faces(
        np.concatenate([part.boxes for part in some]),
        np.concatenate([part.scores for part in some]),
        np.concatenate([part.keypoints for part in some]),
        np.concatenate([part.ids for part in some]),
        {name: np.concatenate([part.attributes[name] for part in some]) for name in some[0].attributes},
    )
    return faces[non_maximum_suppression(faces.boxes, faces.scores, max_overlap=MAX_OVERLAP, max_covered=max_covered)]


def _look(find: Find, image: NDArray[np.uint8], region: Region) -> Faces:
    """What is found in one region, in pixels of the whole picture."""
    left, top, right, bottom = region
    faces = find(np.ascontiguousarray(image[top:bottom, left:right]))
    if (bottom - top, right - left) != image.shape[:2]:
        sides = (faces.boxes[:, 2:] - faces.boxes[:, :2]).max(axis=1, initial=0)
        faces = faces[sides <= LARGEST * max(bottom - top, right - left)]
    corner = np.array([left, top], np.float32)
    return replace(faces, boxes=faces.boxes + np.tile(corner, 2), keypoints=faces.keypoints + corner)


def _is_cut(faces: Faces, region: Region, width: int, height: int) -> NDArray[np.bool_]:
    """Which faces end at a border of the region that is not the picture's own."""
    left, top, right, bottom = region
    boxes = faces.boxes
    margin = MARGIN * np.maximum(boxes[:, 2:] - boxes[:, :2], 0).max(axis=1, initial=0)
    room = np.stack([boxes[:, 0] - left, boxes[:, 1] - top, right - boxes[:, 2], bottom - boxes[:, 3]], axis=1)
    is_inner = np.array([left > 0, top > 0, right < width, bottom < height])
    return np.asarray(((room <= margin[:, None]) & is_inner).any(axis=1))


def _uncovered(faces: Faces, by: Faces) -> Faces:
    same = is_same(faces.boxes, by.boxes, max_overlap=MAX_OVERLAP, max_covered=MAX_COVERED)
    return faces[np.flatnonzero(~same.any(axis=1))]


def _around(box: NDArray[np.float32], width: int, height: int, side: int) -> Region:
    """A tile with a cut face in the middle, large enough for the whole of it."""
    side = max(side, math.ceil(4 * float(max(box[2] - box[0], box[3] - box[1]))))
    left, top = (
        min(max(0, round(float(middle) - side / 2)), max(0, length - side))
        for middle, length in zip((box[:2] + box[2:]) / 2, (width, height), strict=True)
    )
    return left, top, min(left + side, width), min(top + side, height)
