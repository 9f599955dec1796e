"""Where people are in a picture, and where the poster puts them."""

import cv2
import numpy as np
import pytest
from painted_people import faces, portrait

from mien.filters.layout import lay_out_subject
from mien.filters.subject import find_subject, is_empty, tidy_matte


def test_no_cut_of_the_photo_shows_in_any_layout():
    """Whatever borders cut a person, those cuts lie on the panel's edges or outside, and what pops out is whole."""
    random = np.random.default_rng(11)
    popped = 0
    for _ in range(150):
        height, width = random.integers(60, 500, 2)
        matte = np.zeros((height, width), np.float32)
        x, y = random.uniform(0.1, 0.9) * width, random.uniform(0.05, 0.6) * height
        size = random.uniform(0.08, 0.5) * min(width, height)
        cv2.circle(matte, (int(x), int(y)), int(size) + 1, 1.0, -1)
        reach = size * random.uniform(1, 4)
        cv2.rectangle(matte, (int(x - reach), int(y + 0.9 * size)), (int(x + reach), int(height)), 1.0, -1)
        subject = find_subject(matte, faces((x - 0.7 * size, y - 0.6 * size, x + 0.7 * size, y + size)))
        layout = lay_out_subject(subject, 1350, 0.42, 0.02)
        x1, y1, x2, y2 = layout.panel
        left, top = layout.shift
        right, bottom = left + layout.scale * width, top + layout.scale * height
        assert 0 < x1 < x2 < layout.page[0]
        assert 0 < y1 < y2 < layout.page[1]
        assert y2 - y1 > 0.3 * layout.unit
        assert bottom >= y2 - 1
        touches_left, touches_right = matte[:, 0].any(), matte[:, -1].any()
        assert not touches_left or left <= x1 + 1
        assert not touches_right or right >= x2 - 1
        if layout.has_pop_out:
            popped += 1
            assert not matte[0].mean() > 0.04
            above = matte[: max(0, int((y1 - top) / layout.scale))] > 0.5
            columns = np.flatnonzero(above.any(axis=0))
            assert left + layout.scale * columns[0] > x1
            assert left + layout.scale * (columns[-1] + 1) < x2
            assert not above[:, 0].any()
            assert not above[:, -1].any()
        else:
            assert top + layout.scale * subject.box[1] >= y1 - 1 or subject.is_cut_top
    assert 30 < popped < 150


def test_tidy_matte_drops_haze_and_specks_but_no_second_person():
    frame = portrait(600, 400, heads=(0.25, 0.75))
    hazy = np.maximum(frame.matte * 0.95, 0.04)
    hazy[5:12, 290:300] = 0.9
    tidy = tidy_matte(hazy.astype(np.float32))
    assert not tidy[:60].any()
    assert (tidy[frame.matte == 1] == 1).all()
    assert np.abs(tidy - frame.matte)[60:].max() < 0.1


def test_tidy_matte_makes_a_doubtful_body_solid_but_keeps_gaps_open():
    matte = np.zeros((320, 240), np.float32)
    matte[80:, 40:200] = 0.7
    matte[200:260, 100:130] = 0.1
    tidy = tidy_matte(matte)
    assert tidy[120:180, 70:170].min() == 1
    assert tidy[225:235, 110:120].max() < 0.1
    assert not tidy[:75].any()


def test_is_empty_sees_past_haze():
    assert is_empty(np.full((50, 50), 0.3, np.float32))
    assert not is_empty(portrait().matte)


def test_subject_knows_heads_and_cuts():
    frame = portrait()
    subject = find_subject(frame.matte, frame.faces)
    assert subject.is_cut_bottom
    assert not subject.is_cut_top
    assert subject.cut_left is None
    top_of_hair = 0.36 * 400 - 1.2 * 60
    assert subject.heads[0, 1] == pytest.approx(top_of_hair, abs=5)
    assert find_subject(frame.matte, faces((0, 0, 20, 20))).heads[0, 1] == pytest.approx(top_of_hair, abs=5)
    close = portrait(150, 400)
    cut = find_subject(close.matte, close.faces)
    assert cut.cut_left == pytest.approx(cut.cut_right, abs=8)
    assert 200 < cut.cut_left < 330


def test_a_head_cut_by_the_upper_border_is_told_from_one_that_touches_it():
    whole, cut = np.zeros((400, 300), np.float32), np.zeros((400, 300), np.float32)
    for matte, y in ((whole, 83), (cut, 50)):
        cv2.ellipse(matte, (150, y), (60, 80), 0, 0, 360, 1.0, -1)
        cv2.rectangle(matte, (60, 180), (240, 400), 1.0, -1)
        matte[:3] = 0
    box = (105, 30, 195, 125)
    assert not find_subject(whole, faces(box)).is_cut_top
    assert find_subject(cut, faces(box)).is_cut_top
