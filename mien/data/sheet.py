"""Contact sheets: many pictures on one, with a line of text under each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mien.data.sample import FaceLabel
from mien.draw import KEYPOINT_COLOURS
from mien.types import KEYPOINT_NAMES

_PAPER = (250, 250, 248)
_INK = (40, 42, 48)
_BOX = (255, 196, 0)
_GAP = 10
_LINE = 16


def contact_sheet(
    pictures: Iterable[tuple[NDArray[np.uint8], str]], *, columns: int = 6, cell: int = 200
) -> NDArray[np.uint8]:
    """Pictures (H, W, 3) uint8 RGB with their captions in rows of ``columns``, each at most ``cell`` pixels a side."""
    font = ImageFont.load_default(12)
    tiles = [(_fitted(image, cell), _lines(caption, font, cell)) for image, caption in pictures]
    rows = [tiles[start : start + columns] for start in range(0, len(tiles), columns)]
    heights = [max(tile.height for tile, _ in row) + 2 * _LINE + _GAP for row in rows]
    across = min(columns, max(1, len(tiles)))
    sheet = Image.new("RGB", (across * (cell + _GAP) + _GAP, sum(heights) + _GAP), _PAPER)
    brush, bottom = ImageDraw.Draw(sheet), 0
    for row, height in zip(rows, heights, strict=True):
        bottom += height
        for column, (tile, lines) in enumerate(row):
            left, text = _GAP + column * (cell + _GAP), bottom - 2 * _LINE
            sheet.paste(tile, (left + (cell - tile.width) // 2, text - tile.height))
            for number, line in enumerate(lines):
                brush.text((left + 2, text + 1 + number * _LINE), line, fill=_INK, font=font)
    return np.asarray(sheet)


def _fitted(image: NDArray[np.uint8], cell: int) -> Image.Image:
    scale = min(cell / image.shape[0], cell / image.shape[1])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return Image.fromarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR))


def _lines(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> list[str]:
    """Two lines at most, cut between letters where they get too long."""
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    lines: list[str] = []
    while text and len(lines) < 2:
        end = len(text)
        while end > 1 and font.getlength(text[:end]) > width - 4:
            end -= 1
        space = text.rfind(" ", 0, end)
        end = space if end < len(text) and space > 0 else end
        lines.append(text[:end])
        text = text[end:].strip()
    if text:
        lines[-1] = lines[-1][:-1] + "\u2026"
    return lines


def with_labels(image: NDArray[np.uint8], labels: Sequence[FaceLabel]) -> NDArray[np.uint8]:
    """A copy of a picture with its labelled faces drawn on it, to be seen small; ignored regions are left out."""
    canvas = image.copy()
    line = max(1, round(max(image.shape[:2]) / 110))
    for label in labels:
        if label.is_ignored:
            continue
        x1, y1, x2, y2 = (round(float(value)) for value in label.box)
        cv2.rectangle(canvas, (x1, y1), (x2, y2), _BOX, line, cv2.LINE_AA)
        points = dict(zip(KEYPOINT_NAMES, label.keypoints.tolist(), strict=True)) | dict(label.more_points)
        for name, (x, y) in points.items():
            if np.isfinite([x, y]).all():
                colour = KEYPOINT_COLOURS.get(name, (255, 255, 255))
                cv2.circle(canvas, (round(x), round(y)), round(1.3 * line), colour, -1, cv2.LINE_AA)
    return canvas
