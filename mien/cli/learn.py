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

if TYPE_CHECKING:
    from rich.progress import Progress


@app.command(epilog=examples("mien train recipes/faces.toml", "mien train recipes/faces.toml -o runs/mine --no-resume"))
def train(
    recipe: Annotated[Path, typer.Argument(help="The recipe, a TOML file.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder of the run; runs/NAME if not given.")] = None,
    root: Annotated[Path | None, typer.Option(help="Folder that the recipe's data lies in.")] = None,
    resume: Annotated[bool, typer.Option(help="Go on from the last checkpoint in the folder.")] = True,
    threads: Threads = 1,
    workers: Annotated[int, typer.Option(min=0, help="Processes that prepare pictures.")] = 1,
) -> None:
    """Train the model that a recipe describes and write it as one ONNX file with its card."""
    from mien.learn.trainer import train as train_model

    logging.getLogger("mien").setLevel(logging.INFO)
    path = train_model(recipe, out=output, root=root, resume=resume, threads=threads, workers=workers)
    print(path)


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
