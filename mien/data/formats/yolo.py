"""YOLO: a text file beside each picture, one line a face, in shares of the picture; names in ``data.yaml``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from mien.data.formats.documents import read_yaml
from mien.data.formats.intake import Intake
from mien.data.formats.marks import BoxMark, mirrored_name
from mien.data.formats.outlet import Outlet, point_names, points_of
from mien.data.formats.source import SourceFolder
from mien.data.sample import FaceLabel, Sample, finite_numbers
from mien.errors import DataError
from mien.geometry import clip_boxes

_NAME_LISTS = ("classes.txt", "obj.names", "_darknet.labels")
_SLACK = 0.01
"""How far rounding may put a share outside of 0 to 1, as in Ultralytics' own check."""
_SPLITS = {"validation": "val"}


@dataclass(frozen=True)
class Layout:
    """What a line means. classes: their names by number. points: names in order; dims: numbers a point, 2 or 3."""

    classes: dict[int, str]
    points: tuple[str, ...] = ()
    dims: int = 3


def detect(source: SourceFolder) -> bool:
    """Whether there is a YAML file with names in it, or a list of classes."""
    return _config(source) is not None or _name_list(source) is not None


def _config(source: SourceFolder) -> tuple[Path, dict[str, Any]] | None:
    for path in source.label_files(".yaml", ".yml"):
        document = read_yaml(source, path)
        if isinstance(document, dict) and "names" in document:
            return path, document
    return None


def _name_list(source: SourceFolder) -> Path | None:
    return next((path for path in source.label_files(".txt", ".names", ".labels") if path.name in _NAME_LISTS), None)


def _layout(source: SourceFolder) -> Layout:
    if (config := _config(source)) is None:
        if (path := _name_list(source)) is None:
            raise DataError(
                f"{source.source}: expected data.yaml or classes.txt with the names of the classes, found neither"
            )
        listed = [line.strip() for line in source.load_text(path).splitlines() if line.strip()]
        if not listed:
            raise DataError(f"{path}:1: expected the names of the classes, one a line, got none")
        return Layout(dict(enumerate(listed)))
    path, document = config
    names = document["names"]
    entries = list(names.items()) if isinstance(names, dict) else list(enumerate(names)) if isinstance(names, list) else []
    if not entries or not all(
        str(number).isdecimal() and len(str(number)) < 7 and isinstance(name, str) for number, name in entries
    ):
        raise DataError(f"{path}: names: expected a list of class names, got {str(names)[:60]}")
    classes = {int(number): name for number, name in entries}
    if "kpt_shape" not in document:
        return Layout(classes)
    count, dims = finite_numbers(document["kpt_shape"], 2, f"{path}: kpt_shape").tolist()
    points = document.get("kpt_names")
    if isinstance(points, dict):  # one list for each class, which must be the same
        lists = list(points.values())
        points = lists[0] if lists and all(entry == lists[0] for entry in lists) else None
    if not isinstance(points, list) or len(points) != count or not all(isinstance(name, str) for name in points):
        raise DataError(
            f"{path}: expected kpt_names with the names of the {count:g} keypoints, got {str(points)[:60]}; add for example "
            "kpt_names: [left_eye, right_eye, nose, mouth_left, mouth_right], left and right being the person's own"
        )
    if dims not in (2, 3):
        raise DataError(f"{path}: kpt_shape: expected 2 or 3 numbers a keypoint, got {dims:g}")
    return Layout(classes, tuple(points), int(dims))


def read(intake: Intake) -> None:
    """Take in every picture that has a text file, and as empty those without one whose neighbours have one.

    The text lies beside the picture, or under ``labels`` where the picture lies under ``images``. The folders that
    ``data.yaml`` names are not followed: pictures of all parts count.
    """
    source = intake.source
    layout = _layout(source)
    texts = {source.relative(path) for path in source.label_files(".txt") if path.name not in _NAME_LISTS}
    folders = {path.parent for path in texts}
    for name in source.pictures():
        places = [name.with_suffix(".txt")]
        if "images" in name.parts:
            last = len(name.parts) - 1 - name.parts[::-1].index("images")
            places.insert(0, PurePosixPath(*name.parts[:last], "labels", *name.parts[last + 1 :]).with_suffix(".txt"))
        text = next((place for place in places if place in texts), None)
        path = source.root / (text or places[0])
        if text is None and places[0].parent not in folders:
            continue
        with intake.entry(path):
            if text is None:
                intake.note("pictures without a text file were taken to show no face", str(path))
            lines = source.load_text(path).splitlines() if text is not None else []
            size_wh = intake.size(name, str(path)).size_wh
            marks = [
                mark for number, line in enumerate(lines, 1) for mark in _marks(line, layout, size_wh, f"{path}:{number}")
            ]
            intake.add(name, marks, str(path))


