"""The smallest faces that `--tile` finds: copies of a portrait, smaller and smaller, strewn over a textured picture.

python -m benchmarks.small_faces [--quick] writes its table into docs/how-to/analyze.md; --quick only prints.
"""

from __future__ import annotations

import argparse
import bisect
import time

import cv2
import numpy as np

from benchmarks.tables import ROOT, put, table
from mien.geometry import iou
from mien.media.read import read
from mien.models.faces import FaceModel
from mien.models.tiles import tile_regions

COPIES = 40
ENOUGH = 0.9
SIZES = (200, 160, 125, 110, 95, 80, 70, 60, 50, 40, 32, 25, 20, 18, 16, 14, 12, 11, 10, 9, 8)
"""Shorter side of the box, in pixels."""
PICTURES = ((4000, 3000), (1920, 1080))
TILES: tuple[bool | int, ...] = (False, 640, 480, True)


def strewn(size_wh: tuple[int, int], size: float) -> tuple[np.ndarray, np.ndarray]:
    """A textured picture with copies of a face whose box is ``size`` pixels wide, and their boxes (N, 4)."""
    rng = np.random.default_rng(round(size))
    portrait = read(ROOT / "samples" / "astronaut.jpg").image
    x1, y1, x2, y2 = FaceModel()(portrait).boxes[0]
    wide = x2 - x1
    left, top, right, bottom = (
        round(v) for v in (max(0, x1 - 0.6 * wide), max(0, y1 - 0.6 * wide), x2 + 0.6 * wide, y2 + 0.5 * wide)
    )
    scale = size / min(wide, y2 - y1)
    cut = cv2.resize(portrait[top:bottom, left:right], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    width, height = size_wh
    noise = rng.integers(60, 190, (height // 16, width // 16, 3), np.uint8)
    canvas = cv2.resize(noise, size_wh, interpolation=cv2.INTER_CUBIC)
    columns, rows = 8, 5
    boxes = []
    for cell in range(COPIES):
        room = (width / columns - cut.shape[1], height / rows - cut.shape[0])
        x = round(cell % columns * width / columns + rng.random() * max(0, room[0]))
        y = round(cell // columns * height / rows + rng.random() * max(0, room[1]))
        x, y = min(x, width - cut.shape[1]), min(y, height - cut.shape[0])
        canvas[y : y + cut.shape[0], x : x + cut.shape[1]] = cut
        shift = np.array([x, y, x, y])
        boxes.append((np.array([x1, y1, x2, y2]) - [left, top, left, top]) * scale + shift)
    return canvas, np.array(boxes, np.float32)


def smallest(tile: bool | int, size_wh: tuple[int, int], sizes: tuple[int, ...]) -> int | None:
    """The smallest of the falling sizes of which nine in ten copies are found, by bisection; None when of none."""
    model = FaceModel(tile=tile)

    def is_missed(size: int) -> bool:
        image, boxes = strewn(size_wh, size)
        return float((iou(boxes, model(image).boxes).max(axis=1, initial=0) >= 0.4).mean()) < ENOUGH

    first_missed = bisect.bisect_left(sizes, True, key=is_missed)
    return sizes[first_missed - 1] if first_missed else None


def _seconds(tile: bool | int, size_wh: tuple[int, int], size: int) -> str:
    """Processor time of one look, the second of two."""
    model, (image, _) = FaceModel(tile=tile), strewn(size_wh, size)
    model(image)
    began = time.process_time()
    model(image)
    return f"{time.process_time() - began:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the smaller picture only")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    own_side = int(FaceModel().session.settings["long_side"])
    rows = []
    for tile in TILES:
        side = own_side // 2 if tile is True else tile
        for size_wh in PICTURES[1:] if options.quick else PICTURES:
            looks = len(tile_regions(*size_wh, side)) if side else 1
            begin = tuple(size for size in SIZES if size <= 0.6 * min(size_wh[0] / 8, size_wh[1] / 5))
            seconds = _seconds(tile, size_wh, begin[0])
            rows.append([side or "without", f"{size_wh[0]}x{size_wh[1]}", looks, smallest(tile, size_wh, begin), seconds])
    text = table(["tile side px", "picture", "looks", "finds faces from px", "seconds a picture"], rows)
    print(text)
    if not options.quick:
        put("small-faces", text, "docs/how-to/analyze.md")


if __name__ == "__main__":
    main()
