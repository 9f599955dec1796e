from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import pytest
from painted_projects import find, labels, masks, portrait, wall
from PIL import Image

from mien.data.check import check
from mien.data.formats import FORMATS
from mien.data.project import NewPicture, Project
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


def edited(path: Path, **changes: object) -> None:
    """What labelme leaves of a file that was opened, changed and saved: its keys, the picture in it."""
    document = json.loads(path.read_text())
    picture = base64.b64encode((path.parent / document["imagePath"]).read_bytes()).decode()
    path.write_text(json.dumps({**document, "version": "5.8.1", "imageData": picture, **changes}, indent=2))


def test_labels_go_out_to_labelme_and_come_back_edited(tmp_path: Path) -> None:
    project = masks(tmp_path / "p", 4)
    out, _ = export_pictures(project, tmp_path / "out", "labelme")
    names = [row["file_name"] for row in project.rows()]
    first, second, third, _same = (out / f"{Path(name).stem}.json" for name in names)
    shapes = json.loads(first.read_text())["shapes"]
    edited(first, shapes=[{**shape, "label": "bad_mask"} if shape["label"] == "mask" else shape for shape in shapes])
    shapes = json.loads(second.read_text())["shapes"]
    new = {**shapes[0], "label": "mask", "points": [[2, 3], [20, 30]], "group_id": None}
    edited(second, shapes=[*shapes, new])
    edited(third, shapes=[])
    added, _ = import_pictures(project, out)
    assert (len(added.kept), len(added.duplicates), len(added.differing), added.updated) == (0, 4, 3, [])
    assert [row["revision"] for row in project.rows()] == [1, 1, 1, 1], "nothing is changed unless asked for"
    added, _ = import_pictures(project, out, is_update=True)
    assert (len(added.kept), added.rejected) == (0, [])
    assert [file for _, file in added.updated] == names[:3]
    rows = project.rows()
    assert [row["revision"] for row in rows] == [2, 2, 2, 1]
    assert rows[0]["faces"][0]["attributes"] == {"mask": "bad_mask"}
    assert rows[0]["faces"][0]["keypoints"] == masks(tmp_path / "same", 1).rows()[0]["faces"][0]["keypoints"]
    assert [face["attributes"]["mask"] for face in rows[1]["faces"]] == ["no_mask", "mask"]
    assert rows[1]["faces"][1]["by"] == "person"
    assert (rows[2]["faces"], rows[2]["state"]) == ([], "labelled")
    again, _ = import_pictures(project, out, is_update=True)
    assert (again.updated, len(Project.open(tmp_path / "p").rows())) == ([], 4)


def test_pictures_without_labels_are_labelled_where_they_lie(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "p", task="mask")
    project.add([NewPicture(portrait(1), "a")])
    (row,) = project.rows()
    shape = {"label": "mask", "points": [[44, 30], [84, 70]], "shape_type": "rectangle", "flags": {}, "group_id": None}
    document = {"version": "5.8.1", "flags": {}, "shapes": [shape], "imagePath": row["file_name"], "imageData": None}
    path = project.pictures / f"{Path(row['file_name']).stem}.json"
    path.write_text(json.dumps({**document, "imageHeight": 96, "imageWidth": 128}))
    added, _ = import_pictures(project, project.pictures, "labelme", is_update=True)
    assert (len(added.updated), added.differing, added.rejected) == (1, [], [])
    (row,) = project.rows()
    assert (row["state"], row["faces"][0]["attributes"]) == ("labelled", {"mask": "mask"})
    assert not check(project).faults


def test_an_update_knows_pictures_that_the_export_turned_upright(tmp_path: Path) -> None:
    upright = portrait(2)
    stored = Image.fromarray(np.rot90(upright).copy())
    exif = stored.getexif()
    exif[0x0112] = 6
    stored.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    project = Project.create(tmp_path / "p", task="mask")
    project.add([NewPicture(tmp_path / "turned.jpg", labels=labels("mask"))])
    out, _ = export_pictures(project, tmp_path / "out", "labelme")
    (path,) = out.glob("*.json")
    shapes = json.loads(path.read_text())["shapes"]
    edited(path, shapes=[{**shapes[0], "label": "no_mask"}])
    added, _ = import_pictures(project, out, is_update=True)
    assert (len(added.updated), len(project.rows())) == (1, 1)
    assert project.rows()[0]["faces"][0]["attributes"] == {"mask": "no_mask"}


@pytest.mark.parametrize("name", ["voc", "yolo", "class-folders"])
def test_an_update_keeps_what_a_format_cannot_carry(name: str, tmp_path: Path) -> None:
    project = masks(tmp_path / "p", 2)
    for row in project.rows():
        face = {**row["faces"][0], "attributes": {**row["faces"][0]["attributes"], "smile": "smile"}}
        project.update(row["file_name"], faces=[face], revision=1)
    before = project.rows()
    out, _ = export_pictures(project, tmp_path / name, name)
    if name == "voc":
        for path in out.glob("Annotations/*.xml"):
            path.write_text(path.read_text().replace("<name>no_mask</name>", "<name>bad_mask</name>"))
        added, _ = import_pictures(project, out, is_update=True)
        assert len(added.updated) == 1
        before[1]["faces"][0]["attributes"]["mask"] = "bad_mask"
    else:
        added, _ = import_pictures(project, out, model=find, is_update=True)
        assert added.updated == []
    for row, old in zip(project.rows(), before, strict=True):
        (face,), (was,) = row["faces"], old["faces"]
        assert face["keypoints"] == was["keypoints"]
        assert face["attributes"] == was["attributes"]


def test_an_update_with_unknown_answers_leaves_the_picture(tmp_path: Path) -> None:
    project = masks(tmp_path / "p", 1)
    out, _ = export_pictures(project, tmp_path / "out", "labelme")
    (path,) = out.glob("*.json")
    path.write_text(path.read_text().replace('"mask"', '"visor"', 1))
    added, _ = import_pictures(project, out, is_update=True)
    assert added.updated == []
    assert "got 'visor'" in added.rejected[0][1]
    assert project.rows()[0]["revision"] == 1
