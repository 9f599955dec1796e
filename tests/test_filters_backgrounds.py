"""Backgrounds from words: every motif keeps its contract, words mean what people mean, folders are searched."""

import cv2
import numpy as np
import pytest
from painted_people import portrait
from PIL import Image

from mien.errors import InputError, SourceError
from mien.filters import colour
from mien.filters.background import Scene, keep_apart, notes_on, parse_background
from mien.filters.gallery import named_pictures, split_folder
from mien.filters.harmony import choose_scheme, named_scheme
from mien.filters.light import find_light
from mien.filters.moods import MOODS
from mien.filters.motifs.canvas import Canvas
from mien.filters.motifs.motif import LAYERS, MOTIFS, paint
from mien.filters.preset import Preset, render
from mien.filters.stream import Filter
from mien.filters.words import OTHER_NAMES, colours_of, read_words
from mien.types import Faces, Frame

ASKED_FOR = [
    "rainbow",
    "gradient",
    "texture",
    "paper",
    "marble",
    "bokeh",
    "sunset",
    "sky",
    "sea",
    "forest",
    "mountains",
    "city lights",
    "neon",
    "halftone",
    "watercolour",
    "confetti",
    "stars",
    "snow",
    "flowers",
    "stripes",
    "waves",
    "grid",
]


def scene(width: int = 300, height: int = 400, seed: int = 0) -> Scene:
    frame = portrait(width, height)
    return Scene(frame.image, frame.matte, frame.faces, seed)


SCHEME = scene().scheme


def canvas(width: int, height: int, seed: int = 0) -> Canvas:
    """One composition at any size: the colours are those of one portrait, the head is at one share of the frame."""
    empty = Canvas((width, height), SCHEME, seed, (0, 0, 0))
    return Canvas((width, height), SCHEME, seed, (0.5 * empty.width, 0.4 * empty.height, 0.2))


def test_all_that_was_promised_is_there():
    assert set(ASKED_FOR) <= set(MOTIFS)
    assert set(OTHER_NAMES) == set(MOTIFS)
    assert {motif.layer for motif in MOTIFS.values()} == set(LAYERS)
    for motif in MOTIFS.values():
        assert all(word in MOTIFS for word in motif.ground)
        assert MOTIFS[motif.ground[0]].layer == "ground"


@pytest.mark.parametrize("word", MOTIFS)
def test_a_motif_is_the_same_for_a_seed_and_fills_the_picture(word):
    place = canvas(150, 110)
    made = paint([word], place)
    assert made.shape == (110, 150, 3)
    assert made.dtype == np.uint8
    assert np.array_equal(made, paint([word], place))
    assert 3 < made.mean() < 252
    assert made.std() > 1.5
    other = [paint([word], canvas(150, 110, seed)) for seed in (1, 2)]
    assert any(not np.array_equal(made, picture) for picture in other)


@pytest.mark.parametrize("word", MOTIFS)
def test_a_motif_is_one_composition_at_any_size(word):
    small, large = paint([word], canvas(480, 270)), paint([word], canvas(1200, 675))
    shrunk = cv2.resize(large, (480, 270), interpolation=cv2.INTER_AREA)
    soft = [cv2.GaussianBlur(picture, (0, 0), 3).astype(float) for picture in (small, shrunk)]
    assert np.abs(soft[0] - soft[1]).mean() < 4, "the same colours in the same places"
    alike = np.corrcoef(soft[0].ravel(), soft[1].ravel())[0, 1]
    assert alike > 0.95


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (600, 3), (3, 500), (37, 64)], ids=str)
def test_motifs_of_odd_sizes(size):
    for word in MOTIFS:
        assert paint([word], canvas(*size)).shape == (size[1], size[0], 3), word


@pytest.mark.parametrize(
    "words", [("rainbow", "texture"), ("sunset", "sea"), ("sky", "flowers"), ("stars", "mountains")], ids=str
)
def test_mixing_shows_both(words):
    mixed = paint(words, canvas(200, 150)).astype(float)
    assert np.array_equal(mixed, paint(tuple(reversed(words)), canvas(200, 150)))
    for word in words:
        assert np.abs(mixed - paint([word], canvas(200, 150))).mean() > 2


