"""What a writer fills: a new folder that appears whole or not at all."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from mien.attributes import ATTRIBUTES
from mien.data.formats.intake import FACE, IGNORE
from mien.data.sample import FaceLabel, Sample
from mien.errors import DataError, InputError
from mien.media.read import MAX_BYTES, measure, read, suffix_of
from mien.media.write import encode
from mien.types import KEYPOINT_NAMES

_UNSAFE = re.compile(r"[^\w.\- ]+")
_LONGEST_NAME = 120
_QUALITY = 95


@dataclass(frozen=True)
class Placed:
    """A picture in the new folder. name: of its file. size_wh: in pixels, upright."""

    name: str
    size_wh: tuple[int, int]

    @property
    def stem(self) -> str:
        return PurePosixPath(self.name).stem


class Outlet:
    """The folder being written.

    folder: where files go for now. attribute: whose answers become the class names; empty for the one class "face".
    """

    def __init__(self, folder: Path, attribute: str) -> None:
        self.folder, self.attribute = folder, attribute
        self._stems: set[str] = set()
        self._lost: Counter[str] = Counter()

    def write(self, name: str, content: str | bytes) -> None:
        """Write one file of the folder, ``name`` relative to it."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    def place(self, sample: Sample, folder: str = "") -> Placed:
        """Put the sample's picture into a folder of the new one, under a stem that no other picture has.

        The file is copied byte for byte, unless it is to be turned by its EXIF orientation, which many programs do not know
        of: then it is written upright. Raises `DataError` when it cannot be read.
        """
        try:
            data = sample.picture if isinstance(sample.picture, bytes) else _load(sample.picture)
            size, suffix = measure(data), suffix_of(data)
            if size.orientation != 1:
                suffix = suffix if suffix in (".jpg", ".png", ".webp") else ".png"
                data = encode(read(data), suffix, quality=_QUALITY)
        except InputError as error:
            raise DataError(f"{sample.name}: {error}") from None
        own = PurePosixPath(sample.name).suffix
        name = self._free_stem(sample.name) + (own if _is_same_kind(own, suffix) else suffix)
        self.write(f"{folder}/{name}" if folder else name, data)
        return Placed(name, size.size_wh)

    def _free_stem(self, name: str) -> str:
        """A file name without its ending: the picture's own, with its folders when that is taken, and else numbered."""
        parts = [_UNSAFE.sub("_", part).strip(". ") for part in (*PurePosixPath(name).parts[:-1], PurePosixPath(name).stem)]
        stem, count = parts[-1][-_LONGEST_NAME:] or "picture", 1
        if stem.casefold() in self._stems:
            whole = stem = "-".join(part for part in parts if part)[-_LONGEST_NAME:] or "picture"
            while stem.casefold() in self._stems:
                count += 1
                stem = f"{whole}-{count}"
        self._stems.add(stem.casefold())
        return stem

    def labelled(self, samples: Sequence[Sample]) -> Iterator[tuple[Sample, tuple[FaceLabel, ...]]]:
        """The samples in which somebody looked for faces, with these; the others are counted as left out."""
        for sample in samples:
            if sample.faces is None:
                self.lose("pictures without labelled faces were left out")
            else:
                yield sample, sample.faces

    def class_of(self, face: FaceLabel) -> str:
        """The class name of a face. Raises `DataError` for an answer that would not be understood."""
        if face.is_ignored:
            return IGNORE
        answer = str(face.attributes.get(self.attribute, "")) if self.attribute else ""
        if answer in (FACE, IGNORE):
            raise DataError(f"attribute {self.attribute}: the answer {answer!r} stands for a face without one; rename it")
        return answer or FACE

    def class_names(self, samples: Sequence[Sample]) -> list[str]:
        """The classes of all faces that count: in the order of the attribute where it is known, ``face`` last."""
        known = ATTRIBUTES[self.attribute].answers if self.attribute in ATTRIBUTES else ()
        found = {self.class_of(face) for sample in samples for face in sample.faces or () if not face.is_ignored}
        order = [*known, *sorted(found - {*known, FACE}), FACE]
        return [name for name in order if name in found] or [FACE]

    def other_attributes(self, face: FaceLabel) -> dict[str, str | float]:
        """The attributes that the class name does not tell."""
        return {name: value for name, value in face.attributes.items() if name != self.attribute}

    def answers(self, samples: Sequence[Sample]) -> dict[str, list[str]]:
        """What was answered to the other attributes, of faces and of whole pictures; nothing for one of numbers."""
        found: dict[str, set[str]] = {}
        for sample in samples:
            for values in (sample.labels, *(self.other_attributes(face) for face in sample.faces or ())):
                for name, value in values.items():
                    found.setdefault(name, set()).update([value] if isinstance(value, str) else [])
        return {name: sorted(values) for name, values in found.items()}

    def lose(self, what: str, count: int = 1) -> None:
        """Count something that the format has no place for."""
        self._lost[what] += count

    def losses(self) -> list[str]:
        """What was lost, and how often."""
        return [f"{count} {what}" for what, count in self._lost.items()]


def points_of(face: FaceLabel) -> dict[str, tuple[float, float]]:
    """The known keypoints of a face by name, the five first."""
    five = zip(KEYPOINT_NAMES, face.keypoints.tolist(), strict=True)
    return {**{name: (x, y) for name, (x, y) in five if np.isfinite((x, y)).all()}, **face.more_points}


def point_names(samples: Sequence[Sample]) -> list[str]:
    """The names of all keypoints that the samples know: none, or the five and then the others."""
    found = {name for sample in samples for face in sample.faces or () for name in points_of(face)}
    return [*KEYPOINT_NAMES, *sorted(found - set(KEYPOINT_NAMES))] if found else []


def rounded(values: Sequence[float]) -> list[float]:
    """Pixels with two decimals, as they are written."""
    return [round(float(value), 2) for value in values]


def _is_same_kind(own: str, suffix: str) -> bool:
    same = {".jpeg": ".jpg", ".jfif": ".jpg", ".tiff": ".tif"}
    return same.get(own.lower(), own.lower()) == suffix


def _load(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{path}: expected a picture of at most {MAX_BYTES / 1e6:g} MB, got more")
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None
