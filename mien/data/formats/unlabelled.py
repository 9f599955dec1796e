"""Pictures that nobody has labelled yet, such as a folder of photos: they are only taken in, to be labelled here."""

from __future__ import annotations

from mien.data.formats.intake import Intake
from mien.data.formats.source import SourceFolder


def detect(source: SourceFolder) -> bool:
    """Whether there are pictures and nothing that may be their labels."""
    return bool(source.pictures()) and not source.may_hold_labels()


def read(intake: Intake) -> None:
    """Take in every picture as one that nobody has looked at; the one that was named when it was a file."""
    for name in intake.source.pictures():
        path = intake.source.root / name
        if intake.source.source in (intake.source.root, path):
            with intake.entry(path):
                intake.add(name, None, str(path))
                intake.note("pictures came without labels, to be labelled", str(path))
