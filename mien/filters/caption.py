"""Captions: words that follow what the faces say, set in a real typeface, where they hide nobody and can be read."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from mien.attributes import ATTRIBUTES, check_column
from mien.errors import InputError
from mien.filters.colour import srgb_to_linear
from mien.geometry import intersection_area
from mien.types import Faces

Image = NDArray[np.uint8]
Plane: TypeAlias = NDArray[np.floating[Any]]
Box = tuple[int, int, int, int]

AUTO = "auto"
"""The text that asks for one chosen by what the faces say."""

_FONTS = Path(__file__).parent / "fonts"


@dataclass(frozen=True)
class Typeface:
    """A font file of this package. size: of its letters beside the others'. leading: distance of lines in heights."""

    file: str
    size: float
    leading: float


TYPEFACES = {
    "serif": Typeface("DMSerifDisplay-Italic.ttf", 1.12, 1.10),
    "bold": Typeface("BricolageGrotesque-ExtraBold.ttf", 0.92, 1.05),
    "hand": Typeface("Caveat-Bold.ttf", 1.30, 0.92),
}
"""The typefaces that captions are set in, all under the SIL Open Font License 1.1."""

PLACES = ("auto", "top", "bottom")

_PHRASES = {
    "nobody": ("Wish you were here", "Somewhere worth going", "A quiet moment", "Take it all in"),
    "one": ("Just as I am", "A good day", "Main character", "Nice to meet you"),
    "one smile": ("Hello, sunshine", "Good things ahead", "That smile", "Happiness looks like this"),
    "one surprise": ("Wait, what?", "Plot twist", "Did not see that coming"),
    "one serious": ("Deep in thought", "Quiet strength", "Some days are like that"),
    "two": ("Better together", "You and me", "Partners in everything"),
    "two smile": ("Twice the joy", "Better together", "Laugh more, worry less"),
    "few": ("The usual suspects", "My people", "Good company"),
    "few smile": ("Good times, great people", "All smiles", "This is the good stuff"),
    "crowd": ("The whole crew", "Everybody is here", "All together now"),
    "crowd smile": ("The whole crew, all smiles", "Best crowd ever", "What a day"),
}
_SMILES = 0.5
_CONTRAST = 4.5
_INK, _PAPER = (27, 24, 30), (253, 251, 246)
_MARGIN, _WIDEST, _LONG_LINE = 0.055, 0.80, 26
_SHRINK = (1.0, 0.85, 0.72, 0.6)
_DETAIL_SIDE = 240
_FACE_ROOM = 0.10


