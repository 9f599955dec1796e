"""Drawn patterns: studio paper, stripes, paper-cut waves, tiles, halftone print, neon tubes."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from mien.filters.motifs.canvas import Canvas, Picture, Plane, mixed, ramp, scaled, screened, shifted, smoothstep, srgb_of
from mien.filters.motifs.motif import FINE, SHARP, register

_STRIPE, _WAVE_LAYERS, _TILE = 0.115, 7, 0.086
_STRIPE_STEPS = 4
_DOT = 0.021
_DOT_ANGLE_DEG = 24.0
_GLOW_PX, _GLOW_UNIT_PX = 3, 720
"""Soft light is drawn this many times smaller in a picture of that many pixels a unit."""


@register("studio")
def studio(canvas: Canvas, _: Picture) -> Picture:
    """A seamless sheet in a pale tone of the scheme, as behind a studio portrait."""
    x, y, _radius = canvas.head
    base = canvas.scheme.base
    pale = base if canvas.is_named else np.array(shifted(base, 0.90 - base[0], 0.42), np.float32)
    away = np.hypot(canvas.x - x - 0.25 * canvas.light_side, (canvas.y - y) * 0.85) / max(canvas.width, canvas.height)
    floor = smoothstep(0.78, 1.0, canvas.y / canvas.height)
    return ramp(
        1 - away - 0.18 * floor,
        [(0.0, shifted(pale, -0.16, 1.5)), (0.6, shifted(pale, 0.0)), (1.0, shifted(pale, 0.07, 0.6))],
    )


@register("stripes", longest=SHARP)
def stripes(canvas: Canvas, _: Picture) -> Picture:
    """Slanting bands of cut paper in the scheme's colours, wide and narrow by turns, each with the shadow of the next."""
    scheme = canvas.scheme
    colours = [
        shifted(scheme.base, 0.0),
        shifted(scheme.deep, 0.02),
        shifted(scheme.base, 0.16, 0.7),
        shifted(scheme.accent, 0.03),
        shifted(scheme.page, -0.01, 2.0),
        shifted(scheme.glow, 0.05),
    ]
    widths = np.array([1.0, 0.55, 0.30, 1.15, 0.30, 0.75]) * _STRIPE
    ends = np.cumsum(widths).astype(np.float32)
    # All but the light is the same along a band, so one row across the bands is drawn and then laid out slanting.
    count = max(len(widths), round(float(ends[-1]) * _STRIPE_STEPS * canvas.unit))
    step = float(ends[-1]) / count
    at = (np.arange(count, dtype=np.float32) + 0.5) * np.float32(step)
    band = np.searchsorted(ends, at, side="right").clip(0, len(widths) - 1)
    inside = at - np.concatenate([[0], ends[:-1]]).astype(np.float32)[band]
    tones = srgb_of(colours)
    previous = tones[(band - 1) % len(widths)]
    row = previous + (tones[band] - previous) * np.clip(inside * np.float32(canvas.unit) + 0.5, 0, 1)[:, None]
    row *= (1 - 0.20 * np.exp(-inside / 0.012) - 0.05 * np.exp(-inside / 0.05))[:, None]
    slant = np.array([1.0, 0.62 * canvas.light_side]) / np.hypot(1, 0.62)
    start = (10 + slant.sum() * 0.5 / canvas.unit) / step - 0.5
    move = np.array([[*(slant / canvas.unit / step), start % count], [0, 0, 0]])
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    bands = cv2.warpAffine(row[None].astype(np.float32), move, canvas.size_wh, flags=how, borderMode=cv2.BORDER_WRAP)
    away = canvas.away(canvas.head[0], canvas.head[1])
    return scaled(np.asarray(bands, np.float32), 1.04 - np.float32(0.10 / max(canvas.width, canvas.height)) * away)


