"""From loose boxes and points, as drawing tools keep them, to faces: which point belongs to which box."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

from mien.errors import DataError

Point = tuple[float, float]


@dataclass
class BoxMark:
    """A drawn box, ``x1 y1 x2 y2`` in pixels. keys: what ties points to it (group, id). where: file and place."""

    box: Sequence[float]
    name: str
    where: str
    keys: set[Hashable] = field(default_factory=set)
    attributes: dict[str, str | float] = field(default_factory=dict)
    is_ignored: bool = False
    points: dict[str, Point] = field(default_factory=dict)

    def holds(self, point: Point) -> bool:
        x1, y1, x2, y2 = self.box
        return x1 <= point[0] <= x2 and y1 <= point[1] <= y2


@dataclass
class PointMark:
    """A drawn point (x, y) in pixels, named as a keypoint. keys: as of a box."""

    point: Point
    name: str
    where: str
    keys: set[Hashable] = field(default_factory=set)


def tie(boxes: Sequence[BoxMark], points: Sequence[PointMark]) -> None:
    """Put each point into the box that shares a key with it, or else into the only box that it lies in.

    Raises `DataError` when a point has no box, could have two, or when a box gets two points of one name.
    """
    by_key: dict[Hashable, BoxMark] = {}
    for box in boxes:
        for key in box.keys:
            if by_key.setdefault(key, box) is not box:
                raise DataError(f"{box.where}: expected one box a group, got a second one in group {key}; give it its own")
    for mark in points:
        tied = {id(by_key[key]): by_key[key] for key in mark.keys if key in by_key}
        found = list(tied.values()) or [box for box in boxes if not box.is_ignored and box.holds(mark.point)]
        if len(found) != 1:
            got = "none" if not found else f"{len(found)} around it"
            raise DataError(f"{mark.where}: point {mark.name!r}: expected one face box, got {got}; group it with its box")
        if mark.name in found[0].points:
            raise DataError(f"{mark.where}: point {mark.name!r}: expected it once a face, got it twice; delete one")
        found[0].points[mark.name] = mark.point


def hull(points: Sequence[Point]) -> list[float]:
    """The upright box around points: ``x1 y1 x2 y2``."""
    xs, ys = [point[0] for point in points], [point[1] for point in points]
    return [min(xs), min(ys), max(xs), max(ys)]


def mirrored_name(name: str, names: Mapping[str, int] | Sequence[str]) -> str:
    """The keypoint that takes this one's place in a mirror image, itself if none of ``names`` does."""
    for one, other in (("left", "right"), ("right", "left")):
        if one in name and (swapped := name.replace(one, other)) in names:
            return swapped
    return name
