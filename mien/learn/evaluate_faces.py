"""Judging what finds faces: boxes and keypoints against the labelled ones, whole and in slices."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien import metrics
from mien.data.sample import Sample
from mien.errors import DataError
from mien.learn.judged import Judged, Progress, group_of, images_of, slices_of
from mien.learn.scores import Report, Rows
from mien.types import KEYPOINT_NAMES, Faces

Detector = Callable[[NDArray[np.uint8]], Faces]

MIN_SIDE = 16
SIZES = ((16, 32), (32, 96), (96, np.inf))
AGES = ((0, 13), (13, 18), (18, 40), (40, 60), (60, np.inf))
MOST_FALSE = 0.01
LOWEST_SCORE = 0.02
"""Weaker detections are not looked at."""


def judge_detector(
    find: Detector,
    name: str,
    threshold: float,
    samples: Sequence[Sample],
    data: str,
    progress: Progress | None = None,
) -> Judged:
    """Judge a face detector on samples, see `mien.learn.evaluate.evaluate_detector`."""
    usable = [sample for sample in samples if sample.is_crop or sample.faces is not None or sample.is_empty]
    if not usable:
        raise DataError(f"{data}: a face model needs pictures with labelled faces or known to show none, found none")
    seen = [Seen.of(sample, find(image)) for sample, image in images_of(usable, data, progress)]
    pictures, crops = [one for one in seen if not one.sample.is_crop], [one for one in seen if one.sample.is_crop]
    rows, thresholds = Rows(), dict[str, float]()
    if pictures:
        thresholds = _picture_rows(rows, pictures, threshold)
    if crops:
        _crop_rows(rows, crops, threshold, "crops" if pictures else "all")
    labels = [face for one in seen for face in one.sample.faces or () if not face.is_ignored]
    taught = sum(face.is_taught for face in labels)
    notes = [f"threshold {threshold:g}"]
    if taught:
        notes.append(f"keypoints, and some boxes, of {taught} of the {len(labels)} labelled faces come from a model")
    report = Report(name, "faces", data, len(seen), rows, thresholds, notes)
    return Judged(report, rows.measures, seen=seen, threshold=threshold)


@dataclass(frozen=True, eq=False)
class Seen:
    """A picture, its labels as arrays, and what was found. boxes, sides, keypoints: of the faces that are not ignored."""

    sample: Sample
    found: Faces
    boxes: NDArray[np.float32]
    sides: NDArray[np.float32]
    keypoints: NDArray[np.float32]
    regions: NDArray[np.float32]

    @classmethod
    def of(cls, sample: Sample, found: Faces) -> Seen:
        labels = [face for face in sample.faces or () if not face.is_ignored]
        ignored = [face.box for face in sample.faces or () if face.is_ignored]
        boxes = np.array([face.box for face in labels], np.float32).reshape(-1, 4)
        points = np.array([face.keypoints for face in labels], np.float32).reshape(-1, len(KEYPOINT_NAMES), 2)
        regions = np.array(ignored, np.float32).reshape(-1, 4)
        return cls(sample, found, boxes, _sides(boxes), points, regions)

    def outcomes(self, least: float, most: float = np.inf) -> NDArray[np.int64]:
        """What each detection hit when only faces from ``least`` to under ``most`` pixels have to be found."""
        is_ignored = (self.sides < least) | (self.sides >= most)
        return metrics.match_detections(self.found.boxes, self.found.scores, self.boxes, is_ignored, self.regions)


def _sides(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.minimum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])


def _gather(
    pictures: Sequence[Seen], outcomes: Sequence[NDArray[np.int64]], least: float, most: float = np.inf
) -> metrics.Detections:
    counts = [int(np.count_nonzero((one.sides >= least) & (one.sides < most))) for one in pictures]
    return metrics.Detections.gather([one.found.scores for one in pictures], outcomes, counts)


def detections_of(seen: Sequence[Seen]) -> metrics.Detections:
    """The counted detections in all pictures that are no crops, to draw curves from."""
    pictures = [one for one in seen if not one.sample.is_crop]
    return _gather(pictures, [one.outcomes(MIN_SIDE) for one in pictures], MIN_SIDE)


def _picture_rows(rows: Rows, pictures: list[Seen], threshold: float) -> dict[str, float]:
    groups = [group_of(one.sample) for one in pictures]
    outcomes = [one.outcomes(MIN_SIDE) for one in pictures]
    whole = _gather(pictures, outcomes, MIN_SIDE)
    faces, taken = int(whole.face_counts.sum()), int(np.count_nonzero(whole.scores >= threshold))
    thresholds = {}
    if faces:
        rows.estimate("ap50", whole.average_precision, groups, faces)
        rows.estimate("best_f1", whole.best_f1, groups, faces)
        rows.estimate("recall", whole.recall_at(threshold), groups, faces)
        rows.estimate("precision", whole.precision_at(threshold), groups, taken)
        found = {"best_f1": whole.best_f1_threshold(), "precision_99": whole.threshold_for_precision(0.99)}
        for name, value in found.items():
            rows.put(f"threshold_{name}", value, faces)
        quiet = _quiet_threshold([one.found.scores for one in pictures if one.sample.is_empty or one.sample.faces == ()])
        named = {"default": max(found["best_f1"], quiet), **found}
        thresholds = {name: round(value, 4) for name, value in named.items() if np.isfinite(value)}
    _keypoint_rows(rows, pictures, outcomes, threshold, groups)
    empty = [row for row, one in enumerate(pictures) if one.sample.is_empty or one.sample.faces == ()]
    alarms = np.array([bool((pictures[row].found.scores >= threshold).any()) for row in empty], bool)
    rows.share("false_faces", alarms, [groups[row] for row in empty])
    _size_rows(rows, pictures, threshold, groups)
    for source, members in slices_of([one.sample.source for one in pictures]).items():
        part = _gather([pictures[row] for row in members], [outcomes[row] for row in members], MIN_SIDE)
        _slice_rows(rows, part, threshold, [groups[row] for row in members], source)
    _attribute_rows(rows, pictures, outcomes, threshold, groups)
    return thresholds


def _slice_rows(rows: Rows, part: metrics.Detections, threshold: float, groups: Sequence[str], name: str) -> None:
    faces = int(part.face_counts.sum())
    rows.estimate("ap50", part.average_precision, groups, faces, name)
    rows.estimate("recall", part.recall_at(threshold), groups, faces, name)


def _size_rows(rows: Rows, pictures: list[Seen], threshold: float, groups: Sequence[str]) -> None:
    """As COCO does by area: false detections count only in the slice of their own size."""
    for least, most in SIZES:
        outcomes = []
        for one in pictures:
            outcome, sides = one.outcomes(least, most), _sides(one.found.boxes)
            outcome[(outcome == metrics.FALSE) & ((sides < least) | (sides >= most))] = metrics.NOT_COUNTED
            outcomes.append(outcome)
        name = f"{least} to {most:g} px" if np.isfinite(most) else f"{least} px and more"
        _slice_rows(rows, _gather(pictures, outcomes, least, most), threshold, groups, name)


def _attribute_rows(
    rows: Rows, pictures: list[Seen], outcomes: list[NDArray[np.int64]], threshold: float, groups: Sequence[str]
) -> None:
    counts: dict[str, NDArray[np.int64]] = {}
    for row, (one, outcome) in enumerate(zip(pictures, outcomes, strict=True)):
        hit = set(outcome[(outcome >= 0) & (one.found.scores >= threshold)].tolist())
        labels = [face for face in one.sample.faces or () if not face.is_ignored]
        for number, face in enumerate(labels):
            for name, answer in face.attributes.items():
                if isinstance(answer, str) and one.sides[number] >= MIN_SIDE:
                    tally = counts.setdefault(f"{name}: {answer}", np.zeros((2, len(pictures)), np.int64))
                    tally[:, row] += (number in hit, 1)
    for name, (hits, faces) in sorted(counts.items()):
        rows.estimate("recall", metrics.ratio(hits, faces), groups, int(faces.sum()), name)


def _quiet_threshold(scores: Sequence[NDArray[np.float32]]) -> float:
    """The smallest score from which on at most `MOST_FALSE` of these pictures, which show nobody, have a face; 0 without
    any pictures.
    """
    best = np.sort([float(one.max(initial=0)) for one in scores])[::-1]
    allowed = int(MOST_FALSE * len(best))
    return (math.floor(best[allowed] * 1e4) + 1) / 1e4 if len(best) > allowed else 0.0


def _keypoint_rows(
    rows: Rows, pictures: list[Seen], outcomes: list[NDArray[np.int64]], threshold: float, groups: Sequence[str]
) -> None:
    errors = []
    for one, outcome in zip(pictures, outcomes, strict=True):
        matched = np.flatnonzero((outcome >= 0) & (one.found.scores >= threshold))
        errors.append(metrics.keypoint_errors(one.found.keypoints[matched], one.keypoints[outcome[matched]]))
    _error_rows(rows, errors, groups, "all")


def _error_rows(rows: Rows, errors: Sequence[metrics.Float], groups: Sequence[str], name: str) -> None:
    """NME of all points and of each; ``errors`` holds (faces, 5) for each picture."""
    points = len(KEYPOINT_NAMES)
    known = [np.isfinite(one) for one in errors]
    sums = np.array([np.where(k, e, 0).sum(axis=0) for e, k in zip(errors, known, strict=True)]).reshape(-1, points)
    counts = np.array([k.sum(axis=0) for k in known]).reshape(-1, points)
    faces = sum(int(k.any(axis=1).sum()) for k in known)
    rows.estimate("nme", metrics.ratio(sums.sum(axis=1), counts.sum(axis=1)), groups, faces, name)
    if name == "all":
        for row, point in enumerate(KEYPOINT_NAMES):
            rows.estimate("nme", metrics.ratio(sums[:, row], counts[:, row]), groups, int(counts[:, row].sum()), point)


def _crop_rows(rows: Rows, crops: list[Seen], threshold: float, name: str) -> None:
    is_found = np.array([_is_found(one, threshold) for one in crops])
    groups = [group_of(one.sample) for one in crops]
    errors = [
        metrics.keypoint_errors(one.found.keypoints[:1], one.keypoints[:1]) if found and len(one.boxes) else np.zeros((0, 5))
        for one, found in zip(crops, is_found, strict=True)
    ]
    rows.share("found", is_found, groups, name)
    _error_rows(rows, errors, groups, name)
    for slice_, members in _crop_slices([one.sample for one in crops]):
        part = [groups[row] for row in members]
        rows.share("found", is_found[members], part, slice_)
        _error_rows(rows, [errors[row] for row in members], part, slice_)


def _is_found(crop: Seen, threshold: float) -> bool:
    """The best face scores enough and, where the crop's face is labelled, holds its centre."""
    if not len(crop.found) or crop.found.scores[0] < threshold:
        return False
    if not len(crop.boxes):
        return True
    centre, box = (crop.boxes[0, :2] + crop.boxes[0, 2:]) / 2, crop.found.boxes[0]
    return bool((centre >= box[:2]).all() and (centre <= box[2:]).all())


def _crop_slices(crops: Sequence[Sample]) -> Iterator[tuple[str, NDArray[np.int64]]]:
    yield from slices_of([crop.source for crop in crops]).items()
    for column in sorted({key for crop in crops for key in crop.labels} - {"source", "person", "group", "split"}):
        values = [crop.labels.get(column) for crop in crops]
        if column == "age":
            names = [_age_band(value) for value in values]
        else:
            names = [value if isinstance(value, str) else "" for value in values]
        for name, members in slices_of(names).items():
            yield f"{column}: {name}", members


def _age_band(age: object) -> str:
    for least, under in AGES:
        if isinstance(age, int | float) and least <= age < under:
            return f"{least} to {under - 1:g}" if np.isfinite(under) else f"{least} and more"
    return ""