@register("waves", layer="land", longest=SHARP)
def waves(canvas: Canvas, below: Picture) -> Picture:
    """Rolling layers of cut paper, each with a soft shadow on the one behind. Over a sky they take its lower part."""
    scheme = canvas.scheme
    random = canvas.random("waves")
    picture = below.copy()
    first = 0.60 if canvas.is_overlay else 0.10
    stops = [
        (0.0, shifted(scheme.glow, 0.10, 0.8)),
        (0.45, shifted(scheme.base)),
        (0.75, shifted(scheme.accent, -0.08)),
        (1.0, shifted(scheme.deep, -0.10)),
    ]
    tones = ramp(np.linspace(0, 1, _WAVE_LAYERS, dtype=np.float32)[None], stops)[0]
    crests = []
    for layer in range(_WAVE_LAYERS):
        foot = (first + (1.0 - first) * 0.90 * layer / (_WAVE_LAYERS - 1)) * canvas.height
        pace, start, second = random.uniform(3.2, 5.2), random.uniform(0, 6.28), random.uniform(0, 6.28)
        swing = 0.058 * np.sin(pace * canvas.x + start) + 0.026 * np.sin(1.9 * pace * canvas.x + second)
        crests.append((foot + swing + 0.02 * canvas.x * (-1) ** layer).astype(np.float32))
    lowest = [float(crest.max()) for crest in crests[1:]] + [canvas.height]
    for crest, tone, last in zip(crests, tones, lowest, strict=True):
        rows = slice(_row(canvas, float(crest.min()) - 0.13), _row(canvas, max(last, float(crest.max())) + 0.02) + 1)
        under = canvas.y[rows] - crest
        if not under.size:
            continue
        cover = canvas.cover(-under)
        left = (1 - cover) * (1 - np.float32(0.30) * np.exp(np.minimum(under, 0) * np.float32(1 / 0.034)))
        deep = np.maximum(under, 0)
        edge = 1 + np.float32(0.10) * np.exp(deep * np.float32(-1 / 0.006))
        edge += np.float32(0.05) * np.exp(deep * np.float32(-1 / 0.09))
        sheet = cv2.merge([np.minimum(edge * np.float32(part), 1) * cover for part in tone])
        picture[rows] = cv2.multiply(picture[rows], cv2.merge([left, left, left])) + sheet
    return picture


def _row(canvas: Canvas, y: float) -> int:
    """The row of pixels at a height in units, within the picture."""
    return int(min(max(y * canvas.unit, 0), canvas.size_wh[1]))


