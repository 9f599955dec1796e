"""CVAT for images 1.1: one XML file of all pictures. A skeleton, a group or being inside the box ties points to a face."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path

from mien.data.formats.documents import Node, element, read_xml
from mien.data.formats.intake import FACE, IGNORE, Intake, attribute_value
from mien.data.formats.marks import BoxMark, PointMark, hull, tie
from mien.data.formats.outlet import Outlet, point_names, points_of
from mien.data.formats.source import SourceFolder
from mien.data.sample import FaceLabel, Sample, finite_numbers
from mien.errors import DataError

_CORNERS = ("xtl", "ytl", "xbr", "ybr")


def detect(source: SourceFolder) -> bool:
    """Whether one of the first XML files holds ``annotations``."""
    return any(read_xml(source, path).tag == "annotations" for path in source.label_files(".xml")[:3])


def read(intake: Intake) -> None:
    """Take in every picture of the XML files. CVAT shows pictures upright, and so are its labels."""
    for path in intake.source.label_files(".xml"):
        root = read_xml(intake.source, path)
        if root.tag != "annotations":
            raise DataError(f"{path}:{root.line}: expected CVAT annotations, got {root.tag!r}")
        if track := root.first("track"):
            raise DataError(
                f"{path}:{track.line}: expected 'CVAT for images 1.1', got tracks of a video; export it as images"
            )
        numeric = set(_numeric(root))
        for image in root.all("image"):
            with intake.entry(path):
                _take(intake, path, image, numeric)


def _numeric(node: Node) -> Iterator[str]:
    """The names of attributes that the task says are numbers."""
    for child in node.children:
        if child.tag == "attribute" and child.text_of("input_type") == "number":
            yield child.text_of("name")
        elif child.tag in ("meta", "task", "project", "job", "labels", "label", "attributes"):
            yield from _numeric(child)


def _take(intake: Intake, path: Path, image: Node, numeric: set[str]) -> None:
    where = f"{path}:{image.line}"
    name = intake.source.find(image.attributes.get("name"), path.parent, where)
    boxes: list[BoxMark] = []
    points: list[PointMark] = []
    labels: dict[str, str | float] = {}
    for node in image.children:
        place = f"{path}:{node.line}"
        if node.tag == "tag":
            labels |= _attributes(node, numeric, place)
            label = node.attributes.get("label", FACE)
            if intake.attribute and label != FACE:
                labels[intake.attribute] = label
            elif label != FACE:
                intake.note("tags lost their label: no attribute was named that it answers", place)
        elif node.tag == "points":
            points.append(PointMark(_point(node, place), node.attributes.get("label", ""), place, _keys(node)))
        elif node.tag == "skeleton":
            for part in node.all("points"):
                if part.attributes.get("outside") != "1":
                    points.append(PointMark(_point(part, place), part.attributes.get("label", ""), place, _keys(node)))
        else:
            mark = BoxMark(_box(node, place), node.attributes.get("label", ""), place, _keys(node))
            mark.attributes = _attributes(node, numeric, place)
            boxes.append(mark)
            if node.tag != "box" or node.attributes.get("rotation", "0.0").strip("0."):
                intake.note("shapes other than upright boxes became the boxes around them", place)
    tie(boxes, points)
    size = [image.attributes.get("width"), image.attributes.get("height")]
    is_class_only = bool(labels) and not boxes
    intake.add(name, None if is_class_only else boxes, where, stated_wh=size if all(size) else None, labels=labels)


def _keys(node: Node) -> set[Hashable]:
    group = node.attributes.get("group_id", "0")
    return {group} if group not in ("", "0") else set()


def _attributes(node: Node, numeric: set[str], where: str) -> dict[str, str | float]:
    found: dict[str, str | float] = {}
    for entry in node.all("attribute"):
        name, text = entry.attributes.get("name", ""), entry.text.strip()
        if name in numeric:
            found[name] = float(finite_numbers([text], 1, f"{where}: {name}")[0])
        elif text:
            found[name] = attribute_value(name, text, where)
    return found


def _pairs(node: Node, where: str) -> list[tuple[float, float]]:
    pairs: list[tuple[float, float]] = []
    for pair in node.attributes.get("points", "").split(";"):
        x, y = finite_numbers(pair.split(","), 2, f"{where}: points").tolist()
        pairs.append((x, y))
    return pairs


def _point(node: Node, where: str) -> tuple[float, float]:
    pairs = _pairs(node, where)
    if len(pairs) != 1:
        raise DataError(f"{where}: expected one point a label, got {len(pairs)}; label each as left_eye, right_eye, ...")
    return pairs[0]


def _box(node: Node, where: str) -> list[float]:
    """The upright box around a closed shape."""
    facts = node.attributes
    if node.tag == "box":
        x1, y1, x2, y2 = finite_numbers([facts.get(key) for key in _CORNERS], 4, where).tolist()
        angle = math.radians(finite_numbers([facts.get("rotation") or 0], 1, f"{where}: rotation")[0])
        if not angle:
            return [x1, y1, x2, y2]
        x, y, cos, sin = (x1 + x2) / 2, (y1 + y2) / 2, math.cos(angle), math.sin(angle)
        half = [((x2 - x1) / 2 * a, (y2 - y1) / 2 * b) for a in (-1, 1) for b in (-1, 1)]
        return hull([(x + a * cos - b * sin, y + a * sin + b * cos) for a, b in half])
    if node.tag == "polygon":
        return hull(_pairs(node, where))
    if node.tag == "ellipse":
        x, y, rx, ry = finite_numbers([facts.get(key) for key in ("cx", "cy", "rx", "ry")], 4, where).tolist()
        return [x - rx, y - ry, x + rx, y + ry]
    if node.tag == "mask":
        keys = ("left", "top", "width", "height")
        left, top, width, height = finite_numbers([facts.get(key) for key in keys], 4, where).tolist()
        return [left, top, left + width, top + height]
    raise DataError(f"{where}: expected boxes, points, skeletons and tags, got {node.tag!r}; draw the face as a box")


def write(outlet: Outlet, samples: Sequence[Sample]) -> None:
    """``images/`` and ``annotations.xml``: boxes and points of a face share a group, the task's labels stand in ``meta``."""
    images = []
    for number, sample in enumerate(samples):
        if sample.faces is None and not sample.labels:
            outlet.lose("pictures without labels were left out")
            continue
        placed = outlet.place(sample, "images")
        marks = [mark for row, face in enumerate(sample.faces or (), 1) for mark in _marks(outlet, face, row)]
        if sample.labels:
            label = _tags(outlet, [sample])[0]
            others = {name: value for name, value in sample.labels.items() if name != outlet.attribute}
            marks.append(element("tag", *_attribute_elements(others), label=label, source="manual"))
        width, height = placed.size_wh
        images.append(element("image", *marks, id=number, name=placed.name, width=width, height=height))
    head = [element("version", text="1.1"), element("meta", element("task", _labels(outlet, samples)))]
    outlet.write(
        "annotations.xml", '<?xml version="1.0" encoding="utf-8"?>\n' + element("annotations", *head, *images) + "\n"
    )


