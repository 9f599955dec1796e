from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from painted_projects import entry, find, labels, masks, portrait, wall

from mien.attributes import ATTRIBUTES
from mien.data.check import check, hashes_of, label_losses
from mien.data.check_page import write_check
from mien.data.page import Page
from mien.data.project import NewPicture, Project
from mien.data.quality import face_faults
from mien.data.sample import face_from_entry
from mien.data.sheet import contact_sheet, with_labels
from mien.types import Faces


def faults(project: Project) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for fault in check(project).faults:
        found.setdefault(fault.kind, []).append(f"{fault.file_name}: {fault.note}")
    return found


def test_a_good_project_has_no_faults(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    checked = check(masks(tmp_path / "p", 9), find, progress=lambda *x: seen.append(x))
    assert (checked.pictures, checked.faults, checked.suspects, checked.groups) == (9, [], [], [])
    assert {name: sum(counts.values()) for name, counts in checked.classes.items()} == dict.fromkeys(
        ("mask", "no_mask", "bad_mask"), 3
    )
    assert checked.looks.shape == (9, 4)
    assert seen[-1] == (9, 9)


def test_every_kind_of_fault_is_found(tmp_path: Path) -> None:
    project = masks(tmp_path / "p", 7)
    names = [row["file_name"] for row in project.rows()]
    (project.pictures / names[0]).unlink()
    (project.pictures / names[1]).write_bytes((project.pictures / names[1]).read_bytes()[:900])
    (project.pictures / names[2]).write_bytes((project.pictures / names[3]).read_bytes())
    project.update(names[4], faces=[{"box": [100, 80, 190, 170]}], revision=1)
    (project.pictures / "stray.png").write_bytes(b"x")
    project.close()
    table = (project.pictures / "metadata.jsonl").read_text().splitlines()
    table[5] = re.sub(r'"box": \[[^]]*\]', '"box": [9, 9, 1, 1]', table[5])
    (project.pictures / "metadata.jsonl").write_text("\n".join(table) + "\n")
    found = faults(Project.open(project.root))
    assert set(found) == {"missing", "unreadable", "changed", "row", "label", "stray"}
    assert names[0] in found["missing"][0]
    assert names[1] in found["unreadable"][0]
    assert {note.split(":")[0] for note in found["changed"]} == {names[1], names[2]}
    assert "x1 < x2" in found["row"][0]
    assert any("leaves the picture" in note for note in found["label"])
    assert any("no answer to mask" in note for note in found["label"])


@pytest.mark.parametrize("spread", [0.0, 1e-7, 0.2])
def test_faces_that_are_all_alike_can_be_plotted(tmp_path: Path, spread: float) -> None:
    pytest.importorskip("matplotlib")
    project = masks(tmp_path / "p", 3)
    checked = check(project)
    checked.looks = (np.full((60, 4), 0.5) + np.linspace(0, spread, 60)[:, None]).astype(np.float32)
    checked.looks[:, 3] = np.nan  # nothing is known of their turn
    assert "histograms of size" in write_check(project, checked).read_text("utf-8")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, ""),
        ({"box": [44, 30, 46, 32], "keypoints": {}}, "pixels small"),
        ({"box": [4, 30, 120, 50], "keypoints": {}}, "no shape of a face"),
        ({"box": [44, 30, 140, 70]}, "leaves the picture"),
        ({"keypoints": {"nose": [500, 40]}}, "nose .* leaves the picture"),
        ({"keypoints": {"nose": [10, 10]}}, "nose lies far outside"),
        ({"keypoints": {"chin": [5, 5]}}, "chin lies far outside"),
        (
            {
                "keypoints": {
                    "left_eye": [56, 46],
                    "right_eye": [72, 46],
                    "nose": [64, 54],
                    "mouth_left": [58, 62],
                    "mouth_right": [70, 62],
                }
            },
            "left and right eye seem swapped",
        ),
    ],
)
def test_odd_labels(change: dict, words: str) -> None:
    found = face_faults([face_from_entry({**entry(), **change}, "x")], 128, 96)
    assert (not found) if not words else re.search(words, " ".join(found))


def test_two_boxes_on_one_face() -> None:
    faces = [face_from_entry(entry(), "x")] * 2
    assert "two boxes on one face" in " ".join(face_faults(faces, 128, 96))


def test_near_duplicates_are_grouped_without_changed_copies(tmp_path: Path) -> None:
    project = masks(tmp_path / "p", 4)
    first = project.rows()[0]["file_name"]
    brighter = np.clip(portrait(0).astype(int) + 9, 0, 255).astype(np.uint8)
    project.add(
        [
            NewPicture(brighter, "brighter", labels()),
            NewPicture(np.ascontiguousarray(portrait(0)[:, ::-1]), "mirrored", labels()),
            NewPicture(np.clip(portrait(1).astype(int) + 9, 0, 255).astype(np.uint8), "copy", labels(parent=first)),
        ]
    )
    (group,) = check(project).groups
    assert [name.split("-")[0] for name in group] == ["0", "brighter", "mirrored"]


