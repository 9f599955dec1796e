"""Label Studio: a JSON list of tasks. Places are in percent of the picture, which the browser shows upright.

A point belongs to the box that is its parent, or that a relation ties to it, or else to the only box around it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from mien.data.formats.documents import element, read_json
from mien.data.formats.intake import IGNORE, Intake
from mien.data.formats.marks import BoxMark, PointMark, hull, tie
from mien.data.formats.outlet import Outlet, Placed, point_names, points_of
from mien.data.formats.source import SourceFolder
from mien.data.sample import FaceLabel, Sample, finite_numbers
from mien.errors import DataError
from mien.media.sources import SUFFIXES

_UPLOAD_MARK = re.compile(r"^[0-9a-f]{8}-")
"""What Label Studio puts before the name of an uploaded file."""

_STORES = ("http", "https", "s3", "gs", "azure-blob")


def detect(source: SourceFolder) -> bool:
    """Whether one of the first JSON files is a list of tasks."""
    return any(_is_tasks(read_json(source, path)) for path in source.label_files(".json")[:3])


def _is_tasks(document: Any) -> bool:
    return isinstance(document, list) and bool(document) and isinstance(document[0], dict) and "data" in document[0]


def read(intake: Intake) -> None:
    """Take in the picture of each task of each export file; tasks that nobody annotated come without faces."""
    for path in intake.source.label_files(".json"):
        document = read_json(intake.source, path)
        for row, task in enumerate(document if _is_tasks(document) else ()):
            with intake.entry(path):
                _take(intake, path, task, f"{path}:[{row}]")


def _take(intake: Intake, path: Path, task: Any, where: str) -> None:
    if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
        raise DataError(f"{where}: expected a task with data, got {str(task)[:60]}")
    name = _find(intake.source, task["data"], path.parent, where)
    annotations = [entry for entry in _list(task, "annotations", where) if not entry.get("was_cancelled")]
    if not annotations:
        intake.add(name, None, where)
        return
    chosen = next((entry for entry in annotations if entry.get("ground_truth")), annotations[-1])
    if len(annotations) > 1:
        intake.note("pictures have several annotations; the ground truth was taken, or else the last one", where)
    results = _list(chosen, "result", where)
    size = next(
        ([entry["original_width"], entry.get("original_height")] for entry in results if "original_width" in entry), None
    )
    wide, high = intake.size(name, where).size_wh if size is None else finite_numbers(size, 2, f"{where}: size").tolist()
    regions = _Regions((wide / 100, high / 100))
    for row, entry in enumerate(results):
        regions.take(entry, f"{where}.result[{row}]")
    intake.add(name, regions.faces(), where, stated_wh=size, labels=regions.labels)


def _list(entry: Mapping[str, Any], name: str, where: str) -> list[dict[str, Any]]:
    values = entry.get(name) or []
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise DataError(f"{where}: {name}: expected a list of objects, got {str(values)[:60]}")
    return values


def _find(source: SourceFolder, data: Mapping[str, Any], near: Path, where: str) -> PurePosixPath:
    """The picture of a task: what Label Studio names is an address, of which the file's own name is looked for."""
    names = [path for value in data.values() if isinstance(value, str) and (path := _file_of(value)) is not None]
    if len(names) != 1:
        raise DataError(f"{where}: data: expected one picture, got {str(dict(data))[:80]}")
    try:
        return source.find(names[0], near, where)
    except DataError:
        plain = _UPLOAD_MARK.sub("", PurePosixPath(names[0]).name)
        if plain == PurePosixPath(names[0]).name or ".." in names[0]:
            raise
    return source.find(plain, near, where)


def _file_of(value: str) -> str | None:
    """The file that an address of Label Studio stands for, None when it is no picture. Nothing is fetched."""
    try:
        parts = urlsplit(value)
        stored = parse_qs(parts.query).get("d", [])
        path = stored[0] if stored else unquote(parts.path)
    except ValueError:
        return None
    if PurePosixPath(path).suffix.lower() not in SUFFIXES:
        return None
    is_address = not stored and (parts.scheme in _STORES or path.startswith("/data/")) and ".." not in path
    return PurePosixPath(path).name if is_address else path


