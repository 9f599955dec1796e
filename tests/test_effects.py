"""Effects: every one keeps its contract; they turn, grow and stay with the head; those for privacy leave nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
import pytest
from painted_people import portrait

from mien.filters.effects import EFFECTS, find_effect
from mien.filters.effects.art import Sketch, ellipse, tinted
from mien.filters.effects.canvas import Canvas
from mien.filters.effects.head import find_heads, head_of_box
from mien.filters.effects.privacy import head_region
from mien.filters.preset import EffectUse, Preset, apply
from mien.types import LANDMARKS, Faces, Frame

PRIVACY = [name for name, effect in EFFECTS.items() if effect.is_privacy]
ON_FACE = [name for name in EFFECTS if name not in PRIVACY]
MODEL = np.array([[0.5, 0, 0], [-0.5, 0, 0], [0, 0.57, 0.42], [0.41, 1.05, 0.08], [-0.41, 1.05, 0.08]])


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(threads)


def head_faces(
    unit: float = 40.0, at: tuple[float, float] = (150, 140), yaw: float = 0.0, roll: float = 0.0, pitch: float = 0.0
) -> Faces:
    """A face with exactly the keypoints of the mean head, turned by radians."""
    turn_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    turn_x = np.array([[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]])
    turn_z = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    points = unit * (MODEL @ (turn_z @ turn_x @ turn_y).T)[:, :2] + at
    x, y = at
    return Faces([[x - unit, y - 0.9 * unit, x + unit, y + 1.8 * unit]], [0.9], [points])


def noise(height: int = 400, width: int = 300) -> np.ndarray:
    return np.random.default_rng(5).integers(60, 200, (height, width, 3), np.uint8)


def changed(name: str, found: Faces, image: np.ndarray | None = None) -> np.ndarray:
    """(H, W) where an effect changed a grey picture."""
    picture = np.full((400, 300, 3), 128, np.uint8) if image is None else image
    canvas = Canvas(picture)
    for head in find_heads(found):
        EFFECTS[name].paint(canvas, head)
    return np.abs(canvas.image.astype(int) - picture).max(axis=2)


@pytest.mark.parametrize("name", EFFECTS)
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 5), (121, 97)], ids=str)
def test_every_effect_keeps_the_contract(name: str, size: tuple[int, int]) -> None:
    image = noise(*size)
    matte = np.ones(size, np.float32)
    height, width = size
    places = {
        "none": Faces.none(),
        "inside": head_faces(width / 4, (width / 2, height / 2)),
        "half out": head_faces(width / 4, (0, 0)),
        "far out": head_faces(20, (-900, 5000)),
        "huge": head_faces(300, (width / 2, height / 2)),
        "unknown points": Faces([[0, 0, width, height]], [1], np.full((1, 5, 2), np.nan)),
        "flat": Faces([[3, 3, 3, 3]], [1], np.zeros((1, 5, 2))),
    }
    for told, found in places.items():
        for whose in (matte, np.zeros_like(matte)):
            frame = Frame(image.copy(), faces=found, matte=whose)
            made = apply(Preset(frame=False, effects=(name,)), frame)
            assert made.image.shape == image.shape, told
            assert made.image.dtype == np.uint8
            assert np.array_equal(frame.image, image)
            assert np.array_equal(made.image, apply(Preset(frame=False, effects=(name,)), frame).image)
            if told in ("none", "far out"):
                assert np.array_equal(made.image, image)


@pytest.mark.parametrize("name", ON_FACE)
def test_every_effect_shows_grows_and_turns_with_the_head(name: str) -> None:
    plain = changed(name, head_faces(30)) > 8
    assert plain.sum() > 20
    large = changed(name, head_faces(45)) > 8
    assert 1.6 < large.sum() / plain.sum() < 3.0
    turned = changed(name, head_faces(30, roll=0.6)) > 8
    assert 0.7 < turned.sum() / plain.sum() < 1.4
    rows, columns = np.nonzero(plain)
    middle = np.array([columns.mean() - 150, rows.mean() - 140])
    wanted = np.array([[np.cos(0.6), -np.sin(0.6)], [np.sin(0.6), np.cos(0.6)]]) @ middle
    rows, columns = np.nonzero(turned)
    assert np.hypot(*(np.array([columns.mean() - 150, rows.mean() - 140]) - wanted)) < 9


@pytest.mark.parametrize(
    ("yaw", "pitch", "roll"), [(0, 0, 0), (0.5, 0, 0), (-0.7, 0, 0.4), (0.3, 0.2, -0.7), (0, 0, 2.5), (0, -0.2, 0)]
)
def test_the_pose_of_the_mean_head_is_found(yaw: float, pitch: float, roll: float) -> None:
    (head,) = find_heads(head_faces(40, yaw=yaw, pitch=pitch, roll=roll))
    assert head is not None
    assert head.yaw == pytest.approx(yaw, abs=0.08)
    assert head.pitch == pytest.approx(pitch, abs=0.12)
    assert np.cos(head.roll - roll) > 0.995
    assert head.unit == pytest.approx(40, rel=0.05)
    if roll == 0 and pitch == 0:
        assert head.place((0, 0, 0.42))[0] - 150 == pytest.approx(40 * 0.42 * np.sin(yaw), abs=2)


def test_contour_points_tell_more_than_five_do() -> None:
    found = head_faces(40)
    marks = np.zeros((68, 2))
    right, left, nose, mouth_left, mouth_right = (found.keypoints[0][row] for row in (1, 0, 2, 3, 4))
    marks[36:42], marks[42:48], marks[30] = right, left, nose
    marks[54], marks[48] = mouth_left, mouth_right
    marks[8], marks[0], marks[16] = (150, 140 + 40 * 2.1), (150 - 50, 145), (150 + 50, 145)
    marks[33], marks[51] = (150, 172), (150, 178)
    worse = replace(found, keypoints=found.keypoints + np.float32(9))
    (head,) = find_heads(worse.with_attributes(**{LANDMARKS: marks.reshape(1, 136).astype(np.float32)}))
    assert head is not None
    assert head.points["eyes"] == pytest.approx([150, 140], abs=0.1)
    assert head.points["lip"] == pytest.approx([150, 175], abs=0.1)
    assert head.chin > 1.95
    assert head.half_width > 1.2
    moved = worse.with_attributes(**{LANDMARKS: marks.reshape(1, 136).astype(np.float32)}).moved(2, (10, 0))
    assert moved.attributes[LANDMARKS][0, 0] == pytest.approx(2 * 100 + 10)
    assert moved.boxes[0] == pytest.approx(worse.boxes[0] * 2 + [10, 0, 10, 0])


def test_hair_decides_how_high_things_sit() -> None:
    found = head_faces(40)
    matte = np.zeros((400, 300), np.float32)
    for top in (60, 75):
        matte[:] = 0
        matte[top:, 60:240] = 1
        (head,) = find_heads(found, matte)
        assert head is not None
        assert head.place((0, head.top, 0))[1] == pytest.approx(top, abs=3)


def covered(name: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The picture after a privacy effect on noise of that seed, and where the head is."""
    image = np.random.default_rng(seed).integers(0, 256, (400, 300, 3), np.uint8)
    canvas = Canvas(image, np.ones((400, 300), np.float32))
    (head,) = find_heads(head_faces(40))
    assert head is not None
    EFFECTS[name].paint(canvas, head)
    (left, top, right, bottom), inside = head_region(canvas, head)
    mask = np.zeros((400, 300), bool)
    mask[top:bottom, left:right] = inside >= 1
    return canvas.image, mask


