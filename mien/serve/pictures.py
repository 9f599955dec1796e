"""Pictures as a page shows them: read by the one reader, upright, encoded for browsers."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import cv2
from PIL import Image

from mien.media.read import read
from mien.types import Frame

DISPLAY_SIDE = 2560
"""Longest side in pixels of a picture as it is sent to a page; its labels stay in the pixels of the file."""
THUMBNAIL_SIDE = 160

Key = TypeVar("Key")
Value = TypeVar("Value")


class Shelf(Generic[Key, Value]):
    """The last values that were made, at most ``size`` of them. Threads may share it."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._values: OrderedDict[Key, Value] = OrderedDict()

    def get(self, key: Key, make: Callable[[], Value]) -> Value:
        """The value of a key, made now when it is not there."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = make()
        with self._lock:
            self._values[key] = value
            while len(self._values) > self._size:
                self._values.popitem(last=False)
        return value


@dataclass(frozen=True)
class Encoded:
    """A picture ready to be sent."""

    content: bytes
    media_type: str


class Gallery:
    """Frames and encoded pictures of files, the last ones kept. Raises `InputError` for a file that is no picture."""

    def __init__(self) -> None:
        self._frames: Shelf[tuple[Path, int], Frame] = Shelf(4)
        self._encoded: Shelf[tuple[Path, int, int], Encoded] = Shelf(512)

    def frame(self, path: Path) -> Frame:
        """The picture, upright."""
        return self._frames.get((path, _changed_ns(path)), lambda: read(path))

    def encoded(self, path: Path, long_side: int) -> Encoded:
        """The picture with its longer side at most so long, as JPEG."""

        def make() -> Encoded:
            # A thumbnail is made once, so its frame need not push out those that a person is looking at.
            frame = read(path) if long_side == THUMBNAIL_SIDE else self.frame(path)
            scale = min(1.0, long_side / max(frame.width, frame.height))
            image = frame.image
            if scale < 1:
                size_wh = (max(1, round(frame.width * scale)), max(1, round(frame.height * scale)))
                image = cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
            file = io.BytesIO()
            Image.fromarray(image).save(file, "JPEG", quality=92 if long_side > THUMBNAIL_SIDE else 80)
            return Encoded(file.getvalue(), "image/jpeg")

        if long_side > THUMBNAIL_SIDE:
            return make()  # large, and the browser keeps it
        return self._encoded.get((path, _changed_ns(path), long_side), make)


def _changed_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
