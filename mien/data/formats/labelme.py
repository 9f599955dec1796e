"""labelme: a JSON file beside each picture. One ``group_id`` ties a face's box and points.

labelme (5 and later) shows a picture upright, by its EXIF orientation, and so are its labels.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from mien.data.formats.documents import read_json
from mien.data.formats.intake import Intake
from mien.data.formats.marks import BoxMark, PointMark, hull, tie
from mien.data.formats.outlet import Outlet, points_of, rounded
from mien.data.formats.source import SourceFolder
from mien.data.sample import FaceLabel, Sample, finite_numbers
from mien.errors import DataError, InputError
from mien.media.read import suffix_of

VERSION = "5.5.0"
_HULLED = ("rectangle", "polygon", "oriented_rectangle", "mask")


def detect(source: SourceFolder) -> bool:
    """Whether one of the first JSON files is labelme's."""
    return any(_is_labelme(read_json(source, path)) for path in source.label_files(".json")[:3])


def _is_labelme(document: Any) -> bool:
    return isinstance(document, dict) and isinstance(document.get("shapes"), list) and "imagePath" in document


def read(intake: Intake) -> None:
    """Take in the picture of each labelme file: the one it names, or else the copy it holds. Other JSON is passed over."""
    for path in intake.source.label_files(".json"):
        with intake.entry(path):
            document = read_json(intake.source, path)
            if _is_labelme(document):
                _take(intake, path, document)


def _take(intake: Intake, path: Path, document: Mapping[str, Any]) -> None:
    where = str(path)
    name, picture = _picture(intake, path, document)
    boxes: list[BoxMark] = []
    points: list[PointMark] = []
    for row, shape in enumerate(document["shapes"]):
        mark = _mark(shape, f"{where}:shapes[{row}]")
        if isinstance(mark, BoxMark):
            boxes.append(mark)
            if shape.get("shape_type") not in ("rectangle", "circle"):
                intake.note("shapes other than upright boxes became the boxes around them", mark.where)
        else:
            points.append(mark)
    tie(boxes, points)
    labels = _picture_labels(document.get("flags") or {}, intake.attribute, f"{where}:flags")
    width, height = document.get("imageWidth"), document.get("imageHeight")
    is_class_only = bool(labels) and not boxes
    intake.add(
        name,
        None if is_class_only else boxes,
        where,
        stated_wh=(width, height) if width and height else None,
        picture=picture,
        labels=labels,
    )


def _picture(intake: Intake, path: Path, document: Mapping[str, Any]) -> tuple[PurePosixPath, bytes | None]:
    try:
        return intake.source.find(document["imagePath"], path.parent, f"{path}:imagePath"), None
    except DataError:
        if not document.get("imageData"):
            raise
    try:
        data = base64.b64decode(document["imageData"], validate=True)
        return intake.source.relative(path).with_suffix(suffix_of(data)), data
    except (TypeError, ValueError, binascii.Error, InputError) as error:
        raise DataError(f"{path}:imageData: expected a picture as base64, got: {error}") from None


def _mark(shape: Any, where: str) -> BoxMark | PointMark:
    if not isinstance(shape, dict) or not isinstance(shape.get("label"), str) or not isinstance(shape.get("points"), list):
        raise DataError(f"{where}: expected a shape with label and points, got {str(shape)[:60]}")
    kind, label, group = shape.get("shape_type", "polygon"), shape["label"], shape.get("group_id")
    corners: list[tuple[float, float]] = []
    for point in shape["points"]:
        x, y = finite_numbers(point, 2, f"{where}: point").tolist()
        corners.append((x, y))
    keys: set[Hashable] = {group} if isinstance(group, int | str) else set()
    if kind == "point" and len(corners) == 1:
        return PointMark(corners[0], label, where, keys)
    if kind == "circle" and len(corners) == 2:
        radius = math.dist(*corners)
        (x, y), _ = corners
        box = [x - radius, y - radius, x + radius, y + radius]
    elif kind in _HULLED and len(corners) >= 2:
        box = hull(corners)
    else:
        wanted = "a rectangle, a point or another closed shape"
        raise DataError(
            f"{where}: expected {wanted}, got {str(kind)[:30]!r} of {len(corners)} points; draw the face as a box"
        )
    flags = shape.get("flags") or {}
    if not isinstance(flags, dict):
        raise DataError(f"{where}: flags: expected an object, got {str(flags)[:60]}")
    return BoxMark(box, label, where, keys, dict(_answer(flag) for flag, is_set in flags.items() if is_set is True))


def _answer(flag: str) -> tuple[str, str | float]:
    """A flag as an attribute: ``name=answer``, or a name that is true."""
    name, sign, value = flag.partition("=")
    return name, value if sign else "true"


def _picture_labels(flags: Any, attribute: str, where: str) -> dict[str, str | float]:
    """The flags of the whole picture that are set; a single plain one is the answer to the attribute."""
    if not isinstance(flags, dict):
        raise DataError(f"{where}: expected an object, got {str(flags)[:60]}")
    chosen = [flag for flag, is_set in flags.items() if is_set is True]
    plain = [flag for flag in chosen if "=" not in flag]
    if attribute and len(plain) > 1:
        raise DataError(f"{where}: expected one answer to {attribute}, got {', '.join(plain)[:80]}")
    labels = dict(_answer(flag) for flag in chosen if not attribute or "=" in flag)
    if attribute and plain:
        labels[attribute] = plain[0]
    return labels


def write(outlet: Outlet, samples: Sequence[Sample]) -> None:
    """Pictures and JSON side by side; answers to other attributes are flags ``name=answer``."""
    for sample in samples:
        if sample.faces is None and not sample.labels:
            outlet.lose("pictures without labels were left out")
            continue
        placed = outlet.place(sample)
        width, height = placed.size_wh
        document = {
            "version": VERSION,
            "flags": {_flag(name, value, outlet.attribute): True for name, value in sample.labels.items()},
            "shapes": [shape for row, face in enumerate(sample.faces or (), 1) for shape in _shapes(outlet, face, row)],
            "imagePath": placed.name,
            "imageData": None,
            "imageHeight": height,
            "imageWidth": width,
        }
        outlet.write(f"{placed.stem}.json", json.dumps(document, ensure_ascii=False, indent=2))


def _flag(name: str, value: object, attribute: str) -> str:
    return str(value) if name == attribute else f"{name}={value}"


def _shapes(outlet: Outlet, face: FaceLabel, group: int) -> list[dict[str, Any]]:
    x1, y1, x2, y2 = rounded(face.box.tolist())
    flags = {f"{name}={value}": True for name, value in outlet.other_attributes(face).items()}
    drawn = [(outlet.class_of(face), [[x1, y1], [x2, y2]], "rectangle", flags)]
    drawn += [(name, [rounded(point)], "point", {}) for name, point in points_of(face).items()]
    return [
        {
            "label": label,
            "points": points,
            "group_id": group,
            "description": "",
            "shape_type": kind,
            "flags": own,
            "mask": None,
        }
        for label, points, kind, own in drawn
    ]
