"""Changed copies of a project's pictures, written into the project or into a new one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.attributes import Attribute
from mien.data.augment import Looks, variant
from mien.data.project import Added, NewPicture, Project, new_project
from mien.data.sample import FaceLabel, Sample
from mien.data.sheet import contact_sheet, with_labels
from mien.errors import DataError, MienError
from mien.media.write import write

_PREVIEWS = 36


def originals(project: Project, *, parts: tuple[str, ...] = ("train", "")) -> list[Sample]:
    """The labelled pictures of a project that are no changed copies, of these parts of the set ("": of none).

    Raises `DataError` where there are none.
    """
    samples = [sample for sample in project.samples() if not sample.parent and sample.state == "labelled"]
    found = [sample for sample in samples if sample.split in parts]
    if not found:
        raise DataError(
            f"{project.root}: expected labelled pictures in {' or '.join(part or 'no part' for part in parts)}, "
            f"found none among {len(samples)} labelled ones; label some first"
        )
    return found


def augment(
    project: Project,
    times: int,
    *,
    out: str | Path | None = None,
    parts: tuple[str, ...] = ("train", ""),
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Added:
    """Write ``times`` changed copies of every labelled picture, each naming its ``parent`` and staying in its part.

    out: folder of a new project for originals and copies; None writes into the project itself. parts: those of the set whose
    pictures are copied; validation and test are best left as they are. The same seed gives the same copies, so that a second
    run adds none. The sheet ``reports/augment.png`` shows some. Raises `DataError`.
    """
    if times < 1:
        raise DataError(f"times: expected at least 1, got {times}")
    chosen = originals(project, parts=parts)
    settings = project.settings
    attributes = {settings.attribute: settings.question} if settings.task == "attribute" else {}
    if out is None:
        added = _write(project, project, chosen, times, seed, attributes, progress)
        project.close()
        return added
    with new_project(Path(out), replace(settings, name=Path(out).resolve().name)) as to:
        copied = to.add(NewPicture(project.path(sample.name), sample.name, sample) for sample in project.samples())
        added = _write(project, to, chosen, times, seed, attributes, progress)
    added.rejected[:0] = copied.rejected
    return added


def _write(
    project: Project,
    to: Project,
    chosen: list[Sample],
    times: int,
    seed: int,
    attributes: Mapping[str, Attribute],
    progress: Callable[[int, int], None] | None,
) -> Added:
    """The copies of the chosen pictures of ``project``, into ``to``, which has the originals."""
    looks = Looks()
    own = {row["sha256"]: row["file_name"] for row in to.rows()}
    unread: list[tuple[str, str]] = []

    def copies() -> Iterator[NewPicture]:
        for number, sample in enumerate(chosen):
            parent = own.get(project.row(sample.name)["sha256"])
            try:
                image = sample.image()
            except MienError as error:
                unread.append((sample.name, str(error)))
                continue
            for copy in range(times if parent else 0):
                yield _copy(image, sample, str(parent), (seed, _number_of(sample.name), copy), looks, attributes)
            if progress is not None:
                progress(number + 1, len(chosen))

    added = to.add(copies())
    added.rejected[:0] = unread
    write(preview(chosen, seed, attributes), to.root / "reports" / "augment.png")
    return added


def preview(samples: list[Sample], seed: int, attributes: Mapping[str, Attribute]) -> NDArray[np.uint8]:
    """A contact sheet: some pictures, and five changed copies of each beside it, with their labels drawn."""
    looks = Looks()
    shown = [samples[row] for row in np.linspace(0, len(samples) - 1, min(len(samples), _PREVIEWS // 6)).astype(int)]

    def tiles() -> Iterator[tuple[NDArray[np.uint8], str]]:
        for sample in shown:
            try:
                image = sample.image()
            except MienError:
                continue
            yield with_labels(image, sample.faces or ()), _caption(sample.name, sample.faces or ())
            for copy in range(5):
                changed, labels = variant(
                    image, sample.faces or (), (seed, _number_of(sample.name), copy), looks, attributes
                )
                yield with_labels(changed, labels), _caption(f"copy {copy + 1}", labels)

    return contact_sheet(tiles())


def _copy(
    image: NDArray[np.uint8],
    sample: Sample,
    parent: str,
    seed: tuple[int, int, int],
    looks: Looks,
    attributes: Mapping[str, Attribute],
) -> NewPicture:
    changed, labels = variant(image, sample.faces or (), seed, looks, attributes)
    faces = labels if sample.faces is not None else None
    told = replace(sample, picture=b"", faces=faces, parent=parent, matte=None, is_empty=False)
    return NewPicture(changed, f"{Path(sample.name).stem}-copy{seed[2] + 1:03d}.jpg", told)


def _number_of(name: str) -> int:
    """A number that depends on the name alone, so that a picture's copies do not change when others come."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")


def _caption(name: str, labels: tuple[FaceLabel, ...]) -> str:
    answers = [str(value) for label in labels if not label.is_ignored for value in label.attributes.values()]
    return f"{', '.join(answers)} {name}" if answers else name
