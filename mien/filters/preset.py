"""A filter is data: `Preset` says what a picture becomes. `apply` makes it so, and `render` is the short way to both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from mien.errors import InputError
from mien.filters.caption import Caption
from mien.filters.effects import EFFECTS, find_effect
from mien.filters.looks import find_look
from mien.filters.poster import PosterDesign
from mien.filters.trigger import parse_trigger
from mien.types import Frame


@dataclass(frozen=True)
class EffectUse:
    """An effect and when it is put on. name: of `EFFECTS`. when: empty for always, else see `mien.filters.trigger`.

    Raises `InputError` for an unknown effect or a condition that cannot be understood.
    """

    name: str
    when: str = ""

    def __post_init__(self) -> None:
        for item in fields(self):
            _check_text(f"effect {item.name}", getattr(self, item.name))
        object.__setattr__(self, "name", find_effect(self.name, EFFECTS).name)
        if self.when:
            parse_trigger(self.when)


@dataclass(frozen=True)
class Preset:
    """What a picture becomes.

    background: None for the poster's own colours, or what `render` takes. frame: whether the person stands out of a framed
    panel; None frames just where no background is asked for. seed: 0 or more, chooses among what suits equally well.
    looks: names of `mien.filters.looks.LOOKS`. effects: what is put on faces, as `EffectUse` or by name. when: the condition
    of effects that have none of their own. caption: None for no words. poster: the frame's proportions, see `PosterDesign`.
    title: what people call it.

    Raises `InputError` for a value of the wrong kind or out of range.
    """

    background: str | None = None
    seed: int = 0
    poster: PosterDesign = field(default_factory=PosterDesign)
    frame: bool | None = None
    looks: tuple[str, ...] = ()
    effects: tuple[EffectUse, ...] = ()
    when: str = ""
    caption: Caption | None = None
    title: str = ""

    def __post_init__(self) -> None:
        if self.background is not None:
            _check_text("preset background", self.background)
        for name in ("when", "title"):
            _check_text(f"preset {name}", getattr(self, name))
        seed: Any = self.seed
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise InputError(f"preset seed: expected a whole number from 0, got {seed!r}")
        frame: Any = self.frame
        if frame is not None and not isinstance(frame, bool):
            raise InputError(f"preset frame: expected true, false or nothing, got {frame!r}")
        if self.when:
            parse_trigger(self.when)
        looks = [_check_text("preset looks", look) for look in _check_list("preset looks", self.looks)]
        object.__setattr__(self, "looks", tuple(find_look(look).name for look in looks))
        uses = [_effect_use(use) for use in _check_list("preset effects", self.effects)]
        object.__setattr__(self, "effects", tuple(uses))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preset:
        """A preset from plain data, as `to_dict` gives it. Missing keys keep their defaults.

        Raises `InputError` for an unknown key, and as `Preset` and its parts do.
        """
        _check_keys("preset", values, cls)
        parts: dict[str, Any] = {"poster": _part("preset poster", values.get("poster", {}), PosterDesign)}
        caption = values.get("caption")
        if isinstance(caption, str):
            parts["caption"] = Caption(caption)
        elif caption is not None:
            parts["caption"] = _part("preset caption", caption, Caption)
        return cls(**{**values, **parts})

    def to_dict(self) -> dict[str, Any]:
        """Plain data that `from_dict` reads back: what differs from the defaults, in the order of the fields."""
        told: dict[str, Any] = {}
        for item, usual in zip(fields(self), _values(Preset()), strict=True):
            value = getattr(self, item.name)
            if value == usual:
                continue
            if item.name == "effects":
                value = [use.name if not use.when else {"name": use.name, "when": use.when} for use in value]
            elif item.name == "caption":
                value = {"text": value.text, **_difference(value, Caption())}
            elif item.name == "poster":
                value = _difference(value, usual)
            told[item.name] = list(value) if isinstance(value, tuple) else value
        return told


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
    """Make of a frame what the preset says. The frame's own transparency counts as background. See `render`.

    What the result lacks, and why, is said in its `Frame.notes`.
    """
    from mien.filters.stream import Filter

    return Filter(preset)(frame)


def _effect_use(use: Any) -> EffectUse:
    if isinstance(use, EffectUse):
        return use
    if isinstance(use, str):
        return EffectUse(use)
    return EffectUse(**_keywords("preset effect", use, EffectUse, needed="name"))


def _part(name: str, values: Any, kind: type) -> Any:
    return kind(**_keywords(name, values, kind))


def _keywords(name: str, values: Any, kind: type, needed: str = "") -> dict[str, Any]:
    if not isinstance(values, Mapping):
        raise InputError(f"{name}: expected a table of values, got {values!r}")
    _check_keys(name, values, kind)
    if needed and needed not in values:
        raise InputError(f"{name}: expected a {needed}, got only {', '.join(values) or 'nothing'}")
    return dict(values)


def _check_keys(name: str, values: Mapping[str, Any], kind: type) -> None:
    known = [item.name for item in fields(kind)]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise InputError(f"{name}: unknown {', '.join(unknown)}; expected only {', '.join(known)}")


def _check_text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InputError(f"{name}: expected text, got {value!r}")
    return value


def _check_list(name: str, value: Any) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise InputError(f"{name}: expected a list, got {value!r}")
    return value


def _values(item: Any) -> list[Any]:
    return [getattr(item, one.name) for one in fields(item)]


def _difference(item: Any, usual: Any) -> dict[str, Any]:
    return {one.name: getattr(item, one.name) for one in fields(item) if getattr(item, one.name) != getattr(usual, one.name)}
