from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from painted_projects import labels, masks, portrait

from mien.data.divide import divide
from mien.data.project import NewPicture, Project
from mien.errors import DataError

SHARES = {"validation": 0.2, "test": 0.2}


def parts_of(project: Project, key: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for row in project.rows():
        found.setdefault(row[key], set()).add(row["split"])
    return found


def test_people_sessions_and_near_duplicates_stay_together(tmp_path: Path) -> None:
    project = masks(tmp_path / "p", 40)
    brighter = [np.clip(portrait(n).astype(int) + 8, 0, 255).astype(np.uint8) for n in range(0, 40, 5)]
    near = project.add(NewPicture(image, f"near{n}", labels()) for n, image in enumerate(brighter)).kept
    done = divide(project, SHARES)
    for key in ("person", "session"):
        for row in near:
            project.assign({row["file_name"]: {key: "alone" + row["file_name"]}})
        assert all(len(parts) == 1 for parts in parts_of(project, key).values())
    by_stem = {row["file_name"].split("-")[0]: row["split"] for row in project.rows()}
    assert all(by_stem[f"near{n}"] == by_stem[str(5 * n)] for n in range(8))
    assert not [proof for proof in done.proofs if proof.straddling]
    counts = Counter(row["split"] for row in project.rows())
    assert counts["validation"] == pytest.approx(0.2 * 48, abs=4)
    assert counts["test"] == pytest.approx(0.2 * 48, abs=4)


def test_a_second_split_moves_nothing_unless_asked_to(tmp_path: Path) -> None:
    project = masks(tmp_path / "p", 24)
    divide(project, SHARES)
    before = {row["file_name"]: row["split"] for row in project.rows()}
    project.add(NewPicture(portrait(n), f"{n}", labels(person=f"q{n}")) for n in range(100, 112))
    divide(project, SHARES, seed=3)
    after = {row["file_name"]: row["split"] for row in project.rows()}
    assert {name: after[name] for name in before} == before
    divide(project, SHARES, seed=3, is_kept=False)
    assert {row["file_name"]: row["split"] for row in project.rows()} != after


def test_what_cannot_be_met_is_said(tmp_path: Path) -> None:
    project = masks(tmp_path / "p", 6, person="ann")
    notes = " ".join(divide(project, SHARES).notes)
    assert "validation has no pictures: too few people and sessions show them; record them with others" in notes
    assert "6 of 6 pictures belong together" in notes
    with pytest.raises(DataError, match="found none"):
        divide(Project.create(tmp_path / "empty", task="mask"), SHARES)


def test_groups_that_grow_together_move_and_it_is_said(tmp_path: Path) -> None:
    project = masks(tmp_path / "p", 16)
    divide(project, SHARES)
    project.assign({row["file_name"]: {"person": "one", "session": ""} for row in project.rows()})
    notes = " ".join(divide(project, SHARES).notes)
    assert "changed sides" in notes
    assert len(set(parts_of(project, "person")["one"])) == 1
