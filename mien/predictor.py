"""One model file and what it says of a picture: the shortest way from a trained model to answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from mien.attributes import from_card
from mien.card import ModelCard
from mien.errors import InputError
from mien.media.read import Readable, read
from mien.models.onnx_file import read_onnx
from mien.models.settings import FaceOptions, Settings, matte_model
from mien.models.store import model_path
from mien.pipeline import Prediction, analyze_stages


class Predictor:
    """What a model file tells of pictures, whatever its task. Threads may share it.

    model: a shipped model's name or a file. crops: take each picture as one face that fills it. options: see `Settings`.

    A model that finds faces, or reads them (all it was trained for, sensitive attributes too), gives a `Prediction`; one
    for mattes gives how much of each pixel is person, (H, W) float32. Raises `ModelError` and `InputError`.
    """

    def __init__(self, model: str | Path, /, *, crops: bool = False, **options: Unpack[FaceOptions]) -> None:
        path = model_path(model)
        self.card: ModelCard = read_onnx(path).card
        if self.card.task == "matte":
            if unfit := options.keys() - {"device", "threads"} or ({"crops"} if crops else set()):
                raise InputError(f"{path}: expected device and threads for a matte model, got {', '.join(sorted(unfit))}")
            self._matte = matte_model(replace(Settings(**options), matte_model=path))
            return
        settings = replace(Settings(**options), model=path)
        if self.card.task == "attributes" and "with_" not in options:
            asked = tuple(name for name, one in from_card(self.card.attributes).items() if one.is_sensitive)
            settings = replace(settings, with_=asked)
        self._stages, self._described = analyze_stages(settings, crops=crops)

    def __call__(self, picture: Readable) -> Prediction | NDArray[np.float32]:
        """What the model says of a picture: a file name, bytes, an open file or an array (H, W, 3) uint8 RGB."""
        frame = read(picture)
        if self.card.task == "matte":
            return self._matte(frame.image)
        for stage in self._stages:
            frame = stage(frame)
        return Prediction.of(frame, self._described)
