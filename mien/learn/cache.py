"""Decoded training pictures in one file that the operating system keeps in memory as far as it fits."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.data.sample import Sample
from mien.errors import MienError
from mien.media.write import whole_file


class PictureCache:
    """Pictures (and mattes) of samples, shrunk so that the longer side is at most ``max_side``, as uint8.

    The file's name carries a hash of the sample names, sizes and ``max_side``: other data makes another file.
    Each picture comes with the scale it was shrunk by, so that labels can follow.

    Raises `MienError` when a picture cannot be read.
    """

    def __init__(self, samples: Sequence[Sample], folder: Path, max_side: int, with_mattes: bool = False) -> None:
        key = hashlib.sha256(json.dumps([max_side, with_mattes, [_mark(sample) for sample in samples]]).encode()).hexdigest()
        self.path = folder / f"pictures-{key[:16]}.bin"
        table = self.path.with_suffix(".json")
        if not table.exists():
            folder.mkdir(parents=True, exist_ok=True)
            self._write(samples, max_side, with_mattes, table)
        self._rows: list[tuple[int, int, int, int, float]] = [tuple(row) for row in json.loads(table.read_text())]
        self._bytes = np.memmap(self.path, np.uint8, "r")

    def _write(self, samples: Sequence[Sample], max_side: int, with_mattes: bool, table: Path) -> None:
        rows, offset = [], 0
        with whole_file(self.path) as file:
            for sample in samples:
                try:
                    image = sample.image()
                except MienError as error:
                    raise type(error)(f"{sample.name}: {error}") from None
                if with_mattes:
                    image = np.dstack([image, sample.matte_image() if sample.matte else np.zeros(image.shape[:2], np.uint8)])
                height, width = image.shape[:2]
                scale = min(1.0, max_side / max(height, width))
                if scale < 1:
                    size = (max(1, round(width * scale)), max(1, round(height * scale)))
                    image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
                rows.append((offset, *image.shape, scale))
                offset += file.write(np.ascontiguousarray(image).tobytes())
        with whole_file(table) as file:
            file.write(json.dumps(rows).encode())

    def subset(self, rows: Sequence[int]) -> PictureCache:
        """The same pictures, only these rows, in this order."""
        part = object.__new__(PictureCache)
        part.path, part._bytes, part._rows = self.path, self._bytes, [self._rows[row] for row in rows]
        return part

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, row: int) -> tuple[NDArray[np.uint8], float]:
        """Picture (H, W, 3), or (H, W, 4) with its matte last, and the scale it was shrunk by."""
        offset, height, width, planes, scale = self._rows[row]
        flat = self._bytes[offset : offset + height * width * planes]
        return np.asarray(flat).reshape(height, width, planes), scale


def _mark(sample: Sample) -> str:
    if isinstance(sample.picture, bytes):
        return f"{sample.name}:{len(sample.picture)}"
    return f"{sample.picture}:{sample.picture.stat().st_size}"
