"""Pascal VOC: one XML file a picture. Its boxes count pixels from 1 and include the last one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from mien.data.formats.documents import Node, element, read_xml
from mien.data.formats.intake import Intake, attribute_value
from mien.data.formats.marks import BoxMark
from mien.data.formats.outlet import Outlet, Placed, points_of
from mien.data.formats.source import SourceFolder
from mien.data.sample import FaceLabel, Sample, finite_numbers
from mien.errors import DataError


def detect(source: SourceFolder) -> bool:
    """Whether one of the first XML files is an ``annotation``."""
    return any(read_xml(source, path).tag == "annotation" for path in source.label_files(".xml")[:3])


def read(intake: Intake) -> None:
    """Take in the picture of each XML file. What the file says of the picture's full path is not looked at."""
    for path in intake.source.label_files(".xml"):
        with intake.entry(path):
            root = read_xml(intake.source, path)
            if root.tag != "annotation":
                raise DataError(f"{path}:{root.line}: expected an annotation, got {root.tag!r}")
            name = intake.source.find(root.text_of("filename"), path.parent, f"{path}:{root.line}")
            marks = [_mark(node, f"{path}:{node.line}") for node in root.all("object")]
            size = [root.text_of("size", side) or "0" for side in ("width", "height")]
            is_stated = any(finite_numbers(size, 2, f"{path}:{root.line}: size"))
            if parts := sum(len(node.all("part")) for node in root.all("object")):
                intake.note("parts of objects were left out", str(path), parts)
            intake.add(name, marks, f"{path}:{root.line}", stated_wh=size if is_stated else None)


def _mark(node: Node, where: str) -> BoxMark:
    corners = [node.text_of("bndbox", corner) for corner in ("xmin", "ymin", "xmax", "ymax")]
    x1, y1, x2, y2 = finite_numbers(corners, 4, f"{where}: bndbox").tolist()
    attributes: dict[str, str | float] = {}
    for entry in found.all("attribute") if (found := node.first("attributes")) is not None else []:
        name = entry.text_of("name")
        attributes[name] = attribute_value(name, entry.text_of("value"), where)
    is_difficult = node.text_of("difficult").lower() in ("1", "true")
    return BoxMark([x1 - 1, y1 - 1, x2, y2], node.text_of("name"), where, attributes=attributes, is_ignored=is_difficult)


def write(outlet: Outlet, samples: Sequence[Sample]) -> None:
    """``Annotations/``, ``JPEGImages/`` and ``ImageSets/Main/``; regions to ignore are difficult objects."""
    sets: dict[str, list[str]] = defaultdict(list)
    for sample, faces in outlet.labelled(samples):
        placed = outlet.place(sample, "JPEGImages")
        outlet.write(f"Annotations/{placed.stem}.xml", _annotation(outlet, placed, faces))
        sets[{"validation": "val"}.get(sample.split, sample.split) or "default"].append(placed.stem)
    for name, stems in sets.items():
        outlet.write(f"ImageSets/Main/{name}.txt", "".join(f"{stem}\n" for stem in stems))


def _annotation(outlet: Outlet, placed: Placed, faces: Sequence[FaceLabel]) -> str:
    width, height = placed.size_wh
    size = element("size", element("width", text=width), element("height", text=height), element("depth", text=3))
    objects = [_object(outlet, face) for face in faces]
    head = (element("folder", text="JPEGImages"), element("filename", text=placed.name), size, element("segmented", text=0))
    return element("annotation", *head, *objects) + "\n"


def _object(outlet: Outlet, face: FaceLabel) -> str:
    if points := points_of(face):
        outlet.lose("keypoints were left out: the format has none", len(points))
    first, last = (face.box[:2].round() + 1).astype(int), face.box[2:].round().astype(int)
    corners = dict(zip(("xmin", "ymin", "xmax", "ymax"), (*first, *last.clip(min=first)), strict=True))
    attributes = [
        element("attribute", element("name", text=name), element("value", text=value))
        for name, value in outlet.other_attributes(face).items()
    ]
    return element(
        "object",
        element("name", text=outlet.class_of(face)),
        element("pose", text="Unspecified"),
        element("truncated", text=0),
        element("difficult", text=int(face.is_ignored)),
        element("bndbox", *(element(name, text=value) for name, value in corners.items())),
        *([element("attributes", *attributes)] if attributes else []),
    )