@pytest.mark.parametrize("name", PRIVACY)
def test_privacy_leaves_a_handful_of_colours_or_none(name: str) -> None:
    image, mask = covered(name, 1)
    x1, y1, x2, y2 = 110, 104, 190, 212
    assert mask[y1:y2, x1:x2].all(), "the whole face box"
    assert mask[80:212, 130:170].all(), "hair and chin too"
    assert mask[120:180, 104:196].all(), "ears too"
    if name in ("solid", "emoji"):
        other, _ = covered(name, 2)
        assert np.abs(image[mask].astype(int) - other[mask]).max() <= (0 if name == "solid" else 30)
        return
    # Noise of deviation 74 is averaged away: what is left of it tells how many pixels went into each value.
    original = np.random.default_rng(1).integers(0, 256, (400, 300, 3), np.uint8)
    assert image[mask].std() < 10
    assert abs(np.corrcoef(image[mask].ravel(), original[mask].ravel())[0, 1]) < 0.12
    if name == "pixelate":
        assert len(np.unique(image[mask], axis=0)) < 90


@pytest.mark.parametrize("name", PRIVACY)
def test_privacy_needs_no_keypoints(name: str) -> None:
    image = noise()
    found = Faces([[100, 100, 200, 230]], [1], np.full((1, 5, 2), np.nan))
    made = apply(Preset(frame=False, effects=(name,)), Frame(image, faces=found, matte=np.ones((400, 300), np.float32)))
    part = np.s_[100:230, 100:200]
    assert (made.image[part] != image[part]).any(axis=2).mean() > 0.97
    assert made.notes == ()


def test_a_wrong_keypoint_uncovers_nothing() -> None:
    found = head_faces(40)
    points = found.keypoints.copy()
    points[0, :, 0] += 70
    made = changed("solid", replace(found, keypoints=points), noise())
    x1, y1, x2, y2 = found.boxes[0].astype(int)
    inner = made[y1 + 8 : y2 - 8, x1 + 4 : x2 - 4]
    assert (inner > 0).mean() > 0.98


