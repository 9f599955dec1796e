"""Calm over time: still scenes stop flickering, moving ones do not lag, and a stream's choices stay."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from painted_people import faces, portrait

from mien.filters.effects import EFFECTS
from mien.filters.poster import PosterDesign
from mien.filters.preset import Preset
from mien.filters.steady import SteadyFaces, SteadyMatte
from mien.filters.stream import Filter
from mien.metrics import flicker, matte_error
from mien.types import Faces, Frame


def noisy(frame: Frame, random: np.random.Generator, level: float = 2.0) -> Frame:
    """The frame as a camera sees it: noise in the picture, and in the matte's soft edge as models have it."""
    image = np.clip(frame.image + random.normal(0, level, frame.image.shape), 0, 255).astype(np.uint8)
    edge = frame.matte * (1 - frame.matte) * 4
    matte = np.clip(frame.matte + edge * cv2.GaussianBlur(random.normal(0, 1.2, edge.shape), (0, 0), 2), 0, 1)
    return replace(frame, image=image, matte=matte.astype(np.float32))


@pytest.mark.parametrize("level", [0.0, 2.0, 6.0])
def test_flicker_of_a_still_scene_is_at_least_halved(level: float) -> None:
    random, steady = np.random.default_rng(3), SteadyMatte()
    still = portrait()
    raw = [noisy(still, random, level) for _ in range(16)]
    calm = [steady(frame) for frame in raw]
    before, after = (flicker(np.stack([frame.matte for frame in frames[4:]])) for frames in (raw, calm))
    assert after < 0.5 * before
    assert matte_error(calm[-1].matte, still.matte) <= matte_error(raw[-1].matte, still.matte)


def test_what_moves_does_not_lag() -> None:
    random, steady = np.random.default_rng(3), SteadyMatte()
    still = portrait()
    lags = []
    for step in range(14):
        shift = np.float32([[1, 0, 3 * step], [0, 1, 0]])
        size = (still.width, still.height)
        image = cv2.warpAffine(still.image, shift, size, borderMode=cv2.BORDER_REPLICATE)
        matte = cv2.warpAffine(still.matte, shift, size, borderMode=cv2.BORDER_REPLICATE)
        made = steady(noisy(replace(still, image=image, matte=matte), random))
        if step > 2:
            before = np.float32([[1, 0, 3 * (step - 1)], [0, 1, 0]])
            earlier = cv2.warpAffine(still.matte, before, size, borderMode=cv2.BORDER_REPLICATE)
            lags.append(matte_error(made.matte, matte) / matte_error(earlier, matte))
    assert np.mean(lags) < 0.35, "far less than one frame behind"


def test_a_cut_and_a_new_size_start_afresh() -> None:
    steady, still = SteadyMatte(), portrait()
    steady(still)
    other = replace(still, image=255 - still.image, matte=1 - still.matte)
    assert matte_error(steady(other).matte, other.matte) < 0.02
    small = portrait(150, 200)
    assert np.array_equal(steady(small).matte, small.matte)
    assert steady(replace(small, matte=None)).matte is None


def test_faces_tremble_less_and_follow_quick_moves() -> None:
    random, steady = np.random.default_rng(1), SteadyFaces()
    raw, calm = [], []
    for index in range(40):
        found = faces((100, 100, 200, 220))
        found = replace(found, keypoints=found.keypoints + random.normal(0, 1, (1, 5, 2)).astype(np.float32))
        raw.append(found.keypoints)
        calm.append(steady(Frame(np.zeros((9, 9, 3), np.uint8), time_s=index / 30, faces=found)).faces.keypoints)
    assert np.diff(calm[10:], axis=0).std() < 0.6 * np.diff(raw[10:], axis=0).std()
    behind = []
    for index in range(40, 60):
        found = faces((100 + 12 * (index - 40), 100, 200 + 12 * (index - 40), 220))
        made = steady(Frame(np.zeros((9, 9, 3), np.uint8), time_s=index / 30, faces=found)).faces
        behind.append(float(found.boxes[0, 0] - made.boxes[0, 0]))
    assert max(behind[5:]) < 6, "half a step at most"


