"""Judging a model file on labelled pictures: scores with 95 % intervals, for the whole set and for slices of it.

It runs the same model classes as everything else; torch is not needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien import metrics
from mien.data.sample import Sample, read_samples
from mien.errors import DataError, InputError
from mien.learn.scores import Report, Rows
from mien.models.faces import FaceModel
from mien.models.matte import MatteModel
from mien.models.onnx_file import read_onnx
from mien.models.store import model_path
from mien.types import KEYPOINT_NAMES, Faces

Progress = Callable[[int, int], None]
"""Called with the pictures done and their number."""
Detector = Callable[[NDArray[np.uint8]], Faces]

MIN_SIDE = 16
SIZES = ((16, 32), (32, 96), (96, np.inf))
AGES = ((0, 13), (13, 18), (18, 40), (40, 60), (60, np.inf))
FALSE_AREA = 0.01
MOST_FALSE = 0.01
BYSTANDER_MARGIN = 0.15
_LOWEST_SCORE = 0.02
_MOST_SLICES = 12


def evaluate(model: str | Path, data: str | Path, *, threads: int = 1, progress: Progress | None = None) -> Report:
    """Judge a model on a folder with ``metadata.jsonl`` or a Parquet file of face crops.

    model: a shipped model's name or an ONNX file. threads: of one model call. progress: called after each picture.

    Raises `ModelError` when the model cannot be used and `DataError` when the data cannot be read or has no labels for it.
    """
    card = read_onnx(model_path(model)).card
    tasks = {"faces": _evaluate_faces, "matte": _evaluate_matte, "attributes": _evaluate_attributes}
    if card.task not in tasks:
        raise DataError(f"{data}: there is no measure for a model for {card.task!r}, only for {', '.join(tasks)}")
    samples = read_samples(data)
    rows, thresholds, notes, pictures, *confusions = tasks[card.task](model, samples, str(data), threads, progress)
    return Report(f"{card.name} {card.version}", card.task, str(data), pictures, rows, thresholds, notes, *confusions)


_Result = tuple[Any, ...]
"""Rows, thresholds, notes, pictures and, for attributes, confusions: the last fields of a `Report`."""


def _evaluate_attributes(
    model: str | Path, samples: list[Sample], data: str, threads: int, progress: Progress | None
) -> _Result:
    from mien.learn.evaluate_attributes import attribute_rows, read_faces

    known, read = read_faces(model, _images(samples, data, progress), threads)
    rows, suggested, confusions = attribute_rows(known, read, data)
    return rows, suggested, [], len(samples), confusions


def _images(samples: Sequence[Sample], data: str, progress: Progress | None) -> Iterator[tuple[Sample, NDArray[np.uint8]]]:
    for done, sample in enumerate(samples, 1):
        try:
            image = sample.image()
        except InputError as error:
            raise DataError(f"{data}: {sample.name}: {error}") from None
        yield sample, image
        if progress is not None:
            progress(done, len(samples))


def _group(sample: Sample) -> str:
    return f"group/{sample.group}" if sample.group else f"picture/{sample.name}"


def _slices(names: Sequence[str]) -> dict[str, NDArray[np.int64]]:
    """Rows of each name, when there are at least two names and few enough to be slices."""
    distinct = sorted({name for name in names if name})
    if not 2 <= len(distinct) <= _MOST_SLICES:
        return {}
    return {name: np.flatnonzero([other == name for other in names]) for name in distinct}


# -------------------------------------------------------------------------------------------------------------------- faces


def _evaluate_faces(model: str | Path, samples: list[Sample], data: str, threads: int, progress: Progress | None) -> _Result:
    find = FaceModel(model, threads=threads, min_score=_LOWEST_SCORE)
    threshold = float(find.card.thresholds.get("default", find.session.settings.get("min_score", 0.5)))
    return _judge_detector(find, threshold, samples, data, progress)


def evaluate_detector(
    find: Detector, name: str, threshold: float, data: str | Path, progress: Progress | None = None
) -> Report:
    """Judge any face detector as `evaluate` judges ours.

    find: takes (H, W, 3) uint8 RGB and gives `Faces` by falling score, the weak ones too (from a score of 0.02 on), unknown
    keypoints as NaN. threshold: the score from which on it would be believed in use. Raises `DataError`.
    """
    rows, thresholds, notes, pictures = _judge_detector(find, threshold, read_samples(data), str(data), progress)
    return Report(name, "faces", str(data), pictures, rows, thresholds, notes)


def _judge_detector(
    find: Detector, threshold: float, samples: list[Sample], data: str, progress: Progress | None
) -> _Result:
    usable = [sample for sample in samples if sample.is_crop or sample.faces is not None or sample.is_empty]
    if not usable:
        raise DataError(f"{data}: a face model needs pictures with labelled faces or known to show none, found none")
    seen = [_Seen.of(sample, find(image)) for sample, image in _images(usable, data, progress)]
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
    return rows, thresholds, notes, len(seen)


@dataclass(frozen=True, eq=False)
class _Seen:
    """A picture, its labels as arrays, and what was found. boxes, sides, keypoints: of the faces that are not ignored."""

    sample: Sample
    found: Faces
    boxes: NDArray[np.float32]
    sides: NDArray[np.float32]
    keypoints: NDArray[np.float32]
    regions: NDArray[np.float32]

    @classmethod
    def of(cls, sample: Sample, found: Faces) -> _Seen:
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
    pictures: Sequence[_Seen], outcomes: Sequence[NDArray[np.int64]], least: float, most: float = np.inf
) -> metrics.Detections:
    counts = [int(np.count_nonzero((one.sides >= least) & (one.sides < most))) for one in pictures]
    return metrics.Detections.gather([one.found.scores for one in pictures], outcomes, counts)


def _picture_rows(rows: Rows, pictures: list[_Seen], threshold: float) -> dict[str, float]:
    groups = [_group(one.sample) for one in pictures]
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
    for source, members in _slices([one.sample.source for one in pictures]).items():
        part = _gather([pictures[row] for row in members], [outcomes[row] for row in members], MIN_SIDE)
        _slice_rows(rows, part, threshold, [groups[row] for row in members], source)
    _attribute_rows(rows, pictures, outcomes, threshold, groups)
    return thresholds


def _slice_rows(rows: Rows, part: metrics.Detections, threshold: float, groups: Sequence[str], name: str) -> None:
    faces = int(part.face_counts.sum())
    rows.estimate("ap50", part.average_precision, groups, faces, name)
    rows.estimate("recall", part.recall_at(threshold), groups, faces, name)


def _size_rows(rows: Rows, pictures: list[_Seen], threshold: float, groups: Sequence[str]) -> None:
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
    rows: Rows, pictures: list[_Seen], outcomes: list[NDArray[np.int64]], threshold: float, groups: Sequence[str]
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
    rows: Rows, pictures: list[_Seen], outcomes: list[NDArray[np.int64]], threshold: float, groups: Sequence[str]
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


def _crop_rows(rows: Rows, crops: list[_Seen], threshold: float, name: str) -> None:
    is_found = np.array([_is_found(one, threshold) for one in crops])
    groups = [_group(one.sample) for one in crops]
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


def _is_found(crop: _Seen, threshold: float) -> bool:
    """The best face scores enough and, where the crop's face is labelled, holds its centre."""
    if not len(crop.found) or crop.found.scores[0] < threshold:
        return False
    if not len(crop.boxes):
        return True
    centre, box = (crop.boxes[0, :2] + crop.boxes[0, 2:]) / 2, crop.found.boxes[0]
    return bool((centre >= box[:2]).all() and (centre <= box[2:]).all())


