"""Golden pictures: every effect and look on a painted head, reviewed by eye, compared with a tolerance.

After a change that is meant, look at the new picture and keep it: python tests/test_effects_golden.py
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from mien.filters.effects import EFFECTS
from mien.filters.looks import LOOKS
from mien.filters.preset import Preset, apply
from mien.types import Faces, Frame

GOLDEN = Path(__file__).parent / "golden"
SIDE, COLUMNS = 96, 7


def painted() -> Frame:
    """A head, turned a little, with eyes, nose and mouth at known places; 192 pixels a side."""
    image = np.full((192, 192, 3), (150, 170, 190), np.uint8)
    matte = np.zeros((192, 192), np.float32)
    for plane, colours in ((image, ((70, 45, 30), (222, 176, 146))), (matte, (1.0, 1.0))):
        cv2.ellipse(plane, (96, 100), (50, 66), 10, 0, 360, colours[0], -1, cv2.LINE_AA)
        cv2.ellipse(plane, (94, 110), (38, 50), 10, 0, 360, colours[1], -1, cv2.LINE_AA)
    cos, sin = np.cos(np.deg2rad(10)), np.sin(np.deg2rad(10))
    spots = np.array([[0.5, 0], [-0.5, 0], [0.05, 0.57], [0.42, 1.05], [-0.38, 1.05]]) * 36
    points = spots @ np.array([[cos, sin], [-sin, cos]]) + (97, 97)
    for x, y in points[:2]:
        cv2.circle(image, (round(x), round(y)), 4, (40, 30, 30), -1, cv2.LINE_AA)
    start, end = ((round(x), round(y)) for x, y in points[3:])
    cv2.line(image, start, end, (170, 70, 70), 3, cv2.LINE_AA)
    return Frame(image, faces=Faces([[60, 64, 132, 158]], [1], [points]), matte=matte)


def sheet(presets: list[Preset]) -> np.ndarray:
    """All results side by side, (H, W, 3) uint8."""
    frame = painted()
    cells = [cv2.resize(apply(one, frame).image, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for one in presets]
    cells += [np.zeros_like(cells[0])] * (-len(cells) % COLUMNS)
    rows = [np.concatenate(cells[start : start + COLUMNS], axis=1) for start in range(0, len(cells), COLUMNS)]
    return np.concatenate(rows)


SHEETS: dict[str, Callable[[], list[Preset]]] = {
    "effects": lambda: [Preset(frame=False, effects=(name,)) for name in EFFECTS],
    "looks": lambda: [Preset(frame=False, looks=(name,)) for name in LOOKS],
}


@pytest.mark.parametrize("name", SHEETS)
def test_pictures_are_as_they_were_reviewed(name: str) -> None:
    made = sheet(SHEETS[name]()).astype(float)
    wanted = np.asarray(Image.open(GOLDEN / f"{name}.png").convert("RGB"), float)
    assert made.shape == wanted.shape
    for top in range(0, made.shape[0], SIDE):
        for left in range(0, made.shape[1], SIDE):
            cell = np.s_[top : top + SIDE, left : left + SIDE]
            away = np.abs(cv2.blur(made[cell], (3, 3)) - cv2.blur(wanted[cell], (3, 3)))
            number = top // SIDE * COLUMNS + left // SIDE
            assert away.mean() < 1.5, f"picture {number} of {name}.png"
            assert np.percentile(away, 99) < 16, f"picture {number} of {name}.png"


if __name__ == "__main__":
    for title, presets in SHEETS.items():
        Image.fromarray(sheet(presets())).save(GOLDEN / f"{title}.png", optimize=True)
