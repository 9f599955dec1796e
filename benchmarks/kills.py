"""Training that is killed at random and goes on: whether the final weights are those of a run left alone.

python -m benchmarks.kills [--kills 50] [--epochs 20] [--no-write]
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import onnx
from onnx import numpy_helper

from benchmarks.tables import machine, put, table
from mien.data.project import NewPicture, Project
from mien.data.sample import FaceLabel, Sample
from mien.learn.own_record import read_history

ANSWERS = ("red", "green", "blue")


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
    project.close()
    return project


def command(project: Project, name: str, epochs: int, *, is_resumed: bool) -> list[str]:
    """The words that start a run, or let it go on."""
    words = [sys.executable, "-m", "mien.cli", "train", str(project.root), "--name", name]
    more = ["--resume"] if is_resumed else ["--epochs", str(epochs), "--views", "3", "--threads", "1", "--seed", "5"]
    return words + more


def weights(model: Path) -> dict[str, np.ndarray]:
    """Every weight of a model file."""
    return {one.name: numpy_helper.to_array(one) for one in onnx.load(model).graph.initializer}


def epochs_of(run: Path) -> int:
    """How many epochs a run has behind it, by its history."""
    return len(read_history(run / "history.jsonl"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--no-write", action="store_true", help="print only")
    options = parser.parse_args()
    chance = random.Random(7)
    with tempfile.TemporaryDirectory() as place:
        project = painted(Path(place) / "colours", 36)
        began = time.monotonic()
        subprocess.run(command(project, "left-alone", options.epochs, is_resumed=False), check=True, capture_output=True)
        whole = time.monotonic() - began
        kills, runs, lost, same = 0, 0, 0, 0
        while kills < options.kills:
            name = f"killed-{runs}"
            run = project.root / "runs" / name
            while True:
                before = epochs_of(run)
                words = command(project, name, options.epochs, is_resumed=(run / "run.json").exists())
                with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=os.environ) as process:
                    try:
                        process.wait(timeout=chance.uniform(0.1, 1.0) * whole if kills < options.kills else None)
                    except subprocess.TimeoutExpired:
                        process.send_signal(signal.SIGKILL)
                        kills += 1
                    told = process.stderr.read().decode() if process.stderr else ""
                if process.returncode == 0:
                    break
                if process.returncode != -signal.SIGKILL:
                    raise SystemExit(f"{name}: {told}")
                lost += epochs_of(run) < before
            model, wanted = weights(run / "model.onnx"), weights(project.root / "runs" / "left-alone" / "model.onnx")
            runs += 1
            same += all(np.array_equal(model[key], value) for key, value in wanted.items())
    head = ["kills -9", "runs", "epochs undone", "runs that end with the very same weights"]
    text = f"{machine()}.\n\n" + table(head, [[str(kills), str(runs), str(lost), f"{same} of {runs}"]])
    print(text)
    if not options.no_write:
        put("kills", text, "docs/benchmarks.md")


if __name__ == "__main__":
    main()
