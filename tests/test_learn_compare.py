"""Two models on the same pictures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models as tiny
from PIL import Image
from typer.testing import CliRunner

from mien.cli import app
from mien.errors import DataError, ModelError
from mien.learn.compare import compare

BOX = (10, 10, 50, 60)


def save_faces(folder: Path, scores: list[float]) -> Path:
    """A picture of one labelled face for each score that the model gives it."""
    folder.mkdir(parents=True)
    rows: list[dict[str, Any]] = []
    for number, score in enumerate(scores):
        Image.fromarray(tiny.written(128, 100, [(*BOX, score)])).save(folder / f"{number}.png")
        rows.append({"file_name": f"{number}.png", "faces": [{"box": BOX}]})
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


def save_model(path: Path, threshold: float, name: str = "tiny") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    card = tiny.card("faces", name=name, thresholds={"default": threshold})
    return tiny.save(path, tiny.build(tiny.WRITTEN_FACES), card)


@pytest.fixture
def easy(tmp_path: Path) -> Path:
    return save_model(tmp_path / "easy.onnx", 0.5, "easy")


@pytest.fixture
def strict(tmp_path: Path) -> Path:
    return save_model(tmp_path / "strict.onnx", 0.8, "strict")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return save_faces(tmp_path / "data", [0.9, 0.7] * 15)


def test_what_is_better_by_more_than_chance_is_said(easy: Path, strict: Path, data: Path) -> None:
    steps: list[tuple[int, int]] = []
    found = compare(strict, easy, data, progress=lambda done, count: steps.append((done, count)))
    rows = {(row["metric"], row["slice"]): row for row in found.rows}
    recall = rows["recall", "all"]
    assert (recall["first"], recall["second"], recall["difference"]) == (0.5, 1, 0.5)
    assert 0.25 < recall["low"] < 0.45 < 0.55 < recall["high"] < 0.75
    assert recall["p"] < 0.01
    assert recall["p"] <= recall["p_holm"] < 0.01
    assert recall["better"] == "second"
    assert (rows["ap50", "all"]["difference"], rows["ap50", "all"]["better"]) == (0, "")
    assert found.sentences[0] == "easy 1.2.3 is significantly better than strict 1.2.3 in recall (1.000 against 0.500)."
    assert "precision" in found.sentences[1]
    assert found.pictures == 30
    assert steps[0] == (1, 60)
    assert steps[-1] == (60, 60)
    for side, file in ((found.first, strict), (found.second, easy)):
        assert side.size_bytes == file.stat().st_size
        assert side.milliseconds > 0
    turned = compare(easy, strict, data)
    assert [row["better"] for row in turned.rows if row["metric"] == "recall" and row["slice"] == "all"] == ["first"]


def test_a_few_pictures_prove_nothing(easy: Path, strict: Path, tmp_path: Path) -> None:
    found = compare(strict, easy, save_faces(tmp_path / "few", [0.9, 0.7, 0.95]))
    assert found.sentences == ["No score of strict 1.2.3 and easy 1.2.3 differs significantly on these 3 pictures."]


def test_another_task_is_one_line(easy: Path, tmp_path: Path, data: Path) -> None:
    matte = tiny.save(tmp_path / "matte.onnx", tiny.build(tiny.RED_MATTE), tiny.card("matte", name="red"))
    with pytest.raises(DataError, match="models for the same task, got easy for faces and red for matte") as caught:
        compare(easy, matte, data)
    assert "\n" not in str(caught.value)


class TestRuns:
    def run(self, root: Path, name: str, threshold: float, scores: list[float]) -> Path:
        save_model(root / name / "model.onnx", threshold, name)
        save_faces(root / name / "validation", scores)
        return root / name

    def test_only_what_both_held_out_counts(self, tmp_path: Path) -> None:
        scores = [0.9, 0.7, 0.75, 0.85]
        first = self.run(tmp_path, "monday", 0.5, scores)
        second = self.run(tmp_path, "tuesday", 0.8, scores[:3])
        found = compare(first, second)
        assert found.pictures == 3
        assert found.notes[0] == "1 pictures that only one of the runs held out are left out"
        rows = {row["metric"]: row for row in found.rows if row["slice"] == "all"}
        assert (rows["recall"]["first"], rows["recall"]["second"]) == pytest.approx((1, 1 / 3))

    def test_runs_without_common_pictures(self, tmp_path: Path) -> None:
        first = self.run(tmp_path, "monday", 0.5, [0.9])
        second = self.run(tmp_path, "tuesday", 0.5, [0.7])
        with pytest.raises(DataError, match="expected pictures that both held out, found none; give DATA"):
            compare(first, second)
        shutil.rmtree(second / "validation")
        with pytest.raises(DataError, match="tuesday: expected the folder of a run with validation/ in it"):
            compare(first, second)
        (second / "model.onnx").unlink()
        with pytest.raises(ModelError, match=r"tuesday: expected a model file or the folder of a run with model\.onnx"):
            compare(first, second)


class TestCommand:
    def test_table_and_json(self, easy: Path, strict: Path, data: Path) -> None:
        done = CliRunner().invoke(app, ["compare", str(strict), str(easy), str(data)])
        assert done.exit_code == 0
        assert "significantly better" in done.output
        assert " MB, " in done.output
        done = CliRunner().invoke(app, ["compare", str(strict), str(easy), str(data), "--json"])
        loaded = json.loads(done.output)
        assert loaded["task"] == "faces"
        assert np.isfinite(loaded["rows"][0]["difference"])
        assert set(loaded["first"]) == {"name", "file", "size_bytes", "milliseconds"}
