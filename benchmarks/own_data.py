"""What checking a large project takes: time and the most memory held, on generated small pictures.

python -m benchmarks.own_data [--pictures 100000] [--no-write]
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--no-write", action="store_true", help="print only")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        project = generate(Path(folder) / "large", options.pictures)
        began = time.monotonic()
        words = [sys.executable, "-c", _CHECK, "data", "check", str(project.root), "--no-model"]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        took = time.monotonic() - began
    used_s, peak_mb = (float(value) for value in done.stderr.split()[-2:])
    cells = ["mien data check, without a model", f"{options.pictures:,}", f"{used_s:.0f}", f"{took:.0f}", f"{peak_mb:.0f}"]
    text = f"{machine()}. The clock also counts what other programs on the machine took.\n\n"
    text += table(["command", "pictures", "processor seconds", "seconds by the clock", "peak memory MB"], [cells])
    print(text)
    if not options.no_write:
        put("own-data", text, "docs/benchmarks.md")


if __name__ == "__main__":
    main()
