"""The program that the commands belong to."""

from __future__ import annotations

import logging
import warnings
from typing import Annotated

import typer

from mien import __version__

app = typer.Typer(
    name="mien",
    help="Find faces, cut people out, make portraits, and train your own models.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        print(f"mien {__version__}")
        raise typer.Exit


@app.callback()
def _start(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Tell more on the error output.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    logging.getLogger("mien").setLevel(logging.DEBUG if verbose else logging.ERROR)
    logging.basicConfig(format="mien: %(message)s")
    # What Pillow warns of in odd files is either harmless or becomes an error of its own.
    warnings.filterwarnings("default" if verbose else "ignore", module=r"PIL\.")
