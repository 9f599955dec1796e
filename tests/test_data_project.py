from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from mien.data.project import Conflict, NewPicture, Project, content_hash
from mien.data.sample import Sample, face_from_entry, read_samples
from mien.data.settings import ProjectSettings
from mien.errors import DataError
from mien.media.write import encode, write

FACE = {"box": [10, 12, 40, 50], "attributes": {"mask": "mask"}}


def noise(seed: int, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (*size, 3), np.uint8)


def labels(**changes: object) -> Sample:
    return Sample(b"", "x", **{"faces": (face_from_entry(FACE, "here"),), **changes})


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.create(tmp_path / "masks", task="mask")


def fill(project: Project, count: int) -> list[str]:
    added = project.add(NewPicture(noise(n), f"{n}.png", labels()) for n in range(count))
    return [row["file_name"] for row in added.kept]


def test_a_new_project_knows_what_it_asks(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "p", task="mask", classes=("mask", "no_mask", "bad_mask"))
    again = Project.open(tmp_path / "p")
    assert again.settings == project.settings
    assert (again.settings.task, again.settings.attribute) == ("attribute", "mask")
    assert again.settings.question.short["bad_mask"] == "mask worn wrongly"
    assert {path.name for path in (tmp_path / "p").iterdir()} >= {"mien.toml", "pictures", "versions", "reports"}


def test_settings_fill_in_what_goes_without_saying() -> None:
    assert ProjectSettings.of("p", "expression").classes[0] == "neutral"
    assert ProjectSettings.of("p", "age").question.unit == "years"
    assert ProjectSettings.of("p", "boxes").keypoints[0] == "left_eye"
    free = ProjectSettings.of("p", "gaze", classes=("looks_left", "looks_right", "ahead"))
    assert free.question.mirror == {"looks_left": "looks_right", "looks_right": "looks_left"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"task": "nonsense"}, r"task: expected one of .*mask.*--attribute nonsense --classes ONE,TWO"),
        ({"attribute": "helmet"}, "--classes"),
        ({"attribute": "helmet", "classes": ("one",)}, "two or more"),
        ({"attribute": "helmet", "classes": ("one", "one")}, "different names"),
        ({"attribute": "helmet", "classes": ("one", "../two")}, "plain name"),
        ({"attribute": "helmet", "classes": ("one", "x" * 65)}, "at most 64"),
        ({"task": "boxes", "classes": ("a", "b")}, "neither attribute nor classes"),
        ({}, "--attribute"),
    ],
)
def test_settings_that_do_not_fit(tmp_path: Path, arguments: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Project.create(tmp_path / "p", **arguments)
    assert not (tmp_path / "p" / "mien.toml").exists()


@pytest.mark.parametrize(
    "text", ["", "format = 99\nname = 'x'", "format = 1", "{", "format = 1\nname = 3", "format = 1\nname = 'x'\nodd = 1"]
)
def test_a_wrong_settings_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "mien.toml").write_text(text)
    with pytest.raises(DataError, match=r"mien\.toml"):
        Project.open(tmp_path)


def test_places_that_are_no_project(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="mien new"):
        Project.open(tmp_path)
    (tmp_path / "file").write_text("x")
    for place in (tmp_path, tmp_path / "file"):
        with pytest.raises(DataError, match="new or an empty folder"):
            Project.create(place, task="mask")


def test_pictures_are_kept_byte_for_byte_and_once(project: Project, tmp_path: Path) -> None:
    data = encode(noise(1), ".png")
    (tmp_path / "a.jpeg").write_bytes(data)
    added = project.add(
        [
            NewPicture(tmp_path / "a.jpeg", labels=labels(person="ann", session="s1")),
            NewPicture(data, "b"),
            NewPicture(b"no picture", "c.jpg"),
            NewPicture(tmp_path / "gone.jpg"),
            NewPicture(noise(2), "d"),
            NewPicture(noise(3), "../../e f"),
            NewPicture(noise(4), labels=labels(faces=(face_from_entry({**FACE, "attributes": {"mask": "?"}}, ""),))),
        ]
    )
    first, second, third = added.kept
    assert (project.pictures / first["file_name"]).read_bytes() == data
    assert first["file_name"].endswith(".png"), "the content decides, not the old name"
    assert first | {"person": "ann", "session": "s1", "state": "labelled", "width": 64, "height": 48, "revision": 1} == first
    assert second["state"] == "unlabelled"
    assert (project.pictures / third["file_name"]).parent == project.pictures
    assert added.duplicates == [("b", first["file_name"])]
    assert [name for name, _ in added.rejected] == ["c.jpg", "gone.jpg", "picture"]
    assert "expected one of mask" in added.rejected[2][1]


