"""What a model file makes of the cells' answers, run without a network."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
import onnx.parser
import onnxruntime
from numpy.typing import NDArray

from mien.learn.export import OPSET
from mien.learn.graph import GRAPHS
from mien.learn.graph_steps import MOST_VOTERS

PLACES = np.array([[0.7, 0.4], [0.3, 0.4], [0.5, 0.6], [0.7, 0.8], [0.3, 0.8]], np.float32)


@pytest.fixture(scope="module")
def session() -> onnxruntime.InferenceSession:
    graph = onnx.parser.parse_graph(GRAPHS["faces"].answer)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def answers(
    session: onnxruntime.InferenceSession, boxes: list[list[float]], scores: list[float], min_score: float = 0.1
) -> tuple[NDArray[np.float32], ...]:
    """Boxes, scores and keypoints of a picture of 200 x 200 that the network saw at half its size."""
    cells = np.array(boxes, np.float32).reshape(-1, 4) / 2
    points = cells[:, None, :2] + (cells[:, None, 2:] - cells[:, None, :2]) * PLACES
    feeds = {
        "cell_scores": np.array([scores], np.float32),
        "cell_boxes": cells[None],
        "cell_keypoints": points[None],
        "size_hw": np.array([200, 200]),
        "size_hw_f": np.array([200, 200], np.float32),
        "fitted_hw_f": np.array([100, 100], np.float32),
        "min_score": np.array(min_score, np.float32),
        "max_overlap": np.array(0.5, np.float32),
        "max_faces": np.array(1000),
    }
    return tuple(session.run(["boxes", "scores", "keypoints"], feeds))


def test_a_face_lies_where_its_cells_say_by_score_and_overlap(session: onnxruntime.InferenceSession) -> None:
    first, second = np.array([40.0, 40, 100, 100]), np.array([46.0, 40, 106, 100])
    boxes, scores, keypoints = answers(session, [first.tolist(), second.tolist()], [0.9, 0.6])
    overlap = 54 / 66
    weights = np.array([0.9 + 0.01 * 0.9, 0.6 * overlap])
    expected = weights @ np.stack([first, second]) / weights.sum()
    np.testing.assert_allclose(boxes, [expected], rtol=1e-5)
    np.testing.assert_allclose(scores, [1.5 / 2], rtol=1e-6)
    np.testing.assert_allclose(keypoints[0], expected[:2] + (expected[2:] - expected[:2]) * PLACES, rtol=1e-5)


@pytest.mark.parametrize("other", [[70.0, 40, 130, 100], [120, 120, 180, 180], [40, 40, 70, 70]])
def test_cells_that_lie_elsewhere_have_no_vote(session: onnxruntime.InferenceSession, other: list[float]) -> None:
    alone = [40.0, 40, 100, 100]
    boxes, _, _ = answers(session, [alone, other], [0.9, 0.4], min_score=0.3)
    np.testing.assert_allclose(boxes, [alone], rtol=1e-5)


def test_cells_under_the_least_score_vote_too_whatever_it_is(session: onnxruntime.InferenceSession) -> None:
    cells, scores = [[40.0, 40, 100, 100], [46, 40, 106, 100]], [0.9, 0.3]
    loose, strict = (answers(session, cells, scores, min_score)[0] for min_score in (0.2, 0.55))
    np.testing.assert_array_equal(loose, strict)
    assert loose[0, 0] > 40


def test_a_score_is_the_mean_of_the_three_surest_cells_and_falls(session: onnxruntime.InferenceSession) -> None:
    face, other = [40.0, 40, 100, 100], [120.0, 120, 180, 180]
    cells, scores = [other, face, face, face, face], [0.95, 0.9, 0.6, 0.3, 0.2]
    boxes, found, _ = answers(session, cells, scores)
    np.testing.assert_allclose(found, [(0.9 + 0.6 + 0.3) / 3, 0.95 / 3], rtol=1e-6)
    np.testing.assert_allclose(boxes, [face, other], rtol=1e-5)
    _, found, _ = answers(session, cells, scores, min_score=0.5)
    np.testing.assert_allclose(found, [0.6], rtol=1e-6)


def test_nothing_found_and_one_cell(session: onnxruntime.InferenceSession) -> None:
    boxes, scores, keypoints = answers(session, [[40, 40, 100, 100]], [0.09])
    assert (boxes.shape, scores.shape, keypoints.shape) == ((0, 4), (0,), (0, 5, 2))
    boxes, _, _ = answers(session, [[40, 40, 100, 100]], [0.1], min_score=0.0)
    np.testing.assert_allclose(boxes, [[40, 40, 100, 100]], rtol=1e-5)


def test_a_face_that_too_many_others_outvote_stays_where_it_is(session: onnxruntime.InferenceSession) -> None:
    crowd = [[0.0, 0, 20, 20]] * MOST_VOTERS
    boxes, _, _ = answers(session, [*crowd, [100, 100, 160, 160]], [0.9] * MOST_VOTERS + [0.6])
    np.testing.assert_allclose(boxes, [[0, 0, 20, 20], [100, 100, 160, 160]], rtol=1e-4)


def test_boxes_end_at_the_picture(session: onnxruntime.InferenceSession) -> None:
    boxes, _, _ = answers(session, [[-30, -30, 100, 100], *[[-10, -20, 230, 220 + x] for x in range(9)]], [0.9, *[0.73] * 9])
    assert boxes.min() >= 0
    assert boxes.max() <= 200
