"""Grounds above a horizon: gradient, sky, sunset, the night with its stars, and the rainbow."""

from __future__ import annotations

import numpy as np

from mien.filters.gradient import portrait_gradient
from mien.filters.motifs.canvas import Canvas, Picture, Plane, mixed, ramp, scaled, screened, shifted, smoothstep, srgb_of
from mien.filters.motifs.motif import FINE, register
from mien.filters.motifs.sprites import splat

_ZENITH_TO_HORIZON = (
    (0.0, (0.52, 0.125, 252.0)),
    (0.35, (0.66, 0.105, 245.0)),
    (0.7, (0.82, 0.065, 235.0)),
    (1.0, (0.94, 0.025, 215.0)),
)
_SUNSET = (
    (0.0, (0.30, 0.085, 283.0)),
    (0.22, (0.42, 0.115, 310.0)),
    (0.42, (0.58, 0.155, 358.0)),
    (0.62, (0.69, 0.170, 30.0)),
    (0.82, (0.78, 0.155, 55.0)),
    (0.95, (0.87, 0.125, 78.0)),
    (1.0, (0.93, 0.085, 90.0)),
)
_NIGHT = (
    (0.0, (0.13, 0.040, 272.0)),
    (0.45, (0.20, 0.060, 275.0)),
    (0.8, (0.31, 0.085, 285.0)),
    (1.0, (0.42, 0.10, 300.0)),
)
_SUN_REACH, _SUN_SHARE = 0.055, 0.70
_STARS_IN_UNIT = 1500
_RAINBOW = (
    (0.70, 0.165, 22.0),
    (0.78, 0.145, 58.0),
    (0.89, 0.130, 93.0),
    (0.80, 0.125, 150.0),
    (0.76, 0.110, 228.0),
    (0.65, 0.140, 272.0),
    (0.68, 0.135, 312.0),
)
"""OKLCH of the seven bands, the outer first."""

_RAINBOW_BANDS, _RAINBOW_SWEEP = len(_RAINBOW), (22.0, 318.0)


@register("gradient")
def gradient(canvas: Canvas, _: Picture) -> Picture:
    """Soft light in the scheme's colours behind the head."""
    x, y, radius = (value * canvas.unit for value in canvas.head)
    return portrait_gradient(canvas.size_wh, canvas.scheme, (x, y, radius)) / np.float32(255)


@register("sky")
def sky(canvas: Canvas, _: Picture) -> Picture:
    """A day's sky: heaped clouds above, thinner ones towards a pale horizon, lit from the person's side."""
    down = np.minimum(canvas.y / canvas.horizon, 1)
    air = ramp(np.broadcast_to(down, canvas.shape), canvas.natural(_ZENITH_TO_HORIZON))
    sun = np.hypot(canvas.x - (0.5 + 0.42 * canvas.light_side) * canvas.width, canvas.y - 0.1 * canvas.height)
    air = screened(air, 0.26 * np.exp(-((sun / 0.5) ** 2)), srgb_of((0.97, 0.03, 90.0)))
    heaps = canvas.fractal("heaps", 2.3, 6, gain=0.54, stretch=1.8)
    bent = canvas.moved(heaps, 0.03 * canvas.noise("drift", 5.0), 0.02 * canvas.noise("lift", 7.0))
    shore = 0.62 - 0.9 * np.abs(down - 0.40) - 0.25 * smoothstep(0.75, 1.0, down)
    body = smoothstep(0.0, 0.7, bent + shore - 0.42)
    lit = canvas.moved(body, 0.05 * canvas.light_side, -0.06)
    shade = np.clip(0.62 + 0.75 * (body - canvas.blurred(lit, 0.02)) + 0.10 * bent, 0, 1)
    white = canvas.natural(((0.0, (0.74, 0.035, 255.0)), (0.55, (0.93, 0.014, 240.0)), (1.0, (0.99, 0.006, 90.0))))
    wisps = smoothstep(0.5, 2.4, canvas.fractal("wisps", 1.1, 5, gain=0.6, stretch=4.5)) * (1 - down) * 0.5
    return mixed(mixed(air, srgb_of((0.98, 0.006, 240.0)), wisps), ramp(shade, white), 0.94 * body)


