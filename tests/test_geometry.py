from __future__ import annotations

import numpy as np
import pytest

from mien import geometry as g


def test_iou_of_known_boxes() -> None:
    a = np.array([[0, 0, 10, 10], [0, 0, 4, 4]], np.float32)
    b = np.array([[5, 0, 15, 10], [20, 20, 30, 30]], np.float32)
    assert g.iou(a, b) == pytest.approx(np.array([[1 / 3, 0], [0, 0]]), abs=1e-6)
    assert g.covered_share(a, b)[0, 0] == pytest.approx(0.5)


def test_boxes_turned_inside_out_have_no_area() -> None:
    assert g.box_area(np.array([[5, 5, 1, 9]], np.float32))[0] == 0


def test_a_turned_circle_keeps_its_box() -> None:
    matrix = g.similarity_matrix(2.0, 45.0, (5.0, 5.0), (50.0, 40.0))
    assert g.transform_boxes(matrix, np.array([[0, 0, 10, 10]], np.float32)) == pytest.approx(
        np.array([[40, 30, 60, 50]]), abs=1e-4
    )


def test_a_quarter_turn_swaps_the_sides_of_a_box() -> None:
    matrix = g.similarity_matrix(1.0, 90.0, (10.0, 10.0), (10.0, 10.0))
    assert g.transform_boxes(matrix, np.array([[0, 5, 20, 15]], np.float32)) == pytest.approx(
        np.array([[5, 0, 15, 20]]), abs=1e-4
    )


def test_points_turn_clockwise_on_screen() -> None:
    matrix = g.similarity_matrix(1.0, 90.0, (0.0, 0.0), (0.0, 0.0))
    assert g.transform_points(matrix, np.array([[1.0, 0.0]], np.float32)) == pytest.approx(np.array([[0, 1]]), abs=1e-6)


def test_clipping_keeps_boxes_inside() -> None:
    boxes = np.array([[-5, -5, 50, 5]], np.float32)
    assert g.clip_boxes(boxes, 20, 10).tolist() == [[0, 0, 20, 5]]
    assert boxes[0, 0] == -5


@pytest.mark.parametrize("turns", range(-5, 6))
def test_points_and_boxes_turn_as_the_picture_does(turns: int) -> None:
    image = np.arange(5 * 7).reshape(5, 7)
    turned = np.rot90(image, -turns)
    size_wh = (7, 5)
    rows, columns = np.indices(image.shape)
    corners = np.stack([columns, rows], axis=-1).reshape(-1, 2).astype(np.float32)
    middles = g.turn_points(corners + np.float32(0.5), turns, size_wh)
    assert middles.dtype == np.float32
    column, row = (middles - np.float32(0.5)).astype(int).T
    assert (turned[row, column] == image.ravel()).all()
    boxes = g.turn_boxes(np.concatenate([corners, corners + 1], axis=1), turns, size_wh)
    assert np.array_equal(boxes[:, :2], middles - np.float32(0.5))
    assert np.array_equal(boxes[:, 2:], middles + np.float32(0.5))


def test_turning_back_is_exact() -> None:
    rng = np.random.default_rng(0)
    boxes = np.sort(rng.integers(0, 4000, (50, 2, 2)), axis=1).reshape(-1, 4).astype(np.float32) + np.float32(0.25)
    for turns in range(4):
        size_wh = (4001, 3001) if turns % 2 == 0 else (3001, 4001)
        there = g.turn_boxes(boxes, turns, (4001, 3001))
        assert np.array_equal(g.turn_boxes(there, -turns, size_wh), boxes)
    assert g.turn_points(np.zeros((2, 5, 2), np.float32), 1, (9, 6)).shape == (2, 5, 2)
    assert g.turn_boxes(np.zeros((0, 4), np.float32), 1, (9, 6)).shape == (0, 4)


def test_suppression_keeps_each_thing_once() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10], [2, 2, 6, 6], [-20, -20, 60, 60]], np.float32)
    scores = np.array([0.7, 0.9, 0.9, 0.6, 0.5], np.float32)
    assert g.non_maximum_suppression(boxes, scores).tolist() == [1, 2, 3, 4]
    assert g.non_maximum_suppression(boxes, scores, max_covered=0.7).tolist() == [1, 2, 4]
    loose = np.array([[0, 0, 10, 10], [-3, -3, 15, 13], [-6, -6, 16, 16]], np.float32)
    assert g.non_maximum_suppression(loose, np.array([0.9, 0.6, 0.5]), max_covered=0.7).tolist() == [0, 2]
    assert g.non_maximum_suppression(loose, np.array([0.6, 0.9, 0.5]), max_covered=0.7).tolist() == [1]
    assert g.non_maximum_suppression(boxes, scores, max_overlap=0.9).tolist() == [1, 2, 0, 3, 4]
    assert g.non_maximum_suppression(boxes[:0], scores[:0]).tolist() == []


def test_suppression_of_many_is_that_of_the_plain_rule() -> None:
    rng = np.random.default_rng(2)
    corners = rng.uniform(0, 300, (900, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(5, 60, (900, 2))], axis=1).astype(np.float32)
    scores = rng.uniform(0, 1, 900).round(2).astype(np.float32)
    kept: list[int] = []
    for row in np.argsort(-scores, kind="stable"):
        one, others = boxes[[row]], boxes[kept]
        is_loose = (g.covered_share(others, one).T > 0.7) & (g.box_area(one)[:, None] <= 4 * g.box_area(others))
        if not ((g.iou(one, others) > 0.4) | (g.covered_share(one, others) > 0.7) | is_loose).any():
            kept.append(int(row))
    assert g.non_maximum_suppression(boxes, scores, max_overlap=0.4, max_covered=0.7).tolist() == kept
    assert len(kept) > 256


def test_boxes_are_paired_best_first_and_each_once() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [50, 50, 60, 60]], np.float32)
    others = np.array([[1, 0, 11, 10], [2, 0, 12, 10], [54, 50, 64, 60]], np.float32)
    assert g.paired_boxes(boxes, others, 0.5) == {1: 0, 0: 1}
    assert g.paired_boxes(boxes, others, 0.4) == {1: 0, 0: 1, 2: 2}
    assert g.paired_boxes(boxes[:0], others, 0.5) == g.paired_boxes(boxes, others[:0], 0.5) == {}
