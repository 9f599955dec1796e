"""Looking through a project: what cannot be read, does not fit, is there twice, or is labelled unlike a model would.

One picture is held at a time, so a hundred thousand need no more memory than their rows.
"""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.attributes import Attribute, to_json
from mien.data.duplicates import hash_from_text, near_duplicates, perceptual_hash
from mien.data.project import Project
from mien.data.quality import face_faults, look_of
from mien.data.sample import FaceLabel, Sample, sample_from_row
from mien.data.split import Proof, proofs, strata_of
from mien.errors import DataError, InputError
from mien.geometry import iou
from mien.media.read import read
from mien.media.sources import SUFFIXES
from mien.types import Faces

Model = Callable[[NDArray[np.uint8]], Faces]

MOST_SUSPECTS = 200
LEAST_LOSS = 0.7
"""Disagreement with the model, 0 to about 5, from which on a label is a suspect: see `label_losses`."""
FAULTS = {
    "missing": "the picture's file, or its matte's, is not there",
    "unreadable": "the picture cannot be read",
    "changed": "the file is not the one that was added",
    "row": "the row is wrong",
    "label": "a box, point or answer looks wrong",
    "stray": "a picture file that no row names",
}


@dataclass(frozen=True)
class Fault:
    """Something wrong with one picture. kind: one of `FAULTS`."""

    kind: str
    file_name: str
    note: str


@dataclass(frozen=True, order=True)
class Suspect:
    """A label that the model contradicts. loss: how much. face: its place in the row, -1 for a face that has no label."""

    loss: float
    file_name: str
    face: int
    note: str


@dataclass
class Checked:
    """What a check found.

    pictures: rows looked at. faults: see `FAULTS`. groups: near-duplicates, two files or more each, changed copies apart.
    classes: how often each class is there, by part of the set. suspects: by falling loss.
    looks: (N, 4) size, light, sharpness, yaw of the labelled faces.
    """

    pictures: int = 0
    states: Counter[str] = field(default_factory=Counter)
    classes: dict[str, Counter[str]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    groups: list[list[str]] = field(default_factory=list)
    proofs: list[Proof] = field(default_factory=list)
    suspects: list[Suspect] = field(default_factory=list)
    looks: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 4), np.float32))


