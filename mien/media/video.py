"""Video files: frames with their time out of one, and frames into one, whole or not at all.

Pictures are coded by OpenCV (MPEG-4 part 2). Where the ffmpeg program is installed it makes H.264 of them, which phones and
browsers play, and brings the sound along.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import struct
import subprocess
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError, SourceError
from mien.types import Frame

VIDEO_SUFFIXES = frozenset((".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm"))
"""The endings by which a file is taken for a video."""

_LONGEST_SIDE = 8192
_FPS = (Fraction(1, 10), Fraction(480))
_LOST_SHARE, _LOST_FRAMES = 0.02, 2
_MUX_TIMEOUT_S = 3600
_ENCODERS = (("libx264", "copy"), ("libx264", "aac"), ("copy", "copy"), ("copy", "aac"))
_CONTAINERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl")


def is_video(path: str | Path) -> bool:
    """Whether a file's ending says that it is a video."""
    return Path(path).suffix.lower() in VIDEO_SUFFIXES


def exact_rate(fps: float) -> Fraction:
    """The frames a second that a rounded figure stands for: 29.97 is 30000/1001, 25.0 is 25.

    Raises `InputError` outside 0.1 to 480.
    """
    if not np.isfinite(fps) or not _FPS[0] <= fps <= _FPS[1]:
        raise InputError(f"frame rate: expected {float(_FPS[0])} to {int(_FPS[1])} frames a second, got {fps}")
    whole = round(fps)
    for known in (Fraction(whole), Fraction(whole * 1000, 1001)):
        if known > 0 and abs(fps - float(known)) < 0.0006 * float(known) and abs(fps - known) < 0.005:
            return known
    return Fraction(fps).limit_denominator(1001)


