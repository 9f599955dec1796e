"""Judging a model: every number of small sets whose right result is plain."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models as tiny
from PIL import Image

from mien import metrics
from mien.card import ModelCard
from mien.errors import DataError, ModelError
from mien.learn import scores
from mien.learn.evaluate import evaluate
from mien.types import KEYPOINT_NAMES


def save_folder(folder: Path, rows: list[dict[str, Any]], images: list[np.ndarray]) -> Path:
    folder.mkdir(exist_ok=True)
    for number, (row, image) in enumerate(zip(rows, images, strict=True)):
        row["file_name"] = f"{number}.png"
        Image.fromarray(image).save(folder / row["file_name"])
    (folder / "metadata.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return folder


def points(box: tuple[float, ...], shift: float = 0.0) -> dict[str, list[float]]:
    """The keypoints that the tiny model finds in a box, moved right by a share of the distance of the eyes."""
    places = [(0.7, 0.4), (0.3, 0.4), (0.5, 0.6), (0.7, 0.8), (0.3, 0.8)]
    width, height = box[2] - box[0], box[3] - box[1]
    moved = shift * 0.4 * width
    named = zip(KEYPOINT_NAMES, places, strict=True)
    return {name: [box[0] + x * width + moved, box[1] + y * height] for name, (x, y) in named}


A, B, C, SMALL, FAR = (10, 10, 50, 60), (10, 10, 30, 30), (60, 20, 100, 70), (5, 80, 13, 88), (102, 5, 120, 25)
FACES = [
    {
        "source": "first",
        "faces": [{"box": A, "keypoints": points(A, 0.1), "keypoints_by": "teacher", "attributes": {"mask": "mask"}}],
    },
    {
        "source": "second",
        "faces": [
            {"box": B, "attributes": {"mask": "no_mask"}},
            {"box": C, "keypoints": points(C), "attributes": {"mask": "no_mask"}},
            {"box": SMALL, "attributes": {"mask": "mask"}},
            {"box": [100, 0, 128, 50], "ignore": True},
        ],
    },
    {"source": "first", "faces": []},
    {"source": "second", "matte": None},
    {"source": "second"},
]
SEEN = [[(*A, 0.9)], [(*B, 0.8), (*SMALL, 0.7), (*FAR, 0.95)], [(20, 20, 60, 70, 0.85)], [(0, 0, 40, 40, 0.3)], []]


@pytest.fixture
def face_model(tmp_path: Path) -> Path:
    return tiny.save(
        tmp_path / "faces.onnx", tiny.build(tiny.WRITTEN_FACES), tiny.card("faces", thresholds={"default": 0.5})
    )


@pytest.fixture
def face_folder(tmp_path: Path) -> Path:
    images = [tiny.written(128, 100, [tuple(one) for one in seen]) for seen in SEEN]
    return save_folder(tmp_path / "faces", [dict(row) for row in FACES], images)


class TestFaces:
    def test_every_number_of_a_small_folder(self, face_model: Path, face_folder: Path) -> None:
        steps: list[tuple[int, int]] = []
        report = evaluate(face_model, face_folder, progress=lambda done, total: steps.append((done, total)))
        assert report.value("ap50") == pytest.approx(1 / 3 + 1 / 3 * 2 / 3)
        assert report.value("best_f1") == pytest.approx(2 * 2 / (3 + 3))
        assert report.value("recall") == pytest.approx(2 / 3)
        assert report.value("precision") == pytest.approx(2 / 3)
        assert report.value("false_faces") == 0.5
        assert report.value("nme") == pytest.approx(0.1, abs=1e-5)
        assert report.value("nme", "nose") == pytest.approx(0.1, abs=1e-5)
        assert report.value("ap50", "16 to 32 px") == 1
        assert report.value("ap50", "32 to 96 px") == pytest.approx(0.5)
        assert report.value("recall", "32 to 96 px") == pytest.approx(0.5)
        assert report.value("recall", "mask: mask") == 1
        assert report.value("recall", "mask: no_mask") == 0.5
        assert report.value("ap50", "first") == 1
        assert report.value("ap50", "second") == 0.5
        assert report.value("threshold_best_f1") == pytest.approx(0.8, abs=0.002)
        assert report.thresholds == {"default": 0.851, "best_f1": 0.8, "precision_99": 0.902}  # nobody is seen from 0.851 on
        assert report.pictures == 4
        assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
        assert report.notes[1] == "keypoints, and some boxes, of 1 of the 4 labelled faces come from a model"
        counts = {(row["metric"], row["slice"]): row["count"] for row in report.rows}
        assert counts["ap50", "all"] == 3
        assert counts["nme", "all"] == 1
        assert counts["false_faces", "all"] == 2
        with pytest.raises(DataError, match="expected labels for iou"):
            report.value("iou")

    def test_the_threshold_of_the_card_decides(self, face_folder: Path, tmp_path: Path) -> None:
        model = tiny.build(tiny.WRITTEN_FACES)
        strict = tiny.save(tmp_path / "a.onnx", model, tiny.card("faces", thresholds={"default": 0.87}))
        report = evaluate(strict, face_folder)
        assert report.value("recall") == pytest.approx(1 / 3)
        assert report.value("precision") == 1
        assert report.value("false_faces") == 0
        assert report.value("ap50") == pytest.approx(5 / 9)
        of_graph = evaluate(tiny.save(tmp_path / "b.onnx", model, tiny.card("faces")), face_folder)
        assert of_graph.value("recall") == pytest.approx(2 / 3)

    def test_rows_have_intervals_and_fit_into_a_card(self, face_model: Path, face_folder: Path) -> None:
        report = evaluate(face_model, face_folder)
        rows = {(row["metric"], row["slice"]): row for row in report.rows}
        for row in report.rows:
            assert set(row) == {"metric", "value", "low", "high", "count", "slice", "better"}
            if row["low"] is not None:
                assert row["low"] <= row["value"] <= row["high"]
        assert rows["recall", "all"]["low"] < rows["recall", "all"]["high"]
        assert (rows["false_faces", "all"]["low"], rows["false_faces", "all"]["high"]) == (0, 1)
        assert rows["threshold_best_f1", "all"]["low"] is None
        card = tiny.card("faces", scores=[{**row, "data": "tiny"} for row in report.rows])
        assert ModelCard.from_json(card.to_json()).scores == card.scores
        loaded = json.loads(report.to_json())
        assert loaded["rows"][0]["metric"] == "ap50"
        assert loaded["model"] == "tiny-faces 1.2.3"
        lines = str(report).splitlines()
        assert lines[0].split() == ["metric", "slice", "value", "95", "%", "interval", "count"]
        assert lines[1].startswith("ap50")
        assert len(report.table()) == len(report.rows) + 1

    def test_none_of_many_keeps_a_wilson_interval(self, face_model: Path, tmp_path: Path) -> None:
        rows = [{"source": "empty", "matte": None} for _ in range(20)]
        folder = save_folder(tmp_path / "empty", rows, [tiny.written(16, 16, []) for _ in rows])
        report = evaluate(face_model, folder)
        (row,) = report.rows
        assert (row["metric"], row["value"], row["low"]) == ("false_faces", 0, 0)
        assert row["high"] == pytest.approx(metrics.wilson_interval(0, 20)[1])
        assert report.thresholds == {}

    def test_pictures_of_one_group_are_drawn_together(self, face_model: Path, tmp_path: Path) -> None:
        rows, images = [], []
        for number in range(20):
            box = (10, 10, 50, 60)
            rows.append({"faces": [{"box": box}], "group": number // 10, "source": "s"})
            images.append(tiny.written(128, 100, [(*box, 0.9)] if number < 10 else []))
        report = evaluate(face_model, save_folder(tmp_path / "groups", rows, images))
        row = next(row for row in report.rows if row["metric"] == "recall")
        assert (row["value"], row["low"], row["high"]) == (0.5, 0, 1)


def save_parquet(path: Path, rows: list[dict[str, Any]], images: list[np.ndarray]) -> Path:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    for number, (row, image) in enumerate(zip(rows, images, strict=True)):
        content = io.BytesIO()
        Image.fromarray(image).save(content, "PNG")
        row["image"] = {"bytes": content.getvalue(), "path": f"{number}.png"}
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


class TestCrops:
    def test_share_found_and_keypoint_error(self, face_model: Path, tmp_path: Path) -> None:
        box, other = (10, 10, 50, 60), (70, 40, 110, 90)
        seen = [
            [(*box, 0.9), (*other, 0.6)],  # found
            [(*box, 0.7), (*other, 0.8)],  # the best face is another one
            [(*box, 0.4)],  # scores too little
            [(*box, 0.9)],  # found
        ]
        images = [tiny.written(128, 100, one) for one in seen]
        rows = [{"box": box, **points(box, shift), "person": "p", "source": "s"} for shift in (0.1, 0.0, 0.0, 0.3)]
        report = evaluate(face_model, save_parquet(tmp_path / "crops.parquet", rows, images))
        assert report.value("found") == 0.5
        assert report.value("nme") == pytest.approx(0.2, abs=1e-5)
        assert report.value("nme", "left_eye") == pytest.approx(0.2, abs=1e-5)
        with pytest.raises(DataError):
            report.value("ap50")

    def test_slices_by_label_columns(self, face_model: Path, tmp_path: Path) -> None:
        ages, genders = [3, 30, 35, 80], ["male", "male", "female", "female"]
        rows = [{"age": age, "gender": gender, "source": "s"} for age, gender in zip(ages, genders, strict=True)]
        images = [tiny.written(64, 64, [(5, 5, 60, 60, score)]) for score in (0.1, 0.9, 0.9, 0.2)]
        report = evaluate(face_model, save_parquet(tmp_path / "crops.parquet", rows, images))
        found = {row["slice"]: row["value"] for row in report.rows if row["metric"] == "found"}
        assert found == {
            "all": 0.5,
            "age: 0 to 12": 0,
            "age: 18 to 39": 1,
            "age: 60 and more": 0,
            "gender: female": 0.5,
            "gender: male": 0.5,
        }


@pytest.fixture
def matte_model(tmp_path: Path) -> Path:
    return tiny.save(tmp_path / "red.onnx", tiny.build(tiny.RED_MATTE), tiny.card("matte"))


def red(matte: np.ndarray) -> np.ndarray:
    return np.dstack([matte, np.zeros_like(matte), np.zeros_like(matte)])


class TestMatte:
    def save(self, folder: Path, rows: list[dict[str, Any]], seen: list[np.ndarray], truth: list[np.ndarray | None]) -> Path:
        folder.mkdir()
        for number, (row, matte) in enumerate(zip(rows, truth, strict=True)):
            row["matte"] = None if matte is None else f"matte{number}.png"
            if matte is not None:
                Image.fromarray(matte).save(folder / row["matte"])
        return save_folder(folder, rows, [red(matte) for matte in seen])

    def test_every_number_of_a_small_folder(self, matte_model: Path, tmp_path: Path) -> None:
        truth, shifted, speck, dot = (np.zeros((48, 64), np.uint8) for _ in range(4))
        truth[10:40, 10:30] = 255
        shifted[10:40, 20:40] = 255
        speck[:6, :8] = 255
        dot[:4, :4] = 255
        rows = [{"source": name, "kind": kind} for name, kind in (("a", "portrait"), ("b", "multi"), ("a", ""), ("b", ""))]
        folder = self.save(tmp_path / "matte", rows, [truth, shifted, speck, dot], [truth, truth, None, None])
        report = evaluate(matte_model, folder)
        assert report.value("iou") == pytest.approx((1 + 1 / 3) / 2)
        assert report.value("mae") == pytest.approx((0 + 600 / 3072) / 2)
        assert report.value("boundary_f", "portrait") == 1
        assert report.value("boundary_f", "multi") == pytest.approx(metrics.boundary_f(shifted / 255, truth / 255))
        assert report.value("iou", "b") == pytest.approx(1 / 3)
        assert report.value("false_person") == 0.5
        assert report.value("false_person", "a") == 1
        assert report.value("false_person", "b") == 0
        assert report.notes == []
        assert report.thresholds == {}

    def test_bystanders_of_full_bodies_are_ignored_far_from_the_person(self, matte_model: Path, tmp_path: Path) -> None:
        truth = np.zeros((48, 64), np.uint8)
        truth[10:40, 10:20] = 255
        far, near = truth.copy(), truth.copy()
        far[10:40, 35:60] = 255
        near[10:40, 22:24] = 255
        rows = [
            {"source": "s", "kind": "fullbody"},
            {"source": "s", "kind": "fullbody"},
            {"source": "s", "kind": "portrait"},
        ]
        report = evaluate(matte_model, self.save(tmp_path / "m", rows, [far, near, far], [truth, truth, truth]))
        assert report.value("iou", "portrait") == pytest.approx(10 / 35)
        assert report.value("iou", "fullbody") == pytest.approx((1 + 10 / 12) / 2)
        assert report.value("mae", "fullbody") == pytest.approx(60 / (29 * 48) / 2, rel=0.2)
        assert report.notes == [
            "in 2 full-body pictures only pixels within 15% of the long side of the labelled person's box count"
        ]

    def test_a_matte_of_another_size_is_a_data_error(self, matte_model: Path, tmp_path: Path) -> None:
        picture, truth = np.zeros((48, 64), np.uint8), np.zeros((24, 32), np.uint8)
        folder = self.save(tmp_path / "m", [{"source": "s"}], [picture], [truth])
        with pytest.raises(DataError, match=r"0\.png: expected a matte of the picture's \(48, 64\), got \(24, 32\)"):
            evaluate(matte_model, folder)


class TestBorders:
    def test_data_that_does_not_fit_the_task(self, face_model: Path, matte_model: Path, tmp_path: Path) -> None:
        image = tiny.written(16, 16, [])
        unlabelled = save_folder(tmp_path / "plain", [{"source": "s"}], [image])
        for model in (face_model, matte_model):
            with pytest.raises(DataError, match=r"plain: a .* model needs pictures") as caught:
                evaluate(model, unlabelled)
            assert "\n" not in str(caught.value)
        only_faces = save_folder(tmp_path / "faces", [{"faces": []}], [image])
        with pytest.raises(DataError, match="a matte model needs"):
            evaluate(matte_model, only_faces)

    def test_a_task_without_a_measure(self, face_folder: Path, tmp_path: Path) -> None:
        model = tiny.save(tmp_path / "a.onnx", tiny.build(tiny.RED_MATTE), tiny.card("depth"))
        with pytest.raises(DataError, match="there is no measure for a model for 'depth', only for faces, matte"):
            evaluate(model, face_folder)

    def test_a_picture_that_cannot_be_read_is_named(self, face_model: Path, face_folder: Path) -> None:
        (face_folder / "1.png").write_bytes(b"no picture")
        with pytest.raises(DataError, match=r"1\.png"):
            evaluate(face_model, face_folder)

    def test_missing_model_and_missing_data(self, face_model: Path, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="no such model file"):
            evaluate(tmp_path / "none.onnx", tmp_path)
        with pytest.raises(DataError):
            evaluate(face_model, tmp_path / "none")

    def test_every_measure_says_which_way_is_better(self) -> None:
        assert {better for better, _ in scores.METRICS.values()} == {"higher", "lower", ""}
        assert all(text and "|" not in text for _, text in scores.METRICS.values())

    def test_torch_is_not_needed(self) -> None:
        code = "import sys, mien.learn.evaluate; sys.exit('torch' in sys.modules or 'onnx' in sys.modules)"
        environment = {**os.environ, "PYTHONPATH": str(Path(metrics.__file__).parents[1])}
        assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0
