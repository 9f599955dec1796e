"""Kaggle's facial keypoints: grey face crops of 96x96 with up to 15 points, as ``training.csv`` or as npz with a CSV.

Its points count from the middle of the first pixel, ours from its corner: half a pixel is added and taken off. A missing
point is an empty cell. Left and right are the person's own.
"""

from __future__ import annotations

import csv
import io
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.data.augment import warp_image
from mien.data.formats.documents import first_lines, read_csv
from mien.data.formats.intake import Intake
from mien.data.formats.marks import BoxMark
from mien.data.formats.outlet import Outlet, points_of
from mien.data.formats.source import SourceFolder
from mien.data.sample import FaceLabel, Sample, finite_numbers
from mien.errors import DataError, InputError
from mien.geometry import transform_points
from mien.media.write import encode

SIDE = 96
_IMAGE = "Image"
_ARRAY, _ARCHIVE, _POINTS = "face_images", "face_images.npz", "facial_keypoints.csv"
_MAX_BYTES = 2_000_000_000
_ARCHIVE_ERRORS = (
    *(ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, OSError, RuntimeError, SyntaxError, TypeError),
    *(ValueError, struct.error, tokenize.TokenError, zipfile.BadZipFile, zlib.error),
)
"""What zip and npy readers raise on damaged files."""
_OURS = {
    "left_eye_center": "left_eye",
    "right_eye_center": "right_eye",
    "nose_tip": "nose",
    "mouth_left_corner": "mouth_left",
    "mouth_right_corner": "mouth_right",
}
_NAMES = (
    *("left_eye_center", "right_eye_center", "left_eye_inner_corner", "left_eye_outer_corner"),
    *("right_eye_inner_corner", "right_eye_outer_corner", "left_eyebrow_inner_end", "left_eyebrow_outer_end"),
    *("right_eyebrow_inner_end", "right_eyebrow_outer_end", "nose_tip", "mouth_left_corner", "mouth_right_corner"),
    *("mouth_center_top_lip", "mouth_center_bottom_lip"),
)
_HEAD = [f"{name}_{axis}" for name in _NAMES for axis in "xy"]


def _tables(source: SourceFolder, *, has_image: bool) -> list[Path]:
    heads = {path: "".join(first_lines(path, 1)).replace('"', "").split(",") for path in source.label_files(".csv")}
    return [path for path, head in heads.items() if f"{_NAMES[0]}_x" in head and (_IMAGE in head) == has_image]


def detect_csv(source: SourceFolder) -> bool:
    """Whether a CSV file has the competition's columns with an ``Image``."""
    return bool(_tables(source, has_image=True))


def detect_npz(source: SourceFolder) -> bool:
    """Whether there is an archive of pictures and the table of its points."""
    return bool(source.files_called(_ARCHIVE)) and source.source in (
        source.root,
        source.root / _ARCHIVE,
        source.root / _POINTS,
    )


def read_csv_pictures(intake: Intake) -> None:
    """Take in each row of the tables that have an ``Image`` column of 9216 grey values."""
    tables = _tables(intake.source, has_image=True)
    if not tables:
        raise DataError(f"{intake.source.source}: expected training.csv with {_NAMES[0]}_x and {_IMAGE}, found none")
    for path in tables:
        for line, row in read_csv(intake.source, path):
            with intake.entry(path):
                where = f"{path}:{line}"
                _take(intake, path, line, row, _grey(row.get(_IMAGE, "").split(), where))


def _grey(words: Sequence[str], where: str) -> NDArray[np.uint8]:
    try:
        values = np.array(words, np.int64)
    except (ValueError, OverflowError):
        values = np.empty(0, np.int64)
    if values.shape != (SIDE * SIDE,) or values.min() < 0 or values.max() > 255:
        raise DataError(f"{where}: {_IMAGE}: expected {SIDE * SIDE} grey values from 0 to 255, got {len(words)} words")
    return values.astype(np.uint8).reshape(SIDE, SIDE)


def read_npz_pictures(intake: Intake) -> None:
    """Take in each picture of the archive with the row of the table that has its number."""
    source = intake.source
    archives = source.files_called(_ARCHIVE)
    if len(archives) != 1:
        raise DataError(f"{source.root}: expected one {_ARCHIVE}, found {len(archives)}")
    path = source.root / archives[0].parent / _POINTS
    if archives[0].parent / _POINTS not in source.files_called(_POINTS):
        raise DataError(f"{path}: expected the points of {_ARCHIVE} beside it, found none")
    images = _load_images(source.root / archives[0])
    rows = list(read_csv(source, path))
    if len(rows) != images.shape[2]:
        raise DataError(f"{path}: expected one row for each of the {images.shape[2]} pictures, got {len(rows)}")
    for number, (line, row) in enumerate(rows):
        with intake.entry(path):
            _take(intake, path, line, row, np.ascontiguousarray(images[:, :, number]))


