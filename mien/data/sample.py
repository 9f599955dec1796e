"""A labelled picture, and reading sets of them.

Two forms are read. *ImageFolder* (Hugging Face): a folder with ``metadata.jsonl``, one JSON object a line with
``file_name`` and any of ``faces``, ``labels``, ``crop``, ``matte``, ``source``, ``group``, ``person``, ``session``,
``state``, ``split``, ``parent``, ``kind``; a project folder holds one. *Parquet*: one row a face crop with an
``image`` column (``bytes``, ``path``) and label columns. Boxes are ``x1 y1 x2 y2`` in pixels of the stored picture; left
and right are the subject's own.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError
from mien.media.read import read, suffix_of
from mien.media.write import whole_folder
from mien.types import KEYPOINT_NAMES

STATES = ("unlabelled", "suggested", "labelled")
"""How far labelling a picture is: not begun, filled in by a model, confirmed by a person."""


@dataclass(frozen=True, eq=False)
class FaceLabel:
    """What is known of one face.

    box: (4,) float32 pixels.
    keypoints: (5, 2) float32 pixels in the order of `KEYPOINT_NAMES`, NaN where a point is unknown.
    is_ignored: a region that nobody labelled: neither a face nor background.
    is_taught: the keypoints come from a model, not from a person.
    by: who gave or confirmed this face: "person", "model", or "" where that is not known.
    score: of the model that gave it, 0 to 1.
    more_points: (x, y) in pixels of keypoints beyond the five, by name.
    """

    box: NDArray[np.float32]
    keypoints: NDArray[np.float32]
    is_ignored: bool = False
    is_taught: bool = False
    attributes: Mapping[str, str | float] = field(default_factory=dict)
    by: str = ""
    score: float | None = None
    more_points: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Sample:
    """One labelled picture, not decoded yet.

    picture: its file, or its encoded bytes. name: unique within its set, for messages and hashes.
    faces: None where nobody looked; empty where there are none.
    matte: file of the person matte. is_empty: known to show no person.
    labels: label columns that belong to the whole picture (a face crop), as stored.
    person, session: who is seen, and in which recording; a split keeps both on one side. parent: the file that this one is
        a changed copy of. split: the part of the set it was put in.
    state: how far labelling is, one of `STATES`, or "" where nobody keeps count.
    """

    picture: Path | bytes
    name: str
    faces: tuple[FaceLabel, ...] | None = None
    matte: Path | None = None
    is_empty: bool = False
    group: str = ""
    source: str = ""
    kind: str = ""
    is_crop: bool = False
    labels: Mapping[str, Any] = field(default_factory=dict)
    person: str = ""
    session: str = ""
    parent: str = ""
    split: str = ""
    state: str = ""

    def image(self) -> NDArray[np.uint8]:
        """The picture, (H, W, 3) uint8 RGB. Raises `InputError` when it cannot be read."""
        return read(self.picture).image

    def matte_image(self) -> NDArray[np.uint8]:
        """The matte, (H, W) uint8, 255 for person; all 0 for a picture that shows nobody."""
        if self.matte is None:
            return np.zeros(self.image().shape[:2], np.uint8)
        return read(self.matte).image[..., 0]


def _keypoints(values: Mapping[str, Any], where: str) -> NDArray[np.float32]:
    points = np.full((len(KEYPOINT_NAMES), 2), np.nan, np.float32)
    for row, name in enumerate(KEYPOINT_NAMES):
        if values.get(name) is not None:
            points[row] = finite_numbers(values[name], 2, f"{where}: {name}")
    return points


def finite_numbers(values: Any, count: int, where: str) -> NDArray[np.float32]:
    """That many numbers out of a label file, (count,) float32. Raises `DataError` for anything else."""
    try:
        with np.errstate(over="ignore"):
            array = np.asarray(values, np.float32)
    except (TypeError, ValueError, OverflowError):
        array = np.empty(0, np.float32)
    if array.shape != (count,) or not np.isfinite(array).all():
        raise DataError(f"{where}: expected {count} finite numbers, got {str(values)[:60]}")
    return array


def _box(values: Any, where: str) -> NDArray[np.float32]:
    box = finite_numbers(values, 4, f"{where}: box")
    if box[2] <= box[0] or box[3] <= box[1]:
        raise DataError(f"{where}: box: expected x1 < x2 and y1 < y2 in pixels, got {values}")
    return box


def face_from_entry(entry: Any, where: str) -> FaceLabel:
    """The face that an entry of a row's ``faces`` describes; the way back is `face_entry`. Raises `DataError`.

    where: file and line, for messages.
    """
    if not isinstance(entry, dict) or "box" not in entry:
        raise DataError(f"{where}: expected a face object with a box, got {str(entry)[:60]}")
    points, attributes, score = entry.get("keypoints") or {}, entry.get("attributes") or {}, entry.get("score")
    for name, values in (("keypoints", points), ("attributes", attributes)):
        if not isinstance(values, dict):
            raise DataError(f"{where}: {name}: expected an object of names and values, got {str(values)[:60]}")
    for name, value in attributes.items():
        if not isinstance(value, str | int | float):
            raise DataError(f"{where}: attribute {name}: expected an answer or a number, got {str(value)[:60]}")
    more = {name: point for name, point in points.items() if name not in KEYPOINT_NAMES and point is not None}
    return FaceLabel(
        _box(entry["box"], where),
        _keypoints(points, where),
        is_ignored=bool(entry.get("ignore", False)),
        is_taught="teacher" in (entry.get("keypoints_by"), entry.get("box_by")),
        attributes=attributes,
        by=str(entry.get("by") or ""),
        score=None if score is None else float(finite_numbers([score], 1, f"{where}: score")[0]),
        more_points={name: tuple(finite_numbers(point, 2, f"{where}: {name}").tolist()) for name, point in more.items()},
    )


def inside(folder: Path, name: Any, where: str) -> Path:
    """The file that a label names, which must lie in the label's folder. Raises `DataError` for any other path."""
    path = folder / str(name)
    is_plain = isinstance(name, str) and bool(name.strip(".")) and not set("/\\:\0") & set(name)
    try:  # of a file directly in the folder, the folder's own links need not be followed each time
        is_inside = (is_plain and not path.is_symlink()) or (
            isinstance(name, str) and bool(name) and path.resolve().is_relative_to(folder.resolve())
        )
    except (OSError, RuntimeError, ValueError):  # a loop of links, a name that no file can have
        is_inside = False
    if not is_inside:
        raise DataError(f"{where}: expected a file name inside {folder}, got {str(name)[:60]!r}")
    return path


