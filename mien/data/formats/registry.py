"""The table of label formats, and the two doors to it: labels in, labels out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from mien.data.formats import (
    class_folders,
    coco,
    cvat,
    imagefolder,
    kaggle,
    label_studio,
    labelme,
    table,
    unlabelled,
    voc,
    wider,
    yolo,
)
from mien.data.formats.intake import Imported, Intake
from mien.data.formats.outlet import Outlet
from mien.data.formats.source import SourceFolder
from mien.data.sample import Sample
from mien.errors import DataError, InputError
from mien.media.write import whole_folder

log = logging.getLogger(__name__)

Detect: TypeAlias = Callable[[SourceFolder], bool]
Read: TypeAlias = Callable[[Intake], None]
Write: TypeAlias = Callable[[Outlet, Sequence[Sample]], None]


@dataclass(frozen=True)
class Format:
    """One way to write labels down.

    title: how people call it. detect: whether a folder holds it. read, write: take labels in, put them out.
    """

    name: str
    title: str
    detect: Detect
    read: Read
    write: Write


FORMATS: Mapping[str, Format] = {
    entry.name: entry
    for entry in (
        Format("coco", "COCO JSON", coco.detect, coco.read, coco.write),
        Format("yolo", "YOLO detection and pose", yolo.detect, yolo.read, yolo.write),
        Format("voc", "Pascal VOC XML", voc.detect, voc.read, voc.write),
        Format("labelme", "labelme JSON", labelme.detect, labelme.read, labelme.write),
        Format("label-studio", "Label Studio JSON", label_studio.detect, label_studio.read, label_studio.write),
        Format("cvat", "CVAT for images 1.1", cvat.detect, cvat.read, cvat.write),
        Format("csv", "CSV table", table.detect, table.read, table.write),
        Format("class-folders", "class per folder", class_folders.detect, class_folders.read, class_folders.write),
        Format("kaggle", "Kaggle training.csv", kaggle.detect_csv, kaggle.read_csv_pictures, kaggle.write_csv),
        Format("kaggle-npz", "Kaggle face_images.npz", kaggle.detect_npz, kaggle.read_npz_pictures, kaggle.write_npz),
        Format("wider", "WIDER FACE txt", wider.detect, wider.read, wider.write),
        Format("imagefolder", "mien and Hugging Face ImageFolder", imagefolder.detect, imagefolder.read, imagefolder.write),
    )
}
"""Every label format, by the name that ``--format`` takes."""

PICTURES = "pictures"
"""What ``--format`` takes for pictures without labels. They are only read: written, they would be a plain copy."""


def import_labels(source: Path, format: str | None = None, *, attribute: str = "") -> Imported:  # noqa: A002
    """Read labelled pictures of any known format.

    source: the folder that holds labels and pictures, or the label file in it. Nothing outside that folder is read.
    format: a name out of `FORMATS`, or `PICTURES`; None finds it by looking.
    attribute: the question that class names answer, such as ``mask``; a class ``face`` answers nothing.

    A picture that is missing, broken or badly labelled is left out whole and stands in ``rejected`` with its reason; so no
    unreadable face becomes background. Raises `DataError` when the format is not to be told, when a file as a whole cannot
    be read, when nothing is left, or when there are several classes and no attribute; `InputError` for an unknown format.
    """
    folder = SourceFolder(Path(source))
    name = format if format is not None else _recognise(folder)
    intake = Intake(folder, attribute)
    (unlabelled.read if name == PICTURES else _find(name, PICTURES).read)(intake)
    return intake.finish(name)


def export_labels(
    samples: Sequence[Sample],
    out: Path,
    format: str,  # noqa: A002
    *,
    attribute: str = "",
    tell: Callable[[str], None] | None = None,
) -> Path:
    """Write labelled pictures into a new folder in a format, and give the folder back.

    attribute: whose answers become the class names; empty makes every face a ``face``. A format that has no place for
    something loses it; ``tell`` is called with what and how often, and without it that is logged as a warning.

    Raises `InputError` for an unknown format or when something is at ``out``, `DataError` for a sample that cannot be
    written. Then there is no folder.
    """
    entry = _find(format)
    if not samples:
        raise DataError(f"{out}: expected at least one sample to write, got none")
    with whole_folder(out) as part:
        outlet = Outlet(part, attribute)
        entry.write(outlet, samples)
    for loss in outlet.losses():
        (tell or log.warning)(loss)
    return Path(out)


def _find(name: str, *others: str) -> Format:
    if name not in FORMATS:
        raise InputError(f"format {name!r}: expected one of {', '.join((*FORMATS, *others))}")
    return FORMATS[name]


def _recognise(folder: SourceFolder) -> str:
    """The name of the one format that a folder holds. Raises `DataError` when it is none or several."""
    found, faults = [], []
    for entry in FORMATS.values():
        try:
            if entry.detect(folder):
                found.append(entry)
        except DataError as fault:
            faults.append(fault)
    if len(found) == 1:
        return found[0].name
    if faults and not found:
        raise faults[0]
    if not found and unlabelled.detect(folder):
        return PICTURES
    got = " and ".join(entry.name for entry in found) or "none of them"
    hint = f", or --format {PICTURES} for pictures alone" if not found and folder.pictures() else ""
    raise DataError(
        f"{folder.source}: expected labels in one known format ({', '.join(FORMATS)}), found {got}; say which{hint}"
    )
