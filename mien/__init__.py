"""Face vision from your own pictures to a running product.

import mien

result = mien.analyze("photo.jpg")
for face in result.faces:
    print(face.boxes[0], face.scores[0])

mien.filter("photo.jpg", background="transparent").save("cutout.png")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mien.errors import DataError, InputError, MienError, ModelError, SourceError
    from mien.media.read import read
    from mien.media.write import write
    from mien.pipeline import Prediction, analyze, filter, filter_each  # noqa: A004
    from mien.predictor import Predictor
    from mien.types import KEYPOINT_NAMES, Faces, Failure, Frame

__version__ = "0.1.0"

_HOMES = {
    "mien.errors": ("DataError", "InputError", "MienError", "ModelError", "SourceError"),
    "mien.media.read": ("read",),
    "mien.media.write": ("write",),
    "mien.pipeline": ("Prediction", "analyze", "filter", "filter_each"),
    "mien.predictor": ("Predictor",),
    "mien.types": ("KEYPOINT_NAMES", "Faces", "Failure", "Frame"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "KEYPOINT_NAMES",
    "DataError",
    "Faces",
    "Failure",
    "Frame",
    "InputError",
    "MienError",
    "ModelError",
    "Prediction",
    "Predictor",
    "SourceError",
    "__version__",
    "analyze",
    "filter",
    "filter_each",
    "read",
    "write",
]


def __getattr__(name: str) -> object:
    """Import a public name when it is first used (PEP 562), so that ``import mien`` stays quick."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'mien' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
