"""A labelled picture, and reading sets of them.

Two forms are read. *ImageFolder* (Hugging Face): a folder with ``metadata.jsonl``, one JSON object a line with
``file_name`` and any of ``faces``, ``matte``, ``source``, ``group``, ``kind``, ``crop``, ``labels``. *Parquet*: one row a
face crop with an ``image`` column (``bytes``, ``path``) and label columns. Boxes are ``x1 y1 x2 y2`` in pixels of the
stored picture; left and right are the subject's own.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError
from mien.media.read import read
from mien.types import KEYPOINT_NAMES


@dataclass(frozen=True, eq=False)
class FaceLabel:
    """What is known of one face.

    box: (4,) float32 pixels.
    keypoints: (5, 2) float32 pixels in the order of `KEYPOINT_NAMES`, NaN where a point is unknown.
    is_ignored: a region that nobody labelled: neither a face nor background.
    is_taught: the keypoints come from a model, not from a person.
    """

    box: NDArray[np.float32]
    keypoints: NDArray[np.float32]
    is_ignored: bool = False
    is_taught: bool = False
    attributes: Mapping[str, str | float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Sample:
    """One labelled picture, not decoded yet.

    picture: its file, or its encoded bytes. name: unique within its set, for messages and hashes.
    faces: None where nobody looked; empty where there are none.
    matte: file of the person matte. is_empty: known to show no person.
    labels: label columns that belong to the whole picture (a face crop), as stored.
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
            points[row] = _numbers(values[name], 2, f"{where}: {name}")
    return points


def _numbers(values: Any, count: int, where: str) -> NDArray[np.float32]:
    try:
        array = np.asarray(values, np.float32)
    except (TypeError, ValueError):
        array = np.empty(0, np.float32)
    if array.shape != (count,) or not np.isfinite(array).all():
        raise DataError(f"{where}: expected {count} finite numbers, got {str(values)[:60]}")
    return array


def _box(values: Any, where: str) -> NDArray[np.float32]:
    box = _numbers(values, 4, f"{where}: box")
    if box[2] <= box[0] or box[3] <= box[1]:
        raise DataError(f"{where}: box: expected x1 < x2 and y1 < y2 in pixels, got {values}")
    return box


def _face(entry: Any, where: str) -> FaceLabel:
    if not isinstance(entry, dict) or "box" not in entry:
        raise DataError(f"{where}: expected a face object with a box, got {str(entry)[:60]}")
    return FaceLabel(
        _box(entry["box"], where),
        _keypoints(entry.get("keypoints") or {}, where),
        is_ignored=bool(entry.get("ignore", False)),
        is_taught="teacher" in (entry.get("keypoints_by"), entry.get("box_by")),
        attributes=entry.get("attributes") or {},
    )


def inside(folder: Path, name: Any, where: str) -> Path:
    """The file that a label names, which must lie in the label's folder. Raises `DataError` for any other path."""
    path = folder / str(name)
    if not isinstance(name, str) or not name or not path.resolve().is_relative_to(folder.resolve()):
        raise DataError(f"{where}: expected a file name inside {folder}, got {str(name)[:60]!r}")
    return path


def read_imagefolder(folder: Path) -> list[Sample]:
    """Samples of a folder with ``metadata.jsonl``. Raises `DataError` naming file and line."""
    table = folder / "metadata.jsonl"
    if not table.is_file():
        raise DataError(f"{folder}: expected a folder with metadata.jsonl in it, found none")
    samples = []
    for number, line in enumerate(table.read_text("utf-8", "replace").splitlines(), 1):
        where = f"{table}:{number}"
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where}: expected one JSON object a line, got {line[:40]!r} ({error})") from None
        if not isinstance(row, dict) or "file_name" not in row:
            raise DataError(f"{where}: expected an object with file_name, got {line[:60]!r}")
        faces = row.get("faces")
        if faces is not None and not isinstance(faces, list):
            raise DataError(f"{where}: faces: expected a list, got {str(faces)[:60]}")
        name = row["file_name"]
        samples.append(
            Sample(
                picture=inside(folder, name, where),
                name=name,
                faces=None if faces is None else tuple(_face(face, where) for face in faces),
                matte=inside(folder, row["matte"], where) if row.get("matte") else None,
                is_empty="matte" in row and row["matte"] is None,
                group=str(row.get("group", "")),
                source=str(row.get("source", "")),
                kind=str(row.get("kind", "")),
                is_crop=row.get("crop") is True,
                labels=row["labels"] if isinstance(row.get("labels"), dict) else {},
            )
        )
    return samples


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
    """Samples of an ImageFolder or a Parquet file, whichever ``path`` is. Raises `DataError`."""
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: expected a folder with metadata.jsonl or a .parquet file, found nothing there")
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
    part = folder.with_name(f"{folder.name}.{os.getpid()}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    with (part / "metadata.jsonl").open("w", encoding="utf-8") as table:
        for number, sample in enumerate(samples):
            name = Path(sample.name if isinstance(sample.picture, bytes) else sample.picture.name)
            stem = f"{number:05d}-{name.stem}"
            row: dict[str, Any] = {"file_name": stem + name.suffix, "source": sample.source, "kind": sample.kind}
            if isinstance(sample.picture, bytes):
                (part / row["file_name"]).write_bytes(sample.picture)
            else:
                shutil.copyfile(sample.picture, part / row["file_name"])
            if sample.is_crop:
                row["crop"] = True
            if sample.labels:
                row["labels"] = dict(sample.labels)
            if sample.group:
                row["group"] = sample.group
            if sample.faces is not None:
                row["faces"] = [_face_entry(face) for face in sample.faces]
            if sample.matte is not None:
                row["matte"] = f"{stem}-matte{sample.matte.suffix}"
                shutil.copyfile(sample.matte, part / row["matte"])
            elif sample.is_empty:
                row["matte"] = None
            table.write(json.dumps(row) + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    part.replace(folder)


def _face_entry(face: FaceLabel) -> dict[str, Any]:
    entry: dict[str, Any] = {"box": [round(float(v), 2) for v in face.box]}
    known = {n: p for n, p in zip(KEYPOINT_NAMES, face.keypoints.tolist(), strict=True) if np.isfinite(p).all()}
    if known:
        entry["keypoints"] = {name: [round(v, 2) for v in point] for name, point in known.items()}
    if face.is_taught:
        entry["keypoints_by"] = "teacher"
    if face.is_ignored:
        entry["ignore"] = True
    if face.attributes:
        entry["attributes"] = dict(face.attributes)
    return entry