@register("grid", layer="surface", longest=FINE)
def grid(canvas: Canvas, below: Picture) -> Picture:
    """Glazed square tiles with a fine joint, each a little different; over another motif, a mosaic of it."""
    columns, rows = canvas.x / _TILE, canvas.y / _TILE
    shift = float(canvas.random("start").random())
    columns, rows = columns + shift, rows + shift
    column, row = np.floor(columns).astype(int), np.floor(rows).astype(int)
    count = (int(row.max()) + 1, int(column.max()) + 1)
    to_x = ((np.arange(count[1]) + 0.5 - shift) * _TILE * canvas.unit - 0.5).astype(np.float32)
    to_y = ((np.arange(count[0]) + 0.5 - shift) * _TILE * canvas.unit - 0.5).astype(np.float32)
    smooth = canvas.blurred(below, 0.3 * _TILE)
    tones = cv2.remap(smooth, *np.meshgrid(to_x, to_y), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    random = canvas.random("tiles")
    table = random.standard_normal((128, 128, 2)).astype(np.float32)[: count[0], : count[1]]
    tones = np.clip(tones * (1 + 0.065 * table[..., :1]), 0, 1)
    if not canvas.is_overlay:
        special = table[..., 1] > 1.45
        tones[special] = srgb_of(shifted(canvas.scheme.accent, 0.03)) * 0.75 + tones[special] * 0.25
    picture = tones[row[:, 0]][:, column[0]]
    away_x, away_y = np.abs(columns - column - 0.5), np.abs(rows - row - 0.5)
    corner = np.float32(0.10)
    edge = np.hypot(np.maximum(away_x - 0.465 + corner, 0), np.maximum(away_y - 0.465 + corner, 0)) - corner
    part_x, part_y = columns - column - 0.5, rows - row - 0.5
    gloss = (
        1 + 0.10 * (-part_y - 0.5 * canvas.light_side * -part_x) + 0.05 * np.exp(-np.abs(edge) / 0.035) * (np.sign(-part_y))
    )
    joint = np.minimum(smooth * np.float32(0.55) + np.float32(0.36), 1)
    return mixed(joint, scaled(picture, gloss), canvas.cover(edge * np.float32(_TILE)))


@register("halftone", layer="surface", longest=FINE)
def halftone(canvas: Canvas, below: Picture) -> Picture:
    """Dots of a coarse print that grow away from the head, in two inks on paper; over another motif, a print of it."""
    turn = np.deg2rad(_DOT_ANGLE_DEG)
    across = (np.float32(np.cos(turn)) * canvas.x + np.float32(np.sin(turn)) * canvas.y) / np.float32(_DOT)
    down = (np.float32(np.cos(turn)) * canvas.y - np.float32(np.sin(turn)) * canvas.x) / np.float32(_DOT)
    away = np.hypot(across - np.floor(across) - 0.5, down - np.floor(down) - 0.5)
    scheme = canvas.scheme
    if canvas.is_overlay:
        smooth = canvas.blurred(below, 0.35 * _DOT)
        darkness = 1 - smooth @ np.array([0.30, 0.59, 0.11], np.float32)
        radius = np.sqrt(np.clip(0.05 + 0.75 * darkness, 0, 1)) * 0.74
        ground = np.minimum(0.35 + 0.75 * smooth, 1).astype(np.float32)
        return mixed(ground, smooth * np.float32(0.72), canvas.cover((away - radius) * np.float32(_DOT)))
    x, y, radius_of_head = canvas.head
    far = np.hypot(canvas.x - x, canvas.y - y) / np.float32(max(canvas.width, canvas.height))
    slope = 0.5 + 0.55 * (canvas.y / canvas.height - 0.5) - 0.3 * canvas.light_side * (canvas.x / canvas.width - 0.5)
    level = np.clip(1.25 * (far - 0.18) + 0.55 * (slope - 0.35), 0, 1)
    radius = np.sqrt(level).astype(np.float32) * 0.72
    rays = np.arctan2(canvas.y - y, canvas.x - x) * np.float32(12 / np.pi)
    beam = smoothstep(-0.03, 0.03, np.abs(rays % 2 - 1) - 0.5) * smoothstep(
        0.6, 1.6, far / max(radius_of_head, 0.05) * max(canvas.width, canvas.height) / 1.5
    )
    light = srgb_of(shifted(scheme.base, 0.18, 0.75))
    lighter = srgb_of(shifted(scheme.base, 0.24, 0.55))
    ground = light + (lighter - light) * beam[..., None]
    ink = srgb_of(shifted(scheme.deep, -0.02, 1.15))
    return mixed(ground.astype(np.float32), ink, canvas.cover((away - radius) * np.float32(_DOT)) * 0.92)


@register("neon", layer="scatter", ground=("night",), longest=FINE)
def neon(canvas: Canvas, below: Picture) -> Picture:
    """Glass tubes of light round the head and along the sides, their glow in the haze and on a brick wall."""
    _x, _y, radius = canvas.head
    scheme = canvas.scheme
    first = srgb_of((0.70, 0.24, float(scheme.accent[2])))
    second = srgb_of((0.74, 0.19, float((scheme.base[2] + (0 if canvas.is_named else 15)) % 360)))
    ring = float(np.clip(1.75 * radius, 0.24, 0.42))
    # What glows softly is worked out on a smaller picture; only the tubes themselves need every pixel.
    step = max(1, int(_GLOW_PX * canvas.unit / _GLOW_UNIT_PX))
    small = replace(canvas, size_wh=(max(1, canvas.size_wh[0] // step), max(1, canvas.size_wh[1] // step)))
    if not canvas.is_overlay:
        below = _bricks(canvas)
    circle, inner, bars = _tubes(small, ring)
    wide = 0.55 * _falloff(circle, 0.16) + 0.35 * _falloff(inner, 0.10)
    lit = np.float32(0.10) + _tinted(wide, first) + _tinted(0.40 * _falloff(bars, 0.13), second)
    lit = cv2.resize(lit, canvas.size_wh, interpolation=cv2.INTER_LINEAR)
    glow = _tinted(0.50 * _falloff(circle, 0.030), first) + _tinted(0.50 * _falloff(inner, 0.030), second)
    glow += _tinted(0.50 * _falloff(bars, 0.030), second)
    light = cv2.resize(glow, canvas.size_wh, interpolation=cv2.INTER_CUBIC)
    picture = (
        np.minimum(below * (np.float32(0.55) + np.float32(2.6) * lit), 1)
        if not canvas.is_overlay
        else screened(below * np.float32(0.85), np.float32(0.25) * lit)
    )
    cores = np.zeros(canvas.shape, np.float32)
    for tube, colour in zip(_tubes(canvas, ring), (first, second, second), strict=True):
        near = np.square(tube)
        light += _tinted(0.85 * np.exp(near * np.float32(-1 / 0.0075**2)), colour)
        cores = np.maximum(cores, np.exp(near * np.float32(-1 / 0.0042**2)))
    return screened(screened(picture, light), np.float32(0.9) * cores, 0.3 * first + 0.7)


def _tubes(canvas: Canvas, ring: float) -> tuple[Plane, Plane, Plane]:
    """How far each pixel is from the outer ring, the open inner ring and the bars, (H, W) in units."""
    x, y, _radius = canvas.head
    away = canvas.away(x, y)
    across = np.ascontiguousarray(np.broadcast_to(canvas.x - np.float32(x), canvas.shape))
    down = np.ascontiguousarray(np.broadcast_to(canvas.y - np.float32(y), canvas.shape))
    angle = cv2.phase(across, down)
    gap = np.abs((angle - np.float32(0.9 * canvas.light_side - np.pi)) % np.float32(2 * np.pi) - np.float32(np.pi))
    inner = np.abs(away - np.float32(ring + 0.045)) + np.float32(0.5) * smoothstep(1.75, 1.6, gap)
    bars: Plane = np.full(canvas.shape, 81.0, np.float32)
    for number in range(3):
        past = np.maximum(np.abs(canvas.y - np.float32(y + 0.06 * number)) - np.float32(0.34 - 0.07 * number), 0)
        for side in (-1, 1):
            centre = x + side * (ring + 0.20 + 0.10 * number)
            lean = (canvas.x - np.float32(centre)) - np.float32(side * 0.25) * (canvas.y - np.float32(y))
            bars = np.minimum(bars, np.square(lean) + np.square(past))
    return np.abs(away - np.float32(ring)), inner, np.sqrt(bars)


def _tinted(level: Plane, colour: Plane) -> Picture:
    """Light of one sRGB colour, (H, W, 3)."""
    return np.asarray(cv2.merge([np.asarray(level * np.float32(part), np.float32) for part in colour]), np.float32)


def _falloff(away: Plane, reach: float) -> Plane:
    level = 1 + np.square(away * np.float32(1 / reach))
    return np.asarray(1 / (level * np.sqrt(level)), np.float32)


def _bricks(canvas: Canvas) -> Picture:
    """A dark wall for the tubes to shine on, (H, W, 3)."""
    high, wide = 0.048, 0.125
    row = np.floor(canvas.y / high)
    column = canvas.x / wide + 0.5 * (row % 2)
    part_x, part_y = (column - np.floor(column) - 0.5) * wide, (canvas.y / high - row - 0.5) * high
    edge = np.maximum(np.abs(part_x) - wide / 2, np.abs(part_y) - high / 2) + 0.0035 + 0.0012 * canvas.noise("chips", 30.0)
    table = canvas.random("bricks").random((64, 64)).astype(np.float32)
    tone = table[row.astype(int) % 64, np.floor(column).astype(int) % 64]
    rough = canvas.fractal("rough", 26.0, 4, gain=0.65)
    stone = srgb_of((0.30, 0.035, float(canvas.scheme.deep[2])))
    brick = canvas.cover(edge) * (0.75 + 0.40 * tone + 0.10 * rough) + (1 - canvas.cover(edge)) * (0.42 + 0.05 * rough)
    return scaled(np.broadcast_to(stone, (*canvas.shape, 3)).astype(np.float32), brick)
