"""Finding faces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.card import ModelCard
from mien.errors import InputError, ModelError
from mien.models.picture import checked, shrunk
from mien.models.store import open_model
from mien.types import Faces


class FaceModel:
    """Finds the faces of a picture, each with a box, a score and five keypoints. Stateless; threads may share it.

    model: name of a shipped model or path of an ONNX file. device, threads: see `ModelSession`.
    min_score: faces that score less are left out, 0 to 1. long_side: the picture is seen at this size, in pixels; a larger
    one finds smaller faces and takes longer. max_faces: at most so many, the best ones. None takes the model's own default.

    Raises `ModelError` when the model cannot be used or is for something else, `InputError` for a wrong setting or device.
    """

    def __init__(
        self,
        model: str | Path = "faces",
        *,
        device: str = "cpu",
        threads: int = 1,
        min_score: float | None = None,
        long_side: int | None = None,
        max_faces: int | None = None,
    ) -> None:
        if min_score is not None and not 0 <= min_score <= 1:
            raise InputError(f"min_score: expected 0 to 1, got {min_score}")
        for name, value, least in (("long_side", long_side, 32), ("max_faces", max_faces, 1)):
            if value is not None and value < least:
                raise InputError(f"{name}: expected at least {least}, got {value}")
        outputs = ("boxes", "scores", "keypoints")
        self.session = open_model(model, task="faces", device=device, threads=threads, outputs=outputs)
        given = {"min_score": min_score, "long_side": long_side, "max_faces": max_faces}
        self._settings = {name: value for name, value in given.items() if value is not None}
        for name in self._settings:
            if name not in self.session.settings:
                raise ModelError(f"{self.session.file.path}: this model has no setting {name}; leave it out")

    @property
    def card(self) -> ModelCard:
        """What the model says of itself."""
        return self.session.file.card

    def __call__(self, image: NDArray[np.uint8]) -> Faces:
        """The faces of a picture by falling score, in its pixels. ``image`` is (H, W, 3) uint8 RGB. Raises `InputError`."""
        image = checked(image, self.card)
        small = shrunk(image, self._settings.get("long_side") or self.session.settings.get("long_side"))
        answers = self.session.run({"image": small, **self._settings})
        boxes, keypoints = answers["boxes"], answers["keypoints"]
        if small is not image:
            ratio = np.array([image.shape[1] / small.shape[1], image.shape[0] / small.shape[0]], np.float32)
            boxes, keypoints = boxes * np.tile(ratio, 2), keypoints * ratio
        return Faces(boxes, answers["scores"], keypoints)
