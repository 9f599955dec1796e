"""Things that float before the background, at several distances from the lens: bokeh, confetti, snow."""

from __future__ import annotations

import cv2
import numpy as np

from mien.filters.motifs.canvas import Canvas, Picture, Plane, ramp, screened, shifted, srgb_of
from mien.filters.motifs.motif import FINE, SOFT, register
from mien.filters.motifs.sprites import draw_discs, scatter_evenly, splat

_PIECES_IN_UNIT = 190
_FLAKES_IN_UNIT = 420
_FINE_BITS = 4


@register("bokeh", layer="scatter", ground=("dusk",), longest=SOFT)
def bokeh(canvas: Canvas, below: Picture) -> Picture:
    """Lights far out of focus: large pale discs behind, small clear ones before, in warm white and the scheme's colours."""
    scheme, random = canvas.scheme, canvas.random("lights")
    tints = srgb_of(
        [shifted(scheme.glow, 0.10), shifted(scheme.accent, 0.08), shifted(scheme.base, 0.12), (0.93, 0.055, 82.0)]
    )
    light = np.zeros_like(below)
    area = canvas.width * canvas.height
    for key, number, least, most, level in (
        ("far", 26, 0.055, 0.125, 0.30),
        ("mid", 34, 0.026, 0.062, 0.44),
        ("near", 30, 0.008, 0.024, 0.70),
    ):
        count = max(3, int(number * area))
        places = scatter_evenly(canvas.random(key), count, canvas.width, canvas.height)
        places[:, 1] = canvas.height * (0.5 + (places[:, 1] / canvas.height - 0.5) * 1.1)
        radius = least + (most - least) * random.random(count) ** 1.5
        strength = level * random.uniform(0.35, 1.0, count)
        layer = np.zeros_like(below)
        draw_discs(
            layer, canvas.unit, places, radius, tints[random.choice(4, count, p=(0.3, 0.25, 0.2, 0.25))] * strength[:, None]
        )
        light += canvas.blurred(layer, 0.006) if key == "far" else layer
    return screened(below, light * np.float32(0.75 if canvas.is_overlay else 1.0))


@register("dusk")
def dusk(canvas: Canvas, _: Picture) -> Picture:
    """The deep end of the scheme's colours, a little lighter behind the head: what lights stand out from."""
    x, y, _radius = canvas.head
    away = np.hypot(canvas.x - x, canvas.y - y) / max(canvas.width, canvas.height)
    field = np.exp(-((away / 0.55) ** 2)) + 0.10 * canvas.noise("air", 1.1)
    deep, base = canvas.scheme.deep, canvas.scheme.base
    return ramp(
        field,
        [
            (0.0, (0.17, 0.8 * float(deep[1]), float(deep[2]))),
            (0.6, (0.33, float(deep[1]), float(deep[2]))),
            (1.0, (0.47, float(base[1]), float(base[2]))),
        ],
    )


