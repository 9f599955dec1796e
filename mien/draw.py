"""What was seen, drawn on a copy of the picture: boxes with a label, five keypoints in fixed colours, a legend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mien.attributes import Attribute, answer_of, colours, find, short_text
from mien.geometry import box_area, intersection_area
from mien.types import KEYPOINT_NAMES, Faces, Frame

Colour = tuple[int, int, int]
Picture = NDArray[np.uint8]

KEYPOINT_COLOURS: Mapping[str, Colour] = {
    "left_eye": (38, 110, 255),
    "right_eye": (255, 48, 48),
    "nose": (30, 215, 96),
    "mouth_left": (255, 255, 255),
    "mouth_right": (255, 255, 255),
}
"""RGB of each keypoint. Left and right are the subject's own: the left eye is blue on whichever side it appears."""

_LEGEND = (("left_eye", "left eye"), ("right_eye", "right eye"), ("nose", "nose"), ("mouth_left", "mouth corners"))
_FACE: Colour = (255, 196, 0)
_CONTOUR: Colour = (200, 244, 255)
_INK: Colour = (16, 18, 24)
_PAPER: Colour = (255, 255, 255)
_SUBPIXEL_BITS = 4
_SMOOTHING = 4
_RIMMED_SIDE = 32


@dataclass(frozen=True)
class _Sizes:
    """Line width, text height and edge distance in pixels, chosen from the picture's size."""

    line: int
    text: float
    gap: int

    @classmethod
    def for_picture(cls, width: int, height: int) -> _Sizes:
        side = (width * height) ** 0.5
        return cls(line=max(1, round(side / 420)), text=max(9.0, side / 52), gap=max(1, round(side / 160)))


def draw(frame: Frame, *, attributes: Mapping[str, Attribute] | None = None, colour_by: str | None = None) -> Picture:
    """A copy of the picture, (H, W, 3) uint8 RGB, with its faces drawn on it. The frame stays as it is.

    attributes: meanings of the columns that the table of `mien.attributes` lacks, from a model's card.
    colour_by: the attribute whose answer gives the boxes their colour; the legend then names the answers.

    Each face has a box, a label with its score and attributes, and its five keypoints as dots of `KEYPOINT_COLOURS`. Lines
    and text grow with the picture. Labels stay inside the picture; the legend takes the emptiest corner and is left out
    where the picture is too small for it. Raises `InputError` for an attribute that nobody describes.
    """
    canvas = frame.image.copy()
    faces = frame.faces
    if faces is None or not len(faces):
        return canvas
    sizes = _Sizes.for_picture(frame.width, frame.height)
    known = {name: find(name, attributes) for name in faces.attributes}
    chosen = find(colour_by, known) if colour_by else None
    tints = [_tint(chosen, faces, row) for row in range(len(faces))]
    for box, tint in zip(faces.boxes, tints, strict=True):
        _draw_box(canvas, box, tint, sizes)
    for face in faces:
        _draw_contours(canvas, face, known, sizes)
        _draw_keypoints(canvas, face, known, sizes)
    used: list[NDArray[np.float32]] = []
    for row, tint in enumerate(tints):
        _draw_label(canvas, faces.boxes[row], _label_lines(faces, row, known), tint, sizes, used)
    _draw_legend(canvas, faces, [*_named(known), *([chosen] if chosen is not None else [])], sizes, used)
    return canvas


def _tint(attribute: Attribute | None, faces: Faces, row: int) -> Colour:
    if attribute is None or not attribute.answers or attribute.name not in faces.attributes:
        return _FACE
    column = faces.attributes[attribute.name]
    if not np.isfinite(column[row]).all():
        return _FACE
    answer = answer_of(attribute, column, row)
    return _FACE if answer is None else colours(attribute)[answer]


def _label_lines(faces: Faces, row: int, known: Mapping[str, Attribute]) -> list[str]:
    texts = [short_text(known[name], column, row) for name, column in faces.attributes.items()]
    return [f"{faces.scores[row]:.2f}", *(text for text in texts if text)]