def _marks(line: str, layout: Layout, size_wh: tuple[int, int], where: str) -> Iterator[BoxMark]:
    words = line.split()
    if not words:
        return
    wanted = 5 + layout.dims * len(layout.points)
    if len(words) not in (5, wanted):
        more = "" if layout.points else "; keypoints need kpt_shape and kpt_names in data.yaml"
        raise DataError(f"{where}: expected class x y width height ({wanted} numbers), got {len(words)} words{more}")
    number, *shares = finite_numbers(words, len(words), where).tolist()
    if number not in layout.classes:
        raise DataError(f"{where}: expected a class from 0 to {max(layout.classes)}, got {words[0]}")
    x, y, width, height = shares[:4]
    rows = np.array(shares[4:]).reshape(-1, layout.dims)
    if not all(0 <= share <= 1 + _SLACK for share in (x, y, width, height, *rows[:, :2].ravel())):
        raise DataError(f"{where}: expected shares of the picture from 0 to 1, got {line[:80]!r}; divide pixels by its size")
    wide, high = size_wh
    points = {}
    for name, row in zip(layout.points, rows.tolist(), strict=len(rows) > 0):
        is_known = row[2] > 0 if layout.dims == 3 else any(row)
        if is_known:
            points[name] = (row[0] * wide, row[1] * high)
    box = [(x - width / 2) * wide, (y - height / 2) * high, (x + width / 2) * wide, (y + height / 2) * high]
    yield BoxMark(box, layout.classes[int(number)], where, points=points)


def write(outlet: Outlet, samples: Sequence[Sample]) -> None:
    """``images/``, ``labels/`` and ``data.yaml`` as Ultralytics reads them; each part of a split has its own folder."""
    classes, points = outlet.class_names(samples), point_names(samples)
    splits = set()
    for sample, faces in outlet.labelled(samples):
        split = _SPLITS.get(sample.split, sample.split) or "train"
        splits.add(split)
        placed = outlet.place(sample, f"images/{split}")
        lines = [_line(face, outlet, classes, points, placed.size_wh) for face in faces]
        outlet.write(f"labels/{split}/{placed.stem}.txt", "".join(line + "\n" for line in lines if line))
    main = "train" if "train" in splits or not splits else min(splits)
    parts = {"train": main, "val": "val" if "val" in splits else main, **{split: split for split in sorted(splits)}}
    config = [f"{part}: images/{split}" for part, split in parts.items()]
    config += ["names:", *(f"  {number}: {json.dumps(name, ensure_ascii=False)}" for number, name in enumerate(classes))]
    if points:
        config += [
            f"kpt_shape: [{len(points)}, 3]",
            f"flip_idx: {[points.index(mirrored_name(name, points)) for name in points]}",
            f"kpt_names: {json.dumps(points, ensure_ascii=False)}",
        ]
    outlet.write("data.yaml", "\n".join(config) + "\n")


def _line(face: FaceLabel, outlet: Outlet, classes: list[str], points: list[str], size_wh: tuple[int, int]) -> str:
    if face.is_ignored:
        outlet.lose("regions to ignore were left out: a trainer will take them for background")
        return ""
    if outlet.other_attributes(face):
        outlet.lose("faces lost attributes other than their class")
    x1, y1, x2, y2 = clip_boxes(face.box[None].astype(np.float64), *size_wh)[0]
    if x2 <= x1 or y2 <= y1:
        outlet.lose("faces outside of their picture were left out")
        return ""
    wide, high = size_wh
    shares = [(x1 + x2) / 2 / wide, (y1 + y2) / 2 / high, (x2 - x1) / wide, (y2 - y1) / high]
    words = [str(classes.index(outlet.class_of(face))), *(f"{share:.6f}" for share in shares)]
    known = points_of(face)
    for name in points:
        x, y = known.get(name, (-1.0, -1.0))
        if 0 <= x <= wide and 0 <= y <= high:
            words += [f"{x / wide:.6f}", f"{y / high:.6f}", "2"]
        else:
            words += ["0", "0", "0"]
            if name in known:
                outlet.lose("keypoints outside of their picture were left out")
    return " ".join(words)
