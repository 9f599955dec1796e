"""What one can touch: painted canvas, paper, marble, watercolour. Over other motifs they give those their relief."""

from __future__ import annotations

import cv2
import numpy as np

from mien.filters.motifs.canvas import Canvas, Picture, Plane, mixed, ramp, scaled, shifted, smoothstep, srgb_of
from mien.filters.motifs.motif import FINE, register

_WEAVE_CELLS = 170.0
_WASHES = 4


def _head_light(canvas: Canvas, reach: float = 0.9) -> Plane:
    """(H, W), 1 behind the head and falling to 0 far from it."""
    x, y, _ = canvas.head
    away = canvas.away(x, y) * np.float32(1.5 / (reach * max(canvas.width, canvas.height)))
    return np.asarray(np.exp(-np.square(away)), np.float32)


@register("texture", layer="surface", longest=FINE)
def texture(canvas: Canvas, below: Picture) -> Picture:
    """A painter's studio backdrop: broad mottled strokes in neighbouring tones on a woven canvas, lit behind the head."""
    strokes = canvas.fractal("strokes", 2.2, 5, gain=0.62)
    strokes = canvas.moved(strokes, 0.09 * canvas.noise("bristle-x", 5.0), 0.09 * canvas.noise("bristle-y", 5.0))
    weave = canvas.noise("warp", _WEAVE_CELLS, 0.35) + canvas.noise("weft", _WEAVE_CELLS * 0.5, 3.0)
    relief = 0.013 * weave + 0.030 * np.clip(canvas.fractal("plaster", 14.0, 4, gain=0.65), -2, 2)
    if canvas.is_overlay:
        return scaled(below, 1 + 1.5 * relief + 0.055 * np.clip(strokes, -2, 2))
    base, deep, glow, accent = canvas.scheme.base, canvas.scheme.deep, canvas.scheme.glow, canvas.scheme.accent
    light = _head_light(canvas)
    stops = [
        (0.0, shifted(deep, -0.12, 0.75)),
        (0.38, shifted(deep, 0.0, 0.7)),
        (0.70, shifted(base, 0.02, 0.62)),
        (1.0, shifted(glow, 0.06, 0.6)),
    ]
    picture = ramp(0.14 + 0.62 * light + 0.11 * strokes, stops)
    tinge = smoothstep(0.2, 1.8, canvas.fractal("tinge", 1.4, 4)) * 0.38
    picture = mixed(picture, srgb_of(shifted(accent, base[0] - accent[0], 0.7)), tinge * (0.35 + 0.65 * light))
    return scaled(picture, 1 + relief)


@register("paper", layer="surface", longest=FINE)
def paper(canvas: Canvas, below: Picture) -> Picture:
    """A sheet that was crumpled and smoothed out again: creases between flat facets, fibres in the light from the side."""
    slope = 0.55 * _facets(canvas, "large", 22) + 0.45 * _facets(canvas, "small", 95)
    bend_x, bend_y = canvas.noise("bend-x", 5.0), canvas.noise("bend-y", 5.0)
    slope = canvas.blurred(canvas.moved(slope, 0.012 * bend_x, 0.012 * bend_y), 0.0022)
    fibre = canvas.noise("fibre", 120.0, 2.5) + canvas.noise("pulp", 190.0)
    relief = 0.075 * slope + 0.007 * fibre + 0.02 * canvas.noise("shade", 1.0)
    if canvas.is_overlay:
        return scaled(below, 1 + relief)
    base = canvas.scheme.base
    tone = base if canvas.is_named else shifted(base, 0.90 - base[0], 0.30)
    light = _head_light(canvas, 1.1)
    stops = [(0.0, shifted(np.array(tone), -0.10, 1.2)), (1.0, shifted(np.array(tone), 0.05, 0.9))]
    return scaled(ramp(0.25 + 0.75 * light, stops), 0.985 + relief)