class _Regions:
    """The regions of one annotation. scale: pixels a percent, across and down."""

    def __init__(self, scale: tuple[float, float]) -> None:
        self.scale = scale
        self.labels: dict[str, str | float] = {}
        self._boxes: dict[str, BoxMark] = {}
        self._points: dict[str, PointMark] = {}
        self._answers: list[tuple[str, str, str | float]] = []
        self._relations: list[tuple[str, str]] = []

    def take(self, entry: Mapping[str, Any], where: str) -> None:
        """Take in one result. Raises `DataError` for a shape that is neither box nor point."""
        kind, value, key = entry.get("type"), entry.get("value"), str(entry.get("id", ""))
        if kind == "relation":
            self._relations.append((str(entry.get("from_id")), str(entry.get("to_id"))))
            return
        if not isinstance(value, dict):
            raise DataError(f"{where}: expected an object with a value, got {str(entry)[:60]}")
        if entry.get("image_rotation"):
            raise DataError(
                f"{where}: expected labels of the upright picture, got one turned by hand; turn the picture itself"
            )
        if kind in ("choices", "number"):
            self._answers.append((key, str(entry.get("from_name", "")), _answer(kind, value, where)))
        elif kind in ("rectanglelabels", "ellipselabels", "keypointlabels"):
            names = value.get(kind)
            if not isinstance(names, list) or len(names) != 1 or not isinstance(names[0], str):
                raise DataError(f"{where}: expected one label, got {str(names)[:60]}")
            self._take_region(kind, value, names[0], key, where)
            if isinstance(parent := entry.get("parentID"), str):
                self._relations.append((key, parent))
        elif kind not in ("rectangle", "keypoint", "textarea", "rating"):  # a shape's second entry, and remarks
            raise DataError(f"{where}: expected boxes, points and choices, got {str(kind)[:40]!r}; draw the face as a box")

    def _take_region(self, kind: str, value: Mapping[str, Any], name: str, key: str, where: str) -> None:
        wide, high = self.scale
        x, y = finite_numbers([value.get("x"), value.get("y")], 2, f"{where}: x and y").tolist()
        if kind == "keypointlabels":
            self._points[key or where] = PointMark((x * wide, y * high), name, where, {key})
            return
        if kind == "ellipselabels":
            reach = finite_numbers([value.get("radiusX"), value.get("radiusY")], 2, f"{where}: radius").tolist()
            box = [(x - reach[0]) * wide, (y - reach[1]) * high, (x + reach[0]) * wide, (y + reach[1]) * high]
        else:
            extent = finite_numbers([value.get("width"), value.get("height")], 2, f"{where}: width and height").tolist()
            angle = math.radians(finite_numbers([value.get("rotation") or 0], 1, f"{where}: rotation")[0])
            across = (extent[0] * wide * math.cos(angle), extent[0] * wide * math.sin(angle))
            down = (-extent[1] * high * math.sin(angle), extent[1] * high * math.cos(angle))
            left, top = x * wide, y * high
            corners = [
                (left + a * across[0] + d * down[0], top + a * across[1] + d * down[1]) for a in (0, 1) for d in (0, 1)
            ]
            box = hull(corners)
        self._boxes[key or where] = BoxMark(box, name, where, {key} if key else set())

    def faces(self) -> list[BoxMark] | None:
        """The boxes with their points and answers; None when only the whole picture was judged. Sets ``labels``."""
        for one, other in self._relations:
            for key, partner in ((one, other), (other, one)):
                if key in self._points and partner in self._boxes:
                    self._points[key].keys.add(partner)
        tie(list(self._boxes.values()), list(self._points.values()))
        for key, name, answer in self._answers:
            target = self._boxes[key].attributes if key in self._boxes else self.labels
            if name in target:
                where = self._boxes[key].where if key in self._boxes else "the picture"
                raise DataError(f"{where}: expected one answer to {name}, got {target[name]} and {answer}")
            target[name] = answer
        return None if self.labels and not self._boxes else list(self._boxes.values())