def _crop_slices(crops: Sequence[Sample]) -> Iterator[tuple[str, NDArray[np.int64]]]:
    yield from _slices([crop.source for crop in crops]).items()
    for column in sorted({key for crop in crops for key in crop.labels} - {"source", "person", "group", "split"}):
        values = [crop.labels.get(column) for crop in crops]
        if column == "age":
            names = [_age_band(value) for value in values]
        else:
            names = [value if isinstance(value, str) else "" for value in values]
        for name, members in _slices(names).items():
            yield f"{column}: {name}", members


def _age_band(age: object) -> str:
    for least, under in AGES:
        if isinstance(age, int | float) and least <= age < under:
            return f"{least} to {under - 1:g}" if np.isfinite(under) else f"{least} and more"
    return ""


# -------------------------------------------------------------------------------------------------------------------- matte


def _evaluate_matte(model: str | Path, samples: list[Sample], data: str, threads: int, progress: Progress | None) -> _Result:
    usable = [sample for sample in samples if sample.matte is not None or sample.is_empty]
    if not usable:
        raise DataError(f"{data}: a matte model needs pictures with a matte or known to show nobody, found none")
    cut_out = MatteModel(model, threads=threads)
    shown: list[Sample] = []
    values: dict[str, list[float]] = {"iou": [], "boundary_f": [], "mae": []}
    empty: list[Sample] = []
    alarms: list[bool] = []
    partly = 0
    for sample, image in _images(usable, data, progress):
        matte = cut_out(image)
        if sample.matte is None:
            empty.append(sample)
            alarms.append(metrics.person_share(matte) > FALSE_AREA)
            continue
        truth = _truth(sample, matte.shape, data)
        counted = _near_person(truth) if sample.kind == "fullbody" else None
        partly += counted is not None
        shown.append(sample)
        values["iou"].append(metrics.matte_iou(matte, truth, counted))
        values["boundary_f"].append(metrics.boundary_f(matte, truth, counted))
        values["mae"].append(metrics.matte_error(matte, truth, counted))
    rows = Rows()
    _matte_rows(rows, values, np.array(alarms, bool), shown, empty)
    notes = []
    if partly:
        margin = f"{BYSTANDER_MARGIN:.0%} of the long side"
        notes.append(f"in {partly} full-body pictures only pixels within {margin} of the labelled person's box count")
    return rows, {}, notes, len(usable)