@register("sunset")
def sunset(canvas: Canvas, _: Picture) -> Picture:
    """A low sun on the person's light side, bands of cloud burning from below, violet above."""
    stops = canvas.natural(_SUNSET)
    down = np.minimum(canvas.y / canvas.horizon, 1)
    sun_x, sun_y = (0.5 + 0.27 * canvas.light_side) * canvas.width, (_SUN_SHARE + 0.16 * canvas.has_land) * canvas.horizon
    away = np.hypot((canvas.x - sun_x) * 0.85, canvas.y - sun_y)
    warmth = np.clip(down / 0.86, 0, 1) ** 1.12 + 0.17 * np.exp(-((away / 0.52) ** 2)) - 0.06
    air = ramp(warmth, stops)
    streaks = canvas.fractal("streaks", 2.2, 6, gain=0.58, stretch=5.0)
    streaks = canvas.moved(streaks, 0.0, 0.03 * canvas.noise("sway", 1.5, 2.0))
    bank = smoothstep(0.0, 1.3, streaks - 1.5 * np.abs(down - 0.40) + 0.62)
    under = canvas.moved(bank, 0.0, 0.03)
    burning = np.clip(0.44 + 0.45 * down + 0.8 * (bank - under) + 0.22 * np.exp(-((away / 0.45) ** 2)), 0, 1)
    air = mixed(air, ramp(burning, stops), 0.72 * bank)
    air = screened(air, np.exp(-away / 0.16) * 0.55 + np.exp(-((away / 0.5) ** 2)) * 0.22, srgb_of(stops[-2][1]))
    disc = canvas.cover(away - _SUN_REACH) * (1 - 0.55 * smoothstep(0.3, 1.1, bank))
    return mixed(air, srgb_of(shifted(np.array(stops[-1][1]), 0.04, 0.8)), canvas.blurred(disc, 0.004))


@register("night")
def night(canvas: Canvas, _: Picture) -> Picture:
    """A dark sky with a breath of light over the horizon: what stars and city lights stand before."""
    down = canvas.y / canvas.horizon + 0.05 * canvas.noise("haze", 1.2, 2.0)
    return ramp(np.clip(down, 0, 1) ** 1.3, canvas.natural(_NIGHT))


@register("mist")
def mist(canvas: Canvas, _: Picture) -> Picture:
    """Pale air that brightens towards the light, with slow swathes in it: what a forest stands in."""
    sun = np.hypot(canvas.x - (0.5 + 0.35 * canvas.light_side) * canvas.width, canvas.y - 0.15 * canvas.height)
    air = 0.62 - 0.30 * np.clip(sun - 0.25, 0, 1.2) + 0.10 * canvas.fractal("swathes", 1.3, 4, stretch=3.0)
    return ramp(
        air, canvas.natural(((0.0, (0.66, 0.045, 195.0)), (0.5, (0.84, 0.032, 170.0)), (1.0, (0.975, 0.022, 105.0))))
    )


@register("stars", layer="scatter", ground=("night",), longest=FINE)
def stars(canvas: Canvas, below: Picture) -> Picture:
    """A band of the Milky Way in the scheme's hues, dust lanes in it, and stars of every brightness."""
    slant = 0.55 * canvas.light_side
    across = (canvas.y - canvas.height / 2) + slant * (canvas.x - canvas.width / 2) + 0.05
    across = across + 0.07 * canvas.noise("bend", 1.4)
    veil = 1.0 - 0.9 * smoothstep(0.25, 0.7, below.mean(axis=2)) if canvas.is_overlay else np.ones(canvas.shape, np.float32)
    if canvas.is_overlay:
        veil *= 1 - smoothstep(0.4, 0.72, canvas.y / canvas.height)
    dust = canvas.fractal("dust", 2.4, 6, gain=0.6)
    gas = canvas.fractal("gas", 1.3, 5, gain=0.55)
    band = np.exp(-((across / 0.27) ** 2)) * np.clip(0.75 + 0.4 * gas, 0, 2)
    lanes = smoothstep(0.25, 1.4, dust + 0.8 * np.exp(-((across / 0.07) ** 2)) - 0.2) * np.exp(-((across / 0.2) ** 2))
    light = np.clip(band * (1 - 0.75 * lanes), 0, 1.4) * veil * (0.45 if canvas.is_overlay else 1.0)
    base, accent = canvas.scheme.base, canvas.scheme.accent
    hues = [(0.0, shifted(base, 0.62 - base[0], 1.25)), (1.0, shifted(accent, 0.66 - accent[0], 1.25))]
    cloud = ramp(smoothstep(-1.2, 1.2, gas - 0.5 * dust + canvas.noise("hue", 0.9)), hues)
    picture = screened(below, 0.62 * light[..., None] * cloud)
    picture = screened(picture, 0.30 * np.clip(light - 0.55, 0, 1) ** 1.5, srgb_of((0.96, 0.03, 80.0)))
    return screened(picture, _stars(canvas, across) * veil[..., None])


