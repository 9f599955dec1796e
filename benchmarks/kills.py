"""Training that is killed at random and goes on: whether the final weights are those of a run left alone.

On a frozen, an unfrozen and an untrained backbone most kills fall into the training, the others anywhere; these runs keep
the weights where the model would be, as exporting takes longer than such a small training. A tenth of the kills fall into
whole runs after their last epoch, while they export and report. Every process is a copy of this one.

python -m benchmarks.kills [--kills 50] [--epochs 6] [--no-write]
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import onnxscript  # noqa: F401  exporting imports it; copies of this process have it already
from onnx import numpy_helper
from safetensors.torch import load_file, save_file

from benchmarks.tables import machine, put, table
from mien.data.divide import divide
from mien.data.project import NewPicture, Project
from mien.data.sample import FaceLabel, Sample
from mien.learn import own
from mien.learn.checkpoint import read_checkpoint
from mien.learn.own import train_project
from mien.learn.own_options import BACKBONES, OwnOptions
from mien.learn.own_record import HISTORY, MODEL, RECORD, read_history

ANSWERS = ("red", "green", "blue")
FACES = 24
MOST_KILLS = 5
"""Of one run; then it is left to end."""
LOOK_S = 0.01
TRAINING_SHARE = 0.7
MOMENTS = ("before the first epoch was over", "training", "after the last")


def painted(folder: Path, count: int) -> Project:
    """A project of so many plain faces in three colours."""
    project = Project.create(folder, attribute="colour", classes=ANSWERS)
    rng = np.random.default_rng(0)
    for number in range(count):
        image = cv2.resize(rng.integers(0, 200, (8, 8, 3), dtype=np.uint8), (96, 96), interpolation=cv2.INTER_CUBIC)
        image[30:66, 30:66, number % 3] = 250
        keypoints = np.array([[56, 44], [40, 44], [48, 52], [54, 60], [42, 60]], np.float32)
        face = FaceLabel(
            np.array([28, 28, 68, 68], np.float32), keypoints, attributes={"colour": ANSWERS[number % 3]}, by="person"
        )
        project.add([NewPicture(image, f"{number}.png", Sample(b"", "x", faces=(face,), person=f"p{number // 3}"))])
    divide(project, {"validation": 0.25})
    project.close()
    return project


@dataclass
class Run:
    """One run of a project. is_exported: whether it ends with a model file, or with its weights alone (see `keep`).

    whole_s: seconds that such a run takes when it is left alone, or only its last part where it is exported.
    """

    root: Path
    name: str
    options: OwnOptions
    is_exported: bool = False
    whole_s: float = 0.0
    kills: int = 0
    moments: Counter[str] = field(default_factory=Counter)
    undone: int = 0

    @property
    def folder(self) -> Path:
        return self.root / "runs" / self.name

    @property
    def is_done(self) -> bool:
        return (self.folder / MODEL).exists()

    @property
    def epochs(self) -> int:
        """Those behind it, by its history."""
        return len(read_history(self.folder / HISTORY))

    def start(self) -> int:
        """A process that begins the run, or goes on with it; gives its number."""
        sys.stdout.flush()
        if child := os.fork():
            return child
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 1
        try:
            if not self.is_exported:
                own.release, own.write_report = keep, lambda run: run
            train_project(self.root, self.options, name=self.name, resume=(self.folder / RECORD).exists())
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)

    def wait(self, child: int, until_s: float = float("inf"), until_epochs: int = 0) -> bool:
        """Whether the process ended by itself before so many seconds were over, counted from that epoch on."""
        began = None
        while True:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                if status:
                    raise SystemExit(f"{self.name}: expected the run to go on, it ended with {status}")
                return True
            if began is None and self.epochs >= until_epochs:
                began = time.monotonic()
            if began is not None and time.monotonic() - began >= until_s:
                return False
            time.sleep(LOOK_S)

    def left_alone(self) -> None:
        """Run it to its end, and note how long that takes."""
        child, began = self.start(), time.monotonic()
        if self.is_exported:
            self.wait(child, 0, int(self.options.epochs or 1))
            began = time.monotonic()
        self.wait(child)
        self.whole_s = time.monotonic() - began

    def kill_once(self, chance: random.Random) -> None:
        """Let it go on, and kill it at some moment, unless it ends before."""
        all_epochs, before = int(self.options.epochs or 1), self.epochs
        child = self.start()
        if self.is_exported:
            has_ended = self.wait(child, chance.uniform(0, self.whole_s), all_epochs)
        elif before < all_epochs and chance.random() < TRAINING_SHARE:
            seconds = [float(row["seconds"]) for row in read_history(self.folder / HISTORY)] or [0.5]
            has_ended = self.wait(child, chance.uniform(0, 2 * max(seconds)), chance.randrange(before, all_epochs))
        else:
            has_ended = self.wait(child, chance.uniform(0, self.whole_s))
        if has_ended:
            return
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        self.kills += 1
        rows = self.epochs
        self.moments[MOMENTS[0 if rows == 0 else 2 if rows == all_epochs else 1]] += 1
        checkpoint = self.folder / "checkpoints" / "last.ckpt"
        kept = int(read_checkpoint(checkpoint)["epoch"]) + 1 if checkpoint.exists() else 0
        self.undone = max(self.undone, rows - kept)

    def weights(self) -> dict[str, np.ndarray]:
        """Every weight that it ended with."""
        model = self.folder / MODEL
        if not self.is_exported:
            return {name: weight.numpy() for name, weight in load_file(model).items()}
        return {one.name: numpy_helper.to_array(one) for one in onnx.load(model).graph.initializer}

    def is_same(self, other: Run) -> bool:
        """Whether two runs ended with the very same weights, and nothing half written lies about."""
        ours, theirs = self.weights(), other.weights()
        is_clean = not list(self.folder.rglob(".*.part"))
        return is_clean and ours.keys() == theirs.keys() and all(np.array_equal(ours[name], theirs[name]) for name in ours)


def keep(network: Any, recipe: Any, validation: Any, facts: Any, counts: Any, out: Path, file_name: str) -> None:
    """Write the weights of a network where `mien.learn.release` would write its model."""
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, out / file_name)


def killed_runs(alone: Run, count: int, chance: random.Random) -> list[Run]:
    """Runs like ``alone``, killed so many times in all, each then left to end."""
    runs: list[Run] = []
    while (left := count - sum(run.kills for run in runs)) > 0:
        name = f"{alone.name}-killed-{len(runs)}"
        run = Run(alone.root, name, alone.options, alone.is_exported, alone.whole_s)
        runs.append(run)
        while not run.is_done:
            if run.kills < min(MOST_KILLS, left):
                run.kill_once(chance)
            else:
                run.wait(run.start())
        print(f"{name}: {run.kills} kills, {dict(run.moments)}, same: {run.is_same(alone)}", file=sys.stderr)
    return runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--no-write", action="store_true", help="print only")
    given = parser.parse_args()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    chance, rows = random.Random(7), []
    late = max(1, given.kills // 10)
    kinds = [(name, False, (given.kills - late + place) // len(BACKBONES)) for place, name in enumerate(BACKBONES)]
    with tempfile.TemporaryDirectory() as place:
        root = painted(Path(place) / "colours", FACES).root
        for backbone, is_exported, count in [*kinds, ("frozen", True, late)]:
            options = OwnOptions(backbone, epochs=given.epochs, views=3, batch=8, threads=1, seed=5)
            alone = Run(root, f"{backbone}-exported" if is_exported else backbone, options, is_exported)
            alone.left_alone()
            print(f"{alone.name}: {alone.whole_s:.0f} s left alone", file=sys.stderr)
            runs = killed_runs(alone, count, chance)
            moments = sum((run.moments for run in runs), Counter[str]())
            same = sum(run.is_same(alone) for run in runs)
            cells = [moments.total(), *(moments[name] for name in MOMENTS), max((run.undone for run in runs), default=0)]
            rows.append([f"{backbone}, exported" if is_exported else backbone, *cells, f"{same} of {len(runs)}"])
    head = [
        "backbone",
        "kills -9",
        *MOMENTS,
        "most finished epochs trained again",
        "runs that end with the very same weights",
    ]
    text = f"{machine()}. {given.epochs} epochs a run.\n\n" + table(head, rows)
    print(text)
    if not given.no_write:
        put("kills", text, "docs/benchmarks.md")


if __name__ == "__main__":
    main()