def _answer(kind: str, value: Mapping[str, Any], where: str) -> str | float:
    if kind == "number":
        return float(finite_numbers([value.get("number")], 1, f"{where}: number")[0])
    choices = value.get("choices")
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], str):
        raise DataError(f"{where}: expected one choice, got {str(choices)[:60]}")
    return choices[0]


def write(outlet: Outlet, samples: Sequence[Sample]) -> None:
    """``images/``, ``tasks.json`` for local storage, and ``config.xml``, the labeling interface that they need."""
    tasks: list[dict[str, Any]] = []
    for sample in samples:
        placed = outlet.place(sample, "images")
        task: dict[str, Any] = {
            "id": len(tasks) + 1,
            "data": {"image": f"/data/local-files/?d={quote(f'images/{placed.name}')}"},
        }
        results = [entry for row, face in enumerate(sample.faces or (), 1) for entry in _results(outlet, face, placed, row)]
        results += [_choice(name, value, {}) for name, value in sample.labels.items()]
        is_judged = sample.faces is not None or sample.labels
        task["annotations"] = [{"id": len(tasks) + 1, "result": results, "was_cancelled": False}] if is_judged else []
        tasks.append(task)
    outlet.write("tasks.json", json.dumps(tasks, ensure_ascii=False))
    outlet.write("config.xml", _config(outlet, samples))


def _choice(name: str, value: str | float, region: Mapping[str, Any]) -> dict[str, Any]:
    kind = "choices" if isinstance(value, str) else "number"
    answer: dict[str, Any] = {kind: [value] if isinstance(value, str) else value}
    own = {**region, "type": kind, "from_name": name, "to_name": "image", "origin": "manual"}
    place: dict[str, Any] = region.get("value", {})
    return {**own, "value": {**place, **answer}}


def _results(outlet: Outlet, face: FaceLabel, placed: Placed, row: int) -> list[dict[str, Any]]:
    width, height = placed.size_wh
    facts = {"original_width": width, "original_height": height, "image_rotation": 0}
    x1, y1, x2, y2 = face.box.tolist()
    place = {"x": x1 / width, "y": y1 / height, "width": (x2 - x1) / width, "height": (y2 - y1) / height}
    region: dict[str, Any] = {
        **facts,
        "id": f"face{row}",
        "value": {**{side: 100 * share for side, share in place.items()}, "rotation": 0},
    }
    tags = {"to_name": "image", "origin": "manual"}
    labelled = {**region["value"], "rectanglelabels": [outlet.class_of(face)]}
    results = [{**region, **tags, "type": "rectanglelabels", "from_name": "face", "value": labelled}]
    results += [_choice(name, value, region) for name, value in outlet.other_attributes(face).items()]
    for name, (x, y) in points_of(face).items():
        value = {"x": 100 * x / width, "y": 100 * y / height, "width": 0.5, "keypointlabels": [name]}
        own = {"id": f"face{row}-{name}", "parentID": f"face{row}", "type": "keypointlabels", "from_name": "keypoint"}
        results.append({**facts, **tags, **own, "value": value})
    return results


def _config(outlet: Outlet, samples: Sequence[Sample]) -> str:
    """The labeling interface: boxes by class, keypoints by name, one question an attribute."""
    is_regional = {name for sample in samples for face in sample.faces or () for name in outlet.other_attributes(face)}
    classes = [*outlet.class_names(samples), IGNORE]
    parts = [
        element("Image", name="image", value="$image"),
        element("RectangleLabels", *(element("Label", value=name) for name in classes), name="face", toName="image"),
    ]
    if points := point_names(samples):
        parts.append(
            element("KeyPointLabels", *(element("Label", value=name) for name in points), name="keypoint", toName="image")
        )
    for name, texts in outlet.answers(samples).items():
        tied = {"name": name, "toName": "image", **({"perRegion": "true"} if name in is_regional else {})}
        choices = [element("Choice", value=text) for text in texts]
        parts.append(element("Choices" if choices else "Number", *choices, **tied))
    return element("View", *parts) + "\n"