def test_two_grounds_blend_from_the_first_to_the_second():
    both, first, second = (
        paint(words, canvas(200, 300)).astype(float) for words in (["sunset", "marble"], ["sunset"], ["marble"])
    )
    top, bottom = slice(0, 30), slice(270, 300)
    assert np.abs(both[top] - first[top]).mean() < 3 < np.abs(both[top] - second[top]).mean()
    assert np.abs(both[bottom] - second[bottom]).mean() < 3 < np.abs(both[bottom] - first[bottom]).mean()


def test_a_motif_of_the_night_makes_it_night():
    assert paint(["mountains", "stars"], canvas(200, 150)).mean() < 0.6 * paint(["mountains"], canvas(200, 150)).mean()


def hue_of(picture: np.ndarray) -> float:
    lab = colour.srgb_to_oklab(picture.reshape(-1, 3).astype(np.float32) / 255).mean(axis=0)
    return float(np.rad2deg(np.arctan2(lab[2], lab[1])) % 360)


@pytest.mark.parametrize("word", ["marble", "sea", "mountains", "texture", "paper", "sky", "studio"])
@pytest.mark.parametrize("name", ["crimson", "green", "royalblue"])
def test_a_named_colour_dyes_the_picture(word, name):
    made = parse_background(f"{name} {word}")(scene())
    wanted = hue_of(np.array([[colour.parse_colour(name)]], np.uint8))
    assert abs((hue_of(made) - wanted + 180) % 360 - 180) < 45


@pytest.mark.parametrize(
    ("text", "motifs"),
    [
        ("rainbow, texture", ("rainbow", "texture")),
        ("Ocean", ("sea",)),
        ("galaxy", ("stars",)),
        ("a sunset over the sea", ("sunset", "sea")),
        ("new york at night", ("city lights", "night")),
        ("city lihgts", ("city lights",)),
        ("citylights", ("city lights",)),
        ("Moutains + snow", ("mountains", "snow")),
        ("watercolor flower", ("watercolour", "flowers")),
        ("sunsets", ("sunset",)),
        ("blue", ()),
    ],
)
def test_words_mean_motifs(text, motifs):
    assert read_words(text).motifs == motifs


@pytest.mark.parametrize(
    ("text", "colours"),
    [
        ("blue marble", [(0, 0, 255)]),
        ("sky blue marble", [(135, 206, 235)]),
        ("#fa0 stripes", [(255, 170, 0)]),
        ("navy, gold", [(0, 0, 128), (255, 215, 0)]),
        ("lavander paper", [(230, 230, 250)]),
        ("snow", []),
    ],
)
def test_words_mean_colours(text, colours):
    assert colours_of(read_words(text)).tolist() == [list(rgb) for rgb in colours]


def test_guesses_and_unknown_words_are_told():
    reading = read_words("rainbw with blorptex")
    assert reading.motifs == ("rainbow",)
    told = " ".join(notes_on("rainbw with blorptex"))
    assert "'rainbw' was read as 'rainbow'" in told
    assert "'blorptex' is not known and was left out" in told
    assert notes_on("ocean, sunsets") == notes_on("blur") == notes_on("transparent") == notes_on("#fff") == []


@pytest.mark.parametrize(("text", "near"), [("fxg qqqq", "fog"), ("qqqq", ""), ("", ""), ("the of", ""), (", ,", "")])
def test_nothing_understood_is_an_input_error_with_the_nearest_words(text, near):
    with pytest.raises(InputError, match="expected colours or any of") as caught:
        read_words(text)
    assert near in str(caught.value)
    assert "\n" not in str(caught.value)


def test_each_nearest_word_is_named_once():
    (note,) = notes_on("sunset blorp")
    near = note.split("nearest: ")[1].rstrip(")").split(", ")
    assert len(near) == len(set(near)) == 3


