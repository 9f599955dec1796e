"""The recipes of the examples, on a few painted faces, their commands run in this process."""

from __future__ import annotations

import csv
import importlib.util
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from examples import steps
from examples.painted import paint
from mien.cli import app
from mien.data.project import Project
from mien.models.store import shipped
from mien.types import KEYPOINT_NAMES

needs_training = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None or not {"faces", "attributes"} <= set(shipped()),
    reason="needs the train extra and the shipped models",
)


def run(*words: object) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, f"{words}: {done.output} {done.exception}"
    return done.output


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    def load(name: str) -> ModuleType:
        module = importlib.import_module(f"examples.{name}.__main__")
        monkeypatch.setattr(module, "mien", run)
        monkeypatch.setattr(steps, "mien", run)
        return module

    return load


def choice(folder: Path, count: int) -> steps.Choice:
    return steps.Choice(folder, None, count, 1)


def figures(shown: str) -> dict[tuple[str, str], float]:
    """The values of the table that a recipe prints, by what and figure."""
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in shown.splitlines() if line.startswith("| ")]
    head, _, *rows = lines
    assert tuple(head) == steps.HEAD
    return {(cells[0], cells[4]): float(cells[5]) for cells in rows}


def losses(run: Path) -> list[float]:
    return [json.loads(line)["train/loss"] for line in (run / "history.jsonl").read_text().splitlines()]


def rows_of(project: Path) -> list[dict[str, Any]]:
    return Project.open(project).rows()


def test_a_painted_face_is_where_it_says() -> None:
    face = paint(3, side=96, share=0.6, at=(0.5, 0.5))
    x1, y1, x2, y2 = face.box
    assert (x2 - x1, y2 - y1) == pytest.approx((0.76 * 0.6 * 96, 0.6 * 96))
    assert face.keypoints["left_eye"][0] > face.keypoints["right_eye"][0]  # the subject's own left
    for x, y in face.keypoints.values():
        assert x1 < x < x2
        assert y1 < y < y2
    eye = face.keypoints["left_eye"]
    around = face.image[round(eye[1]) - 2 : round(eye[1]) + 3, round(eye[0]) - 5 : round(eye[0]) + 6]
    assert around.min(axis=2).max() > 200  # the white of the eye
    assert (paint(3).image == paint(3).image).all()
    assert np.abs(paint(3).image.astype(int) - paint(3, smiles=False).image).max() > 50


