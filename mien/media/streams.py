"""Frames from video files, cameras and network streams, by OpenCV."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import cv2

from mien.errors import SourceError
from mien.media.sources import SUFFIXES, Photos, Source, expand
from mien.types import Failure, Frame

SCHEMES = ("http", "https", "rtmp", "rtsp", "rtsps")
"""Of network addresses that are opened; what else FFmpeg knows (``concat:``, ``file:``) could read any file."""

_FFMPEG_SETTINGS = {"OPENCV_FFMPEG_CAPTURE_OPTIONS": "rtsp_transport;tcp", "OPENCV_FFMPEG_LOGLEVEL": "-8"}


def open_source(source: str | Path, *, every_s: float = 0.0, timeout_s: float = 5.0) -> Source:
    """The source that a text means: a camera's number, a network address, a video file, or pictures (file, folder, pattern).

    every_s: of a stream, seconds from one frame to the next; 0 for all frames. timeout_s: for opening and for each frame.
    Raises `SourceError` for what cannot be opened, with what to give instead.
    """
    text = str(source)
    if text.isdecimal() or "://" in text:
        return Video(text, every_s=every_s, timeout_s=timeout_s)
    path = Path(text)
    if path.is_file() and path.suffix.lower() not in SUFFIXES:
        return Video(text, every_s=every_s, timeout_s=timeout_s)
    found = expand([text])
    if not found[0].exists():
        raise SourceError(f"{text}: no such file; give a camera's number, a video, a folder of pictures or an address")
    return Photos(found)


def shown_address(text: str) -> str:
    """A source as it may be shown and logged: without the name and password that an address may hold."""
    return re.sub(r"(?<=://)[^/?#]*@", "", text)


class Video:
    """A video file, a camera (its number as text) or a network stream as a source; see `open_source`.

    Time is that of the film in a file, and that of the clock, from the first frame on, for cameras and streams. Raises
    `SourceError` when it cannot be opened, or gives no frame at all.
    """

    is_batch = False

    def __init__(self, source: str, *, every_s: float = 0.0, timeout_s: float = 5.0) -> None:
        self._name = shown_address(source)
        self._every_s = every_s
        self.is_live = source.isdecimal() or "://" in source
        for key, value in _FFMPEG_SETTINGS.items():
            os.environ.setdefault(key, value)
        timeouts = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, round(1000 * timeout_s)]
        timeouts += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(1000 * timeout_s)]
        level = cv2.utils.logging.getLogLevel()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        try:
            if source.isdecimal():
                self._capture = cv2.VideoCapture(int(source))
            elif "://" in source:
                if (scheme := urlsplit(source).scheme.lower()) not in SCHEMES:
                    raise SourceError(f"{self._name}: expected an address with {', '.join(SCHEMES)}, got {scheme}")
                self._capture = cv2.VideoCapture(source, cv2.CAP_FFMPEG, timeouts)
            else:
                # An absolute path cannot be taken for one of FFmpeg's protocols or for an image sequence's pattern.
                self._capture = cv2.VideoCapture(str(Path(source).resolve()), cv2.CAP_FFMPEG, timeouts)
        except cv2.error as error:
            raise SourceError(f"{self._name}: cannot be opened ({error.err})") from None
        finally:
            cv2.utils.logging.setLogLevel(level)
        if not self._capture.isOpened():
            raise SourceError(self._refusal(source, timeout_s))

    def _refusal(self, source: str, timeout_s: float) -> str:
        instead = "give a video file, a folder of pictures or an address with --from"
        if source.isdecimal():
            return f"camera {source}: no such camera, or another program uses it; {instead}"
        if "://" in source:
            return f"{self._name}: no picture came within {timeout_s:g} s; check address, name and password"
        return f"{self._name}: expected a video (mp4, avi, mkv, webm), got a file that cannot be played"

    def __iter__(self) -> Iterator[Frame | Failure]:
        rate = self._capture.get(cv2.CAP_PROP_FPS) or 25.0
        rate = rate if 0 < rate < 1000 else 25.0
        started_s = time.monotonic()
        number, taken, next_s = 0, 0, 0.0
        while self._capture.grab():
            time_s = time.monotonic() - started_s if self.is_live else number / rate
            number += 1
            if time_s < next_s:
                continue
            is_whole, image = self._capture.retrieve()
            if not is_whole or image is None:
                yield Failure(self._name, SourceError.kind, f"{self._name}: frame {number - 1} cannot be decoded")
                continue
            if image.ndim == 2:
                image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
            taken += 1
            next_s = time_s + self._every_s - 1e-6
            yield Frame(cv2.cvtColor(image[..., :3], cv2.COLOR_BGR2RGB), source=self._name, index=number - 1, time_s=time_s)
        if not taken:
            raise SourceError(f"{self._name}: no frame could be read from it; check that it plays elsewhere")

    def close(self) -> None:
        """Let go of the file or the camera."""
        self._capture.release()
