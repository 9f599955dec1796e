"""What stands in the lower part of a picture, before a sky: sea, mountains, forest."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.filters.motifs.canvas import Canvas, Picture, Plane, mixed, ramp, scaled, screened, smoothstep, srgb_of
from mien.filters.motifs.motif import FINE, register
from mien.filters.motifs.sprites import stamp_cover

_TILE = 512
_RIDGES = 5
_TREE_LAYERS = 4


def horizon_haze(below: Picture, canvas: Canvas) -> Plane:
    """(3,) the sky's colour just over the horizon."""
    row = int(min(canvas.horizon * canvas.unit, below.shape[0] - 1))
    return np.asarray(below[max(0, row - max(1, row // 12)) : row + 1].mean(axis=(0, 1)), np.float32)


@register("sea", layer="land", ground=("sky",), longest=FINE)
def sea(canvas: Canvas, below: Picture) -> Picture:
    """Open water that mirrors whatever sky is above it, rougher and darker towards the front, with glitter under the light.

    Rows follow the perspective of a plane; the share of mirrored light falls as Schlick's approximation of Fresnel says.
    """
    horizon = canvas.horizon
    top = min(int(horizon * canvas.unit), canvas.size_wh[1] - 1)
    rows = canvas.y[top:]
    near = np.clip((rows - horizon) / (canvas.height - horizon), 1e-4, 1)
    depth = 1 / (near + 0.035)
    tile = _water_tile(canvas.seed)
    across = (canvas.x - canvas.width / 2) * depth

    def waves(scale: float, flow: float) -> Plane:
        to_x = (across * (scale * _TILE / 7) + flow * _TILE).astype(np.float32)
        to_y = np.broadcast_to(depth * (scale * _TILE / 3.2), to_x.shape).astype(np.float32)
        return np.asarray(cv2.remap(tile, to_x, to_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP), np.float32)

    calm = smoothstep(0.0, 0.10, near)
    height = (0.60 * waves(0.8, 0.1) + 0.50 * waves(1.9, 0.6) + 0.32 * waves(4.0, 0.3)) * calm
    slope = np.clip(height, -2.5, 2.5)
    sky = np.ascontiguousarray(below[: top + 1])
    mirror_y = (
        top
        - 1
        - (rows * canvas.unit - top) * (top / max(1, canvas.size_wh[1] - top)) * 0.8
        - slope * near * 0.16 * canvas.unit
    )
    mirror_x = canvas.x * canvas.unit - 0.5 + slope * (0.02 * canvas.unit)
    mirrored = cv2.remap(
        sky,
        np.broadcast_to(mirror_x, slope.shape).astype(np.float32),
        np.broadcast_to(mirror_y, slope.shape).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT,
    )
    deep, shallow = canvas.natural(((0.0, (0.30, 0.075, 235.0)), (1.0, (0.52, 0.095, 215.0))))
    body = ramp(np.clip(0.5 + 0.22 * slope - 0.35 * near, 0, 1), [deep, shallow])
    light = float(np.clip(1.25 * horizon_haze(below, canvas).mean() + 0.1, 0.12, 1))
    fresnel = np.clip(0.92 * (1 - near) ** 2.2 + 0.20 + 0.10 * slope, 0, 0.97)
    water = mixed(body * np.float32(light), np.asarray(mirrored, np.float32), fresnel)
    glint = np.exp(-(((canvas.x - (0.5 + 0.27 * canvas.light_side) * canvas.width) / (0.10 + 0.30 * near)) ** 2))
    sparkle = smoothstep(0.55, 1.9, slope + 0.3 * glint) * (0.25 + 0.75 * glint) * (0.25 + 0.75 * calm)
    water = screened(water, 0.8 * sparkle, np.minimum(horizon_haze(below, canvas) * 1.15 + 0.08, 1))
    picture = below.copy()
    picture[top:] = water
    haze = np.exp(-(((canvas.y - horizon) / 0.012) ** 2)) * 0.7
    return mixed(picture, horizon_haze(below, canvas), np.broadcast_to(haze, canvas.shape))


@lru_cache(maxsize=2)
def _water_tile(seed: int) -> Plane:
    """A square of wavelets that repeats without a seam, deviation 1: noise shaped in the frequency domain."""
    random = np.random.default_rng([seed, 5])
    spectrum = np.fft.rfft2(random.standard_normal((_TILE, _TILE)))
    down, across = np.fft.fftfreq(_TILE)[:, None] * _TILE, np.fft.rfftfreq(_TILE)[None] * _TILE
    strength = np.hypot(across, down)
    strength = np.where(strength > 0, np.maximum(strength, 5) ** -1.75, 0) * np.exp(-((strength / 110) ** 2))
    tile = np.fft.irfft2(spectrum * strength * (np.hypot(across, down) > 4))
    tile = np.sign(tile) * np.abs(tile / tile.std()) ** 0.95
    return np.asarray(tile / tile.std(), np.float32)


@register("mountains", layer="land", ground=("sky",))
def mountains(canvas: Canvas, below: Picture) -> Picture:
    """Ridge behind ridge, each paler and bluer with distance, mist in the valleys between them."""
    haze = horizon_haze(below, canvas)
    bright = float(np.clip(haze.mean() * 1.15, 0.25, 1))
    near = (
        srgb_of([colour for _, colour in canvas.natural(((0.0, (0.27, 0.045, 250.0)), (1.0, (0.36, 0.05, 235.0))))]) * bright
    )
    picture = below
    face = canvas.fractal("face", 7.0, 5, gain=0.6, is_ridged=True)
    lit = np.clip(face - canvas.moved(face, 0.015 * canvas.light_side, -0.01), -1.5, 1.5)
    for layer in range(_RIDGES):
        share = layer / (_RIDGES - 1)
        crest = canvas.profile(f"ridge{layer}", 1.5 + 0.5 * layer, 8, gain=0.52, is_ridged=layer < 3)
        foot = canvas.horizon - 0.13 + 0.50 * share * (canvas.height - canvas.horizon) * 1.5
        skyline = foot - (0.135 - 0.05 * share) * crest
        under = canvas.y - skyline
        rock = near[0] + (near[1] - near[0]) * (1 - share)
        tone = haze + (rock - haze) * np.float32(0.30 + 0.70 * share**1.15)
        relief = 1 + (0.10 + 0.04 * share) * lit * smoothstep(0.30, 0.0, under)
        body = scaled(np.broadcast_to(tone, below.shape).astype(np.float32), relief)
        if layer == 0:
            snow = smoothstep(0.15, 0.75, crest - under * 7 + 0.35 * face)
            body = mixed(body, haze + (1 - haze) * np.float32(0.55), 0.8 * snow)
        mist = np.clip(
            smoothstep(0.02, 0.26, under) * (0.66 - 0.45 * share) + 0.05 * canvas.noise(f"mist{layer}", 2.0, 3.0), 0, 1
        )
        body = mixed(body, haze, mist)
        picture = mixed(picture, body, canvas.cover(skyline - canvas.y))
    return picture


@register("forest", layer="land", ground=("mist",), longest=FINE)
def forest(canvas: Canvas, below: Picture) -> Picture:
    """Rows of firs that come out of the mist, the front ones dark, with light falling between them."""
    haze = horizon_haze(below, canvas)
    bright = float(np.clip(haze.mean() * 1.1, 0.25, 1))
    greens = srgb_of([c for _, c in canvas.natural(((0.0, (0.24, 0.045, 158.0)), (1.0, (0.46, 0.07, 150.0))))]) * bright
    picture = below
    for layer in range(_TREE_LAYERS):
        share = layer / (_TREE_LAYERS - 1)
        random = canvas.random(f"trees{layer}")
        crest = canvas.profile(f"hill{layer}", 1.1 + 0.4 * layer, 3)
        foot = canvas.horizon - 0.10 + 0.06 * crest + share * (canvas.height - canvas.horizon) * 0.80
        size = 0.20 + 0.42 * share**1.3
        stand = np.asarray(cv2.convertScaleAbs(canvas.cover(foot - canvas.y), alpha=255), np.uint8)
        count = int(canvas.width * (5.2 / size) * (1.15 - 0.35 * share)) + 2
        for x in (np.arange(count) + random.uniform(-0.45, 0.45, count)) / (count - 1) * canvas.width * 1.04 - 0.02:
            column = int(np.clip(x * canvas.unit, 0, canvas.size_wh[0] - 1))
            tall = size * random.uniform(0.55, 1.1)
            place = (x * canvas.unit, (foot[0, column] + 0.09 * tall + 0.01 - tall / 2) * canvas.unit)
            stamp_cover(stand, _fir(int(random.integers(6))), place, tall * canvas.unit)
        cover = stand.astype(np.float32) * np.float32(1 / 255)
        cover = cv2.GaussianBlur(cover, (0, 0), max(0.3, (0.0022 - 0.0016 * share) * canvas.unit))
        tone = haze + (greens[0] + (greens[1] - greens[0]) * (1 - share) - haze) * np.float32(0.26 + 0.74 * share)
        mist = smoothstep(-0.14, 0.20, canvas.y - foot) * (0.70 - 0.50 * share)
        body = cv2.merge([part + (air - part) * mist for part, air in zip(tone, haze, strict=True)])
        top = max(0, int(np.flatnonzero(cover.any(axis=1))[0])) if cover.any() else canvas.size_wh[1]
        picture = np.concatenate([picture[:top], mixed(picture[top:], body[top:], cover[top:])])
    slant = (canvas.x - canvas.light_side * 0.55 * (canvas.height - canvas.y)) * 40
    beams = np.convolve(canvas.random("rays").standard_normal(2048), np.hanning(7), "same")
    beams = np.interp(np.arange(0, 2048, 0.125), np.arange(2048), beams).astype(np.float32)
    rays = np.clip(beams[((slant + 512) * 8).astype(np.int32) % len(beams)] / 3, 0, 1) * (1 - canvas.y / canvas.height)
    return screened(picture, 0.20 * rays, np.minimum(haze * 1.05 + 0.03, 1))


@lru_cache(maxsize=8)
def _fir(kind: int) -> NDArray[np.uint8]:
    """(256, 256) coverage of one fir: branches in tiers that hang and end unevenly."""
    random = np.random.default_rng([kind, 77])
    y, x = np.mgrid[0:256, 0:256].astype(np.float32) / 255
    x = x - 0.5 + 0.012 * np.sin(5 * y + kind)
    tiers = random.uniform(10, 14)
    ragged = cv2.GaussianBlur(random.standard_normal((256, 256)).astype(np.float32), (0, 0), 2.2) * 5.5
    wave = (y + 0.35 * np.abs(x)) * tiers + random.uniform(0, 1) + 0.25 * ragged
    tier = wave - np.floor(wave)
    half = 0.235 * np.clip((y - 0.02) / 0.93, 0, 1) ** 0.86 * (0.52 + 0.48 * tier) * (1 + 0.16 * ragged)
    branches = np.clip((half - np.abs(x)) * 150 + 0.5, 0, 1) * (y < 0.94)
    trunk = np.clip((0.010 + 0.012 * y - np.abs(x)) * 255, 0, 1) * (y > 0.05)
    return np.asarray(cv2.convertScaleAbs(np.maximum(branches, trunk), alpha=255), np.uint8)
