"""Makes the parts of the documentation that come from the program: pictures, model pages, the reference of commands.

python -m docs.build
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

import mien
from mien.filters.motifs.motif import MOTIFS
from mien.filters.preset import render
from mien.media.read import read
from mien.media.write import write
from mien.models.matte import MatteModel
from mien.models.onnx_file import read_onnx
from mien.models.store import shipped
from mien.types import Frame

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
IMAGES = DOCS / "images"
SAMPLES = [ROOT / "samples" / name for name in ("astronaut.jpg", "grace-hopper.jpg", "photographer.png")]
COMMANDS = ("analyze", "filter", "models", "models check", "models show", "train", "evaluate")
HEIGHT = 540
PHOTO_WORDS = ("blur", "desaturate")
CELL, LABEL = (210, 246), 28
MIXES = [
    "rainbow, texture",
    "sunset sea",
    "stars, mountains",
    "blue marble",
    "sky, flowers",
    "sunset, watercolour",
    "pink paper",
    "neon city",
    "sunset, grid",
    "pastel rainbow",
    "gold stripes",
    "forest, snow",
]
GAP = 16


def side_by_side(pictures: list[np.ndarray], height: int = HEIGHT) -> np.ndarray:
    """Pictures of one height in a row on white, (H, W, 3) uint8."""
    parts = []
    for picture in pictures:
        width = round(picture.shape[1] * height / picture.shape[0])
        parts += [
            cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA),
            np.full((height, GAP, 3), 255, np.uint8),
        ]
    return np.concatenate(parts[:-1], axis=1)


def on_checks(image: np.ndarray, alpha: np.ndarray, cell: int = 16) -> np.ndarray:
    """A transparent picture as picture editors show it."""
    rows, columns = np.indices(alpha.shape) // cell
    checks = np.where((rows + columns) % 2, 255, 225).astype(np.float32)[..., None]
    share = alpha.astype(np.float32)[..., None] / 255
    return (image * share + checks * (1 - share) + 0.5).astype(np.uint8)


def build_images() -> None:
    """Overlays, cut-outs, posters and every background, from the samples."""
    write(side_by_side([mien.analyze(path).draw() for path in SAMPLES]), IMAGES / "overlays.jpg")
    cut = [mien.filter(path, background="transparent") for path in SAMPLES]
    write(side_by_side([on_checks(one.image, one.alpha) for one in cut]), IMAGES / "cutouts.jpg")
    posters = [mien.filter(path).image for path in SAMPLES]
    write(posters[0], IMAGES / "poster.jpg")
    write(side_by_side(posters, 675), IMAGES / "posters.jpg")
    frame = read(SAMPLES[0])
    known = Frame(frame.image, source=frame.source, faces=mien.analyze(SAMPLES[0]).faces, matte=MatteModel()(frame.image))
    shown = [*PHOTO_WORDS, "gradient", "#f4c430"]
    write(side_by_side([render(known, word).image for word in shown], 360), IMAGES / "backgrounds.jpg")
    build_sheet(sorted(MOTIFS), 7, IMAGES / "motifs.webp")
    build_sheet(MIXES, 6, IMAGES / "mixes.webp")
    write(side_by_side([frame.image, posters[0]], 675), IMAGES / "before-after.jpg")


def build_sheet(words: list[str], columns: int, path: Path) -> None:
    """One person before each background, with its words below, as one WebP picture."""
    photo = read(SAMPLES[1])
    known = Frame(photo.image, faces=mien.analyze(SAMPLES[1]).faces, matte=MatteModel()(photo.image))
    cells = []
    for word in words:
        cell = cv2.resize(render(known, word).image, CELL, interpolation=cv2.INTER_AREA)
        label = np.full((LABEL, CELL[0], 3), 255, np.uint8)
        (width, _), _ = cv2.getTextSize(word, cv2.FONT_HERSHEY_SIMPLEX, 0.45, 1)
        cv2.putText(label, word, ((CELL[0] - width) // 2, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (40, 40, 40), 1, cv2.LINE_AA)
        cells.append(np.concatenate([cell, label]))
    cells += [np.full_like(cells[0], 255)] * (-len(cells) % columns)
    gap = np.full((cells[0].shape[0], 6, 3), 255, np.uint8)
    rows = [cells[start : start + columns] for start in range(0, len(cells), columns)]
    sheet = np.concatenate([np.concatenate([part for cell in row for part in (cell, gap)][:-1], axis=1) for row in rows])
    Image.fromarray(sheet).save(path, quality=80, method=6)


def build_models() -> None:
    """One page a shipped model, from its card."""
    for name, path in shipped().items():
        page = read_onnx(path).card.to_markdown()
        if (IMAGES / f"{name}-curves.png").exists():
            page += (
                f"\n## Curves\n\n![Losses and validation figures over the steps of training](../images/{name}-curves.png)\n"
            )
        put(DOCS / "models" / f"{name}.md", page)


def build_commands() -> None:
    """The help of every command, as printed."""
    parts = ["# Commands", "What `--help` says of each."]
    for command in ("", *COMMANDS):
        words = [sys.executable, "-c", "from mien.cli import main; main()", *command.split(), "--help"]
        plain = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
        shown = subprocess.run(words, capture_output=True, text=True, check=True, env=plain).stdout
        text = "\n".join(line.rstrip() for line in shown.replace("Usage: -c", "Usage: mien").strip().splitlines())
        parts.append(f"## {('mien ' + command).strip()}\n\n```text\n{text}\n```")
    put(DOCS / "reference" / "commands.md", "\n\n".join(parts) + "\n")


def put(path: Path, text: str) -> None:
    """Write a page, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def main() -> None:
    """Build everything."""
    build_images()
    build_models()
    build_commands()


if __name__ == "__main__":
    main()
