"""Looks: every one keeps its contract and does what its name says."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from painted_people import SKIN, portrait

from mien.errors import InputError
from mien.filters.effects.head import Head, head_of_box
from mien.filters.looks import LOOKS, find_look, guided_filter


def heads(frame_boxes: np.ndarray) -> list[Head]:
    return [head_of_box(box) for box in frame_boxes]


@pytest.mark.parametrize("name", LOOKS)
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (33, 64), (121, 97)], ids=str)
def test_every_look_keeps_the_contract(name: str, size: tuple[int, int]) -> None:
    image = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    before = image.copy()
    for found in ([], heads(np.array([[0, 0, size[1], size[0]], [-50, -50, 3, 3]]))):
        made = LOOKS[name].paint(image, found, 4)
        assert made.shape == image.shape
        assert made.dtype == np.uint8
        assert made is not image
        assert np.array_equal(image, before)
        assert np.array_equal(made, LOOKS[name].paint(image, found, 4))


def test_smooth_evens_skin_and_keeps_the_rest() -> None:
    frame = portrait(300, 400)
    rough = np.clip(frame.image + np.random.default_rng(2).normal(0, 7, (400, 300, 1)), 0, 255).astype(np.uint8)
    made = LOOKS["smooth"].paint(rough, heads(frame.faces.boxes), 0)
    head = heads(frame.faces.boxes)[0]
    cheek = tuple(np.round(head.place((0.4, 0.6, 0))).astype(int)[::-1])
    part = np.s_[cheek[0] - 5 : cheek[0] + 6, cheek[1] - 5 : cheek[1] + 6]
    assert np.abs(rough[part].mean(axis=(0, 1)) - SKIN).max() < 8, "this is skin"
    assert made[part].std(axis=(0, 1)).max() < 0.8 * rough[part].std(axis=(0, 1)).max()
    assert np.array_equal(made[-50:], rough[-50:])
    eye = tuple(np.round(head.points["left_eye"]).astype(int)[::-1])
    around = np.s_[eye[0] - 2 : eye[0] + 3, eye[1] - 2 : eye[1] + 3]
    assert np.abs(made[around].astype(int) - rough[around]).max() <= 3


def test_smooth_keeps_edges() -> None:
    step = np.full((60, 60), 0.3, np.float32)
    step[:, 30:] = 0.7
    noisy = step + np.random.default_rng(1).normal(0, 0.02, step.shape).astype(np.float32)
    made = guided_filter(noisy, noisy, 5, 0.08)
    assert np.abs(made[20:40, :27] - 0.3).max() < 0.05
    assert made[20:40, 31].mean() - made[20:40, 28].mean() > 0.34


def test_lift_brightens_the_dark_and_leaves_the_bright() -> None:
    dark = np.full((80, 80, 3), 30, np.uint8)
    dark[:20, :20] = 240
    made = LOOKS["lift"].paint(dark, [], 0)
    assert made[60, 60].mean() > 55
    assert abs(int(made[10, 10].mean()) - 240) < 12
    bright = np.full((80, 80, 3), 170, np.uint8)
    assert np.array_equal(LOOKS["lift"].paint(bright, [], 0), bright)


def test_colours_go_the_way_the_name_says() -> None:
    grey = np.full((64, 64, 3), 128, np.uint8)
    warm, cool, film, mono = (LOOKS[name].paint(grey, [], 0).astype(float) for name in ("warm", "cool", "film", "mono"))
    assert warm[..., 0].mean() > warm[..., 2].mean() + 10
    assert cool[..., 2].mean() > cool[..., 0].mean() + 10
    assert film[32, 32].mean() > film[:3, :3].mean() + 10, "dark corners"
    assert film[28:36, 28:36].std() > 1, "grain"
    colours = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    assert np.ptp(LOOKS["mono"].paint(colours, [], 0).astype(int), axis=2).max() < 9
    assert mono.std() > 1
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    for name in ("warm", "cool"):
        assert (np.diff(LOOKS[name].paint(ramp, [], 0).astype(int), axis=1) >= 0).all()
    assert LOOKS["film"].paint(np.zeros((64, 64, 3), np.uint8), [], 0)[32, 32].min() > 4, "lifted blacks"


def test_grain_looks_alike_in_any_size() -> None:
    deviations = []
    for side in (500, 2200):
        made = LOOKS["film"].paint(np.full((side, side, 3), 128, np.uint8), [], 1)
        middle = made[side // 3 : -side // 3, side // 3 : -side // 3]
        deviations.append(cv2.resize(middle, (160, 160), interpolation=cv2.INTER_AREA).std())
    assert deviations[1] > 0.6 * deviations[0]


def test_unknown_looks_are_told() -> None:
    assert find_look(" Film ").name == "film"
    with pytest.raises(InputError, match="did you mean smooth"):
        find_look("smoth")
