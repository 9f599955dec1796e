"""What a reader fills: samples, what was rejected and why, and what else the person should know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.attributes import ATTRIBUTES
from mien.data.formats.marks import BoxMark
from mien.data.formats.source import SourceFolder
from mien.data.sample import FaceLabel, Sample, face_from_entry, finite_numbers
from mien.errors import DataError, InputError
from mien.geometry import turn_points
from mien.media.read import PictureSize, measure

FACE = "face"
"""The class of a face whose answer nobody gave."""
IGNORE = "ignore"
"""The class of a region that is neither a face nor background, in formats that have no other word for it."""

_QUARTER_TURNS = {3: 2, 4: 2, 5: -1, 6: 1, 7: 1, 8: -1}
_MIRRORED = (2, 4, 5, 7)


@dataclass(frozen=True)
class Rejected:
    """Something that was not read. where: file and line, or file and place in it."""

    where: str
    reason: str

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"


@dataclass(frozen=True, eq=False)
class Imported:
    """What came out of a folder of labels.

    samples: the pictures that were read. format: its name. rejected: pictures that were left out whole.
    notes: what was changed or left out in pictures that were read.
    """

    samples: tuple[Sample, ...]
    format: str
    rejected: tuple[Rejected, ...] = ()
    notes: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.samples)

    def __len__(self) -> int:
        return len(self.samples)


class Intake:
    """Collects what a reader finds. A fault in one picture rejects that picture; one in the whole set is raised.

    attribute: the question that class names answer; empty where they are only names.
    """

    def __init__(self, source: SourceFolder, attribute: str) -> None:
        self.source, self.attribute = source, attribute
        self._samples: dict[str, Sample] = {}
        self._rejected: list[Rejected] = []
        self._notes: Counter[str] = Counter()
        self._places: dict[str, str] = {}
        self._classes: dict[str, str] = {}
        self._measured: tuple[PurePosixPath | None, PictureSize | None] = (None, None)

    @contextmanager
    def entry(self, path: Path) -> Iterator[None]:
        """A block about one picture of a label file: a `DataError` in it rejects the picture."""
        try:
            yield
        except DataError as error:
            message = str(error)
            end = message.find(": ", len(str(path)) if message.startswith(str(path)) else 0)
            self._rejected.append(Rejected(message[:end], message[end + 2 :]) if end > 0 else Rejected(str(path), message))

    def note(self, message: str, where: str, count: int = 1) -> None:
        """Count something that the person should know of."""
        self._notes[message] += count
        self._places.setdefault(message, where)

    def size(self, name: PurePosixPath, where: str) -> PictureSize:
        """The size of a picture of the folder. Raises `DataError` when it is none."""
        if self._measured[0] != name or self._measured[1] is None:
            self._measured = (name, _measure(self.source.root / name, where))
        return self._measured[1]  # type: ignore[return-value]  # just set

    def add(
        self,
        name: PurePosixPath,
        marks: Sequence[BoxMark] | None,
        where: str,
        *,
        stated_wh: Sequence[Any] | None = None,
        picture: bytes | None = None,
        labels: Mapping[str, str | float] | None = None,
        is_crop: bool = False,
        texts: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """Take in one picture.

        name: of its file in the folder, or what to call it when ``picture`` holds its bytes.
        marks: boxes with their points, in pixels; None where nobody looked for faces.
        stated_wh: the size that the labels are for, if they say. Where it is that of the picture as stored, before its
            EXIF orientation, the marks are turned with it. texts: further fields of the sample.

        Raises `DataError` when the picture cannot be read, has another size, or was there before.
        """
        if name.as_posix() in self._samples:
            raise DataError(f"{where}: {name} has labels already; keep one of them")
        size = self.size(name, where) if picture is None else _measure(picture, where)
        turn = 1
        if stated_wh is not None:
            wanted = tuple(finite_numbers(list(stated_wh), 2, f"{where}: width and height").tolist())
            if wanted == size.stored_wh != size.size_wh:
                turn = size.orientation
                self.note("pictures were labelled as stored, not upright; their labels were turned", where)
            elif wanted != size.size_wh:
                got, told = ("x".join(f"{side:g}" for side in wh) for wh in (size.size_wh, wanted))
                raise DataError(
                    f"{where}: expected {name} to be {told} as its labels say, got {got}; use the picture itself"
                )
        faces = None if marks is None else tuple(face for mark in marks for face in self._face(mark, turn, size.stored_wh))
        self._samples[name.as_posix()] = Sample(
            picture=self.source.root / name if picture is None else picture,
            name=name.as_posix(),
            faces=faces,
            labels=labels or {},
            is_crop=is_crop,
            **texts,
        )

    def add_sample(self, sample: Sample, where: str) -> None:
        """Take in a sample of our own form, its picture a file of the folder. Raises `DataError` as `add` does."""
        if sample.name in self._samples:
            raise DataError(f"{where}: {sample.name} has labels already; keep one of them")
        _measure(sample.picture, where)
        self._samples[sample.name] = sample

    def _face(self, mark: BoxMark, turn: int, stored_wh: tuple[int, int]) -> Iterator[FaceLabel]:
        """The face of a mark, or none when its box has no area."""
        box = finite_numbers(mark.box, 4, f"{mark.where}: box")
        if box[0] == box[2] or box[1] == box[3]:
            self.note("boxes without any area were left out", mark.where)
            return
        attributes, is_ignored = dict(mark.attributes), mark.is_ignored
        if mark.name == IGNORE:
            is_ignored = True
        elif not is_ignored and self.attribute:
            if mark.name not in ("", FACE):
                attributes[self.attribute] = mark.name
        elif not is_ignored:
            self._classes.setdefault(mark.name or FACE, mark.where)
        points = {name: finite_numbers(point, 2, f"{mark.where}: {name}") for name, point in mark.points.items()}
        if turn > 1:
            corners = upright(box.reshape(2, 2), turn, stored_wh)
            box = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
            points = {name: upright(point, turn, stored_wh) for name, point in points.items()}
        yield face_from_entry(
            {
                "box": box.tolist(),
                "keypoints": {name: point.tolist() for name, point in points.items()},
                "attributes": attributes,
                "ignore": is_ignored,
            },
            mark.where,
        )

    def finish(self, name: str) -> Imported:
        """What was taken in. Raises `DataError` when it is nothing, or when its classes answer an unnamed question."""
        if not self._samples:
            why = (
                f"; {len(self._rejected)} were rejected, the first: {self._rejected[0]}"
                if self._rejected
                else ", found none"
            )
            raise DataError(f"{self.source.source}: expected at least one labelled picture in the format {name}{why}")
        classes = sorted(self._classes)
        if len(classes) > 1:
            raise DataError(
                f"{self._classes[classes[0]]}: the faces are of the classes {', '.join(classes)[:200]}; "
                "say what they answer, for example --attribute mask"
            )
        notes = [f"{count} {message} (first: {self._places[message]})" for message, count in self._notes.items()]
        if classes and classes[0] != FACE:
            notes.append(f"all faces are of the class {classes[0]!r}, which tells nothing and was not kept")
        return Imported(tuple(self._samples.values()), name, tuple(self._rejected), tuple(notes))


def upright(points: NDArray[np.float32], orientation: int, stored_wh: tuple[int, int]) -> NDArray[np.float32]:
    """Points (..., 2) of a picture as stored, in pixels, brought to where they are once its EXIF orientation is applied."""
    mirror = orientation in _MIRRORED
    placed = np.stack([stored_wh[0] - points[..., 0], points[..., 1]], axis=-1) if mirror else points
    return np.asarray(turn_points(placed, _QUARTER_TURNS.get(orientation, 0), stored_wh), np.float32)


def attribute_value(name: str, text: str, where: str) -> str | float:
    """A value out of a format that holds only text: a number for a known attribute with a unit. Raises `DataError`."""
    if name in ATTRIBUTES and ATTRIBUTES[name].unit:
        return float(finite_numbers([text], 1, f"{where}: {name}")[0])
    return text


def plain_value(value: Any, where: str) -> str | float:
    """A JSON value as the answer of an attribute; yes and no as ``true`` and ``false``. Raises `DataError`."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value
    return float(finite_numbers([value], 1, where)[0])


def _measure(picture: Path | bytes, where: str) -> PictureSize:
    try:
        return measure(picture)
    except InputError as error:
        raise DataError(f"{where}: {error}") from None
