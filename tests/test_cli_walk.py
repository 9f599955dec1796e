"""`mien record-to-model`: from films to a model that has been tried, on and off."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the train extra")
pytest.importorskip("uvicorn", reason="needs the serve extra")

from filmed import film
from test_label_page import CHROMIUM, FLAGS, until

from mien.cli import walk
from mien.data.project import Project
from mien.data.settings import ProjectSettings
from mien.data.steps import Steps
from mien.errors import InputError
from mien.models.store import shipped

ROOT = Path(__file__).resolve().parents[1]
FILMS = {"hat": "grace-hopper.jpg", "bare": "astronaut.jpg"}
needs_models = pytest.mark.skipif(
    not {"faces", "attributes"} <= set(shipped()), reason="the shipped models are not in this checkout"
)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Two films of each class."""
    folder = tmp_path_factory.mktemp("films")
    return {
        name: [film(folder / f"{name}-{take}.avi", sample, 8, take + 2 * (name == "hat")) for take in range(2)]
        for name, sample in FILMS.items()
    }


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return Project.create(tmp_path / "hats", attribute="hat", classes=tuple(FILMS)).root


def walked(project: Path, **options: Any) -> None:
    walk.record_to_model(project, every=0.1, count=4, browser=False, **options)


# ------------------------------------------------------------------------------------------------------------- the whole way


@needs_models
@pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="needs chromium, such as Debian's package of that name")
def test_from_films_to_a_model_with_the_label_page_on_the_way(project: Path, films: dict[str, list[Path]]) -> None:
    driver = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install 'mien[dev]'")
    words = [sys.executable, "-m", "mien.cli", "record-to-model", str(project), "--every", "0.1", "--count", "6"]
    words += [word for name, takes in films.items() for take in takes for word in ("--from", f"{name}={take}")]
    words += ["--no-browser", "--photo", str(ROOT / "samples" / "astronaut.jpg"), "--photo", str(films["hat"][0])]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    lines: list[str] = []
    with subprocess.Popen(
        words, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line.rstrip())
            if not (found := re.search(r"at (http://\S+/label)", line)):
                continue
            with driver.sync_playwright() as play:
                browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
                page = browser.new_page()
                page.goto(found[1])
                page.wait_for_selector(".face")
                file = page.locator(".stage > img").get_attribute("alt")
                page.keyboard.press("2")  # the other answer
                until(lambda file=file: answer_of(project, file) == "bare", "saved")  # type: ignore[misc]
                page.keyboard.press("1")
                until(lambda file=file: answer_of(project, file) == "hat", "saved")  # type: ignore[misc]
                browser.close()
            process.send_signal(signal.SIGINT)
    said = "\n".join(lines)
    assert process.returncode == 0, said
    rows = Project.open(project).rows()
    assert len(rows) == 12
    assert len({row["session"] for row in rows}) == 4
    assert {(row["split"], row["faces"][0]["attributes"]["hat"]) for row in rows} == {
        (part, answer) for part in ("train", "validation") for answer in FILMS
    }
    model = Path(lines[-1])
    assert model.name == "model.onnx"
    assert (model.parent / "report.html").exists()
    tried = model.parent / "tried"
    assert {"astronaut.json", "hat-0-000.json"} <= {path.name for path in tried.iterdir()}
    (face,) = json.loads((tried / "astronaut.json").read_text())["faces"]
    assert face["attributes"]["hat"]["scores"].keys() == set(FILMS)
    assert all(Steps(project).is_done(step) for step in walk.STEPS)


def answer_of(project: Path, file: str) -> str:
    return str(Project.open(project).row(file)["faces"][0]["attributes"]["hat"])


# ---------------------------------------------------------------------------------------------------------------- on and off


@needs_models
def test_a_walk_goes_on_where_it_was_broken_off(
    project: Path, films: dict[str, list[Path]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done: list[str] = []
    for step in ("label", "train", "try"):
        monkeypatch.setattr(walk, f"_{step}", lambda *_, step=step: done.append(step))
    monkeypatch.setattr(walk, "newest_model", lambda project: project / "model.onnx")
    sources = [f"{name}={take}" for name, takes in films.items() for take in takes]

    from mien.cli import data

    capture = data.capture

    def broken_off(*words: object, **more: Any) -> None:
        if more["answer"] == "bare":
            raise KeyboardInterrupt
        capture(*words, **more)

    with monkeypatch.context() as patch:
        patch.setattr(data, "capture", broken_off)
        with pytest.raises(KeyboardInterrupt):
            walked(project, source=sources)
    assert not Steps(project).is_done("capture")
    kept = [row["file_name"] for row in Project.open(project).rows()]
    assert len(kept) == 4
    capsys.readouterr()

    walked(project, source=sources, skip="label")
    said = capsys.readouterr().out
    assert "capture hat 2 of 2: done before" in said
    assert "label: left out" in said
    rows = Project.open(project).rows()
    assert [row["file_name"] for row in rows[:4]] == kept
    assert len(rows) == 8
    assert done == ["train", "try"]

    walked(project, again="train")  # no camera is looked for
    said = capsys.readouterr().out
    assert {"capture: done before", "check: done before", "try: done before"} <= set(said.splitlines())
    assert done == ["train", "try", "label", "train"]
    with pytest.raises(InputError, match="expected one of capture, label, check, split, train, try, got 'sing'"):
        walked(project, skip="sing")


def test_each_class_has_its_sources() -> None:
    settings = ProjectSettings("hats", attribute="hat", classes=("hat", "bare"))
    assert walk.sittings_of(settings, ["0"], 3) == {"hat": ["0"] * 3, "bare": ["0"] * 3}
    assert walk.sittings_of(settings, ["hat=1", "bare=a.mp4", "bare=b=c.mp4"], 2) == {
        "hat": ["1", "1"],
        "bare": ["a.mp4", "b=c.mp4"],
    }
    address = "http://cam/?a=1"
    assert walk.sittings_of(settings, [address], 2) == {"hat": [address] * 2, "bare": [address] * 2}
    assert walk.sittings_of(ProjectSettings("b", task="boxes"), ["1.mp4", "2.mp4"], 3) == {"": ["1.mp4", "2.mp4"]}
    for sources, wanted in (
        (["clip.mp4"], "expected the class that the recording shows, such as hat=clip.mp4, got clip.mp4 for hat, bare"),
        (["hat=1", "bare=clip.mp4"], "expected two recordings or more of each class, .* got 1 of bare; add bare=FILE"),
        (["hat=1"], "expected two recordings or more of each class, .* got 0 of bare"),
    ):
        with pytest.raises(InputError, match=wanted):
            walk.sittings_of(settings, sources, 3)
    with pytest.raises(InputError, match=r"expected two recordings or more, .* got 1; add another"):
        walk.sittings_of(ProjectSettings("b", task="boxes"), ["1.mp4"], 3)
    number = ProjectSettings("ages", attribute="age")
    with pytest.raises(InputError, match="age is a number, which a walk cannot ask for"):
        walk.sittings_of(number, ["0"], 3)


def test_few_sittings_are_divided_so_that_each_part_has_one() -> None:
    rows = [{"session": f"{name}-{take}", "faces": [{"attributes": {"hat": name}}]} for name in FILMS for take in range(2)]
    assert walk.shares_of(rows * 100, "hat") == {"validation": pytest.approx(1 / 3)}
    more = [{**row, "session": f"{row['session']}-{number}"} for row in rows for number in range(50)]
    assert walk.shares_of(more, "hat") == {"validation": 0.15, "test": 0.15}
    assert walk.shares_of(more[::5], "hat") == {"validation": 0.25}
