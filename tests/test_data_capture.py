from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from painted_projects import find, portrait, wall

from mien.data.capture import background_of, capture, coach_of, new_session
from mien.data.coach import Coach, bins_of
from mien.data.project import Project
from mien.data.quality import Look, look_of, yaw_of
from mien.errors import DataError
from mien.media.sources import Photos
from mien.types import Faces

FRONT = Look(size=0.3, light=0.5, sharpness=1.0, yaw=0.0)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.create(tmp_path / "p", task="mask")


def test_frames_become_labelled_pictures_of_one_session(project: Project) -> None:
    told: list[tuple[int, str]] = []
    photos = Photos([portrait(n) for n in range(5)])
    done = capture(project, photos, find, answer="mask", count=4, person="ann", tell=lambda *x: told.append(x))
    rows = project.rows()
    assert len(rows) == len(done.kept) == 4
    assert {row["session"] for row in rows} == {done.session}
    assert {(row["person"], row["state"], row["faces"][0]["by"]) for row in rows} == {("ann", "labelled", "model")}
    assert {row["faces"][0]["attributes"]["mask"] for row in rows} == {"mask"}
    assert len({row["file_name"] for row in rows}) == 4
    assert [kept for kept, _ in told] == [1, 2, 3, 4]
    assert (project.pictures / "metadata.jsonl").read_text().count("\n") == 4


def test_near_identical_frames_are_left_out_and_counted(project: Project) -> None:
    same = [np.clip(portrait(1).astype(int) + noise, 0, 255).astype(np.uint8) for noise in (0, 1, -2)]
    same[2][..., 0] = np.maximum(same[2][..., 0], portrait(1)[..., 0])
    moved = portrait(1, at=(20, 10), behind=1)
    frames = [*same, moved, wall(3), b"no picture", np.dstack([portrait(9)] * 1)]
    done = capture(project, Photos(frames), find, answer="no_mask", count=10)
    assert len(done.kept) == 3
    assert done.left_out == {"nearly the same as one kept": 2, "no face": 1, "unreadable": 1}


def test_blurred_and_crowded_frames_are_left_out(project: Project) -> None:
    blurred = portrait(1)
    blurred[30:70, 44:84] = (255, 120, 120)
    two = Faces(np.array([[1, 1, 30, 30], [50, 50, 80, 80]]), np.array([0.9, 0.8]), np.zeros((2, 5, 2)))
    assert capture(project, Photos([blurred]), find, answer="mask").left_out == {"blurred": 1}
    assert capture(project, Photos([portrait(1)]), lambda _: two, answer="mask").left_out == {"several faces": 1}


def test_unseen_faces_can_be_kept_for_labelling_by_hand(project: Project) -> None:
    capture(project, Photos([wall(1)]), find, answer="bad_mask", keeps_unseen=True)
    (row,) = project.rows()
    assert (row["state"], row["labels"]) == ("unlabelled", {"mask": "bad_mask"})


def test_boxes_need_no_class(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "boxes", task="boxes")
    capture(project, Photos([portrait(1)]), find)
    assert project.rows()[0]["state"] == "suggested"
    with pytest.raises(DataError, match="leave --class out"):
        capture(project, Photos([portrait(1)]), find, answer="mask")


