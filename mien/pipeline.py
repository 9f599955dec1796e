"""One loop for everything: a source gives frames, stages look at them or change them, results come out in order."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from mien import attributes as face_attributes
from mien.attributes import Attribute
from mien.errors import InputError, MienError
from mien.media.read import Readable, read
from mien.media.sources import Photos, Source
from mien.types import KEYPOINT_NAMES, Faces, Failure, Frame, Stage

if TYPE_CHECKING:
    from mien.models.faces import FaceModel
    from mien.models.matte import MatteModel

logger = logging.getLogger(__name__)

JSON_VERSION = 1
FAST_LONG_SIDE = 320
"""Long side in pixels to which pictures are shrunk for the network when speed matters more than small faces."""


@dataclass(frozen=True)
class Settings:
    """How models are run.

    faces, matte: a shipped model's name or a model file. min_score: in [0, 1], None for the model's own threshold.
    fast: look at a smaller picture; small faces are missed. device: "cpu", "cuda" or another provider of onnxruntime; one
    that is not there is an error. threads: per model.
    """

    faces: str | Path = "faces"
    matte: str | Path = "matte"
    min_score: float | None = None
    fast: bool = False
    device: str = "cpu"
    threads: int = 1

    def __post_init__(self) -> None:
        if self.min_score is not None and not 0 <= self.min_score <= 1:
            raise InputError(f"min_score: expected a number from 0 to 1, got {self.min_score:g}")
        if self.threads < 1:
            raise InputError(f"threads: expected 1 or more, got {self.threads}")


def faces_stage(model: Callable[[NDArray[np.uint8]], Faces]) -> Stage:
    """The stage that finds faces. ``model`` takes (H, W, 3) uint8 RGB."""

    def faces(frame: Frame) -> Frame:
        return replace(frame, faces=model(frame.image))

    return faces


def matte_stage(model: Callable[[NDArray[np.uint8]], NDArray[np.float32]]) -> Stage:
    """The stage that tells person from background. ``model`` takes (H, W, 3) uint8 RGB and gives (H, W) in [0, 1]."""

    def matte(frame: Frame) -> Frame:
        return replace(frame, matte=model(frame.image))

    return matte


def filter_stage(background: str | None = None, *, seed: int = 0) -> Stage:
    """The stage that makes the picture that `mien.filters.preset.render` describes; it needs faces and matte before it."""
    from mien.filters.preset import render

    def filter(frame: Frame) -> Frame:  # noqa: A001  the stage's name in messages
        return render(frame, background=background, seed=seed)

    return filter


def face_model(settings: Settings) -> FaceModel:
    """The face model that these settings ask for; loaded once and shared. Raises `ModelError`."""
    long_side = FAST_LONG_SIDE if settings.fast else None
    path, changed_ns = _model_file(settings.faces)
    return _face_model(path, changed_ns, settings.device, settings.threads, settings.min_score, long_side)


def matte_model(settings: Settings) -> MatteModel:
    """The matte model that these settings ask for; loaded once and shared. Raises `ModelError`."""
    path, changed_ns = _model_file(settings.matte)
    return _matte_model(path, changed_ns, settings.device, settings.threads)


def _model_file(name_or_path: str | Path) -> tuple[Path, int]:
    from mien.models.store import model_path

    path = model_path(name_or_path)
    return path, path.stat().st_mtime_ns


@lru_cache(maxsize=4)
def _face_model(
    path: Path, changed_ns: int, device: str, threads: int, min_score: float | None, long_side: int | None
) -> FaceModel:
    from mien.models.faces import FaceModel

    return FaceModel(path, device=device, threads=threads, min_score=min_score, long_side=long_side)


@lru_cache(maxsize=4)
def _matte_model(path: Path, changed_ns: int, device: str, threads: int) -> MatteModel:
    from mien.models.matte import MatteModel

    return MatteModel(path, device=device, threads=threads)


def analyze_stages(settings: Settings) -> list[Stage]:
    """The stages that tell what is in a picture. Raises `ModelError`."""
    return [faces_stage(face_model(settings))]


def filter_stages(settings: Settings, background: str | None = None, *, seed: int = 0) -> list[Stage]:
    """The stages that make a new picture of the people in one. Raises `ModelError`, and `InputError` for the background."""
    last = filter_stage(background, seed=seed)
    return [faces_stage(face_model(settings)), matte_stage(matte_model(settings)), last]


def run(source: Source, stages: Sequence[Stage]) -> Iterator[Frame | Failure]:
    """Put every frame of a source through the stages, in order; exactly one result comes out for each.

    A failing stage ends the run of a stream, with the stage's name and the frame's number in the error. In a batch of
    pictures (``source.is_batch``) it makes that picture a `Failure`, and the others go on. The source is closed at the end.
    """
    with closing(source):
        for frame in source:
            yield frame if isinstance(frame, Failure) else _through(frame, stages, source.is_batch)


def _through(frame: Frame, stages: Sequence[Stage], is_batch: bool) -> Frame | Failure:
    for stage in stages:
        try:
            frame = stage(frame)
        except Exception as error:  # one item of a batch, or the end of a stream
            name = getattr(stage, "__name__", type(stage).__name__)
            is_expected = isinstance(error, MienError)
            told = str(error) if is_expected else f"{type(error).__name__}: {error}"
            message = f"{frame.source or 'frame'} (frame {frame.index}): stage {name!r} failed: {told}"
            if not is_batch:
                kind = type(error) if isinstance(error, MienError) else MienError
                raise kind(message) from error
            logger.log(logging.INFO if is_expected else logging.ERROR, "%s", message, exc_info=not is_expected)
            kind_name = error.kind if isinstance(error, MienError) else MienError.kind
            return Failure(frame.source, kind_name, f"{frame.source}: {told}" if not is_expected else told)
    return frame


@dataclass(frozen=True, eq=False)
class Prediction:
    """What was found in one picture, or why nothing could be.

    source: where the picture came from. frame: the picture with its faces; None when there is an error.
    error: what went wrong; None when nothing did. attributes: what the columns of ``faces.attributes`` mean.
    """

    source: str
    frame: Frame | None = None
    error: Failure | None = None
    attributes: Mapping[str, Attribute] = field(default_factory=dict)

    @classmethod
    def of(cls, result: Frame | Failure, attributes: Mapping[str, Attribute] | None = None) -> Prediction:
        """The prediction that one result of `run` is."""
        if isinstance(result, Failure):
            return cls(result.source, error=result)
        return cls(result.source, frame=result, attributes=attributes or {})

    @property
    def faces(self) -> Faces:
        """The faces, sorted by falling score; none where the picture could not be read."""
        found = self.frame.faces if self.frame is not None else None
        return Faces.none() if found is None else found

    @property
    def width(self) -> int | None:
        """Of the upright picture, in pixels; None where it could not be read."""
        return self.frame.width if self.frame is not None else None

    @property
    def height(self) -> int | None:
        """Of the upright picture, in pixels; None where it could not be read."""
        return self.frame.height if self.frame is not None else None

    def to_json(self) -> dict[str, Any]:
        """The prediction as one strict JSON object, its keys in a fixed order (`docs/reference/json.md`)."""
        return to_json(self.frame if self.frame is not None else self._failure(), self.attributes)

    def draw(self, *, colour_by: str | None = None) -> NDArray[np.uint8]:
        """The picture with what was found drawn on a copy, (H, W, 3) uint8 RGB. Raises `InputError` when there is none."""
        from mien.draw import draw

        if self.frame is None:
            raise InputError(f"{self.source}: nothing to draw on, the picture could not be read")
        return draw(self.frame, attributes=self.attributes, colour_by=colour_by)

    def _failure(self) -> Failure:
        return self.error or Failure(self.source, MienError.kind, "no picture")


def to_json(result: Frame | Failure, attributes: Mapping[str, Attribute] | None = None) -> dict[str, Any]:
    """One result of `run` as strict JSON (`docs/reference/json.md`), its keys in a fixed order.

    Pixels have two decimals, scores four; what is not known is null. attributes: meanings of the attribute columns, from
    the model's card, where they are not in the table of `mien.attributes`.
    """
    if isinstance(result, Failure):
        error = {"kind": result.kind, "message": result.message}
        return _row(result.source, None, None, [], error)
    found = result.faces if result.faces is not None else Faces.none()
    faces = [_face_json(face, attributes) for face in found]
    return _row(result.source, result.width, result.height, faces, None)


def _row(
    source: str, width: int | None, height: int | None, faces: list[dict[str, Any]], error: dict[str, str] | None
) -> dict[str, Any]:
    size = {"width": width, "height": height}
    return {"version": JSON_VERSION, "source": source, **size, "faces": faces, "error": error}


def _face_json(face: Faces, attributes: Mapping[str, Attribute] | None) -> dict[str, Any]:
    return {
        "box": [_number(value, 2) for value in face.boxes[0]],
        "score": _number(face.scores[0], 4),
        "keypoints": {
            name: [_number(value, 2) for value in point] if np.isfinite(point).all() else None
            for name, point in zip(KEYPOINT_NAMES, face.keypoints[0], strict=True)
        },
        "attributes": {
            name: face_attributes.to_json(face_attributes.find(name, attributes), column, 0)
            for name, column in face.attributes.items()
        },
    }


def _number(value: np.floating[Any], digits: int) -> float | None:
    # Adding zero turns -0.0 into 0.0.
    return round(float(value), digits) + 0.0 if np.isfinite(value) else None


@overload
def analyze(source: Readable, **settings: Any) -> Prediction: ...
@overload
def analyze(source: Sequence[Readable], **settings: Any) -> list[Prediction]: ...
def analyze(source: Readable | Sequence[Readable], **settings: Any) -> Prediction | list[Prediction]:
    """Find the faces in a picture, or in each of a list of pictures.

    source: a file name, encoded bytes, an open binary file or an array (H, W, 3) uint8 RGB; or a list or tuple of these.
    settings: fields of `Settings`: ``min_score``, ``fast``, ``device``, ``threads``, ``faces`` (another model file).

    One picture gives one `Prediction`, a list gives a list in the same order. A picture of a list that cannot be read has
    its ``error`` set; a single one raises it. Raises `InputError` and `ModelError`.
    """
    chosen = _settings(settings)
    stages = analyze_stages(chosen)
    described = face_attributes.from_card(face_model(chosen).card.attributes)
    if isinstance(source, list | tuple):
        return [Prediction.of(result, described) for result in run(Photos(source), stages)]
    return Prediction.of(_single(source, stages), described)


@dataclass(frozen=True, eq=False)
class Filtered:
    """A picture that a filter made.

    image: (H, W, 3) uint8 RGB. alpha: (H, W) uint8, or None for a picture without transparency. source: what it is of.
    """

    image: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None
    source: str

    def save(self, path: str | Path) -> Path:
        """Write it as PNG, WebP or, without transparency, JPEG. Raises `InputError`."""
        from mien.media.write import write

        return write(Frame(self.image, alpha=self.alpha), path)


def filter(source: Readable, background: str | None = None, *, seed: int = 0, **settings: Any) -> Filtered:  # noqa: A001
    """Make a new picture of the people in one.

    source: a file name, encoded bytes, an open binary file or an array (H, W, 3) uint8 RGB.
    background: "transparent" cuts the people out, at the picture's own size; None makes the framed poster.
    seed: which of the equally good posters. settings: fields of `Settings`.

    Raises `InputError` and `ModelError`.
    """
    frame = _single(source, filter_stages(_settings(settings), background, seed=seed))
    return Filtered(frame.image, frame.alpha, frame.source)


def _settings(values: Mapping[str, Any]) -> Settings:
    unknown = values.keys() - Settings.__dataclass_fields__.keys()
    if unknown:
        known = ", ".join(Settings.__dataclass_fields__)
        raise InputError(f"expected settings out of {known}, got {', '.join(sorted(unknown))}")
    return Settings(**values)


def _single(source: Readable, stages: Sequence[Stage]) -> Frame:
    frame = read(source)
    for stage in stages:
        frame = stage(frame)
    return frame