def test_a_lost_face_stays_covered_for_a_moment() -> None:
    steady = SteadyFaces()
    image = np.zeros((9, 9, 3), np.uint8)
    steady(Frame(image, faces=faces((10, 10, 50, 60)), time_s=0.0))
    counts = [len(steady(Frame(image, faces=Faces.none(), time_s=time_s)).faces) for time_s in (0.1, 0.3, 0.45, 0.6, 0.7)]
    assert counts == [1, 1, 1, 0, 0]
    assert steady(Frame(image)).faces is None


def test_a_stream_keeps_its_layout_colours_and_words() -> None:
    preset = Preset.from_dict({"poster": {"long_side": 240}, "caption": "auto"})
    still = portrait()
    stream = Filter(preset, is_stream=True)
    first = stream(still)
    moved = replace(still, image=np.roll(still.image, 9, axis=1), matte=np.roll(still.matte, 9, axis=1), index=1)
    second = stream(moved)
    assert first.image.shape == second.image.shape
    assert np.abs(first.image[:8].astype(int) - second.image[:8]).max() <= 1
    nobody = stream(replace(still, matte=np.zeros_like(still.matte), faces=Faces.none(), index=2))
    assert nobody.image.shape == first.image.shape
    assert np.abs(first.image[:8].astype(int) - nobody.image[:8]).max() <= 1


def test_a_painted_background_stands_still_in_a_stream() -> None:
    stream = Filter(Preset("gradient"), is_stream=True)
    still = portrait()
    first = stream(still).image
    second = stream(replace(still, image=255 - still.image, index=1)).image
    away = cv2.dilate(still.matte, np.ones((15, 15))) == 0
    assert np.array_equal(first[away], second[away])


def test_privacy_holds_in_a_stream() -> None:
    stream = Filter(Preset(frame=False, effects=("solid",)), is_stream=True)
    steady, still = SteadyFaces(), portrait()
    for index in range(4):
        found = still.faces if index != 2 else Faces.none()
        made = stream(steady(replace(still, faces=found, index=index, time_s=index / 30)))
        x1, y1, x2, y2 = still.faces.boxes[0].astype(int)
        assert made.image[y1:y2, x1:x2].std(axis=(0, 1)).max() < 1
    assert EFFECTS["solid"].is_privacy


@pytest.mark.parametrize("background", ["marble", "blurred stripes", "blue paper", None])
def test_a_still_noisy_video_has_one_background(background: str | None) -> None:
    random, stream = np.random.default_rng(2), Filter(Preset(background, poster=PosterDesign(240, grain=0)), is_stream=True)
    still = portrait()
    made = [stream(noisy(replace(still, index=n, time_s=n / 25), random)).image for n in range(4)]
    away = np.zeros(made[0].shape[:2], bool)
    away[:30, :30] = away[:30, -30:] = True
    for image in made[1:]:
        assert np.array_equal(image[away], made[0][away])


def test_a_video_that_begins_and_ends_without_anybody() -> None:
    stream = Filter(Preset(poster=PosterDesign(240, grain=0)), is_stream=True)
    someone = portrait(400, 300)
    nobody = replace(someone, matte=np.zeros_like(someone.matte), faces=Faces.none())
    order = [nobody, nobody, someone, nobody, nobody, someone]
    times = (0.0, 0.1, 0.2, 0.4, 2.0, 2.1)
    made = [stream(replace(frame, index=n, time_s=t)) for n, (frame, t) in enumerate(zip(order, times, strict=True))]
    assert len({frame.image.shape for frame in made}) == 1, "a video has one size"
    assert np.array_equal(made[0].image, made[1].image)
    assert np.array_equal(made[2].image, made[5].image), "the same layout when the person is back"
    gone, away = made[3].image.astype(int), made[4].image.astype(int)
    assert away[100:140, 80:200].std() > 5, "the picture itself, not an empty panel"
    assert np.abs(gone - away).mean() > 3
    assert "the photo is framed whole" in " ".join(made[4].notes)


def test_a_background_that_was_put_in_stays_when_people_leave() -> None:
    stream = Filter(Preset("marble"), is_stream=True)
    still = portrait()
    first = stream(still).image
    left = stream(replace(still, matte=np.zeros_like(still.matte), faces=Faces.none(), index=1, time_s=3.0))
    away = cv2.dilate(still.matte, np.ones((15, 15))) == 0
    assert np.array_equal(left.image[away], first[away])
    assert "no person found" in " ".join(left.notes)
