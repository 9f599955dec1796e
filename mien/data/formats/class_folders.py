"""Class per folder: the name of the folder that a picture lies in answers the attribute for the whole picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from mien.data.formats.intake import Intake
from mien.data.formats.outlet import Outlet
from mien.data.formats.source import CONTROL, SourceFolder
from mien.data.sample import Sample
from mien.errors import DataError

_SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}


def detect(source: SourceFolder) -> bool:
    """Whether there are pictures in two folders at least, none at the top, and no label files."""
    pictures = source.pictures()
    is_sorted = bool(pictures) and all(len(path.parts) > 1 for path in pictures)
    classes = {_place(path)[1] for path in pictures} if is_sorted else set()
    return len(classes) > 1 and not source.may_hold_labels() and source.source == source.root


def _place(path: PurePosixPath) -> tuple[str, str]:
    """Part of a split and class that the folders of a picture tell."""
    first, *rest = path.parts[:-1] or ("",)
    split = _SPLITS.get(first.lower(), "")
    return (split, rest[0] if rest else "") if split else ("", first)


def read(intake: Intake) -> None:
    """Take in every picture below a folder; the first folder is the class, the second where the first is train or test."""
    if not intake.attribute:
        raise DataError(
            f"{intake.source.root}: the folders name classes; say what they answer, for example --attribute mask"
        )
    for name in intake.source.pictures():
        path = intake.source.root / name
        with intake.entry(path):
            split, answer = _place(name)
            if not answer:
                raise DataError(f"{path}: expected the picture in the folder of its class, got it outside of all")
            intake.add(name, None, str(path), labels={intake.attribute: answer}, texts={"split": split})


def write(outlet: Outlet, samples: Sequence[Sample]) -> None:
    """One folder an answer, whole pictures in it; those of a split in a folder of the part."""
    if not outlet.attribute:
        raise DataError("class folders: expected the attribute whose answers name the folders; say which, for example mask")
    for sample in samples:
        counted = [face for face in sample.faces or () if not face.is_ignored]
        answers = {str(face.attributes[outlet.attribute]) for face in counted if outlet.attribute in face.attributes}
        if outlet.attribute in sample.labels:
            answers = {str(sample.labels[outlet.attribute])}
        if len(answers) != 1:
            outlet.lose("pictures without one answer for the whole picture were left out")
            continue
        answer = answers.pop()
        if PurePosixPath(answer).name != answer or answer.startswith(".") or "\\" in answer or CONTROL.search(answer):
            raise DataError(f"attribute {outlet.attribute}: the answer {answer!r} cannot be the name of a folder; rename it")
        if sample.faces:
            outlet.lose("pictures lost the boxes of their faces")
        outlet.place(sample, f"{sample.split}/{answer}" if sample.split in ("train", "validation", "test") else answer)
