"""What was seen in one picture: faces and their answers, as JSON and drawn."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mien import attributes as face_attributes
from mien.attributes import Attribute
from mien.errors import InputError
from mien.media.read import Readable, read
from mien.types import KEYPOINT_NAMES, Faces, Failure, Frame

if TYPE_CHECKING:
    pass

Pictures: TypeAlias = list[Any] | tuple[Readable, ...]
"""Several pictures: a list (of any of the forms that `read` takes) or a tuple."""

logger = logging.getLogger(__name__)

JSON_VERSION = 1
MOST_WORKERS = 4
"""Pictures of a batch that are worked on at the same time unless more are asked for."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """What was found in one picture, or why nothing could be.

    source: where the picture came from. width, height: of the upright picture in pixels, None where it could not be read.
    faces: by falling score; none where there is an error. error: what went wrong, None when nothing did.
    picture: what to draw on; a file is read again then, so that a list of predictions does not hold its pictures.
    attributes: what the columns of ``faces.attributes`` mean, where the table of `mien.attributes` does not say.
    """

    source: str
    width: int | None = None
    height: int | None = None
    faces: Faces = field(default_factory=Faces.none)
    error: Failure | None = None
    picture: Frame | str | Path | bytes | None = None
    attributes: Mapping[str, Attribute] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        result: Frame | Failure,
        attributes: Mapping[str, Attribute] | None = None,
        *,
        picture: str | Path | bytes | None = None,
    ) -> Prediction:
        """The prediction that one result of `run` is. picture: from where it can be read again, instead of keeping it."""
        if isinstance(result, Failure):
            return cls(result.source, error=result)
        faces = result.faces if result.faces is not None else Faces.none()
        kept = result if picture is None else picture
        return cls(result.source, result.width, result.height, faces, picture=kept, attributes=attributes or {})

    def to_json(self) -> dict[str, Any]:
        """The prediction as one strict JSON object, as `docs/reference/json.md` describes it, its keys in that order.

        Pixels have two decimals, scores four; what is not known is null.
        """
        return {
            "version": JSON_VERSION,
            "source": self.source,
            "width": self.width,
            "height": self.height,
            "faces": [_face_json(face, self.attributes) for face in self.faces],
            "error": None if self.error is None else {"kind": self.error.kind, "message": self.error.message},
        }

    def draw(self, *, colour_by: str | None = None) -> NDArray[np.uint8]:
        """The picture with what was found drawn on a copy, (H, W, 3) uint8 RGB; see `mien.draw.draw`.

        Raises `InputError` when the picture could not be read, or is another one by now.
        """
        from mien.draw import draw

        if self.picture is None:
            raise InputError(f"{self.source}: nothing to draw on, the picture could not be read")
        frame = self.picture if isinstance(self.picture, Frame) else read(self.picture)
        if (frame.width, frame.height) != (self.width, self.height):
            raise InputError(f"{self.source}: the file has changed since it was analysed; analyse it again")
        return draw(replace(frame, faces=self.faces), attributes=self.attributes, colour_by=colour_by)


def to_json(result: Frame | Failure, attributes: Mapping[str, Attribute] | None = None) -> dict[str, Any]:
    """One result of `run` as JSON: see `Prediction.to_json`."""
    return Prediction.of(result, attributes).to_json()


def _face_json(face: Faces, attributes: Mapping[str, Attribute]) -> dict[str, Any]:
    known = {name: face_attributes.find(name, attributes) for name in face.attributes}
    answers = {
        name: (face_attributes.to_json(known[name], column, 0), known[name].is_geometry)
        for name, column in face.attributes.items()
    }
    return {
        "box": [_number(value, 2) for value in face.boxes[0]],
        "score": _number(face.scores[0], 4),
        "keypoints": {
            name: [_number(value, 2) for value in point] if np.isfinite(point).all() else None
            for name, point in zip(KEYPOINT_NAMES, face.keypoints[0], strict=True)
        },
        **{name: told for name, (told, is_geometry) in answers.items() if is_geometry},
        "attributes": {name: told for name, (told, is_geometry) in answers.items() if not is_geometry},
    }


def _number(value: float, digits: int) -> float | None:
    # Adding zero turns -0.0 into 0.0.
    return round(float(value), digits) + 0.0 if np.isfinite(value) else None
