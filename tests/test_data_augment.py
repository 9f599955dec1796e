from __future__ import annotations

import cv2
import numpy as np
import pytest

from mien.data.augment import MIRRORED_KEYPOINTS, FaceRows, Looks, random_square, similarity, warp_faces, warp_image
from mien.types import KEYPOINT_NAMES


def one_face(box: list[float], points: np.ndarray | None = None) -> FaceRows:
    keypoints = np.full((1, 5, 2), np.nan, np.float32) if points is None else points.reshape(1, 5, 2).astype(np.float32)
    return FaceRows(np.array([box], np.float32), keypoints, *(np.zeros(1, bool) for _ in range(3)))


def test_mirroring_swaps_names() -> None:
    names = [KEYPOINT_NAMES[i] for i in MIRRORED_KEYPOINTS]
    assert names == ["right_eye", "left_eye", "nose", "mouth_right", "mouth_left"]


@pytest.mark.parametrize("seed", range(40))
def test_points_stay_on_what_they_mark(seed: int) -> None:
    """A dot painted at each keypoint is found again where the warped keypoint says."""
    rng = np.random.default_rng(seed)
    points = np.array([[90, 50], [60, 50], [75, 65], [85, 85], [65, 85]], np.float32)
    flip = bool(seed % 2)
    scale, turn = float(rng.uniform(0.6, 2.5)), float(rng.uniform(-180, 180))
    matrix = similarity(rng, scale, (75.0, 65.0), (150.0, 150.0), turn, flip)
    faces = warp_faces(one_face([50, 35, 100, 100], points + 0.5), matrix, (300, 300))
    seen = faces.keypoints[0][list(MIRRORED_KEYPOINTS)] if flip else faces.keypoints[0]
    rows, columns = np.mgrid[0:300, 0:300] + 0.5
    for (x, y), expected in zip(points, seen, strict=True):
        image = np.zeros((120, 160, 3), np.uint8)
        cv2.circle(image, (int(x), int(y)), 3, (255, 255, 255), -1)
        dot = warp_image(image, matrix, (300, 300), 0)[..., 0].astype(float)
        found = [(columns * dot).sum() / dot.sum(), (rows * dot).sum() / dot.sum()]
        assert found == pytest.approx(expected, abs=0.15)


def test_ten_thousand_warps_keep_boxes_inside() -> None:
    rng = np.random.default_rng(0)
    for _ in range(10_000):
        start = rng.uniform(-20, 100, 2)
        face = one_face([*start, *(start + rng.uniform(1, 80, 2))])
        matrix = similarity(
            rng,
            float(np.exp(rng.normal(0, 0.8))),
            (50, 50),
            tuple(rng.uniform(0, 100, 2)),
            360 * rng.random(),
            rng.random() < 0.5,
        )
        moved = warp_faces(face, matrix, (100, 80))
        for x1, y1, x2, y2 in moved.boxes:
            assert 0 <= x1 < x2 <= 100
            assert 0 <= y1 < y2 <= 80


def test_cut_and_tiny_faces_become_ignored_regions() -> None:
    still = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
    assert warp_faces(one_face([-30, 10, 10, 50]), still, (100, 100)).is_ignored.tolist() == [True]
    assert warp_faces(one_face([-10, 10, 30, 50]), still, (100, 100)).is_ignored.tolist() == [False]
    assert warp_faces(one_face([10, 10, 14, 14]), still, (100, 100)).is_ignored.tolist() == [True]
    assert len(warp_faces(one_face([200, 10, 240, 50]), still, (100, 100))) == 0


def test_shrinking_does_not_shift() -> None:
    image = np.zeros((400, 400, 3), np.uint8)
    image[100:300, 150:250] = 255
    matrix = np.array([[0.2, 0, 10], [0, 0.2, 5]], np.float32)
    small = warp_image(image, matrix, (100, 100), 0)[..., 0].astype(float)
    rows, columns = np.mgrid[0:100, 0:100] + 0.5
    assert (columns * small).sum() / small.sum() == pytest.approx(200 * 0.2 + 10, abs=0.15)
    assert (rows * small).sum() / small.sum() == pytest.approx(200 * 0.2 + 5, abs=0.15)


def test_a_picture_can_lie_under_another() -> None:
    under = np.full((50, 60, 3), 7, np.uint8)
    over = np.full((10, 10, 3), 200, np.uint8)
    both = warp_image(over, np.array([[1, 0, 20], [0, 1, 20]], np.float32), (60, 50), under)
    assert both[25, 25, 0] == 200
    assert both[5, 5, 0] == 7
    assert (under == 7).all()


def test_looks_repeat_with_the_seed_and_keep_the_shape() -> None:
    image = np.random.default_rng(0).integers(0, 255, (64, 48, 3), np.uint8)
    looks = Looks()
    first = [looks(image, seed) for seed in range(30)]
    again = [looks(image, seed) for seed in range(30)]
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert sum((a != image).any() for a in first) > 15
    assert {(a.shape, str(a.dtype)) for a in first} == {(image.shape, "uint8")}


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (33, 7), (100, 100)])
def test_squares_of_any_picture(shape: tuple[int, int]) -> None:
    square = random_square(np.zeros((*shape, 3), np.uint8), 32, np.random.default_rng(1))
    assert square.shape == (32, 32, 3)
