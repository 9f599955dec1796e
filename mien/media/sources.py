"""Where frames come from. A source is walked once and closed: photos now, in the order they were named."""

from __future__ import annotations

import glob
import os
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from mien.errors import MienError, SourceError
from mien.media.read import Readable, read
from mien.types import Failure, Frame

_READ = (".avif", ".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".mpo", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
SUFFIXES = frozenset((*_READ, ".heic", ".heif"))
"""The file name endings that a folder is searched for; HEIC is among them so that it is refused aloud, not passed over."""


class Source(Protocol):
    """Anything that gives frames. A picture that cannot be had is a `Failure` in its place.

    is_batch: each frame stands alone, so one that fails does not stop the others (photos; not a video).
    """

    is_batch: bool

    def __iter__(self) -> Iterator[Frame | Failure]: ...

    def close(self) -> None: ...


def expand(sources: Iterable[str | Path]) -> list[Path]:
    """The picture files behind files, folders and patterns, in the order given; a file named twice comes twice.

    A folder gives the picture files directly in it by their ending, hidden ones left out, in natural order (2 before 10).
    A pattern (``*``, ``?``, ``[]``, ``**``) gives the files it matches, in natural order. Any other name is taken as it is.
    Raises `SourceError` when a folder or a pattern gives nothing.
    """
    paths: list[Path] = []
    for source in sources:
        path = Path(source)
        if os.path.isdir(path):
            found = [entry for entry in _entries(path) if entry.suffix.lower() in SUFFIXES]
            missing = f"{source}: expected a folder with pictures in it, found none ({', '.join(_READ)})"
        elif glob.has_magic(str(source)) and not os.path.exists(path):
            found = [Path(name) for name in glob.glob(str(source), recursive=True)]
            missing = f"{source}: expected a pattern that fits some file, found none"
        else:
            paths.append(path)
            continue
        found = sorted((entry for entry in found if entry.is_file()), key=natural_key)
        if not found:
            raise SourceError(missing)
        paths.extend(found)
    if not paths:
        raise SourceError("expected at least one picture, folder or pattern, got nothing")
    return paths


def _entries(folder: Path) -> list[Path]:
    try:
        return [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        raise SourceError(f"{folder}: the folder cannot be read ({error.strerror or error})") from None


def natural_key(path: Path) -> tuple[tuple[bool, int, str], ...]:
    """Sorting key by which ``img2`` comes before ``img10``, upper and lower case alike."""
    parts = re.split(r"(\d+)", str(path).casefold())
    return tuple((part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts if part)


class Photos:
    """Photos as a source: each is read once, in order, at most ``ahead`` of them waiting decoded.

    Reading happens on one thread beside the caller's work. `Failure` stands for a photo that cannot be read.
    """

    is_batch = True

    def __init__(self, photos: Sequence[Readable], *, ahead: int = 2) -> None:
        self._photos = photos
        self._ahead = max(1, ahead)
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="mien-read")

    def __len__(self) -> int:
        return len(self._photos)

    def __iter__(self) -> Iterator[Frame | Failure]:
        waiting: deque[Future[Frame | Failure]] = deque()
        todo = iter(self._photos)
        try:
            for photo in todo:
                waiting.append(self._reader.submit(_read_or_fail, photo))
                if len(waiting) > self._ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def close(self) -> None:
        """End the reading thread; what it is reading is let finish."""
        self._reader.shutdown(wait=True, cancel_futures=True)


def _read_or_fail(photo: Readable) -> Frame | Failure:
    try:
        return read(photo)
    except MienError as error:
        return Failure(source_name(photo), error.kind, str(error))


def source_name(photo: Readable) -> str:
    """How a photo is called in results, before it has been read."""
    if isinstance(photo, str | Path):
        return str(photo)
    if isinstance(photo, bytes | bytearray | memoryview):
        return "<bytes>"
    return str(getattr(photo, "name", "<stream>" if hasattr(photo, "read") else "<array>"))
