"""What the recipes share: where they work, which set they take, running mien's commands, and telling what came of it."""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.tables import machine, put, table
from mien.media.write import write

REAL = Path(__file__).resolve().parents[2] / "shared" / "data"
"""Where the real sets are looked for if `--data` does not say; they are not part of this repository."""
HEAD = ("what", "trained on", "seconds", "CPU seconds", "figure", "value", "95 % interval", "judged on")


@dataclass(frozen=True)
class Choice:
    """What was asked for. folder: to work in, new. real: folder of the real sets, None for painted faces. count: pictures.

    epochs: of the training. writes: whether the figures go into the recipe's README.
    """

    folder: Path
    real: Path | None
    count: int
    epochs: int
    writes: bool = False


@dataclass(frozen=True)
class Trained:
    """What a training cost: on how many faces, and the seconds. run: its folder."""

    faces: int
    seconds: float
    cpu_seconds: float
    run: Path = Path()


@dataclass(frozen=True)
class Score:
    """One figure of a whole set, with its 95 % interval where there is one, and on how many it was judged."""

    value: float
    low: float | None
    high: float | None
    count: int


def choose(about: str, words: Sequence[str] | None, *, painted: tuple[int, int], real: tuple[int, int]) -> Choice:
    """Read the options of a recipe. painted, real: how many pictures it takes by itself, and for how many epochs."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("examples-out"), help="a new folder to work in")
    parser.add_argument("--real", action="store_true", help="take the real set instead of painted faces")
    parser.add_argument("--data", type=Path, default=REAL, help="where the real sets are")
    parser.add_argument("--count", type=int, help="how many pictures to take")
    parser.add_argument("--epochs", type=int, help="how often training sees them")
    parser.add_argument("--write", action="store_true", help="put the figures of the real set into the README")
    given = parser.parse_args(words)
    if given.folder.exists():
        parser.error(f"{given.folder}: expected a new folder, got one that is there; choose another")
    if given.real and not given.data.is_dir():
        parser.error(f"{given.data}: expected the real sets there, found none; leave --real out for painted faces")
    if given.write and not given.real:
        parser.error("--write: expected the real set, got painted faces; add --real")
    count, epochs = real if given.real else painted
    return Choice(
        given.folder, given.data if given.real else None, given.count or count, given.epochs or epochs, given.write
    )


def mien(*words: object) -> str:
    """Run one mien command, shown as it would be typed, and give what it printed. Ends the program when it fails."""
    line = [str(word) for word in words]
    print("\n$ mien", *line, flush=True)
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "mien.cli", *line], stdout=subprocess.PIPE, text=True, check=False)
    print(done.stdout, end="")
    if done.returncode:
        sys.exit(done.returncode)
    print(f"({time.monotonic() - began:.0f} s)", flush=True)
    return done.stdout


def train(project: Path, choice: Choice, *options: object, name: str = "first") -> Trained:
    """Train a run on a project; what it cost includes the start of the program, the export and the report."""
    began, before = time.monotonic(), _cpu_seconds()
    mien("train", project, "--name", name, "--epochs", choice.epochs, *options)
    seconds, cpu = time.monotonic() - began, _cpu_seconds() - before
    run = project / "runs" / name
    counts = json.loads((run / "run.json").read_text())["counts"]["train"]
    return Trained(counts.get("faces", sum(counts.values())), seconds, cpu, run)


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def judge(model: Path | str, data: Path) -> dict[str, Score]:
    """The scores of a model by metric, of the whole set."""
    told = json.loads(_last_json(mien("evaluate", model, data, "--json")))
    return {
        row["metric"]: Score(row["value"], row["low"], row["high"], row["count"])
        for row in told["rows"]
        if row["slice"] == "all"
    }


def _last_json(text: str) -> str:
    return next(line for line in reversed(text.splitlines()) if line.startswith("{"))


def row(what: str, trained: Trained | None, figure: str, score: Score) -> list[str]:
    """A line of the figures, see `HEAD`. trained: None for what was not trained here."""
    costs = ["-"] * 3
    if trained is not None:
        costs = [f"{trained.faces:,}", f"{trained.seconds:.0f}", f"{trained.cpu_seconds:.0f}"]
    between = "" if score.low is None else f"{score.low:.3f} to {score.high:.3f}"
    return [what, *costs, figure, f"{score.value:.3f}", between, str(score.count)]


def show(recipe: str, choice: Choice, rows: Sequence[Sequence[str]], note: str = "") -> None:
    """Print the figures, and put them into the recipe's README if asked to."""
    text = (
        f"{machine()}; {choice.count} pictures, {choice.epochs} {'epoch' if choice.epochs == 1 else 'epochs'}.\n\n"
        + table(HEAD, rows)
        + (f"\n\n{note}" if note else "")
    )
    print(f"\n{text}")
    if choice.writes:
        put("figures", text, f"examples/{recipe}/README.md")


def save_folder(folder: Path, rows: Iterable[tuple[NDArray[np.uint8] | Path, Mapping[str, Any]]]) -> Path:
    """Write an ImageFolder: pictures (arrays, or files that are copied) and what is known of each."""
    folder.mkdir(parents=True)
    lines = []
    for number, (picture, told) in enumerate(rows):
        name = f"{number:05d}{picture.suffix if isinstance(picture, Path) else '.png'}"
        if isinstance(picture, Path):
            shutil.copyfile(picture, folder / name)
        else:
            write(picture, folder / name)
        lines.append(json.dumps({"file_name": name, **told}))
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n")
    return folder