def test_a_project_is_an_imagefolder(project: Project) -> None:
    fill(project, 3)
    project.close()
    samples = read_samples(project.root)
    assert [sample.name for sample in samples] == [sample.name for sample in read_samples(project.pictures)]
    assert samples[0].faces[0].attributes == {"mask": "mask"}
    assert samples[0].state == "labelled"


def test_updates_need_the_revision_that_they_were_made_on(project: Project) -> None:
    (name,) = fill(project, 1)
    row = project.update(name, faces=[{"box": [1, 2, 30, 40]}], revision=1, state="suggested")
    assert (row["revision"], row["state"], row["faces"][0]["by"]) == (2, "suggested", "person")
    with pytest.raises(Conflict, match="revision 2, not 1") as caught:
        project.update(name, faces=None, revision=1)
    assert caught.value.row == row
    for wrong in ([{"box": [3, 2, 1, 4]}], [{"box": [0, 0, 9, 9], "attributes": {"mask": "?"}}]):
        with pytest.raises(DataError):
            project.update(name, faces=wrong, revision=2)
    assert Project.open(project.root).row(name) == row
    assert "faces" not in project.update(name, faces=None, revision=2, state="unlabelled")
    with pytest.raises(DataError, match="no picture is called"):
        project.update("other.png", faces=None, revision=1)


def test_two_open_projects_see_each_other(project: Project) -> None:
    other = Project.open(project.root)
    (name,) = fill(project, 1)
    assert other.row(name)["revision"] == 1
    other.update(name, faces=[], revision=1)
    other.close()
    with pytest.raises(Conflict):
        project.update(name, faces=[], revision=1)
    assert project.add([NewPicture(noise(0))]).duplicates == [("picture", name)]
    other.remove([name])
    assert project.rows() == []
    assert not (project.pictures / name).exists()
    assert len(project.add([NewPicture(noise(0))]).kept) == 1


def _edit_many(root: Path, names: list[str], edits: int) -> None:
    project = Project.open(root)
    for number in range(edits):
        while True:
            name = names[number % len(names)]
            try:
                project.update(name, faces=[], revision=project.row(name)["revision"])
                break
            except Conflict:
                continue