def _load_images(path: Path) -> NDArray[np.uint8]:
    """The pictures of an archive, (96, 96, N) uint8. What it would unpack to is looked at before it is unpacked."""
    wanted = f"{path}: expected {_ARRAY} of the shape ({SIDE}, {SIDE}, N) with whole numbers from 0 to 255"
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > _MAX_BYTES:
            raise DataError(f"{path}: expected at most {_MAX_BYTES / 1e9:g} GB of pictures, got {size / 1e9:.1f}")
        with np.load(path, allow_pickle=False) as arrays:
            if _ARRAY not in arrays:
                raise DataError(f"{wanted}, got {', '.join(arrays)[:80]}")
            images = arrays[_ARRAY]
    except _ARCHIVE_ERRORS as error:
        raise DataError(f"{path}: expected an npz archive of plain numbers, got: {str(error)[:80]}") from None
    if images.ndim != 3 or images.shape[:2] != (SIDE, SIDE) or images.dtype.kind not in "uif":
        raise DataError(f"{wanted}, got {images.dtype} {images.shape}")
    if images.dtype != np.uint8:
        whole = images.astype(np.uint8) if images.size == 0 or (images.min() >= 0 and images.max() <= 255) else None
        if whole is None or not np.array_equal(whole, images):
            raise DataError(f"{wanted}, got other numbers")
        images = whole
    return images


def _take(intake: Intake, path: Path, line: int, row: Mapping[str, str], grey: NDArray[np.uint8]) -> None:
    where = f"{path}:{line}"
    points: dict[str, tuple[float, float]] = {}
    for column in row:
        name = column.removesuffix("_x")
        if name == column or f"{name}_y" not in row:
            continue
        cells = [row[column], row[f"{name}_y"]]
        if any(cell.lower() not in ("", "nan") for cell in cells):
            x, y = finite_numbers(cells, 2, f"{where}: {name}").tolist()
            points[_OURS.get(name, name)] = (x + 0.5, y + 0.5)
    mark = BoxMark([0, 0, SIDE, SIDE], "", where, points=points)
    called = PurePosixPath(f"{path.stem}-{line:05d}.png")
    picture = encode(np.repeat(grey[:, :, None], 3, axis=2), ".png")
    intake.add(called, [mark], where, picture=picture, is_crop=True)


def write_csv(outlet: Outlet, samples: Sequence[Sample]) -> None:
    """``training.csv``: every face that counts as a crop of 96x96."""
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, [*_HEAD, _IMAGE], restval="", lineterminator="\n")
    table.writeheader()
    for grey, row in _crops(outlet, samples):
        table.writerow({**row, _IMAGE: " ".join(map(str, grey.ravel().tolist()))})
    outlet.write("training.csv", text.getvalue())


def write_npz(outlet: Outlet, samples: Sequence[Sample]) -> None:
    """``face_images.npz`` and ``facial_keypoints.csv``: every face that counts as a crop of 96x96."""
    crops = _crops(outlet, samples)
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, _HEAD, restval="", lineterminator="\n")
    table.writeheader()
    table.writerows(row for _, row in crops)
    data = io.BytesIO()
    images = np.stack([grey for grey, _ in crops], axis=-1) if crops else np.zeros((SIDE, SIDE, 0), np.uint8)
    np.savez_compressed(data, face_images=images)
    outlet.write(_ARCHIVE, data.getvalue())
    outlet.write(_POINTS, text.getvalue())


def _crops(outlet: Outlet, samples: Sequence[Sample]) -> list[tuple[NDArray[np.uint8], dict[str, Any]]]:
    crops = []
    for sample, faces in outlet.labelled(samples):
        counted = [face for face in faces if not face.is_ignored]
        if not counted:
            outlet.lose("pictures without a face were left out")
            continue
        try:
            grey = cv2.cvtColor(sample.image(), cv2.COLOR_RGB2GRAY)
        except InputError as error:
            raise DataError(f"{sample.name}: {error}") from None
        crops += [_crop(outlet, np.asarray(grey, np.uint8), face) for face in counted]
    return crops


def _crop(outlet: Outlet, grey: NDArray[np.uint8], face: FaceLabel) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    """The square around the face's box, 96 pixels a side, and its points there."""
    x1, y1, x2, y2 = face.box.astype(np.float64).tolist()
    scale = SIDE / max(x2 - x1, y2 - y1)
    shift = [SIDE / 2 - scale * (x1 + x2) / 2, SIDE / 2 - scale * (y1 + y2) / 2]
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], np.float32)
    theirs = {ours: name for name, ours in _OURS.items()}
    row: dict[str, Any] = {}
    for name, point in points_of(face).items():
        if (name := theirs.get(name, name)) not in _NAMES:
            outlet.lose(f"points {name!r} were left out: the format has no column for them")
            continue
        x, y = transform_points(matrix, np.array(point, np.float32)).tolist()
        row |= {f"{name}_x": round(x - 0.5, 3), f"{name}_y": round(y - 0.5, 3)}
    if face.attributes:
        outlet.lose("faces lost their attributes")
    return warp_image(grey, matrix, (SIDE, SIDE), 0.0), row
