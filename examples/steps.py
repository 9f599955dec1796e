"""What the four recipes share: where they work, which set they take, and running mien's commands one after another."""

from __future__ import annotations

import argparse
import json
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

from mien.media.write import write

REAL = Path(__file__).resolve().parents[1] / "../../shared/data"
"""Where the real sets are looked for if `--data` does not say; they are not part of this repository."""


@dataclass(frozen=True)
class Choice:
    """What was asked for. folder: to work in, new. real: folder of the real sets, None for painted faces. count: pictures.

    epochs: None takes what `mien train` chooses.
    """

    folder: Path
    real: Path | None
    count: int
    epochs: int | None


def choose(about: str, words: Sequence[str] | None, *, painted: int, real: int) -> Choice:
    """Read the options of a recipe. painted, real: how many pictures it takes by itself."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("examples-out"), help="a new folder to work in")
    parser.add_argument("--real", action="store_true", help="take the real set instead of painted faces")
    parser.add_argument("--data", type=Path, default=REAL, help="where the real sets are")
    parser.add_argument("--count", type=int, help="how many pictures to take")
    parser.add_argument("--epochs", type=int, help="how often training sees them")
    given = parser.parse_args(words)
    if given.folder.exists():
        parser.error(f"{given.folder}: expected a new folder, got one that is there; choose another")
    if given.real and not given.data.is_dir():
        parser.error(f"{given.data}: expected the real sets there, found none; leave --real out for painted faces")
    count = given.count or (real if given.real else painted)
    return Choice(given.folder, given.data if given.real else None, count, given.epochs)


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


def train_and_judge(project: Path, choice: Choice, *options: object) -> dict[str, Any]:
    """Train a run called ``first``, judge it on the project's test part, and give the scores of the whole by metric."""
    epochs = () if choice.epochs is None else ("--epochs", choice.epochs)
    mien("train", project, "--name", "first", *options, *epochs)
    return judge(project / "runs" / "first", project)


def judge(model: Path, data: Path) -> dict[str, Any]:
    """The scores of a model by metric (of the whole set), printed and given."""
    told = json.loads(_last_json(mien("evaluate", model, data, "--json")))
    scores = {row["metric"]: row["value"] for row in told["rows"] if row["slice"] == "all"}
    for row in told["rows"]:
        if row["slice"] == "all" and row["low"] is not None:
            print(f"{row['metric']}: {row['value']:.3f} ({row['low']:.3f} to {row['high']:.3f}), {row['count']}")
    return scores


def _last_json(text: str) -> str:
    return next(line for line in reversed(text.splitlines()) if line.startswith("{"))


def save_folder(folder: Path, rows: Iterable[tuple[NDArray[np.uint8] | Path, Mapping[str, Any]]]) -> Path:
    """Write an ImageFolder: pictures (arrays, or files that are copied) and what is known of each."""
    folder.mkdir(parents=True)
    lines = []
    for number, (picture, row) in enumerate(rows):
        name = f"{number:05d}{picture.suffix if isinstance(picture, Path) else '.png'}"
        if isinstance(picture, Path):
            shutil.copyfile(picture, folder / name)
        else:
            write(picture, folder / name)
        lines.append(json.dumps({"file_name": name, **row}))
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n")
    return folder
