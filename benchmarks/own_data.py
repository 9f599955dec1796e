"""What checking a large project takes: time and the most memory held.

The rows, files, faults, near-duplicates and plots are measured on a hundred thousand generated small pictures, without a
model. What the models add is a fixed time for each picture, so it is measured on fewer: photos of 640 pixels with a face.

python -m benchmarks.own_data [--pictures 100000] [--photos 200] [--no-write]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from benchmarks.tables import machine, put, table
from mien.data.project import Project

_FACE = (175, 70, 275, 200)
"""The face in ``samples/astronaut.jpg``."""
_CHECK = """
import resource, sys
from mien.cli import main
try:
    main()
finally:
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, file=sys.stderr)
"""


def generate(folder: Path, count: int) -> Project:
    """A project of that many different pictures of 32 pixels, three classes, one face each."""
    project = Project.create(folder, task="attribute", attribute="mask", classes=("mask", "no_mask", "bad_mask"))
    rng = np.random.default_rng(0)
    lines = []
    for number in range(count):
        small = rng.integers(0, 255, (5, 5, 3), dtype=np.uint8)
        name = f"{number:06d}.jpg"
        (project.pictures / name).write_bytes(cv2.imencode(".jpg", cv2.resize(small, (32, 32)))[1].tobytes())
        face = {"box": [4, 4, 28, 28], "attributes": {"mask": project.settings.classes[number % 3]}, "by": "person"}
        lines.append(json.dumps({"file_name": name, "revision": 1, "state": "labelled", "faces": [face]}))
    (project.pictures / "metadata.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    return project


def generate_photos(folder: Path, count: int) -> Project:
    """A project of that many crops of one photo, 640 pixels wide and 480 high, with its face and an answer each."""
    project = Project.create(folder, task="attribute", attribute="mask", classes=("mask", "no_mask", "bad_mask"))
    photo = cv2.imread("samples/astronaut.jpg")
    rng = np.random.default_rng(0)
    lines = []
    for number in range(count):
        left, top = rng.integers(0, 64, 2)
        crop = cv2.resize(photo[top : top + 336, left : left + 448], (640, 480))
        noisy = np.clip(crop + rng.normal(0, 4, crop.shape), 0, 255).astype(np.uint8)
        name = f"{number:06d}.jpg"
        (project.pictures / name).write_bytes(cv2.imencode(".jpg", noisy)[1].tobytes())
        box = (np.array(_FACE) - (left, top, left, top)) * (640 / 448)
        face = {"box": box.tolist(), "attributes": {"mask": "no_mask"}, "by": "person"}
        lines.append(json.dumps({"file_name": name, "revision": 1, "state": "labelled", "faces": [face]}))
    (project.pictures / "metadata.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    return project


def measured(project: Project, *options: str) -> list[str]:
    """Processor seconds, seconds by the clock and peak megabytes of one ``mien data check`` in a process of its own."""
    began = time.monotonic()
    words = [sys.executable, "-c", _CHECK, "data", "check", str(project.root), *options]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    took = time.monotonic() - began
    used_s, peak_mb = (float(value) for value in done.stderr.split()[-2:])
    return [f"{used_s:.0f}", f"{took:.0f}", f"{peak_mb:.0f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--photos", type=int, default=200, help="0 leaves the models out")
    parser.add_argument("--no-write", action="store_true", help="print only")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        if options.photos:
            photos = generate_photos(Path(folder) / "photos", options.photos)
            rows.append(["`mien data check`", f"{options.photos:,} photos of 640x480", *measured(photos)])
        small = generate(Path(folder) / "small", options.pictures)
        cells = measured(small, "--no-model")
        rows.insert(0, ["`mien data check --no-model`", f"{options.pictures:,} of 32x32", *cells])
    text = f"{machine()}. The clock also counts what other programs on the machine took.\n\n"
    text += table(["command", "pictures", "processor seconds", "seconds by the clock", "peak memory MB"], rows)
    print(text)
    if not options.no_write:
        put("own-data", text, "docs/benchmarks.md")


if __name__ == "__main__":
    main()
