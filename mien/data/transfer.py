"""Labelled pictures of other tools into a project, and a project's pictures out to other tools."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data.duplicates import hash_from_text, perceptual_hash
from mien.data.formats import export_labels, import_labels
from mien.data.project import Added, NewPicture, Project
from mien.data.sample import FaceLabel, Sample, face_entry, face_from_entry
from mien.errors import DataError, InputError
from mien.geometry import paired_boxes
from mien.media.read import read
from mien.types import KEYPOINT_NAMES, Faces

_SAME_FACE = 0.5
_SAME_PX = 0.05
_SAME_PICTURE_BITS = 6
_WITHOUT_POINTS = ("voc", "wider", "class-folders")
_CLASS_ONLY = ("yolo", "wider", "class-folders")
"""Formats that lose keypoints, or all answers but one: what they cannot tell stays when labels are updated from them."""


def import_pictures(
    project: Project,
    source: Path,
    format: str | None = None,  # noqa: A002
    *,
    attribute: str = "",
    model: Callable[[NDArray[np.uint8]], Faces] | None = None,
    is_update: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Added, tuple[str, ...]]:
    """Put pictures with labels of any known format into a project; gives what became of them, and notes of the reader.

    format, attribute: see `import_labels`; the attribute is the project's own if not given. model: finds the face of a
    picture that has an answer as a whole but no box, as pictures in a folder of their class have; the answer is then that
    face's, and the box is the model's (``by`` says so). Where it finds none, or several, the picture is left to be labelled.

    is_update: a picture that is there already gets the labels of ``source``, which so go out to another tool and come back
        edited. It is known by its bytes, or, as an export turns pictures upright, by its file name where it has the same
        size and looks the same. What a format cannot carry stays with the face that it belongs to.

    Raises `DataError` and `InputError` where nothing can be read; then the project stays as it is.
    """
    name = attribute or project.settings.attribute
    imported = import_labels(source, format, attribute=name)
    added = Added()
    rows = {Path(row["file_name"]).stem: row for row in project.rows()} if is_update else {}
    for number, sample in enumerate(imported.samples):
        labelled = _with_face(sample, name, model)
        known = _of_that_name(rows, sample)
        if known:
            added.duplicates.append((sample.name, known))
        else:
            one = project.add([NewPicture(sample.picture, Path(sample.name).name, labelled)])
            added.kept += one.kept
            added.rejected += one.rejected
            added.duplicates += one.duplicates
            known = one.duplicates[0][1] if one.duplicates else ""
        if known and labelled.faces is not None and labelled.state in ("", "labelled"):
            _relabel(project, known, labelled, imported.format, name, is_update, added)
        if progress is not None:
            progress(number + 1, len(imported.samples))
    added.rejected[:0] = [(entry.where, entry.reason) for entry in imported.rejected]
    project.close()
    return added, imported.notes


def _of_that_name(rows: Mapping[str, Mapping[str, Any]], sample: Sample) -> str:
    """The file of a project that a picture was exported from; "" where there is none. rows: by the stem of their file."""
    row = rows.get(Path(sample.name).stem)
    if row is None:
        return ""
    try:
        image = read(sample.picture).image
        bits = np.bitwise_count(perceptual_hash(image) ^ hash_from_text(str(row.get("perceptual_hash", ""))))
    except (InputError, ValueError):
        return ""
    is_alike = (row.get("width"), row.get("height")) == (image.shape[1], image.shape[0])
    return str(row["file_name"]) if is_alike and bits[0] <= _SAME_PICTURE_BITS else ""


def _relabel(
    project: Project,
    file_name: str,
    sample: Sample,
    form: str,
    attribute: str,
    is_update: bool,
    added: Added,
) -> None:
    """Note that a picture of the project came with other labels, and take them if asked to."""
    row = project.row(file_name)
    old = [face_from_entry(entry, file_name) for entry in row.get("faces") or ()]
    faces = _rejoined(old, sample.faces or (), form, attribute)
    is_same = row["state"] == "labelled" and len(old) == len(faces) and all(map(_is_same, old, faces))
    if is_same:
        return
    if row["state"] != "unlabelled":
        added.differing.append((sample.name, file_name))
    if is_update:
        try:
            project.update(file_name, faces=faces, revision=row["revision"])
        except DataError as error:
            added.rejected.append((sample.name, str(error)))
        else:
            added.updated.append((sample.name, file_name))


def _rejoined(
    old: list[FaceLabel],
    new: tuple[FaceLabel, ...],
    form: str,
    attribute: str,
) -> list[FaceLabel]:
    """The new faces, each with what the format could not carry of the old one that it is; in the order of the old ones.

    A face that nobody changed stays as it was, so that it keeps who labelled it.
    """
    boxes = [np.array([face.box for face in faces], np.float32).reshape(-1, 4) for faces in (old, new)]
    pairs = paired_boxes(boxes[1], boxes[0], _SAME_FACE)
    joined = []
    for row, face in enumerate(new):
        if row in pairs:
            known = old[pairs[row]]
            if face.by == "model":
                face = replace(face, box=known.box)
            if form in _WITHOUT_POINTS or face.by == "model":
                face = replace(face, keypoints=known.keypoints, more_points=known.more_points, is_taught=known.is_taught)
            if form in _CLASS_ONLY:
                kept = {name: value for name, value in known.attributes.items() if name != attribute}
                face = replace(face, attributes={**kept, **face.attributes})
            face = known if _is_same(known, face) else replace(face, by=face.by or "person")
        joined.append((pairs.get(row, len(old) + row), face))
    return [face for _, face in sorted(joined, key=lambda entry: entry[0])]


def _is_same(face: FaceLabel, other: FaceLabel) -> bool:
    """Whether two labels say the same, to a twentieth of a pixel; who gave them does not count."""
    one, two = (_plain(label) for label in (face, other))
    return one.keys() == two.keys() and all(
        abs(one[key] - two[key]) <= _SAME_PX if isinstance(one[key], float) else str(one[key]) == str(two[key])
        for key in one
    )


def _plain(face: FaceLabel) -> Mapping[str, Any]:
    """The box, points and answers of a face as single values by name."""
    entry = face_entry(face)
    flat: dict[str, Any] = {f"box {place}": float(value) for place, value in enumerate(entry["box"])}
    for name, point in entry.get("keypoints", {}).items():
        flat |= {f"{name} x": float(point[0]), f"{name} y": float(point[1])}
    flat |= {f"answer {name}": str(value) for name, value in entry.get("attributes", {}).items()}
    return {**flat, "ignore": str(face.is_ignored)}


def export_pictures(
    project: Project,
    out: Path,
    format: str,  # noqa: A002
    *,
    version: str = "",
    tell: Callable[[str], None] | None = None,
) -> tuple[Path, int]:
    """Write the labelled pictures of a project, or of a frozen version of it; gives the folder and how many they are.

    tell: called with what the format has no place for, see `export_labels`.

    Raises `DataError` where there are none or something is at ``out``, `InputError` for an unknown format.
    """
    samples = [sample for sample in project.samples(version) if sample.state == "labelled"]
    if not samples:
        raise DataError(f"{project.root}: expected labelled pictures to export, found none; label some first")
    return export_labels(samples, out, format, attribute=project.settings.attribute, tell=tell), len(samples)


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
