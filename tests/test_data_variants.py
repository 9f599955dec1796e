from __future__ import annotations

from pathlib import Path

import pytest
from painted_projects import entry, masks

from mien.data.check import check
from mien.data.project import Project
from mien.data.variants import augment, originals
from mien.errors import DataError

pytest.importorskip("albumentations")


def test_copies_stay_with_their_original(tmp_path: Path) -> None:
    project = masks(tmp_path / "p", 6)
    names = [row["file_name"] for row in project.rows()]
    project.assign_split(dict(zip(names, ["train", "train", "validation", "test", "train", ""], strict=True)))
    added = augment(project, 3)
    assert len(added.kept) == 12, "those of validation and test are left as they are"
    rows = {row["file_name"]: row for row in project.rows()}
    for row in added.kept:
        original = rows[row["parent"]]
        for key in ("split", "person", "session"):
            assert row.get(key) == original.get(key)
        assert row["faces"][0]["attributes"] == original["faces"][0]["attributes"]
        assert (row["width"], row["height"], row["state"]) == (128, 96, "labelled")
    assert (project.root / "reports" / "augment.png").stat().st_size > 1000
    checked = check(project)
    assert not next(proof for proof in checked.proofs if "copies" in proof.kind).straddling
    assert not [fault for fault in checked.faults if "leaves" in fault.note]


def test_a_second_run_adds_none_and_more_times_add_the_rest(tmp_path: Path) -> None:
    project = masks(tmp_path / "p", 2)
    first = augment(project, 2, seed=7)
    again = augment(project, 2, seed=7)
    assert (len(first.kept), len(again.kept), len(again.duplicates)) == (4, 0, 4)
    assert len(augment(project, 3, seed=7).kept) == 2
    assert len(augment(project, 1, seed=8).kept) == 2


def test_another_folder_gets_originals_and_copies(tmp_path: Path) -> None:
    project = masks(tmp_path / "p", 3)
    augment(project, 2, out=tmp_path / "more")
    made = Project.open(tmp_path / "more")
    assert (len(project.rows()), len(made.rows())) == (3, 9)
    own = {row["file_name"] for row in made.rows()}
    assert all(row["parent"] in own for row in made.rows() if "parent" in row)
    assert (tmp_path / "more" / "reports" / "augment.png").exists()
    with pytest.raises(DataError, match="new or an empty folder"):
        augment(project, 1, out=tmp_path / "more")


def test_what_has_no_labels_is_not_copied(tmp_path: Path) -> None:
    project = masks(tmp_path / "p", 2)
    for row in project.rows():
        project.update(row["file_name"], faces=[entry()], revision=1, state="suggested")
    with pytest.raises(DataError, match="label some first"):
        originals(project)
    with pytest.raises(DataError, match="times"):
        augment(project, 0)


def test_a_picture_that_is_gone_is_told_of(tmp_path: Path) -> None:
    project = masks(tmp_path / "p", 2)
    (project.pictures / project.rows()[0]["file_name"]).unlink()
    added = augment(project, 1)
    assert len(added.kept) == 1
    assert "no such file" in added.rejected[0][1]
