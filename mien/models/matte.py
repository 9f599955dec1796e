"""Telling people from what is behind them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.card import ModelCard
from mien.models.doubt import decided
from mien.models.picture import checked, shrunk
from mien.models.store import open_model

_DETAIL = 2
"""Side of the picture whose edges the matte takes over, in units of the side that the network sees."""
_SHRINK_FROM = 1.5
"""How many times larger than that a picture is shrunk to it: a 720p frame is, in two thirds of the time."""


class MatteModel:
    """Says of each pixel how much of it is person. Stateless; threads may share it.

    model: name of a shipped model or path of an ONNX file. device, threads: see `ModelSession`.

    Raises `ModelError` when the model cannot be used or is for something else, `InputError` for a missing device.
    """

    def __init__(self, model: str | Path = "matte", *, device: str = "cpu", threads: int = 1) -> None:
        self.session = open_model(model, task="matte", device=device, threads=threads, outputs=("matte",))

    @property
    def card(self) -> ModelCard:
        """What the model says of itself."""
        return self.session.file.card

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The matte, (H, W) float32 in [0, 1], its wide areas of doubt decided (`mien.models.doubt.decided`).

        ``image`` is (H, W, 3) uint8 RGB. Raises `InputError`.
        """
        image = checked(image, self.card)
        small = shrunk(image, _DETAIL * self.session.settings.get("long_side", 0), _SHRINK_FROM)
        matte: NDArray[np.float32] = decided(np.clip(self.session.run({"image": small})["matte"], 0, 1))
        if small is not image:
            import cv2

            matte = cv2.resize(matte, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_LINEAR)
        return matte
