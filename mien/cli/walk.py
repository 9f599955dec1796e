"""`mien record-to-model`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from mien.cli.app import app
from mien.cli.data import ProjectFolder
from mien.cli.options import examples
from mien.errors import DataError, InputError

STEPS = ("capture", "label", "check", "split", "train", "try")


@app.command(
    name="record-to-model",
    epilog=examples(
        "mien record-to-model masks",
        "mien record-to-model masks --from holiday.mp4 --skip label --photo me.jpg",
        "mien record-to-model masks --again train",
    ),
)
def record_to_model(
    project: ProjectFolder,
    source: Annotated[
        str, typer.Option("--from", metavar="SOURCE", help="A camera's number, a video, an address, or pictures.")
    ] = "0",
    count: Annotated[int, typer.Option(min=1, help="Pictures to record of each class.")] = 30,
    every: Annotated[float, typer.Option(min=0, metavar="S", help="Seconds from one picture to the next.")] = 1.0,
    skip: Annotated[str, typer.Option(metavar="A,B", help=f"Steps to leave out: {', '.join(STEPS)}.")] = "",
    again: Annotated[str, typer.Option(metavar="A,B", help="Steps to do again, though they are done.")] = "",
    photo: Annotated[list[str] | None, typer.Option(help="Pictures to try the model on; its held-out ones else.")] = None,
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

    def do(step: str, work: Callable[[], object]) -> None:
        if step.split()[0] in left_out:
            print(f"{step}: left out")
        elif steps.is_done(step):
            print(f"{step}: done before")
        else:
            print(f"{step}:", flush=True)
            work()
            steps.note(step)

    for answer in settings.classes or ("",):
        do(f"capture {answer}".strip(), lambda answer=answer: _capture(project, answer, source, count, every))  # type: ignore[misc]
    do("label", lambda: _label(project))
    do("check", lambda: _check(project))
    do("split", lambda: _split(project))
    do("train", lambda: _train(project))
    do("try", lambda: _try(project, photo or []))
    print(newest_model(project))


def _steps(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in STEPS:
            raise InputError(f"step: expected one of {', '.join(STEPS)}, got {name!r}")
    return names


def newest_model(project: Path) -> Path:
    """The model of the newest finished run. Raises `InputError` where there is none."""
    models = sorted(project.glob("runs/*/model.onnx"), key=lambda path: path.stat().st_mtime)
    if not models:
        raise InputError(f"{project}: expected a finished run, found none; do not leave out: train")
    return models[-1]


def _capture(project: Path, answer: str, source: str, count: int, every: float) -> None:
    from mien.cli.data import capture

    if answer:
        input(f"{count} pictures of {answer}: press Enter when ready ") if source.isdigit() else None
    capture(project, answer=answer, count=count, every=every, source=source)


def _label(project: Path) -> None:
    from mien.cli.label import label

    label(project)


def _check(project: Path) -> None:
    from mien.cli.data import check

    check(project)


def _split(project: Path) -> None:
    from mien.cli.data import split

    split(project)


def _train(project: Path) -> None:
    from mien.cli.learn import train

    is_open = any(not (run.parent / "model.onnx").exists() for run in project.glob("runs/*/run.json"))
    try:
        train(project, resume=is_open)
    except DataError:
        if not is_open:
            raise
        train(project)  # pictures have come since the open run began


def _try(project: Path, photos: list[str]) -> None:
    from mien.cli.analyze import analyze

    model = newest_model(project)
    held_out = [str(path) for path in sorted((model.parent / "validation").glob("*")) if path.suffix in (".jpg", ".png")]
    analyze(photos or held_out[:12], output=model.parent / "tried", model=str(model), overwrite=True)
