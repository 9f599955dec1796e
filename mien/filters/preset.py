"""A filter is data: `Preset` says what a picture becomes, `apply` makes it so, and `render` is the short way to both."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError
from mien.filters.background import TRANSPARENT, Scene, parse_background, replace_background
from mien.filters.foreground import clean_foreground
from mien.filters.poster import PosterDesign, draw_poster
from mien.filters.subject import is_empty, tidy_matte
from mien.types import Frame

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Preset:
    """What a picture becomes.

    background: None for the poster, or what `render` takes. seed: 0 or more, chooses among what suits equally well.
    poster: the poster's proportions, see `PosterDesign`.

    Raises `InputError` for a value of the wrong kind or out of range.
    """

    background: str | None = None
    seed: int = 0
    poster: PosterDesign = field(default_factory=PosterDesign)

    def __post_init__(self) -> None:
        given: Any = self.background
        if given is not None and not isinstance(given, str):
            raise InputError(f"preset background: expected text or nothing, got {given!r}")
        seed: Any = self.seed
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise InputError(f"preset seed: expected a whole number from 0, got {seed!r}")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preset:
        """A preset from plain data, as `to_dict` gives it. Missing keys keep their defaults.

        Raises `InputError` for an unknown key, and as `Preset` and `PosterDesign` do.
        """
        poster = values.get("poster", {})
        if not isinstance(poster, Mapping):
            raise InputError(f"preset poster: expected a table of values, got {poster!r}")
        _check_keys("preset", values, cls)
        _check_keys("preset poster", poster, PosterDesign)
        return cls(**{**values, "poster": PosterDesign(**poster)})

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `from_dict` reads back."""
        return asdict(self)


def render(frame: Frame, background: str | None = None, seed: int = 0) -> Frame:
    """The finished picture of a frame whose people are known.

    frame: with `matte`, and with `faces` where they have been looked for.
    background: None draws the poster (1080x1350, or 1350x1080 for a wide group; a picture without people is framed whole).
    ``"transparent"`` keeps the size and sets `Frame.alpha`. Words, a colour, a picture or a folder of pictures keep the size
    and replace the background: see `mien.filters.background.parse_background`.
    seed: the same seed gives the same picture; another one varies the colours.

    Raises `InputError` when the frame has no matte, and for a background that is not known.
    """
    return apply(Preset(background, seed), frame)


def apply(preset: Preset, frame: Frame) -> Frame:
    """Make of a frame what the preset says. The frame's own transparency counts as background. See `render`."""
    if frame.matte is None:
        raise InputError("frame: expected a matte, got none; run the matte stage before the filter")
    is_cut_out = preset.background is not None and preset.background.strip().lower() == TRANSPARENT
    matte = np.clip(frame.matte, 0, 1).astype(np.float32)
    matte = matte if is_cut_out else tidy_matte(matte)
    if frame.alpha is not None:
        matte *= frame.alpha.astype(np.float32) / 255
    if is_empty(matte):
        _log.warning("no person found in %s", frame.source or "the picture")
    if is_cut_out:
        alpha = np.asarray(cv2.convertScaleAbs(matte, alpha=255), np.uint8)
        return replace(frame, image=_without_background(frame.image, matte, alpha), alpha=alpha)
    if preset.background is None:
        image, faces, matte = draw_poster(frame.image, matte, frame.faces, preset.seed, preset.poster)
        return replace(frame, image=image, alpha=None, faces=faces, matte=matte)
    background = parse_background(preset.background)
    image = replace_background(Scene(frame.image, matte, frame.faces, preset.seed), background)
    return replace(frame, image=image, alpha=None)


def _without_background(image: NDArray[np.uint8], matte: NDArray[np.float32], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The person's own colours, and nothing of the old background farther than a pixel or two from them."""
    foreground = clean_foreground(image, matte)
    foreground[cv2.dilate(alpha, np.ones((5, 5), np.uint8)) == 0] = 0
    return foreground


def _check_keys(name: str, values: Mapping[str, Any], kind: type) -> None:
    known = [item.name for item in fields(kind)]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise InputError(f"{name}: unknown {', '.join(unknown)}; expected only {', '.join(known)}")
