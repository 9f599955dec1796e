"""From words to a background: "rainbow, texture", "blue marble", "pastell ocean with stars".

A word is a motif or another name for one, a colour (CSS name or #hex), or a mood. Longer phrases come first ("city lights",
"sky blue"), a misspelt word is taken for the one it resembles, and what stays unknown is kept to be told.
"""

from __future__ import annotations

import difflib
import itertools
import re
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError
from mien.filters.colour import colour_names, parse_colour
from mien.filters.moods import MOODS
from mien.filters.motifs import city, flowers, lands, patterns, scattered, skies, surfaces  # noqa: F401
from mien.filters.motifs.motif import MOTIFS

OTHER_NAMES = {
    "gradient": "fade ombre ombré blend smooth",
    "sky": "clouds cloud cloudy heaven heavens day daylight air",
    "sunset": "sunrise dawn golden_hour evening sundown afterglow",
    "night": "midnight dark_sky",
    "mist": "fog haze foggy misty",
    "stars": "star galaxy space cosmos universe milky_way nebula starry night_sky starlight astro",
    "rainbow": "rainbows pride spectrum",
    "sea": "ocean water beach lake seaside coast horizon",
    "mountains": "mountain hills alps peaks range valley",
    "forest": "woods wood trees tree jungle pines firs woodland nature",
    "city lights": "city skyline town street new_york tokyo metropolis downtown buildings",
    "texture": "canvas backdrop painted plaster grunge fabric cloth mottled rough",
    "paper": "crumpled parchment sheet cardboard",
    "marble": "stone granite onyx",
    "watercolour": "watercolor aquarelle aquarell painting paint wash ink",
    "studio": "seamless plain simple clean",
    "stripes": "stripe striped lines bands bars",
    "waves": "wave wavy ripples papercut paper_cut layers",
    "grid": "tiles tile mosaic checks squares checkered pixel",
    "halftone": "dots dotted comic pop_art popart print polka",
    "neon": "neon_lights glow laser cyberpunk tubes nightclub",
    "bokeh": "lights light_spots fairy_lights blurry_lights sparkles glitter",
    "dusk": "twilight",
    "confetti": "party celebration birthday carnival streamers",
    "snow": "winter snowfall snowy snowflakes christmas blizzard",
    "flowers": "flower blossoms blossom floral roses rose garden bloom spring bouquet petals flower_wall",
}
"""What else people call each motif; ``_`` stands for a space."""

PHOTO_WORDS = ("transparent", "blur", "desaturate")
"""Words that ask for something made of the photo; they stand alone."""

FILLERS = frozenset(
    [
        "a",
        "an",
        "and",
        "the",
        "with",
        "of",
        "in",
        "on",
        "at",
        "my",
        "some",
        "as",
        "over",
        "under",
        "plus",
        "background",
        "backdrops",
        "picture",
        "style",
    ]
)
_WORD = re.compile(r"#?[^\W_]+(?:['’-][^\W_]+)*")
_LONGEST_PHRASE = 3
_ALIKE, _ALIKE_PAIR, _ALIKE_ENOUGH_TO_NAME = 0.78, 0.86, 0.5
_SHORTEST_GUESS = 4


@dataclass(frozen=True)
class Reading:
    """What words ask for.

    motifs, moods: words of `MOTIFS` and `MOODS` in the order they came. colours: (R, G, B) each, 0 to 255.
    guesses: what was written and what it was taken for. unknown: what nothing is known for.
    """

    motifs: tuple[str, ...] = ()
    colours: tuple[tuple[int, int, int], ...] = ()
    moods: tuple[str, ...] = ()
    guesses: tuple[tuple[str, str], ...] = ()
    unknown: tuple[str, ...] = ()

    def notes(self) -> list[str]:
        """A line for each word that was guessed or left out."""
        guessed = [f"{written!r} was read as {meant!r}" for written, meant in self.guesses]
        return guessed + [f"{word!r} is not known and was left out{nearest_hint(word)}" for word in self.unknown]


