"""Our own form, Hugging Face ImageFolder: ``metadata.jsonl``, one row a picture. It carries everything."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from mien.data.formats.intake import Intake
from mien.data.formats.outlet import Outlet
from mien.data.formats.source import SourceFolder
from mien.data.sample import Sample, row_from_line, sample_from_row, write_imagefolder
from mien.errors import DataError, InputError

_TABLE = "metadata.jsonl"


def detect(source: SourceFolder) -> bool:
    """Whether there is a table of rows."""
    return any(path.name == _TABLE for path in source.label_files(".jsonl"))


def read(intake: Intake) -> None:
    """Take in the rows of every table; a picture lies in the folder of its table or below."""
    source = intake.source
    if (source.root / "mien.toml").is_file():
        raise DataError(f"{source.root}: expected labels to import, got a project; merge it instead")
    for path in source.label_files(".jsonl"):
        for number, line in enumerate(source.load_text(path).split("\n"), 1) if path.name == _TABLE else ():
            if line.strip():
                with intake.entry(path):
                    where = f"{path}:{number}"
                    sample = sample_from_row(row_from_line(line, where), path.parent, where)
                    name = PurePosixPath(os.path.normpath(source.relative(path.parent) / sample.name))
                    if not source.holds(name):
                        raise DataError(f"{where}: expected the picture {sample.name[:80]!r} beside the table, found none")
                    if sample.matte is not None and not sample.matte.is_file():
                        raise DataError(f"{where}: expected the matte {sample.matte}, found none")
                    intake.add_sample(replace(sample, name=name.as_posix()), where)


def write(outlet: Outlet, samples: Sequence[Sample]) -> None:
    """A table with its pictures and mattes, byte for byte."""
    for sample in samples:
        for path in (sample.picture, sample.matte):
            if isinstance(path, Path) and not path.is_file():
                raise DataError(f"{sample.name}: expected the picture {path}, found none")
    try:
        write_imagefolder(samples, outlet.folder)
    except InputError as error:
        raise DataError(str(error)) from None
