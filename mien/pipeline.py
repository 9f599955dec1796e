"""One loop for everything: a source gives frames, stages look at them or change them, results come out in order."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, overload

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

Pictures: TypeAlias = list[Any] | tuple[Readable, ...]
"""Several pictures: a list (of any of the forms that `read` takes) or a tuple."""

logger = logging.getLogger(__name__)

JSON_VERSION = 1
FAST_LONG_SIDE = 320
"""Long side in pixels at which a face model sees pictures when speed matters more than small faces."""


@dataclass(frozen=True)
class Settings:
    """How models are run.

    faces, matte: a shipped model's name or a model file. min_score: 0 to 1, None for the model's own threshold.
    fast: see pictures at `FAST_LONG_SIDE`; small faces are missed. device: "cpu", "cuda", "openvino" or a provider of
    onnxruntime; one that is not there is an error. threads: that one model call may use.
    """

    faces: str | Path = "faces"
    matte: str | Path = "matte"
    min_score: float | None = None
    fast: bool = False
    device: str = "cpu"
    threads: int = 1


def face_model(settings: Settings) -> FaceModel:
    """The face model that these settings ask for, loaded once and shared. Raises `ModelError` and `InputError`."""
    long_side = FAST_LONG_SIDE if settings.fast else None
    path, changed_ns = _model_file(settings.faces)
    return _face_model(path, changed_ns, settings.device, settings.threads, settings.min_score, long_side)


def matte_model(settings: Settings) -> MatteModel:
    """The matte model that these settings ask for, loaded once and shared. Raises `ModelError` and `InputError`."""
    path, changed_ns = _model_file(settings.matte)
    return _matte_model(path, changed_ns, settings.device, settings.threads)


def _model_file(name_or_path: str | Path) -> tuple[Path, int]:
    """The file and when it changed, so that a new model under an old name is loaded anew."""
    from mien.models.store import model_path

    path = model_path(name_or_path)
    return path, path.stat().st_mtime_ns if path.is_file() else 0


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
    """The stage that makes the picture which `mien.filters.preset.render` describes, of a frame with faces and matte.

    Raises `InputError` for a background or a seed that is not known there.
    """
    from mien.filters.background import TRANSPARENT, parse_background
    from mien.filters.preset import Preset, apply

    preset = Preset.from_dict({"background": background, "seed": seed})
    if background is not None and background.strip().lower() != TRANSPARENT:
        parse_background(background)

    def filter(frame: Frame) -> Frame:  # noqa: A001  the stage's name in messages
        return apply(preset, frame)

    return filter


def analyze_stages(settings: Settings) -> list[Stage]:
    """The stages that tell what is in a picture. Raises `ModelError` and `InputError`."""
    return [faces_stage(face_model(settings))]


def filter_stages(settings: Settings, background: str | None = None, *, seed: int = 0) -> list[Stage]:
    """The stages that make a new picture of the people in one. Raises `ModelError` and `InputError`."""
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
    source, index = frame.source, frame.index
    for stage in stages:
        try:
            frame = stage(frame)
        except Exception as error:  # the border of one item of a batch
            kind = type(error) if isinstance(error, MienError) else MienError
            told = str(error) if isinstance(error, MienError) else f"{type(error).__name__}: {error}"
            name = getattr(stage, "__name__", type(stage).__name__)
            message = f"{source}: frame {index}: stage {name!r} failed: {told}"
            if not is_batch:
                raise kind(message) from error
            logger.warning("%s", message, exc_info=kind is MienError)
            return Failure(source, kind.kind, told if told.startswith(source) else f"{source}: {told}")
    return frame


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


def _number(value: float, digits: int) -> float | None:
    # Adding zero turns -0.0 into 0.0.
    return round(float(value), digits) + 0.0 if np.isfinite(value) else None


@overload
def analyze(
    source: Readable,
    *,
    min_score: float | None = None,
    fast: bool = False,
    model: str | Path = "faces",
    device: str = "cpu",
    threads: int = 1,
) -> Prediction: ...
@overload
def analyze(
    source: Pictures,
    *,
    min_score: float | None = None,
    fast: bool = False,
    model: str | Path = "faces",
    device: str = "cpu",
    threads: int = 1,
) -> list[Prediction]: ...
def analyze(
    source: Readable | Pictures,
    *,
    min_score: float | None = None,
    fast: bool = False,
    model: str | Path = "faces",
    device: str = "cpu",
    threads: int = 1,
) -> Prediction | list[Prediction]:
    """Find the faces in a picture, or in each of a list of pictures.

    source: a file name, encoded bytes, an open binary file or an array (H, W, 3) uint8 RGB; or a list or tuple of these.
    min_score, fast, device, threads: see `Settings`. model: a shipped face model's name or a model file.

    One picture gives one `Prediction`, a list gives a list in the same order. A picture of a list that cannot be done has
    its ``error`` set; a single one raises it. Raises `InputError` and `ModelError`.
    """
    settings = Settings(faces=model, min_score=min_score, fast=fast, device=device, threads=threads)
    finder = face_model(settings)
    described = face_attributes.from_card(finder.card.attributes)
    if not isinstance(source, list | tuple):
        return Prediction.of(_single(source, [faces_stage(finder)]), described)
    again = [photo if isinstance(photo, str | Path | bytes) else None for photo in source]
    results = run(Photos(source), [faces_stage(finder)])
    return [Prediction.of(result, described, picture=photo) for result, photo in zip(results, again, strict=True)]


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


def filter(  # noqa: A001
    source: Readable, background: str | None = None, *, seed: int = 0, device: str = "cpu", threads: int = 1
) -> Filtered:
    """Make a new picture of the people in one.

    source: a file name, encoded bytes, an open binary file or an array (H, W, 3) uint8 RGB.
    background: None makes the framed poster. "transparent" cuts the people out, at the picture's own size; a word, a colour
        or a picture puts them before that, see `mien.filters.preset.render`.
    seed: chooses among equally good posters. device, threads: see `Settings`.

    Raises `InputError` and `ModelError`.
    """
    frame = _single(source, filter_stages(Settings(device=device, threads=threads), background, seed=seed))
    return Filtered(frame.image, frame.alpha, frame.source)


def _single(source: Readable, stages: Sequence[Stage]) -> Frame:
    frame = read(source)
    for stage in stages:
        frame = stage(frame)
    return frame
