"""The smart filter: every background keeps its contract, the poster its structure, presets their word."""

import json
import logging
import shutil

import cv2
import numpy as np
import pytest
from painted_people import CLOTH, HAIR, SKIN, WALL, portrait
from PIL import Image

from mien.errors import InputError
from mien.filters.background import BACKGROUNDS, Scene, cover_fit, fill_holes, parse_background, replace_background
from mien.filters.layout import lay_out_photo, lay_out_subject
from mien.filters.motifs.motif import MOTIFS
from mien.filters.poster import PosterDesign, draw_poster
from mien.filters.preset import Preset, apply, render
from mien.filters.subject import find_subject, tidy_matte
from mien.types import Faces, Frame

SIZES = [(1, 1), (1, 9), (2, 2), (7, 5), (33, 64), (120, 97)]
# Each motif's own contract is in test_filters_backgrounds.py.
ALL_BACKGROUNDS = ["transparent", "#336699", "coral", "blur", "desaturate", "gradient", "rainbow, texture"]


def mattes(height: int, width: int) -> dict[str, np.ndarray]:
    y, x = np.mgrid[0:height, 0:width]
    away = np.hypot((x + 0.5) / width - 0.5, (y + 0.5) / height - 0.6)
    return {
        "empty": np.zeros((height, width), np.float32),
        "full": np.ones((height, width), np.float32),
        "soft": np.clip((0.4 - away) * 8, 0, 1).astype(np.float32),
    }


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("background", ALL_BACKGROUNDS)
def test_every_background_keeps_the_contract(background, size):
    image = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    for name, matte in mattes(*size).items():
        frame = Frame(image.copy(), index=3, time_s=1.5, matte=matte.copy())
        made = render(frame, background)
        assert made.image.dtype == np.uint8
        assert made.image.shape == image.shape
        assert np.array_equal(frame.image, image)
        assert np.array_equal(frame.matte, matte)
        assert np.array_equal(made.image, render(frame, background).image)
        assert (made.index, made.time_s) == (3, 1.5)
        assert (made.alpha is not None) == (background == "transparent")
        if name == "full":
            assert np.array_equal(made.image, image)
        if name == "empty" and background == "transparent":
            assert not made.alpha.any()
            assert not made.image.any()


@pytest.mark.parametrize("word", BACKGROUNDS)
def test_a_background_replaces_all_where_there_is_nobody(word):
    frame = portrait()
    scene = Scene(frame.image, np.zeros_like(frame.matte), frame.faces, 0)
    assert np.array_equal(replace_background(scene, BACKGROUNDS[word]), BACKGROUNDS[word](scene))


def test_a_solid_colour_lies_behind_the_person_without_the_old_wall():
    frame = portrait()
    made = render(frame, "#0000ff").image
    assert (made[frame.matte == 0] == (0, 0, 255)).all()
    assert np.array_equal(made[frame.matte == 1], frame.image[frame.matte == 1])
    edge = (frame.matte > 0.2) & (frame.matte < 0.8) & (np.arange(frame.height)[:, None] > 0.75 * frame.height)
    share = tidy_matte(frame.matte)[edge, None]
    new, old = (share * CLOTH + (1 - share) * behind for behind in ((0, 0, 255), WALL))
    assert np.abs(made[edge] - new).mean() < 4
    assert np.abs(made[edge] - old).mean() > 40


def test_transparent_keeps_size_colours_and_matte():
    frame = portrait()
    made = render(frame, "transparent")
    assert np.abs(made.alpha - frame.matte * 255).max() <= 0.5
    assert np.array_equal(made.image[frame.matte == 1], frame.image[frame.matte == 1])
    far = cv2.dilate(frame.matte, np.ones((9, 9))) == 0
    assert not made.image[far].any()
    visible = made.alpha > 20
    assert made.image[visible][:, 1].max() <= max(SKIN[1], CLOTH[1]) + 2


def test_transparency_of_the_input_is_multiplied():
    frame = portrait()
    half = np.full(frame.image.shape[:2], 128, np.uint8)
    half[:, :150] = 0
    made = render(Frame(frame.image, alpha=half, matte=frame.matte), "transparent")
    assert not made.alpha[:, :150].any()
    assert set(np.unique(made.alpha[:, 150:][frame.matte[:, 150:] == 1])) == {128}
    flat = render(Frame(frame.image, alpha=half, matte=frame.matte), "navy")
    assert flat.alpha is None
    assert (flat.image[:, :150] == (0, 0, 128)).all()


def test_blur_smooths_the_wall_and_lets_no_colour_of_the_person_out():
    frame = portrait()
    made = render(frame, "blur").image.astype(int)
    outside = frame.matte == 0
    assert made[outside].std(axis=0).max() < 0.3 * frame.image[outside].std(axis=0).min()
    assert np.abs(made[outside] - WALL).max() < 12
    assert np.array_equal(made[frame.matte == 1], frame.image[frame.matte == 1])