def check(
    project: Project,
    model: Model | None = None,
    *,
    described: Mapping[str, Attribute] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Checked:
    """Look at every picture of a project. Nothing is changed.

    model: finds faces, and answers questions if it can; labels that it contradicts are suspects. described: its attributes.
    progress: called with how many pictures are done, and how many there are.
    """
    rows = project.rows()
    result = Checked(len(rows), classes={name: Counter() for name in project.settings.classes})
    looks: list[tuple[float, ...]] = []
    samples: list[Sample] = []
    hashes = np.zeros((len(rows), 2), np.uint64)
    worst: list[Suspect] = []
    for number, row in enumerate(rows):
        name = row["file_name"]
        result.states[str(row.get("state", ""))] += 1
        try:
            sample = sample_from_row(row, project.pictures, name)
        except DataError as error:
            result.faults.append(Fault("row", name, str(error)))
            continue
        for stratum in strata_of(sample, project.settings.attribute):
            result.classes.setdefault(stratum, Counter())[sample.split] += 1
        image = _picture(project, row, result.faults)
        if image is None:
            continue
        hashes[len(samples)] = _hash(row, image)
        samples.append(sample)
        faces = list(sample.faces or ())
        height, width = image.shape[:2]
        notes = face_faults(faces, width, height) + _answer_faults(project, sample)
        result.faults += [Fault("label", name, note) for note in notes]
        if sample.matte is not None and not sample.matte.is_file():
            result.faults.append(Fault("missing", name, f"its matte {sample.matte.name} is not there"))
        looks += [tuple(vars(look_of(image, f.box, f.keypoints)).values()) for f in faces if not f.is_ignored]
        if model is not None and sample.state == "labelled" and sample.faces is not None and not sample.parent:
            for loss, face, note in label_losses(faces, model(image), _question(project, described)):
                if loss >= LEAST_LOSS:
                    heapq.heappush(worst, Suspect(loss, name, face, note))
                    if len(worst) > MOST_SUSPECTS:
                        heapq.heappop(worst)
        if progress is not None:
            progress(number + 1, len(rows))
    result.faults += _strays(project, rows)
    result.suspects = sorted(worst, reverse=True)
    result.looks = np.array(looks, np.float32).reshape(-1, 4)
    near = near_duplicates(hashes[: len(samples)])
    result.groups = _groups(samples, near)
    result.proofs = proofs(samples, [sample.split for sample in samples], near)
    return result


def label_losses(
    faces: Sequence[FaceLabel], found: Faces, attribute: Attribute | None = None
) -> list[tuple[float, int, str]]:
    """How much a model contradicts the labels of a picture: loss, place of the face (-1: none) and why, one a contradiction.

    A labelled face that the model does not see: 1. A face it sees where none is labelled: 0.5 and half its score.
    A box elsewhere: up to 1.3, from an IoU of 0.5 down. Keypoints: four times their mean distance over that of the eyes.
    An answer: minus the logarithm of its probability, as in training; a number: a quarter of its distance in standard
    deviations.
    """
    boxes = np.array([face.box for face in faces], np.float32).reshape(-1, 4)
    overlap = iou(boxes, found.boxes)
    losses: list[tuple[float, int, str]] = []
    for row, face in enumerate(faces):
        if face.is_ignored:
            continue
        best = int(overlap[row].argmax()) if len(found) else -1
        if best < 0 or overlap[row, best] < 0.2:
            losses.append((1.0, row, "the model sees no face here"))
            continue
        if (shift := 1 - float(overlap[row, best])) > 0.5:
            losses.append((2 * shift - 0.3, row, f"the model's box overlaps by {1 - shift:.0%} only"))
        losses += [(loss, row, why) for loss, why in _face_losses(face, found[[best]], attribute)]
    for other in range(len(found)):
        if not len(faces) or overlap[:, other].max() < 0.2:
            score = float(found.scores[other])
            losses.append((0.5 + score / 2, -1, f"the model sees a face (score {score:.2f})"))
    return losses


def _face_losses(face: FaceLabel, seen: Faces, attribute: Attribute | None) -> Iterator[tuple[float, str]]:
    eyes = float(np.hypot(*(face.keypoints[0] - face.keypoints[1])))
    distance = np.hypot(*(face.keypoints - seen.keypoints[0]).T)
    if np.isfinite(eyes) and eyes > 2 and np.isfinite(distance).any():
        off = float(np.nanmean(distance)) / eyes
        yield 4 * off, f"the model's points are {off:.0%} of the eye distance away"
    if attribute is None or attribute.name not in seen.attributes or attribute.name not in face.attributes:
        return
    answer = to_json(attribute, seen.attributes[attribute.name], 0)
    given = face.attributes[attribute.name]
    if answer is None:
        return
    if attribute.answers:
        loss = -float(np.log(max(float(answer["scores"].get(given, 0)), 1e-6)))
        likeliest, score = max(answer["scores"].items(), key=lambda pair: pair[1])
        yield loss, f"labelled {given}, the model says {likeliest} ({score:.0%})"
    else:
        off = abs(float(given) - answer["value"]) / max(answer["std"], 1e-6)
        yield 0.25 * off, f"labelled {given}, the model says {answer['value']:.0f} \u00b1{answer['std']:.0f}"


def _question(project: Project, described: Mapping[str, Attribute] | None) -> Attribute | None:
    name = project.settings.attribute
    return (described or {}).get(name) or (project.settings.question if name else None)


def _picture(project: Project, row: Mapping[str, Any], faults: list[Fault]) -> NDArray[np.uint8] | None:
    name = row["file_name"]
    path = project.path(name)
    try:
        data = path.read_bytes()
    except OSError as error:
        faults.append(Fault("missing", name, error.strerror or str(error)))
        return None
    if row.get("sha256") not in (None, hashlib.sha256(data).hexdigest()):
        faults.append(Fault("changed", name, "its bytes are others than when it was added"))
    try:
        image = read(data).image
    except InputError as error:
        faults.append(Fault("unreadable", name, str(error).removeprefix("<bytes>: ")))
        return None
    size = (row.get("width", image.shape[1]), row.get("height", image.shape[0]))
    if size != (image.shape[1], image.shape[0]):
        note = f"the row says {size[0]}x{size[1]}, it has {image.shape[1]}x{image.shape[0]}"
        faults.append(Fault("changed", name, note))
    return image


def _hash(row: Mapping[str, Any], image: NDArray[np.uint8]) -> NDArray[np.uint64]:
    try:
        return hash_from_text(str(row.get("perceptual_hash", "")))
    except ValueError:
        return perceptual_hash(image)


def _answer_faults(project: Project, sample: Sample) -> list[str]:
    name = project.settings.attribute
    if not name or sample.state != "labelled":
        return []
    found = []
    for number, face in enumerate(sample.faces or (), 1):
        if face.is_ignored:
            continue
        if name not in face.attributes:
            found.append(f"face {number}: no answer to {name}")
            continue
        try:
            project.settings.check_answer(face.attributes[name])
        except DataError as error:
            found.append(f"face {number}: {error}")
    return found


def _strays(project: Project, rows: Sequence[Mapping[str, Any]]) -> list[Fault]:
    known = {row["file_name"] for row in rows} | {row.get("matte") for row in rows}
    files = (path for path in project.pictures.iterdir() if path.suffix.lower() in SUFFIXES)
    return [Fault("stray", path.name, "no row names it") for path in sorted(files) if path.name not in known]


def _groups(samples: Sequence[Sample], near: NDArray[np.int64]) -> list[list[str]]:
    members: dict[int, list[Sample]] = {}
    for sample, number in zip(samples, near.tolist(), strict=True):
        if not sample.parent:
            members.setdefault(number, []).append(sample)
    return sorted(([s.name for s in group] for group in members.values() if len(group) > 1), key=len, reverse=True)


def hashes_of(project: Project, progress: Callable[[int, int], None] | None = None) -> NDArray[np.uint64]:
    """The perceptual hashes (N, 2) of a project's pictures, in the order of its rows: stored ones, else measured.

    A picture that cannot be read gets one made from its name, which is near to no other's.
    """
    rows = project.rows()
    hashes = np.zeros((len(rows), 2), np.uint64)
    for number, row in enumerate(rows):
        try:
            hashes[number] = hash_from_text(str(row.get("perceptual_hash", "")))
        except ValueError:
            try:
                hashes[number] = perceptual_hash(read(project.path(row["file_name"])).image)
            except InputError:
                digest = hashlib.sha256(row["file_name"].encode()).hexdigest()
                hashes[number] = hash_from_text(digest[:32])
        if progress is not None:
            progress(number + 1, len(rows))
    return hashes
