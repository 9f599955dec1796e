"""One loop for everything: a source gives frames, stages look at them or change them, results come out in order."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Unpack, overload

import numpy as np
from numpy.typing import NDArray

from mien.attributes import Attribute
from mien.errors import InputError, MienError
from mien.media.read import Readable, read
from mien.media.sources import Photos, Source
from mien.models.settings import FaceOptions, Options, Settings, attribute_model, by_task, face_model, matte_model
from mien.prediction import Prediction as Prediction
from mien.prediction import to_json as to_json
from mien.types import Faces, Failure, Frame, Stage

if TYPE_CHECKING:
    from mien.filters.preset import Preset

Pictures: TypeAlias = list[Any] | tuple[Readable, ...]
"""Several pictures: a list (of any of the forms that `read` takes) or a tuple."""

logger = logging.getLogger(__name__)

JSON_VERSION = 1
MOST_WORKERS = 4
"""Pictures of a batch that are worked on at the same time unless more are asked for."""


def faces_stage(model: Callable[[NDArray[np.uint8]], Faces]) -> Stage:
    """The stage that finds faces. ``model`` takes (H, W, 3) uint8 RGB."""

    def faces(frame: Frame) -> Frame:
        return replace(frame, faces=model(frame.image))

    return faces


def attributes_stage(model: Callable[[NDArray[np.uint8], Faces], Faces]) -> Stage:
    """The stage that reads the faces that were found. ``model`` takes (H, W, 3) uint8 RGB and its faces."""

    def attributes(frame: Frame) -> Frame:
        return replace(frame, faces=model(frame.image, frame.faces if frame.faces is not None else Faces.none()))

    return attributes


def crops_stage() -> Stage:
    """The stage that takes each picture as one face that fills it, instead of finding faces."""
    from mien.models.attributes import whole_picture

    def crops(frame: Frame) -> Frame:
        return replace(frame, faces=whole_picture(frame.image))

    return crops


def matte_stage(model: Callable[[NDArray[np.uint8]], NDArray[np.float32]]) -> Stage:
    """The stage that tells person from background. ``model`` takes (H, W, 3) uint8 RGB and gives (H, W) in [0, 1]."""

    def matte(frame: Frame) -> Frame:
        return replace(frame, matte=model(frame.image))

    return matte


def filter_stage(preset: Preset, *, is_stream: bool = False) -> Stage:
    """The stage that makes the picture which a preset describes, of a frame with faces and matte.

    is_stream: the frames are one video, see `mien.filters.stream.Filter`. Raises `InputError` for a background that is
    not known.
    """
    from mien.filters.stream import Filter

    return Filter(preset, is_stream=is_stream)


def analyze_stages(settings: Settings, *, crops: bool = False) -> tuple[list[Stage], dict[str, Attribute]]:
    """The stages that tell what is in a picture, and what the attributes mean that they read.

    crops: take each picture as one face that fills it. Raises `ModelError` and `InputError`.
    """
    settings = by_task(settings)
    reader = attribute_model(settings)
    first = crops_stage() if crops else faces_stage(face_model(settings))
    return [first, attributes_stage(reader)], dict(reader.attributes)


def filter_stages(
    settings: Settings,
    background: str | None = None,
    *,
    seed: int = 0,
    preset: Preset | None = None,
    is_stream: bool = False,
) -> list[Stage]:
    """The stages that make a new picture of the people in one: what ``preset`` says, else background and seed alone.

    is_stream: the frames are one video: mattes and faces are made calm over time. Raises `ModelError` and `InputError`.
    """
    from mien.filters.preset import Preset
    from mien.filters.steady import SteadyFaces, SteadyMatte

    last = filter_stage(preset or Preset(background, seed), is_stream=is_stream)
    faces, matte = faces_stage(face_model(settings)), matte_stage(matte_model(settings))
    reader = attributes_stage(attribute_model(settings))
    return [faces, SteadyFaces(), reader, matte, SteadyMatte(), last] if is_stream else [faces, reader, matte, last]


def run(source: Source, stages: Sequence[Stage]) -> Iterator[Frame | Failure]:
    """Put every frame of a source through the stages, in order; exactly one result comes out for each.

    A failing stage ends the run of a stream, with the stage's name and the frame's number in the error. In a batch of
    pictures (``source.is_batch``) it makes that picture a `Failure`, and the others go on. The source is closed at the end.
    """
    with closing(source):
        for frame in source:
            yield frame if isinstance(frame, Failure) else _through(frame, stages, source.is_batch)


def run_batch(
    photos: Sequence[Readable], stages: Sequence[Stage], *, workers: int | None = None
) -> Iterator[Frame | Failure]:
    """Put pictures through the stages as `run` does with `Photos`, several at the same time; results come in order.

    photos: see `read`. stages: without memory, as threads share them. workers: pictures at the same time, each read, decoded
    and looked at on a thread of its own; None takes one for each processor, at most `MOST_WORKERS`. At most one picture more
    than there are workers is held. The results do not depend on it. A batch with open files in it is read one after another.

    Raises `InputError` when ``workers`` is below 1.
    """
    if workers is not None and workers < 1:
        raise InputError(f"workers: expected at least 1, got {workers}")
    wanted = min(workers or min(MOST_WORKERS, _processors()), len(photos))
    # Open files may share one position, as the members of an archive do.
    if wanted <= 1 or any(hasattr(photo, "read") for photo in photos):
        return run(Photos(photos), stages)
    return _in_parallel(photos, stages, wanted)


def _in_parallel(photos: Sequence[Readable], stages: Sequence[Stage], workers: int) -> Iterator[Frame | Failure]:
    def one(photo: Readable) -> Frame | Failure:
        (result,) = run(Photos([photo]), stages)
        return result

    waiting: deque[Future[Frame | Failure]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="mien-batch")
    try:
        for photo in photos:
            waiting.append(pool.submit(one, photo))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _processors() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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


@overload
def analyze(
    source: Readable, *, crops: bool = False, workers: int | None = None, **options: Unpack[FaceOptions]
) -> Prediction: ...
@overload
def analyze(
    source: Pictures, *, crops: bool = False, workers: int | None = None, **options: Unpack[FaceOptions]
) -> list[Prediction]: ...
def analyze(
    source: Readable | Pictures, *, crops: bool = False, workers: int | None = None, **options: Unpack[FaceOptions]
) -> Prediction | list[Prediction]:
    """Find and read the faces in a picture, or in each of a list of pictures.

    source: a file name, encoded bytes, an open binary file or an array (H, W, 3) uint8 RGB; or a list or tuple of these.
    crops: take each picture as one face that fills it, without looking for faces: for face crops from elsewhere.
    workers: pictures of a list that are worked on at the same time, see `run_batch`. options: see `Settings`.

    One picture gives one `Prediction`, a list gives a list in the same order. A picture of a list that cannot be done has
    its ``error`` set; a single one raises it. Raises `InputError` and `ModelError`.
    """
    stages, described = analyze_stages(Settings(**options), crops=crops)
    if not isinstance(source, list | tuple):
        return Prediction.of(_single(source, stages), described)
    again = [photo if isinstance(photo, str | Path | bytes) else None for photo in source]
    results = run_batch(source, stages, workers=workers)
    return [Prediction.of(result, described, picture=photo) for result, photo in zip(results, again, strict=True)]


@dataclass(frozen=True, eq=False)
class Filtered:
    """A picture that a filter made.

    image: (H, W, 3) uint8 RGB. alpha: (H, W) uint8, or None for a picture without transparency. source: what it is of.
    notes: what could not be done, and why.
    """

    image: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None
    source: str
    notes: tuple[str, ...] = ()

    def save(self, path: str | Path) -> Path:
        """Write it as PNG, WebP or, without transparency, JPEG. Raises `InputError`."""
        from mien.media.write import write

        return write(Frame(self.image, alpha=self.alpha), path)


def filter(  # noqa: A001
    source: Readable,
    background: str | None = None,
    *,
    seed: int = 0,
    preset: Preset | str | Path | None = None,
    **options: Unpack[Options],
) -> Filtered:
    """Make a new picture of the people in one.

    source: a file name, encoded bytes, an open binary file or an array (H, W, 3) uint8 RGB.
    background: None makes the framed poster. "transparent" cuts the people out, at the picture's own size; a word, a colour
        or a picture puts them before that, see `mien.filters.preset.render`.
    seed: chooses among equally good posters.
    preset: all that and more as one: a `Preset`, a shipped preset's name or a preset file; background and seed are its
    own then. options: see `Settings`.

    Raises `InputError` and `ModelError`.
    """
    frame = _single(source, filter_stages(Settings(**options), background, seed=seed, preset=_loaded(preset)))
    return Filtered(frame.image, frame.alpha, frame.source, frame.notes)


def filter_each(
    source: Readable,
    background: str | None = None,
    *,
    seed: int = 0,
    preset: Preset | str | Path | None = None,
    **options: Unpack[Options],
) -> list[Filtered]:
    """Make a new picture of each person in one, from left to right: cut to them, everybody else counted as background.

    Arguments as of `filter`. Who is one person is told by the faces and by what hangs together in the matte, see
    `mien.filters.persons`. A picture that shows nobody gives an empty list.

    Raises `InputError` and `ModelError`.
    """
    *looking, last = filter_stages(Settings(**options), background, seed=seed, preset=_loaded(preset))
    return [Filtered(f.image, f.alpha, f.source, f.notes) for f in each_filtered(_single(source, looking), last)]


def each_filtered(frame: Frame, last: Stage) -> list[Frame]:
    """What a filter makes of each person of a frame with a matte, from left to right; none where it shows nobody."""
    from mien.filters.persons import each_person

    return [last(person) for person in each_person(frame)]


def _loaded(preset: Preset | str | Path | None) -> Preset | None:
    if not isinstance(preset, str | Path):
        return preset
    from mien.filters.preset_file import load_preset

    return load_preset(preset)


def filter_video(
    source: str | Path,
    output: str | Path,
    preset: Preset,
    settings: Settings | None = None,
    *,
    progress: Callable[[int, int], None] = lambda done, count: None,
) -> Frame:
    """Make a new video of the people in one, ``output``, and give its last frame with all notes.

    The frame rate is kept exactly, the sound too where ffmpeg is installed. Nothing is written when anything goes wrong.
    progress: called after each frame with how many are done and how many the file says there are.

    Raises `InputError`, `SourceError` and `ModelError`.
    """
    from mien.filters.background import TRANSPARENT
    from mien.media.video import VideoFile, VideoWriter

    if (preset.background or "").strip().lower() == TRANSPARENT:
        raise InputError(f"{output}: a video holds no transparency; choose a colour or another background")
    stages = filter_stages(settings or Settings(), preset=preset, is_stream=True)
    frames = VideoFile(source)
    last, notes = None, {}
    with VideoWriter(output, frames.rate, sound_from=source) as video:
        for result in run(frames, stages):
            if isinstance(result, Frame):
                video.write(result)
                last = result
                notes.update(dict.fromkeys(result.notes))
                progress(result.index + 1, len(frames))
    if last is None:
        raise InputError(f"{source}: expected at least one frame, got none")
    return replace(last, notes=(*notes, *video.notes))


def _single(source: Readable, stages: Sequence[Stage]) -> Frame:
    frame = read(source)
    for stage in stages:
        frame = stage(frame)
    return frame
