"""Milliseconds of every background drawn from a word, on one thread: at 480p, 1080p and 4K.

python -m benchmarks.backgrounds [--no-write] [--rounds N] [--sizes 1080p 4K]

Processor time of the thread is taken, not the clock's, so that other programs on the machine count for less: the median
of several rounds, and the least, which is the figure to read on a busy machine. The first time of all, when shapes are made
that are kept for later, stands beside them.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import statistics
import time

import cv2
import numpy as np

from benchmarks.tables import ROOT, machine, put, table
from mien.filters.background import BACKGROUNDS, Scene
from mien.filters.motifs.motif import MOTIFS, paint
from mien.media.read import read

SIZES = {"480p": (854, 480), "1080p": (1920, 1080), "4K": (3840, 2160)}
LIMIT_MS = 300
MIXES = (("rainbow", "texture"), ("sunset", "sea"), ("stars", "mountains"), ("city lights", "bokeh"))


def scene(width: int, height: int) -> Scene:
    """The sample portrait on a frame of that size, cut out by an ellipse."""
    image = cv2.resize(read(ROOT / "samples" / "astronaut.jpg").image, (width, height), interpolation=cv2.INTER_AREA)
    matte = np.zeros((height, width), np.float32)
    cv2.ellipse(matte, (width // 2, height), (width // 5, round(0.8 * height)), 0, 0, 360, 1.0, -1)
    return Scene(image, matte, None, 0)


def times_ms(words: tuple[str, ...], place: Scene, rounds: int) -> list[float]:
    """Processor time of painting these words for a person whose colours are known: the first time, then the others."""
    canvas = place.canvas(place.scheme, is_named=False)
    times = []
    for _ in range(rounds + 1):
        began = time.thread_time()
        paint(words, canvas)
        times.append((time.thread_time() - began) * 1000)
    return times


def main() -> None:
    """Measure, print, and write the table into docs/benchmarks.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-write", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", nargs="+", choices=list(SIZES), default=list(SIZES))
    options = parser.parse_args()
    cv2.setNumThreads(1)
    places = {name: scene(*size) for name, size in SIZES.items() if name in options.sizes}
    rows, most = [], 0.0
    for words in [*((word,) for word in MOTIFS if word in BACKGROUNDS), *MIXES]:
        cells = [", ".join(words)]
        for name, place in places.items():
            first, *others = times_ms(words, place, options.rounds if name != "4K" else 1)
            cells += [f"{statistics.median(others):.0f}", f"{min(others):.0f}"]
            if name == "1080p":
                cells.append(f"{first:.0f}")
                most = max(most, statistics.median(others))
        rows.append(cells)
        print(cells, flush=True)
    head = [f"{name} {kind}" for name in places for kind in ("median", "least", *(("first",) if name == "1080p" else ()))]
    text = f"Processor time in milliseconds, one thread, {machine()}. The aim is {LIMIT_MS} ms at 1080p"
    text += f"; the slowest median there is {most:.0f} ms" if most else ""
    text += ".\n\n" + table(["words", *head], rows)
    print(text)
    if not options.no_write:
        put("backgrounds", text, "docs/benchmarks.md")


if __name__ == "__main__":
    main()
