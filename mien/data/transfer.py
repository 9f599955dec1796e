"""Labelled pictures of other tools into a project, and a project's pictures out to other tools."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data.formats import export_labels, import_labels
from mien.data.project import Added, NewPicture, Project
from mien.data.sample import FaceLabel, Sample
from mien.errors import DataError, InputError
from mien.types import KEYPOINT_NAMES, Faces


def import_pictures(
    project: Project,
    source: Path,
    format: str | None = None,  # noqa: A002
    *,
    attribute: str = "",
    model: Callable[[NDArray[np.uint8]], Faces] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Added, tuple[str, ...]]:
    """Put pictures with labels of any known format into a project; gives what became of them, and notes of the reader.

    format, attribute: see `import_labels`; the attribute is the project's own if not given. model: finds the face of a
    picture that has an answer as a whole but no box, as pictures in a folder of their class have; the answer is then that
    face's, and the box is the model's (``by`` says so). Where it finds none, or several, the picture is left to be labelled.

    Raises `DataError` and `InputError` where nothing can be read; then the project stays as it is.
    """
    name = attribute or project.settings.attribute
    imported = import_labels(source, format, attribute=name)

    def pictures() -> Iterator[NewPicture]:
        for number, sample in enumerate(imported.samples):
            yield NewPicture(sample.picture, Path(sample.name).name, _with_face(sample, name, model))
            if progress is not None:
                progress(number + 1, len(imported.samples))

    added = project.add(pictures())
    added.rejected[:0] = [(entry.where, entry.reason) for entry in imported.rejected]
    project.close()
    return added, imported.notes


def export_pictures(project: Project, out: Path, format: str, *, version: str = "") -> tuple[Path, int]:  # noqa: A002
    """Write the labelled pictures of a project, or of a frozen version of it; gives the folder and how many they are.

    Raises `DataError` where there are none or something is at ``out``, `InputError` for an unknown format.
    """
    samples = [sample for sample in project.samples(version) if sample.state == "labelled"]
    if not samples:
        raise DataError(f"{project.root}: expected labelled pictures to export, found none; label some first")
    return export_labels(samples, out, format, attribute=project.settings.attribute), len(samples)


def _with_face(sample: Sample, attribute: str, model: Callable[[NDArray[np.uint8]], Faces] | None) -> Sample:
    """The sample, its answer as a whole given to the one face in it."""
    if sample.faces is not None or attribute not in sample.labels or model is None:
        return sample
    try:
        image = sample.image()
    except InputError:
        return sample  # it is refused with its reason when it is added
    found = model(image)
    answers = {attribute: sample.labels[attribute]}
    if len(found) == 1:
        box, points, score = found.boxes[0], found.keypoints[0], float(found.scores[0])
        face = FaceLabel(box, points, attributes=answers, by="model", score=score)
    elif sample.is_crop and not len(found):
        box = np.array([0, 0, image.shape[1], image.shape[0]], np.float32)
        face = FaceLabel(box, np.full((len(KEYPOINT_NAMES), 2), np.nan, np.float32), attributes=answers)
    else:
        return sample
    return replace(sample, faces=(face,))
