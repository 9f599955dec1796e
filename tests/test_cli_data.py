from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from conftest import Run
from painted_projects import find, masks, portrait, wall

from mien.data.project import Project
from mien.media.write import write
from mien.models import settings
from mien.types import Faces


@pytest.fixture(autouse=True)
def _finder(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that finds painted faces stands in for the shipped one."""

    class Finder:
        card = SimpleNamespace(attributes=())

        def __call__(self, image: np.ndarray) -> Faces:
            return find(image)

    monkeypatch.setattr(settings, "face_model", lambda settings: Finder())


def test_from_nothing_to_a_frozen_set(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "masks"
    assert run("new", folder, "--task", "mask", "--classes", "mask,no_mask,bad_mask")[0] == 0
    writer = cv2.VideoWriter(str(tmp_path / "film.avi"), cv2.VideoWriter_fourcc(*"FFV1"), 10, (128, 96))
    for n in range(30):
        writer.write(np.ascontiguousarray(portrait(n, at=(20 + n, 10 + n))[..., ::-1]))
    writer.release()
    code, out, _ = run(
        "capture", folder, "--class", "bad_mask", "--count", 5, "--every", 0.3, "--from", tmp_path / "film.avi"
    )
    assert (code, "kept 5 of 5" in out, "still missing" in out) == (0, True, True)
    for n in range(6):
        write(portrait(100 + n), tmp_path / f"in{n}" / "a.png")
        answer = ("mask", "no_mask")[n % 2]
        code, out, _ = run("capture", folder, "--class", answer, "--from", tmp_path / f"in{n}", "--person", f"p{n}")
        assert (code, "kept 1 of 30" in out) == (0, True)
    code, out, _ = run("data", "split", folder, "--validation", 0.2, "--test", 0.2)
    assert (code, "is on two sides" in out) == (0, True)
    code, out, _ = run("data", "check", folder)
    assert code == 0
    assert "11 pictures (11 labelled), 11 labelled faces" in out
    assert "classes: bad_mask 5, mask 3, no_mask 3" in out
    assert (folder / "reports" / "check.html").read_text().startswith("<!DOCTYPE html>")
    code, out, _ = run("data", "freeze", folder, "v1")
    assert (code, "v1: 11 pictures" in out) == (0, True)
    pytest.importorskip("albumentations")
    code, out, _ = run("data", "augment", folder, "--times", 2, "-o", tmp_path / "more")
    assert (code, "added, 0 there already, 0 rejected" in out) == (0, True)


def test_merge_and_export_and_import(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    masks(tmp_path / "a", 4).close()
    masks(tmp_path / "b", 4, first=3).close()
    code, out, _ = run("data", "merge", "a", "b", "-o", "c")
    assert code == 0
    assert [line.split() for line in out.splitlines()[3:5]] == [["a", "4", "4", "0", "0"], ["b", "4", "3", "1", "0"]]
    code, out, _ = run("data", "export", tmp_path / "c", "-o", tmp_path / "coco", "--format", "coco")
    assert (code, "7 pictures" in out) == (0, True)
    run("new", tmp_path / "d", "--task", "mask")
    code, out, _ = run("data", "import", tmp_path / "d", tmp_path / "coco")
    assert (code, "7 added, 0 there already, 0 rejected" in out) == (0, True)
    assert run("data", "import", tmp_path / "d", tmp_path / "coco")[1].startswith("0 added, 7 there already")


def test_an_export_says_what_it_loses(run: Run, tmp_path: Path) -> None:
    masks(tmp_path / "p", 3).close()
    code, out, _ = run("data", "export", tmp_path / "p", "-o", tmp_path / "out", "--format", "class-folders")
    assert code == 0
    assert "Note: 3 pictures lost the boxes of their faces" in out


def test_photos_without_labels_can_be_imported(run: Run, tmp_path: Path) -> None:
    for number in range(3):
        write(portrait(number), tmp_path / "photos" / f"{number}.png")
    run("new", tmp_path / "p", "--task", "mask")
    code, out, _ = run("data", "import", tmp_path / "p", tmp_path / "photos")
    assert (code, "3 added, 0 there already, 0 rejected" in out) == (0, True)
    assert "3 pictures came without labels" in out
    assert {row["state"] for row in Project.open(tmp_path / "p").rows()} == {"unlabelled"}


def test_labels_come_back_from_another_tool(run: Run, tmp_path: Path) -> None:
    masks(tmp_path / "p", 3).close()
    run("data", "export", tmp_path / "p", "-o", tmp_path / "out", "--format", "labelme")
    path = sorted((tmp_path / "out").glob("0-*.json"))[0]
    path.write_text(path.read_text().replace('"label": "mask"', '"label": "bad_mask"'))
    code, out, _ = run("data", "import", tmp_path / "p", tmp_path / "out")
    assert (code, "0 added, 3 there already" in out) == (0, True)
    assert "1 that were there already have other labels here; to take them, add --update" in out
    code, out, _ = run("data", "import", tmp_path / "p", tmp_path / "out", "--update")
    assert (code, "1 with new labels" in out) == (0, True)
    assert Project.open(tmp_path / "p").rows()[0]["faces"][0]["attributes"] == {"mask": "bad_mask"}


def test_nothing_kept_is_a_failure(run: Run, tmp_path: Path) -> None:
    run("new", tmp_path / "p", "--task", "mask")
    write(wall(1), tmp_path / "in" / "a.png")
    code, out, err = run("capture", tmp_path / "p", "--class", "mask", "--from", tmp_path / "in")
    assert (code, "left out 1: no face" in out) == (2, True)
    assert "no picture was kept" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["new", "{}", "--task", "mask"], "new or an empty folder"),
        (["new", "x/y", "--task", "nonsense"], "task: expected one of"),
        (["capture", "{}", "--class", "mask", "--from", "87"], "camera 87: no such camera"),
        (["capture", "{}", "--class", "mask", "--from", "no.mp4"], "no.mp4: no such file"),
        (["capture", "{}", "--class", "odd"], "expected one of mask"),
        (["data", "check", "nowhere"], "make one with: mien new"),
        (["data", "split", "{}", "--test", "1", "--validation", "0.5"], "split: expected shares"),
        (["data", "split", "{}", "--test", "0.9", "--validation", "0.5"], "got validation 0.5 and test 0.9; give less"),
        (["data", "freeze", "{}", "../v1"], "plain name"),
        (["data", "merge", "{}", "-o", "x"], "at least two"),
        (["data", "export", "{}", "-o", "x", "--format", "odd"], "format 'odd'"),
        (["data", "import", "{}", "nowhere"], "nowhere"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(
    run: Run, tmp_path: Path, words: list[str], message: str, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    masks(tmp_path / "p", 2).close()
    code, _, err = run(*[word.replace("{}", "p") for word in words])
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p"]


def test_names_are_no_markup(run: Run, tmp_path: Path) -> None:
    project = Project.create(tmp_path / "[red]p", task="mask")
    project.close()
    code, out, _ = run("data", "check", tmp_path / "[red]p")
    assert (code, "[red]p/reports/check.html" in out) == (0, True)
