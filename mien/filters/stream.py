"""Making pictures what a preset says: one by one, or as a stream whose frames belong together."""

from __future__ import annotations

import logging
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError
from mien.filters.background import BACKGROUNDS, TRANSPARENT, Background, Scene, notes_on, parse_background
from mien.filters.caption import AUTO, choose_words, draw_caption
from mien.filters.dress import put_effects
from mien.filters.effects.head import find_heads
from mien.filters.foreground import blend, clean_foreground
from mien.filters.looks import LOOKS
from mien.filters.poster import PosterPlan, draw_poster, plan_poster
from mien.filters.preset import Preset
from mien.filters.subject import is_empty, tidy_matte
from mien.types import Faces, Frame

Image = NDArray[np.uint8]
Plane = NDArray[np.float32]

_log = logging.getLogger(__name__)

_FROM_THE_PHOTO = (BACKGROUNDS["blur"], BACKGROUNDS["desaturate"])
"""The backgrounds that show the photo itself, so that they change with every frame."""
_LOST_S = 0.5
"""So long a video waits for people who are gone before a poster shows the picture itself."""


class Filter:
    """A stage that makes of every frame what a preset says; each must have a matte.

    is_stream: the frames are one video. What is decided by the first frame with a person then stays: the poster's layout and
    colours, a painted background, the words and place of a caption; only grain moves on. Frames before that keep what the
    first of them decided. Where nobody is seen for half a second, a poster frames the picture itself; a background that was
    put in stays, so that a room which was hidden is not shown. Build a new one for each stream.

    In a photo that shows nobody the own background stays, or it is framed whole, and a note says so.

    Raises `InputError` for a background that is not known, and when called with a frame without a matte.
    """

    __name__ = "filter"

    def __init__(self, preset: Preset, *, is_stream: bool = False) -> None:
        self.preset = preset
        word = (preset.background or "").strip().lower()
        self.is_cut_out = word == TRANSPARENT
        is_own = preset.background is None or self.is_cut_out
        self._background: Background | None = None if is_own else parse_background(preset.background or "")
        self._understood = [] if is_own else notes_on(preset.background or "")
        self._is_painted = self._background not in _FROM_THE_PHOTO
        self.is_framed = (preset.background is None if preset.frame is None else preset.frame) and not self.is_cut_out
        self._is_stream = is_stream
        self._plans: dict[bool, PosterPlan] = {}
        self._painted: dict[bool, Image] = {}
        self._seen_s = -_LOST_S
        self._words: str | None = None

    def __call__(self, frame: Frame) -> Frame:
        if frame.matte is None:
            raise InputError("frame: expected a matte, got none; run the matte stage before the filter")
        matte = np.clip(frame.matte, 0, 1).astype(np.float32)
        matte = matte if self.is_cut_out else tidy_matte(matte)
        if frame.alpha is not None:
            matte *= frame.alpha.astype(np.float32) / 255
        notes = [*frame.notes, *self._understood]
        is_nobody = is_empty(matte)
        if is_nobody:
            _log.warning("no person found in %s", frame.source or "the picture")
            notes.append("no person found" + self._instead)
        preset = self.preset
        frame = replace(frame, image=self._retouched(frame, matte), matte=matte)
        frame, told = put_effects(frame, preset.effects, preset.when, has_room=self.is_framed and not is_nobody)
        frame, room = self._placed(frame, is_nobody)
        for name in preset.looks:
            if not LOOKS[name].is_retouch:
                frame = replace(frame, image=LOOKS[name].paint(frame.image, [], preset.seed + frame.index))
        frame, unsaid = self._captioned(frame, room)
        notes += told + unsaid
        for note in told + unsaid:
            _log.warning("%s: %s", frame.source or "the picture", note)
        return replace(frame, notes=tuple(notes))

    def _retouched(self, frame: Frame, matte: Plane) -> Image:
        image = frame.image
        retouches = [LOOKS[name] for name in self.preset.looks if LOOKS[name].is_retouch]
        if retouches:
            heads = [head for head in find_heads(frame.faces or Faces.none(), matte) if head is not None]
            for look in retouches:
                image = look.paint(image, heads, self.preset.seed)
        return image

    def _placed(self, frame: Frame, is_nobody: bool) -> tuple[Frame, tuple[int, int, int, int] | None]:
        """The person where the preset wants them: cut out, in a frame, or before another background; and room for words."""
        preset, matte = self.preset, frame.matte
        if matte is None:
            return frame, None
        if self.is_cut_out:
            alpha = np.asarray(cv2.convertScaleAbs(matte, alpha=255), np.uint8)
            return replace(frame, image=_without_background(frame.image, matte, alpha), alpha=alpha), None
        if self.is_framed:
            plan = self._planned(frame, matte, is_nobody)
            fill = None if self._background is None or plan.is_photo else self._fill
            image, faces, matte = draw_poster(frame.image, matte, frame.faces, preset.seed, preset.poster, plan, fill)
            width, height = plan.layout.page
            room = (0, plan.layout.panel[3] + round(preset.poster.border * plan.layout.unit), width, height)
            return replace(frame, image=image, alpha=None, faces=faces, matte=matte), room
        if self._background is None or (is_nobody and not self._is_stream):
            return replace(frame, alpha=None), None
        scene = Scene(frame.image, matte, frame.faces, preset.seed)
        return replace(frame, image=blend(scene.layers[0], self._behind(scene, is_nobody), matte), alpha=None), None

    def _fill(self, image: Image, matte: Plane, faces: Faces | None) -> Image:
        return self._behind(Scene(image, matte, faces, self.preset.seed), False)

    def _behind(self, scene: Scene, is_nobody: bool) -> Image:
        if self._background is None:
            return scene.image
        if not (self._is_stream and self._is_painted):
            return self._background(scene)
        for is_empty_one in (False, True) if is_nobody else (False,):
            held = self._painted.get(is_empty_one)
            if held is not None and held.shape == scene.image.shape:
                return held
        self._painted[is_nobody] = self._background(scene)
        return self._painted[is_nobody]

    def _planned(self, frame: Frame, matte: Plane, is_nobody: bool) -> PosterPlan:
        """The poster's layout and colours; of a video those that were chosen first, for people and for the bare picture."""
        preset = self.preset
        if not self._is_stream:
            return plan_poster(frame.image, matte, frame.faces, preset.seed, preset.poster)
        if not is_nobody:
            self._seen_s = frame.time_s
        is_bare = is_nobody and (False not in self._plans or frame.time_s - self._seen_s > _LOST_S)
        if is_bare not in self._plans:
            other = self._plans.get(not is_bare)
            page = other.layout.page if other is not None else None
            scheme = other.scheme if other is not None and is_bare else None
            shown = np.zeros_like(matte) if is_bare else matte
            self._plans[is_bare] = plan_poster(
                frame.image, shown, frame.faces, preset.seed, preset.poster, page=page, scheme=scheme
            )
        return self._plans[is_bare]

    @property
    def _instead(self) -> str:
        """What is made of a picture that shows nobody, as a note says it."""
        if self.is_framed:
            return ", the photo is framed whole"
        if self._background is None or self._is_stream:
            return ""
        return ", the photo keeps its background"

    def _captioned(self, frame: Frame, room: tuple[int, int, int, int] | None) -> tuple[Frame, list[str]]:
        """room: where the poster leaves paper free under its panel."""
        caption = self.preset.caption
        if caption is None:
            return frame, []
        words = self._words or (choose_words(frame.faces, self.preset.seed) if caption.text == AUTO else caption.text)
        if self._is_stream and frame.faces is not None and len(frame.faces):
            self._words = words
        image = draw_caption(frame.image, caption, words, frame.faces, frame.matte, room)
        if image is None:
            return frame, ["no caption: every place would hide a face"]
        if frame.alpha is None:
            return replace(frame, image=image), []
        # On a cut-out the letters are as visible as the picture is not.
        written = np.any(image != frame.image, axis=2)
        return replace(frame, image=image, alpha=np.where(written, np.uint8(255), frame.alpha)), []


def _without_background(image: Image, matte: Plane, alpha: Image) -> Image:
    """The person's own colours, and nothing of the old background farther than a pixel or two from them."""
    foreground = clean_foreground(image, matte)
    foreground[cv2.dilate(alpha, np.ones((5, 5), np.uint8)) == 0] = 0
    return foreground
