"""`mien train`, `mien evaluate` and `mien compare`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table

from mien.cli.app import app
from mien.cli.options import Threads, examples
from mien.cli.report import new_console, plain, progress_bar
from mien.errors import InputError

if TYPE_CHECKING:
    from rich.progress import Progress


@app.command(
    epilog=examples(
        "mien train masks",
        "mien train masks --backbone unfrozen --find-lr",
        "mien train masks --resume",
        "mien train recipes/faces.toml -o runs/mine",
    )
)
def train(
    path: Annotated[Path, typer.Argument(metavar="PROJECT|RECIPE", help="Your project's folder, or a recipe (TOML).")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Recipe: folder of the run; runs/NAME if not given.")
    ] = None,
    root: Annotated[Path | None, typer.Option(help="Recipe: folder that its data lies in.")] = None,
    name: Annotated[str, typer.Option(help="Project: name of the run; date and time if not given.")] = "",
    resume: Annotated[
        bool | None,
        typer.Option(
            "--resume/--no-resume",
            help="Go on from the last checkpoint; a project's newest unfinished run, with its own options.",
            show_default="a recipe does, a project does not",
        ),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(metavar="KIND", help="frozen, unfrozen, scratch, or package.module:Class; frozen for what faces show."),
    ] = None,
    attributes: Annotated[
        str, typer.Option(metavar="A,B", help="Learn these together, points for keypoints; the project's own if not given.")
    ] = "",
    epochs: Annotated[int | None, typer.Option(min=1, help="How often all pictures are seen.")] = None,
    lr: Annotated[float | None, typer.Option(help="The highest learning rate of the one-cycle schedule.")] = None,
    find_lr: Annotated[bool, typer.Option("--find-lr", help="Look for a learning rate first; the plot is kept.")] = False,
    backbone_lr: Annotated[float, typer.Option(help="Rate of an unfrozen backbone over that of the heads.")] = 0.1,
    batch: Annotated[int | None, typer.Option(min=2, help="Pictures a step.")] = None,
    freeze_epochs: Annotated[int | None, typer.Option(min=0, help="So long an unfrozen backbone is kept.")] = None,
    patience: Annotated[int | None, typer.Option(min=0, help="Stop after so many epochs without a better one.")] = None,
    balance: Annotated[str, typer.Option(metavar="HOW", help="Rare classes: sampler, weights or none.")] = "sampler",
    mixup: Annotated[float, typer.Option(min=0, help="Mix pictures; alpha of the shares.")] = 0.0,
    label_smoothing: Annotated[
        float, typer.Option(min=0, max=0.9, help="Share of a label that goes to all answers.")
    ] = 0.05,
    views: Annotated[int, typer.Option(min=1, help="Changed views of each picture for a frozen backbone.")] = 6,
    precision: Annotated[str, typer.Option(help="32 or bf16.")] = "32",
    clip: Annotated[float, typer.Option(help="Largest norm of a gradient.")] = 10.0,
    seed: Annotated[int, typer.Option(min=0, help="Decides what is left to chance.")] = 0,
    devices: Annotated[int, typer.Option(min=1, help="Processes that train together.")] = 1,
    strategy: Annotated[str, typer.Option(help="How they share the work: auto or ddp.")] = "auto",
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads that training may use; a recipe takes 1, a project 2 if not given.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes that prepare pictures; a recipe takes 1, a project 0 if not given.")
    ] = None,
) -> None:
    """Train your own model on your project, or rebuild one from a recipe: one ONNX file with its card.

    A project is split where it has not been, and the run goes to PROJECT/runs/NAME. The last line is the model's path.
    """
    if path.is_file():
        from mien.learn.trainer import train as train_recipe

        logging.getLogger("mien").setLevel(logging.INFO)
        is_resumed = resume is not False
        done = train_recipe(
            path,
            out=output,
            root=root,
            resume=is_resumed,
            threads=threads or 1,
            workers=1 if workers is None else workers,
        )
        print(done)
        return
    if output is not None or root is not None:
        raise InputError(f"{path}: --output and --root are for recipes; a project's runs lie in it, give --name")
    from mien.learn.own import train_project
    from mien.learn.own_options import OwnOptions

    options = OwnOptions(
        backbone=backbone,
        attributes=tuple(one.strip() for one in attributes.split(",") if one.strip()),
        epochs=epochs,
        rate=lr,
        finds_rate=find_lr,
        backbone_rate=backbone_lr,
        batch=batch,
        freeze_epochs=freeze_epochs,
        patience=patience,
        balance=balance,
        mixup=mixup,
        smoothing=label_smoothing,
        views=views,
        precision=precision,
        clip=clip,
        seed=seed,
        devices=devices,
        strategy=strategy,
        threads=threads or 2,
        workers=workers or 0,
    )
    for name_of_logger in ("lightning.pytorch", "torch.onnx"):
        logging.getLogger(name_of_logger).setLevel(logging.ERROR)
    with progress_bar(is_shown=sys.stderr.isatty()) as bar:
        task = bar.add_task("reading", total=None)

        def tell(what: str, done: int, count: int) -> None:
            if bar.tasks[task].description != what:
                bar.reset(task, description=what, total=count)
            bar.update(task, completed=done, total=count)

        model = train_project(path, options, name=name, resume=bool(resume), tell=tell)
    from mien.learn.own_record import run_lines

    for line in run_lines(model.parent):
        print(line)
    print(model)


Split = Annotated[str, typer.Option(metavar="PART", help="train, validation or test; a project's test part if not given.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")]


@app.command(
    epilog=examples(
        "mien evaluate faces my-test-pictures/",
        "mien evaluate runs/mine masks --report masks-report",
        "mien evaluate runs/mine/model.onnx set.parquet --json",
    )
)
def evaluate(
    model: Annotated[str, typer.Argument(help="A shipped model's name, a model file, or the folder of a run.")],
    data: Annotated[
        Path, typer.Argument(help="Labelled pictures: a project, a folder with metadata.jsonl, or a Parquet file.")
    ],
    split: Split = "",
    report: Annotated[
        Path | None, typer.Option("--report", metavar="DIR", help="Write a page with curves and pictures into this folder.")
    ] = None,
    as_json: AsJson = False,
    threads: Threads = 1,
) -> None:
    """Score a model on labelled pictures, whole and in slices, with 95 % intervals."""
    from mien.data.test_set import samples_to_judge
    from mien.learn.evaluate import judge
    from mien.learn.run_folder import model_file

    file = model_file(model)
    samples, notes = samples_to_judge(data, split)
    with progress_bar(is_shown=sys.stderr.isatty()) as bar:
        judged = judge(file, samples, str(data), notes=notes, threads=threads, progress=_on(bar))
    page = None
    if report is not None:
        from mien.learn.run_report import write_evaluation

        page = write_evaluation(judged, file, report, threads=threads)
    if as_json:
        print(judged.report.to_json())
        return
    _print(judged.report.table(), judged.report.notes)
    if page is not None:
        print(page)


@app.command(
    epilog=examples(
        "mien compare faces runs/mine/faces.onnx my-test-pictures/",
        "mien compare runs/monday runs/tuesday",
        "mien compare runs/monday runs/tuesday masks --json",
    )
)
def compare(
    first: Annotated[str, typer.Argument(metavar="A", help="A shipped model's name, a model file, or a run's folder.")],
    second: Annotated[str, typer.Argument(metavar="B", help="What it is compared with.")],
    data: Annotated[
        Path | None,
        typer.Argument(help="Labelled pictures, as of evaluate; those that both runs held out if not given."),
    ] = None,
    split: Split = "",
    as_json: AsJson = False,
    threads: Threads = 1,
) -> None:
    """Score two models on the same pictures and tell what differs by more than chance, with 95 % intervals."""
    from mien.learn.compare import compare as compare_models

    with progress_bar(is_shown=sys.stderr.isatty()) as bar:
        found = compare_models(first, second, data, split=split, threads=threads, progress=_on(bar))
    if as_json:
        print(found.to_json())
        return
    _print(found.table(), found.notes)
    for which, side in (("first", found.first), ("second", found.second)):
        print(
            plain(f"{which}: {side.name}, {side.file}, {side.size_bytes / 1e6:.2f} MB, {side.milliseconds:.1f} ms a picture")
        )
    for sentence in found.sentences:
        print(plain(sentence))


def _on(bar: Progress) -> Callable[[int, int], None]:
    task = bar.add_task("pictures", total=None)
    return lambda done, count: bar.update(task, completed=done, total=count)


def _print(lines: Sequence[Sequence[str]], notes: Sequence[str]) -> None:
    head, *rows = lines
    table = Table(*head, box=box.SIMPLE_HEAD)
    for row in rows:
        table.add_row(*map(plain, row))
    new_console().print(table)
    for note in notes:
        print(plain(f"Note: {note}."))
