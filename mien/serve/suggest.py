"""What our models think of pictures that nobody has labelled yet: faces to start from, and how sure they are."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien import attributes as face_attributes
from mien.attributes import Attribute
from mien.errors import MienError
from mien.geometry import iou, is_same
from mien.models.settings import Settings, face_model
from mien.serve.pictures import Gallery
from mien.types import KEYPOINT_NAMES, Faces

logger = logging.getLogger(__name__)

_SURE_GAP = 0.6
"""By how much the likeliest answer must lead for the model to count as sure of it."""
_SAME_IOU = 0.5
_UNSEEN = 0.5

Face = dict[str, Any]
"""A face as a row of a project holds it: box, keypoints, attributes, ignore, by."""


@dataclass(frozen=True, eq=False)
class Finder:
    """A face model and its thresholds.

    find: gives the faces of an image, also those that score as little as ``floor``. threshold: from where a face counts.
    sure: from where it is right 99 times in 100. floor: from where a face is worth a doubt.
    attributes: what the model's columns mean.
    """

    find: Callable[[NDArray[np.uint8]], Faces]
    threshold: float
    sure: float
    floor: float
    attributes: Mapping[str, Attribute] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings) -> Finder:
        """The face model that these settings ask for. Raises `ModelError` and `InputError`."""
        card = face_model(settings).card
        threshold = card.thresholds["default"]
        sure = max(card.thresholds.get("precision_99", 0), threshold + 0.05)
        # Half as far below as above: 91 % of the pictures that are certain then were labelled just so (39 % of 350 training
        # pictures were certain, 57 % of all were right). As far below: 92 %, but only 26 % certain. No doubts: 82 %.
        floor = max(0.01, threshold - (sure - threshold) / 2)
        model = face_model(replace(settings, min_score=floor))
        return cls(model, threshold, sure, floor, face_attributes.from_card(card.attributes))

    def answering(self, question: Attribute | None) -> Attribute | None:
        """The model's own attribute that answers a question in the same words; None where it has none."""
        own = self.attributes.get(question.name) if question is not None else None
        is_same_question = own is not None and question is not None and set(own.answers) == set(question.answers)
        return own if is_same_question else None


@dataclass(frozen=True, eq=False)
class Suggestion:
    """What the model thinks of one picture.

    size_wh: of the picture in pixels. faces: those it would label, in rows' form with ``score``, best first. doubtful: those
    that score too little to be labelled, but not by much.
    margin: how far its nearest decision was from going the other way, 0 to 1; 1 is sure. Where it sees nothing at all there
    is no decision to measure, and it counts as half sure: a face that is missed leaves no trace.
    """

    size_wh: tuple[int, int]
    faces: tuple[Face, ...]
    doubtful: tuple[Face, ...]
    margin: float


def suggest(finder: Finder, image: NDArray[np.uint8], question: Attribute | None = None) -> Suggestion:
    """What the finder makes of an image (H, W, 3). question: what is asked about each face, answered where the model can."""
    found = finder.find(image)
    is_face = found.scores >= finder.threshold
    # A part of a face, or a loose fit around one, is no doubtful face of its own.
    echoes = is_same(found.boxes, found.boxes[is_face], max_overlap=0.3, max_covered=0.6).any(axis=1)
    faces, doubtful = found[is_face], found[~is_face & ~echoes]
    above = (faces.scores - finder.threshold) / (finder.sure - finder.threshold)
    below = (finder.threshold - doubtful.scores) / (finder.threshold - finder.floor)
    margins = np.concatenate([above, below]) if len(above) else np.append(below, _UNSEEN)
    known = finder.answering(question)
    if known is not None and known.answers:
        margins = np.concatenate([margins, _gaps(faces.attributes[known.name]) / _SURE_GAP])
    margin = float(np.clip(margins.min(initial=1), 0, 1))
    size_wh = (image.shape[1], image.shape[0])
    entries = [tuple(_entry(face, known) for face in group) for group in (faces, doubtful)]
    return Suggestion(size_wh, entries[0], entries[1], margin)


