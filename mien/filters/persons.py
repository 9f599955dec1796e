"""The people of a group one by one: whose each part of the union matte is, and a picture of each.

A part of the matte that hangs together belongs to the face in it. Where several faces are in one part, people touch; a
watershed (Meyer, "Color image segmentation", ICIP 1992) grows from each head and the chest under it until the regions meet:
along edges of the picture where there are any, else halfway.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.filters.subject import is_empty
from mien.types import Faces, Frame

Image = NDArray[np.uint8]
Plane = NDArray[np.float32]
Labels = NDArray[np.int32]

_WORK_SIDE = 480
_LEVELS = 20
"""Colours that differ by less than this are one surface, so that the watershed's front moves evenly over them."""

_SEEN, _SEEN_SHARE = 0.2, 0.3
_OWN_SHARE = 0.2
_GAP_SHARE = 0.02
_HEAD_SHARE = 0.42
_CHEST_FROM, _CHEST_TO, _CHEST_HALF = 0.6, 2.2, 0.3
_SEAM_PX = 1.5
_MARGIN = 0.05


@dataclass(frozen=True, eq=False)
class Person:
    """One of the people in a picture.

    matte: (H, W) float32 in [0, 1] of the whole picture: their share of the union matte. face: the row of their face, None
    where none was found. box: ``x1 y1 x2 y2`` in whole pixels around them, with some room, inside the picture.
    is_touching: whether somebody else's region begins where theirs ends, so that the border between them is a guess.
    """

    matte: Plane
    face: int | None
    box: tuple[int, int, int, int]
    is_touching: bool


def find_persons(image: Image, matte: Plane, faces: Faces | None) -> list[Person]:
    """The people of a picture from left to right; their mattes add up to the union matte, ``matte``.

    image: (H, W, 3) uint8. matte: (H, W) float32 in [0, 1]. faces: in pixels of the image; those outside of the matte count
    for nobody. A separate part without a face is a person when it has at least a fifth of the largest one's area; a
    smaller one goes to whoever is nearest. Nobody gives an empty list.
    """
    if is_empty(matte):
        return []
    height, width = matte.shape
    ratio = min(1.0, _WORK_SIDE / max(height, width))
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    small = np.asarray(cv2.resize(matte, size, interpolation=cv2.INTER_AREA), np.float32)
    boxes = (Faces.none() if faces is None else faces).boxes * np.tile(np.array(size, np.float32) / (width, height), 2)
    # A scarf or a beard that the matte missed does not part a head from its body.
    gap = np.ones((2 * round(_GAP_SHARE * max(size)) + 1, 1), np.uint8)
    solid = cv2.morphologyEx((small > 0.5).astype(np.uint8), cv2.MORPH_CLOSE, gap)
    owners, people, touching = _regions(
        cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.asarray(solid, np.uint8), boxes
    )
    weights = _shares(owners, len(people), (width, height))
    found = []
    for number, row in enumerate(people):
        own = matte * weights[number] if len(people) > 1 else matte
        found.append(Person(own, row, _box_around(own), number in touching))
    return sorted(found, key=lambda person: person.box[0] + person.box[2])


def each_person(frame: Frame) -> list[Frame]:
    """A frame of each person alone, from left to right: cut to their box, with their matte and their face.

    frame: with `Frame.matte`, and `Frame.faces` where they were looked for. Others in the box count as background.
    """
    if frame.matte is None:
        return []
    matte = np.clip(frame.matte, 0, 1).astype(np.float32)
    if frame.alpha is not None:
        matte *= frame.alpha.astype(np.float32) / 255
    frames = []
    for person in find_persons(frame.image, matte, frame.faces):
        x1, y1, x2, y2 = person.box
        faces = frame.faces
        if faces is not None:
            faces = faces[[] if person.face is None else [person.face]].moved(1.0, (-x1, -y1))
        notes = list(frame.notes)
        if person.face is None:
            notes.append("no face found: what hangs together was taken for one person")
        if person.is_touching:
            notes.append("touches somebody: the border between them is a guess")
        cut = np.ascontiguousarray(frame.image[y1:y2, x1:x2])
        own = np.ascontiguousarray(person.matte[y1:y2, x1:x2])
        frames.append(replace(frame, image=cut, matte=own, alpha=None, faces=faces, notes=tuple(notes)))
    return frames


