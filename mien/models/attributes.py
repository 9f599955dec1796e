"""Reading faces: what each one shows, all of them in one call of one network."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.attributes import Attribute, from_card
from mien.card import ModelCard
from mien.errors import InputError, ModelError
from mien.models.picture import checked
from mien.models.session import ModelSession
from mien.models.store import open_model
from mien.types import Faces

_CELL = 192
_REACH, _REACH_OF_CROPS = 2.2, 1.3
_GREY = 127
_EYES_NOSE_MOUTH = (slice(42, 48), slice(36, 42), slice(30, 31), slice(54, 55), slice(48, 49))
"""Rows of the 68 points whose means are the five keypoints, in their order."""


class AttributeModel:
    """Reads the faces of a picture. Stateless; threads may share it.

    model: name of a shipped model, path of an ONNX file, or the open session of an attribute model, to share it.
    names: the attributes wanted; None for all that are not sensitive.
    device, threads: see `ModelSession`; of no effect on an open session.

    Raises `ModelError` when the model cannot be used or is for something else, `InputError` for an unknown attribute.
    """

    def __init__(
        self,
        model: str | Path | ModelSession = "attributes",
        *,
        names: Collection[str] | None = None,
        device: str = "cpu",
        threads: int = 1,
    ) -> None:
        if isinstance(model, ModelSession):
            self.session = model
        else:
            self.session = open_model(
                model, task="attributes", device=device, threads=threads, inputs=("image", "boxes", "keypoints")
            )
        known = from_card(self.card.attributes)
        missing = sorted(known.keys() - set(self.session.output_names))
        if missing:
            raise ModelError(f"{self.session.file.path}: its card names {', '.join(missing)}, which it does not give")
        for name in names or ():
            if name not in known:
                raise InputError(f"attribute {name!r}: this model reads {', '.join(known)}")
        wanted = known.keys() if names is not None else (n for n, one in known.items() if not one.is_sensitive)
        chosen = set(wanted) if names is None else set(names)
        self.attributes: Mapping[str, Attribute] = {name: one for name, one in known.items() if name in chosen}

    @property
    def card(self) -> ModelCard:
        """What the model says of itself."""
        return self.session.file.card

    def __call__(self, image: NDArray[np.uint8], faces: Faces) -> Faces:
        """The faces with a column for each attribute. ``image`` is (H, W, 3) uint8 RGB, the picture they were found in.

        A face whose keypoints are not known is taken to fill its box, and gets those that its contour implies. Raises
        `InputError`.
        """
        image = checked(image, self.card)
        if not len(faces):
            none = {name: np.zeros((0, one.width), np.float32) for name, one in self.attributes.items()}
            return faces.with_attributes(**none)
        sheet, scales, shifts = _sheet(image, faces)
        boxes = (faces.boxes + np.tile(shifts, 2)) * scales[:, None]
        keypoints = (faces.keypoints + shifts[:, None]) * scales[:, None, None]
        answers = self.session.run(
            {"image": sheet, "boxes": boxes.astype(np.float32), "keypoints": keypoints.astype(np.float32)}
        )
        columns = {}
        for name, attribute in self.attributes.items():
            column = answers[name]
            if attribute.points:
                points = column.reshape(len(faces), -1, 2) / scales[:, None, None] - shifts[:, None]
                column = points.reshape(len(faces), -1).astype(np.float32)
            elif "size" in attribute.parts:
                column = column.copy()
                column[:, attribute.parts.index("size")] /= scales
            columns[name] = column
        return with_keypoints(faces.with_attributes(**columns))


def whole_picture(image: NDArray[np.uint8]) -> Faces:
    """One face that fills the picture (H, W, 3), its keypoints unknown."""
    height, width = image.shape[:2]
    unknown = np.full((1, 5, 2), np.nan, np.float32)
    return Faces(np.array([[0, 0, width, height]], np.float32), np.ones(1, np.float32), unknown)


def with_keypoints(faces: Faces) -> Faces:
    """The faces with the five keypoints that their contours imply where they are not known."""
    contours = faces.attributes.get("landmarks68")
    if contours is None or not len(faces):
        return faces
    points = contours.reshape(len(faces), -1, 2)
    implied = np.stack([points[:, rows].mean(axis=1) for rows in _EYES_NOSE_MOUTH], axis=1)
    known = np.where(np.isfinite(faces.keypoints), faces.keypoints, implied)
    return Faces(faces.boxes, faces.scores, known, faces.ids, faces.attributes)


def _sheet(image: NDArray[np.uint8], faces: Faces) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]:
    """The surroundings of each face side by side in one picture, large ones shrunk by area, and how to get there: scales
    (N,)
    and shifts (N, 2), so that a place p of face i lies at (p + shift) * scale.

    The model would take the whole picture just as well; this way the cost depends on the faces, not on the picture.
    """
    columns = math.ceil(math.sqrt(len(faces)))
    rows = math.ceil(len(faces) / columns)
    sheet = np.full((rows * _CELL, columns * _CELL, 3), _GREY, np.uint8)
    scales, shifts = np.ones(len(faces), np.float32), np.zeros((len(faces), 2), np.float32)
    height, width = image.shape[:2]
    for number, (box, keypoints) in enumerate(zip(faces.boxes, faces.keypoints, strict=True)):
        is_known = np.isfinite(keypoints).all()
        points = np.concatenate([box.reshape(2, 2), keypoints]) if is_known else box.reshape(2, 2)
        low, high = points.min(axis=0), points.max(axis=0)
        side = max(4, math.ceil(float((high - low).max()) * (_REACH if is_known else _REACH_OF_CROPS)))
        left, top = (int(value) for value in np.round((low + high) / 2 - side / 2))
        region = np.full((side, side, 3), _GREY, np.uint8) if _is_outside(left, top, side, width, height) else None
        cut = image[max(0, top) : max(0, top + side), max(0, left) : max(0, left + side)]
        if region is None:
            region = cut
        elif cut.size:
            y, x = max(0, -top), max(0, -left)
            region[y : y + cut.shape[0], x : x + cut.shape[1]] = cut
        if side > _CELL:
            region = np.asarray(cv2.resize(region, (_CELL, _CELL), interpolation=cv2.INTER_AREA), np.uint8)
            scales[number] = _CELL / side
        y, x = (number // columns) * _CELL, (number % columns) * _CELL
        sheet[y : y + len(region), x : x + len(region)] = region
        shifts[number] = np.array([x, y], np.float32) / scales[number] - (left, top)
    return sheet, scales, shifts


def _is_outside(left: int, top: int, side: int, width: int, height: int) -> bool:
    return left < 0 or top < 0 or left + side > width or top + side > height
