"""A group's people one by one."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from painted_people import faces, portrait

from mien.filters.persons import each_person, find_persons
from mien.filters.preset import Preset, apply
from mien.types import Faces, Frame


def group(*heads: float, width: int = 900) -> Frame:
    return portrait(width, 400, heads)


def test_people_apart_are_told_by_what_hangs_together() -> None:
    frame = group(0.15, 0.5, 0.85)
    people = find_persons(frame.image, frame.matte, frame.faces)
    assert [person.face for person in people] == [0, 1, 2]
    assert not any(person.is_touching for person in people)
    total = np.sum([person.matte for person in people], axis=0)
    assert np.abs(total - frame.matte).max() < 1e-5, "the union stays"
    for person, share in zip(people, (0.15, 0.5, 0.85), strict=True):
        alone = portrait(900, 400, (share,)).matte
        assert np.abs(person.matte - alone).max() < 0.02
        x1, y1, x2, y2 = person.box
        assert x1 < share * 900 < x2
        assert (y1, y2) != (0, 0)
        assert person.matte[:, :x1].max(initial=0) < 0.3


def test_people_who_touch_are_divided_between_their_heads() -> None:
    frame = group(0.3, 0.5, width=700)
    left, right = find_persons(frame.image, frame.matte, frame.faces)
    assert left.is_touching
    assert right.is_touching
    assert np.abs(left.matte + right.matte - frame.matte).max() < 1e-5
    for person, other, share in ((left, right, 0.3), (right, left, 0.5)):
        head = (slice(90, 190), slice(int(700 * share) - 35, int(700 * share) + 35))
        assert person.matte[head].min() > 0.97
        assert other.matte[head].max() < 0.03
    border = np.flatnonzero(left.matte[380] > 0.5).max()
    assert abs(border - 280) < 25, "halfway, as both wear the same"


def test_clothes_that_differ_decide_where_people_meet() -> None:
    frame = group(0.3, 0.5, width=700)
    image = frame.image.copy()
    mine = (np.arange(700) < 310)[None] & (np.arange(400) > 260)[:, None] & (frame.matte > 0.5)
    image[mine] = (20, 60, 200)
    left, right = find_persons(image, frame.matte, frame.faces)
    assert abs(np.flatnonzero(left.matte[360] > 0.5).max() - 310) < 8
    assert right.matte[300:, :300].max() < 0.05


def test_parts_without_a_face() -> None:
    frame = group(0.2, 0.8)
    assert frame.faces is not None
    people = find_persons(frame.image, frame.matte, frame.faces[[0]])
    assert [person.face for person in people] == [0, None], "who is seen from behind is somebody too"
    matte = frame.matte.copy()
    cv2.circle(matte, (430, 60), 12, 1.0, -1)
    people = find_persons(frame.image, matte, frame.faces)
    assert len(people) == 2
    assert people[0].matte[60, 430] > 0.9, "a balloon goes with whoever is nearest"
    assert [person.face for person in find_persons(frame.image, frame.matte, None)] == [None, None]
    away = faces((400, 10, 440, 50))
    assert [person.face for person in find_persons(frame.image, frame.matte, away)] == [None, None]
    assert find_persons(frame.image, np.zeros_like(frame.matte), frame.faces) == []


def test_each_person_is_a_frame_of_its_own() -> None:
    frame = group(0.2, 0.8)
    one, other = each_person(frame)
    assert other.faces is not None
    assert len(other.faces) == 1
    x1, _, x2, _ = other.faces.boxes[0]
    assert 0 < x1 < x2 < other.width < 900
    assert one.image.shape[:2] == one.matte.shape
    cut = apply(Preset("transparent"), one)
    assert cut.alpha is not None
    assert cut.alpha.shape == (one.height, one.width)
    assert cut.alpha.max() == 255
    assert cut.image[cut.alpha == 0].mean() < 30, "nothing of the others is left"
    poster = apply(Preset.from_dict({"poster": {"long_side": 240}}), other)
    assert poster.image.shape == (240, 192, 3)
    unseen, _ = each_person(replace(frame, faces=Faces.none()))
    assert "no face found" in " ".join(unseen.notes)
    assert each_person(replace(frame, matte=None)) == []


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (33, 2)])
def test_odd_sizes(size: tuple[int, int]) -> None:
    image, matte = np.zeros((*size, 3), np.uint8), np.ones(size, np.float32)
    (person,) = find_persons(image, matte, None)
    assert person.box == (0, 0, size[1], size[0])
    two = faces((0, 0, 1, 1), (0, 0, 1, 1))
    people = find_persons(image, matte, two)
    assert np.abs(np.sum([one.matte for one in people], axis=0) - 1).max() < 1e-5
