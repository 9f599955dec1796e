"""Presets as files: the shipped ones, people's own, and what a wrong one says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from painted_people import portrait
from PIL import Image

from mien.errors import InputError
from mien.filters.caption import PLACES, TYPEFACES, Caption
from mien.filters.effects import EFFECTS
from mien.filters.looks import LOOKS
from mien.filters.poster import PosterDesign
from mien.filters.preset import EffectUse, Preset, apply
from mien.filters.preset_file import load_preset, save_preset, shipped_presets

FULL = Preset(
    background="sunset",
    seed=3,
    poster=PosterDesign(long_side=400, border=0.02),
    frame=True,
    looks=("smooth", "film"),
    effects=(EffectUse("crown"), EffectUse("sparkle", "smile > 0.6")),
    when="faces == 1",
    caption=Caption('Say "hi"\\ \u00e9\n\x7f', "hand", "top", 1.5),
    title="All of it",
)
words = some.text(min_size=1, max_size=20).filter(lambda text: text.strip() != "")
presets = some.builds(
    Preset,
    background=some.none() | words,
    seed=some.integers(0, 2**31),
    frame=some.none() | some.booleans(),
    looks=some.lists(some.sampled_from(list(LOOKS)), max_size=3),
    effects=some.lists(some.builds(EffectUse, some.sampled_from(list(EFFECTS)), some.sampled_from(["", "smile > 0.5"]))),
    caption=some.none()
    | some.builds(Caption, words, some.sampled_from(list(TYPEFACES)), some.sampled_from(PLACES), some.floats(0.5, 3)),
    title=some.text(max_size=20),
)


def test_twelve_presets_are_shipped_and_every_one_is_right() -> None:
    assert len(shipped_presets()) == 12
    titles = [load_preset(name).title for name in shipped_presets()]
    assert all(titles)
    assert len(set(titles)) == 12


@pytest.mark.parametrize("name", shipped_presets())
def test_every_shipped_preset_makes_a_picture(name: str) -> None:
    values = {**load_preset(name).to_dict(), "poster": {"long_side": 160}}
    frame = portrait(120, 160)
    before = frame.image.copy()
    made = apply(Preset.from_dict(values), frame)
    assert made.image.dtype == np.uint8
    assert np.array_equal(frame.image, before)
    assert not any("unknown" in note or "no person" in note for note in made.notes)


@pytest.mark.parametrize("ending", [".toml", ".json", ".TOML"])
def test_a_preset_comes_back_from_its_file(tmp_path: Path, ending: str) -> None:
    for number, preset in enumerate((FULL, Preset(), Preset("blur", caption=Caption()))):
        path = save_preset(preset, tmp_path / "deep" / f"{number}{ending}")
        assert load_preset(path) == preset


@settings(max_examples=40, deadline=None)
@given(presets)
def test_any_preset_comes_back(tmp_path_factory: pytest.TempPathFactory, preset: Preset) -> None:
    folder = tmp_path_factory.mktemp("presets")
    for ending in (".toml", ".json"):
        assert load_preset(save_preset(preset, folder / f"one{ending}")) == preset


def test_only_what_differs_is_written(tmp_path: Path) -> None:
    text = save_preset(Preset(looks=("film",), effects=("crown",)), tmp_path / "a.toml").read_text()
    assert text == 'looks = ["film"]\neffects = ["crown"]\n'


def test_a_picture_beside_the_preset_is_its_background(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(np.full((5, 5, 3), (9, 200, 9), np.uint8)).save(tmp_path / "green.png")
    (tmp_path / "a.toml").write_text('background = "green.png"\n')
    monkeypatch.chdir("/")
    made = apply(load_preset(tmp_path / "a.toml"), portrait())
    assert tuple(made.image[2, 2]) == (9, 200, 9)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("backgrund = 'blur'", "unknown backgrund"),
        ("effects = ['crwon']", "did you mean crown"),
        ("effects = 'crown'", "expected a list"),
        ("effects = [{ when = 'smile > 1' }]", "expected a name"),
        ("effects = [{ name = 'crown', wen = '' }]", "unknown wen"),
        ("effects = [{ name = 'crown', when = 'smile >' }]", "an end that comes too early"),
        ("looks = ['flim']", "did you mean film"),
        ("when = 'smiel > 0.5'", "did you mean smile"),
        ("frame = 'yes'", "expected true, false or nothing"),
        ("[caption]\ntypeface = 'hands'", "did you mean hand"),
        ("[caption]\ntext = ''", "1 to 120 letters"),
        ("[caption]\nsize = 9", "0.4 to 3"),
        ("[poster]\nborder = 1", "border"),
        ("seed = -1", "seed"),
        ("= 3", "expected a preset in TOML"),
    ],
)
def test_a_wrong_file_says_where_and_what(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load_preset(path)
    assert str(path) in str(caught.value)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value).strip()


def test_wrong_names_and_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="did you mean birthday"):
        load_preset("brithday")
    with pytest.raises(InputError, match="cannot be read"):
        load_preset(tmp_path / "none.toml")
    (tmp_path / "list.json").write_text(json.dumps([1]))
    with pytest.raises(InputError, match="expected a table"):
        load_preset(tmp_path / "list.json")
    (tmp_path / "big.toml").write_text("#" * 70_000)
    with pytest.raises(InputError, match="at most"):
        load_preset(tmp_path / "big.toml")
    (tmp_path / "deep.json").write_text("[" * 60_000)
    with pytest.raises(InputError, match="expected a preset in JSON"):
        load_preset(tmp_path / "deep.json")
    with pytest.raises(InputError, match=r"\.toml or \.json"):
        save_preset(Preset(), tmp_path / "a.yaml")
