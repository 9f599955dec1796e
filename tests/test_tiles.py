"""Looking at a picture in tiles, with detectors whose answers are known, and once with the real one."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mien.geometry import covered_share, iou
from mien.media.read import read
from mien.models.faces import FaceModel
from mien.models.store import shipped
from mien.models.tiles import MOST_STEP, OVERLAP, Region, find_in_tiles, merged, tile_regions
from mien.types import Faces

SAMPLES = Path(__file__).parent.parent / "samples"
SIDE = 160
SIZES = [
    (1600, 1200),
    (1200, 1600),
    (160, 160),
    (161, 160),
    (50, 30),
    (1, 1),
    (4000, 170),
    (170, 4000),
    (1201, 799),
    (4000, 8),
]


def chart(width: int, height: int) -> np.ndarray:
    """A picture whose every pixel says where it is."""
    image = np.zeros((height, width, 3), np.uint8)
    x, y = np.arange(width), np.arange(height)[:, None]
    image[..., 0], image[..., 1], image[..., 2] = x % 256, y % 256, x // 256 + 16 * (y // 256)
    return image


def place(crop: np.ndarray) -> Region:
    """Where on the `chart` a crop is from."""
    x, y, far = (int(value) for value in crop[0, 0])
    left, top = x + 256 * (far % 16), y + 256 * (far // 16)
    return left, top, left + crop.shape[1], top + crop.shape[0]


def faces_of(boxes: list[list[float]] | np.ndarray, scores: list[float] | np.ndarray) -> Faces:
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    centres = (boxes[:, None, :2] + boxes[:, None, 2:]) / 2
    return Faces(boxes, scores, np.repeat(centres, 5, axis=1))


class Detector:
    """Knows where the faces are and sees those that are large enough; a face that a crop cuts is seen as what is left of it,
    and scores better than a whole one."""

    def __init__(self, boxes: np.ndarray, smallest: float = 3.6, is_blind: Callable[[Region], bool] | None = None) -> None:
        self.boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
        self.smallest = smallest
        self.side = SIDE
        self.is_blind = is_blind
        self.regions: list[Region] = []

    def __call__(self, crop: np.ndarray) -> Faces:
        region = left, top, right, bottom = place(crop)
        self.regions.append(region)
        shown = np.clip(self.boxes, [left, top, left, top], [right, bottom, right, bottom])
        area = np.prod(self.boxes[:, 2:] - self.boxes[:, :2], axis=1)
        share = np.prod(shown[:, 2:] - shown[:, :2], axis=1) / area
        side = np.maximum(*(shown[:, 2:] - shown[:, :2]).T) * self.side / max(crop.shape[:2])
        is_seen = (share > 0.35) & (side >= self.smallest)
        if self.is_blind is not None and self.is_blind(region):
            is_seen &= share < 1
        order = np.flatnonzero(is_seen)[np.argsort(share[is_seen], kind="stable")]
        return faces_of(shown[order] - [left, top, left, top], 0.9 - 0.1 * (share[order] == 1))


def strewn(rng: np.random.Generator, width: int, height: int, sides: np.ndarray) -> np.ndarray:
    """Boxes of these sides at random places, none near another."""
    boxes: list[list[float]] = []
    for side in sides:
        for _ in range(50):
            x, y = rng.uniform(0, width - side), rng.uniform(0, height - side)
            near = [x - side / 2, y - side / 2, x + 1.5 * side, y + 1.5 * side]
            if not boxes or not iou(np.array([near]), np.array(boxes)).any():
                boxes.append([x, y, x + side, y + side])
                break
    return np.array(boxes, np.float32)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_tiles_cover_the_picture_and_overlap(width: int, height: int) -> None:
    regions = tile_regions(width, height, SIDE)
    assert regions[0] == (0, 0, width, height)
    assert all(0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height for x1, y1, x2, y2 in regions)
    sides = list(dict.fromkeys(max(x2 - x1, y2 - y1) for x1, y1, x2, y2 in regions))
    assert sides[-1] == min(SIDE, max(width, height))
    assert all(big / small <= MOST_STEP * 1.02 for big, small in itertools.pairwise(sides))
    for side in sides[1:]:
        own = [one for one in regions if max(one[2] - one[0], one[3] - one[1]) == side]
        for low, length in ((0, width), (1, height)):
            spans = sorted({(one[low], one[low + 2]) for one in own})
            assert (spans[0][0], spans[-1][1]) == (0, length)
            overlaps = [before[1] - after[0] for before, after in itertools.pairwise(spans)]
            assert all(overlap >= OVERLAP * side - 1 for overlap in overlaps)


def test_the_how_to_page_tells_what_tiles_cost() -> None:
    page = (SAMPLES.parent / "docs" / "how-to" / "analyze.md").read_text("utf-8")
    for side in (640, 480, 320):
        for width, height in ((4000, 3000), (1920, 1080)):
            (row,) = (line for line in page.splitlines() if line.startswith(f"| {side} | {width}x{height} |"))
            assert int(row.split("|")[3]) == len(tile_regions(width, height, side))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("width", "height"), [(1600, 1200), (400, 1400), (4000, 200)])
def test_every_face_of_every_size_is_found_once_and_whole(width: int, height: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    sides = np.concatenate([np.geomspace(0.7 * min(width, height), 4, 24), np.full(60, 4.0)])
    boxes = strewn(rng, width, height, sides)
    detector = Detector(boxes)
    found = find_in_tiles(detector, chart(width, height), SIDE)
    assert len(found) == len(boxes)
    overlaps = iou(found.boxes, boxes)
    assert overlaps.max(axis=0).min() > 0.99
    assert (np.diff(found.scores) <= 0).all()
    np.testing.assert_allclose(found.keypoints[:, 0], (found.boxes[:, :2] + found.boxes[:, 2:]) / 2, atol=1e-3)
    again = find_in_tiles(Detector(boxes), chart(width, height), SIDE)
    assert again.boxes.tobytes() == found.boxes.tobytes()


def test_the_whole_picture_alone_misses_them() -> None:
    boxes = strewn(np.random.default_rng(0), 1600, 1200, np.full(20, 9.0))
    assert len(Detector(boxes)(chart(1600, 1200))) == 0


def test_a_face_that_ends_at_the_pictures_border_is_not_cut() -> None:
    corners = np.array([[0, 0, 12, 12], [1588, 0, 1600, 12], [0, 1188, 12, 1200], [1588, 1188, 1600, 1200]])
    detector = Detector(corners)
    found = find_in_tiles(detector, chart(1600, 1200), SIDE)
    assert sorted(found.boxes.tolist()) == sorted(corners.tolist())
    assert len(detector.regions) == len(tile_regions(1600, 1200, SIDE))


def test_a_face_that_no_tile_saw_whole_is_looked_at_again() -> None:
    regions = tile_regions(1600, 1200, SIDE)
    box = np.array([[regions[30][2] - 7, 200, regions[30][2] + 5, 212]], np.float32)
    detector = Detector(box, is_blind=lambda region: region in regions)
    found = find_in_tiles(detector, chart(1600, 1200), SIDE)
    assert found.boxes.tolist() == box.tolist()
    assert found.scores == pytest.approx([0.8])
    again = detector.regions[len(regions) :]
    assert len(again) == 1
    assert np.array(again[0]).reshape(2, 2).mean(axis=0) == pytest.approx(box.reshape(2, 2).mean(axis=0), abs=SIDE / 8)


def test_half_a_face_that_turns_out_to_be_none_is_left_out() -> None:
    regions = tile_regions(1600, 1200, SIDE)
    box = np.array([[regions[30][2] - 7, 200, regions[30][2] + 5, 212]], np.float32)
    detector = Detector(box, is_blind=lambda region: True)
    assert len(find_in_tiles(detector, chart(1600, 1200), SIDE)) == 0
    assert len(detector.regions) <= len(regions) + 4


def test_second_looks_end_however_much_is_cut() -> None:
    calls = []

    def everywhere(crop: np.ndarray) -> Faces:
        calls.append(crop.shape)
        x = np.arange(0, crop.shape[1] - 8, 9, dtype=np.float32)
        boxes = np.stack([x, np.zeros_like(x), x + 8, np.full_like(x, 8)], axis=1)
        return faces_of(boxes, np.linspace(0.9, 0.6, len(x)))

    find_in_tiles(everywhere, chart(800, 600), SIDE)
    assert len(calls) < 5 * len(tile_regions(800, 600, SIDE))


def test_parts_of_a_large_face_are_not_faces() -> None:
    large = np.array([100.0, 60, 500, 460])

    def with_parts(crop: np.ndarray) -> Faces:
        left, top, right, bottom = place(crop)
        if (right - left, bottom - top) == (1600, 1200):
            return faces_of([large], [0.9])
        is_inside = left > large[0] and top > large[1] and right < large[2] and bottom < large[3]
        size = np.array([right - left, bottom - top])
        parts = [[*(0.1 * size), *(0.8 * size)], [*(0.3 * size), *(0.6 * size)]]
        return faces_of(parts, [0.95, 0.8]) if is_inside else Faces.none()

    found = find_in_tiles(with_parts, chart(1600, 1200), SIDE)
    assert found.boxes.tolist() == [large.tolist()]


def test_a_small_face_beside_a_large_one_stays() -> None:
    boxes = np.array([[100, 60, 500, 460], [505, 100, 517, 112], [300, 40, 312, 52]], np.float32)
    found = find_in_tiles(Detector(boxes), chart(1600, 1200), SIDE)
    assert len(found) == 3


def test_merging_keeps_the_columns_together() -> None:
    left = Faces([[0, 0, 10, 10]], [0.6], np.full((1, 5, 2), 1.0), [7], {"smile": np.array([[0.1, 0.9]], np.float32)})
    right = Faces(
        [[1, 0, 11, 10], [50, 0, 60, 10], [52, 2, 58, 8]],
        [0.8, 0.7, 0.65],
        np.arange(3)[:, None, None] * np.ones((3, 5, 2)),
        [3, 4, 5],
        {"smile": np.array([[0.2, 0.8], [0.3, 0.7], [0.4, 0.6]], np.float32)},
    )
    both = merged([left, Faces.none(), right])
    assert both.ids.tolist() == [3, 4]
    assert both.scores == pytest.approx([0.8, 0.7])
    assert both.keypoints[:, 0, 0].tolist() == [0, 1]
    assert both.attributes["smile"][:, 0] == pytest.approx([0.2, 0.3])
    assert len(merged([])) == len(merged([Faces.none()])) == 0
    assert merged([left, right], max_covered=1).ids.tolist() == [3, 4, 5]


def test_memory_is_that_of_a_few_tiles() -> None:
    image = chart(2000, 2000)
    boxes = strewn(np.random.default_rng(1), 2000, 2000, np.full(100, 30.0))
    detector = Detector(boxes)
    tracemalloc.start()
    find_in_tiles(detector, image, 200)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < image.nbytes / 3


@pytest.mark.skipif("faces" not in shipped(), reason="the face model's weights are not in this checkout")
def test_the_how_to_page_speaks_of_the_shipped_model() -> None:
    page = (SAMPLES.parent / "docs" / "how-to" / "analyze.md").read_text("utf-8")
    long_side = int(FaceModel().session.settings["long_side"])
    assert f"sees a picture {long_side} pixels long" in page
    assert f"`--tile` (a side of {long_side // 2})" in page


@pytest.mark.skipif("faces" not in shipped(), reason="the face model's weights are not in this checkout")
def test_the_shipped_model_finds_small_faces_only_in_tiles() -> None:
    import cv2

    portrait, box = read(SAMPLES / "astronaut.jpg").image[8:258, 110:340], np.array([62, 50, 159, 170])
    rng = np.random.default_rng(0)
    width, height = 1600, 1200
    grain = [cv2.resize(rng.uniform(0, 80, (height // s, width // s, 3)), (width, height)) for s in (4, 16, 64)]
    image = np.clip(np.sum(grain, axis=0), 0, 255).astype(np.uint8)
    scale = 12 / 97
    small = cv2.resize(portrait, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    boxes = []
    for x, y in ((x, y) for y in range(30, height - 60, 130) for x in range(25, width - 60, 131)):
        image[y : y + small.shape[0], x : x + small.shape[1]] = small
        boxes.append(np.array([x, y, x, y]) + box * scale)
    true = np.array(boxes, np.float32)
    found = FaceModel(tile=True)(image)
    is_hit = iou(found.boxes, true).max(axis=0, initial=0) > 0.4
    assert is_hit.mean() > 0.8
    assert covered_share(found.boxes, true).max(axis=1, initial=0).min() > 0.3
    assert len(found) <= len(true)
    assert len(FaceModel()(image)) < 0.2 * is_hit.sum()