def test_effects_without_points_are_told() -> None:
    found = Faces([[100, 100, 200, 230]], [1], np.full((1, 5, 2), np.nan))
    frame = Frame(noise(), faces=found, matte=np.ones((400, 300), np.float32))
    made = apply(Preset(frame=False, effects=("crown",)), frame)
    assert np.array_equal(made.image, frame.image)
    assert made.notes == ("crown: left off 1 of 1 faces whose eyes, nose and mouth are not known",)
    nobody = apply(Preset(frame=False, effects=("crown", "blur")), replace(frame, faces=None))
    assert nobody.notes == ("no face found: nothing is put on (crown, blur)",)


def test_a_trigger_picks_faces_and_tells_what_it_lacks() -> None:
    pair = Faces(
        *(
            np.concatenate([getattr(head_faces(30, (80, 150)), name), getattr(head_faces(30, (220, 150)), name)])
            for name in ("boxes", "scores", "keypoints")
        )
    )
    frame = Frame(noise(), faces=pair, matte=np.ones((400, 300), np.float32))
    uses = (EffectUse("clown-nose"),)
    untold = apply(Preset(frame=False, effects=uses, when="smile > 0.7"), frame)
    assert np.array_equal(untold.image, frame.image)
    assert "carry no smile" in untold.notes[0]
    smiling = replace(frame, faces=pair.with_attributes(smile=np.array([[0.9, 0.1], [0.2, 0.8]], np.float32)))
    made = apply(Preset(frame=False, effects=uses, when="smile > 0.7"), smiling)
    moved = np.flatnonzero((made.image != frame.image).any(axis=(0, 2)))
    assert moved.min() > 40
    assert moved.max() < 130
    assert made.notes == ()


def test_a_hat_is_part_of_the_person_and_whole_on_a_poster() -> None:
    frame = portrait(300, 400)
    x, y = frame.faces.boxes[0, :2]
    found = head_faces(28, (150, 140))
    frame = replace(frame, faces=found)
    plain, hat = (apply(Preset("#00ff00", effects=uses), frame).image for uses in ((), ("hat",)))
    above = np.s_[int(y) - 45 : int(y) - 25, 120:180]
    assert (hat[above] == (0, 255, 0)).all(axis=2).mean() < (plain[above] == (0, 255, 0)).all(axis=2).mean()
    near_top = replace(frame, image=frame.image[60:], matte=frame.matte[60:], faces=found.moved(1, (0, -60)))
    poster = apply(Preset(effects=("hat",)), near_top)
    top = np.flatnonzero(poster.matte.max(axis=1) > 0.5)[0]
    assert top > 10, "the hat has room above it"
    assert x > 0


def test_effects_follow_the_light() -> None:
    found = head_faces(40)
    nose = [int(found.keypoints[0, 2, 1]), int(found.keypoints[0, 2, 0])]
    levels = []
    for level in (40, 230):
        canvas = Canvas(np.full((400, 300, 3), level, np.uint8))
        (head,) = find_heads(found)
        EFFECTS["clown-nose"].paint(canvas, head)
        levels.append(canvas.image[nose[0], nose[1]].astype(int))
    assert levels[0][0] < 0.8 * levels[1][0]
    assert np.ptp(levels[0]) < 4, "a grey photo gets a grey nose"


def test_drawings_are_kept_and_cheap_enough_for_video() -> None:
    tile = Sketch(-1, -1, 1, 1).tile()
    assert tile.at(200) is tile
    assert tile.at(50).unit == pytest.approx(50)
    assert tile.at(50) is tile.at(50)


def test_tint_keeps_greys_in_order() -> None:
    sheet = Sketch(0, 0, 1, 1, 20)
    sheet.paint(sheet.fill(ellipse(0.5, 0.5, 0.4, 0.4)), np.repeat(sheet.x[..., None], 3, axis=2))
    layer = tinted(sheet.tile().pixels, np.array([0.6, 0.3, 0.1]))
    row = layer[10, 4:16]
    assert (np.diff(row[:, 0]) >= -1e-6).all()
    assert (layer[..., :3] <= layer[..., 3:] + 1e-5).all()


def test_names_are_understood_in_any_spelling() -> None:
    assert find_effect("Cat_Ears", EFFECTS).name == "cat-ears"
    assert find_effect("clown nose", EFFECTS).name == "clown-nose"


def test_a_head_from_a_box_covers_it() -> None:
    head = head_of_box(np.array([10.0, 20, 110, 150]))
    (left, top, right, bottom), inside = head_region(Canvas(noise()), head)
    assert inside.shape == (bottom - top, right - left)
    assert left <= 10
    assert bottom >= 150