def test_labels_that_the_model_contradicts_are_suspects(tmp_path: Path) -> None:
    project = masks(tmp_path / "p", 6)
    names = [row["file_name"] for row in project.rows()]
    project.update(names[0], faces=[entry("mask", at=(5, 5))], revision=1)
    project.update(names[1], faces=[], revision=1)
    project.add([NewPicture(wall(99), "empty", labels())])

    def model(image: np.ndarray) -> Faces:
        faces = find(image)
        says = np.array([[0.01, 0.98, 0.01]] * len(faces), np.float32).reshape(-1, 3)
        return faces.with_attributes(mask=says)

    by_file: dict[str, str] = {}
    for suspect in check(project, model).suspects:
        by_file[suspect.file_name.split("-")[0]] = by_file.get(suspect.file_name.split("-")[0], "") + suspect.note + ";"
    assert "no face here" in by_file["0"]
    assert "sees a face" in by_file["0"]
    assert "sees a face (score 0.90)" in by_file["1"]
    assert "labelled bad_mask, the model says no_mask (98%)" in by_file["2"]
    assert "3" in by_file
    assert "4" not in by_file, "the model agrees"
    assert "no face here" in by_file["empty"]


def test_points_and_boxes_count_by_how_far_they_are() -> None:
    face = face_from_entry(entry(), "x")
    seen = find(portrait(1))
    assert max(loss for loss, _, _ in label_losses([face], seen)) < 0.4
    moved = face_from_entry({**entry(), "keypoints": entry(at=(52, 38))["keypoints"]}, "x")
    assert max(loss for loss, _, _ in label_losses([moved], seen)) > 0.7
    loose = face_from_entry({"box": [30, 16, 96, 82]}, "x")
    assert [place for loss, place, _ in label_losses([loose], seen) if loss > 0.7] == [0]
    ignored = face_from_entry({**entry(), "ignore": True}, "x")
    assert label_losses([ignored], seen) == []


def test_numbers_count_by_the_models_own_doubt() -> None:
    face = face_from_entry({**entry(None), "attributes": {"age": 60}}, "x")
    seen = find(portrait(1)).with_attributes(age=np.array([[30, 5]], np.float32))
    (loss,) = [loss for loss, _, note in label_losses([face], seen, ATTRIBUTES["age"]) if "60" in note]
    assert loss == pytest.approx(1.5)


def test_the_page_holds_all_and_escapes_names(tmp_path: Path) -> None:
    project = masks(tmp_path / "p", 6)
    name = project.rows()[0]["file_name"]
    project.assign({name: {"person": "<img src=x onerror=alert(1)>"}})
    project.assign({row["file_name"]: {"person": "<b>Bob</b>"} for row in project.rows()[1:3]})
    project.assign_split({row["file_name"]: part for row, part in zip(project.rows(), ["train", "test"] * 3, strict=True)})
    project.update(name, faces=[], revision=1)
    checked = check(project, find)
    html = write_check(project, checked).read_text()
    assert "<b>" not in html
    assert "&lt;b&gt;Bob" in html, "the person is named among those on two sides"
    assert "groups lie in several parts" in html
    assert "http:" not in html.replace("http-equiv", "")
    assert "https:" not in html
    assert "<script" not in html
    assert html.count("data:image/") == 2
    assert (project.root / "reports" / "suspects.png").stat().st_size > 1000
    assert sorted(path.name for path in (project.root / "reports").iterdir()) == ["check.html", "suspects.png"]


@pytest.mark.parametrize("text", ["<script>x</script>", '"><img src=x onerror=y>', "&amp;", "'\u2028\x00\ud800"])
def test_pages_escape_everything(tmp_path: Path, text: str) -> None:
    page = Page(text)
    page.heading(text)
    page.text(text, kind=text)
    page.table([text], [[text]])
    page.bars([text, "", ""], {text: 3})
    page.picture(np.zeros((2, 2, 3), np.uint8), text)
    html = page.write(tmp_path / "page.html").read_bytes().decode()
    assert "<script" not in html
    assert "<img src=x" not in html
    assert html.count("<img ") == 1


def test_long_tables_are_cut_and_counted(tmp_path: Path) -> None:
    page = Page("t")
    page.table(["n"], [[n] for n in range(30)], most=10)
    assert "and 20 more" in page.write(tmp_path / "page.html").read_text()


def test_hashes_are_kept_with_the_rows(tmp_path: Path) -> None:
    project = masks(tmp_path / "p", 3)
    kept = hashes_of(project)
    project.close()
    text = (project.pictures / "metadata.jsonl").read_text()
    (project.pictures / "metadata.jsonl").write_text(re.sub(r'"perceptual_hash": "\w+"', '"perceptual_hash": ""', text))
    again = Project.open(project.root)
    assert (hashes_of(again) == kept).all()
    (project.pictures / again.rows()[0]["file_name"]).write_bytes(b"")
    assert (hashes_of(again)[1:] == kept[1:]).all()


def test_sheets_have_a_tile_for_each_picture() -> None:
    sheet = contact_sheet(
        [(portrait(n), "a caption that is too long for one line \x07" * 3) for n in range(7)], columns=3, cell=60
    )
    assert sheet.shape == (3 * (45 + 32 + 10) + 10, 3 * 70 + 10, 3)
    assert contact_sheet([]).ndim == 3
    drawn = with_labels(portrait(1), [face_from_entry(entry(), "x")])
    assert (drawn != portrait(1)).any()
