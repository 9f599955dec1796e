"""Finding faces."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from mien.card import ModelCard
from mien.errors import InputError, ModelError
from mien.geometry import clip_boxes, transform_boxes, transform_points, turn_boxes, turn_points, turned_canvas
from mien.models.picture import checked, shrunk
from mien.models.session import ModelSession
from mien.models.store import open_model
from mien.models.tiles import find_in_tiles, merged
from mien.types import Faces

Rotate: TypeAlias = Literal["never", "auto", "all"]
"""Which ways round a picture is looked at; see `FaceModel`."""

_OUTPUTS = ("boxes", "scores", "keypoints")
_TILED_SHARE = 0.5
"""Side of the smallest tiles over the side at which the network sees them: a face of 10 pixels is seen with 20."""
_LEAST_SIDE = 32
_TILT_DEG = 30
_TILT_MARGIN = 1.3
"""How many times more a tilted look must show: the boxes of an upright one are tighter."""
_GREY = 127


class FaceModel:
    """Finds the faces of a picture, each with a box, a score and five keypoints. Stateless; threads may share it.

    model: name of a shipped model, path of an ONNX file, or the open session of a face model, to share it.
    device, threads: see `ModelSession`; of no effect on an open session.
    min_score: faces that score less are left out, 0 to 1; None takes the model's own threshold.
    min_size: faces whose box has a shorter side, in pixels of the picture, are left out.
    max_faces: at most so many, the best ones; None for all.
    long_side: the picture, or each tile of it, is seen at this size, in pixels; a larger one finds smaller faces and takes
        longer. None takes the model's own.
    tile: look at overlapping tiles as well, for small faces in large pictures, see `find_in_tiles`. A number is the side of
        the smallest tiles in pixels; True takes half of the model's own long side.
    rotate: "never" looks at the picture as it is. "auto" looks at it all four ways round, then tilted by 30 degrees to
        either side of the best of them, and takes the way whose scores lie furthest over the threshold in sum, for pictures
        at any angle; it costs as much as eight looks. "all" takes the faces of all four ways, for people who lie. Answers
        are in the picture as it is, left and right stay the subject's.

    Raises `ModelError` when the model cannot be used or is for something else, `InputError` for a wrong setting or device.
    """

    def __init__(
        self,
        model: str | Path | ModelSession = "faces",
        *,
        device: str = "cpu",
        threads: int = 1,
        min_score: float | None = None,
        min_size: float = 0,
        max_faces: int | None = None,
        long_side: int | None = None,
        tile: bool | int = False,
        rotate: Rotate = "never",
    ) -> None:
        if min_score is not None and not 0 <= min_score <= 1:
            raise InputError(f"min_score: expected 0 to 1, got {min_score}")
        if not 0 <= min_size < math.inf:
            raise InputError(f"min_size: expected pixels, 0 or more, got {min_size}")
        for name, value, least in (("long_side", long_side, _LEAST_SIDE), ("max_faces", max_faces, 1)):
            if value is not None and (not isinstance(value, int) or value < least):
                raise InputError(f"{name}: expected a whole number of at least {least}, got {value!r}")
        if not isinstance(tile, int) or (tile < _LEAST_SIDE and not isinstance(tile, bool)):
            raise InputError(f"tile: expected True, False or a side of at least {_LEAST_SIDE} pixels, got {tile!r}")
        if rotate not in get_args(Rotate):
            raise InputError(f"rotate: expected {', '.join(get_args(Rotate))}, got {rotate!r}")
        if isinstance(model, ModelSession):
            self.session = model
        else:
            self.session = open_model(model, task="faces", device=device, threads=threads, outputs=_OUTPUTS)
        own = self.session.settings
        self._settings = {
            name: value for name, value in {"min_score": min_score, "long_side": long_side}.items() if value is not None
        }
        if max_faces is not None and max_faces > own.get("max_faces", math.inf):
            self._settings["max_faces"] = max_faces
        for name in self._settings:
            if name not in own:
                raise ModelError(f"{self.session.file.path}: this model has no setting {name}; leave it out")
        self._min_size = min_size
        self._max_faces = max_faces
        self._side = round(_TILED_SHARE * own.get("long_side", 640)) if tile is True else int(tile)
        self._rotate = rotate

    @property
    def card(self) -> ModelCard:
        """What the model says of itself."""
        return self.session.file.card

    def __call__(self, image: NDArray[np.uint8]) -> Faces:
        """The faces of a picture by falling score, in its pixels. ``image`` is (H, W, 3) uint8 RGB. Raises `InputError`."""
        image = checked(image, self.card)
        if self._rotate == "never":
            faces = self._look(image)
        else:
            looks = [self._look_turned(image, turns) for turns in range(4)]
            faces = merged(looks) if self._rotate == "all" else self._best_way_round(image, looks)
        return faces[: self._max_faces]

    def _best_way_round(self, image: NDArray[np.uint8], looks: list[Faces]) -> Faces:
        evidence = [self._evidence(faces) for faces in looks]
        turns = int(np.argmax(evidence))
        best, most = looks[turns], evidence[turns]
        for tilt_deg in (-_TILT_DEG, _TILT_DEG):
            faces = self._look_tilted(image, 90 * turns + tilt_deg)
            if self._evidence(faces) > most * _TILT_MARGIN:
                best, most = faces, self._evidence(faces)
        return best

    def _look_turned(self, image: NDArray[np.uint8], quarter_turns: int) -> Faces:
        turned = np.ascontiguousarray(np.rot90(image, -quarter_turns))
        size_wh = (turned.shape[1], turned.shape[0])
        faces = self._look(turned)
        return replace(
            faces,
            boxes=turn_boxes(faces.boxes, -quarter_turns, size_wh),
            keypoints=turn_points(faces.keypoints, -quarter_turns, size_wh),
        )

    def _look_tilted(self, image: NDArray[np.uint8], angle_deg: float) -> Faces:
        """What is found when the picture is turned clockwise by any angle, on a grey canvas that holds all of it."""
        import cv2

        height, width = image.shape[:2]
        canvas_wh, matrix = turned_canvas((width, height), angle_deg)
        pixel_matrix = matrix.copy()  # OpenCV counts from the centres of pixels, places are from their edges
        pixel_matrix[:, 2] += pixel_matrix[:, :2].sum(1) / 2 - 0.5
        canvas = cv2.warpAffine(image, pixel_matrix, canvas_wh, flags=cv2.INTER_AREA, borderValue=(_GREY,) * 3)
        faces = self._look(np.asarray(canvas, np.uint8), max(canvas_wh) / max(width, height))
        back = np.asarray(cv2.invertAffineTransform(matrix), np.float32)
        boxes = transform_boxes(back, faces.boxes)
        middle = (boxes[:, :2] + boxes[:, 2:]) / 2
        is_inside = np.asarray(((middle > 0) & (middle < (width, height))).all(axis=1))
        keypoints = transform_points(back, faces.keypoints)
        moved = replace(faces, boxes=clip_boxes(boxes, width, height), keypoints=keypoints)
        return moved[is_inside]

    def _evidence(self, faces: Faces) -> float:
        """How much speaks for a way round: what a doubtful face adds is next to nothing."""
        threshold = self._settings.get("min_score", self.session.settings.get("min_score", 0))
        return float((faces.scores - threshold).sum())

    def _look(self, image: NDArray[np.uint8], grown: float = 1.0) -> Faces:
        """What is found the way the picture is; grown: how much longer it is than the one it shows."""
        faces = find_in_tiles(self._find, image, self._side) if self._side else self._find(image, grown)
        return faces[(faces.boxes[:, 2:] - faces.boxes[:, :2]).min(axis=1, initial=np.inf) >= self._min_size]

    def _find(self, image: NDArray[np.uint8], grown: float = 1.0) -> Faces:
        """What one run of the model finds, seeing the picture that many times larger than its long side says."""
        settings = self._settings
        long_side = settings.get("long_side") or self.session.settings.get("long_side")
        if long_side and grown != 1:
            long_side = round(long_side * grown)
            settings = {**settings, "long_side": long_side}
        small = shrunk(image, long_side)
        answers = self.session.run({"image": small, **settings})
        boxes, keypoints = answers["boxes"], answers["keypoints"]
        if small is not image:
            ratio = np.array([image.shape[1] / small.shape[1], image.shape[0] / small.shape[0]], np.float32)
            boxes, keypoints = boxes * np.tile(ratio, 2), keypoints * ratio
        return Faces(boxes, answers["scores"], keypoints)
