"""Makes the parts of the documentation that come from the program: pictures, model pages, the reference of commands.

python -m docs.build
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

import mien
from mien.attributes import from_card
from mien.card import ModelCard
from mien.filters.background import cover_fit
from mien.filters.effects import EFFECTS
from mien.filters.looks import LOOKS
from mien.filters.motifs.motif import MOTIFS
from mien.filters.preset import Preset, apply, render
from mien.filters.preset_file import load_preset, shipped_presets
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
COMMANDS = (
    *("analyze", "filter", "models", "models check", "models show", "train", "evaluate", "new", "capture", "label", "data"),
    *(f"data {name}" for name in ("merge", "check", "split", "augment", "freeze", "import", "export")),
)
HEIGHT = 540
PHOTO_WORDS = ("blur", "desaturate")
CELL = (210, 246)
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
    """One person before each background, with its words below."""
    photo = read(SAMPLES[1])
    known = replace(photo, faces=mien.analyze(SAMPLES[1]).faces, matte=MatteModel()(photo.image))
    write(contact_sheet({word: render(known, word).image for word in words}, columns, CELL), path, quality=80)


def build_sheets() -> None:
    """The contact sheet of the shipped presets, and every effect on one face."""
    known = []
    for path in SAMPLES[:2]:
        frame = read(path)
        known.append(replace(frame, faces=mien.analyze(path).faces, matte=MatteModel()(frame.image)))
    on_second = ("circus", "gentleman", "incognito", "neon-night", "royal")
    made = {name: apply(load_preset(name), known[name in on_second]).image for name in shipped_presets()}
    write(contact_sheet(made, 6, (250, 312)), IMAGES / "presets.jpg", quality=88)
    astronaut = known[0]
    shown = {}
    for number, name in enumerate(EFFECTS):
        frame = known[number % 2]
        x1, y1, x2, y2 = frame.faces.boxes[0].astype(int)
        reach, middle = round(0.95 * (y2 - y1)), (x1 + x2) // 2
        part = slice(max(0, y2 - 2 * reach), y2 + reach // 4), slice(max(0, middle - reach), middle + reach)
        shown[name] = apply(Preset(frame=False, effects=(name,)), frame).image[part]
    write(contact_sheet(shown, 7, (214, 240)), IMAGES / "effects.jpg", quality=88)
    looks = {name: apply(Preset(frame=False, looks=(name,)), astronaut).image for name in LOOKS}
    write(contact_sheet(looks, 6, (250, 250)), IMAGES / "looks.jpg", quality=88)


def contact_sheet(pictures: dict[str, np.ndarray], columns: int, size_wh: tuple[int, int]) -> np.ndarray:
    """Pictures in rows on white, each cut to one size, with its name below: (H, W, 3) uint8."""
    cells = []
    for name, picture in pictures.items():
        cell = Image.fromarray(np.full((size_wh[1] + 44, size_wh[0] + GAP, 3), 255, np.uint8))
        cell.paste(Image.fromarray(cover_fit(picture, size_wh)), (GAP // 2, GAP // 2))
        font = ImageFont.load_default(17)
        ImageDraw.Draw(cell).text((cell.width / 2, size_wh[1] + 24), name, fill=(60, 60, 66), font=font, anchor="mm")
        cells.append(np.asarray(cell))
    cells += [np.full_like(cells[0], 255)] * (-len(cells) % columns)
    rows = [np.concatenate(cells[start : start + columns], axis=1) for start in range(0, len(cells), columns)]
    return np.concatenate(rows, axis=0)


def build_models() -> None:
    """One page a shipped model, from its card."""
    for name, path in shipped().items():
        card = read_onnx(path).card
        page = card.to_markdown() + confusions(card)
        if (IMAGES / f"{name}-curves.png").exists():
            page += f"\n## Curves\n\n![Losses over the steps of training](../images/{name}-curves.png)\n"
        if (IMAGES / f"{name}-sizes.png").exists():
            page += (
                f"\n## Accuracy against time\n\n![AP50 against time by input size](../images/{name}-sizes.png)\n\n"
                "The figures behind it: [measured](../benchmarks.md).\n"
            )
        put(DOCS / "models" / f"{name}.md", page)


def confusions(card: ModelCard) -> str:
    """A table for each attribute: faces with a label (row) and an answer (column)."""
    parts = []
    known = from_card(card.attributes)
    for name, counts in card.extra.get("confusions", {}).items():
        answers = known[name].answers
        lines = [f"| labelled \\ answered | {' | '.join(answers)} |", "| --- |" + " --- |" * len(answers)]
        lines += [f"| {answer} | {' | '.join(map(str, row))} |" for answer, row in zip(answers, counts, strict=True)]
        parts += [f"\n### {name}\n", *lines]
    return "\n## Which answers are taken for which\n" + "\n".join(parts) + "\n" if parts else ""


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
    build_sheets()
    build_models()
    build_commands()


if __name__ == "__main__":
    main()