def _matte_rows(
    rows: Rows, values: Mapping[str, list[float]], alarms: NDArray[np.bool_], shown: list[Sample], empty: list[Sample]
) -> None:
    def put(slice_: str, of_shown: Iterable[int], of_empty: Iterable[int]) -> None:
        picked, others = list(of_shown), list(of_empty)
        groups = [_group(shown[row]) for row in picked]
        for metric, value in values.items():
            rows.estimate(metric, metrics.ratio([value[row] for row in picked]), groups, len(picked), slice_)
        rows.share("false_person", alarms[others], [_group(empty[row]) for row in others], slice_)

    put("all", range(len(shown)), range(len(empty)))
    for slice_, members in _slices([sample.kind for sample in shown]).items():
        put(slice_, members.tolist(), [])
    shown_sources, empty_sources = _slices([one.source for one in shown]), _slices([one.source for one in empty])
    nobody = np.zeros(0, np.int64)
    for source in dict.fromkeys([*shown_sources, *empty_sources]):
        put(source, shown_sources.get(source, nobody).tolist(), empty_sources.get(source, nobody).tolist())


def _truth(sample: Sample, shape: tuple[int, ...], data: str) -> NDArray[np.float32]:
    try:
        truth = sample.matte_image()
    except InputError as error:
        raise DataError(f"{data}: {sample.name}: matte: {error}") from None
    if truth.shape != shape:
        raise DataError(f"{data}: {sample.name}: expected a matte of the picture's {shape}, got {truth.shape}")
    return truth.astype(np.float32) / np.float32(255)


def _near_person(truth: NDArray[np.float32]) -> NDArray[np.bool_] | None:
    """Pixels near the labelled person: bystanders further off are not labelled. None where no person is labelled."""
    ys, xs = np.nonzero(truth > 0.5)
    if not len(ys):
        return None
    margin = round(BYSTANDER_MARGIN * max(truth.shape))
    near = np.zeros(truth.shape, bool)
    near[max(0, ys.min() - margin) : ys.max() + margin + 1, max(0, xs.min() - margin) : xs.max() + margin + 1] = True
    return near
