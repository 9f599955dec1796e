from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from painted_projects import entry, masks, portrait

from mien.data.merge import merge
from mien.data.project import NewPicture, Project
from mien.data.sample import read_samples
from mien.errors import DataError


def test_every_input_is_counted(tmp_path: Path) -> None:
    masks(tmp_path / "a", 6).close()
    masks(tmp_path / "b", 6, first=4).close()
    (next((tmp_path / "b" / "pictures").glob("9-*"))).write_bytes(b"spoilt")
    merged = merge([tmp_path / "a", tmp_path / "b"], tmp_path / "all")
    for one in merged.inputs:
        assert one.given == one.kept + len(one.duplicates) + len(one.rejected)
    first, second = merged.inputs
    assert (first.given, first.kept) == (6, 6)
    assert (second.given, second.kept, len(second.duplicates)) == (6, 3, 2)
    assert "expected a picture" in second.rejected[0][1]
    project = Project.open(tmp_path / "all")
    assert len(project.rows()) == 9
    assert {row["person"] for row in project.rows()} == {"p0", "p1", "p2", "p3", "p4"}
    assert project.settings.name == "all"
    assert not merged.contradictions
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "all", "b"]


def test_names_stay_short_however_often_they_are_merged(tmp_path: Path) -> None:
    names = {row["file_name"] for row in masks(tmp_path / "a", 3).rows()}
    masks(tmp_path / "b", 3, first=3)
    merge([tmp_path / "a", tmp_path / "b"], tmp_path / "c")
    assert names <= {row["file_name"] for row in Project.open(tmp_path / "c").rows()}


def test_contradictions_are_told_and_labels_taken_where_there_are_none(tmp_path: Path) -> None:
    a, b = masks(tmp_path / "a", 3), masks(tmp_path / "b", 3)
    rows = a.rows()
    b.update(rows[0]["file_name"], faces=[entry("bad_mask")], revision=1)
    a.update(rows[1]["file_name"], faces=None, revision=1, state="unlabelled")
    shifted = {**entry("bad_mask"), "box": [45, 30, 84, 70]}
    b.update(rows[2]["file_name"], faces=[shifted], revision=1)
    merged = merge([tmp_path / "a", tmp_path / "b"], tmp_path / "all")
    (one,) = merged.contradictions
    assert (one.file_name, one.kept, one.other) == (rows[0]["file_name"], "1 face: mask", "1 face: bad_mask")
    taken = Project.open(tmp_path / "all").row(rows[1]["file_name"])
    assert taken["faces"][0]["attributes"] == {"mask": "no_mask"}
    assert taken["state"] == "labelled"


def test_classes_are_united_and_splits_dropped(tmp_path: Path) -> None:
    masks(tmp_path / "a", 2).assign_split({row["file_name"]: "test" for row in Project.open(tmp_path / "a").rows()})
    other = Project.create(tmp_path / "b", attribute="mask", classes=("mask", "visor"))
    other.add([NewPicture(portrait(50), "x")])
    merge([tmp_path / "a", tmp_path / "b"], tmp_path / "all")
    project = Project.open(tmp_path / "all")
    assert project.settings.classes == ("mask", "no_mask", "bad_mask", "visor")
    assert not any("split" in row for row in project.rows())


def test_copies_keep_their_parents(tmp_path: Path) -> None:
    a = masks(tmp_path / "a", 2)
    parent, child = (row["file_name"] for row in a.rows())
    a.assign({child: {"parent": parent}})
    masks(tmp_path / "b", 1, first=5)
    merge([tmp_path / "b", tmp_path / "a"], tmp_path / "all")
    rows = {row["file_name"]: row for row in Project.open(tmp_path / "all").rows()}
    assert rows[child]["parent"] in rows


def test_imagefolders_merge_too(tmp_path: Path) -> None:
    a = masks(tmp_path / "a", 3)
    a.close()
    shutil.copytree(a.pictures, tmp_path / "folder")
    masks(tmp_path / "b", 3, first=3).close()
    shutil.copytree(tmp_path / "b" / "pictures", tmp_path / "more")
    merge([tmp_path / "folder", tmp_path / "more"], tmp_path / "all")
    settings = Project.open(tmp_path / "all").settings
    assert (settings.attribute, set(settings.classes)) == ("mask", {"mask", "no_mask", "bad_mask"})
    assert len(read_samples(tmp_path / "all")) == 6


def test_what_does_not_go_together_leaves_nothing(tmp_path: Path) -> None:
    masks(tmp_path / "a", 1).close()
    Project.create(tmp_path / "b", task="boxes").add([NewPicture(portrait(3))])
    with pytest.raises(DataError, match="expected a project about mask"):
        merge([tmp_path / "a", tmp_path / "b"], tmp_path / "all")
    with pytest.raises(DataError, match="at least two"):
        merge([tmp_path / "a"], tmp_path / "all")
    with pytest.raises(DataError, match="nothing there"):
        merge([tmp_path / "a", tmp_path / "gone"], tmp_path / "all")
    with pytest.raises(DataError, match="new or an empty folder"):
        merge([tmp_path / "a", tmp_path / "a"], tmp_path / "b")
    assert not (tmp_path / "all").exists()


def test_a_row_that_leads_out_of_its_project_is_refused(tmp_path: Path) -> None:
    a = masks(tmp_path / "a", 1)
    a.close()
    with (a.pictures / "metadata.jsonl").open("a") as file:
        file.write(json.dumps({"file_name": "../../secret.png"}) + "\n")
    (tmp_path / "secret.png").write_bytes(b"x")
    with pytest.raises(DataError, match="inside"):
        merge([tmp_path / "a", tmp_path / "a"], tmp_path / "all")