def _fixed_point(values: NDArray[np.floating]) -> NDArray[np.int32]:
    """Pixel coordinates (a pixel's centre at half) in OpenCV's fixed point (a pixel's centre at whole numbers)."""
    fixed: NDArray[np.int32] = np.round((np.clip(values, -1e6, 1e6) - 0.5) * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    return fixed


def _draw_box(canvas: Picture, box: NDArray[np.float32], tint: Colour, sizes: _Sizes) -> None:
    """A rounded rectangle with a dark rim, so that it shows on any background; a small face gets a thin line without rim."""
    if not np.isfinite(box).all():
        return
    height, width = canvas.shape[:2]
    side = float(min(box[2] - box[0], box[3] - box[1]))
    line = min(sizes.line, max(1, round(side / 24)))
    half = line // 2
    # Straight edges lie on whole pixels, where they are crisp, with their outer side inside the picture.
    x1, y1 = np.maximum(np.floor(box[:2]), half) + 0.5
    x2, y2 = np.minimum(np.floor(box[2:]), (width - 1 - half, height - 1 - half)) + 0.5
    radius = min(0.12 * min(x2 - x1, y2 - y1), 6 * line)
    if radius <= 0:
        return
    corners = ((x2 - radius, y1 + radius, -90), (x2 - radius, y2 - radius, 0), (x1 + radius, y2 - radius, 90))
    arcs = []
    for x, y, start in (*corners, (x1 + radius, y1 + radius, 180)):
        angles = np.deg2rad(np.linspace(start, start + 90, 9))
        arcs.append(np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], axis=1))
    outline = _fixed_point(np.concatenate(arcs))[:, None]
    if side >= _RIMMED_SIDE:
        cv2.polylines(canvas, [outline], True, _INK, line + max(1, 2 * round(line / 3)), cv2.LINE_AA, _SUBPIXEL_BITS)
    cv2.polylines(canvas, [outline], True, tint, line, cv2.LINE_AA, _SUBPIXEL_BITS)


def _draw_contours(canvas: Picture, face: Faces, known: Mapping[str, Attribute], sizes: _Sizes) -> None:
    """Small dots where an attribute tells points, smaller than keypoints so that the face stays to be seen."""
    width = float(face.boxes[0, 2] - face.boxes[0, 0])
    radius = float(np.clip(0.009 * width, 0.7, 1.6 * sizes.line))
    for name, column in face.attributes.items():
        if known[name].points and not known[name].point_names and width >= _RIMMED_SIDE:
            for x, y in column[0].reshape(-1, 2).tolist():
                if np.isfinite((x, y)).all():
                    _draw_circle(canvas, (x, y), radius + 0.5, _INK)
                    _draw_circle(canvas, (x, y), radius, _CONTOUR)


def _named(known: Mapping[str, Attribute]) -> list[Attribute]:
    """The attributes whose points have names, which are drawn as keypoints are."""
    return [attribute for attribute in known.values() if attribute.point_names]


def _draw_keypoints(canvas: Picture, face: Faces, known: Mapping[str, Attribute], sizes: _Sizes) -> None:
    width = float(face.boxes[0, 2] - face.boxes[0, 0])
    radius = float(np.clip(0.028 * width, 1.2, 3.2 * sizes.line + 1))
    rim = max(0.8, 0.35 * radius)
    for name, point in zip(KEYPOINT_NAMES, face.keypoints[0], strict=True):
        if np.isfinite(point).all():
            _draw_dot(canvas, (float(point[0]), float(point[1])), radius, rim, KEYPOINT_COLOURS[name])
    for attribute in _named(known):
        places = face.attributes[attribute.name][0].reshape(-1, 2).tolist()
        for (x, y), colour in zip(places, colours(attribute).values(), strict=True):
            if np.isfinite((x, y)).all():
                _draw_dot(canvas, (x, y), radius, rim, colour)


def _draw_dot(canvas: Picture, point: tuple[float, float], radius: float, rim: float, colour: Colour) -> None:
    _draw_circle(canvas, point, radius + rim, _INK)
    _draw_circle(canvas, point, radius, colour)
    x, y = int(np.floor(point[0])), int(np.floor(point[1]))
    if 0 <= y < canvas.shape[0] and 0 <= x < canvas.shape[1]:
        canvas[y, x] = colour


def _draw_circle(
    canvas: NDArray[np.uint8] | NDArray[np.float32], point: tuple[float, float], radius: float, colour: Colour | float
) -> None:
    centre = _fixed_point(np.array(point)).tolist()
    cv2.circle(canvas, centre, round(radius * (1 << _SUBPIXEL_BITS)), colour, -1, cv2.LINE_AA, _SUBPIXEL_BITS)


