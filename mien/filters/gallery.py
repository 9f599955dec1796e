"""A folder of one's own pictures as backgrounds: found by the words in their names, chosen by how their colours suit."""

from __future__ import annotations

import difflib
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from mien.errors import InputError, MienError
from mien.filters.harmony import Scheme, palette_fit
from mien.filters.palette import Palette, dominant_colours
from mien.filters.words import meanings
from mien.media.read import read
from mien.media.sources import expand

_SMALL_SIDE = 96
_MOST_LOOKED_AT = 300
_ALIKE = 0.8


def split_folder(text: str) -> tuple[Path, str] | None:
    """The folder and the words of ``FOLDER`` or ``FOLDER:WORDS``; None when there is no such folder."""
    whole = Path(text).expanduser()
    if whole.is_dir():
        return whole, ""
    place, colon, words = text.rpartition(":")
    folder = Path(place).expanduser()
    return (folder, words.strip().strip("\"'")) if colon and place and folder.is_dir() else None


def named_pictures(folder: Path, words: str) -> list[Path]:
    """The pictures directly in a folder whose names fit the words, in natural order; all of them where there are no words.

    The names that share the most words are taken; other names of a motif count as the same ("ocean" finds ``sea-3.jpg``),
    and so do close misspellings. Raises `InputError` when no name fits, `SourceError` when the folder holds no picture.
    """
    paths = expand([folder])
    wanted = meanings(words)
    if not wanted:
        return paths
    hits = [_shared(wanted, meanings(path.stem)) for path in paths]
    best = max(hits)
    if not best:
        some = ", ".join(path.name for path in paths[:4]) + (" ..." if len(paths) > 4 else "")
        raise InputError(
            f"background {folder}:{words}: expected a picture with one of these words in its name, found {some}"
        )
    return [path for path, hit in zip(paths, hits, strict=True) if hit == best]


def best_picture(paths: list[Path], scheme: Scheme, outline: Palette, seed: int) -> Path:
    """The picture whose colours suit the person best (`palette_fit`); seed 1 takes the second best, and so on, round.

    Of very many pictures, 300 spread evenly are looked at. Raises `InputError` when none of them can be read.
    """
    step = max(1, -(-len(paths) // _MOST_LOOKED_AT))
    fits: list[tuple[float, Path]] = []
    error: MienError | None = None
    for path in paths[::step]:
        try:
            fits.append((palette_fit(_palette(path, path.stat().st_mtime_ns), scheme, outline), path))
        except MienError as problem:
            error = problem
    if not fits:
        raise InputError(str(error))
    ranked = sorted(fits, key=lambda fit: -fit[0])
    return ranked[seed % len(ranked)][1]


def _shared(wanted: set[str], names: set[str]) -> int:
    """How many of the wanted words a name has, misspelt ones included."""
    return sum(word in names or bool(difflib.get_close_matches(word, names, 1, _ALIKE)) for word in wanted)


@lru_cache(maxsize=1024)
def _palette(path: Path, changed_ns: int) -> Palette:
    """The colours of a picture file; ``changed_ns`` makes a changed file a new one."""
    image = read(path).image
    ratio = min(1.0, _SMALL_SIDE / max(image.shape[:2]))
    size = (max(1, round(image.shape[1] * ratio)), max(1, round(image.shape[0] * ratio)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return dominant_colours(small, np.ones(small.shape[:2], np.float32), 5)