def test_two_processes_lose_no_edit(project: Project) -> None:
    names = fill(project, 3)
    workers = [multiprocessing.Process(target=_edit_many, args=(project.root, names, 60)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert sum(project.row(name)["revision"] - 1 for name in names) == 120


def _edit_until_killed(root: Path, name: str, told: Path) -> None:
    project = Project.open(root)
    with told.open("a") as file:
        while True:
            row = project.update(name, faces=[], revision=project.row(name)["revision"])
            os.write(file.fileno(), f"{row['revision']}\n".encode())
            if row["revision"] % 7 == 0:
                project.close()


@pytest.mark.skipif(os.name == "nt", reason="kill -9")
def test_killing_loses_nothing_that_was_told(project: Project, tmp_path: Path) -> None:
    (name,) = fill(project, 1)
    told = tmp_path / "told"
    for number in range(12):
        worker = multiprocessing.Process(target=_edit_until_killed, args=(project.root, name, told))
        worker.start()
        while worker.is_alive() and not (told.exists() and told.read_text().count("\n") > number):
            time.sleep(0.002)
        time.sleep(0.01 + 0.003 * number)
        os.kill(worker.pid, signal.SIGKILL)
        worker.join()
        last = int(told.read_text().split()[-1])
        untold = Project.open(project.root).row(name)["revision"] - last
        assert 0 <= untold <= number + 1, "no edit that was told of is lost; each kill may hide one that was made"


def test_half_a_line_is_cut_off(project: Project) -> None:
    (name,) = fill(project, 1)
    with (project.root / "journal.jsonl").open("ab") as file:
        file.write(b'{"put": {"file_name": "hal')
    project.update(name, faces=[], revision=1)
    assert [row["revision"] for row in Project.open(project.root).rows()] == [2]


def test_a_crash_between_table_and_journal_changes_nothing(project: Project) -> None:
    names = fill(project, 2)
    project.remove(names[:1])
    journal = (project.root / "journal.jsonl").read_bytes()
    project.close()
    (project.root / "journal.jsonl").write_bytes(journal)  # the table was renamed, the journal not yet begun anew
    assert [row["file_name"] for row in Project.open(project.root).rows()] == names[1:]


@pytest.mark.parametrize("file", ["journal.jsonl", "pictures/metadata.jsonl"])
@pytest.mark.parametrize("text", ["nonsense\n", "[]\n", '{"file_name": 3}\n', '{"journal": "x"}\n{"put": 3}\n'])
def test_damaged_files_are_named(project: Project, file: str, text: str) -> None:
    fill(project, 1)
    project.close()
    (project.root / file).write_text(text)
    with pytest.raises(DataError, match=Path(file).name.replace(".", r"\.")):
        Project.open(project.root)


def test_rows_that_lead_out_are_refused(project: Project) -> None:
    fill(project, 1)
    project.close()
    with (project.pictures / "metadata.jsonl").open("a") as file:
        file.write(json.dumps({"file_name": "../mien.toml", "revision": 1}) + "\n")
    damaged = Project.open(project.root)
    with pytest.raises(DataError, match="inside"):
        damaged.samples()
    with pytest.raises(DataError, match="inside"):
        damaged.remove(["../mien.toml"])
    assert (project.root / "mien.toml").exists()


def test_the_same_content_freezes_to_the_same_hash(project: Project, tmp_path: Path) -> None:
    names = fill(project, 4)
    project.assign_split({names[0]: "test", names[1]: "train"})
    frozen = project.freeze("v1")
    assert (frozen["pictures"], frozen["split"]) == (4, {"": 2, "test": 1, "train": 1})
    assert project.freeze("v1") == project.version("v1")
    other = Project.create(tmp_path / "other", task="mask")
    other.add(
        NewPicture(project.pictures / name, f"n{name}", s)
        for name, s in list(zip(names, project.samples(), strict=True))[::-1]
    )
    assert other.freeze("v1")["content"] == frozen["content"]
    project.update(names[2], faces=[], revision=1)
    with pytest.raises(DataError, match="other content"):
        project.freeze("v1")
    assert project.freeze("v2")["content"] != frozen["content"]
    assert [len(sample.faces) for sample in project.samples("v1")] == [1] * 4, "labels of then"
    project.remove(names[:1])
    with pytest.raises(DataError, match="no longer there"):
        project.samples("v1")
    with pytest.raises(DataError, match="there are: v1, v2"):
        project.samples("v3")
    with pytest.raises(DataError, match="plain name"):
        project.version("../v1")


def test_every_label_counts_in_the_hash(project: Project) -> None:
    fill(project, 1)
    (row,) = project.rows()
    same = content_hash(project.settings, [row | {"file_name": "else.png", "revision": 9, "source": "x"}])
    assert same == content_hash(project.settings, [row])
    for change in ({"split": "test"}, {"faces": []}, {"person": "p"}, {"sha256": "0"}, {"state": "suggested"}):
        assert content_hash(project.settings, [row | change]) != same


def test_splits_are_assigned_and_reset(project: Project) -> None:
    names = fill(project, 2)
    project.assign_split(dict.fromkeys(names, "validation"))
    assert {sample.split for sample in project.samples()} == {"validation"}
    assert {row["revision"] for row in project.rows()} == {1}, "who is labelling is not disturbed"
    project.reset_split()
    assert not any("split" in row for row in project.rows())
    with pytest.raises(DataError, match="split: expected one of train"):
        project.assign_split({names[0]: "other"})


def test_many_rows_stay_workable(project: Project) -> None:
    row = {"sha256": "0" * 64, "revision": 1, "width": 9, "height": 9, "state": "labelled", "faces": [FACE]}
    project.close()
    with (project.pictures / "metadata.jsonl").open("w") as file:
        file.writelines(json.dumps({"file_name": f"{n}.jpg", **row}) + "\n" for n in range(20_000))
    started = time.process_time()
    big = Project.open(project.root)
    opened = time.process_time()
    for number in range(100):
        big.update(f"{number * 190}.jpg", faces=[], revision=1)
    updated = time.process_time()
    big.assign_split({row["file_name"]: "train" for row in big.rows()})
    assert opened - started < 5
    assert (updated - opened) / 100 < 0.01
    assert len(Project.open(project.root).samples()) == 20_000


def test_nothing_is_left_beside_the_project(project: Project, tmp_path: Path) -> None:
    write(noise(9), tmp_path / "in.png")
    project.add([NewPicture(tmp_path / "in.png")])
    project.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.png", "masks"]
    hidden = [path.name for path in project.root.rglob(".*")]
    assert hidden in ([".lock"], [])