def _gaps(column: NDArray[np.float32]) -> NDArray[np.float32]:
    """How far the likeliest answer of each face leads."""
    ordered = np.sort(np.nan_to_num(column), axis=1)
    return ordered[:, -1] - ordered[:, -2]


def _entry(face: Faces, known: Attribute | None) -> Face:
    told = None if known is None else face_attributes.to_json(known, face.attributes[known.name], 0)
    points = zip(KEYPOINT_NAMES, face.keypoints[0].tolist(), strict=True)
    return {
        "box": [round(value, 2) for value in face.boxes[0].tolist()],
        "keypoints": {name: [round(x, 2), round(y, 2)] for name, (x, y) in points if np.isfinite((x, y)).all()},
        "attributes": {} if known is None or told is None else {known.name: told.get("answer", told.get("value"))},
        "ignore": False,
        "by": "model",
        "score": round(float(face.scores[0]), 4),
    }


def agreement(faces: Iterable[Face], suggestion: Suggestion) -> float:
    """The suggestion's margin where the faces of a row are those that the model sees, 0 where they differ."""
    boxes = np.array([face["box"] for face in faces if not face.get("ignore")], np.float32).reshape(-1, 4)
    seen = np.array([face["box"] for face in suggestion.faces], np.float32).reshape(-1, 4)
    if len(boxes) != len(seen):
        return 0.0
    overlaps = iou(boxes, seen)
    is_matched = bool(
        (overlaps.max(axis=1, initial=0) >= _SAME_IOU).all() and (overlaps.max(axis=0, initial=0) >= _SAME_IOU).all()
    )
    return suggestion.margin if is_matched else 0.0


class Suggester:
    """Suggestions for a project's pictures: at once for the one asked for, in the background for all others.

    finder: None for a project that is labelled without a model; every suggestion is empty then.
    question: what is asked about each face. on_done: called with each name whose suggestion is there.
    """

    def __init__(
        self,
        finder: Finder | None,
        gallery: Gallery,
        question: Attribute | None,
        on_done: Callable[[str], None] = lambda name: None,
    ) -> None:
        self._finder = finder
        self._gallery = gallery
        self._question = question
        self._on_done = on_done
        self._lock = threading.Lock()
        self._done: dict[str, Suggestion | str] = {}
        self._is_stopped = threading.Event()
        self._walker: threading.Thread | None = None

    @property
    def has_model(self) -> bool:
        return self._finder is not None

    def known(self, name: str) -> Suggestion | str | None:
        """What is there already: a suggestion, or why the picture cannot be read; None when nobody has looked."""
        return self._done.get(name)

    def get(self, name: str, path: Path) -> Suggestion:
        """The suggestion for a picture, made now when it is not there. Raises `InputError` for one that cannot be read."""
        known = self._done.get(name)
        if isinstance(known, Suggestion):
            return known
        try:
            image = self._gallery.frame(path).image
            if self._finder is None:
                found = Suggestion((image.shape[1], image.shape[0]), (), (), 0.0)
            else:
                found = suggest(self._finder, image, self._question)
        except MienError as error:
            self._put(name, str(error))
            raise
        self._put(name, found)
        return found

    def _put(self, name: str, found: Suggestion | str) -> None:
        with self._lock:
            is_new = self._done.get(name) != found
            self._done[name] = found
        if is_new:
            self._on_done(name)

    def start(self, pictures: Iterable[tuple[str, Path]]) -> None:
        """Look at these pictures in the background, in this order; a model that fails ends that, and the log says why."""
        if self._finder is None or self._walker is not None:
            return
        self._walker = threading.Thread(target=self._walk, args=(list(pictures),), name="mien-suggest", daemon=True)
        self._walker.start()

    def _walk(self, pictures: list[tuple[str, Path]]) -> None:
        for name, path in pictures:
            if self._is_stopped.is_set():
                return
            if self.known(name) is None:
                try:
                    self.get(name, path)
                except MienError as error:
                    logger.info("%s: %s", name, error)

    def stop(self) -> None:
        """End the background work after the picture it is at."""
        self._is_stopped.set()
        if self._walker is not None:
            self._walker.join(timeout=10)