def test_the_result_tells_what_was_left_out():
    made = Filter(Preset("sunset blorptex"))(portrait(60, 80))
    assert "'blorptex' is not known" in " ".join(made.notes)


@pytest.mark.parametrize("mood", MOODS)
def test_moods_change_a_picture_of_any_size(mood):
    for size in ((1, 1, 3), (40, 31, 3)):
        image = np.random.default_rng(0).integers(0, 256, size, np.uint8)
        before = image.copy()
        made = MOODS[mood].change(image)
        assert made.shape == size
        assert made.dtype == np.uint8
        assert np.array_equal(image, before)
    ramp = np.linspace(60, 200, 64).astype(np.uint8)
    bright = np.stack([ramp, ramp[::-1], np.full(64, 120, np.uint8)], -1)[None]
    made = MOODS[mood].change(bright).astype(int)
    assert mood == "soft" or not np.array_equal(made, bright)
    if mood in ("dark", "light"):
        assert (made.mean() > bright.mean()) == (mood == "light")


def test_backgrounds_take_their_colours_from_the_person():
    frame = portrait()
    recoloured = frame.image[..., ::-1].copy()
    pictures = [
        parse_background("stripes")(Scene(image, frame.matte, frame.faces, 0)) for image in (frame.image, recoloured)
    ]
    assert np.abs(pictures[0].astype(int) - pictures[1]).mean() > 3


@pytest.mark.parametrize("level", [25, 230])
def test_the_picture_keeps_apart_from_the_outline(level):
    frame = portrait()
    person = np.full_like(frame.image, level)
    place = Scene(person, frame.matte, frame.faces, 0)
    flat = np.full_like(person, level)
    made = keep_apart(flat, place).astype(int)
    beside = (cv2.dilate(frame.matte, np.ones((25, 25))) > 0.5) & (frame.matte < 0.1)
    assert np.abs(made[beside] - level).mean() > np.abs(made[:20, :20] - level).mean()
    away = np.full_like(person, 255 - level)
    assert np.array_equal(keep_apart(away, place), away)
    nobody = Scene(person, np.zeros_like(frame.matte), None, 0)
    assert keep_apart(flat, nobody) is flat


def lit(side: float, tint: tuple[float, float, float] = (1, 1, 1)) -> tuple[np.ndarray, np.ndarray]:
    """A painted person under light from a side, in a white shirt."""
    frame = portrait()
    image = frame.image.astype(np.float32)
    image[300:] = 235
    gain = 1 + 0.35 * side * np.linspace(-1, 1, frame.width)[None, :, None]
    return np.clip(image * gain * tint, 0, 255).astype(np.uint8), frame.matte


def test_the_light_is_found_and_followed():
    sides = [find_light(*lit(side)).side for side in (-1, 0, 1)]
    assert sides[0] < -0.4 < sides[1] < 0.4 < sides[2]
    assert (
        find_light(*lit(0, (1, 0.95, 0.82))).warmth
        > 0.3
        > find_light(*lit(0)).warmth
        > find_light(*lit(0, (0.85, 0.95, 1))).warmth
    )
    assert find_light(np.zeros((1, 1, 3), np.uint8), np.ones((1, 1), np.float32)).side == 0
    pictures = [Scene(*lit(side), None, 0) for side in (-1, 1)]
    left, right = (parse_background("gradient")(place).astype(float) for place in pictures)
    for picture, half, other in ((left, slice(0, 60), slice(240, 300)), (right, slice(240, 300), slice(0, 60))):
        assert np.ptp([picture[:60, half].mean(), picture[:60, other].mean()]) > 1
    assert choose_scheme(*lit(1)).light > 0 > choose_scheme(*lit(-1)).light


