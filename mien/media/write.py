"""The one way files go out: whole, or not at all."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.errors import InputError, MienError
from mien.types import Frame

_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}


@contextlib.contextmanager
def whole_file(path: str | Path) -> Iterator[BinaryIO]:
    """A binary file that takes its place at ``path`` only when the block ends well.

    It is written beside its place under a hidden name, flushed to the disk and renamed, so a full disk, a crash or an error
    leaves what was there before. Missing folders are made. Raises `InputError` when the file cannot be written.
    """
    path = Path(path)
    # A name that is nobody else's: two writers of one file do not meet, the last rename wins.
    hidden = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(hidden, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(hidden, path)
        _flush_folder(path.parent)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error}); choose another place") from None
    finally:
        with contextlib.suppress(OSError):
            hidden.unlink()


@contextlib.contextmanager
def whole_folder(path: str | Path, *, is_replaced: bool = False, error: type[MienError] = InputError) -> Iterator[Path]:
    """A new folder that takes its place at ``path`` only when the block ends well, and vanishes when it does not.

    Nothing, or an empty folder, may be at ``path``; with ``is_replaced`` an older folder gives way. Raises ``error`` for
    something else, and when the folder cannot be written.
    """
    path = Path(path)
    try:
        with contextlib.suppress(FileNotFoundError):
            path.lstat()
        if not is_replaced and path.exists() and not (path.is_dir() and not any(path.iterdir())):
            raise error(f"{path}: expected a new or an empty folder, found something there; choose another name")
        part = path.with_name(f".{secrets.token_hex(8)}.part")
        new = part / "new"  # whatever a writer puts beside it for a while goes with it
        new.mkdir(parents=True)
    except (OSError, ValueError) as problem:  # a name that no system takes is a ValueError
        raise error(
            f"{path}: cannot be written ({getattr(problem, 'strerror', '') or problem}); choose another place"
        ) from None
    try:
        yield new
        if path.exists():
            path.replace(part / "old")
        new.replace(path)
        _flush_folder(path.parent)
    except OSError as problem:
        raise error(f"{path}: cannot be written ({problem.strerror or problem}); choose another place") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _flush_folder(folder: Path) -> None:
    """Bring the rename itself to the disk, where folders can be flushed (not on Windows)."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write(picture: Frame | NDArray[np.uint8], path: str | Path, *, quality: int = 92) -> Path:
    """Write one picture as PNG, JPEG or WebP, as the file name's ending says, and give its path back.

    picture: a frame, or an array (H, W, 3) RGB or (H, W, 4) RGBA, uint8. A frame with ``alpha`` is written with it.
    quality: 1 to 100, of JPEG and WebP (WebP at 100 is lossless).

    Raises `InputError` for another ending, for transparency in a JPEG, and when the file cannot be written.
    """
    path = Path(path)
    kind = _FORMATS.get(path.suffix.lower())
    if kind is None:
        raise InputError(f"{path}: expected a name that ends in {', '.join(_FORMATS)}, got {path.suffix or 'no ending'!r}")
    array = _pixels(picture)
    _check_kind(path, kind, array)
    with whole_file(path) as file:
        _save(array, file, kind, quality)
    return path


def encode(picture: Frame | NDArray[np.uint8], suffix: str, *, quality: int = 92) -> bytes:
    """The bytes that `write` would put into a file whose name ends in ``suffix``. Raises `InputError`."""
    kind = _FORMATS.get(suffix.lower())
    if kind is None:
        raise InputError(f"picture: expected one of {', '.join(_FORMATS)}, got {suffix!r}")
    array = _pixels(picture)
    _check_kind("picture", kind, array)
    buffer = io.BytesIO()
    _save(array, buffer, kind, quality)
    return buffer.getvalue()


def _check_kind(name: str | Path, kind: str, array: NDArray[np.uint8]) -> None:
    if kind == "JPEG" and array.shape[2] == 4:
        raise InputError(f"{name}: a JPEG holds no transparency; write .png or .webp")
    if kind != "PNG" and max(array.shape[:2]) > (limit := 16383 if kind == "WEBP" else 65535):
        raise InputError(f"{name}: {kind} holds at most {limit} pixels a side, got {max(array.shape[:2])}; write .png")


def _save(array: NDArray[np.uint8], file: BinaryIO, kind: str, quality: int) -> None:
    options: dict[str, dict[str, Any]] = {
        "PNG": {"compress_level": 2},
        "JPEG": {"quality": quality, "subsampling": "4:4:4"},
        "WEBP": {"quality": quality, "lossless": quality == 100},
    }
    Image.fromarray(array).save(file, kind, **options[kind])


def _pixels(picture: Frame | NDArray[np.uint8]) -> NDArray[np.uint8]:
    if isinstance(picture, Frame):
        return picture.image if picture.alpha is None else np.dstack([picture.image, picture.alpha])
    if picture.ndim != 3 or picture.shape[2] not in (3, 4) or picture.dtype != np.uint8 or 0 in picture.shape:
        raise InputError(f"picture: expected (H, W, 3) or (H, W, 4) uint8, got {picture.shape} {picture.dtype}")
    return picture
