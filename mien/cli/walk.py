"""`mien record-to-model`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli.app import app
from mien.cli.data import ProjectFolder
from mien.cli.options import examples
from mien.cli.report import plain
from mien.errors import InputError

if TYPE_CHECKING:
    from mien.data.settings import ProjectSettings
    from mien.data.steps import Steps

STEPS = ("capture", "label", "check", "split", "train", "try")
_MANY_SITTINGS = 6
_TRIED = 12
"""Most pictures that a model is tried on where none were given, or of a video."""


@app.command(
    name="record-to-model",
    epilog=examples(
        "mien record-to-model masks",
        "mien record-to-model masks --from mask=monday.mp4 --from mask=tuesday.mp4 --from no_mask=sunday.mp4",
        "mien record-to-model masks --skip capture,label --photo me.jpg --photo holiday.mp4",
        "mien record-to-model masks --again train",
    ),
)
def record_to_model(
    project: ProjectFolder,
    source: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="[CLASS=]SOURCE",
            help="A camera's number, an address, a video or pictures; of one class alone with CLASS=. Can be given again.",
            show_default="camera 0",
        ),
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Pictures to record of each class.")] = 30,
    every: Annotated[float, typer.Option(min=0, metavar="S", help="Seconds from one picture to the next.")] = 1.0,
    sittings: Annotated[
        int, typer.Option(min=2, help="Sittings of each class before a camera: training and judging need different ones.")
    ] = 3,
    browser: Annotated[bool, typer.Option(help="Open the label page in the browser.")] = True,
    skip: Annotated[str, typer.Option(metavar="A,B", help=f"Steps to leave out: {', '.join(STEPS)}.")] = "",
    again: Annotated[str, typer.Option(metavar="A,B", help="Steps to do again, though they are done.")] = "",
    photo: Annotated[
        list[str] | None, typer.Option(help="Pictures or a video to try the model on; its held-out pictures else.")
    ] = None,
) -> None:
    """Walk a project from the camera to a model that has been tried: record, label, check, split, train with report and
    export, try.

    What is done is noted in the project: the same command goes on where it stopped. Ctrl-C ends labelling and goes on.
    """
    from mien.data.project import Project
    from mien.data.steps import Steps

    settings = Project.open(project).settings
    left_out, redone = _steps(skip), _steps(again)
    steps = Steps(project)
    for step in redone:
        steps.forget(step)
    works: dict[str, Callable[[], object]] = {
        "capture": lambda: _capture(project, steps, sittings_of(settings, source or ["0"], sittings), count, every),
        "label": lambda: _label(project, browser),
        "check": lambda: _check(project),
        "split": lambda: _split(project),
        "train": lambda: _train(project),
        "try": lambda: _try(project, photo or []),
    }
    for step in STEPS:
        if step in left_out:
            print(f"{step}: left out")
        elif steps.is_done(step):
            print(f"{step}: done before")
        else:
            print(f"{step}:", flush=True)
            works[step]()
            steps.note(step)
    print(newest_model(project))


def _steps(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in STEPS:
            raise InputError(f"step: expected one of {', '.join(STEPS)}, got {name!r}")
    return names


def sittings_of(settings: ProjectSettings, sources: Sequence[str], sittings: int) -> dict[str, list[str]]:
    """What each class (or, under "", a project without any) is recorded from: one source for each sitting.

    sources: each for all classes, or as ``CLASS=SOURCE`` for one. A camera or an address is sat before ``sittings`` times.
    Raises `InputError` for a class without two of them, or a recording that cannot be of every class.
    """
    if settings.attribute and not settings.classes:
        raise InputError(
            f"{settings.name}: {settings.attribute} is a number, which a walk cannot ask for; record with: mien capture "
            f"{settings.name} --class 30, then go on with --skip capture"
        )
    classes = settings.classes or ("",)
    found: dict[str, list[str]] = {name: [] for name in classes}
    for text in sources:
        name, _, place = text.partition("=")
        named = (name,) if place and name in settings.classes else classes
        place = place if place and name in settings.classes else text
        is_live = place.isdecimal() or "://" in place
        if not is_live and len(named) > 1:
            raise InputError(
                f"--from: expected the class that the recording shows, such as {classes[0]}={place}, got {place} for "
                f"{', '.join(classes)}"
            )
        for one in named:
            found[one] += [place] * (sittings if is_live else 1)
    for name, places in found.items():
        if len(places) < 2:
            each, of, more = (" of each class", f" of {name}", f"{name}=FILE") if name else ("", "", "another")
            raise InputError(
                f"--from: expected two recordings or more{each}, as one is trained on and another judged by, got "
                f"{len(places)}{of}; add {more}"
            )
    return found


def newest_model(project: Path) -> Path:
    """The model of the newest finished run. Raises `InputError` where there is none."""
    models = sorted(project.glob("runs/*/model.onnx"), key=lambda path: path.stat().st_mtime)
    if not models:
        raise InputError(f"{project}: expected a finished run, found none; do not leave out: train")
    return models[-1]


def _capture(project: Path, steps: Steps, wanted: dict[str, list[str]], count: int, every: float) -> None:
    """Each sitting is noted when it begins and when it is over; one that was broken off goes on as the same session."""
    from mien.cli.data import capture
    from mien.data.project import Project

    for answer, places in wanted.items():
        for number, place in enumerate(places, 1):
            name = f"capture {answer or 'pictures'} {number} of {len(places)}"
            if steps.is_done(name):
                print(plain(f"{name}: done before"))
                continue
            begun = f"{name}, begun"
            if not steps.is_done(begun):
                steps.note(begun)
            session = f"{answer or 'walk'}-{number}-" + "".join(filter(str.isdigit, steps.when(begun)))[:14]
            share = count * number // len(places) - count * (number - 1) // len(places)
            have = sum(row.get("session") == session for row in Project.open(project).rows())
            print(plain(f"{name}: {max(0, share - have)} pictures"), flush=True)
            if place.isdecimal() and sys.stdin.isatty():
                input("sit elsewhere, in other light, or let somebody else sit down; Enter when ready ")
            if have < share:
                try:
                    capture(project, answer=answer, count=share - have, every=every, source=place, session=session)
                except typer.Exit:  # nothing new was to be seen
                    if not have:
                        raise
            steps.note(name)


def _label(project: Path, opens_browser: bool) -> None:
    from mien.cli.label import label

    label(project, browser=opens_browser)


def _check(project: Path) -> None:
    from mien.cli.data import check

    check(project)


def _split(project: Path) -> None:
    from mien.cli.data import split
    from mien.data.project import Project

    opened = Project.open(project)
    shares = shares_of(opened.rows(), opened.settings.attribute)
    split(project, validation=shares["validation"], test=shares.get("test", 0.0))


def shares_of(rows: Sequence[Mapping[str, Any]], attribute: str) -> dict[str, float]:
    """How the pictures of a walk are divided. A sitting is in one part as a whole: of few, a third is what can be met."""
    from mien.data.divide import usual_shares

    sittings: dict[str, set[str]] = {}
    for row in rows:
        faces: list[dict[str, Any]] = row.get("faces") or [{}]
        for face in faces:
            answer = str(face.get("attributes", {}).get(attribute, ""))
            sittings.setdefault(answer, set()).add(str(row.get("session") or row.get("file_name")))
    is_few = min(map(len, sittings.values()), default=0) < _MANY_SITTINGS
    return {"validation": 1 / 3} if is_few else usual_shares(len(rows))


def _train(project: Path) -> None:
    from mien.cli.learn import train
    from mien.learn.own import ChangedError

    is_open = any(not (run.parent / "model.onnx").exists() for run in project.glob("runs/*/run.json"))
    try:
        train(project, resume=is_open)
    except ChangedError:
        train(project)  # pictures have come since the open run began


def _try(project: Path, photos: list[str]) -> None:
    from mien.cli.analyze import analyze

    model = newest_model(project)
    tried = model.parent / "tried"
    held_out = [str(path) for path in sorted((model.parent / "validation").glob("*")) if path.suffix != ".jsonl"]
    pictures = [one for text in photos for one in _pictures(text, tried)] or held_out[:_TRIED]
    analyze(pictures, output=tried, model=str(model), overwrite=True)
    print(plain(f"drawn on in {tried}"))


def _pictures(text: str, folder: Path) -> list[str]:
    """A picture, folder or pattern as it is; of a video a frame a second, kept in ``folder``."""
    from mien.media.sources import Photos
    from mien.media.streams import open_source
    from mien.media.write import write
    from mien.types import Frame

    frames = open_source(text, every_s=1.0)
    if isinstance(frames, Photos):
        return [text]
    kept: list[str] = []
    for frame in frames:
        if isinstance(frame, Frame):
            kept.append(str(write(frame.image, folder / f"{Path(text).stem}-{len(kept):03d}.jpg")))
        if len(kept) == _TRIED:
            break
    frames.close()
    return kept
