"""The page about a run: what is on it, and what it does without."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models as tiny
from PIL import Image
from typer.testing import CliRunner

from mien.cli import app
from mien.data.page import Page
from mien.data.project import NewPicture, Project
from mien.data.sample import Sample, face_from_entry
from mien.errors import DataError
from mien.learn.run_report import energy_kwh, write_report

BOX = (10, 10, 50, 60)
HAT = [
    {"name": "hat", "answers": ["hat", "no_hat"]},
    {"name": "corners", "points": 2, "point_names": ["left_ear", "right_ear"]},
]


def red(level: int) -> np.ndarray:
    image = np.full((64, 64, 3), 20, np.uint8)
    image[16:48, 16:48, 0] = level
    return image


def save_folder(folder: Path, rows: list[dict[str, Any]], images: list[np.ndarray]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, (row, image) in enumerate(zip(rows, images, strict=True)):
        row["file_name"] = f"{number}.png"
        Image.fromarray(image).save(folder / row["file_name"])
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


def save_hat(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return tiny.save(path, tiny.build(tiny.RED_HAT), tiny.card("attributes", attributes=HAT))


def hats(levels: list[int], answers: list[str], **more: Any) -> tuple[list[dict[str, Any]], list[np.ndarray]]:
    rows = [{"crop": True, "labels": {"hat": answer}, **more} for answer in answers]
    return rows, [red(level) for level in levels]


@pytest.fixture
def hat_run(tmp_path: Path) -> Path:
    run = tmp_path / "hats"
    save_hat(run / "model.onnx")
    levels, answers = [250, 240, 100, 90, 245, 230], ["hat", "hat", "no_hat", "no_hat", "no_hat", "hat"]
    save_folder(run / "validation", *hats(levels, answers))
    history = [
        {"epoch": epoch, "seconds": 2.0, "lr": 0.01 / epoch, "train/loss": 1 / epoch, "validation/loss": 1.2 / epoch}
        | {"train/loss/hat": 1 / epoch, "validation/hat accuracy": 1 - 0.5 / epoch}
        for epoch in (1, 2, 3)
    ]
    (run / "history.jsonl").write_text("\n".join(map(json.dumps, history)))
    facts = {"seconds": 90.0, "threads": 2, "data_hash": "abc123", "options": {"epochs": 3, "lr": 0.01}, "seed": 7}
    (run / "run.json").write_text(json.dumps(facts))
    return run


def text_of(page: Path) -> str:
    return re.sub(r"<[^>]+>", " ", re.sub(r'src="[^"]*"', "", page.read_text("utf-8")))


def test_a_whole_run(hat_run: Path) -> None:
    page = write_report(hat_run)
    assert page == hat_run / "report.html"
    html, text = page.read_text("utf-8"), text_of(page)
    assert not re.search(r'(src|href)="(?!data:)', html)
    there = {path.stem for path in (hat_run / "report").glob("*.png")}
    assert there >= {"curves", "confusion-hat", "precision-recall-hat", "reliability-hat", "grid-hat", "worst-hat"}
    assert html.count("<img") == len(there)
    for wanted in ("0.833", "abc123", "1 of 6 are wrong", "1 min 30 s", "3 min 0 s", "0.50 Wh", "10 W", "hat recall"):
        assert wanted in text, wanted
    assert "4.png" in text  # the one that is told a hat with 0.96
    assert Image.open(hat_run / "report" / "grid-hat.png").size[0] > 900


def test_the_worst_mistake_is_the_most_confident(tmp_path: Path) -> None:
    run = tmp_path / "run"
    save_hat(run / "model.onnx")
    save_folder(run / "validation", *hats([200, 255, 180], ["no_hat"] * 3))
    rows = re.findall(r"(\d)\.png", text_of(write_report(run)))
    assert rows == ["1", "0", "2"]


def test_energy_is_seconds_times_watts() -> None:
    assert energy_kwh(3600, 1000) == 1
    assert energy_kwh(7200) == pytest.approx(0.02)


class TestWithoutSomething:
    def test_no_history_no_facts(self, hat_run: Path) -> None:
        (hat_run / "history.jsonl").unlink()
        (hat_run / "run.json").unlink()
        text = text_of(write_report(hat_run))
        assert "No curves" in text
        assert "No times" in text
        assert "hat accuracy" in text

    def test_empty_history_and_one_row(self, hat_run: Path) -> None:
        (hat_run / "history.jsonl").write_text("")
        assert "No curves" in text_of(write_report(hat_run))
        (hat_run / "history.jsonl").write_text('{"epoch": 1, "train/loss": 0.5, "validation/loss": NaN}\n')
        write_report(hat_run)
        assert (hat_run / "report" / "curves.png").is_file()

    def test_no_model(self, hat_run: Path) -> None:
        (hat_run / "model.onnx").unlink()
        text = text_of(write_report(hat_run))
        assert "No scores and pictures" in text
        assert "abc123" in text

    def test_no_validation_or_nothing_labelled_in_it(self, hat_run: Path) -> None:
        save_folder(hat_run / "validation", [{"crop": True}], [red(200)])
        assert "No scores and pictures: validation: expected faces labelled" in text_of(write_report(hat_run))
        for path in (hat_run / "validation").iterdir():
            path.unlink()
        (hat_run / "validation").rmdir()
        assert "validation is not there" in text_of(write_report(hat_run))

    def test_one_class_and_one_picture(self, hat_run: Path) -> None:
        save_folder(hat_run / "validation", *hats([250], ["hat"]))
        assert "No mistakes in 1" in text_of(write_report(hat_run))

    def test_a_folder_that_is_no_run(self, tmp_path: Path) -> None:
        for folder in (tmp_path / "none", tmp_path):
            with pytest.raises(DataError, match=r"expected .* run") as caught:
                write_report(folder)
            assert "\n" not in str(caught.value)

    def test_damaged_files_are_named(self, hat_run: Path) -> None:
        (hat_run / "run.json").write_text("[1]")
        with pytest.raises(DataError, match=r"run\.json: expected a JSON object"):
            write_report(hat_run)
        (hat_run / "history.jsonl").write_text("no json\n")
        with pytest.raises(DataError, match=r"history\.jsonl:1: expected a JSON object a line"):
            write_report(hat_run)


class TestOtherTasks:
    def test_faces(self, tmp_path: Path) -> None:
        seen = [[(*BOX, 0.9)], [(*BOX, 0.8), (70, 40, 110, 90, 0.95)], [(*BOX, 0.2)], []]
        rows: list[dict[str, Any]] = [{"faces": [{"box": BOX}]} for _ in seen[:3]] + [{"faces": []}]
        save_folder(tmp_path / "run" / "validation", rows, [tiny.written(128, 100, one) for one in seen])
        model = tiny.build(tiny.WRITTEN_FACES)
        tiny.save(tmp_path / "run" / "run.onnx", model, tiny.card("faces", thresholds={"default": 0.5}))
        page = write_report(tmp_path / "run")
        text = text_of(page)
        assert "2 of 4 are wrong" in text
        assert re.findall(r"(\d)\.png", text) == ["1", "2"]  # a false one of 0.95, then a missed one
        assert (page.parent / "report" / "precision-recall-faces.png").is_file()

    def test_mattes(self, tmp_path: Path) -> None:
        truth = np.zeros((48, 64), np.uint8)
        truth[8:40, 8:30] = 255
        nothing = np.zeros_like(truth)
        pictures = [np.dstack([plane, nothing, nothing]) for plane in (truth, truth // 2, truth)]
        rows: list[dict[str, Any]] = [{"matte": "truth.png"}, {"matte": "truth.png"}, {"matte": None}]
        folder = save_folder(tmp_path / "run" / "validation", rows, pictures)
        Image.fromarray(truth).save(folder / "truth.png")
        tiny.save(tmp_path / "run" / "latest.onnx", tiny.build(tiny.RED_MATTE), tiny.card("matte"))
        text = text_of(write_report(tmp_path / "run"))
        assert "2 of 3 are wrong" in text
        assert "IoU 0.000" in text
        assert "nobody there, 22" in text


def project(root: Path, levels: list[int], answers: list[str], parts: list[str]) -> Project:
    made = Project.create(root, attribute="hat", classes=["hat", "no_hat"])
    for number, (level, answer, part) in enumerate(zip(levels, answers, parts, strict=True)):
        entry = {"box": [16, 16, 48, 48], "attributes": {"hat": answer}}
        entry["keypoints"] = {"left_ear": [16, 16], "right_ear": [48, 48 + 8 * (number % 2)]}
        sample = Sample(b"", "x", faces=(face_from_entry(entry, "here"),), split=part)
        image = red(level)
        image[0, 0] = number
        made.add([NewPicture(image, f"{number}.png", sample)])
    return made


class TestEvaluate:
    def run(self, *words: object) -> Any:
        return CliRunner().invoke(app, ["evaluate", *map(str, words)])

    def test_the_test_part_of_a_project_is_judged(self, tmp_path: Path) -> None:
        model = save_hat(tmp_path / "hat.onnx")
        project(
            tmp_path / "p", [250, 90, 250, 250], ["hat", "no_hat", "no_hat", "hat"], ["train", "test", "test", "validation"]
        )
        done = self.run(model, tmp_path / "p", "--json")
        loaded = json.loads(done.output)
        assert (loaded["pictures"], loaded["notes"]) == (2, ["part test of the project"])
        rows = {(row["metric"], row["slice"]): row["value"] for row in loaded["rows"]}
        assert rows["hat accuracy", "all"] == 0.5
        other = json.loads(self.run(model, tmp_path / "p", "--json", "--split", "train").output)
        assert (other["pictures"], other["notes"]) == (1, ["part train of the set"])

    def test_own_named_points(self, tmp_path: Path) -> None:
        model = save_hat(tmp_path / "hat.onnx")
        project(tmp_path / "p", [250, 250], ["hat", "hat"], ["", ""])
        loaded = json.loads(self.run(model, tmp_path / "p", "--json").output)
        rows = {(row["metric"], row["slice"]): row["value"] for row in loaded["rows"]}
        assert rows["corners distance", "left_ear"] == pytest.approx(0, abs=1e-3)
        assert rows["corners distance", "right_ear"] == pytest.approx(4, abs=1e-2)  # 8 px off in one of two
        assert rows["corners nme", "all"] == pytest.approx(2 / 32, abs=1e-3)  # of boxes of 32
        assert rows["corners rmse", "all"] == pytest.approx((8**2 / 8) ** 0.5, abs=1e-3)
        assert "not divided" in loaded["notes"][0]

    def test_a_report_beside_the_table(self, tmp_path: Path) -> None:
        model = save_hat(tmp_path / "hat.onnx")
        data = save_folder(tmp_path / "data", *hats([250, 100], ["hat", "no_hat"]))
        done = self.run(model, data, "--report", tmp_path / "page")
        assert done.exit_code == 0
        assert "hat accuracy" in done.output
        assert done.output.replace("\n", "").endswith("report.html")
        assert "No mistakes in 2" in text_of(tmp_path / "page" / "report.html")

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda path: ["--split", "exam"], "split: expected one of train, validation, test, got 'exam'"),
            (lambda path: ["--split", "train"], "expected pictures in the part train, found test 1"),
        ],
    )
    def test_wrong_parts_are_one_line(
        self, change: Callable[[Path], list[str]], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        model = save_hat(tmp_path / "hat.onnx")
        project(tmp_path / "p", [250], ["hat"], ["test"])
        done = self.run(model, tmp_path / "p", *change(tmp_path))
        assert isinstance(done.exception, DataError)
        assert message in str(done.exception)


def test_only_long_words_of_a_table_are_broken(tmp_path: Path) -> None:
    page = Page("numbers and names")
    page.table(("value", "picture"), [("0.650", "x" * 80 + ".png")])
    html = page.write(tmp_path / "page.html").read_text("utf-8")
    assert "<td>0.650</td>" in html
    assert f'<td class="long">{"x" * 80}.png</td>' in html
