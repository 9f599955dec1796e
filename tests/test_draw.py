from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mien.attributes import ATTRIBUTES, Attribute, colours
from mien.draw import KEYPOINT_COLOURS, draw
from mien.errors import InputError
from mien.types import KEYPOINT_NAMES, Faces, Frame

FACE_COLOUR = (255, 196, 0)


def frame(width: int, height: int, *boxes: tuple[float, float, float, float], level: int = 120) -> Frame:
    """A plain picture with faces whose points lie at fixed places of their boxes."""
    table = np.array(boxes, np.float32).reshape(-1, 4)
    places = np.array([(0.7, 0.4), (0.3, 0.4), (0.5, 0.6), (0.65, 0.8), (0.35, 0.8)], np.float32)
    keypoints = table[:, None, :2] + places * (table[:, None, 2:] - table[:, None, :2])
    image = np.full((height, width, 3), level, np.uint8)
    return Frame(image, faces=Faces(table, np.full(len(table), 0.97), keypoints))


def near(picture: np.ndarray, colour: tuple[int, int, int], tolerance: int = 16) -> np.ndarray:
    return (np.abs(picture.astype(int) - colour) <= tolerance).all(axis=-1)


@pytest.mark.parametrize("level", [0, 120, 255])
@pytest.mark.parametrize(("width", "height"), [(80, 80), (512, 384), (4000, 3000)])
def test_each_keypoint_has_its_colour_and_a_dark_rim(width: int, height: int, level: int) -> None:
    given = frame(width, height, (0.3 * width, 0.3 * height, 0.7 * width, 0.7 * height), level=level)
    shown = draw(given)
    assert given.faces is not None
    for name, (x, y) in zip(KEYPOINT_NAMES, given.faces.keypoints[0], strict=True):
        assert tuple(shown[int(y), int(x)]) == KEYPOINT_COLOURS[name]
        reach = max(4, round(0.03 * width))
        around = shown[int(y) - reach : int(y) + reach + 1, int(x) - reach : int(x) + reach + 1]
        assert (around.max(axis=-1) < 110).any()


def test_left_and_right_are_the_subjects_own() -> None:
    assert KEYPOINT_COLOURS["left_eye"][2] == max(KEYPOINT_COLOURS["left_eye"]) == 255
    assert KEYPOINT_COLOURS["right_eye"][0] == max(KEYPOINT_COLOURS["right_eye"]) == 255
    assert KEYPOINT_COLOURS["nose"][1] == max(KEYPOINT_COLOURS["nose"])
    assert KEYPOINT_COLOURS["mouth_left"] == KEYPOINT_COLOURS["mouth_right"] == (255, 255, 255)


def test_the_input_stays_as_it_is_and_the_result_is_a_picture() -> None:
    given = frame(300, 200, (50, 50, 120, 140))
    before = given.image.copy()
    shown = draw(given)
    assert np.array_equal(given.image, before)
    assert shown.dtype == np.uint8
    assert shown.shape == before.shape
    assert not np.array_equal(shown, before)


def test_without_faces_it_is_a_plain_copy() -> None:
    given = frame(30, 20)
    for one in (given, replace(given, faces=None)):
        shown = draw(one)
        assert np.array_equal(shown, given.image)
        assert shown is not given.image


@pytest.mark.parametrize(("width", "height", "least"), [(80, 80, 1), (512, 512, 1), (4000, 3000, 6)])
def test_the_box_lies_where_it_should_and_its_line_grows(width: int, height: int, least: int) -> None:
    left, right = 0.25 * width, 0.75 * width
    shown = draw(frame(width, height, (left, 0.3 * height, right, 0.9 * height)))
    row = near(shown[int(0.6 * height)], FACE_COLOUR, 32)
    for edge in (left, right):
        place = np.flatnonzero(row[int(edge) - 20 : int(edge) + 21]) - 20
        assert len(place) >= least
        assert abs(place.mean()) <= 1.5
    # Between the edges nothing is drawn on this row.
    assert (shown[int(0.6 * height), int(left + 0.1 * width) : int(right - 0.1 * width)] == 120).all()


@pytest.mark.parametrize("corner", [(0, 0), (1, 0), (0, 1), (1, 1)])
@pytest.mark.parametrize("size", [80, 640])
def test_the_label_stays_whole_inside_the_picture(size: int, corner: tuple[int, int]) -> None:
    def label_pixels(x: float, y: float) -> int:
        shown = draw(replace(given := frame(size, size, (x, y, x + side, y + side)), faces=given.faces))
        return int(near(shown, FACE_COLOUR, 40).sum())

    side = 0.3 * size
    x, y = ((size - side) * place for place in corner)
    in_the_middle = label_pixels(0.35 * size, 0.5 * size)
    assert label_pixels(x, y) >= 0.9 * in_the_middle
    assert label_pixels(x + (corner[0] - 0.5) * side, y + (corner[1] - 0.5) * side) >= 0.35 * in_the_middle


