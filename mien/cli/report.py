"""What the commands print: tables, progress, complaints."""

from __future__ import annotations

import sys
import time

import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from mien.types import Failure, Frame


class Report:
    """The table at the end of a batch."""

    def __init__(self, *columns: str) -> None:
        self._table = Table("picture", "size", *columns, "note", box=box.SIMPLE_HEAD, pad_edge=False)
        for column in self._table.columns:
            column.overflow = "fold"
        self._done = 0
        self._failures: list[Failure] = []
        self._started_s = time.perf_counter()

    def add(self, result: Frame | Failure, *cells: str) -> None:
        """One picture: its cells where it could be done, else its error."""
        if isinstance(result, Frame):
            self._done += 1
            self._table.add_row(
                *map(plain, (result.source, f"{result.width}x{result.height}", *cells, "; ".join(result.notes)))
            )
            return
        self._failures.append(result)
        note = result.message.removeprefix(f"{result.source}: ")
        self._table.add_row(*map(plain, (result.source, "-", *("-" for _ in cells), note)), style="red")

    def finish(self, *, is_quiet: bool = False) -> None:
        """Print it (a single picture's error goes on the error output alone) and exit with 2 when nothing could be done."""
        is_single = self._done + len(self._failures) == 1
        if is_quiet or (is_single and self._failures):
            for failure in self._failures:
                complain(failure.message)
        else:
            console = new_console()
            console.print(self._table)
            failed = f", {len(self._failures)} failed" if self._failures else ""
            console.print(f"{self._done} done{failed}, {time.perf_counter() - self._started_s:.1f} s")
        if not self._done:
            raise typer.Exit(2)


def has_watcher(count: int) -> bool:
    return count > 1 and sys.stderr.isatty()


def progress_bar(*, is_shown: bool) -> Progress:
    """A progress bar on the error output, gone when its block ends."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True, disable=not is_shown, redirect_stdout=False)


def new_console() -> Console:
    return Console(width=None if sys.stdout.isatty() else 120, highlight=False)


def plain(text: object) -> Text:
    """Text as it is: file names are no markup, and control characters in them are not sent to the terminal."""
    return Text("".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in str(text)))


def complain(message: str) -> None:
    print(f"mien: {plain(' '.join(message.split()))}", file=sys.stderr)