def test_named_schemes_hold_the_colours():
    image, matte = lit(0)
    scheme = named_scheme(np.array([(40, 90, 160), (240, 180, 60)], np.uint8), image, matte)
    for part, rgb in ((scheme.base, (40, 90, 160)), (scheme.accent, (240, 180, 60))):
        assert colour.oklab_to_srgb(colour.oklch_to_oklab(part)) * 255 == pytest.approx(rgb, abs=2)


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "my pictures"
    folder.mkdir()
    tones = {
        "beach-day 2.png": (90, 180, 210),
        "My_Ocean.jpg": (20, 60, 90),
        "red wall.png": (170, 40, 30),
        "night.png": (5, 5, 20),
    }
    for name, tone in tones.items():
        Image.fromarray(np.full((30, 40, 3), tone, np.uint8)).save(folder / name)
    (folder / "notes.txt").write_text("not a picture")
    return folder


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("sea", ["beach-day 2.png", "My_Ocean.jpg"]),
        ("ocean", ["beach-day 2.png", "My_Ocean.jpg"]),
        ("wall", ["red wall.png"]),
        ("the red walls", ["red wall.png"]),
        ("beech day", ["beach-day 2.png"]),
        ("", ["beach-day 2.png", "My_Ocean.jpg", "night.png", "red wall.png"]),
    ],
)
def test_a_folder_is_searched_by_words(pictures, words, names):
    assert sorted(path.name for path in named_pictures(pictures, words)) == sorted(names)


def test_a_folder_gives_the_picture_that_suits(pictures):
    place = scene()
    made = {
        tuple(parse_background(str(pictures))(Scene(place.image, place.matte, place.faces, seed))[0, 0]) for seed in range(4)
    }
    assert len(made) == 4, "each seed takes the next best"
    assert tuple(parse_background(f"{pictures}:night")(place)[0, 0]) == (5, 5, 20)
    frame = portrait()
    assert np.array_equal(render(frame, f'{pictures}:"red"').image[0, 0], (170, 40, 30))
    best = parse_background(str(pictures))(place)[0, 0].astype(float)
    assert np.abs(best - (200, 70, 40)).mean() > 40, "not the colour of the clothes"


def test_folders_that_cannot_serve(pictures, tmp_path):
    with pytest.raises(InputError, match="expected a picture with one of these words") as caught:
        parse_background(f"{pictures}:giraffe")
    assert "beach-day 2.png" in str(caught.value)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(SourceError, match="found none"):
        parse_background(str(empty))
    (empty / "broken.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"broken\.png"):
        parse_background(str(empty))(scene())
    assert split_folder("rainbow, texture") is None
    assert split_folder(f"{tmp_path}/missing:beach") is None


def test_a_picture_of_nobody_is_never_empty():
    image = np.random.default_rng(1).integers(0, 255, (40, 60, 3), np.uint8)
    frame = Frame(image, faces=Faces.none(), matte=np.zeros((40, 60), np.float32))
    made = render(frame, "sunset sea")
    assert np.array_equal(made.image, image)
    assert made.notes == ("no person found, the photo keeps its background",)
    poster = render(frame)
    assert poster.image[300:700, 300:900].std() > 20
    assert poster.notes == ("no person found, the photo is framed whole",)


def test_4k_is_drawn_as_1080p_is():
    assert all(motif.longest <= 1920 for motif in MOTIFS.values()), "so the two differ by how far they are enlarged alone"


# One of each kind: soft, sharp, on a sky, scattered, fine.
@pytest.mark.parametrize("word", ["gradient", "stripes", "sea", "snow", "texture"])
def test_a_motif_in_4k_is_the_one_of_1080p(word):
    small, large = paint([word], canvas(1920, 1080)), paint([word], canvas(3840, 2160))
    assert large.shape == (2160, 3840, 3)
    shrunk = [cv2.resize(picture, (480, 270), interpolation=cv2.INTER_AREA).astype(float) for picture in (small, large)]
    assert np.corrcoef(shrunk[0].ravel(), shrunk[1].ravel())[0, 1] > 0.95
    assert np.abs(shrunk[0] - shrunk[1]).mean() < 3