def test_labels_of_neighbours_do_not_cover_each_other() -> None:
    alone = near(draw(frame(600, 400, (200, 200, 300, 300))), FACE_COLOUR).sum()
    both = near(draw(frame(600, 400, (200, 200, 300, 300), (208, 200, 308, 300))), FACE_COLOUR).sum()
    assert both > 1.6 * alone


def test_the_legend_takes_an_empty_corner_and_is_left_out_of_small_pictures() -> None:
    def blue_in_corners(given: Frame) -> list[bool]:
        found = near(draw(given), KEYPOINT_COLOURS["left_eye"])
        half = (given.height // 2, given.width // 2)
        quarters = (found[half[0] :, : half[1]], found[half[0] :, half[1] :], found[: half[0], half[1] :])
        return [bool(quarter.any()) for quarter in quarters]

    assert blue_in_corners(frame(600, 400, (230, 20, 290, 90))) == [True, False, False]
    # A face in the lower left, whose own left eye is there: the legend goes to the lower right.
    assert blue_in_corners(frame(600, 400, (10, 280, 110, 390))) == [True, True, False]
    assert blue_in_corners(frame(80, 80, (22, 2, 39, 30))) == [False, False, False]


def test_attributes_are_named_and_may_colour_the_boxes() -> None:
    given = frame(800, 600, (100, 200, 300, 420), (450, 200, 650, 420))
    assert given.faces is not None
    mask = np.array([[0.9, 0.05, 0.05], [0.1, 0.1, 0.8]], np.float32)
    named = replace(given, faces=given.faces.with_attributes(mask=mask, age=np.array([[31, 4], [np.nan] * 2], np.float32)))
    tints = colours(ATTRIBUTES["mask"])
    shown = draw(named, colour_by="mask")
    assert near(shown[250:400, 95:106], tints["mask"]).any()
    assert near(shown[250:400, 445:456], tints["bad_mask"]).any()
    assert not near(shown, FACE_COLOUR).any()

    # Lines of text make a taller label; the second face's age is not known.
    def label_rows(shown: np.ndarray, columns: slice) -> int:
        return int(near(shown[:198, columns], FACE_COLOUR).any(axis=1).sum())

    first, second = slice(90, 310), slice(440, 660)
    heights = [label_rows(draw(given), first), label_rows(draw(named), second), label_rows(draw(named), first)]
    assert heights[0] > 8
    assert heights[1] > 1.5 * heights[0]
    assert heights[2] > 2 * heights[0]


def test_an_attribute_that_nobody_describes_is_an_error() -> None:
    given = frame(100, 100, (20, 20, 60, 60))
    assert given.faces is not None
    new = replace(given, faces=given.faces.with_attributes(hat=np.array([[0.2, 0.8]], np.float32)))
    with pytest.raises(InputError, match="attribute 'hat'"):
        draw(new)
    draw(new, attributes={"hat": Attribute("hat", "Does this person wear a hat?", ("hat", "no_hat"))})


@pytest.mark.parametrize(
    "box",
    [
        (np.nan, 0, 10, 10),
        (-50, -50, 500, 500),
        (30, 30, 30, 30),
        (60, 60, 20, 20),
        (1e9, 1e9, 2e9, 2e9),
        (-1e9, -1e9, 1e9, 1e9),
        (200, 200, 230, 230),
    ],
)
@pytest.mark.parametrize(("width", "height"), [(1, 1), (97, 61), (2000, 3)])
def test_odd_boxes_and_odd_pictures(box: tuple[float, float, float, float], width: int, height: int) -> None:
    assert draw(frame(width, height, box)).shape == (height, width, 3)


def test_a_crowd_is_quick_enough() -> None:
    boxes = [(x, y, x + 20, y + 26) for x in range(0, 1900, 50) for y in range(0, 1000, 60)][:300]
    assert near(draw(frame(1920, 1080, *boxes)), KEYPOINT_COLOURS["nose"]).sum() >= 300


def test_named_points_are_drawn_in_colours_of_their_own() -> None:
    given = frame(512, 384, (150, 100, 350, 300))
    assert given.faces is not None
    ears = Attribute("points", "Where are the ears?", points=2, point_names=("left_ear", "right_ear"))
    faces = given.faces.with_attributes(points=np.array([[340.5, 200.5, 160.5, 200.5]], np.float32))
    shown = draw(replace(given, faces=faces), attributes={"points": ears})
    first, second = colours(ears).values()
    assert tuple(shown[200, 340]) == first
    assert tuple(shown[200, 160]) == second
    # The legend has a dot of each as well.
    assert near(shown[280:], first, 2).any() or near(shown[:90], first, 2).any()
