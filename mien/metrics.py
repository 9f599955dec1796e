"""Measures: arrays in, numbers out. Each docstring says what is computed and where the definition comes from.

Intervals come from resampling pictures. To make that cheap, everything is matched once; a measure is then a function of how
often each picture was drawn (``weights``, (R, P) for R resamples of P pictures), computed for all resamples at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import InputError
from mien.geometry import covered_share, iou
from mien.types import KEYPOINT_NAMES

Float = NDArray[np.floating[Any]]
Statistic = Callable[[Float], Float]
"""(R, P) weights in, (R,) values out."""

FALSE = -1
"""Outcome of a detection that is no face."""
NOT_COUNTED = -2
"""Outcome of a detection that speaks neither for nor against the model."""

_CHUNK = 4_000_000


# ---------------------------------------------------------------------------------------------------------------- detection


def match_detections(
    boxes: Float,
    scores: Float,
    faces: Float,
    is_ignored: NDArray[np.bool_] | None = None,
    regions: Float | None = None,
    *,
    min_iou: float = 0.5,
    min_cover: float = 0.5,
) -> NDArray[np.int64]:
    """What each detection of one picture hit: the row of a face, `FALSE` or `NOT_COUNTED`.

    boxes: (D, 4), scores: (D,), faces: (F, 4), ``x1 y1 x2 y2``. is_ignored: (F,), faces that need not be found (too small,
    say). regions: (M, 4), areas in which nobody labelled.

    Greedy by falling score: a detection takes the free face that it overlaps most, if by ``min_iou`` at least; without one,
    it is not counted when it so overlaps a free ignored face, or when a region covers ``min_cover`` of it; else it is false.
    These are the rules of COCO (Lin et al. 2014, `pycocotools` COCOeval), where a region is a "crowd" annotation.
    """
    is_ignored = np.zeros(len(faces), bool) if is_ignored is None else is_ignored
    regions = np.zeros((0, 4), np.float32) if regions is None else regions
    if not len(faces) and not len(regions):
        return np.full(len(boxes), FALSE, np.int64)
    overlaps, covers = iou(_boxes(boxes), _boxes(faces)), covered_share(_boxes(boxes), _boxes(regions))
    outcome = np.full(len(boxes), FALSE, np.int64)
    is_free = np.ones(len(faces), bool)
    for row in np.argsort(-np.asarray(scores), kind="stable"):
        best = _best(overlaps[row], is_free & ~is_ignored, min_iou)
        if best is not None:
            outcome[row], is_free[best] = best, False
            continue
        ignored, region = _best(overlaps[row], is_free & is_ignored, min_iou), covers[row].max(initial=0)
        if ignored is not None or region >= min_cover:
            outcome[row] = NOT_COUNTED
        if ignored is not None and (region < min_cover or overlaps[row][ignored] > region):
            is_free[ignored] = False
    return outcome


def _boxes(boxes: Float) -> NDArray[np.float32]:
    return np.asarray(boxes, np.float32).reshape(-1, 4)


def _best(overlaps: Float, is_open: NDArray[np.bool_], least: float) -> int | None:
    open_overlaps = np.where(is_open, overlaps, -1)
    best = int(np.argmax(open_overlaps)) if len(overlaps) else -1
    return best if best >= 0 and open_overlaps[best] >= least else None


@dataclass(frozen=True, eq=False)
class Detections:
    """The counted detections of P pictures by falling score, matched.

    scores: (D,). is_hit: (D,), it hit a face. picture: (D,), row of its picture. face_counts: (P,), faces to find in each.
    """

    scores: NDArray[np.float64]
    is_hit: NDArray[np.bool_]
    picture: NDArray[np.int64]
    face_counts: NDArray[np.int64]

    @classmethod
    def gather(
        cls, scores: Sequence[Float], outcomes: Sequence[NDArray[np.int64]], face_counts: Sequence[int]
    ) -> Detections:
        """Join scores and outcomes (see `match_detections`) of all pictures. Raises `InputError` when the lengths differ."""
        if not len(scores) == len(outcomes) == len(face_counts):
            lengths = f"{len(scores)}, {len(outcomes)} and {len(face_counts)}"
            raise InputError(f"detections: expected scores, outcomes and face counts for the same pictures, got {lengths}")
        picture = np.repeat(np.arange(len(scores)), [len(one) for one in scores])
        score = np.concatenate([np.zeros(0), *scores])
        outcome = np.concatenate([np.zeros(0, np.int64), *outcomes])
        counted = np.flatnonzero(outcome != NOT_COUNTED)
        order = counted[np.argsort(-score[counted], kind="stable")]
        return cls(score[order], outcome[order] >= 0, picture[order], np.asarray(face_counts, np.int64))

    def average_precision(self, weights: Float | None = None) -> Float:
        """Area under the precision-recall curve, (R,); NaN where there is no face to find.

        All points, each precision raised to the best one at that recall or more (PASCAL VOC from 2010, Everingham et al.
        2015). COCO samples the same curve at 101 recalls.
        """

        def area(hits: Float, found: Float, faces: Float) -> Float:
            precision = hits / np.maximum(found, 1e-12)
            envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
            recall_steps = np.diff(hits, axis=1, prepend=0) / faces[:, None]
            return np.sum(recall_steps * envelope, axis=1)

        return self._over_curve(area, weights)

    def best_f1(self, weights: Float | None = None) -> Float:
        """The largest F1, ``2 TP / (2 TP + FP + FN)``, over all thresholds, (R,)."""
        return self._over_curve(lambda hits, found, faces: _f1(hits, found, faces).max(axis=1, initial=0), weights)

    def best_f1_threshold(self) -> float:
        """The score from which on detections count for the best F1; NaN without detections."""
        hits, found, faces = self._curve(np.ones((1, len(self.face_counts))))
        return float(self.scores[self._ends[int(np.argmax(_f1(hits, found, faces)))]]) if len(self.scores) else float("nan")

    def threshold_for_precision(self, precision: float) -> float:
        """The lowest score from which on at least this share of the detections hit; NaN where there is none."""
        hits, found, _ = self._curve(np.ones((1, len(self.face_counts))))
        rows = np.flatnonzero(hits[0] >= precision * found[0]) if len(self.scores) else np.zeros(0, np.int64)
        return float(self.scores[self._ends[rows[-1]]]) if len(rows) else float("nan")

    def recall_at(self, threshold: float) -> Statistic:
        """Share of the faces that a detection with this score or more hits."""
        hits, _ = self._per_picture(threshold)
        return ratio(hits, self.face_counts)

    def precision_at(self, threshold: float) -> Statistic:
        """Share of the detections with this score or more that hit a face."""
        return ratio(*self._per_picture(threshold))

    def _per_picture(self, threshold: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        taken = self.scores >= threshold
        pictures = len(self.face_counts)
        hits = np.bincount(self.picture[taken & self.is_hit], minlength=pictures)
        return hits, np.bincount(self.picture[taken], minlength=pictures)

    @property
    def _ends(self) -> NDArray[np.int64]:
        """Rows after which the score falls: thresholds cannot lie between equal scores."""
        return np.flatnonzero(np.append(np.diff(self.scores) != 0, True))[: len(self.scores)]

    def _curve(self, weights: Float) -> tuple[Float, Float, Float]:
        drawn = weights[:, self.picture]
        ends = self._ends
        hits = np.cumsum(drawn * self.is_hit, axis=1)[:, ends]
        return hits, np.cumsum(drawn, axis=1)[:, ends], weights @ self.face_counts

    def _over_curve(self, measure: Callable[[Float, Float, Float], Float], weights: Float | None) -> Float:
        weights = np.ones((1, len(self.face_counts))) if weights is None else weights
        step = max(1, _CHUNK // max(1, len(self.scores)))
        parts = []
        for start in range(0, len(weights), step):
            hits, found, faces = self._curve(weights[start : start + step])
            faces = np.where(faces > 0, faces, np.nan)
            parts.append(np.where(faces > 0, measure(hits, found, faces), np.nan))
        return np.concatenate(parts)


def _f1(hits: Float, found: Float, faces: Float) -> Float:
    return 2 * hits / np.maximum(found + faces[:, None], 1e-12)


# ---------------------------------------------------------------------------------------------------------------- intervals


def ratio(numerators: ArrayLike, denominators: ArrayLike | None = None) -> Statistic:
    """The statistic "sum over sum" of values per picture, (P,); without ``denominators`` the mean. NaN where these are 0."""
    over = np.asarray(numerators, np.float64)
    under = np.ones_like(over) if denominators is None else np.asarray(denominators, np.float64)

    def value(weights: Float) -> Float:
        total = weights @ under
        return np.asarray(np.where(total > 0, weights @ over / np.where(total > 0, total, 1), np.nan))

    return value


def bootstrap_interval(
    statistic: Statistic, groups: Sequence[Hashable], *, resamples: int = 1000, confidence: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Percentile interval of a statistic when groups of pictures are drawn with replacement (Efron 1979).

    groups: what each picture belongs to (a person, a session); members are drawn together. NaN for fewer than two groups.
    """
    rows = {group: row for row, group in enumerate(dict.fromkeys(groups))}
    if len(rows) < 2:
        return float("nan"), float("nan")
    member = np.array([rows[group] for group in groups])
    rng, values = np.random.default_rng(seed), []
    step = max(1, _CHUNK // len(groups))
    for start in range(0, resamples, step):
        drawn = rng.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=min(step, resamples - start))
        values.append(statistic(drawn[:, member].astype(np.float32)))
    value = np.concatenate(values)
    value = value[~np.isnan(value)]
    if not len(value):
        return float("nan"), float("nan")
    low, high = np.quantile(value, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def wilson_interval(successes: float, count: float, *, confidence: float = 0.95) -> tuple[float, float]:
    """Interval of a proportion (Wilson 1927); it stays wide where all or none succeeded. NaN for ``count`` 0."""
    if count <= 0:
        return float("nan"), float("nan")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / count
    middle = share + z * z / (2 * count)
    reach = z * float(np.sqrt(share * (1 - share) / count + z * z / (4 * count * count)))
    under = 1 + z * z / count
    return max(0.0, (middle - reach) / under), min(1.0, (middle + reach) / under)


# ---------------------------------------------------------------------------------------------------------------- keypoints


def keypoint_errors(predicted: Float, labelled: Float) -> Float:
    """Distance of each keypoint over the distance of the labelled eyes: (N, 5, 2) twice give (N, 5), NaN where not labelled.

    Its mean is the normalised mean error (NME) with inter-pupil distance (300-W, Sagonas et al. 2013).
    """
    left, right = KEYPOINT_NAMES.index("left_eye"), KEYPOINT_NAMES.index("right_eye")
    eyes = np.linalg.norm(labelled[:, left] - labelled[:, right], axis=1)
    distance = np.linalg.norm(np.asarray(predicted, np.float64) - labelled, axis=2)
    return np.asarray(distance / np.where(eyes > 0, eyes, np.nan)[:, None])


# ------------------------------------------------------------------------------------------------------------------- mattes


def matte_iou(matte: Float, truth: Float, is_counted: NDArray[np.bool_] | None = None) -> float:
    """Intersection over union of the pixels over 0.5, (H, W) each; 1 where neither has any. Only counted pixels."""
    mask, wanted = _hard(matte, truth, is_counted)
    union = np.count_nonzero(mask | wanted)
    return np.count_nonzero(mask & wanted) / union if union else 1.0


def matte_error(matte: Float, truth: Float, is_counted: NDArray[np.bool_] | None = None) -> float:
    """Mean absolute difference of the soft mattes (MAE), over the counted pixels."""
    difference = np.abs(np.asarray(matte, np.float32) - truth)
    return float(difference.mean() if is_counted is None else difference[is_counted].mean())


def boundary_f(matte: Float, truth: Float, is_counted: NDArray[np.bool_] | None = None, *, reach_px: float = 3) -> float:
    """F measure of the outline, "BF score": how much of each lies within ``reach_px`` of the other (Csurka et al. 2013).

    The outline is every pixel over 0.5 with a 4-neighbour that is not; the picture's own border is none. 1 where neither has
    an outline, 0 where only one has.
    """
    import cv2

    cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)
    outlines = []
    for mask in _hard(matte, truth, None):
        whole = mask.astype(np.uint8)
        outline = (whole - cv2.erode(whole, cross)).astype(bool)
        outlines.append(outline if is_counted is None else outline & is_counted)
    found, wanted = outlines
    if not found.any() or not wanted.any():
        return float(found.any() == wanted.any())
    to_found, to_wanted = (
        cv2.distanceTransform((~one).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for one in outlines
    )
    precision = float(np.mean(to_wanted[found] <= reach_px))
    recall = float(np.mean(to_found[wanted] <= reach_px))
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def person_share(matte: Float) -> float:
    """Share of the picture that is taken for person (over 0.5); all of it is false where nobody is shown."""
    return float(np.mean(np.asarray(matte) > 0.5))


def flicker(mattes: Float) -> float:
    """Mean absolute difference of consecutive mattes, (T, H, W), of a still scene; 0 for a single one."""
    return float(np.abs(np.diff(np.asarray(mattes, np.float32), axis=0)).mean()) if len(mattes) > 1 else 0.0


def _hard(matte: Float, truth: Float, is_counted: NDArray[np.bool_] | None) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    if np.shape(matte) != np.shape(truth):
        raise InputError(f"matte: expected the shape of the truth, {np.shape(truth)}, got {np.shape(matte)}")
    mask, wanted = np.asarray(matte) > 0.5, np.asarray(truth) > 0.5
    return (mask, wanted) if is_counted is None else (mask & is_counted, wanted & is_counted)


# --------------------------------------------------------------------------------------------------------------- attributes


def confusion_matrix(labels: NDArray[np.int64], predictions: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """How often each label (rows) was answered as each class (columns): (N,) twice give (classes, classes)."""
    pairs = np.asarray(labels, np.int64) * classes + np.asarray(predictions, np.int64)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def balanced_accuracy(confusion: NDArray[np.int64]) -> float:
    """Mean over the classes that occur of the share of their samples answered right (Brodersen et al. 2010)."""
    counts = confusion.sum(axis=1)
    return float(np.mean(np.diag(confusion)[counts > 0] / counts[counts > 0])) if counts.any() else float("nan")


def macro_f1(confusion: NDArray[np.int64]) -> float:
    """Mean of the F1 of each class that occurs in labels or answers."""
    total = confusion.sum(axis=0) + confusion.sum(axis=1)
    return float(np.mean(2 * np.diag(confusion)[total > 0] / total[total > 0])) if total.any() else float("nan")


def calibration_error(confidences: Float, is_right: NDArray[np.bool_], *, bins: int = 15) -> float:
    """Expected calibration error (ECE): mean gap of confidence and share of right answers in bins (Guo et al. 2017)."""
    if not len(confidences):
        return float("nan")
    confidences = np.asarray(confidences, np.float64)
    row = _confidence_bins(confidences, bins)
    gap = np.bincount(row, weights=np.asarray(is_right, np.float64) - confidences, minlength=bins)
    return float(np.abs(gap).sum() / len(confidences))


@dataclass(frozen=True, eq=False)
class Reliability:
    """How often answers of each confidence are right: bins with an answer in them, (B,) each.

    confidence: mean of the answers in the bin. accuracy: share of them that is right. count: how many there are.
    """

    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    count: NDArray[np.int64]


def reliability(confidences: Float, is_right: NDArray[np.bool_], *, bins: int = 15) -> Reliability:
    """The reliability diagram (Niculescu-Mizil and Caruana 2005) in the bins of `calibration_error`."""
    row = _confidence_bins(np.asarray(confidences, np.float64), bins)
    count = np.bincount(row, minlength=bins)
    used = count > 0
    means = [np.bincount(row, weights=np.asarray(v, np.float64), minlength=bins)[used] for v in (confidences, is_right)]
    return Reliability(means[0] / count[used], means[1] / count[used], count[used])


def precision_recall(scores: Float, is_hit: NDArray[np.bool_], wanted: int) -> tuple[Float, Float]:
    """Precision and recall, (T,) each, at every score as the threshold, from the highest on.

    scores: (N,). is_hit: whether each is one of the ``wanted`` things.
    """
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    ordered = np.asarray(scores, np.float64)[order]
    ends = np.flatnonzero(np.append(np.diff(ordered) != 0, True))[: len(order)]
    hits = np.cumsum(np.asarray(is_hit, np.float64)[order])[ends]
    return hits / (ends + 1), hits / max(1, wanted)


def area_under(precision: Float, recall: Float) -> float:
    """Average precision: the area under the steps of `precision_recall`; 0 for an empty curve."""
    return float(np.sum(np.diff(recall, prepend=0) * precision))


def _confidence_bins(confidences: Float, bins: int) -> NDArray[np.int64]:
    return np.clip(np.ceil(confidences * bins).astype(np.int64) - 1, 0, bins - 1)
