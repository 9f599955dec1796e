"""Small labelled sets, made on the spot."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien import cli
from mien.types import KEYPOINT_NAMES

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _log_level() -> Iterator[None]:
    """The command line sets how much is told; the next test starts as if it had not."""
    logger = logging.getLogger("mien")
    level = logger.level
    yield
    logger.setLevel(level)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command line in this process: exit code, output, error output."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mien", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        output = capsys.readouterr()
        return int(ended.value.code or 0), output.out, output.err

    return call


def unload(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """Until the test ends, ``package`` (a part of mien) is as if it had never been imported."""
    parent, _, name = package.rpartition(".")
    if package in sys.modules:  # an import would leave its own module there, and that one stay without its parts
        monkeypatch.setattr(sys.modules[parent], name, sys.modules[package])
    for module in [one for one in sys.modules if one == package or one.startswith(f"{package}.")]:
        monkeypatch.delitem(sys.modules, module)


def paint_face(image: np.ndarray, x: float, y: float, size: float) -> dict[str, object]:
    """Paint a plain face of that size with its corner at (x, y); returns its label."""
    rows, columns = np.mgrid[0 : image.shape[0], 0 : image.shape[1]] + 0.5

    def disc(centre: tuple[float, float], radii: tuple[float, float], colour: tuple[int, int, int]) -> None:
        inside = ((columns - centre[0]) / radii[0]) ** 2 + ((rows - centre[1]) / radii[1]) ** 2 <= 1
        image[inside] = colour

    points = {
        "left_eye": (x + 0.7 * size, y + 0.4 * size),
        "right_eye": (x + 0.3 * size, y + 0.4 * size),
        "nose": (x + 0.5 * size, y + 0.6 * size),
        "mouth_left": (x + 0.65 * size, y + 0.8 * size),
        "mouth_right": (x + 0.35 * size, y + 0.8 * size),
    }
    disc((x + size / 2, y + size / 2), (size / 2, size / 2), (225, 180, 150))
    for name, colour in {"left_eye": (20, 20, 120), "right_eye": (20, 20, 120), "nose": (170, 110, 90)}.items():
        disc(points[name], (size * 0.09, size * 0.09), colour)
    disc((x + size / 2, y + 0.8 * size), (size * 0.17, size * 0.06), (190, 30, 50))
    return {"box": [x, y, x + size, y + size], "keypoints": {name: list(points[name]) for name in KEYPOINT_NAMES}}


@pytest.fixture(scope="session")
def painted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ImageFolder of 24 pictures: 16 with one or two painted faces and a matte of them, 8 without anybody."""
    folder = tmp_path_factory.mktemp("painted")
    rng = np.random.default_rng(5)
    with (folder / "metadata.jsonl").open("w") as table:
        for number in range(24):
            grain = rng.integers(0, 255, (6, 8, 3), np.uint8)
            image = np.asarray(Image.fromarray(grain).resize((128, 96), Image.Resampling.BICUBIC)).copy()
            row: dict[str, object] = {"file_name": f"{number}.png", "source": "painted", "matte": None, "faces": []}
            if number < 16:
                before = image.copy()
                places = [(8, 20), (70, 30)][: 1 + number % 2]
                sizes = rng.uniform(28, 48, len(places))
                row["faces"] = [paint_face(image, x, y, s) for (x, y), s in zip(places, sizes, strict=True)]
                row["matte"] = f"{number}-matte.png"
                Image.fromarray(((image != before).any(-1) * 255).astype(np.uint8)).save(folder / f"{number}-matte.png")
            Image.fromarray(image).save(folder / f"{number}.png")
            table.write(json.dumps(row) + "\n")
    return folder