@register("confetti", layer="scatter", ground=("studio",), longest=FINE)
def confetti(canvas: Canvas, below: Picture) -> Picture:
    """Paper snippets, dots and streamers that fall through the air, those near the lens and far from it out of focus."""
    scheme, random = canvas.scheme, canvas.random("pieces")
    base = scheme.base
    hues = (0.0, 42.0, -48.0, 150.0, 200.0)
    colours = [(0.74 + 0.05 * (k % 2), 0.155, float((base[2] + turn) % 360)) for k, turn in enumerate(hues)]
    if canvas.is_named:
        colours = [
            shifted(base, lift, strength) for lift, strength in ((0.0, 1.0), (0.12, 0.8), (-0.12, 1.0), (0.2, 0.5))
        ] + [shifted(scheme.accent)]
    tones = srgb_of([*colours, (0.98, 0.01, 90.0), (0.82, 0.12, 88.0)])
    picture = (below * 255).astype(np.uint8)
    for depth, share, size, reach in (("far", 0.45, 0.55, 0.0024), ("mid", 0.47, 1.0, 0.0), ("near", 0.08, 2.3, 0.0062)):
        count = int(_PIECES_IN_UNIT * share * canvas.width * canvas.height) + 1
        places = scatter_evenly(canvas.random(depth), count, canvas.width, canvas.height) + random.normal(
            0, 0.02, (count, 2)
        )
        pieces, cover = np.zeros_like(picture), np.zeros(canvas.shape, np.uint8)
        shadow = np.zeros(canvas.shape, np.uint8)
        for place in places:
            tone = tones[int(random.integers(len(tones)))]
            outline, light = _snippet(random, place, 0.017 * size * random.uniform(0.7, 1.25))
            points = np.round(outline * canvas.unit * 2**_FINE_BITS).astype(np.int32)
            colour = tuple(float(v) for v in np.clip(tone * light, 0, 1) * 255)
            cv2.fillPoly(cover, [points], 255, cv2.LINE_AA, _FINE_BITS)
            cv2.fillPoly(pieces, [points], colour, cv2.LINE_8, _FINE_BITS)
            cv2.polylines(pieces, [points], True, colour, 3, cv2.LINE_8, _FINE_BITS)
            if depth == "mid":
                drop = np.round(np.array([-0.006 * canvas.light_side, 0.013]) * canvas.unit * 2**_FINE_BITS).astype(np.int32)
                cv2.fillPoly(shadow, [points + drop], 255, cv2.LINE_AA, _FINE_BITS)
        weight: Plane = np.asarray(cover / np.float32(255), np.float32)
        if depth == "mid":
            picture = (picture * (1 - 0.16 * canvas.blurred(shadow.astype(np.float32) / 255, 0.006))[..., None]).astype(
                np.uint8
            )
        if reach:
            soft = canvas.blurred(weight, reach)
            spread = canvas.blurred(pieces.astype(np.float32) * weight[..., None], reach) / np.maximum(soft, 1e-4)[..., None]
            pieces, weight = np.clip(spread, 0, 255).astype(np.uint8), soft * (0.8 if depth == "far" else 0.92)
        picture = cv2.blendLinear(pieces, picture, weight, 1 - weight)
    return picture.astype(np.float32) / 255


def _snippet(random: np.random.Generator, place: np.ndarray, size: float) -> tuple[np.ndarray, float]:
    """The outline of one piece, (N, 2) in units, tilted in space, and how bright that tilt makes it."""
    kind, tilt, turn = random.random(), random.uniform(0.25, 1.0), random.uniform(0, 6.28)
    if kind < 0.55:
        half = np.array([(-1, -0.55), (1, -0.55), (1, 0.55), (-1, 0.55)])
    elif kind < 0.82:
        angles = np.linspace(0, 2 * np.pi, 28, endpoint=False)
        half = np.stack([np.cos(angles), np.sin(angles)], 1) * 0.72
    else:
        along = np.linspace(-1, 1, 18)
        curl = 0.38 * np.sin(along * 5.5 + turn)
        half = np.concatenate([np.stack([along * 2.3, curl - 0.17], 1), np.stack([along * 2.3, curl + 0.17], 1)[::-1]])
        tilt = 1.0
    half = half * (1.0, tilt) * size
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return half @ rotation.T + place, 0.80 + 0.30 * tilt * random.uniform(0.7, 1.0)


@register("snow", layer="scatter", ground=("mist", "forest"), longest=SOFT)
def snow(canvas: Canvas, below: Picture) -> Picture:
    """Falling flakes at every distance, the near ones large and soft, over a cold haze."""
    random = canvas.random("flakes")
    cold = srgb_of((0.90, 0.025, 240.0))
    haze = np.broadcast_to(0.22 + 0.40 * canvas.y / canvas.height, canvas.shape)
    grey = below.mean(axis=2, keepdims=True)
    picture = screened(grey + (below - grey) * np.float32(0.75 if canvas.is_overlay else 0.45), 0.45 * haze, cold)
    count = int(_FLAKES_IN_UNIT * canvas.width * canvas.height)
    places = random.random((count, 2)) * (canvas.width, canvas.height)
    near = random.random(count) ** 4
    reach = 0.0011 + 0.0052 * near + 0.0008 * random.random(count)
    level = (1.0 - 0.35 * near) * random.uniform(0.45, 1.0, count)
    light = np.zeros_like(below)
    splat(light, canvas.unit, places, reach, level[:, None] * np.ones((1, 3)))
    few = max(4, int(26 * canvas.width * canvas.height))
    large = scatter_evenly(canvas.random("near"), few, canvas.width, canvas.height)
    draw_discs(
        light,
        canvas.unit,
        large,
        random.uniform(0.008, 0.026, few),
        np.full((few, 3), 0.48) * random.uniform(0.4, 1, (few, 1)),
        0.0,
    )
    return screened(picture, canvas.blurred(light, 0.0012))
