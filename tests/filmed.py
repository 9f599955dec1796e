"""Films of the people in the samples, as a camera would see them who moves a little."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from mien.media.read import read

SAMPLES = Path(__file__).resolve().parents[1] / "samples"


def film(path: Path, sample: str, frames: int, seed: int) -> Path:
    """A film of ten frames a second, 320x240 pixels: the head of a sample's person nears, turns, and stands elsewhere."""
    rng = np.random.default_rng(seed)
    image = read(SAMPLES / sample).image
    (x, y, size) = HEADS[sample]
    tint = rng.uniform(0.75, 1.2, 3)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (320, 240))
    for _ in range(frames):
        scale = float(rng.uniform(70, 130)) / size
        matrix = cv2.getRotationMatrix2D((x, y), float(rng.uniform(-12, 12)), scale)
        matrix[:, 2] += np.array([rng.uniform(110, 210), rng.uniform(90, 150)]) - (x, y)
        seen = cv2.warpAffine(image, matrix, (320, 240), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
        seen = np.clip(seen * tint + rng.normal(0, 3, seen.shape), 0, 255).astype(np.uint8)
        seen = seen[:, ::-1] if seed % 2 else seen  # a flag or a rocket on the other side
        writer.write(np.ascontiguousarray(seen[..., ::-1]))
    writer.release()
    return path


HEADS = {"astronaut.jpg": (223.0, 117.0, 111.0), "grace-hopper.jpg": (263.0, 224.0, 217.0)}
"""Middle and height of each head in its sample, in pixels."""