def _attribute_elements(values: Mapping[str, str | float]) -> list[str]:
    return [element("attribute", text=value, name=name) for name, value in values.items()]


def _marks(outlet: Outlet, face: FaceLabel, group: int) -> Iterator[str]:
    drawn = {"source": "manual", "occluded": 0, "z_order": 0, "group_id": group}
    corners = dict(zip(_CORNERS, (f"{value:.2f}" for value in face.box.tolist()), strict=True))
    yield element(
        "box", *_attribute_elements(outlet.other_attributes(face)), label=outlet.class_of(face), **corners, **drawn
    )
    for name, (x, y) in points_of(face).items():
        yield element("points", label=name, points=f"{x:.2f},{y:.2f}", **drawn)


def _tags(outlet: Outlet, samples: Sequence[Sample]) -> list[str]:
    return sorted({str(sample.labels.get(outlet.attribute, FACE)) for sample in samples if sample.labels})


def _labels(outlet: Outlet, samples: Sequence[Sample]) -> str:
    """What the task must offer for these labels to be uploaded: the classes with their attributes, and the points."""
    attributes = []
    for name, texts in outlet.answers(samples).items():
        kind = element("input_type", text="select" if texts else "number")
        attributes.append(element("attribute", element("name", text=name), kind, element("values", text="\n".join(texts))))
    labels = [
        element("label", element("name", text=name), element("attributes", *attributes))
        for name in dict.fromkeys((*outlet.class_names(samples), *_tags(outlet, samples), IGNORE))
    ]
    labels += [element("label", element("name", text=name), element("type", text="points")) for name in point_names(samples)]
    return element("labels", *labels)