def _facets(canvas: Canvas, key: str, count: int) -> Plane:
    """How much light each flat piece of a crumpled sheet turns to, (H, W), mean 0: tilted cells round points.

    count: pieces in a square unit. The cells are those of Worley, "A Cellular Texture Basis Function", SIGGRAPH 1996.
    """
    random = canvas.random(key)
    number = max(2, int(count * canvas.width * canvas.height))
    places = random.random((number, 2)) * (canvas.width, canvas.height)
    tilts, turns = random.standard_normal(number) * 0.6, random.standard_normal((number, 2)) * 2.4
    columns = np.minimum((places[:, 0] * canvas.unit).astype(int), canvas.size_wh[0] - 1)
    rows = np.minimum((places[:, 1] * canvas.unit).astype(int), canvas.size_wh[1] - 1)
    marks = np.ones(canvas.shape, np.uint8)
    marks[rows, columns] = 0
    _, labels = cv2.distanceTransformWithLabels(marks, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    owner = np.zeros(int(labels.max()) + 1, np.int64)
    owner[labels[rows, columns]] = np.arange(number)
    cell = owner[labels]
    tilt = tilts.astype(np.float32)[cell]
    tilt += turns[:, 0].astype(np.float32)[cell] * (canvas.x - places[:, 0].astype(np.float32)[cell])
    tilt += turns[:, 1].astype(np.float32)[cell] * (canvas.y - places[:, 1].astype(np.float32)[cell])
    return np.asarray(tilt, np.float32)


@register("marble", longest=FINE)
def marble(canvas: Canvas, _: Picture) -> Picture:
    """Polished stone: clouds of mineral, grey veins along warped cracks, and a thin thread of gold.

    Veins are where warped noise crosses 0 (Perlin, "An Image Synthesizer", SIGGRAPH 1985, after its marble).
    """
    bend_x, bend_y = canvas.fractal("bend-x", 1.6, 5, gain=0.55), canvas.fractal("bend-y", 1.6, 5, gain=0.55)
    clouds = canvas.moved(canvas.fractal("clouds", 1.2, 5, gain=0.58), 0.22 * bend_x, 0.22 * bend_y)

    run = canvas.random("run").uniform(0.45, 1.1) * canvas.light_side
    along = np.float32(np.cos(run)) * canvas.x + np.float32(np.sin(run)) * canvas.y

    def veins(key: str, number: float, width: float, bend: float) -> Plane:
        start = canvas.random(key).uniform(0, 1)
        field = number * along + start + bend * (bend_x + 0.6 * clouds) + 0.35 * canvas.noise(key, 2.2)
        away = np.abs((field - np.floor(field)) - 0.5) / number
        thick = width * (0.25 + 0.75 * smoothstep(-1.0, 1.5, canvas.noise(key + "-width", 2.6) + 0.5 * bend_y))
        return np.asarray(np.exp(-away / thick), np.float32)

    base = canvas.scheme.base
    pale = shifted(base, 0.0, 1.0) if canvas.is_named else shifted(base, 0.90 - base[0], 0.16)
    stone = np.array(pale, np.float32)
    dark = shifted(stone, -0.20, 1.25 if canvas.is_named else 2.2)
    light = shifted(stone, 0.10 if canvas.is_named else 0.06, 0.7)
    stops = [(0.0, dark), (0.5, shifted(stone)), (1.0, light)]
    picture = ramp(0.60 + 0.17 * clouds, stops)
    vein = (
        (0.10, float(0.7 * base[1]), float(base[2]))
        if stone[0] < 0.5
        else (float(stone[0] - 0.42), float(0.3 * base[1]), float(base[2]))
    )
    if stone[0] < 0.62:
        vein = (0.93, 0.02, float(base[2]))
    ink = srgb_of(vein)
    picture = mixed(picture, ink, 0.42 * veins("wide", 1.3, 0.045, 0.34))
    picture = mixed(picture, ink, 0.62 * veins("narrow", 2.1, 0.0065, 0.52))
    picture = mixed(picture, ink, 0.30 * veins("hair", 4.6, 0.0045, 0.80))
    gold = veins("gold", 0.9, 0.006, 0.40) * smoothstep(-0.5, 0.4, canvas.noise("seam", 1.3))
    glint = np.clip(0.5 + 0.30 * canvas.fractal("glint", 22.0, 3), 0, 1)
    metal = ramp(glint, [(0.0, (0.52, 0.10, 72.0)), (0.6, (0.76, 0.125, 84.0)), (1.0, (0.95, 0.07, 95.0))])
    picture = mixed(picture, metal, smoothstep(0.28, 0.55, gold))
    return scaled(picture, 0.95 + 0.08 * _head_light(canvas))


@register("watercolour", layer="surface", ground=("studio",), longest=FINE)
def watercolour(canvas: Canvas, below: Picture) -> Picture:
    """Wet washes on rough paper: pigment gathers at their drying edges and in the paper's grain. Over another motif, that
    motif is what was painted."""
    warp_x, warp_y = canvas.fractal("run-x", 2.6, 5, gain=0.6), canvas.fractal("run-y", 2.6, 5, gain=0.6)
    grain = canvas.fractal("grain", 85.0, 3, gain=0.7)
    sheet = srgb_of((0.975, 0.010, 85.0))
    picture = np.broadcast_to(sheet, below.shape).astype(np.float32)
    x, y, _ = canvas.head
    if canvas.is_overlay:
        washed = np.stack(
            [canvas.moved(np.ascontiguousarray(below[..., k]), 0.022 * warp_x, 0.022 * warp_y) for k in range(3)], -1
        )
        edge_x = np.minimum(canvas.x, canvas.width - canvas.x)
        edge_y = np.minimum(canvas.y, canvas.height - canvas.y)
        field = (np.minimum(edge_x, edge_y) - 0.055) / 0.06 + 0.5 * warp_x
        wash, rim = _wash(field, 0.16)
        flow = 1 + 0.05 * warp_y - 0.035 * grain - 0.10 * rim
        lifted = sheet - (sheet - washed) * np.float32(0.90)
        return scaled(mixed(picture, scaled(lifted, flow), wash), 1 + 0.010 * grain)
    random = canvas.random("washes")
    scheme = canvas.scheme
    inks = (scheme.base, scheme.accent, scheme.glow, scheme.deep)
    for number in range(_WASHES):
        ink = shifted(inks[number], 0.80 - inks[number][0] - 0.06 * number, 0.95)
        angle = 2.4 * number + random.uniform(-0.5, 0.5)
        centre_x = x + 0.30 * canvas.width * float(np.cos(angle))
        centre_y = y + 0.26 * canvas.height * float(np.sin(angle))
        across, down = (canvas.x - centre_x) / canvas.width, (canvas.y - centre_y) / canvas.height
        away = np.sqrt(np.square(across) + np.square(down))
        reach = 0.42 - 0.035 * number
        rough = canvas.fractal(f"wash{number}", 1.8, 3, gain=0.6) + 0.30 * (warp_x, warp_y)[number % 2]
        field = (reach - away) * 7 + 0.8 * rough
        wash, rim = _wash(field, 0.10 + 0.30 * float(random.random()))
        depth = wash * (0.66 + 0.20 * canvas.noise(f"pool{number}", 1.6)) + 0.34 * rim
        depth = np.clip(depth * (1 - 0.07 * grain), 0, 1)
        _glaze(picture, srgb_of(ink), depth)
    drops = smoothstep(2.35, 2.6, canvas.noise("drops", 13.0)) * smoothstep(-0.2, 1.2, canvas.noise("spray", 1.4))
    _glaze(picture, srgb_of(shifted(scheme.base, 0.05)), np.float32(0.5) * drops)
    return scaled(picture, 1 + 0.012 * grain)


def _wash(field: Plane, softness: float) -> tuple[Plane, Plane]:
    """Coverage of the wash where the field is above 0, and the dark rim just inside its edge, both (H, W)."""
    return smoothstep(0, softness, field), cv2.exp(-np.square((field - np.float32(0.14)) * np.float32(1 / 0.14)))


def _glaze(picture: Picture, ink: Plane, depth: Plane) -> None:
    """Lay a transparent colour over a picture in place: where ``depth`` (H, W) is 1, it is multiplied by ``ink`` (3,)."""
    for channel, level in enumerate(ink):
        picture[..., channel] *= 1 - depth * np.float32(1 - level)
