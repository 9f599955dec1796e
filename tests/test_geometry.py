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
