"""Judging a model that reads faces: each attribute on the faces that are labelled for it, whole and in slices.

A crop is read as it is, as a face that fills its picture; where contour points are judged, the face is first found by the
shipped face model, as it is in use. Faces in pictures are read with their labelled boxes and keypoints.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien import metrics
from mien.attributes import Attribute, from_card
from mien.data.answers import known_label, known_points
from mien.data.sample import FaceLabel, Sample
from mien.errors import DataError
from mien.geometry import iou
from mien.learn.calibrate import abstain_below, calibration, is_calibrating
from mien.learn.judged import Judged, Progress, group_of, images_of
from mien.learn.scores import Report, Rows
from mien.models.attributes import AttributeModel, whole_picture
from mien.models.faces import FaceModel
from mien.models.onnx_file import read_onnx
from mien.models.store import model_path
from mien.types import Faces

MIN_SIDE = 16
_SIZES = ((16, 32), (32, 64), (64, 128), (128, np.inf))
_DARK, _TURNED = 0.25, 20.0
_LEAST_SLICE = 30
_EYES = (("left_eye", "left_eye_center"), ("right_eye", "right_eye_center"))
_FAIRNESS = ("gender", "ethnicity_label")


@dataclass
class Read:
    """Faces labelled for one attribute: columns (N, K), labels, what their slices are, pictures, and boxes in them."""

    columns: list[NDArray[np.float32]] = field(default_factory=list)
    labels: list[Any] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    slices: list[list[str]] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    boxes: list[NDArray[np.float32]] = field(default_factory=list)

    def add(
        self,
        column: NDArray[np.float32],
        label: Any,
        group: str,
        slices: list[str],
        sample: Sample,
        box: NDArray[np.float32],
    ) -> None:
        """One more face, and where it is."""
        self.samples.append(sample)
        self.boxes.append(box)
        self.columns.append(column)
        self.labels.append(label)
        self.groups.append(group)
        self.slices.append(slices)

    def part(self, rows: Sequence[int]) -> Read:
        """Some of the faces."""
        return Read(*([getattr(self, one.name)[row] for row in rows] for one in fields(self)))

    def parts(self) -> Iterator[tuple[str, NDArray[np.int64]]]:
        """Name and rows of each slice that is large enough and not everything."""
        for name in sorted({name for names in self.slices for name in names}):
            rows = np.flatnonzero([name in names for names in self.slices])
            if _LEAST_SLICE <= len(rows) < len(self.labels):
                yield name, rows


def judge_attributes(
    model: str | Path, samples: Sequence[Sample], data: str, threads: int, progress: Progress | None = None
) -> Judged:
    """Judge a model that reads faces on samples, see `mien.learn.evaluate.judge`."""
    card = read_onnx(model_path(model)).card
    known, read = read_faces(model, images_of(samples, data, progress), threads)
    rows, suggested, confusions = attribute_rows(known, read, data)
    report = Report(f"{card.name} {card.version}", card.task, data, len(samples), rows, suggested, [], confusions)
    return Judged(report, rows.measures, read=read, attributes=known)


def read_faces(
    model: str | Path, seen: Iterator[tuple[Sample, NDArray[np.uint8]]], threads: int
) -> tuple[Mapping[str, Attribute], dict[str, Read]]:
    """What the model says of every labelled face, by attribute."""
    names = [entry["name"] for entry in read_onnx(model_path(model)).card.attributes]
    reader = AttributeModel(model, names=names, threads=threads)
    known = from_card(reader.card.attributes)
    finder: FaceModel | None = None
    read: dict[str, Read] = {name: Read() for name in known}
    for sample, image in seen:
        labelled = [f for f in sample.faces or () if not f.is_ignored and min(f.box[2:] - f.box[:2]) >= MIN_SIDE]
        if labelled and any(one.points and known_points(one, sample, labelled[0]) is not None for one in known.values()):
            finder = finder or FaceModel("faces", threads=threads)
            faces = _found(finder, image, labelled)
        elif sample.is_crop and sample.faces is None:
            faces = whole_picture(image)
        elif labelled:
            faces = Faces([f.box for f in labelled], np.ones(len(labelled)), [f.keypoints for f in labelled])  # type: ignore[arg-type]
        else:
            continue
        answers = reader(image, faces)
        for row in range(len(faces)):
            _note(read, known, sample, labelled[row] if labelled else None, answers, row)
    return known, read


def _found(finder: FaceModel, image: NDArray[np.uint8], labelled: Sequence[FaceLabel]) -> Faces:
    """The faces as the detector sees them, else as labelled, without keypoints: those would tell where the points are."""
    found = finder(image)
    boxes, keypoints = np.array([face.box for face in labelled]), np.full((len(labelled), 5, 2), np.nan, np.float32)
    overlaps = iou(boxes, found.boxes)
    for row, best in enumerate(overlaps.argmax(1) if len(found) else ()):
        if overlaps[row, best] > 0.3:
            boxes[row], keypoints[row] = found.boxes[best], found.keypoints[best]
    return Faces(boxes, np.ones(len(boxes), np.float32), keypoints)


def _note(
    read: Mapping[str, Read],
    known: Mapping[str, Attribute],
    sample: Sample,
    face: FaceLabel | None,
    answers: Faces,
    row: int,
) -> None:
    group = group_of(sample)
    extent = answers.boxes[row, 2:] - answers.boxes[row, :2]
    slices = [f"source: {sample.source}"] if sample.source else []
    slices += [f"size: {low} to {high:g} px" for low, high in _SIZES if low <= extent.min() < high]
    if "quality" in answers.attributes and answers.attributes["quality"][row, 0] < _DARK:
        slices.append("light: dark")
    if "pose" in answers.attributes and abs(answers.attributes["pose"][row, 0]) > _TURNED:
        slices.append(f"yaw: over {_TURNED:g} degrees")
    slices += [f"{name}: {sample.labels[name]}" for name in _FAIRNESS if isinstance(sample.labels.get(name), str)]
    for name, attribute in known.items():
        column = answers.attributes[name][row]
        if attribute.points:
            truth = known_points(attribute, sample, face)
            if truth is not None:
                read[name].add(column, truth, group, slices, sample, answers.boxes[row])
        elif not attribute.parts and (label := known_label(attribute, sample, face)) is not None:
            read[name].add(column, label, group, slices, sample, answers.boxes[row])


def attribute_rows(
    known: Mapping[str, Attribute], read: Mapping[str, Read], data: str
) -> tuple[Rows, dict[str, float], dict[str, list[list[int]]]]:
    """Scores, what calibrates the model (``temperature_NAME``, ``shift_NAME_ANSWER``, ``abstain_NAME``) and the confusion
    matrix of each attribute."""
    rows, confusions = Rows(), {}
    suggested: dict[str, float] = {}
    for name, attribute in known.items():
        faces = read[name]
        if not faces.labels:
            continue
        if attribute.answers:
            found, confusion = _answer_rows(rows, attribute, faces)
            suggested |= found
            confusions[name] = confusion.tolist()
        elif attribute.points:
            _point_rows(rows, attribute, faces)
        else:
            _number_rows(rows, attribute, faces)
            columns = np.array(faces.columns)
            share = np.abs(columns[:, 0] - np.array(faces.labels, float)) / columns[:, 1]
            suggested[f"spread_{name}"] = round(float(np.quantile(share, 0.683)), 3)
    if not rows:
        raise DataError(f"{data}: expected faces labelled for one of {', '.join(known)}, found none")
    return rows, suggested, confusions


def _answer_rows(rows: Rows, attribute: Attribute, faces: Read) -> tuple[dict[str, float], NDArray[np.int64]]:
    name = attribute.name
    scores = np.array(faces.columns, np.float64)
    labels = np.array([attribute.answers.index(label) for label in faces.labels])
    answers = scores.argmax(1)
    hits = answers == labels
    rows.share(f"{name} accuracy", hits, faces.groups)
    present = [k for k in range(len(attribute.answers)) if (labels == k).any()]

    def balanced(weights: metrics.Float) -> metrics.Float:
        shares = [metrics.ratio(hits & (labels == k), labels == k)(weights) for k in present]
        return np.mean(shares, axis=0)

    rows.estimate(f"{name} balanced_accuracy", balanced, faces.groups, len(hits))
    for k in present:
        of_k = np.flatnonzero(labels == k)
        rows.share(f"{name} recall", hits[of_k], [faces.groups[row] for row in of_k], attribute.answers[k])
    for slice_, members in faces.parts():
        rows.share(f"{name} accuracy", hits[members], [faces.groups[row] for row in members], slice_)
    is_first = np.array([is_calibrating(group) for group in faces.groups])
    rows.put(f"{name} calibration_error", metrics.calibration_error(scores.max(1)[~is_first], hits[~is_first]), len(hits))
    logs = np.log(np.clip(scores, 1e-7, 1))
    fitted = calibration(logs[is_first], labels[is_first], attribute.is_balanced)
    chances = fitted(logs[is_first])
    below = abstain_below(chances.max(1), chances.argmax(1) == labels[is_first])
    found = {f"temperature_{name}": round(fitted.temperature, 4), f"abstain_{name}": round(below, 3)}
    found |= {f"shift_{name}_{one}": round(float(by), 4) for one, by in zip(attribute.answers, fitted.shifts, strict=True)}
    return found, metrics.confusion_matrix(labels, answers, len(attribute.answers))


def _number_rows(rows: Rows, attribute: Attribute, faces: Read) -> None:
    errors = np.abs(np.array(faces.columns)[:, 0] - np.array(faces.labels, float))
    rows.estimate(f"{attribute.name} mean_error", metrics.ratio(errors), faces.groups, len(errors))
    low, high = attribute.span
    edges = np.linspace(low, high, 6)
    bands = [f"{attribute.name}: {a:g} to {b:g}" for a, b in itertools.pairwise(edges)]
    where = np.clip(np.searchsorted(edges, faces.labels, side="right") - 1, 0, len(bands) - 1)
    for number, band in enumerate(bands):
        _error_slice(rows, f"{attribute.name} mean_error", errors, faces.groups, np.flatnonzero(where == number), band)
    for slice_, members in faces.parts():
        _error_slice(rows, f"{attribute.name} mean_error", errors, faces.groups, members, slice_)


def _point_rows(rows: Rows, attribute: Attribute, faces: Read) -> None:
    distances, scales = point_errors(attribute, faces)
    known = np.isfinite(distances)
    errors, counts = np.where(known, distances, 0) / scales[:, None], known.sum(1)
    name, nme = attribute.name, f"{attribute.name} nme"
    rows.estimate(nme, metrics.ratio(errors.sum(1), counts), faces.groups, len(errors))
    squares = metrics.ratio(np.square(np.where(known, distances, 0)).sum(1), 2 * counts)
    rows.estimate(f"{name} rmse", lambda weights: np.sqrt(squares(weights)), faces.groups, len(errors))
    for column, point in enumerate(attribute.point_names):
        away = metrics.ratio(np.where(known, distances, 0)[:, column], known[:, column])
        rows.estimate(f"{name} distance", away, faces.groups, int(known[:, column].sum()), point)
    for slice_, members in faces.parts():
        part = [faces.groups[row] for row in members]
        rows.estimate(nme, metrics.ratio(errors[members].sum(1), counts[members]), part, len(members), slice_)


def point_errors(attribute: Attribute, faces: Read) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distance of each point to its label in pixels, (N, P), NaN where unknown, and what a face's errors are divided by,
    (N,): the distance of its eyes, else the root of its box's area.
    """
    points = np.array(faces.columns, np.float64).reshape(len(faces.labels), -1, 2)
    truth = np.array(faces.labels, np.float64)
    if attribute.point_names:
        rows = [[k for k, one in enumerate(attribute.point_names) if one in names] for names in _EYES]
    else:
        rows = [list(range(42, 48)), list(range(36, 42))]
    extents = np.array(faces.boxes, np.float64).reshape(-1, 4)
    scales = np.sqrt(np.prod(extents[:, 2:] - extents[:, :2], axis=1))
    if all(rows):
        eyes = np.linalg.norm(truth[:, rows[0]].mean(1) - truth[:, rows[1]].mean(1), axis=1)
        scales = np.where(np.isfinite(eyes), eyes, scales)
    return np.linalg.norm(points - truth, axis=2), np.maximum(scales, 1)


def _error_slice(
    rows: Rows, metric: str, errors: NDArray[Any], groups: Sequence[str], members: NDArray[np.int64], slice_: str
) -> None:
    if len(members) >= _LEAST_SLICE:
        rows.estimate(metric, metrics.ratio(errors[members]), [groups[row] for row in members], len(members), slice_)