def _stars(canvas: Canvas, across: Plane) -> Picture:
    """Points of light whose number grows as their brightness falls; the band holds more of the faint ones."""
    random = canvas.random("stars")
    count = int(_STARS_IN_UNIT * canvas.width * canvas.height)
    places = random.random((count * 2, 2)) * (canvas.width, canvas.height)
    chance = random.random(count * 2)
    rows = np.minimum((places[:, 1] * canvas.unit).astype(int), canvas.size_wh[1] - 1)
    columns = np.minimum((places[:, 0] * canvas.unit).astype(int), canvas.size_wh[0] - 1)
    kept = chance < 0.3 + 0.7 * np.exp(-((np.broadcast_to(across, canvas.shape)[rows, columns] / 0.3) ** 2))
    places = places[kept]
    bright = 0.10 + 0.9 * np.minimum(random.pareto(2.1, len(kept))[kept] * 0.13, 1.0)
    reach = 0.0010 + 0.0015 * bright
    tints = srgb_of(
        np.stack([np.full(len(places), 0.95), np.full(len(places), 0.04), random.choice([70, 250, 285], len(places))], 1)
    )
    light = np.zeros((*canvas.shape, 3), np.float32)
    splat(light, canvas.unit, places, reach, tints * bright[:, None])
    big = np.flatnonzero(bright > 0.62)[:26]
    splat(light, canvas.unit, places[big], (3 + 4 * random.random(len(big)) ** 2) * reach[big], 0.26 * tints[big])
    return light


@register("rainbow", layer="scatter", ground=("sky",))
def rainbow(canvas: Canvas, below: Picture) -> Picture:
    """Alone, wide bands of every hue bend round the person; over another motif, a translucent bow stands in its sky."""
    x, y, radius = canvas.head
    hues = np.linspace(*_RAINBOW_SWEEP, 25)
    if canvas.is_overlay:
        away = np.hypot(canvas.x - canvas.width * (0.5 - 0.12 * canvas.light_side), canvas.y - 0.98 * canvas.height)
        outer, thickness = 0.86 * max(canvas.height, 0.55 * canvas.width), 0.17
        at = (outer - away) / thickness
        colours = ramp(
            at, [(float(place), (0.80, 0.15, hue)) for place, hue in zip(np.linspace(0, 1, 25), hues, strict=True)]
        )
        edge = smoothstep(-0.12, 0.22, at) * (1 - smoothstep(0.72, 1.15, at))
        fade = edge * smoothstep(1.02, 0.55, canvas.y / canvas.height) * (0.75 + 0.08 * canvas.noise("mist", 2.0))
        return screened(mixed(below, colours, 0.35 * fade), 0.45 * fade[..., None] * colours)
    middle_y = y + 1.1 * radius
    inner = max(1.3 * radius, 0.16)
    reach = float(max(np.hypot(max(x, canvas.width - x), max(middle_y, canvas.height - middle_y)), inner + 0.5))
    away = np.hypot(canvas.x - x, canvas.y - middle_y) + 0.010 * canvas.noise("hand", 1.5)
    at = np.clip((away - inner) / (reach - inner) * 1.02, 0, 0.999) ** 0.85 * (_RAINBOW_BANDS - 1) + 1
    at = np.where(away < inner, np.clip(away / inner, 0, 1), at).astype(np.float32)
    bands = np.array(_RAINBOW[::-1], np.float32)
    if canvas.is_named:
        bands[:, 2] = canvas.scheme.base[2] + np.linspace(-38, 38, _RAINBOW_BANDS)
        bands[:, 0] = np.linspace(0.55, 0.92, _RAINBOW_BANDS)
    step = np.floor(at)
    part = at - step
    picture = np.take(srgb_of(bands), np.minimum(step.astype(np.int32), _RAINBOW_BANDS - 1), axis=0)
    edge = smoothstep(0, 2.5 / canvas.unit, np.asarray((1 - part) * (reach - inner) / _RAINBOW_BANDS, np.float32))
    shade = 1 - 0.16 * np.exp(-part / 0.16) * (step > 0) + 0.05 * part
    return scaled(picture, shade * (0.985 + 0.015 * edge) * (1 + 0.05 * np.exp(-((away / 0.6) ** 2))))