def _regions(image: Image, solid: NDArray[np.uint8], boxes: Plane) -> tuple[Labels, list[int | None], set[int]]:
    """Whose each pixel is, (H, W) int32 from 0; the face row of each person; and those who touch somebody."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats(solid, connectivity=4)
    in_part: dict[int, list[int]] = {}
    for row, box in enumerate(boxes):
        part = _part_of(box, parts, count)
        if part:
            in_part.setdefault(part, []).append(row)
    areas = stats[:, cv2.CC_STAT_AREA]
    least = _OWN_SHARE * max((int(areas[part]) for part in in_part), default=int(areas[1:].max()))
    labels = np.full(solid.shape, -1, np.int32)
    people: list[int | None] = []
    touching: set[int] = set()
    for part in range(1, count):
        rows = in_part.get(part, [])
        inside = parts == part
        if len(rows) > 1:
            first = len(people)
            labels[inside] = _divided(image, inside, boxes[rows])[inside] + first
            people += rows
            touching |= set(range(first, len(people)))
        elif rows or areas[part] >= least:
            labels[inside] = len(people)
            people.append(rows[0] if rows else None)
    return _grown(labels), people, touching


def _part_of(box: Plane, parts: Labels, count: int) -> int:
    """The part of the matte that a face lies in, 0 where it lies in none."""
    x1, y1 = (max(0, int(value)) for value in box[:2])
    x2, y2 = (int(np.ceil(value)) for value in box[2:])
    inside = parts[y1 : max(y2, y1 + 1), x1 : max(x2, x1 + 1)]
    if not inside.size:
        return 0
    found = np.bincount(inside.ravel(), minlength=count)
    found[0] = 0
    return int(found.argmax()) if found.max() >= _SEEN_SHARE * inside.size else 0


def _divided(image: Image, inside: NDArray[np.bool_], boxes: Plane) -> Labels:
    """Which of the faces' people each pixel of one part belongs to, (H, W) int32 from 0; -1 on the borders between them."""
    seeds = np.zeros(inside.shape, np.int32)
    seeds[~inside] = len(boxes) + 1
    nearest = np.full(inside.shape, np.inf, np.float32)
    y, x = np.mgrid[: inside.shape[0], : inside.shape[1]].astype(np.float32) + 0.5
    # Who stands in front has the larger face: their head and chest lie over those behind.
    for number in np.argsort(boxes[:, 3] - boxes[:, 1]):
        x1, y1, x2, y2 = (float(value) for value in boxes[number])
        across, down = (x - (x1 + x2) / 2) / (x2 - x1), (y - (y1 + y2) / 2) / (y2 - y1)
        away = np.square(across) + np.square(down)
        is_chest = (np.abs(across) < _CHEST_HALF) & (down > 0) & (down > _CHEST_FROM) & (down < _CHEST_TO)
        is_head = (away < _HEAD_SHARE**2 * 2) & (away < nearest)
        seeds[inside & (is_head | (is_chest & (nearest > 1)))] = number + 1
        nearest = np.minimum(nearest, away)
    for number, box in enumerate(boxes):  # a head that lies under another's chest still counts
        middle = (int((box[1] + box[3]) / 2), int((box[0] + box[2]) / 2))
        cv2.circle(seeds, middle[::-1], max(1, int(0.2 * (box[2] - box[0]))), number + 1, -1)
    calm = cv2.bilateralFilter(image, 5, 30, 3)
    flat = np.ascontiguousarray(calm // _LEVELS)
    regions = cv2.watershed(np.asarray(flat, np.uint8), seeds)
    return np.asarray(np.where((regions > 0) & (regions <= len(boxes)), regions - 1, -1), np.int32)


def _grown(labels: Labels) -> Labels:
    """Every pixel without a person (below 0) given to the nearest one's."""
    free = (labels < 0).astype(np.uint8)
    if not free.any() or free.all():
        return np.maximum(labels, 0)
    _, near = cv2.distanceTransformWithLabels(free, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    owner = np.zeros(int(near.max()) + 1, np.int32)
    owner[near[free == 0]] = labels[free == 0]
    return np.asarray(owner[near], np.int32)


def _shares(owners: Labels, count: int, size_wh: tuple[int, int]) -> list[Plane]:
    """(H, W) of each person, soft over the border between two and 1 together."""
    if count < 2:
        return [np.ones((size_wh[1], size_wh[0]), np.float32)] * count
    soft = [cv2.GaussianBlur((owners == number).astype(np.float32), (0, 0), _SEAM_PX) for number in range(count)]
    grown = [cv2.resize(plane, size_wh, interpolation=cv2.INTER_LINEAR) for plane in soft]
    total = np.maximum(np.sum(grown, axis=0), 1e-6)
    return [np.asarray(plane / total, np.float32) for plane in grown]


def _box_around(matte: Plane) -> tuple[int, int, int, int]:
    height, width = matte.shape
    across, down = (np.flatnonzero((matte > _SEEN).any(axis=axis)) for axis in (0, 1))
    if not len(across):
        return 0, 0, width, height
    room = max(2, round(_MARGIN * max(across[-1] - across[0], down[-1] - down[0])))
    return (
        max(0, int(across[0]) - room),
        max(0, int(down[0]) - room),
        min(width, int(across[-1]) + 1 + room),
        min(height, int(down[-1]) + 1 + room),
    )