def test_blur_keeps_bright_spots_bright():
    image = np.full((200, 300, 3), 40, np.uint8)
    image[98:102, 148:152] = 255
    spot = render(Frame(image, matte=np.zeros((200, 300), np.float32)), "blur").image
    plain = cv2.blur(image, (15, 15))
    assert spot[100, 150].mean() > plain[100, 150].mean() + 20


def test_desaturate_takes_colour_from_the_background_alone():
    frame = portrait()
    made = render(frame, "desaturate").image
    outside = made[frame.matte == 0]
    assert (outside == outside[:, :1]).all()
    assert np.array_equal(made[frame.matte == 1], frame.image[frame.matte == 1])


def test_gradient_varies_with_the_seed():
    frame = portrait()
    made = [render(frame, "gradient", seed).image for seed in range(3)]
    assert len({picture.tobytes() for picture in made}) == 3


def test_a_picture_file_fills_the_frame(tmp_path):
    path = tmp_path / "beach.png"
    picture = np.zeros((50, 200, 3), np.uint8)
    picture[:, :100], picture[:, 100:] = (255, 0, 0), (0, 0, 255)
    Image.fromarray(picture).save(path)
    frame = portrait()
    made = render(frame, str(path)).image
    assert tuple(made[5, 5]) == (255, 0, 0)
    assert tuple(made[5, -5]) == (0, 0, 255)
    Image.fromarray(np.full((9, 9, 3), 77, np.uint8)).save(tmp_path / "new.png")
    shutil.move(tmp_path / "new.png", path)
    assert tuple(render(frame, str(path)).image[5, 5]) == (77, 77, 77)


@pytest.mark.parametrize("size", [(30, 40), (400, 3), (1, 1), (5, 300)])
def test_cover_fit_fills_any_size(size):
    picture = np.full((20, 33, 3), 9, np.uint8)
    assert (cover_fit(picture, size) == 9).all()
    assert cover_fit(picture, size).shape == (size[1], size[0], 3)


def test_fill_holes_carries_colours_inwards():
    picture = np.full((40, 60, 3), 0.5, np.float32)
    weight = np.ones((40, 60), np.float32)
    picture[10:30, 20:40], weight[10:30, 20:40] = 9.0, 0
    assert np.abs(fill_holes(picture, weight) - 0.5).max() < 1e-5
    assert not fill_holes(picture, np.zeros_like(weight)).any()


@pytest.mark.parametrize(("text", "hint"), [("transparant", "transparent"), ("blx", "blue"), ("zzzz", "")])
def test_an_unknown_word_names_the_known_and_the_nearest(text, hint):
    with pytest.raises(InputError) as caught:
        parse_background(text)
    message = str(caught.value)
    assert repr(text) in message
    assert hint in message
    assert all(word in message for word in MOTIFS)
    assert ("nearest" in message) == (text != "zzzz")


@pytest.mark.parametrize(("text", "meant"), [("blurr", "blur"), ("Desaturated", "desaturate"), ("lavander", "lavender")])
def test_a_close_misspelling_is_understood(text, meant):
    frame = portrait(60, 80)
    scene = Scene(frame.image, frame.matte, frame.faces, 0)
    made, wanted = parse_background(text)(scene).astype(int), parse_background(meant)(scene)
    assert np.abs(made - wanted).mean() < 30


@pytest.mark.parametrize("text", ["missing.png", "folder/missing", "#12", "#ggg"])
def test_a_background_that_cannot_be_had_is_an_input_error(text):
    with pytest.raises(InputError, match=text.split("/")[-1]):
        render(portrait(), text)


def test_a_frame_without_matte_is_refused():
    with pytest.raises(InputError, match="matte"):
        render(Frame(np.zeros((4, 4, 3), np.uint8)))


def test_poster_has_its_size_and_the_head_above_the_panel():
    frame = portrait()
    before = frame.image.copy()
    made = render(frame)
    assert made.image.shape == (1350, 1080, 3)
    assert made.alpha is None
    assert np.array_equal(frame.image, before)
    layout = lay_out_subject(find_subject(tidy_matte(frame.matte), frame.faces), 1350, 0.42, 0.02)
    x1, y1, x2, y2 = layout.panel
    assert layout.has_pop_out
    assert 0 < x1 < x2 < 1080
    assert 0 < y1 < y2 < 1350
    above = made.matte[:y1]
    assert above.max() == 1
    head_height = layout.scale * 0.36 * frame.height
    assert 0.15 * head_height < np.ptp(np.flatnonzero(above.max(axis=1) > 0.5)) < 0.8 * head_height
    hair = made.image[:y1][above > 0.99].astype(int)
    assert np.abs(np.median(hair, axis=0) - HAIR).max() < 12
    assert not made.matte[y2:].any()
    assert not made.matte[y1:, :x1].any()
    assert not made.matte[y1:, x2:].any()
    assert made.matte[y2 - 2].max() == 1


