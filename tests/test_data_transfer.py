from __future__ import annotations

from pathlib import Path

import pytest
from painted_projects import find, masks, portrait, wall

from mien.data.formats import FORMATS
from mien.data.project import Project
from mien.data.transfer import export_pictures, import_pictures
from mien.errors import DataError, InputError
from mien.media.write import write

BOXED = sorted(set(FORMATS) & {"coco", "yolo", "voc", "labelme", "label-studio", "cvat", "csv", "imagefolder"})


@pytest.mark.parametrize("name", BOXED)
def test_what_goes_out_comes_back(name: str, tmp_path: Path) -> None:
    project = masks(tmp_path / "p", 5)
    out, count = export_pictures(project, tmp_path / name, name)
    assert (out, count) == (tmp_path / name, 5)
    back = Project.create(tmp_path / "back", task="mask")
    added, _ = import_pictures(back, out)
    assert (len(added.kept), added.rejected) == (5, [])
    before = {row["sha256"]: row for row in project.rows()}
    for row in back.rows():
        (face,), (other,) = row["faces"], before[row["sha256"]]["faces"]
        assert face["box"] == pytest.approx(other["box"], abs=0.05)
        assert face["attributes"] == other["attributes"]
        assert row["state"] == "labelled"


def test_a_folder_a_class_gets_its_faces_from_the_model(tmp_path: Path) -> None:
    for n, answer in enumerate(["mask", "no_mask", "mask"]):
        write(portrait(n), tmp_path / "in" / answer / f"{n}.png")
    write(wall(9), tmp_path / "in" / "mask" / "wall.png")
    project = Project.create(tmp_path / "p", task="mask")
    added, _ = import_pictures(project, tmp_path / "in", "class-folders", model=find)
    assert len(added.kept) == 4
    rows = {row["file_name"].split("-")[0]: row for row in project.rows()}
    assert rows["1"]["faces"][0]["attributes"] == {"mask": "no_mask"}
    assert rows["1"]["faces"][0]["by"] == "model"
    again = Project.create(tmp_path / "q", task="mask")
    import_pictures(again, tmp_path / "in", "class-folders")
    assert all(row["labels"]["mask"] in ("mask", "no_mask") for row in again.rows())


def test_answers_that_the_project_does_not_know_are_rejected(tmp_path: Path) -> None:
    export_pictures(masks(tmp_path / "p", 3), tmp_path / "coco", "coco")
    project = Project.create(tmp_path / "two", attribute="mask", classes=("mask", "no_mask"))
    added, _ = import_pictures(project, tmp_path / "coco")
    assert len(added.kept) == 2
    assert "expected one of mask, no_mask, got 'bad_mask'" in added.rejected[0][1]


def test_a_frozen_version_can_be_exported(tmp_path: Path) -> None:
    project = masks(tmp_path / "p", 3)
    project.freeze("v1")
    project.update(project.rows()[0]["file_name"], faces=None, revision=1, state="unlabelled")
    assert export_pictures(project, tmp_path / "now", "coco")[1] == 2
    assert export_pictures(project, tmp_path / "then", "coco", version="v1")[1] == 3
    with pytest.raises(InputError, match="format 'odd'"):
        export_pictures(project, tmp_path / "x", "odd")
    with pytest.raises(DataError, match="label some first"):
        export_pictures(Project.create(tmp_path / "e", task="mask"), tmp_path / "x", "coco")