@pytest.mark.parametrize(("options", "message"), [({}, "add --class"), ({"answer": "x"}, "expected one of mask")])
def test_a_class_is_checked_before_anything_is_read(project: Project, options: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        capture(project, Photos([portrait(1)]), find, **options)


def test_sessions_differ() -> None:
    assert len({new_session() for _ in range(50)}) > 45


def test_the_coach_asks_for_what_is_missing() -> None:
    coach = Coach(20)
    for _ in range(12):
        coach.see(FRONT, 0)
    missing = coach.missing()
    for wanted in ("turn your head to your left", "come closer", "go farther away", "change the light"):
        assert wanted in missing
    assert "look straight at the camera" not in missing
    assert "go before a different background" in missing
    assert coach.advice(FRONT) == missing[0]
    assert not coach.is_covered


@pytest.mark.parametrize("wanted", [1, 3, 5])
def test_a_few_pictures_are_never_a_class_well_covered(wanted: int) -> None:
    coach = Coach(wanted)
    for _ in range(5):
        coach.see(FRONT, 0)
    assert not coach.is_covered
    assert "come closer" in coach.missing()
    for number in range(6):  # all bins, lights and backgrounds, but eleven pictures
        coach.see(
            Look((0.15, 0.5)[number % 2], 0.3 + 0.1 * number, 1.0, (-0.5, 0.5)[number // 2 % 2]),
            (0, 2**40 - 1, 2**64 - 1)[number % 3],
        )
    assert coach.missing() == ["record at least 12 pictures"]
    coach.see(FRONT, 0)
    assert coach.is_covered


def test_the_coach_is_content_when_all_bins_are_filled() -> None:
    coach = Coach(24)
    for number in range(24):
        look = Look((0.15, 0.3, 0.5)[number % 3], 0.3 + 0.02 * number, 1.0, (-0.5, 0.0, 0.5)[number // 3 % 3])
        coach.see(look, (0, 2**40 - 1, 2**64 - 1)[number % 3])
    assert coach.missing() == []
    assert coach.is_covered
    assert coach.advice(FRONT) == "well covered"


@pytest.mark.parametrize(
    ("look", "faces", "words"),
    [
        (None, 0, "no face"),
        (FRONT, 2, "only one person"),
        (Look(0.3, 0.05, 1.0, 0), 1, "more light"),
        (Look(0.3, 0.5, 0.1, 0), 1, "hold still"),
    ],
)
def test_the_coach_speaks_of_this_picture_first(look: Look | None, faces: int, words: str) -> None:
    assert words in Coach(10).advice(look, faces)


def test_dark_and_bright_recordings() -> None:
    for light, words in ((0.1, "get more light"), (0.9, "get less light")):
        coach = Coach(10)
        for _ in range(5):
            coach.see(Look(0.3, light, 1, 0))
        assert words in coach.missing()


def test_the_coach_remembers_earlier_sessions(project: Project) -> None:
    capture(project, Photos([portrait(n) for n in range(3)]), find, answer="mask")
    assert coach_of(project, "mask", 5).seen == 3
    assert coach_of(project, "no_mask", 5).seen == 0


def test_bins() -> None:
    assert bins_of(Look(0.5, 0, 0, 0.5)) == [("distance", "near"), ("turn", "left")]
    assert bins_of(Look(0.1, 0, 0, float("nan"))) == [("distance", "far")]


def test_looks_are_measured() -> None:
    image = portrait(3)
    faces = find(image)
    look = look_of(image, faces.boxes[0], faces.keypoints[0])
    assert look.size == pytest.approx(40 / 96, abs=0.05)
    assert look.yaw == pytest.approx(0, abs=0.01)
    dark = look_of((image * 0.3).astype(np.uint8), faces.boxes[0], faces.keypoints[0])
    assert dark.light == pytest.approx(0.3 * look.light, abs=0.03)
    soft = image.copy()
    soft[30:70, 44:84] = 90
    assert look_of(soft, faces.boxes[0], faces.keypoints[0]).sharpness < 0.35 < look.sharpness


def test_turning_left_is_the_subjects_own_left() -> None:
    points = np.array([[70, 40], [30, 40], [62, 60], [65, 80], [35, 80]], np.float32)
    assert yaw_of(points) == pytest.approx(0.6)
    mirrored = points[[1, 0, 2, 4, 3]] * [-1, 1] + [100, 0]
    assert yaw_of(mirrored.astype(np.float32)) == pytest.approx(-0.6)
    assert np.isnan(yaw_of(np.full((5, 2), np.nan, np.float32)))


def test_backgrounds_differ_where_walls_do() -> None:
    box = find(portrait(1)).boxes[0]
    same = background_of(portrait(1), box) ^ background_of(portrait(2, behind=1), box)
    other = background_of(portrait(1), box) ^ background_of(portrait(2), box)
    assert same.bit_count() <= 6 < 14 < other.bit_count()
