"""Colour spaces, palettes, harmony and foreground colours."""

import cv2
import numpy as np
import pytest

from mien.errors import InputError
from mien.filters import colour
from mien.filters.foreground import blend, clean_foreground, split_layers
from mien.filters.gradient import add_grain, mesh
from mien.filters.harmony import HARMONY_RULES, choose_scheme
from mien.filters.palette import dominant_colours

XYZ_TO_LINEAR = np.array(
    [[3.2404542, -1.5371385, -0.4985314], [-0.9692660, 1.8760108, 0.0415560], [0.0556434, -0.2040259, 1.0572252]]
)


@pytest.mark.parametrize(
    ("srgb", "oklab"),
    [
        ((1, 1, 1), (1.0, 0.0, 0.0)),
        ((1, 0, 0), (0.62796, 0.22486, 0.12585)),
        ((0, 1, 0), (0.86644, -0.23389, 0.17950)),
        ((0, 0, 1), (0.45201, -0.03246, -0.31153)),
        ((0, 0, 0), (0.0, 0.0, 0.0)),
    ],
)
def test_oklab_of_the_primaries_is_as_in_css_color_4(srgb, oklab):
    assert colour.srgb_to_oklab(np.array(srgb, np.float32)) == pytest.approx(oklab, abs=2e-4)


@pytest.mark.parametrize(
    ("xyz", "oklab"),
    [
        ((0.950, 1.000, 1.089), (1.000, 0.000, 0.000)),
        ((1.000, 0.000, 0.000), (0.450, 1.236, -0.019)),
        ((0.000, 1.000, 0.000), (0.922, -0.671, 0.263)),
        ((0.000, 0.000, 1.000), (0.153, -1.415, -0.449)),
    ],
)
def test_oklab_to_linear_inverts_the_table_of_ottosson(xyz, oklab):
    linear = colour.oklab_to_linear(np.array(oklab, np.float32))
    assert linear == pytest.approx(XYZ_TO_LINEAR @ xyz, abs=6e-3)


def test_every_colour_survives_the_round_trip():
    srgb = np.random.default_rng(1).random((40, 25, 3), np.float32)
    lab = colour.srgb_to_oklab(srgb)
    back = colour.oklab_to_srgb(colour.oklch_to_oklab(colour.oklab_to_oklch(lab)))
    assert back.shape == srgb.shape
    assert back.dtype == np.float32
    assert np.abs(back - srgb).max() < 0.25 / 255


def test_into_gamut_lowers_chroma_alone():
    wild = np.stack([np.full(72, 0.7), np.full(72, 0.35), np.arange(0, 360, 5)], axis=1).astype(np.float32)
    tame = colour.into_gamut(wild)
    linear = colour.oklab_to_linear(colour.oklch_to_oklab(tame))
    assert (linear >= -1e-3).all()
    assert (linear <= 1 + 1e-3).all()
    assert np.array_equal(tame[:, [0, 2]], wild[:, [0, 2]])
    assert (tame[:, 1] > 0.05).all()
    calm = np.array([0.6, 0.02, 200], np.float32)
    assert colour.into_gamut(calm) == pytest.approx(calm)


@pytest.mark.parametrize(
    ("text", "rgb"),
    [("#f4c430", (244, 196, 48)), ("#FA0", (255, 170, 0)), (" Teal ", (0, 128, 128)), ("#fff", (255, 255, 255))],
)
def test_parse_colour_reads_names_and_hex(text, rgb):
    assert tuple(colour.parse_colour(text)) == rgb


def test_parse_colour_tells_a_bad_hex_from_no_colour():
    assert colour.parse_colour("harbour") is None
    with pytest.raises(InputError, match="#12345"):
        colour.parse_colour("#12345")


def test_dominant_colours_are_those_of_the_weighted_region():
    image = np.zeros((60, 100, 3), np.uint8)
    image[:, :30], image[:, 30:90], image[:, 90:] = (200, 30, 30), (20, 60, 190), (0, 255, 0)
    weights = np.ones((60, 100), np.float32)
    weights[:, 90:] = 0
    palette = dominant_colours(image, weights, 2, seed=3)
    assert palette.shares == pytest.approx([2 / 3, 1 / 3], abs=0.03)
    seen = colour.oklab_to_srgb(palette.colours) * 255
    assert np.abs(seen - [(20, 60, 190), (200, 30, 30)]).max() < 6
    again = dominant_colours(image, weights, 2, seed=3)
    assert np.array_equal(palette.colours, again.colours)


def test_dominant_colours_of_nothing_and_of_one_pixel():
    pixel = np.full((1, 1, 3), 77, np.uint8)
    assert len(dominant_colours(pixel, np.zeros((1, 1), np.float32), 5)) == 0
    palette = dominant_colours(pixel, np.ones((1, 1), np.float32), 5)
    assert palette.shares == pytest.approx([1.0])