@dataclass(frozen=True)
class Caption:
    """What is written on a picture.

    text: "auto", or the words themselves. typeface: of `TYPEFACES`. place: of `PLACES`. size: 1 is usual.

    Raises `InputError` for an unknown typeface or place, a size outside 0.4 to 3, or more than 120 letters.
    """

    text: str = AUTO
    typeface: str = "serif"
    place: str = "auto"
    size: float = 1.0

    def __post_init__(self) -> None:
        for name, known in (("typeface", TYPEFACES), ("place", PLACES)):
            value = getattr(self, name)
            if value not in known:
                near = difflib.get_close_matches(str(value), known, 1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise InputError(f"caption {name}: expected one of {', '.join(known)}, got {value!r}{hint}")
        if not isinstance(self.text, str) or len(self.text) > 120 or not self.text.strip():
            raise InputError(f"caption text: expected 1 to 120 letters or {AUTO}, got {str(self.text)[:40]!r}")
        if isinstance(self.size, bool) or not isinstance(self.size, int | float) or not 0.4 <= self.size <= 3:
            raise InputError(f"caption size: expected a number from 0.4 to 3, got {self.size!r}")


def choose_words(faces: Faces | None, seed: int = 0) -> str:
    """A line that suits who is there and how they look; the same for the same seed.

    Attributes that the faces do not carry are not guessed at: the number of people decides alone then.
    """
    count = 0 if faces is None else len(faces)
    crowd = "nobody" if count == 0 else "one" if count == 1 else "two" if count == 2 else "few" if count < 6 else "crowd"
    mood = _mood(faces) if faces is not None and count else ""
    choices = _PHRASES.get(f"{crowd} {mood}", _PHRASES[crowd])
    return choices[seed % len(choices)]


def _mood(faces: Faces) -> str:
    """ "smile" where most of the people smile; for the likeliest expression of all "surprise", "serious" or nothing."""
    smile, expression = (faces.attributes.get(name) for name in ("smile", "expression"))
    if smile is not None:
        shares = check_column(ATTRIBUTES["smile"], smile)[:, 0]
        shares = shares[np.isfinite(shares)]
        if len(shares) and (shares > _SMILES).mean() > 0.5:
            return "smile"
    if expression is None:
        return ""
    rows = check_column(ATTRIBUTES["expression"], expression)
    rows = rows[np.isfinite(rows).all(axis=1)]
    if not len(rows):
        return ""
    answer = ATTRIBUTES["expression"].answers[int(rows.mean(axis=0).argmax())]
    return {"happiness": "smile", "surprise": "surprise", "neutral": ""}.get(answer, "serious")


def draw_caption(
    image: Image, caption: Caption, words: str, faces: Faces | None, matte: Plane | None, room: Box | None = None
) -> Image | None:
    """A copy of the picture, (H, W, 3) uint8, with the words on it; None where every place would hide a face.

    faces: boxes in pixels of the picture, never covered. matte: (H, W), kept clear where possible.
    room: ``x1 y1 x2 y2`` made for words, such as the paper under a poster's panel; used where the caption asks for no other
    place and the words fit.

    Elsewhere the words stand where the
    picture is quiet, in black or white, whichever reads better; where neither reaches the contrast of 4.5 to 1 that WCAG 2.1
    asks for (success criterion 1.4.3) the ground behind them is shaded softly until it does.
    """
    height, width = image.shape[:2]
    side = min(width, height)
    if side < 48:
        return None
    blocked = _blocked(faces)
    busy = _busyness(image, matte)
    sizes = [max(9, round(0.056 * side * caption.size * shrink)) for shrink in _SHRINK]
    blocks = [_set(words, caption.typeface, size, round(_WIDEST * width)) for size in sizes]
    fitting = [one for one in blocks if one.shape[1] <= (1 - _MARGIN) * width and one.shape[0] <= 0.4 * height]
    if room is not None and caption.place != "top":
        for letters in fitting:
            place = _in_room(letters.shape, room, blocked)
            if place is not None:
                return _inked(image, letters, place)
    for letters in fitting:
        place = _best_place(letters.shape, (height, width), caption.place, blocked, busy)
        if place is not None:
            return _inked(image, letters, place)
    return None


@lru_cache(maxsize=32)
def _font(typeface: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(_FONTS / TYPEFACES[typeface].file), round(size * TYPEFACES[typeface].size))


def _set(words: str, typeface: str, size: int, widest: int) -> Plane:
    """(h, w) coverage of the words in [0, 1], on one line or in two to four of even length."""
    font = _font(typeface, size)
    texts = " ".join(words.split()).split(" ")
    lines = [" ".join(texts)]
    for count in range(2, 5):
        if font.getlength(max(lines, key=font.getlength)) <= widest and max(map(len, lines)) <= 1.6 * _LONG_LINE:
            break
        lines = _balanced(texts, count, font)
    step = round(font.size * TYPEFACES[typeface].leading)
    ascent, descent = font.getmetrics()
    wide = round(max(font.getlength(line) for line in lines)) + size
    sheet = PillowImage.new("L", (wide, step * (len(lines) - 1) + ascent + descent + size))
    brush = ImageDraw.Draw(sheet)
    for row, line in enumerate(lines):
        brush.text((wide / 2, size / 2 + ascent + row * step), line, fill=255, font=font, anchor="ms")
    letters = np.asarray(sheet, np.float32) / 255
    rows, columns = np.flatnonzero(letters.any(axis=1)), np.flatnonzero(letters.any(axis=0))
    if not len(rows):
        return np.zeros((1, 1), np.float32)
    return letters[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _balanced(texts: list[str], count: int, font: ImageFont.FreeTypeFont) -> list[str]:
    """Words broken into lines so that the longest is as short as can be."""
    widths = [font.getlength(text + " ") for text in texts]
    low, high = max(widths), sum(widths)
    best = [" ".join(texts)]
    for _ in range(12):
        limit, lines, room = (low + high) / 2, [[]], 0.0  # type: ignore[var-annotated]
        for text, own in zip(texts, widths, strict=True):
            if lines[-1] and room + own > limit:
                lines.append([])
                room = 0.0
            lines[-1].append(text)
            room += own
        if len(lines) <= count:
            best, high = [" ".join(line) for line in lines], limit
        else:
            low = limit
    return best


def _blocked(faces: Faces | None) -> Plane:
    """(N, 4) what no letter may touch: the face boxes with a little room, more above for the hair."""
    if faces is None or not len(faces):
        return np.zeros((0, 4), np.float32)
    size = faces.boxes[:, 2:] - faces.boxes[:, :2]
    room = _FACE_ROOM * np.column_stack([size[:, 0], 2 * size[:, 1], size[:, 0], size[:, 1]])
    return faces.boxes + room * (-1, -1, 1, 1)


def _busyness(image: Image, matte: Plane | None) -> Plane:
    """A summed-area table of how unwelcome letters are at each place of a small copy of the picture."""
    height, width = image.shape[:2]
    ratio = min(1.0, _DETAIL_SIDE / max(height, width))
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    grey = cv2.cvtColor(cv2.resize(image, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    detail = np.abs(cv2.Laplacian(grey, cv2.CV_32F)) + np.hypot(
        cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    )
    detail = np.minimum(3 * detail, 1)
    if matte is not None:
        detail += 0.9 * cv2.resize(matte, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.integral(detail), np.float32)


def _places(block: tuple[int, ...], page: tuple[int, int], place: str) -> Iterator[tuple[float, Box]]:
    """How much each place is disliked as such, and its ``x1 y1 x2 y2``: lower before upper, middle before sides."""
    (tall, wide), (height, width) = block[:2], page
    margin = round(_MARGIN * min(page))
    for down in np.linspace(0, 1, 41):
        if (place == "top" and down > 0.34) or (place == "bottom" and down < 0.66):
            continue
        y = round(0.55 * margin + down * (height - tall - 1.1 * margin))
        for across, dislike in ((0.5, 0.0), (0.0, 0.10), (1.0, 0.10)):
            x = round(margin + across * (width - wide - 2 * margin))
            if x < 0 or y < 0 or x + wide > width or y + tall > height:
                continue
            yield dislike + 0.3 * (1 - down) + 0.3 * float(0.25 < down < 0.75), (x, y, x + wide, y + tall)


def _best_place(block: tuple[int, ...], page: tuple[int, int], place: str, blocked: Plane, busy: Plane) -> Box | None:
    rows, columns = busy.shape[0] - 1, busy.shape[1] - 1
    best: tuple[float, Box] | None = None
    for dislike, box in _places(block, page, place):
        if len(blocked) and intersection_area(np.array([box], np.float32), blocked).any():
            continue
        # Letters want quiet for half their height around them.
        room = 0.24 * min(block[0], 0.08 * page[0])
        left, right = (
            int(np.clip(round((x + s * room) / page[1] * columns), 0, columns)) for x, s in ((box[0], -1), (box[2], 1))
        )
        top, bottom = (int(np.clip(round((y + s * room) / page[0] * rows), 0, rows)) for y, s in ((box[1], -1), (box[3], 1)))
        area = max(1, (right - left) * (bottom - top))
        noise = (busy[bottom, right] - busy[top, right] - busy[bottom, left] + busy[top, left]) / area
        cost = dislike + 2.2 * float(noise)
        if best is None or cost < best[0]:
            best = (cost, box)
    return None if best is None else best[1]


def _in_room(block: tuple[int, ...], room: Box, blocked: Plane) -> Box | None:
    """The middle of a room where the words have a sixth of its height above and below them."""
    x1, y1, x2, y2 = room
    if block[1] > x2 - x1 or block[0] > 0.68 * (y2 - y1):
        return None
    left, top = (x1 + x2 - block[1]) // 2, (y1 + y2 - block[0]) // 2
    box = (left, top, left + block[1], top + block[0])
    is_free = not len(blocked) or not intersection_area(np.array([box], np.float32), blocked).any()
    return box if is_free else None


def contrast(colour: tuple[int, int, int], pixels: NDArray[np.uint8] | Plane) -> Plane:
    """Contrast of a colour with each of (..., 3) pixels in [0, 255], from 1 to 21 (WCAG 2.1, "contrast ratio")."""
    weights = np.array([0.2126, 0.7152, 0.0722], np.float32)
    own = float(srgb_to_linear((np.array(colour) / 255).astype(np.float32)) @ weights)
    others = srgb_to_linear((np.asarray(pixels) / 255).astype(np.float32)) @ weights
    return np.asarray((np.maximum(own, others) + 0.05) / (np.minimum(own, others) + 0.05), np.float32)


def _worst(ink: tuple[int, int, int], ground: Plane) -> float:
    """The contrast that nine tenths of the ground reach."""
    return float(np.percentile(contrast(ink, ground), 10))


def _inked(image: Image, letters: Plane, place: Box) -> Image:
    done = image.copy()
    x1, y1, x2, y2 = place
    room = max(2, round(0.9 * min(y2 - y1, 0.1 * image.shape[0])))
    left, top = max(0, x1 - room), max(0, y1 - room)
    right, bottom = min(image.shape[1], x2 + room), min(image.shape[0], y2 + room)
    part = done[top:bottom, left:right].astype(np.float32)
    inner = (slice(y1 - top, y2 - top), slice(x1 - left, x2 - left))
    step = max(1, min(letters.shape) // 40)

    def ground() -> Plane:
        return part[inner][::step, ::step]

    ink, other = max(((_INK, _PAPER), (_PAPER, _INK)), key=lambda pair: _worst(pair[0], ground()))
    shade = np.zeros(part.shape[:2], np.float32)
    shade[inner] = 1
    shade = cv2.blur(cv2.GaussianBlur(shade, (0, 0), max(1.0, 0.32 * room)), (3, 3))
    shade /= max(float(shade[inner].min()), 1e-3)
    fresh = part.copy()
    for depth in np.linspace(0, 0.94, 20):
        part[:] = fresh + (np.array(other, np.float32) - fresh) * np.minimum(depth * shade, 0.96)[..., None]
        if _worst(ink, ground()) >= _CONTRAST:
            break
    cover = np.zeros(part.shape[:2], np.float32)
    cover[inner] = letters
    part += (np.array(ink, np.float32) - part) * cover[..., None]
    done[top:bottom, left:right] = np.clip(part + 0.5, 0, 255).astype(np.uint8)
    return done
