from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from mien.attributes import Attribute
from mien.data.augment import (
    MIRRORED_KEYPOINTS,
    FaceRows,
    Looks,
    in_low_light,
    random_square,
    similarity,
    variant,
    warp_faces,
    warp_image,
    warp_labels,
)
from mien.data.sample import FaceLabel
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


def label(box: list[float], **changes: object) -> FaceLabel:
    x1, y1, x2, y2 = box
    places = np.array([[0.7, 0.4], [0.3, 0.4], [0.5, 0.6], [0.65, 0.8], [0.35, 0.8]], np.float32)
    points = np.array([x1, y1], np.float32) + places * np.array([x2 - x1, y2 - y1], np.float32)
    return FaceLabel(np.array(box, np.float32), points, **changes)


def test_ten_thousand_warps_keep_labels_right_at_borders() -> None:
    """Against formulas of their own: every point where the matrix takes it, or unknown where that is off the picture."""
    rng = np.random.default_rng(4)
    count, per_warp, width, height = 10_000, 50, 96, 72
    swap = list(MIRRORED_KEYPOINTS)
    for _ in range(count // per_warp):
        start = rng.uniform(-40, 90, (per_warp, 2))
        boxes = np.concatenate([start, start + rng.uniform(2, 90, (per_warp, 2))], axis=1)
        boxes[::5] = np.clip(boxes[::5], 0, (width, height, width, height))
        boxes[::5, 2:] += 0.5
        labels = [label(box.tolist(), attributes={"row": float(n)}) for n, box in enumerate(boxes)]
        flip = bool(rng.random() < 0.5)
        to = (float(rng.uniform(0, width)), float(rng.uniform(0, height)))
        matrix = similarity(rng, float(np.exp(rng.normal(0, 0.7))), (48, 36), to, float(rng.uniform(-180, 180)), flip)
        moved = warp_labels(labels, matrix, (width, height))
        rows = [int(one.attributes["row"]) for one in moved]
        assert rows == sorted(set(rows))
        after = np.array([one.box for one in moved]).reshape(-1, 4)
        assert (after >= 0).all()
        assert (after <= [width, height, width, height]).all()
        assert (after[:, :2] < after[:, 2:]).all()
        points = np.array([labels[row].keypoints for row in rows]).reshape(-1, 5, 2)
        wanted = np.einsum("ij,nkj->nki", matrix[:, :2], points) + matrix[:, 2]
        wanted = wanted[:, swap] if flip else wanted
        found = np.array([one.keypoints for one in moved]).reshape(-1, 5, 2)
        is_inside = (wanted >= 0).all(-1) & (wanted <= [width, height]).all(-1)
        is_sure = np.minimum(np.abs(wanted), np.abs(wanted - [width, height])).min(-1) > 1e-3  # not on the border itself
        known = np.isfinite(found).all(-1)
        assert (known == is_inside)[is_sure].all()
        assert np.abs(found - wanted)[known].max(initial=0) < 1e-3
        scale = np.sqrt(abs(np.linalg.det(matrix[:, :2])))
        gone = [row for row in set(range(per_warp)) - set(rows) if (boxes[row][2:] - boxes[row][:2]).min() * scale > 3]
        lost = np.array([boxes[row].reshape(2, 2).mean(0) for row in gone]).reshape(-1, 2) @ matrix[:, :2].T + matrix[:, 2]
        assert not ((lost > 2) & (lost < [width - 2, height - 2])).all(-1).any(), "a face in the middle never vanishes"
        both = known[:, [0, 1, 3]].all(-1)  # the subject's own left eye stays on the same side of the face
        across, down = found[:, 0] - found[:, 1], found[:, 3] - found[:, 1]
        assert (across[:, 0] * down[:, 1] - across[:, 1] * down[:, 0])[both].min(initial=1) > 0


def test_mirroring_twice_gives_the_labels_back() -> None:
    gaze = Attribute("gaze", "?", ("left", "right", "ahead"), mirror={"left": "right", "right": "left"})
    turn = Attribute("turn", "?", unit="deg", mirror_signs=(-1,))
    known = {"gaze": gaze, "turn": turn}
    one = label([10, 10, 50, 60], attributes={"gaze": "left", "turn": 20, "mask": "mask", "other": "left"})
    one = replace(one, more_points={"left_ear": (45, 30), "chin": (30, 59)}, by="person", score=0.5)
    mirror = np.array([[-1, 0, 80], [0, 1, 0]], np.float32)
    (once,) = warp_labels([one], mirror, (80, 70), known)
    assert dict(once.attributes) == {"gaze": "right", "turn": -20, "mask": "mask", "other": "left"}
    assert dict(once.more_points) == {"right_ear": (35, 30), "chin": (50, 59)}
    assert once.box.tolist() == [30, 10, 70, 60]
    (twice,) = warp_labels([once], mirror, (80, 70), known)
    assert twice.keypoints == pytest.approx(one.keypoints)
    assert dict(twice.attributes) == dict(one.attributes)
    assert dict(twice.more_points) == one.more_points
    assert (twice.by, twice.score) == ("person", 0.5)


def test_points_that_leave_become_unknown_and_cut_faces_ignored() -> None:
    shift = np.array([[1, 0, -30], [0, 1, 0]], np.float32)
    (cut,) = warp_labels([label([20, 10, 60, 50], more_points={"left_ear": (21, 20)})], shift, (80, 70))
    assert not cut.is_ignored
    assert np.isnan(cut.keypoints).all(-1).tolist() == [False, False, False, False, False]
    assert not cut.more_points
    (gone,) = warp_labels([label([20, 10, 60, 50])], shift - [[0, 0, 10]], (80, 70))
    assert gone.is_ignored or np.isfinite(gone.keypoints).any()
    assert warp_labels([], shift, (80, 70)) == ()


def test_variants_repeat_with_their_seed_and_keep_the_face() -> None:
    image = np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)
    looks, faces = Looks(), [label([80, 5, 118, 50], attributes={"mask": "mask"})]
    before = image.copy()
    made = [variant(image, faces, (1, n), looks) for n in range(40)]
    again = [variant(image, faces, (1, n), looks) for n in range(40)]
    for (one, labels), (other, others) in zip(made, again, strict=True):
        assert (one == other).all()
        assert one.shape == image.shape
        assert [a.box.tolist() for a in labels] == [b.box.tolist() for b in others]
        assert [a.is_ignored for a in labels].count(False) == 1
    assert (image == before).all()
    assert len({one.tobytes() for one, _ in made}) == 40
    lone = variant(image, [], (1, 2), looks)
    assert lone[1] == ()
    tiny = variant(image[:1, :1], [], (0, 0), looks)
    assert tiny[0].shape == (1, 1, 3)


def test_low_light_is_dark_and_noisy() -> None:
    image = np.full((60, 60, 3), 180, np.uint8)
    dark = [in_low_light(image, np.random.default_rng(seed)) for seed in range(20)]
    assert all(one.mean() < 170 for one in dark)
    assert np.mean([one.mean() for one in dark]) < 120
    assert min(one.std() for one in dark) > 1