@lru_cache(maxsize=16)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _panel(
    lines: list[str], text: float, ink: Colour, paper: Colour, opacity: float, dots: list[Colour] | None = None
) -> tuple[Picture, NDArray[np.float32]]:
    """Lines of text on a rounded card, with a dot before each where asked: colours (h, w, 3), opacity (h, w) in [0, 1].

    Card and letters are drawn large and shrunk, which keeps the spacing of small letters even.
    """
    zoom = _SMOOTHING
    font = _font(round(text * zoom))
    pad, step = max(2.0, 0.38 * text), 1.22 * text
    indent = 1.25 * text if dots else 0.0
    width = int(np.ceil(max(font.getbbox(line)[2] for line in lines) / zoom + indent + 2 * pad))
    height = int(np.ceil(step * (len(lines) - 1) + text + 1.3 * pad))
    card, letters = (Image.new("L", (width * zoom, height * zoom)) for _ in range(2))
    ImageDraw.Draw(card).rounded_rectangle((0, 0, card.width - 1, card.height - 1), 0.32 * text * zoom, fill=255)
    brush = ImageDraw.Draw(letters)
    for row, line in enumerate(lines):
        # "lm": the middle of the letters' height stands at this point.
        middle = 0.65 * pad + text / 2 + row * step
        brush.text(((pad + indent) * zoom, middle * zoom), line, fill=255, font=font, anchor="lm")
    cover, strokes = (np.asarray(plane.reduce(zoom), np.float32)[..., None] / 255 for plane in (card, letters))
    pixels = np.round(np.array(paper) + (np.array(ink) - np.array(paper)) * strokes).astype(np.uint8)
    shown = np.maximum(opacity * cover, strokes)[..., 0]
    for row, colour in enumerate(dots or ()):
        centre = (pad + 0.42 * text, 0.65 * pad + text / 2 + row * step)
        _draw_dot(pixels, centre, 0.30 * text, 0.09 * text, colour)
        _draw_circle(shown, centre, 0.39 * text, 1.0)
    return pixels, shown


def _paste(canvas: Picture, panel: tuple[Picture, NDArray[np.float32]], left: int, top: int) -> None:
    """Blend a panel onto the canvas; what would lie outside is cut off."""
    pixels, shown = panel
    height, width = canvas.shape[:2]
    rows = slice(max(top, 0), min(top + len(pixels), height))
    columns = slice(max(left, 0), min(left + pixels.shape[1], width))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    cut = (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
    below = canvas[rows, columns].astype(np.float32)
    weight = shown[cut][..., None]
    canvas[rows, columns] = np.round(below + (pixels[cut].astype(np.float32) - below) * weight).astype(np.uint8)


def _draw_label(
    canvas: Picture,
    box: NDArray[np.float32],
    lines: list[str],
    tint: Colour,
    sizes: _Sizes,
    used: list[NDArray[np.float32]],
) -> None:
    """The label above its box, or where it covers no other label: below, inside at the top, inside at the bottom."""
    if not np.isfinite(box).all():
        return
    text = float(np.clip(0.16 * (box[3] - box[1]), min(9.0, sizes.text), sizes.text))
    panel = _panel(lines, text, _INK, tint, 0.94)
    height, width = panel[0].shape[:2]
    lift = sizes.line // 2 + 1
    best: tuple[float, int, int] | None = None
    for top in (box[1] - lift - height, box[3] + lift, box[1] + lift, box[3] - lift - height):
        place = _inside(canvas, box[0] - sizes.line / 2, float(top), width, height)
        region = np.array([[place[0], place[1], place[0] + width, place[1] + height]], np.float32)
        hidden = float(intersection_area(region, np.stack(used)).sum()) if used else 0.0
        cost = hidden + abs(place[1] - float(top)) * width
        if best is None or cost < best[0]:
            best = (cost, *place)
        if cost < 1 + width:
            break
    if best is not None:
        _paste(canvas, panel, best[1], best[2])
        used.append(np.array([best[1], best[2], best[1] + width, best[2] + height], np.float32))


def _inside(canvas: Picture, left: float, top: float, width: int, height: int) -> tuple[int, int]:
    """The nearest place at which a panel of this size lies inside the picture."""
    rows, columns = canvas.shape[:2]
    return max(0, min(round(left), columns - width)), max(0, min(round(top), rows - height))


def _draw_legend(
    canvas: Picture, faces: Faces, told: Sequence[Attribute], sizes: _Sizes, used: list[NDArray[np.float32]]
) -> None:
    """What the colours mean, in the corner where it hides least; nothing where it would take too much of the picture."""
    lines = [text for _, text in _LEGEND]
    dots = [KEYPOINT_COLOURS[name] for name, _ in _LEGEND]
    for attribute in told:
        for name, colour in colours(attribute).items():
            lines.append(attribute.short.get(name, name.replace("_", " ")))
            dots.append(colour)
    panel = _panel(lines, max(9.0, 0.86 * sizes.text), _PAPER, _INK, 0.62, dots)
    height, width = panel[0].shape[:2]
    rows, columns = canvas.shape[:2]
    if width > 0.34 * columns or height > 0.34 * rows:
        return
    gap = sizes.gap
    corners = [(gap, rows - height - gap), (columns - width - gap, rows - height - gap)]
    corners += [(columns - width - gap, gap), (gap, gap)]
    regions = np.array([[x, y, x + width, y + height] for x, y in corners], np.float32)
    finite = faces.boxes[np.isfinite(faces.boxes).all(axis=1)]
    taken = np.concatenate([finite, np.stack(used)]) if used else finite
    hidden = (intersection_area(regions, taken) / box_area(regions)[:, None]).sum(axis=1)
    _paste(canvas, panel, *corners[int(hidden.argmin())])
