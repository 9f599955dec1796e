"""Captions: the words, where they stand, and that they can be read."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from painted_people import faces, portrait

from mien.attributes import ATTRIBUTES
from mien.errors import InputError
from mien.filters.caption import TYPEFACES, Caption, choose_words, contrast, draw_caption
from mien.filters.preset import Preset, apply
from mien.types import Faces, Frame

ONE = faces((10, 10, 50, 60))
MOST = faces(*((x, 10, x + 9, 20) for x in range(0, 80, 10)))


def smiling(found: Faces, share: float) -> Faces:
    return found.with_attributes(smile=np.tile(np.array([[share, 1 - share]], np.float32), (len(found), 1)))


def expressing(found: Faces, answer: str) -> Faces:
    row = np.array([[float(one == answer) for one in ATTRIBUTES["expression"].answers]], np.float32)
    return found.with_attributes(expression=np.tile(row, (len(found), 1)))


def test_words_follow_the_faces() -> None:
    lines = [
        choose_words(None),
        choose_words(ONE),
        choose_words(smiling(ONE, 0.9)),
        choose_words(expressing(ONE, "surprise")),
        choose_words(expressing(ONE, "sadness")),
        choose_words(faces((0, 0, 9, 9), (20, 0, 29, 9))),
        choose_words(faces((0, 0, 9, 9), (20, 0, 29, 9), (40, 0, 49, 9))),
        choose_words(smiling(MOST, 0.9)),
    ]
    assert len(set(lines)) == len(lines)
    assert choose_words(Faces.none()) == choose_words(None)
    assert choose_words(expressing(ONE, "happiness")) == choose_words(smiling(ONE, 0.9))
    assert choose_words(smiling(ONE, 0.1)) == choose_words(ONE) == choose_words(expressing(ONE, "neutral"))
    assert choose_words(ONE.with_attributes(smile=np.full((1, 2), np.nan, np.float32))) == choose_words(ONE)
    assert len({choose_words(ONE, seed) for seed in range(9)}) > 2


@pytest.mark.parametrize("typeface", TYPEFACES)
@pytest.mark.parametrize("size", [(480, 360), (300, 900), (97, 121), (1080, 1080)], ids=str)
def test_words_never_stand_on_a_face(typeface: str, size: tuple[int, int]) -> None:
    random = np.random.default_rng(3)
    height, width = size
    for _ in range(4):
        x, y = random.uniform(0, 0.7, 2) * (width, height)
        found = faces((x, y, x + 0.3 * width, y + 0.3 * height))
        image = random.integers(0, 256, (height, width, 3), np.uint8)
        made = draw_caption(image, Caption(typeface=typeface), "Good things ahead", found, None)
        assert made is not None
        assert made.shape == image.shape
        new = (made != image).any(axis=2)
        assert new.sum() > 0.002 * new.size
        letters = np.abs(made.astype(int) - image).max(axis=2) > 90
        x1, y1, x2, y2 = found.boxes[0].astype(int)
        assert letters[y1:y2, x1:x2].mean() < 0.02


def test_no_place_no_words() -> None:
    frame = Frame(np.zeros((200, 200, 3), np.uint8), faces=faces((-9, -9, 209, 209)), matte=np.ones((200, 200), np.float32))
    assert draw_caption(frame.image, Caption(), "Hello", frame.faces, None) is None
    made = apply(Preset(frame=False, caption=Caption("Hello")), frame)
    assert np.array_equal(made.image, frame.image)
    assert made.notes == ("no caption: every place would hide a face",)


@pytest.mark.parametrize("level", [0, 60, 118, 128, 140, 200, 255, "stripes"])
def test_words_can_be_read_on_any_ground(level: int | str) -> None:
    image = np.full((400, 400, 3), 60 if level == "stripes" else level, np.uint8)
    if level == "stripes":
        image[:, ::20] = image[:, 1::20] = 215
    made = draw_caption(image, Caption("MMMMM MMMMM", "bold", "bottom"), "MMMMM MMMMM", None, None)
    assert made is not None
    inks = {ink: np.abs(made.astype(int) - ink).max(axis=2) < 2 for ink in ((27, 24, 30), (253, 251, 246))}
    ink = max(inks, key=lambda one: inks[one].sum())
    rows, columns = np.nonzero(inks[ink])
    part = np.s_[rows.min() : rows.max(), columns.min() : columns.max()]
    away = cv2.dilate(inks[ink].astype(np.uint8), np.ones((7, 7), np.uint8))[part] == 0
    assert np.percentile(contrast(ink, made[part][away]), 10) >= 4.4


def test_place_and_size() -> None:
    image = np.full((400, 300, 3), 90, np.uint8)
    rows = {}
    for place in ("top", "bottom"):
        made = draw_caption(image, Caption(place=place), "Hello", None, None)
        assert made is not None
        rows[place] = np.flatnonzero((made != image).any(axis=(1, 2)))
    assert rows["top"].max() < 200 < rows["bottom"].min()
    small, large = (
        (draw_caption(image, Caption(size=size), "Hello", None, None) != image).any(axis=2).sum() for size in (0.6, 1.5)
    )
    assert large > 2 * small


def test_long_words_are_broken_and_stay_inside() -> None:
    image = np.zeros((300, 300, 3), np.uint8)
    words = "A rather long line that nobody could ever read if it stood on one line of a small picture"
    made = draw_caption(image, Caption(), words, None, None)
    assert made is not None
    rows, columns = np.nonzero(made.any(axis=2))
    assert columns.min() > 0
    assert columns.max() < 299
    assert np.ptp(rows) > 40
    assert draw_caption(image, Caption(), "W" * 120, None, None) is None


def test_a_poster_has_its_words_off_the_panel() -> None:
    plain, told = (apply(Preset(caption=caption), portrait()).image for caption in (None, Caption("A good day")))
    rows = np.flatnonzero((plain != told).any(axis=(1, 2)))
    assert rows.min() > 1000
    assert rows.max() < 1350


def test_tiny_pictures_and_cutouts() -> None:
    for size in ((1, 1), (20, 60)):
        frame = Frame(np.zeros((*size, 3), np.uint8), matte=np.ones(size, np.float32))
        assert apply(Preset(frame=False, caption=Caption()), frame).image.shape == (*size, 3)
    made = apply(Preset("transparent", caption=Caption("Hello")), portrait())
    assert made.alpha is not None
    assert made.alpha[-60:].max() == 255


@pytest.mark.parametrize(
    ("values", "told"),
    [({"typeface": "comic"}, "typeface"), ({"place": "left"}, "place"), ({"size": True}, "size"), ({"text": " "}, "text")],
)
def test_wrong_captions(values: dict[str, object], told: str) -> None:
    with pytest.raises(InputError, match=told):
        Caption(**values)  # type: ignore[arg-type]