@lru_cache(maxsize=256)
def read_words(text: str) -> Reading:
    """Read a description of a background.

    Raises `InputError`, with the nearest known words, when nothing in it is understood.
    """
    motifs: list[str] = []
    moods: list[str] = []
    colours: list[tuple[int, int, int]] = []
    guesses: list[tuple[str, str]] = []
    unknown: list[str] = []
    for part in re.split(r"[,;+&/|]", text.lower()):
        words = _WORD.findall(part)
        while words:
            count, written, meant = _first_phrase(words)
            del words[:count]
            if meant is None:
                unknown += [] if written in FILLERS else [written]
                continue
            if _exact(written) is None:
                guesses.append((written, meant))
            if meant in MOTIFS:
                motifs.append(meant)
            elif meant in MOODS:
                moods.append(meant)
            else:
                colours.append(_rgb(meant))
    if not motifs and not colours and not moods:
        found = (
            "; ".join(f"{word!r} is not known{nearest_hint(word)}" for word in unknown) or "it names no motif and no colour"
        )
        raise InputError(f"background {text!r}: {found}; expected colours or any of {', '.join(sorted(MOTIFS))}")
    unique = tuple(dict.fromkeys(motifs)), tuple(dict.fromkeys(colours)), tuple(dict.fromkeys(moods))
    return Reading(*unique, tuple(guesses), tuple(unknown))


def meanings(text: str) -> set[str]:
    """The motifs and plain words that a text names, to find pictures by name: other names count as the motif's."""
    words = _WORD.findall(re.sub(r"[_\-]", " ", text.lower()))
    pairs = [f"{first} {second}" for first, second in itertools.pairwise(words)]
    found = {_exact(pair) for pair in pairs} - {None}
    return {meant for meant in (*found, *(_exact(word) or word for word in words)) if meant and meant not in FILLERS}


def nearest_hint(word: str) -> str:
    """The end of a message: up to three known words that look like this one."""
    names = dict.fromkeys([*PHOTO_WORDS, *_known(), *colour_names()])
    near = difflib.get_close_matches(word.lower(), names, 3, _ALIKE_ENOUGH_TO_NAME)
    return f" (nearest: {', '.join(near)})" if near else ""


def _first_phrase(words: list[str]) -> tuple[int, str, str | None]:
    """How many words the first phrase has, the phrase, and what it means; None for nothing."""
    for count in range(min(_LONGEST_PHRASE, len(words)), 0, -1):
        phrase = " ".join(words[:count])
        meant = _exact(phrase)
        if meant is None and (count == 1 or (count == 2 and _exact(words[1]) is None)):
            meant = _resembled(phrase, _ALIKE if count == 1 else _ALIKE_PAIR)
        if meant is not None:
            return count, phrase, meant
    return 1, words[0], None


def _exact(phrase: str) -> str | None:
    """What a phrase means, written in one word or more, in the singular or the plural."""
    for spelling in (phrase, re.sub(r"[ \-]", "", phrase)):
        for form in (spelling, spelling.removesuffix("s"), f"{spelling}s"):
            if form in _known():
                return _known()[form]
        if spelling.count("#") == (spelling[:1] == "#") and " " not in spelling and _is_colour(spelling):
            return spelling
    return None


def _is_colour(spelling: str) -> bool:
    return spelling in colour_names() or (
        spelling.startswith("#") and len(spelling) in (4, 7) and parse_colour(spelling) is not None
    )


def _resembled(phrase: str, alike: float) -> str | None:
    """What the known phrase means that looks most like this one."""
    if len(phrase) < _SHORTEST_GUESS or phrase in FILLERS or phrase.startswith("#"):
        return None
    near = difflib.get_close_matches(phrase, [*_known(), *colour_names()], 1, alike)
    return _exact(near[0]) if near else None


@cache
def _known() -> dict[str, str]:
    """Every phrase with what it means."""
    names = {mood: mood for mood in MOODS}
    names |= {other: mood for mood, found in MOODS.items() for other in found.other_names}
    for word, others in OTHER_NAMES.items():
        names |= {name.replace("_", " "): word for name in others.split()}
        names |= {name.replace("_", ""): word for name in others.split()}
    return names | {word.replace(" ", ""): word for word in MOTIFS} | {word: word for word in MOTIFS}


def _rgb(name: str) -> tuple[int, int, int]:
    colour = parse_colour(name)
    if colour is None:
        raise InputError(f"colour {name!r}: expected a CSS name or #rrggbb")
    return int(colour[0]), int(colour[1]), int(colour[2])


def colours_of(reading: Reading) -> NDArray[np.uint8]:
    """(N, 3) uint8: the colours that were named."""
    return np.array(reading.colours, np.uint8).reshape(-1, 3)