@needs_training
def test_smile(recipe: Callable[[str], ModuleType], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    recipe("smile").main([str(out), "--count", "40", "--epochs", "2"])
    told = figures(capsys.readouterr().out)
    assert set(told) == {("a small network from nothing", name) for name in ("accuracy", "balanced_accuracy")}
    rows = rows_of(out / "smile")
    assert len(rows) == 40
    assert {row["faces"][0]["attributes"]["smile"] for row in rows} == {"smile", "no_smile"}
    assert {row["split"] for row in rows} == {"train", "validation", "test"}
    assert (rows[0]["width"], rows[0]["height"]) == (64, 64)
    assert len(found := losses(out / "smile" / "runs" / "first")) == 2
    assert all(0 < loss < 1.5 for loss in found)  # log 2 at the start


@needs_training
def test_keypoints(recipe: Callable[[str], ModuleType], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    recipe("keypoints").main([str(out), "--count", "16", "--epochs", "2"])
    shown = capsys.readouterr().out
    told = figures(shown)
    assert {what for what, _ in told} == {
        "plain network, centred pictures",
        "plain network, moved pictures",
        "mien, frozen backbone",
    }
    ours = told["mien, frozen backbone", "RMSE in px, centred"]
    assert ours < 12
    assert f"mien, frozen backbone, centred: MSE {(ours / 48) ** 2:.3f}"[:-1] in shown
    with (out / "kaggle" / "training.csv").open() as file:
        first = next(csv.DictReader(file))
    truth = paint(0, side=96, share=0.7).keypoints
    assert float(first["left_eye_center_x"]) == pytest.approx(truth["left_eye"][0] - 0.5, abs=1e-3)
    rows = rows_of(out / "keypoints")
    assert len(rows) == 16
    for name in KEYPOINT_NAMES:
        assert rows[0]["faces"][0]["keypoints"][name] == pytest.approx(truth[name], abs=0.02)
    moved = [json.loads(line) for line in (out / "moved" / "metadata.jsonl").read_text().splitlines()]
    there = paint(100_000, side=96, share=0.7).keypoints["nose"]
    assert moved[0]["faces"][0]["keypoints"]["nose"] != pytest.approx(there, abs=0.5)


@needs_training
def test_moved_pictures_cure_a_plain_network_of_the_failure_off_the_middle() -> None:
    module = importlib.import_module("examples.keypoints.__main__")
    rows = list(module.pictures(choice(Path(), 64), "train"))
    off = module.moved(list(module.pictures(choice(Path(), 64), "validation")))
    centred, cured = (module.rmse_of(module.errors(module.train_plain(rows, 35, most), off)) for most in (0, 16))
    assert cured.high < centred.low
    unknown = [(rows[0][0], {**rows[0][1], "nose": (float("nan"), float("nan"))})]
    assert np.isfinite(module.errors(module.train_plain(unknown * 4, 1, 2), unknown)).all()


@needs_training
def test_errors_in_other_units() -> None:
    module = importlib.import_module("examples.keypoints.__main__")
    assert module.mean_squares(4.8) == pytest.approx((0.01, 0.0025))


@needs_training
def test_detector(recipe: Callable[[str], ModuleType], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    recipe("detector").main([str(out), "--count", "8", "--epochs", "1"])
    told = figures(capsys.readouterr().out)
    assert {what for what, _ in told} == {"faces, trained on", "faces, as shipped"}
    assert all(0 <= value <= 1 for value in told.values())
    rows = rows_of(out / "detector")
    copies = [row for row in rows if row.get("parent")]
    assert len(rows) - len(copies) == 8
    assert len(copies) == 4 * sum(row["split"] == "train" for row in rows if not row.get("parent"))
    assert all(row["split"] == "train" for row in copies)
    assert np.isfinite(losses(out / "detector" / "runs" / "first")).all()


@needs_training
def test_mask(
    recipe: Callable[[str], ModuleType],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mien.learn.own_rate._STEPS", 5)
    out = tmp_path / "out"
    recipe("mask").main([str(out), "--count", "24", "--epochs", "1"])
    shown = capsys.readouterr().out
    assert ("unfrozen, the rate looked for", "balanced_accuracy") in figures(shown)
    assert "Learning rate found: " in shown
    answers = [row["faces"][0]["attributes"]["mask"] for row in rows_of(out / "mask")]
    assert {name: answers.count(name) for name in set(answers)} == {"mask": 8, "no_mask": 8, "bad_mask": 8}
    assert (out / "mask" / "runs" / "first" / "find-lr.png").exists()


def test_the_figures_of_real_sets_go_into_the_readme(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("benchmarks.tables.ROOT", tmp_path)
    readme = tmp_path / "examples" / "smile" / "README.md"
    readme.parent.mkdir(parents=True)
    readme.write_text("before\n<!-- figures -->\nold\n<!-- /figures -->\nafter\n")
    line = steps.row("it", steps.Trained(1200, 61.4, 50.2), "accuracy", steps.Score(0.75, 0.5, 0.9, 8))
    bare = steps.row("other", None, "accuracy", steps.Score(0.5, None, None, 8))
    asked = steps.Choice(tmp_path, tmp_path, 8, 3)
    steps.show("smile", asked, [line])
    assert "old" in readme.read_text()
    steps.show("smile", replace(asked, writes=True), [line, bare], "a note")
    text = readme.read_text()
    assert "| it | 1,200 | 61 | 50 | accuracy | 0.750 | 0.500 to 0.900 | 8 |" in text
    assert "| other | - | - | - | accuracy | 0.500 |  | 8 |" in text
    assert text.startswith("before\n<!-- figures -->\n")
    assert text.endswith("a note\n<!-- /figures -->\nafter\n")
    assert "8 pictures, 3 epochs" in capsys.readouterr().out
    with pytest.raises(SystemExit) as caught:
        steps.choose("x", [str(tmp_path / "new"), "--write"], painted=(1, 1), real=(1, 1))
    assert caught.value.code == 2


@pytest.mark.parametrize("name", ["smile", "keypoints", "detector", "mask"])
def test_each_readme_has_a_place_for_its_figures(name: str) -> None:
    text = (Path(steps.__file__).parent / name / "README.md").read_text()
    assert text.count("<!-- figures -->") == text.count("<!-- /figures -->") == 1


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        steps.choose("x", [str(tmp_path)], painted=(1, 1), real=(1, 1))
    assert caught.value.code == 2
    assert "expected a new folder" in capsys.readouterr().err
