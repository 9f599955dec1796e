"""What is still missing while somebody records a class: a table of bins that fills, and one sentence to say."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from mien.data.quality import Look

BLURRED = 0.35
"""Sharpness below which a face counts as blurred."""
DARK, BRIGHT = 0.28, 0.72
NEAR, FAR = 0.42, 0.22
TURNED = 0.28
LIGHT_STEP = 0.12
"""How much the light must differ to count as another light."""

_SHARES = {
    ("turn", "front"): 0.25,
    ("turn", "left"): 0.15,
    ("turn", "right"): 0.15,
    ("distance", "near"): 0.15,
    ("distance", "middle"): 0.15,
    ("distance", "far"): 0.15,
}
"""Which part of the pictures of a class each bin should have at least."""

_SAY = {
    ("turn", "front"): "look straight at the camera",
    ("turn", "left"): "turn your head to your left",
    ("turn", "right"): "turn your head to your right",
    ("distance", "near"): "come closer",
    ("distance", "middle"): "go to a middle distance",
    ("distance", "far"): "go farther away",
}
_LEAST = 12
"""Pictures below which no class is well covered."""
_BACKGROUNDS = 3
_BACKGROUND_BITS = 14


@dataclass
class Coach:
    """Counts how the faces of one class are seen, and says what to change. It sees only what it is shown.

    wanted: how many pictures the class shall have. backgrounds: hashes of those seen so far, one each.
    """

    wanted: int
    seen: int = 0
    bins: Counter[tuple[str, str]] = field(default_factory=Counter)
    lights: list[float] = field(default_factory=list)
    backgrounds: list[int] = field(default_factory=list)

    def see(self, look: Look, background: int | None = None) -> None:
        """Count a picture that was kept. background: a 64-bit hash of what is behind the face."""
        self.seen += 1
        self.bins.update(bins_of(look))
        self.lights.append(look.light)
        if background is not None and all((background ^ one).bit_count() > _BACKGROUND_BITS for one in self.backgrounds):
            self.backgrounds.append(background)

    def missing(self) -> list[str]:
        """What is still to be done, the most missing first; empty when the class is well covered."""
        total = max(self.wanted, self.seen, _LEAST)
        lacks = {key: 1 - self.bins[key] / max(1, round(share * total)) for key, share in _SHARES.items()}
        found = [_SAY[key] for key, lack in sorted(lacks.items(), key=lambda item: -item[1]) if lack > 0]
        if self.seen >= 3:
            lights = np.array(self.lights)
            if float(np.mean(lights < DARK)) > 0.6:
                found.append("get more light")
            elif float(np.mean(lights > BRIGHT)) > 0.6:
                found.append("get less light")
            elif lights.max() - lights.min() < LIGHT_STEP:
                found.append("change the light")
            if len(self.backgrounds) < _BACKGROUNDS:
                found.append("go before a different background")
        if self.seen < _LEAST and not found:
            found.append(f"record at least {_LEAST} pictures")
        return found

    def advice(self, look: Look | None, faces: int = 1) -> str:
        """One sentence to the person before the camera. look: of the picture just seen. faces: how many were seen in it."""
        if faces > 1:
            return "only one person, please"
        if look is None:
            return "no face is seen: come into the picture, face the camera, get more light"
        if look.light < 0.12:
            return "get more light: the face is too dark to be seen"
        if look.sharpness < BLURRED:
            return "hold still: the picture is blurred"
        missing = self.missing()
        return missing[0] if missing else "well covered"

    @property
    def is_covered(self) -> bool:
        """Whether the class has as many pictures as wanted, and every bin its part."""
        return self.seen >= self.wanted and not self.missing()


def bins_of(look: Look) -> list[tuple[str, str]]:
    """The bins that a look falls into; no turn where it is unknown."""
    found = [("distance", "near" if look.size > NEAR else "far" if look.size < FAR else "middle")]
    if np.isfinite(look.yaw):
        found.append(("turn", "left" if look.yaw > TURNED else "right" if look.yaw < -TURNED else "front"))
    return found