class VideoFile:
    """The frames of a video as a source, turned upright, with their time.

    rate: frames a second, exact. size_wh: in pixels. frame_count: as the file says, 0 where it does not.

    Raises `SourceError` when the file cannot be opened as a video, and at its end when it holds clearly fewer frames than it
    says.
    """

    is_batch = False

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise SourceError(f"{path}: no such file")
        with _quiet():
            self._capture = cv2.VideoCapture(str(self.path), cv2.CAP_FFMPEG)
        if not self._capture.isOpened():
            raise SourceError(f"{path}: expected a video ({', '.join(sorted(VIDEO_SUFFIXES))}), got something else")
        try:
            self.rate = exact_rate(float(self._capture.get(cv2.CAP_PROP_FPS)))
        except InputError as error:
            self.close()
            raise SourceError(f"{path}: {error}") from None
        self.frame_count = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        width, height = (int(self._capture.get(what)) for what in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        self.size_wh = (width, height)
        if not (0 < width <= _LONGEST_SIDE and 0 < height <= _LONGEST_SIDE):
            self.close()
            raise SourceError(f"{path}: expected sides of 1 to {_LONGEST_SIDE} pixels, got {width}x{height}")

    def __len__(self) -> int:
        return self.frame_count

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        while True:
            with _quiet():
                is_read, image = self._capture.read()
            if not is_read:
                break
            rgb = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
            yield Frame(rgb, source=str(self.path), index=index, time_s=float(index / self.rate))
            index += 1
        if index == 0:
            raise SourceError(f"{self.path}: expected a video, got one without a frame that can be read")
        lost = self.frame_count - index
        if lost > max(_LOST_FRAMES, _LOST_SHARE * self.frame_count):
            raise SourceError(f"{self.path}: broken, ended after {index} of {self.frame_count} frames; copy it again")

    def close(self) -> None:
        """Let go of the file."""
        self._capture.release()


class VideoWriter:
    """A video file that takes its place at ``path`` only when the block ends well and what was written checks out.

    path: ends in ``.mp4``. rate: frames a second. sound_from: a video whose sound comes along where ffmpeg is installed.
    notes: after the block, what people should know of the file: that it has no sound, and why.

        with VideoWriter("out.mp4", source.rate, sound_from=source.path) as video:
            for frame in source:
                video.write(frame)

    Frames are (H, W, 3) uint8 RGB of one size; a side that is odd is drawn out by one pixel, as the format asks for even
    ones. Raises `InputError` for another ending, a frame of another size, and when the file cannot be written.
    """

    def __init__(self, path: str | Path, rate: Fraction, *, sound_from: str | Path | None = None) -> None:
        self.path = Path(path)
        if self.path.suffix.lower() != ".mp4":
            raise InputError(f"{path}: expected a name that ends in .mp4, got {self.path.suffix or 'no ending'!r}")
        self.rate = rate
        self.notes: list[str] = []
        self.frame_count = 0
        self._sound_from = sound_from
        self._hidden = self.path.with_name(f".{secrets.token_hex(8)}.part.mp4")
        self._writer: cv2.VideoWriter | None = None
        self._size_wh = (0, 0)

    def __enter__(self) -> VideoWriter:
        return self

    def write(self, frame: Frame | NDArray[np.uint8]) -> None:
        """Add one frame."""
        image = frame.image if isinstance(frame, Frame) else frame
        height, width = image.shape[:2]
        if self._writer is None:
            self._open(width, height)
        elif (width, height) != self._size_wh:
            was = "x".join(map(str, self._size_wh))
            raise InputError(f"{self.path}: expected frames of {was}, got one of {width}x{height}")
        even = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        if self._writer is not None:
            self._writer.write(cv2.cvtColor(even, cv2.COLOR_RGB2BGR))
        self.frame_count += 1

    def _open(self, width: int, height: int) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written ({error.strerror or error}); choose another place") from None
        size = (width + width % 2, height + height % 2)
        with _quiet():
            code = cv2.VideoWriter.fourcc(*"mp4v")
            self._writer = cv2.VideoWriter(str(self._hidden), cv2.CAP_FFMPEG, code, float(self.rate), size)
        if not self._writer.isOpened():
            raise InputError(f"{self.path}: cannot be written as a video of {width}x{height}; choose another place or size")
        self._size_wh = (width, height)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._writer is not None:
            self._writer.release()
        muxed = self._hidden.with_suffix(".mux.mp4")
        try:
            if kind is None:
                self._finish(muxed)
        finally:
            for left in (self._hidden, muxed):
                with contextlib.suppress(OSError):
                    left.unlink()

    def _finish(self, muxed: Path) -> None:
        if self._writer is None:
            raise InputError(f"{self.path}: expected at least one frame, got none")
        try:
            with open(self._hidden, "r+b") as file:
                set_rate(file, self.rate)
            self._check(self._hidden)
            done = muxed if self._with_sound(muxed) else self._hidden
            with open(done, "rb") as file:
                os.fsync(file.fileno())
            os.replace(done, self.path)
        except OSError as problem:
            raise InputError(
                f"{self.path}: cannot be written ({problem.strerror or problem}); choose another place"
            ) from None

    def _check(self, path: Path) -> None:
        """Read the finished file back: all frames, the right time, a first picture."""
        with contextlib.closing(VideoFile(path)) as video:
            first = next(iter(video))
            is_whole = video.frame_count == self.frame_count and first.width >= self._size_wh[0]
            lasts, wanted = float(video.frame_count / video.rate), float(self.frame_count / self.rate)
        if not is_whole or abs(lasts - wanted) > 0.5 / float(self.rate) + 0.001 * wanted:
            came = f"{video.frame_count} in {lasts:.2f} s can be read back; is the disk full?"
            raise InputError(f"{self.path}: expected {self.frame_count} frames in {wanted:.2f} s, but {came}")

    def _with_sound(self, muxed: Path) -> bool:
        """Whether ffmpeg made a file of the pictures and the other video's sound."""
        program = shutil.which("ffmpeg")
        if program is None:
            if self._sound_from is not None:
                self.notes.append("without sound, as ffmpeg is not installed")
            return False
        for video, sound in _ENCODERS:
            words = [program, "-v", "error", "-nostdin", "-y", "-i", str(self._hidden.resolve())]
            if self._sound_from is not None:
                words += ["-i", str(Path(self._sound_from).resolve()), "-map", "0:v:0", "-map", "1:a?", "-c:a", sound]
            how = ["-crf", "18", "-preset", "fast", "-pix_fmt", "yuv420p"] if video != "copy" else []
            scale = ["-video_track_timescale", str(self.rate.numerator), "-movflags", "+faststart"]
            words += ["-c:v", video, *how, *scale, str(muxed.resolve())]
            try:
                done = subprocess.run(words, capture_output=True, timeout=_MUX_TIMEOUT_S, check=False)
                if done.returncode == 0:
                    self._check(muxed)
                    return True
            except (subprocess.TimeoutExpired, InputError, SourceError):
                continue
        self.notes.append("without sound, as ffmpeg could not bring it along")
        return False


def set_rate(file: BinaryIO, rate: Fraction) -> None:
    """Make every frame of a one-track MP4 file last exactly ``1 / rate`` seconds, by changing numbers in its header.

    OpenCV rounds 30000/1001 to 29.97, which is a frame off after an hour. Time scale and duration stand in the ``mdhd`` box,
    the length of each frame in the ``stts`` box (ISO/IEC 14496-12, sections 8.4.2 and 8.6.1.2). Raises `InputError` when the
    file has no such boxes.
    """
    places = dict(_boxes(file, 0, file.seek(0, os.SEEK_END)))
    if b"mdhd" not in places or b"stts" not in places:
        raise InputError("video: expected an MP4 file with a time table, got none")
    start = places[b"stts"]
    file.seek(start + 4)
    (entries,) = struct.unpack(">I", file.read(4))
    frames = 0
    for entry in range(entries):
        file.seek(start + 8 + 8 * entry)
        frames += struct.unpack(">I", file.read(4))[0]
        file.write(struct.pack(">I", rate.denominator))
    file.seek(places[b"mdhd"])
    is_long = file.read(1) == b"\x01"
    file.seek(places[b"mdhd"] + (20 if is_long else 12))
    file.write(struct.pack(">IQ" if is_long else ">II", rate.numerator, frames * rate.denominator))


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int]]:
    """Kind and place of the content of each box, those inside of others as well."""
    while start + 8 <= end:
        file.seek(start)
        size, kind = struct.unpack(">I4s", file.read(8))
        head = 8
        if size == 1:
            size, head = struct.unpack(">Q", file.read(8))[0], 16
        size = end - start if size == 0 else size
        if size < head:
            return
        yield kind, start + head
        if kind in _CONTAINERS:
            yield from _boxes(file, start + head, start + size)
        start += size


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without OpenCV's own complaints about files that it cannot open: ours say it once."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)