def test_poster_page_is_quiet_and_its_background_is_not_the_old_one():
    frame = portrait()
    made = render(frame)
    margin = np.concatenate([made.image[:40].reshape(-1, 3), made.image[-20:].reshape(-1, 3)]).astype(int)
    assert margin.mean() > 220
    assert np.ptp(margin.mean(axis=0)) < 20
    layout = lay_out_subject(find_subject(tidy_matte(frame.matte), frame.faces), 1350, 0.42, 0.02)
    x1, y1, x2, _ = layout.panel
    for x in (x1 + 40, x2 - 40):
        corner = made.image[y1 + 40 : y1 + 60, x - 10 : x + 10].reshape(-1, 3).mean(axis=0)
        assert np.abs(corner - WALL).max() > 40
        assert np.abs(corner - margin.mean(axis=0)).max() > 25


def test_poster_carries_faces_and_matte_to_their_new_place():
    frame = portrait()
    made = render(frame)
    assert len(made.faces) == 1
    x1, y1, x2, y2 = made.faces.boxes[0].astype(int)
    inside = made.image[(y1 + 2 * y2) // 3 - 5 : (y1 + 2 * y2) // 3 + 5, (x1 + x2) // 2 - 5 : (x1 + x2) // 2 + 5]
    assert np.abs(inside.reshape(-1, 3).mean(axis=0) - SKIN).max() < 15
    assert made.faces.keypoints[0, 0] == pytest.approx([(x1 + x2) / 2, (y1 + y2) / 2], abs=2)


def test_poster_is_the_same_for_a_seed_and_another_for_another():
    frame = portrait()
    design = PosterDesign(long_side=400)
    pictures = [apply(Preset(seed=seed, poster=design), frame).image for seed in (0, 0, 1, 2)]
    assert np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])
    assert np.abs(pictures[0].astype(int) - pictures[3]).max() > 20


def test_a_wide_group_gets_a_landscape_page_with_everybody_on_it():
    frame = portrait(900, 400, heads=(0.2, 0.5, 0.8))
    made = render(frame)
    assert made.image.shape == (1080, 1350, 3)
    for x1, y1, x2, y2 in made.faces.boxes:
        assert made.matte[int(y1) : int(y2), int(x1) : int(x2)].mean() > 0.9


@pytest.mark.parametrize("size", [(400, 300), (200, 500), (1, 1), (900, 4)], ids=str)
def test_a_picture_of_nobody_is_framed_whole(size, caplog):
    image = np.full((*size, 3), (200, 60, 20), np.uint8)
    with caplog.at_level(logging.WARNING):
        made = render(Frame(image, source="beach.png", faces=Faces.none(), matte=np.zeros(size, np.float32)))
    assert "no person found in beach.png" in caplog.text
    page_height, page_width = made.image.shape[:2]
    assert sorted((page_height, page_width)) == [1080, 1350]
    assert not made.matte.any()
    layout = lay_out_photo(size[1], size[0], 1350)
    x1, y1, x2, y2 = layout.panel
    photo = made.image[y1 + 30 : y2 - 30, x1 + 30 : x2 - 30].reshape(-1, 3).astype(int)
    assert len(photo) > 100_000
    assert np.abs(photo - (200, 60, 20)).mean() < 4
    assert made.image[3, 3].min() > 200


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", ["empty", "full", "soft"])
def test_posters_of_tiny_pictures(size, name):
    image = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    design = PosterDesign(long_side=250)
    made = apply(Preset(poster=design), Frame(image, matte=mattes(*size)[name]))
    assert sorted(made.image.shape) == [3, 200, 250]
    assert made.image.dtype == np.uint8


def test_design_shapes_the_frame():
    frame = portrait()
    plain = PosterDesign(long_side=400, border=0.0, corner=0.0, shadow=0.0, grain=0.0, pop_out=0.0)
    page, _, matte = draw_poster(frame.image, frame.matte, frame.faces, 0, plain)
    layout = lay_out_subject(find_subject(tidy_matte(frame.matte), frame.faces), 400, 0.0, 0.0)
    x1, y1, x2, y2 = layout.panel
    outside = np.ones(page.shape[:2], bool)
    outside[y1:y2, x1:x2] = False
    assert not layout.has_pop_out
    assert not matte[outside].any()
    assert len(np.unique(page[outside], axis=0)) == 1


def test_presets_are_data():
    preset = Preset("blur", 3, PosterDesign(border=0.02))
    assert Preset.from_dict(json.loads(json.dumps(preset.to_dict()))) == preset
    assert Preset.from_dict({}) == Preset()
    frame = portrait()
    assert np.array_equal(apply(preset, frame).image, render(frame, "blur", 3).image)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"backdrop": "blur"}, "backdrop"),
        ({"poster": {"boarder": 0.1}}, "boarder"),
        ({"poster": {"border": 0.5}}, "border"),
        ({"poster": {"grain": "much"}}, "much"),
        ({"poster": {"long_side": 400.0}}, "long_side"),
        ({"poster": 3}, "3"),
        ({"background": 7}, "7"),
        ({"seed": -1}, "-1"),
        ({"seed": True}, "True"),
    ],
    ids=str,
)
def test_a_wrong_preset_says_what_is_wrong(values, told):
    with pytest.raises(InputError, match=told):
        Preset.from_dict(values)
