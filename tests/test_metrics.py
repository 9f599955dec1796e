"""Measures against worked examples, brute force and pycocotools."""

from __future__ import annotations

import contextlib
import io
import time
from typing import Any

import numpy as np
import pytest

from mien import metrics
from mien.errors import InputError
from mien.metrics import FALSE, NOT_COUNTED, Detections


def random_set(seed: int, pictures: int) -> list[dict[str, np.ndarray]]:
    """Pictures with faces, regions nobody labelled, and detections: near faces, doubled, inside regions, or anywhere."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(pictures):
        corner = rng.uniform(0, 180, (rng.integers(0, 7), 2))
        size = rng.uniform(6, 60, (len(corner), 2))
        faces = np.hstack([corner, corner + size])
        region_corner = rng.uniform(0, 150, (rng.integers(0, 3), 2))
        regions = np.hstack([region_corner, region_corner + rng.uniform(20, 80, region_corner.shape)])
        near = np.repeat(faces, rng.integers(0, 3, len(faces)), axis=0)
        near = near + rng.normal(0, 0.12, near.shape) * np.tile(near[:, 2:] - near[:, :2], 2)
        loose_corner = rng.uniform(0, 190, (rng.integers(0, 5), 2))
        loose = np.hstack([loose_corner, loose_corner + rng.uniform(6, 50, loose_corner.shape)])
        boxes = np.vstack([near, loose])
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 2)
        made.append({"faces": faces, "regions": regions, "boxes": boxes, "scores": rng.uniform(0, 1, len(boxes))})
    return made


def area(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def coco_average_precision(made: list[dict[str, np.ndarray]], least_area: float) -> tuple[float, np.ndarray]:
    """AP at IoU 0.5 by pycocotools, faces under ``least_area`` ignored, and its precision at 101 recalls."""
    coco_module = pytest.importorskip("pycocotools.coco")
    from pycocotools.cocoeval import COCOeval

    def entry(number: int, image: int, box: np.ndarray, crowd: int) -> dict[str, Any]:
        x, y, x2, y2 = map(float, box)
        bbox = [x, y, x2 - x, y2 - y]
        return {"id": number, "image_id": image, "category_id": 1, "bbox": bbox, "area": bbox[2] * bbox[3], "iscrowd": crowd}

    labels: list[dict[str, Any]] = []
    for image, one in enumerate(made, 1):
        for crowd, boxes in ((0, one["faces"]), (1, one["regions"])):
            labels += [entry(len(labels) + 1 + row, image, box, crowd) for row, box in enumerate(boxes)]
    found = [
        {**entry(0, image, box, 0), "score": float(score)}
        for image, one in enumerate(made, 1)
        for box, score in zip(one["boxes"], one["scores"], strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco_module.COCO()
        images = [{"id": number} for number in range(1, len(made) + 1)]
        truth.dataset = {"info": {}, "images": images, "annotations": labels, "categories": [{"id": 1}]}
        truth.createIndex()
        judge = COCOeval(truth, truth.loadRes([{key: v for key, v in one.items() if key != "id"} for one in found]), "bbox")
        judge.params.iouThrs, judge.params.maxDets = np.array([0.5]), [1000]
        judge.params.areaRng, judge.params.areaRngLbl = [[least_area, 1e9]], ["all"]
        judge.evaluate()
        judge.accumulate()
    precision = judge.eval["precision"][0, :, 0, 0, 0]
    return float(precision.mean()), precision


def our_detections(made: list[dict[str, np.ndarray]], least_area: float) -> Detections:
    outcomes = []
    for one in made:
        is_small = area(one["faces"]) < least_area
        outcome = metrics.match_detections(one["boxes"], one["scores"], one["faces"], is_small, one["regions"])
        outcome[(outcome == FALSE) & (area(one["boxes"]) < least_area)] = NOT_COUNTED
        outcomes.append(outcome)
    counts = [int(np.count_nonzero(area(one["faces"]) >= least_area)) for one in made]
    return Detections.gather([one["scores"] for one in made], outcomes, counts)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("least_area", [0.0, 400.0])
def test_precision_and_recall_are_those_of_pycocotools(seed: int, least_area: float) -> None:
    made = random_set(seed, 40)
    expected, expected_precision = coco_average_precision(made, least_area)
    ours = our_detections(made, least_area)
    hits = np.cumsum(ours.is_hit)
    precision, recall = hits / np.arange(1, len(hits) + 1), hits / ours.face_counts.sum()
    envelope = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0)
    sampled = envelope[np.searchsorted(recall, np.linspace(0, 1, 101), side="left")]
    np.testing.assert_allclose(sampled, expected_precision, atol=1e-6)
    assert ours.average_precision()[0] == pytest.approx(expected, abs=0.01)


def test_average_precision_of_a_worked_example() -> None:
    ours = Detections.gather([np.array([0.9, 0.8, 0.7, 0.6])], [np.array([0, FALSE, 1, FALSE])], [4])
    assert ours.average_precision()[0] == pytest.approx(0.25 * 1 + 0.25 * 2 / 3)
    assert ours.best_f1()[0] == pytest.approx(2 * 2 / (3 + 4))
    assert ours.best_f1_threshold() == 0.7
    assert ours.threshold_for_precision(0.99) == 0.9
    assert ours.threshold_for_precision(0.6) == 0.7
    one = np.ones((1, 1))
    assert ours.recall_at(0.7)(one)[0] == 0.5
    assert ours.precision_at(0.7)(one)[0] == pytest.approx(2 / 3)


def test_equal_scores_count_together_in_any_order() -> None:
    first = Detections.gather([np.full(3, 0.5)], [np.array([FALSE, 0, 1])], [2])
    second = Detections.gather([np.full(3, 0.5)], [np.array([0, 1, FALSE])], [2])
    assert first.average_precision()[0] == second.average_precision()[0] == pytest.approx(2 / 3)
    assert first.best_f1()[0] == second.best_f1()[0] == pytest.approx(0.8)


def test_nothing_found_and_nothing_to_find() -> None:
    missed = Detections.gather([np.zeros(0)], [np.zeros(0, np.int64)], [3])
    assert missed.average_precision()[0] == 0
    assert missed.best_f1()[0] == 0
    assert np.isnan(missed.best_f1_threshold())
    assert np.isnan(missed.threshold_for_precision(0.9))
    nobody = Detections.gather([np.array([0.9])], [np.array([FALSE])], [0])
    assert np.isnan(nobody.average_precision()[0])
    assert np.isnan(nobody.recall_at(0.5)(np.ones((1, 1)))[0])
    with pytest.raises(InputError, match="got 1, 1 and 2"):
        Detections.gather([np.zeros(0)], [np.zeros(0, np.int64)], [1, 2])


def test_matching_is_greedy_and_takes_each_face_once() -> None:
    faces = np.array([[0, 0, 10, 10], [100, 0, 110, 10]])
    boxes = np.array([[0, 0, 10, 9], [0, 0, 10, 10], [50, 50, 60, 60], [100, 0, 110, 10]])
    scores = np.array([0.9, 0.8, 0.7, 0.6])
    assert metrics.match_detections(boxes, scores, faces).tolist() == [0, FALSE, FALSE, 1]
    assert metrics.match_detections(boxes[::-1], scores[::-1], faces).tolist() == [1, FALSE, FALSE, 0]


def test_ignored_faces_and_regions_count_neither_way() -> None:
    faces, regions = np.array([[0, 0, 10, 10]]), np.array([[100, 100, 200, 200]])
    boxes = np.array([[0, 0, 10, 10], [1, 0, 10, 10], [110, 110, 120, 120], [95, 110, 105, 120], [94, 110, 104, 120]])
    outcome = metrics.match_detections(boxes, np.linspace(0.9, 0.5, 5), faces, np.array([True]), regions)
    assert outcome.tolist() == [NOT_COUNTED, FALSE, NOT_COUNTED, NOT_COUNTED, FALSE]


def test_a_real_face_comes_before_an_ignored_one_that_overlaps_more() -> None:
    faces = np.array([[0, 0, 10, 10], [0, 0, 10, 14]])
    outcome = metrics.match_detections(np.array([[0, 0, 10, 14]]), np.ones(1), faces, np.array([False, True]))
    assert outcome.tolist() == [0]


def test_weights_are_repeated_pictures() -> None:
    made = random_set(3, 12)
    ours = our_detections(made, 0)
    drawn = np.random.default_rng(0).integers(0, 3, (5, 12))
    by_weights = ours.average_precision(drawn.astype(float)), ours.best_f1(drawn.astype(float))
    for row, counts in enumerate(drawn):
        repeated = our_detections([one for one, count in zip(made, counts, strict=True) for _ in range(count)], 0)
        assert by_weights[0][row] == pytest.approx(repeated.average_precision()[0])
        assert by_weights[1][row] == pytest.approx(repeated.best_f1()[0])


def test_a_thousand_resamples_of_two_thousand_detections_are_quick() -> None:
    rng = np.random.default_rng(0)
    scores, outcomes = rng.uniform(0, 1, (500, 4)), np.where(rng.uniform(0, 1, (500, 4)) < 0.7, 0, FALSE)
    ours = Detections.gather(list(scores), list(outcomes), [4] * 500)
    started = time.process_time()
    low, high = metrics.bootstrap_interval(ours.average_precision, [str(row) for row in range(500)])
    assert time.process_time() - started < 2
    assert low < ours.average_precision()[0] < high
    assert high - low < 0.1


def test_bootstrap_intervals_cover_the_mean_as_often_as_they_say() -> None:
    rng, covered = np.random.default_rng(1), 0
    for trial in range(200):
        values = rng.normal(3, 1, 60)
        low, high = metrics.bootstrap_interval(metrics.ratio(values), range(60), resamples=300, seed=trial)
        covered += low <= 3 <= high
    assert 0.89 <= covered / 200 <= 0.99


def test_groups_are_drawn_together() -> None:
    values = np.repeat(np.random.default_rng(0).normal(0, 1, 20), 10)
    alone = np.subtract(*metrics.bootstrap_interval(metrics.ratio(values), range(200)))
    grouped = np.subtract(*metrics.bootstrap_interval(metrics.ratio(values), np.repeat(np.arange(20), 10).tolist()))
    assert abs(grouped) > 2 * abs(alone)
    assert np.isnan(metrics.bootstrap_interval(metrics.ratio(values), ["one"] * 200)).all()


def test_bootstrap_is_repeatable() -> None:
    values = np.random.default_rng(0).normal(0, 1, 30)
    first, second = (metrics.bootstrap_interval(metrics.ratio(values), range(30), seed=4) for _ in range(2))
    assert first == second


def test_wilson_interval_as_published() -> None:
    assert metrics.wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)  # Newcombe 1998, table I
    assert metrics.wilson_interval(0, 20) == pytest.approx((0, 0.1611), abs=1e-4)
    assert metrics.wilson_interval(29, 29)[1] == 1
    assert np.isnan(metrics.wilson_interval(0, 0)).all()


def test_keypoint_errors_are_in_eye_distances() -> None:
    labelled = np.array([[[30, 10], [10, 10], [20, 20], [28, 30], [12, 30]]], float)
    predicted = labelled + np.array([3, 4])
    np.testing.assert_allclose(metrics.keypoint_errors(predicted, labelled), np.full((1, 5), 0.25))
    labelled[0, 3] = np.nan
    assert np.isnan(metrics.keypoint_errors(predicted, labelled)).tolist() == [[False, False, False, True, False]]
    labelled[0, 0] = labelled[0, 1]
    assert np.isnan(metrics.keypoint_errors(predicted, labelled)).all()


def test_matte_measures_of_a_shifted_square() -> None:
    truth, matte = np.zeros((60, 80), np.float32), np.zeros((60, 80), np.float32)
    truth[20:40, 20:40] = 1
    matte[20:40, 24:44] = 0.8
    assert metrics.matte_iou(matte, truth) == pytest.approx(16 / 24)
    assert metrics.matte_error(matte, truth) == pytest.approx((80 * 1 + 80 * 0.8 + 320 * 0.2) / 4800)
    assert metrics.person_share(matte) == pytest.approx(400 / 4800)
    counted = np.zeros((60, 80), bool)
    counted[:, :40] = True
    assert metrics.matte_iou(matte, truth, counted) == pytest.approx(16 / 20)
    assert metrics.matte_iou(np.zeros((4, 4)), np.zeros((4, 4))) == 1
    with pytest.raises(InputError, match="expected the shape of the truth"):
        metrics.matte_iou(matte, truth[1:])


def brute_boundary_f(matte: np.ndarray, truth: np.ndarray, reach: float) -> float:
    def outline(mask: np.ndarray) -> np.ndarray:
        padded = np.pad(mask, 1, mode="edge")
        inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
        return np.argwhere(mask & ~inner)

    found, wanted = outline(matte > 0.5), outline(truth > 0.5)
    distance = np.linalg.norm(found[:, None] - wanted[None], axis=2)
    precision, recall = np.mean(distance.min(axis=1) <= reach), np.mean(distance.min(axis=0) <= reach)
    return 2 * precision * recall / (precision + recall)


@pytest.mark.parametrize("seed", range(4))
def test_boundary_f_against_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:50, :70]
    matte, truth = (
        (((rows - y) / a) ** 2 + ((columns - x) / b) ** 2 < 1).astype(np.float32)
        for y, x, a, b in rng.uniform((20, 30, 12, 15), (30, 40, 24, 30), (2, 4))
    )
    assert metrics.boundary_f(matte, truth) == pytest.approx(brute_boundary_f(matte, truth, 3))
    assert metrics.boundary_f(truth, truth) == 1


def test_boundary_f_knows_nothing_and_the_picture_border() -> None:
    empty, full = np.zeros((9, 9), np.float32), np.ones((9, 9), np.float32)
    half = full.copy()
    half[:, 5:] = 0
    assert metrics.boundary_f(empty, empty) == 1
    assert metrics.boundary_f(full, full) == 1
    assert metrics.boundary_f(half, empty) == 0
    assert metrics.boundary_f(half, full) == 0
    assert metrics.boundary_f(half, empty, np.zeros((9, 9), bool)) == 1


def test_flicker_is_the_mean_change() -> None:
    mattes = np.zeros((3, 4, 5), np.float32)
    mattes[1] = 0.5
    assert metrics.flicker(mattes) == 0.5
    assert metrics.flicker(mattes[:1]) == 0


def test_attribute_measures_of_a_worked_example() -> None:
    labels, answers = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 0, 2])
    confusion = metrics.confusion_matrix(labels, answers, 4)
    assert confusion.tolist() == [[2, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert metrics.balanced_accuracy(confusion) == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert metrics.macro_f1(confusion) == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert np.isnan(metrics.balanced_accuracy(np.zeros((2, 2), np.int64)))


def test_calibration_error_is_zero_when_confidence_is_the_share_of_right_answers() -> None:
    confidences = np.repeat([0.25, 0.75], 4)
    assert metrics.calibration_error(confidences, np.array([1, 0, 0, 0, 1, 1, 1, 0], bool)) == pytest.approx(0)
    assert metrics.calibration_error(confidences, np.ones(8, bool)) == pytest.approx(0.5)
    assert metrics.calibration_error(np.array([0.0, 1.0]), np.array([False, True])) == 0
    assert np.isnan(metrics.calibration_error(np.zeros(0), np.zeros(0, bool)))


def test_a_detection_that_a_region_explains_better_leaves_the_ignored_face_free() -> None:
    faces, regions = np.array([[0, 4, 20, 16]]), np.array([[0, 0, 100, 10]])
    boxes = np.array([[0, 3, 20, 11], [0, 5, 20, 17]])
    outcome = metrics.match_detections(boxes, np.array([0.9, 0.8]), faces, np.array([True]), regions)
    assert outcome.tolist() == [NOT_COUNTED, NOT_COUNTED]
