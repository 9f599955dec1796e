from __future__ import annotations

import builtins
import json
import os
import subprocess
import sys
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import get_type_hints

import numpy as np
import pytest
import tiny_models as tiny
from conftest import Run, unload

import mien
from mien import pipeline
from mien.attributes import ATTRIBUTES
from mien.media.read import read
from mien.media.video import VideoFile, VideoWriter
from mien.media.write import write
from mien.models import settings, store
from mien.models.settings import FaceOptions, Options
from mien.types import Faces

FACE = Faces([[10, 20, 50.5, 71.25]], [0.75], [[[20, 30], [40, 30], [30, 45], [22, 60], [38, 60]]])


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models that find one face in every picture, and take its upper half for the person."""

    class Finder:
        card = SimpleNamespace(attributes=())

        def __call__(self, image: np.ndarray) -> Faces:
            return FACE

    def matte(image: np.ndarray) -> np.ndarray:
        return (np.arange(len(image))[:, None] < len(image) / 2) * np.ones(image.shape[:2], np.float32)

    class Reader:
        attributes = ATTRIBUTES

        def __call__(self, image: np.ndarray, faces: Faces) -> Faces:
            return faces

    for module in (settings, pipeline):
        monkeypatch.setattr(module, "face_model", lambda settings: Finder())
    monkeypatch.setattr(pipeline, "attribute_model", lambda settings: Reader())
    monkeypatch.setattr(pipeline, "matte_model", lambda settings: matte)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for name in ("p10.png", "p2.png"):
        write(np.full((80, 90, 3), 70, np.uint8), folder / name)
    (folder / "notes.jpg").write_text("not a picture")
    return folder


def test_version_and_help(run: Run) -> None:
    assert run("--version") == (0, f"mien {mien.__version__}\n", "")
    as_module = subprocess.run([sys.executable, "-m", "mien", "--version"], capture_output=True, text=True, check=False)
    assert (as_module.returncode, as_module.stdout) == (0, f"mien {mien.__version__}\n")
    for command in ((), ("analyze",), ("filter",), ("models",), ("models", "check"), ("train",), ("evaluate",)):
        code, out, _ = run(*command, "--help")
        assert code == 0
        assert "Usage" in out
    assert "mien analyze photo.jpg" in run("analyze", "--help")[1]


@pytest.mark.usefixtures("models")
def test_analyze_shows_a_table_with_a_row_for_each_picture(run: Run, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos.parent)
    code, out, err = run("analyze", "photos")
    assert code == 0
    assert err == ""
    rows = [line for line in out.splitlines() if "photos" in line]
    assert [name in row for name, row in zip(("notes.jpg", "p2.png", "p10.png"), rows, strict=True)] == [True] * 3
    assert "90x80" in rows[1]
    assert "0.75" in rows[1]
    assert "expected a picture" in rows[0]
    assert "2 done, 1 failed" in out


@pytest.mark.usefixtures("models")
def test_analyze_json_is_one_strict_line_for_each_picture(run: Run, photos: Path) -> None:
    code, out, err = run("analyze", photos / "p10.png", photos / "notes.jpg", photos / "p2.png", "--json")
    assert code == 0
    rows = [json.loads(line, parse_constant=pytest.fail) for line in out.splitlines()]
    assert [Path(row["source"]).name for row in rows] == ["p10.png", "notes.jpg", "p2.png"]
    assert rows[0] == pipeline.to_json(
        mien.Frame(read(photos / "p10.png").image, source=str(photos / "p10.png"), faces=FACE)
    )
    assert rows[1]["error"]["kind"] == "input"
    assert err == f"mien: {rows[1]['error']['message']}\n"


@pytest.mark.usefixtures("models")
def test_analyze_writes_overlay_and_json(run: Run, photos: Path, tmp_path: Path) -> None:
    write(np.full((40, 60, 3), 70, np.uint8), tmp_path / "other" / "P2.webp")
    code, out, _ = run("analyze", photos, tmp_path / "other", "-o", tmp_path / "out", "--json")
    assert code == 0
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    pictures = ["P2-2.overlay.jpg", "p10.overlay.jpg", "p2.overlay.jpg"]
    assert names == sorted([*pictures, "P2-2.json", "notes.json", "p10.json", "p2.json"])
    lines = {Path(json.loads(line)["source"]).name: line for line in out.splitlines()}
    assert (tmp_path / "out" / "p10.json").read_text() == lines["p10.png"] + "\n"
    assert json.loads((tmp_path / "out" / "notes.json").read_text())["error"]["kind"] == "input"
    overlay = read(tmp_path / "out" / "p10.overlay.jpg").image
    assert overlay.shape == (80, 90, 3)
    assert overlay[30, 40].argmax() == 0
    assert overlay[30, 20].argmax() == 2
    assert overlay[30, 40].max() > 150


@pytest.mark.usefixtures("models")
def test_a_single_bad_picture_is_one_line_and_exit_code_2(run: Run, photos: Path) -> None:
    bad = photos / "notes.jpg"
    code, out, err = run("analyze", bad)
    assert (code, out) == (2, "")
    assert err.startswith(f"mien: {bad}: expected a picture")
    assert err.count("\n") == 1
    code, out, again = run("analyze", bad, "--json")
    assert (code, again) == (2, err)
    assert json.loads(out)["error"]["message"] == err.removeprefix("mien: ").rstrip("\n")
    assert run("analyze", "gone.jpg")[::2] == (2, "mien: gone.jpg: no such file\n")
    assert run("filter", bad, "-o", photos / "out")[::2] == (2, err)
    code, out, _ = run("analyze", bad, "gone.jpg")
    assert code == 2
    assert "0 done, 2 failed" in out


@pytest.mark.usefixtures("models")
def test_nothing_is_replaced_unless_asked(run: Run, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("analyze", photos / "p2.png", "-o", out)[0] == 0
    code, _, err = run("analyze", photos / "p2.png", "-o", out)
    assert code == 2
    assert err == f"mien: {out / 'p2.json'}: already exists; choose another folder or add --overwrite\n"
    assert run("analyze", photos / "p2.png", "-o", out, "--overwrite")[0] == 0
    before = (photos / "p2.png").read_bytes()
    code, _, err = run("filter", photos / "p2.png", "-o", photos, "--overwrite")
    assert code == 2
    assert "would replace a picture it is made from" in err
    assert (photos / "p2.png").read_bytes() == before


@pytest.mark.usefixtures("models")
def test_filter_writes_posters_and_cutouts(run: Run, photos: Path, tmp_path: Path) -> None:
    assert run("filter", photos / "p2.png", photos / "p10.png", "-o", tmp_path / "a", "--seed", 3)[0] == 0
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["p10.png", "p2.png"]
    assert read(tmp_path / "a" / "p2.png").alpha is None
    code, out, _ = run("filter", photos / "p2.png", "-o", tmp_path / "b", "--background", "transparent")
    assert code == 0
    assert "b/p2.png" in out
    alpha = read(tmp_path / "b" / "p2.png").alpha
    assert alpha is not None
    assert alpha.shape == (80, 90)
    assert (alpha[:39].min(), alpha[41:].max()) == (255, 0)


@pytest.mark.usefixtures("models")
def test_filter_without_options_writes_beside_the_picture(run: Run, photos: Path) -> None:
    photo = photos / "p2.png"
    code, out, _ = run("filter", photo)
    assert code == 0
    assert "p2.filter.png" in out
    assert sorted(read(photos / "p2.filter.png").image.shape) == [3, 1080, 1350]
    assert run("filter", photo)[::2] == (
        2,
        f"mien: {photos / 'p2.filter.png'}: already exists; choose another folder or add --overwrite\n",
    )
    (photos / "notes.jpg").unlink()
    assert run("filter", photos, "--background", "navy", "--overwrite")[0] == 0
    assert sorted(path.name for path in photos.glob("*.filter*")) == ["p10.filter.png", "p2.filter.png"]


@pytest.mark.usefixtures("models")
def test_filter_takes_a_file_name_and_tells_what_it_left_off(run: Run, photos: Path, tmp_path: Path) -> None:
    done, saved = tmp_path / "me.jpg", tmp_path / "mine.toml"
    code, out, _ = run(
        *("filter", photos / "p2.png", "-o", done, "--background", "none", "--effect", "sunglasses, blush"),
        *("--when", "smile > 0.7", "--caption", "Hi", "--typeface", "bold", "--save-preset", saved),
    )
    assert code == 0
    assert read(done).image.shape == (80, 90, 3)
    assert "carry no smile" in " ".join(out.split())
    text = saved.read_text()
    assert 'effects = ["sunglasses", "blush"]' in text
    assert run("filter", photos / "p2.png", "-o", tmp_path / "again.jpg", "--preset", saved)[0] == 0
    assert np.array_equal(read(tmp_path / "again.jpg").image, read(done).image)


@pytest.mark.usefixtures("models")
def test_filter_makes_a_picture_of_each_person(
    run: Run, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def matte(image: np.ndarray) -> np.ndarray:
        plane = np.zeros(image.shape[:2], np.float32)
        plane[10:60, 5:35] = plane[10:60, 50:80] = image[0, 0, 0] > 50
        return plane

    monkeypatch.setattr(pipeline, "matte_model", lambda settings: matte)
    out = tmp_path / "out"
    code, told, _ = run("filter", photos / "p2.png", "-o", out, "--each-person", "--background", "transparent")
    assert code == 0
    assert "2 done" in told
    assert sorted(path.name for path in out.iterdir()) == ["p2-1.png", "p2-2.png"]
    cut = read(out / "p2-2.png")
    assert cut.alpha is not None
    assert (cut.alpha.max(), cut.width < 60) == (255, True)
    code, _, err = run("filter", photos / "p2.png", "-o", out, "--each-person")
    assert (code, "already exists" in err) == (2, True)
    write(np.zeros((80, 90, 3), np.uint8), photos / "dark.png")
    code, _, err = run("filter", photos / "dark.png", "-o", out, "--each-person")
    assert (code, err.count("\n"), "no person found, nothing was made" in err) == (2, 1, True)
    code, _, err = run("filter", "x.mp4", "-o", "x-out.mp4", "--each-person")
    assert code == 2


def test_filter_lists_its_effects(run: Run) -> None:
    code, out, _ = run("filter", "any", "--effect", "list")
    assert code == 0
    for name in ("sunglasses", "pixelate", "film"):
        assert name in out


@pytest.mark.usefixtures("models")
def test_filter_a_video(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.media.video.shutil.which", lambda name: None)
    clip = tmp_path / "clip.mp4"
    with VideoWriter(clip, Fraction(30000, 1001)) as video:
        for level in range(6):
            video.write(np.full((80, 90, 3), 60 + 9 * level, np.uint8))
    code, out, _ = run("filter", clip, "-o", tmp_path / "out.mp4", "--background", "navy", "--effect", "solid")
    assert code == 0
    assert "without sound" in " ".join(out.split())
    with closing(VideoFile(tmp_path / "out.mp4")) as done:
        frames = list(done)
        assert done.rate == Fraction(30000, 1001)
    assert len(frames) == 6
    assert frames[3].image[75, 80].argmax() == 2, "navy below"
    code, _, err = run("filter", clip, "-o", tmp_path / "cut.mp4", "--background", "transparent")
    assert (code, "holds no transparency" in err) == (2, True)
    clip.write_bytes(clip.read_bytes()[:700])
    code, _, err = run("filter", clip, "-o", tmp_path / "broken.mp4")
    assert (code, "expected a video" in err) == (2, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4", "out.mp4"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["analyze"], "Missing argument 'SOURCE"),
        (["analyze", "x.jpg", "--min-score", "3"], "Invalid value for '--min-score'"),
        (["analyze", "x.jpg", "--threads", "0"], "Invalid value for '--threads'"),
        (["analyze", "x.jpg", "--min-size", "-1"], "Invalid value for '--min-size'"),
        (["analyze", "x.jpg", "--max-faces", "0"], "Invalid value for '--max-faces'"),
        (["analyze", "x.jpg", "--tile-side", "20"], "Invalid value for '--tile-side'"),
        (["analyze", "x.jpg", "--workers", "0"], "Invalid value for '--workers'"),
        (["filter", "x.jpg", "--effect", "crwon"], "mien: effect 'crwon': expected one of"),
        (["filter", "x.jpg", "--look", "flim"], "did you mean film?"),
        (["filter", "x.jpg", "--when", "smile >"], "mien: when 'smile >': expected comparisons"),
        (["filter", "x.jpg", "--preset", "brithday"], "did you mean birthday?"),
        (["filter", "x.jpg", "--caption", "Hi", "--typeface", "comic"], "mien: caption typeface: expected one of"),
        (["filter", "x.mp4", "-o", "x.gif"], "x.gif"),
        (["filter", "x.jpg", "-o", "out", "--background", "transparnt"], "mien: background 'transparnt':"),
        (["analyze", "nothing/*.jpg"], "mien: nothing/*.jpg: expected a pattern that fits some file, found none"),
        (["models", "show", "nose"], "mien: model: no shipped model is called 'nose'"),
        (["analyse"], "No such command 'analyse'"),
    ],
)
@pytest.mark.usefixtures("models")
def test_wrong_usage_is_exit_code_2(run: Run, arguments: list[str], message: str) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err


def test_models_list_check_and_show(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [SimpleNamespace(difference=2e-6), SimpleNamespace(difference=1e-7)]

    def check(name: str, *, device: str) -> list[SimpleNamespace]:
        if name == "bad":
            raise mien.ModelError("bad: 1 of 2 golden answers are wrong")
        return rows

    monkeypatch.setattr(store, "check", check)
    assert run("models", "check", "faces") == (0, "faces: ok, 2 golden answers, largest difference 2.0e-06\n", "")
    code, out, err = run("models", "check", "bad", "matte")
    assert (code, err) == (2, "mien: bad: 1 of 2 golden answers are wrong\n")
    assert out.startswith("matte: ok")
    monkeypatch.setattr(store, "shipped", dict)
    for command in (["models"], ["models", "check"]):
        code, out, err = run(*command)
        assert (code, out) == (2, "")
        assert err.startswith("mien: no models come with this installation")


@pytest.mark.skipif(not store.shipped(), reason="no model weights are in this checkout")
def test_the_shipped_models_are_listed_and_described(run: Run) -> None:
    code, out, _ = run("models")
    assert code == 0
    for name in store.shipped():
        assert name in out
        code, card, _ = run("models", "show", name)
        assert code == 0
        assert card.startswith(f"# {name} ")


@pytest.mark.skipif("faces" not in store.shipped(), reason="the face model's weights are not in this checkout")
def test_the_command_line_and_python_agree(run: Run) -> None:
    photo = Path(mien.__file__).parent / "learn" / "astronaut.png"
    code, out, _ = run("analyze", photo, "--json")
    assert code == 0
    assert json.loads(out) == mien.analyze(photo).to_json()


@pytest.fixture
def tiny_model(tmp_path: Path) -> Path:
    return tiny.save(tmp_path / "tiny.onnx", tiny.build(tiny.WRITTEN_FACES), tiny.card("faces"))


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ([], {}),
        (["--min-score", "0.2"], {"min_score": 0.2}),
        (["--min-size", "9.5"], {"min_size": 9.5}),
        (["--min-score", "0.2", "--max-faces", "2"], {"min_score": 0.2, "max_faces": 2}),
        (["--tile"], {"tile": True}),
        (["--tile-side", "32"], {"tile": 32}),
        (["--tile", "--tile-side", "40"], {"tile": 40}),
        (["--rotate", "all", "--min-score", "0"], {"rotate": "all", "min_score": 0}),
        (["--workers", "2", "--threads", "2"], {"threads": 2}),
    ],
)
def test_every_door_gives_the_same_answer(
    run: Run, tiny_model: Path, tmp_path: Path, arguments: list[str], options: FaceOptions
) -> None:
    image = tiny.written(64, 48, [(3, 4, 20, 30, 0.6), (1, 1, 9, 9, 0.3), (25, 6, 45, 36, 0.95)])
    paths = [write(np.roll(image, shift, axis=1), tmp_path / f"{shift}.png") for shift in (0, 2, 4)]
    wanted = [mien.analyze(path, model=tiny_model, **options).to_json() for path in paths]
    assert sum(len(row["faces"]) for row in wanted) > 0
    code, out, err = run("analyze", *paths, "--json", "--model", tiny_model, *arguments)
    assert (code, err) == (0, "")
    assert [json.loads(line) for line in out.splitlines()] == wanted
    assert [found.to_json() for found in mien.analyze(paths, model=tiny_model, **options)] == wanted


def test_every_option_has_its_place_on_the_command_line(run: Run) -> None:
    shown = run("analyze", "--help")[1]
    for name in get_type_hints(FaceOptions, localns={"Rotate": str}):
        assert f"--{name.rstrip('_').replace('_', '-')} " in shown
    shown = run("filter", "--help")[1]
    for name in set(Options.__annotations__) - set(FaceOptions.__annotations__) | {"model"}:
        assert f"--{name.replace('_', '-')} " in shown


def test_wrong_settings_and_models_are_one_line(run: Run, tiny_model: Path, photos: Path) -> None:
    photo = photos / "p2.png"
    for arguments, message in [
        (["--rotate", "90"], "rotate: expected never, auto, all, got '90'"),
        (["--min-size", "inf"], "min_size: expected pixels, 0 or more, got inf"),
        (["--fast"], f"{tiny_model}: this model has no setting long_side; leave it out"),
    ]:
        assert run("analyze", photo, "--model", tiny_model, *arguments) == (2, "", f"mien: {message}\n")
    code, _, err = run("analyze", photo, "--model", "tiny.onnx")
    assert (code, err) == (2, "mien: tiny.onnx: no such model file\n")
    code, _, err = run("filter", photo, "-o", photos / "out", "--model", tiny_model, "--matte-model", tiny_model)
    assert (code, err) == (2, f"mien: {tiny_model}: expected a model for 'matte', got one for 'faces'\n")


def test_filter_with_other_models(run: Run, tiny_model: Path, tmp_path: Path) -> None:
    matte = tiny.save(tmp_path / "matte.onnx", tiny.build(tiny.RED_MATTE), tiny.card("matte"))
    image = tiny.written(64, 48, [(3, 4, 20, 30, 0.6)])
    image[10:, :30, 0] = 255
    photo = write(image, tmp_path / "a.png")
    code, _, err = run(
        *("filter", photo, "-o", tmp_path / "out", "--background", "transparent"),
        *("--model", tiny_model, "--matte-model", matte),
    )
    assert (code, err) == (0, "")
    cut = mien.filter(photo, "transparent", model=tiny_model, matte_model=matte)
    written = read(tmp_path / "out" / "a.png")
    assert written.alpha is not None
    assert cut.alpha is not None
    assert np.array_equal(written.alpha, cut.alpha)
    assert cut.alpha[20, 10] == 255
    assert cut.alpha[20, 50] == 0


def test_a_missing_extra_says_what_to_install(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without_torch(name: str, *rest: object, **named: object) -> object:
        if name.split(".")[0] in ("torch", "lightning"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return original(name, *rest, **named)  # type: ignore[arg-type]

    unload(monkeypatch, "mien.learn")
    monkeypatch.setattr(builtins, "__import__", without_torch)
    code, out, err = run("train", "recipe.toml")
    assert (code, out) == (2, "")
    assert err in [
        f"mien: this needs {name}, which is not installed: pip install 'mien[train]'\n" for name in ("torch", "lightning")
    ]


def test_a_fault_of_the_program_is_logged_and_exit_code_1(run: Run, monkeypatch: pytest.MonkeyPatch, photos: Path) -> None:
    def broken(settings: object) -> None:
        raise KeyError("wires")

    monkeypatch.setattr(pipeline, "face_model", broken)
    code, out, err = run("analyze", photos)
    assert (code, out) == (1, "")
    assert (
        err.splitlines()[-1] == "mien: a fault in mien, not in your input (KeyError: 'wires'); please report the lines above"
    )


def test_odd_file_names_do_not_reach_the_terminal(
    run: Run, tmp_path: Path, models: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    odd = Path("a\x1b[31m[bold]b.png")  # short, so that the table does not fold it
    write(np.full((80, 90, 3), 70, np.uint8), odd)
    code, out, _ = run("analyze", odd)
    assert code == 0
    assert "\x1b" not in out
    assert "[bold]b.png" in out
    code, out, _ = run("analyze", odd, "--json")
    assert json.loads(out)["source"] == str(odd)
    code, _, err = run("analyze", f"{odd}\x1b]0;gone\n.png")
    assert code == 2
    assert "\x1b" not in err
    assert err.count("\n") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="file names are text there")
def test_a_file_name_that_is_no_unicode(run: Run, tmp_path: Path, models: None) -> None:
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png")
    try:
        write(np.full((80, 90, 3), 70, np.uint8), odd)
    except mien.InputError:
        pytest.skip("this file system takes no such name")
    assert run("analyze", odd)[0] == 0
    code, out, _ = run("analyze", odd, "--json")
    assert code == 0
    assert json.loads(out)["source"] == odd


def test_a_reader_that_leaves_early_is_no_trouble() -> None:
    command = [sys.executable, "-m", "mien.cli", "models", "--help"]
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(writer)
    assert "Traceback" not in ended.stderr