def read_imagefolder(folder: Path) -> list[Sample]:
    """Samples of a folder with ``metadata.jsonl``. Raises `DataError` naming file and line."""
    table = folder / "metadata.jsonl"
    if not table.is_file():
        raise DataError(f"{folder}: expected a folder with metadata.jsonl in it, found none")
    return [sample_from_row(row, folder, where) for where, row in rows_of(table)]


def rows_of(table: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """File and line, and the row, of each line of a table. Raises `DataError` for a line that is no row."""
    try:
        text = table.read_text("utf-8", "replace")
    except OSError as error:
        raise DataError(f"{table}: cannot be read ({error.strerror or error})") from None
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            where = f"{table}:{number}"
            yield where, row_from_line(line, where)


def row_from_line(line: str, where: str) -> dict[str, Any]:
    """The row that a line of a table holds. Raises `DataError`."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: expected one JSON object a line, got {line[:40]!r} ({error})") from None
    if not isinstance(row, dict) or "file_name" not in row:
        raise DataError(f"{where}: expected an object with file_name, got {line[:60]!r}")
    return row


def sample_from_row(row: Mapping[str, Any], folder: Path, where: str) -> Sample:
    """The sample that a row describes, its files inside ``folder``; the way back is `row_of`. Raises `DataError`."""
    faces, labels, name = row.get("faces"), row.get("labels") or {}, row["file_name"]
    if faces is not None and not isinstance(faces, list):
        raise DataError(f"{where}: faces: expected a list, got {str(faces)[:60]}")
    if not isinstance(labels, dict):
        raise DataError(f"{where}: labels: expected an object, got {str(labels)[:60]}")
    if (state := row.get("state") or "") not in ("", *STATES):
        raise DataError(f"{where}: state: expected one of {', '.join(STATES)}, got {str(state)[:60]!r}")
    texts: dict[str, Any] = {key: "" if row.get(key) is None else str(row[key]) for key in _TEXTS}
    return Sample(
        picture=inside(folder, name, where),
        name=name,
        faces=None if faces is None else tuple(face_from_entry(face, where) for face in faces),
        matte=inside(folder, row["matte"], where) if row.get("matte") else None,
        is_empty="matte" in row and row["matte"] is None,
        is_crop=bool(row.get("crop", False)),
        labels=labels,
        **texts,
    )


_TEXTS = ("source", "kind", "group", "person", "session", "parent", "split", "state")


def row_of(sample: Sample) -> dict[str, Any]:
    """What a row says of a sample, without its files: the texts that are not empty, ``labels``, and ``faces`` if known."""
    row: dict[str, Any] = {key: getattr(sample, key) for key in _TEXTS if getattr(sample, key)}
    if sample.is_crop:
        row["crop"] = True
    if sample.labels:
        row["labels"] = dict(sample.labels)
    if sample.faces is not None:
        row["faces"] = [face_entry(face) for face in sample.faces]
    return row


def read_parquet(path: Path) -> list[Sample]:
    """Samples of a Parquet file of face crops. Raises `DataError`; needs ``pyarrow``."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise DataError(f"{path}: reading Parquet needs pyarrow; run: pip install 'mien[train]'") from None
    try:
        rows = pq.read_table(path).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: expected a Parquet file, got: {str(error).splitlines()[0]}") from None
    samples = []
    for number, row in enumerate(rows, 1):
        where = f"{path}:{number}"
        image = row.pop("image", None)
        if not isinstance(image, dict) or not image.get("bytes"):
            raise DataError(f"{where}: expected an image column with the bytes of a picture")
        faces = None
        if row.get("box") is not None:
            faces = (FaceLabel(_box(row["box"], where), _keypoints(row, where)),)
        samples.append(
            Sample(
                picture=image["bytes"],
                name=image.get("path") or str(number),
                faces=faces,
                group=str(row.get("person") or row.get("group") or ""),
                source=str(row.get("source", "")),
                is_crop=True,
                labels=row,
            )
        )
    return samples


def read_samples(path: str | Path) -> list[Sample]:
    """Samples of a project, an ImageFolder or a Parquet file, whichever ``path`` is. Raises `DataError`."""
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: expected a folder with metadata.jsonl or a .parquet file, found nothing there")
    if (path / "mien.toml").is_file():
        from mien.data.project import Project

        samples = Project.open(path).samples()
    else:
        samples = read_imagefolder(path) if path.is_dir() else read_parquet(path)
    if not samples:
        raise DataError(f"{path}: expected at least one labelled picture, found none")
    return samples


def faces_of(samples: Iterable[Sample]) -> list[FaceLabel]:
    """All faces of the samples that are not ignored."""
    return [face for sample in samples for face in sample.faces or () if not face.is_ignored]


def write_imagefolder(samples: Iterable[Sample], folder: Path) -> None:
    """Copy samples into a new ImageFolder, pictures byte for byte; an older folder there is replaced
    as a whole.
    """
    with whole_folder(folder, is_replaced=True) as part, (part / "metadata.jsonl").open("w", encoding="utf-8") as table:
        for number, sample in enumerate(samples):
            stem = f"{number:05d}-{Path(sample.name).stem if isinstance(sample.picture, bytes) else sample.picture.stem}"
            suffix = suffix_of(sample.picture) if isinstance(sample.picture, bytes) else sample.picture.suffix
            row = {"file_name": stem + suffix, "source": "", "kind": "", **row_of(sample)}
            if isinstance(sample.picture, bytes):
                (part / row["file_name"]).write_bytes(sample.picture)
            else:
                shutil.copyfile(sample.picture, part / row["file_name"])
            if sample.matte is not None:
                row["matte"] = f"{stem}-matte{sample.matte.suffix}"
                shutil.copyfile(sample.matte, part / row["matte"])
            elif sample.is_empty:
                row["matte"] = None
            table.write(json.dumps(row) + "\n")


def face_entry(face: FaceLabel) -> dict[str, Any]:
    """The face as an entry of a row's ``faces``; pixels have two decimals."""
    entry: dict[str, Any] = {"box": [round(float(v), 2) for v in face.box]}
    known = {n: p for n, p in zip(KEYPOINT_NAMES, face.keypoints.tolist(), strict=True) if np.isfinite(p).all()}
    known |= {name: list(point) for name, point in face.more_points.items()}
    if known:
        entry["keypoints"] = {name: [round(v, 2) for v in point] for name, point in known.items()}
    if face.is_taught:
        entry["keypoints_by"] = "teacher"
    if face.is_ignored:
        entry["ignore"] = True
    if face.attributes:
        entry["attributes"] = dict(face.attributes)
    if face.by:
        entry["by"] = face.by
    if face.score is not None:
        entry["score"] = round(face.score, 4)
    return entry
