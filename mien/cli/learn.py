"""`mien train` and `mien evaluate`."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.table import Table

from mien.cli.app import app
from mien.cli.options import Threads, examples
from mien.cli.report import new_console, plain, progress_bar


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


@app.command(
    epilog=examples("mien evaluate faces my-test-pictures/", "mien evaluate runs/mine/faces.onnx set.parquet --json")
)
def evaluate(
    model: Annotated[str, typer.Argument(help="A shipped model's name or a model file.")],
    data: Annotated[Path, typer.Argument(help="Labelled pictures: a folder with metadata.jsonl, or a Parquet file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")] = False,
    threads: Threads = 1,
) -> None:
    """Score a model on labelled pictures, whole and in slices, with 95 % intervals."""
    from mien.learn.evaluate import evaluate as evaluate_model

    with progress_bar(is_shown=sys.stderr.isatty()) as bar:
        task = bar.add_task("pictures", total=None)
        report = evaluate_model(
            model, data, threads=threads, progress=lambda done, count: bar.update(task, completed=done, total=count)
        )
    if as_json:
        print(report.to_json())
        return
    head, *rows = report.table()
    table = Table(*head, box=box.SIMPLE_HEAD)
    for row in rows:
        table.add_row(*map(plain, row))
    new_console().print(table)
    for note in report.notes:
        print(f"Note: {note}.")