def _dressed(cloth: tuple[int, int, int], hair: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    image = np.full((160, 120, 3), 128, np.uint8)
    matte = np.zeros((160, 120), np.float32)
    cv2.rectangle(image, (15, 95), (105, 160), cloth, -1)
    cv2.rectangle(matte, (15, 95), (105, 160), 1.0, -1)
    cv2.circle(image, (60, 58), 38, hair, -1)
    cv2.circle(matte, (60, 58), 38, 1.0, -1)
    cv2.circle(image, (60, 64), 26, (224, 172, 138), -1)
    return image, matte


PEOPLE = {
    "orange": _dressed((225, 90, 40), (110, 80, 50)),
    "navy": _dressed((25, 30, 60), (20, 18, 18)),
    "white": _dressed((240, 240, 236), (235, 225, 190)),
    "green": _dressed((30, 120, 60), (60, 35, 25)),
}


@pytest.mark.parametrize("name", PEOPLE)
def test_scheme_keeps_apart_from_the_outline_and_follows_a_rule(name):
    image, matte = PEOPLE[name]
    person = colour.oklab_to_oklch(dominant_colours(image, matte, 6, 0).colours)
    turns = [turn for angles in HARMONY_RULES.values() for turn in angles]
    for seed in range(6):
        scheme = choose_scheme(image, matte, seed)
        base = colour.oklch_to_oklab(scheme.base)
        cloth_and_hair = colour.srgb_to_oklab(np.array([image[150, 60], image[25, 60]], np.float32) / 255)
        assert colour.difference(cloth_and_hair, base).min() > 0.12, seed
        away = (scheme.base[2] - person[person[:, 1] > 0.03][:, 2][:, None] - turns + 180) % 360 - 180
        assert np.abs(away).min() < 4
        assert scheme.page[0] > 0.9
        assert scheme.page[1] < 0.02


def test_seeds_vary_the_scheme_and_repeat_it():
    image, matte = PEOPLE["navy"]
    hues = [float(choose_scheme(image, matte, seed).base[2]) for seed in range(6)]
    assert hues == [float(choose_scheme(image, matte, seed).base[2]) for seed in range(6)]
    assert np.ptp(hues) > 30


def test_a_grey_person_still_gets_a_colour():
    image, matte = PEOPLE["green"]
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    assert choose_scheme(grey, matte, 0).base[1] > 0.04


def _composite(height: int = 240, width: int = 200) -> tuple[np.ndarray, ...]:
    """A composite with a wide soft edge whose layers are known: brown strands before a bright, uneven wall."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    random = np.random.default_rng(7)
    foreground = np.stack([90 + 20 * np.sin(x / 19), 55 + 12 * np.cos(y / 23), 40 + 8 * np.sin((x + y) / 17)], axis=-1)
    background = np.stack([60 + 0.3 * x, 190 - 0.2 * y, 210 + 20 * np.sin(y / 40)], axis=-1)
    away = np.hypot(x - width / 2, y - height / 2) - 0.33 * width
    strands = cv2.GaussianBlur(random.random((height, width), np.float32), (0, 0), 1.2) * 60 - 30
    alpha = np.clip(0.5 - (away + strands) / 14, 0, 1).astype(np.float32)
    mixed = alpha[..., None] * foreground + (1 - alpha[..., None]) * background
    return mixed.round().astype(np.uint8), alpha, foreground, background


def test_clean_foreground_is_far_nearer_the_truth_than_the_picture_is():
    image, alpha, foreground, background = _composite()
    soft = (alpha > 0.1) & (alpha < 0.9)
    assert soft.sum() > 2000
    naive = np.abs(image[soft] - foreground[soft]).mean()
    over, under = split_layers(image, alpha)
    assert np.abs(over[soft] - foreground[soft]).mean() < 0.2 * naive
    naive_under = np.abs(image[soft] - background[soft]).mean()
    assert np.abs(under[soft] - background[soft]).mean() < 0.2 * naive_under
    assert np.array_equal(over, clean_foreground(image, alpha))


def test_clean_foreground_holds_on_large_pictures():
    image, alpha, foreground, _ = _composite(1500, 1200)
    soft = (alpha > 0.1) & (alpha < 0.9)
    naive = np.abs(image[soft] - foreground[soft]).mean()
    assert np.abs(clean_foreground(image, alpha)[soft] - foreground[soft]).mean() < 0.3 * naive


def test_layers_of_a_hard_matte_are_the_picture():
    image = np.random.default_rng(2).integers(0, 256, (31, 17, 3), np.uint8)
    hard = np.zeros((31, 17), np.float32)
    hard[5:20, 3:9] = 1
    over, under = split_layers(image, hard)
    assert np.array_equal(over[hard == 1], image[hard == 1])
    assert np.array_equal(under[hard == 0], image[hard == 0])
    assert np.array_equal(blend(over, under, hard), image)


def test_blend_follows_the_equation():
    random = np.random.default_rng(3)
    over, under = random.integers(0, 256, (2, 300, 8, 3), np.uint8)
    alpha = random.random((300, 8), np.float32)
    alpha[0], alpha[1] = 0, 1
    wanted = alpha[..., None] * over.astype(np.float32) + (1 - alpha[..., None]) * under
    assert np.abs(blend(over, under, alpha) - wanted).max() <= 0.51


def test_mesh_is_one_colour_when_all_lights_are():
    lights = np.tile(np.array([0.7, 0.08, 120], np.float32), (3, 1))
    made = mesh((50, 30), lights, [(0, 0), (1, 1), (0.5, 0.5)], [0.2, 0.3, float("inf")])
    assert made.shape == (30, 50, 3)
    assert np.abs(made - colour.oklab_to_srgb(colour.oklch_to_oklab(lights[0])) * 255).max() < 0.5


def test_grain_hides_steps_and_stays_within_range():
    ramp = np.tile(np.linspace(100, 103, 400, dtype=np.float32)[None, :, None], (200, 1, 3))
    plain, grainy = add_grain(ramp, 0, 0), add_grain(ramp, 0)
    assert np.abs(plain - ramp).max() <= 0.5
    assert len(np.unique(plain)) == 4
    assert len(np.unique(grainy)) > 10
    assert np.abs(grainy.mean(axis=0) - ramp[0]).mean() < 0.5
    edges = np.array([[[-9.0, 300.0, 128.0]]], np.float32)
    assert add_grain(edges, 0, 0).tolist() == [[[0, 255, 128]]]
