"""WIDER FACE: a text file of names, counts, and one line a face: x y width height and six small numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from mien.data.formats.documents import first_lines
from mien.data.formats.intake import Intake
from mien.data.formats.marks import BoxMark
from mien.data.formats.outlet import Outlet, points_of
from mien.data.formats.source import SourceFolder
from mien.data.sample import FaceLabel, Sample, finite_numbers
from mien.errors import DataError
from mien.media.sources import SUFFIXES

_COLUMNS = ("blur", "expression", "illumination", "invalid", "occlusion", "pose")
_ANSWERS = {
    "wider_blur": ("clear", "normal", "heavy"),
    "wider_expression": ("typical", "exaggerated"),
    "wider_illumination": ("normal", "extreme"),
    "wider_occlusion": ("none", "partial", "heavy"),
    "wider_pose": ("typical", "atypical"),
}
"""The numbers' meanings by attribute; named apart, since WIDER's expression is not ours."""
_LONGEST = 100_000


def _lists(source: SourceFolder) -> list[Path]:
    return [path for path in source.label_files(".txt") if _is_list(path)]


def _is_list(path: Path) -> bool:
    lines = [line.strip() for line in first_lines(path, 3)]
    if len(lines) < 3 or PurePosixPath(lines[0]).suffix.lower() not in SUFFIXES or not lines[1].isdecimal():
        return False
    return len(lines[2].split()) in (4, 10)


def detect(source: SourceFolder) -> bool:
    """Whether a text file begins with the name of a picture, a count and a box."""
    return bool(_lists(source))


def read(intake: Intake) -> None:
    """Take in the pictures of every list; the boxes of invalid faces become regions to ignore."""
    paths = _lists(intake.source)
    if not paths:
        raise DataError(f"{intake.source.source}: expected a text file with a picture's name, a count and boxes, found none")
    for path in paths:
        for number, name, lines in _blocks(intake.source.load_text(path).splitlines(), path):
            with intake.entry(path):
                found = intake.source.find(name, path.parent, f"{path}:{number}")
                marks = [_mark(line, f"{path}:{at}") for at, line in enumerate(lines, number + 2)]
                intake.add(found, marks, f"{path}:{number}")


def _blocks(lines: Sequence[str], path: Path) -> Iterator[tuple[int, str, Sequence[str]]]:
    """Line number, name and box lines of each picture. Raises `DataError` where the list loses its thread."""
    at = 0
    while at < len(lines):
        name = lines[at].strip()
        if not name:
            at += 1
            continue
        count = lines[at + 1].strip() if at + 1 < len(lines) else "the end of the file"
        if not count.isdecimal() or len(count) > 6 or int(count) > _LONGEST:
            raise DataError(f"{path}:{at + 2}: expected the number of faces of {name[:80]!r}, got {count[:40]!r}")
        boxes = lines[at + 2 : at + 2 + int(count)]
        if len(boxes) < int(count):
            raise DataError(
                f"{path}:{len(lines)}: expected {count} faces of {name[:80]!r}, got {len(boxes)} and the end of the file"
            )
        yield at + 1, name, boxes
        at += 2 + int(count)
        if count == "0" and at < len(lines) and not any(word.strip("0") for word in lines[at].split()):
            at += 1  # the original lists have a line of zeros for no face


def _mark(line: str, where: str) -> BoxMark:
    words = line.split()
    if len(words) not in (4, 10):
        raise DataError(f"{where}: expected x y width height and {', '.join(_COLUMNS)}, got {line[:80]!r}")
    x, y, width, height, *codes = finite_numbers(words, len(words), where).tolist()
    values = dict(zip(_COLUMNS, codes, strict=len(codes) > 0))
    attributes: dict[str, str | float] = {}
    for name, answers in _ANSWERS.items():
        column = name.removeprefix("wider_")
        if column in values:
            if values[column] not in range(len(answers)):
                raise DataError(f"{where}: {column}: expected 0 to {len(answers) - 1}, got {values[column]:g}")
            attributes[name] = answers[int(values[column])]
    return BoxMark([x, y, x + width, y + height], "", where, attributes=attributes, is_ignored=values.get("invalid", 0) == 1)


def write(outlet: Outlet, samples: Sequence[Sample]) -> None:
    """``images/`` and ``wider_face_bbx_gt.txt``, in whole pixels."""
    lines = []
    for sample, faces in outlet.labelled(samples):
        lines += [outlet.place(sample, "images").name, str(len(faces))]
        lines += [_line(outlet, face) for face in faces] or [" ".join("0" * 10)]
    outlet.write("wider_face_bbx_gt.txt", "".join(f"{line}\n" for line in lines))


def _line(outlet: Outlet, face: FaceLabel) -> str:
    first = face.box[:2].round().astype(int)
    size = (face.box[2:].round().astype(int) - first).clip(min=1)
    if points := points_of(face):
        outlet.lose("keypoints were left out: the format has none", len(points))
    if set(face.attributes) - set(_ANSWERS):
        outlet.lose("faces lost attributes: the format has only its own")
    codes = {"invalid": int(face.is_ignored)}
    for name, answers in _ANSWERS.items():
        answer = str(face.attributes.get(name, answers[0]))
        codes[name.removeprefix("wider_")] = answers.index(answer) if answer in answers else 0
    return " ".join(map(str, (*first, *size, *(codes[column] for column in _COLUMNS))))
