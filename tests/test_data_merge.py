from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from painted_projects import entry, labels, masks, portrait, wall

from mien.data.check import check, hashes_of
from mien.data.check_page import write_merge
from mien.data.duplicates import near_duplicates
from mien.data.merge import merge
from mien.data.project import NewPicture, Project
from mien.data.sample import read_samples
from mien.data.split import proofs
from mien.errors import DataError
from mien.media.write import write


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


def test_classes_are_united_and_splits_kept(tmp_path: Path) -> None:
    masks(tmp_path / "a", 2).assign_split({row["file_name"]: "test" for row in Project.open(tmp_path / "a").rows()})
    other = Project.create(tmp_path / "b", attribute="mask", classes=("mask", "visor"))
    other.add([NewPicture(portrait(50), "x")])
    merged = merge([tmp_path / "a", tmp_path / "b"], tmp_path / "all")
    project = Project.open(tmp_path / "all")
    assert project.settings.classes == ("mask", "no_mask", "bad_mask", "visor")
    assert [row.get("split", "") for row in project.rows()] == ["test", "test", ""]
    assert merged.parts == {"test": 2, "": 1}
    assert not merged.moved


def test_what_belongs_together_comes_into_one_part(tmp_path: Path) -> None:
    a = masks(tmp_path / "a", 4, person="ann", session="")
    a.assign_split({row["file_name"]: "train" for row in a.rows()})
    b = masks(tmp_path / "b", 2, first=8, person="ann", session="")
    b.add([NewPicture(portrait(30), "30.png", labels("mask", person="bob"))])
    b.add([NewPicture(portrait(31), "31.png", labels("mask", person="bob"))])
    names = [row["file_name"] for row in b.rows()]
    b.assign_split(dict(zip(names, ("test", "test", "train", "validation"), strict=True)))
    merged = merge([tmp_path / "a", tmp_path / "b"], tmp_path / "all")
    project = Project.open(tmp_path / "all")
    assert {(row["person"], row["split"]) for row in project.rows()} == {("ann", "train"), ("bob", "validation")}
    ann, bob = sorted(merged.moved, key=lambda group: group.part)
    assert (ann.given, len(ann.file_names)) == ({"train": 4, "test": 2}, 6)
    assert str(bob) == f"{names[2]} and 1 that belong to it: 1 in train, 1 in validation; now all in validation"
    page = write_merge(project, merged).read_text()
    assert names[2] in page
    samples = project.samples()
    near = near_duplicates(hashes_of(project))
    assert not any(proof.straddling for proof in proofs(samples, [sample.split for sample in samples], near))


def test_the_same_picture_on_two_sides_is_told(tmp_path: Path) -> None:
    for name, part in (("a", "train"), ("b", "test")):
        project = masks(tmp_path / name, 1)
        project.assign_split({project.rows()[0]["file_name"]: part})
    merged = merge([tmp_path / "a", tmp_path / "b"], tmp_path / "all")
    (row,) = Project.open(tmp_path / "all").rows()
    (group,) = merged.moved
    assert (row["split"], group.given) == ("test", {"train": 1, "test": 1})


def test_an_unknown_part_is_an_error(tmp_path: Path) -> None:
    masks(tmp_path / "a", 1).close()
    folder = tmp_path / "b"
    folder.mkdir()
    write(portrait(5), folder / "x.png")
    (folder / "metadata.jsonl").write_text('{"file_name": "x.png", "split": "val"}\n')
    with pytest.raises(DataError, match="expected one of train, validation, test or none, got val"):
        merge([tmp_path / "a", folder], tmp_path / "all")


def matted(folder: Path, *, side: int = 96, first: int = 0) -> Path:
    """An ImageFolder of two portraits with mattes and a wall that shows nobody."""
    folder.mkdir()
    rows: list[dict[str, object]] = []
    for n in (first, first + 1):
        write(portrait(n), folder / f"{n}.png")
        write(np.full((side, 128, 3), 100 + n, np.uint8), folder / f"{n}-cut.png")
        rows.append({"file_name": f"{n}.png", "matte": f"{n}-cut.png", "faces": [entry()]})
    write(wall(first + 7), folder / "wall.png")
    rows.append({"file_name": "wall.png", "matte": None, "faces": []})
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_mattes_come_along(tmp_path: Path) -> None:
    cut = matted(tmp_path / "cut")
    Project.create(tmp_path / "plain", task="mask").add([NewPicture(cut / "0.png")])
    merged = merge([tmp_path / "plain", cut], tmp_path / "all")
    project = Project.open(tmp_path / "all")
    assert (merged.mattes, merged.unmatted) == (2, [])
    samples = {sample.name.split("-")[0]: sample for sample in project.samples()}
    assert samples["0"].matte_image()[0, 0] == 100, "the duplicate's matte, as the first input had none"
    assert samples["1"].matte_image()[0, 0] == 101
    assert samples["wall"].is_empty
    assert not check(project).faults
    before = project.freeze("v1")["content"]
    write(np.full((96, 128, 3), 9, np.uint8), tmp_path / "other.png")
    project.attach_matte(samples["1"].name, tmp_path / "other.png")
    with pytest.raises(DataError, match="other content"):
        project.freeze("v1")
    assert project.version("v1")["content"] == before
    (project.pictures / project.row(samples["0"].name)["matte"]).unlink()
    assert [fault.kind for fault in check(project).faults] == ["missing"]
    project.remove([samples["1"].name])
    assert sorted(path.name for path in project.pictures.glob("*-matte*")) == []


def test_a_matte_of_another_size_is_rejected_with_its_reason(tmp_path: Path) -> None:
    cut = matted(tmp_path / "cut", side=50)
    Project.create(tmp_path / "plain", task="mask").add([NewPicture(cut / "0.png")])
    merged = merge([tmp_path / "plain", cut], tmp_path / "all")
    assert "expected a matte of 128x96 pixels as its picture, got 128x50" in merged.inputs[1].rejected[0][1]
    assert "got 128x50" in merged.unmatted[0][1], "of the duplicate, whose picture is there already"
    assert len(Project.open(tmp_path / "all").rows()) == 2


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
