"""The recipes of the examples, on a few painted faces, their commands run in this process."""

from __future__ import annotations

import csv
import importlib
import json
from collections.abc import Callable
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
from mien.types import KEYPOINT_NAMES


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


def test_smile(recipe: Callable[[str], ModuleType], tmp_path: Path) -> None:
    recipe("smile").prepare(choice(tmp_path, 24))
    rows = rows_of(tmp_path / "smile")
    assert len(rows) == 24
    assert {row["faces"][0]["attributes"]["smile"] for row in rows} == {"smile", "no_smile"}
    assert {row["split"] for row in rows} == {"train", "validation", "test"}
    assert (rows[0]["width"], rows[0]["height"]) == (64, 64)


def test_keypoints(recipe: Callable[[str], ModuleType], tmp_path: Path) -> None:
    module = recipe("keypoints")
    module.prepare(choice(tmp_path, 20))
    with (tmp_path / "kaggle" / "training.csv").open() as file:
        first = next(csv.DictReader(file))
    truth = paint(0, side=96, share=0.7).keypoints
    assert float(first["left_eye_center_x"]) == pytest.approx(truth["left_eye"][0] - 0.5, abs=1e-3)
    rows = rows_of(tmp_path / "keypoints")
    originals = [row for row in rows if not row.get("parent")]
    assert len(originals) == 18
    assert len(rows) == 18 + 2 * sum(row["split"] == "train" for row in originals)
    points = originals[0]["faces"][0]["keypoints"]
    for name in KEYPOINT_NAMES:
        assert points[name] == pytest.approx(truth[name], abs=0.02)
    moved = [json.loads(line) for line in (tmp_path / "shifted" / "metadata.jsonl").read_text().splitlines()]
    assert len(moved) == 2
    there = paint(18, side=96, share=0.7).keypoints["nose"]
    assert moved[0]["faces"][0]["keypoints"]["nose"] != pytest.approx(there, abs=0.5)


def test_errors_in_other_units() -> None:
    module = importlib.import_module("examples.keypoints.__main__")
    assert module.mean_squares(4.8) == pytest.approx((0.01, 0.0025))


def test_detector(recipe: Callable[[str], ModuleType], tmp_path: Path) -> None:
    recipe("detector").prepare(choice(tmp_path, 10), 2)
    rows = rows_of(tmp_path / "detector")
    copies = [row for row in rows if row.get("parent")]
    assert len(rows) - len(copies) == 10
    assert len(copies) == 2 * sum(row["split"] == "train" for row in rows if not row.get("parent"))
    assert all(row["split"] == "train" for row in copies)


def test_mask(recipe: Callable[[str], ModuleType], tmp_path: Path) -> None:
    recipe("mask").prepare(choice(tmp_path, 30))
    answers = [row["faces"][0]["attributes"]["mask"] for row in rows_of(tmp_path / "mask")]
    assert {name: answers.count(name) for name in set(answers)} == {"mask": 10, "no_mask": 10, "bad_mask": 10}


def test_what_a_recipe_trains_and_judges(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    typed: list[tuple[str, ...]] = []
    row = {"metric": "smile accuracy", "slice": "all", "value": 0.75, "low": 0.5, "high": 0.9, "count": 8}

    def note(*words: object) -> str:
        typed.append(tuple(map(str, words)))
        return "made\n" + json.dumps({"rows": [row, {**row, "slice": "size: small", "value": 0.1}]}) + "\n"

    monkeypatch.setattr(steps, "mien", note)
    scores = steps.train_and_judge(Path("p"), steps.Choice(Path("f"), None, 8, 3), "--backbone", "scratch")
    assert scores == {"smile accuracy": 0.75}
    assert typed == [
        ("train", "p", "--name", "first", "--backbone", "scratch", "--epochs", "3"),
        ("evaluate", "p/runs/first", "p", "--json"),
    ]
    assert "smile accuracy: 0.750 (0.500 to 0.900), 8" in capsys.readouterr().out


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        steps.choose("x", [str(tmp_path)], painted=1, real=1)
    assert caught.value.code == 2
    assert "expected a new folder" in capsys.readouterr().err
