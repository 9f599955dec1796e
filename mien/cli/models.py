"""`mien models` and its commands."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.markdown import Markdown
from rich.table import Table

from mien.cli.app import app
from mien.cli.options import Device, examples
from mien.cli.report import complain, new_console, plain
from mien.errors import MienError

models_app = typer.Typer(help="List, check and describe the models.", invoke_without_command=True, rich_markup_mode="rich")
app.add_typer(models_app, name="models")


def _shipped() -> dict[str, Path]:
    from mien.models.store import shipped

    found = shipped()
    if not found:
        raise MienError("no models come with this installation; install mien again, or train one with: mien train")
    return found


@models_app.callback()
def models(context: typer.Context) -> None:
    """List the models that come with mien."""
    if context.invoked_subcommand is not None:
        return
    from mien.models.onnx_file import read_onnx
    from mien.models.store import summary

    table = Table("name", "what it is", "scores", "trained on (terms)", box=box.SIMPLE_HEAD, show_lines=True)
    for name, path in _shipped().items():
        row, card = summary(name), read_onnx(path).card
        about = f"{row.summary}\n{row.version}, {row.size_bytes / 1e6:.2f} MB, weights {row.licence}"
        scores = [score for score in card.scores if score.get("slice", "all") == "all"]
        shown = "\n".join(f"{score.get('metric', '')} {score.get('value', 0):.3f}" for score in scores[:4])
        data = "\n".join(f"{one.get('pictures')} {one.get('name')} ({one.get('terms')})" for one in card.data)
        table.add_row(*map(plain, (name, about, shown, data)))
    new_console().print(table)


@models_app.command(epilog=examples("mien models check", "mien models check faces my-model.onnx"))
def check(
    models: Annotated[list[str] | None, typer.Argument(help="Names or files; all shipped models if not given.")] = None,
    device: Device = "cpu",
) -> None:
    """Run the self-test that each model file carries: its answers must be those it gave when it was made."""
    from mien.models.store import check as check_model

    failed = 0
    for name in models or _shipped():
        try:
            rows = check_model(name, device=device)
        except MienError as error:
            complain(str(error))
            failed += 1
            continue
        print(f"{name}: ok, {len(rows)} golden answers, largest difference {max(row.difference for row in rows):.1e}")
    if failed:
        raise typer.Exit(2)


@models_app.command(epilog=examples("mien models show faces"))
def show(model: Annotated[str, typer.Argument(help="A shipped model's name or a model file.")]) -> None:
    """Show a model's card: scores, training data and its terms, thresholds, known failures."""
    from mien.models.onnx_file import read_onnx
    from mien.models.store import model_path

    text = read_onnx(model_path(model)).card.to_markdown()
    if sys.stdout.isatty():
        new_console().print(Markdown(text))
    else:
        print(text, end="")
