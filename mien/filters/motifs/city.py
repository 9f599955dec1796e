"""The lights of a city at night."""

from __future__ import annotations

import cv2
import numpy as np

from mien.filters.motifs.canvas import Canvas, Picture, Plane, mixed, screened, smoothstep, srgb_of
from mien.filters.motifs.lands import horizon_haze
from mien.filters.motifs.motif import FINE, register
from mien.filters.motifs.sprites import draw_discs

_STREETS = 3


@register("city lights", layer="land", ground=("night",), longest=FINE)
def city_lights(canvas: Canvas, below: Picture) -> Picture:
    """Blocks of lit windows out of focus, three streets deep, and the lamps of the nearest as discs of light."""
    glow = np.exp(-(((canvas.y - canvas.horizon) / 0.34) ** 2))
    stops = canvas.natural(((0.0, (0.72, 0.13, 55.0)), (0.5, (0.84, 0.12, 78.0)), (1.0, (0.90, 0.05, 240.0))))
    lamps = srgb_of([colour for _, colour in stops])
    picture = screened(below, 0.42 * np.broadcast_to(glow, canvas.shape), lamps[0])
    for layer in range(_STREETS):
        share = layer / (_STREETS - 1)
        random = canvas.random(f"street{layer}")
        picture = _street(canvas, picture, random, share, lamps)
    random = canvas.random("lamps")
    count = int(46 * canvas.width)
    x = random.uniform(0, canvas.width, count)
    y = canvas.horizon + (canvas.height - canvas.horizon) * (0.30 + 0.75 * random.random(count) ** 0.8)
    radius = 0.014 + 0.034 * random.random(count) ** 2
    tints = np.concatenate([lamps, srgb_of([(0.62, 0.19, 20.0), tuple(canvas.scheme.accent)])])
    light = np.zeros_like(picture)
    draw_discs(
        light, canvas.unit, np.stack([x, y], 1), radius, tints[random.choice(5, count, p=(0.36, 0.3, 0.14, 0.1, 0.1))] * 0.62
    )
    return screened(picture, light)


def _street(canvas: Canvas, below: Picture, random: np.random.Generator, share: float, lamps: Plane) -> Picture:
    """One row of buildings over what is below; share: 0 is the farthest, 1 the nearest."""
    wide = 0.085 + 0.075 * share
    count = int(canvas.width / (0.6 * wide)) + 3
    edges = np.cumsum(random.uniform(0.6, 1.5, count) * wide) - wide
    heights = (0.14 + 0.30 * random.random(count) ** 1.6) * (1.15 - 0.25 * share)
    foot = canvas.horizon + 0.05 + 0.42 * share * (canvas.height - canvas.horizon)
    block = np.minimum(np.searchsorted(edges, canvas.x[0]), count - 1)
    roof = foot - heights[block][None].astype(np.float32)
    # Only the rows between the highest roof and what hides the street are drawn.
    reach = (0.0035, 0.0028, 0.0022)[round(share * 2)]
    rows = slice(_row(canvas, float(roof.min()) - 4 * reach), canvas.size_wh[1])
    if rows.start >= rows.stop:
        return below
    y, behind = canvas.y[rows], np.ascontiguousarray(below[rows])
    cover = canvas.cover(roof - y)
    cell_x, cell_y = 0.0125 + 0.007 * share, 0.0175 + 0.009 * share
    left = np.concatenate([[-wide], edges])[block][None].astype(np.float32)
    at_x, at_y = (canvas.x - left) / np.float32(cell_x), (y - roof) / np.float32(cell_y)
    column, row = np.floor(at_x).astype(np.int32), np.floor(at_y).astype(np.int32)
    table = random.random((128, 128)).astype(np.float32)
    house = block[None].astype(np.int32)
    chance = np.take(table, ((row * 5 + house * 17) & 127) * 128 + ((column + house * 11) & 127))
    open_x = smoothstep(0.5, 0.3, np.abs(at_x - column - 0.5))
    open_y = smoothstep(0.5, 0.32, np.abs(at_y - row - 0.5))
    tint = np.float32(7.3) * chance
    lit = ((chance > 0.56) & (at_y > 0.7)) * (np.float32(0.35) + np.float32(0.65) * (tint - np.floor(tint)))
    lit = np.asarray(lit * open_x * open_y, np.float32)
    wall = srgb_of((0.20 - 0.07 * share, 0.045, canvas.natural(((0.0, (0.2, 0.04, 275.0)),))[0][1][2]))
    tone = horizon_haze(below, canvas) * np.float32(0.34 * (1 - share)) + wall * np.float32(0.55 + 0.45 * share)
    fade = np.clip(1.15 - 0.55 * (y - np.float32(foot - 0.3)), 0.4, 1) * np.float32(0.62 + 0.28 * share)
    body = cv2.merge(
        [float(dark) + lit * fade * float((1 - dark) * lamp) for dark, lamp in zip(tone, lamps[1], strict=True)]
    )
    body = mixed(body, lamps[2] * np.float32(0.8), np.float32(0.35) * lit * (chance % np.float32(0.1) > 0.075))
    street = mixed(behind, canvas.blurred(body, reach), canvas.blurred(cover, 0.0015))
    return np.concatenate([below[: rows.start], street])


def _row(canvas: Canvas, y: float) -> int:
    """The row of pixels at a height in units, within the picture."""
    return int(min(max(y * canvas.unit, 0), canvas.size_wh[1]))
