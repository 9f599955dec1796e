"""CSV: one row a face. The columns are ours; the common ``filename, class, xmin, ...`` are understood as well.

``file_name``; ``x1 y1 x2 y2`` in pixels; ``left_eye_x``, ``left_eye_y`` and so on for each keypoint; ``class``, the answer
to the attribute; ``ignore``, 1 for a region that does not count; ``width`` and ``height`` of the picture; ``person``,
``session``, ``group``, ``source``, ``kind``, ``split``. Every other column is an attribute. A row without a box speaks of
the whole picture: with ``empty`` 1 nobody is there, otherwise nobody has looked for faces.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from mien.data.formats.documents import first_lines, read_csv
from mien.data.formats.intake import Intake, attribute_value
from mien.data.formats.marks import BoxMark
from mien.data.formats.outlet import Outlet, point_names, points_of
from mien.data.formats.source import SourceFolder
from mien.data.sample import FaceLabel, Sample, finite_numbers
from mien.errors import DataError

_ALIASES = {
    **dict.fromkeys(("filename", "image", "image_path", "path"), "file_name"),
    "xmin": "x1",
    "ymin": "y1",
    "xmax": "x2",
    "ymax": "y2",
    "label": "class",
}
_BOX = ("x1", "y1", "x2", "y2")
_TEXTS = ("person", "session", "group", "source", "kind", "split")
_OWN = {"file_name", "class", "ignore", "empty", "width", "height", *_BOX, *_TEXTS}
_YES_NO = {"1": True, "true": True, "yes": True, "": False, "0": False, "false": False, "no": False}


def _column(name: str) -> str:
    return _ALIASES.get(name.lower(), name.lower() if name.lower() in _OWN else name)


def _tables(source: SourceFolder) -> Iterator[Path]:
    for path in source.label_files(".csv"):
        columns = {_column(name.strip(' "')) for name in "".join(first_lines(path, 1)).split(",")}
        if "file_name" in columns and (set(_BOX) <= columns or source.source == path):
            yield path


def detect(source: SourceFolder) -> bool:
    """Whether a CSV file has the columns of pictures and boxes."""
    return next(_tables(source), None) is not None


def read(intake: Intake) -> None:
    """Take in the pictures of every table that has the columns."""
    tables = list(_tables(intake.source))
    if not tables:
        raise DataError(
            f"{intake.source.source}: expected a CSV file with the columns file_name, x1, y1, x2, y2, found none"
        )
    for path in tables:
        by_picture: dict[str, list[tuple[str, dict[str, str]]]] = {}
        for line, cells in read_csv(intake.source, path):
            row = {_column(name): cell for name, cell in cells.items()}
            if len(row) < len(cells):
                raise DataError(f"{path}:1: expected each column once, got two for one thing: {', '.join(cells)[:80]}")
            by_picture.setdefault(row.get("file_name", ""), []).append((f"{path}:{line}", row))
        for name, rows in by_picture.items():
            with intake.entry(path):
                _take(intake, path, intake.source.find(name, path.parent, rows[0][0]), rows)


def _take(intake: Intake, path: Path, name: PurePosixPath, rows: Sequence[tuple[str, dict[str, str]]]) -> None:
    where, first = rows[0]
    marks = [_mark(row, place) for place, row in rows if any(row.get(corner) for corner in _BOX)]
    bare = [(place, row) for place, row in rows if not any(row.get(corner) for corner in _BOX)]
    if bare and len(rows) > 1:
        raise DataError(f"{bare[0][0]}: expected x1, y1, x2 and y2, since {name} has several rows, got none")
    labels = _attributes(first, where) if bare else {}
    if bare and intake.attribute and first.get("class"):
        labels[intake.attribute] = first["class"]
    intake.add(
        name,
        None if bare and not _flag(first, "empty", where) else marks,
        where,
        stated_wh=(first["width"], first["height"]) if first.get("width") and first.get("height") else None,
        labels=labels,
        texts={key: first.get(key, "") for key in _TEXTS},
    )


def _flag(row: Mapping[str, str], column: str, where: str) -> bool:
    text = row.get(column, "").lower()
    if text not in _YES_NO:
        raise DataError(f"{where}: {column}: expected 1 or 0, got {text[:40]!r}")
    return _YES_NO[text]


def _point_columns(row: Mapping[str, str]) -> Iterator[str]:
    """The names of keypoints that have two columns."""
    for column in row:
        if column.endswith("_x") and f"{column[:-2]}_y" in row:
            yield column[:-2]


def _attributes(row: Mapping[str, str], where: str) -> dict[str, str | float]:
    points = {f"{name}_{axis}" for name in _point_columns(row) for axis in "xy"}
    own = {name: text for name, text in row.items() if text and name not in _OWN and name not in points}
    return {name: attribute_value(name, text, where) for name, text in own.items()}


def _mark(row: Mapping[str, str], where: str) -> BoxMark:
    box = finite_numbers([row.get(corner) for corner in _BOX], 4, f"{where}: box").tolist()
    points: dict[str, tuple[float, float]] = {}
    for name in _point_columns(row):
        cells = [row[f"{name}_x"], row[f"{name}_y"]]
        if any(cells):
            x, y = finite_numbers(cells, 2, f"{where}: {name}").tolist()
            points[name] = (x, y)
    is_ignored = _flag(row, "ignore", where)
    return BoxMark(
        box, row.get("class", ""), where, attributes=_attributes(row, where), is_ignored=is_ignored, points=points
    )


def write(outlet: Outlet, samples: Sequence[Sample]) -> None:
    """``images/`` and ``labels.csv``, all attributes in columns of their own name."""
    points = point_names(samples)
    attributes = sorted(
        {name for s in samples for values in (s.labels, *(f.attributes for f in s.faces or ())) for name in values}
    )
    if clash := ({*attributes, *(f"{name}_{axis}" for name in points for axis in "xy")} & {*_OWN, *_ALIASES}):
        raise DataError(f"attribute {min(clash)}: this column has another meaning in the table; rename the attribute")
    head = ["file_name", "width", "height", *_BOX, "ignore", "empty"]
    head += [*(f"{name}_{axis}" for name in points for axis in "xy"), *attributes, *_TEXTS]
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, head, restval="", lineterminator="\n")
    table.writeheader()
    for sample in samples:
        placed = outlet.place(sample, "images")
        about: dict[str, Any] = {
            "file_name": f"images/{placed.name}",
            "width": placed.size_wh[0],
            "height": placed.size_wh[1],
        }
        about |= {key: getattr(sample, key) for key in _TEXTS}
        if sample.faces:
            if sample.labels:
                outlet.lose("pictures with faces lost the answers about the whole picture")
            table.writerows({**about, **_cells(face)} for face in sample.faces)
        else:
            table.writerow({**about, "empty": "" if sample.faces is None else 1, **sample.labels})
    outlet.write("labels.csv", text.getvalue())


def _cells(face: FaceLabel) -> dict[str, Any]:
    cells: dict[str, Any] = {corner: round(value, 2) for corner, value in zip(_BOX, face.box.tolist(), strict=True)}
    cells["ignore"] = 1 if face.is_ignored else ""
    for name, (x, y) in points_of(face).items():
        cells |= {f"{name}_x": round(x, 2), f"{name}_y": round(y, 2)}
    return {**cells, **face.attributes}
