"""How models are run, and the models that run so. A file is loaded once, however many settings ask for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from mien.errors import ModelError

if TYPE_CHECKING:
    from mien.models.attributes import AttributeModel
    from mien.models.faces import FaceModel, Rotate
    from mien.models.matte import MatteModel
    from mien.models.session import ModelSession

FAST_LONG_SIDE = 352
"""Long side in pixels at which a face model sees pictures when speed matters more than small faces."""


@dataclass(frozen=True)
class Settings:
    """How models are run.

    model, attribute_model, matte_model: the model that finds faces (or another, see `by_task`), the one that reads them, and
        the one that tells person from background: a shipped model's name or a model file.
    with_: sensitive attributes to read as well, such as "age"; they are never read unasked.
    min_score, min_size, max_faces, tile, rotate: which faces are looked for and kept, see `FaceModel`.
    fast: see pictures at `FAST_LONG_SIDE`; small faces are missed. The least score is then the one that the model's card
        calls ``fast``, where it has one.
    device: "cpu", "cuda", "openvino" or a provider of onnxruntime; one that is not there is an error.
    threads: that one model call may use.
    """

    model: str | Path = "faces"
    attribute_model: str | Path = "attributes"
    matte_model: str | Path = "matte"
    with_: tuple[str, ...] = ()
    min_score: float | None = None
    min_size: float = 0
    max_faces: int | None = None
    fast: bool = False
    tile: bool | int = False
    rotate: Rotate = "never"
    device: str = "cpu"
    threads: int = 1


def by_task(settings: Settings) -> Settings:
    """The settings with ``model`` in the place that its card says it is for: a model that reads faces works with the shipped
    one that finds them. Raises `ModelError` for a model that neither finds nor reads faces.
    """
    if str(settings.model) == "faces":
        return settings
    from mien.models.onnx_file import read_onnx
    from mien.models.store import model_path

    path = model_path(settings.model)
    task = read_onnx(path).card.task
    if task == "attributes":
        return replace(settings, model="faces", attribute_model=path)
    if task != "faces":
        raise ModelError(f"{path}: expected a model that finds or reads faces, got one for {task!r}; see mien.Predictor")
    return settings


class FaceOptions(TypedDict, total=False):
    """Those of the `Settings` that finding and reading faces takes, by keyword."""

    model: str | Path
    attribute_model: str | Path
    with_: tuple[str, ...]
    min_score: float | None
    min_size: float
    max_faces: int | None
    fast: bool
    tile: bool | int
    rotate: Rotate
    device: str
    threads: int


class Options(FaceOptions, total=False):
    """All `Settings`, by keyword."""

    matte_model: str | Path


def face_model(settings: Settings) -> FaceModel:
    """The face model that these settings ask for; its file is loaded once. Raises `ModelError` and `InputError`."""
    from mien.models.faces import FaceModel

    path, changed_ns = _model_file(settings.model)
    session = _face_session(path, changed_ns, settings.device, settings.threads)
    own = session.file.card.thresholds.get("fast") if settings.fast else None
    return FaceModel(
        session,
        min_score=own if settings.min_score is None else settings.min_score,
        min_size=settings.min_size,
        max_faces=settings.max_faces,
        long_side=FAST_LONG_SIDE if settings.fast else None,
        tile=settings.tile,
        rotate=settings.rotate,
    )


def attribute_model(settings: Settings) -> AttributeModel:
    """The attribute model that these settings ask for; its file is loaded once. Raises `ModelError` and `InputError`."""
    from mien.attributes import from_card
    from mien.models.attributes import AttributeModel

    path, changed_ns = _model_file(settings.attribute_model)
    session = _attribute_session(path, changed_ns, settings.device, settings.threads)
    plain = [name for name, one in from_card(session.file.card.attributes).items() if not one.is_sensitive]
    return AttributeModel(session, names=(*plain, *settings.with_))


def matte_model(settings: Settings) -> MatteModel:
    """The matte model that these settings ask for, loaded once and shared. Raises `ModelError` and `InputError`."""
    path, changed_ns = _model_file(settings.matte_model)
    return _matte_model(path, changed_ns, settings.device, settings.threads)


def _model_file(name_or_path: str | Path) -> tuple[Path, int]:
    """The file and when it changed, so that a new model under an old name is loaded anew."""
    from mien.models.store import model_path

    path = model_path(name_or_path)
    return path, path.stat().st_mtime_ns if path.is_file() else 0


@lru_cache(maxsize=4)
def _face_session(path: Path, changed_ns: int, device: str, threads: int) -> ModelSession:
    from mien.models.faces import FaceModel

    return FaceModel(path, device=device, threads=threads).session


@lru_cache(maxsize=4)
def _attribute_session(path: Path, changed_ns: int, device: str, threads: int) -> ModelSession:
    from mien.models.attributes import AttributeModel

    return AttributeModel(path, device=device, threads=threads).session


@lru_cache(maxsize=4)
def _matte_model(path: Path, changed_ns: int, device: str, threads: int) -> MatteModel:
    from mien.models.matte import MatteModel

    return MatteModel(path, device=device, threads=threads)
