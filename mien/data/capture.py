"""Recording pictures of one class, from a camera, a video or a folder, into a project."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.data.coach import BLURRED, Coach
from mien.data.duplicates import perceptual_hash
from mien.data.project import NewPicture, Project
from mien.data.quality import Look, look_of
from mien.data.sample import FaceLabel, Sample
from mien.errors import DataError, MienError
from mien.geometry import iou
from mien.media.sources import Source
from mien.types import Faces, Failure, Frame

_SAME_BITS = 4
_SAME_FACE_BITS = 8
_SAME_PLACE = 0.8
_SEEN_BEFORE = 300


@dataclass
class Captured:
    """What became of the frames of a recording.

    kept: their rows. left_out: how many were not kept, by reason. advice: what is still missing, from the coach.
    """

    session: str
    kept: list[dict[str, Any]] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    missing: list[str] = field(default_factory=list)
    is_covered: bool = False


@dataclass(frozen=True)
class _Seen:
    """How a kept frame looked: hashes of the whole and of the face, and where the face is in shares of the picture."""

    whole: int
    face: int
    box: NDArray[np.float32]

    def is_like(self, other: _Seen) -> bool:
        is_place = float(iou(self.box[None], other.box[None])[0, 0]) > _SAME_PLACE
        is_whole = (self.whole ^ other.whole).bit_count() <= _SAME_BITS
        return is_place and is_whole and (self.face ^ other.face).bit_count() <= _SAME_FACE_BITS


def new_session() -> str:
    """An identifier of a recording: the day and hour, and some letters that no other recording has."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"


def capture(
    project: Project,
    source: Source,
    model: Callable[[NDArray[np.uint8]], Faces],
    *,
    answer: str = "",
    count: int = 30,
    person: str = "",
    session: str = "",
    keeps_unseen: bool = False,
    tell: Callable[[int, str], None] | None = None,
) -> Captured:
    """Keep up to ``count`` frames with one clear face each, as pictures of one session. The source is closed at the end.

    model: finds faces. answer: to the project's question, given to the face; of a project about boxes or keypoints none.
    keeps_unseen: also keep frames in which no face is found, with the answer for the whole picture, to be labelled by hand.
    tell: called after each frame with how many are kept and with what the coach says.

    A frame that nearly equals one kept in this session is left out, and so is a blurred one. The boxes are the model's
    (``by`` says so): a picture with an answer counts as labelled, another as suggested. Raises `DataError`.
    """
    check_class(project, answer)
    settings = project.settings
    if count < 1:
        raise DataError(f"count: expected at least 1, got {count}")
    result = Captured(session or new_session())
    coach = coach_of(project, answer, count)
    seen: list[_Seen] = []
    with closing(source):
        for frame in source:
            if isinstance(frame, Failure):
                result.left_out["unreadable"] += 1
                continue
            found = model(frame.image)
            look, reason = _judge(frame, found)
            one = _seen(frame, found) if look is not None else None
            if not reason and one is not None and any(one.is_like(other) for other in seen):
                reason = "nearly the same as one kept"
            if reason == "no face" and keeps_unseen:
                reason = ""
            if not reason:
                labels = _labels(project, found, answer, person, result.session)
                name = f"{answer or settings.task}-{result.session}-{len(result.kept) + 1:04d}.jpg"
                added = project.add([NewPicture(frame.image, name, labels)])
                reason = "kept already" if added.duplicates else "not kept" if added.rejected else ""
                result.kept += added.kept
            if reason:
                result.left_out[reason] += 1
            elif look is not None and one is not None:
                seen.append(one)
                coach.see(look, background_of(frame.image, found.boxes[0]))
            if tell is not None:
                tell(len(result.kept), coach.advice(look, len(found)))
            if len(result.kept) >= count:
                break
    result.missing, result.is_covered = coach.missing(), coach.is_covered
    project.close()
    return result


def check_class(project: Project, answer: str) -> None:
    """Raises `DataError` when pictures of that class cannot be recorded into a project."""
    settings = project.settings
    if settings.task == "attribute":
        if not answer:
            raise DataError(f"class: expected one of {', '.join(settings.classes) or 'the numbers'}; add --class NAME")
        settings.check_answer(answer if settings.classes else _number(answer))
    elif answer:
        raise DataError(f"class: a project about {settings.task} has none; leave --class out")


def coach_of(project: Project, answer: str, count: int) -> Coach:
    """A coach for a class that knows the newest pictures of it in the project; it wants ``count`` more."""
    name = project.settings.attribute
    samples = [
        sample
        for sample in project.samples()
        if not sample.parent and any(not name or str(f.attributes.get(name, "")) == answer for f in sample.faces or ())
    ][-_SEEN_BEFORE:]
    coach = Coach(count + len(samples))
    for sample in samples:
        face = next(f for f in sample.faces or () if not name or str(f.attributes.get(name, "")) == answer)
        try:
            image = sample.image()
        except MienError:
            continue
        coach.see(look_of(image, face.box, face.keypoints), background_of(image, face.box))
    return coach


def background_of(image: NDArray[np.uint8], box: NDArray[np.float32]) -> int:
    """A 64-bit hash of what is beside and above a face: brightness of 4 x 16 cells of those borders against their mean."""
    height, width = image.shape[:2]
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    left, right = int(np.clip(box[0], 1, width)), int(np.clip(box[2], 0, width - 1))
    top = int(np.clip(box[1], 1, height))
    strips = (grey[:, :left], grey[:, right:], grey[:top])
    cells = np.concatenate(
        [cv2.resize(strip, size, interpolation=cv2.INTER_AREA).ravel() for strip, size in zip(strips, _CELLS, strict=True)]
    ).astype(np.float32)
    return int(np.packbits(cells > np.median(cells)).view(">u8")[0])


_CELLS = ((3, 8), (3, 8), (8, 2))


def _judge(frame: Frame, found: Faces) -> tuple[Look | None, str]:
    """How the one face of a frame is seen, and why the frame is not kept ("" for one that is)."""
    if not len(found):
        return None, "no face"
    look = look_of(frame.image, found.boxes[0], found.keypoints[0])
    if len(found) > 1:
        return look, "several faces"
    if look.sharpness < BLURRED:
        return look, "blurred"
    return look, ""


def _seen(frame: Frame, found: Faces) -> _Seen:
    x1, y1, x2, y2 = (max(0, int(value)) for value in found.boxes[0])
    crop = frame.image[y1 : max(y2, y1 + 1), x1 : max(x2, x1 + 1)]
    whole = int(perceptual_hash(frame.image)[0])
    face = int(perceptual_hash(np.ascontiguousarray(crop))[0]) if crop.size else whole
    shares = found.boxes[0] / np.array([frame.width, frame.height, frame.width, frame.height], np.float32)
    return _Seen(whole, face, shares)


def _labels(project: Project, found: Faces, answer: str, person: str, session: str) -> Sample:
    name = project.settings.attribute
    value: str | float = answer if project.settings.classes or not answer else _number(answer)
    common: dict[str, Any] = {"person": person, "session": session, "source": "capture"}
    if not len(found):
        return Sample(b"", "", labels={name: value} if name else {}, state="unlabelled", **common)
    attributes = {name: value} if name else {}
    face = FaceLabel(found.boxes[0], found.keypoints[0], attributes=attributes, by="model", score=float(found.scores[0]))
    return Sample(b"", "", (face,), state="labelled" if name else "suggested", **common)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise DataError(f"class: expected a number, got {text[:40]!r}") from None
