"""Video files: exact rates, whole files or none, sound where ffmpeg is."""

from __future__ import annotations

import json
import shutil
import subprocess
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.errors import InputError, SourceError
from mien.media.video import VideoFile, VideoWriter, exact_rate, is_video
from mien.types import Frame

NTSC = Fraction(30000, 1001)
needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="the ffmpeg program is not installed")


@pytest.fixture
def no_ffmpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.media.video.shutil.which", lambda name: None)


def clip(path: Path, count: int = 12, rate: Fraction = NTSC, size_wh: tuple[int, int] = (64, 48)) -> Path:
    with VideoWriter(path, rate) as video:
        for index in range(count):
            image = np.full((size_wh[1], size_wh[0], 3), (40, 90, 160), np.uint8)
            image[:, : 1 + index * size_wh[0] // count] = (220, 60, 30)
            video.write(image)
    return path


def read_all(path: Path) -> list[Frame]:
    with closing(VideoFile(path)) as video:
        return list(video)


@pytest.mark.parametrize("rate", [NTSC, Fraction(25), Fraction(24000, 1001), Fraction(60), Fraction(15, 2), Fraction(10)])
@pytest.mark.usefixtures("no_ffmpeg")
def test_the_rate_is_exact(tmp_path: Path, rate: Fraction) -> None:
    path = clip(tmp_path / "a.mp4", rate=rate)
    capture = cv2.VideoCapture(str(path))
    assert capture.get(cv2.CAP_PROP_FPS) == float(rate)
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 12
    with closing(VideoFile(path)) as video:
        assert video.rate == rate
        times = [frame.time_s for frame in video]
    assert times == pytest.approx([float(index / rate) for index in range(12)], abs=1e-9)


@pytest.mark.parametrize(
    ("fps", "wanted"),
    [
        (29.97, NTSC),
        (29.97002997, NTSC),
        (30.0, 30),
        (23.976, Fraction(24000, 1001)),
        (59.94, Fraction(60000, 1001)),
        (12.5, Fraction(25, 2)),
    ],
)
def test_rounded_rates_are_known(fps: float, wanted: Fraction) -> None:
    assert exact_rate(fps) == wanted


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf"), 1e6])
def test_impossible_rates(fps: float) -> None:
    with pytest.raises(InputError, match="frame rate"):
        exact_rate(fps)


@pytest.mark.usefixtures("no_ffmpeg")
def test_frames_come_back_in_order_upright_and_in_colour(tmp_path: Path) -> None:
    frames = read_all(clip(tmp_path / "a.mp4"))
    assert [frame.index for frame in frames] == list(range(12))
    assert frames[0].source == str(tmp_path / "a.mp4")
    assert np.abs(frames[0].image[20, 50].astype(int) - (40, 90, 160)).max() < 25
    widths = [int((frame.image[20, :, 0] > 130).sum()) for frame in frames]
    assert widths == sorted(widths)
    assert not VideoFile(tmp_path / "a.mp4").is_batch


@pytest.mark.usefixtures("no_ffmpeg")
def test_odd_sizes_are_drawn_out_by_a_pixel(tmp_path: Path) -> None:
    assert read_all(clip(tmp_path / "a.mp4", 3, size_wh=(33, 21)))[0].image.shape == (22, 34, 3)


@pytest.mark.usefixtures("no_ffmpeg")
def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"old")
    small, wide = np.zeros((48, 32, 3), np.uint8), np.zeros((48, 64, 3), np.uint8)

    def write(*images: np.ndarray, stops: bool = False) -> None:
        with VideoWriter(path, NTSC) as video:
            for image in images:
                video.write(image)
            if stops:
                raise KeyError

    with pytest.raises(KeyError):
        write(wide, stops=True)
    with pytest.raises(InputError, match="expected frames of 64x48, got one of 32x48"):
        write(wide, small)
    with pytest.raises(InputError, match="at least one frame"):
        write()
    assert [one.name for one in tmp_path.iterdir()] == ["a.mp4"]
    assert path.read_bytes() == b"old"


@pytest.mark.usefixtures("no_ffmpeg")
def test_a_file_with_other_frames_than_written_is_refused(tmp_path: Path) -> None:
    def write() -> None:
        with VideoWriter(tmp_path / "a.mp4", NTSC) as video:
            for _ in range(3):
                video.write(np.zeros((48, 64, 3), np.uint8))
            video.frame_count = 5

    with pytest.raises(InputError, match="expected 5 frames"):
        write()
    assert not list(tmp_path.iterdir())


def test_what_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video at all" * 99)
    (tmp_path / "empty.mp4").touch()
    for name in ("a.mp4", "empty.mp4"):
        with pytest.raises(SourceError, match="expected a video"):
            VideoFile(tmp_path / name)
    with pytest.raises(SourceError, match="no such file"):
        VideoFile(tmp_path / "gone.mp4")
    with pytest.raises(InputError, match=r"ends in \.mp4"):
        VideoWriter(tmp_path / "a.avi", NTSC)
    assert is_video("A.MOV")
    assert not is_video("a.png")


@pytest.mark.usefixtures("no_ffmpeg")
def test_a_video_cut_short_is_told(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mp4", 60, size_wh=(160, 120))
    data = bytearray(path.read_bytes())
    place = data.index(b"mdat")
    data[place + 900 : data.index(b"moov") - 4] = bytes(data.index(b"moov") - 4 - place - 900)
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"broken, ended after|without a frame"):
        read_all(path)


@needs_ffmpeg
def test_sound_comes_along_and_the_picture_is_h264(tmp_path: Path) -> None:
    source = tmp_path / "source.mp4"
    words = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=64x48:rate=30000/1001:duration=1"]
    words += ["-f", "lavfi", "-i", "sine=duration=1", "-c:v", "mpeg4", "-c:a", "aac", "-shortest", str(source)]
    subprocess.run(words, check=True)
    with closing(VideoFile(source)) as frames:
        assert frames.rate == NTSC
        with VideoWriter(tmp_path / "out.mp4", frames.rate, sound_from=source) as video:
            for frame in frames:
                video.write(frame)
        count = frames.frame_count
    assert video.notes == []
    probe = ["ffprobe", "-v", "error", "-of", "json", "-show_streams", str(tmp_path / "out.mp4")]
    streams = json.loads(subprocess.run(probe, check=True, capture_output=True).stdout)["streams"]
    picture, sound = (next(one for one in streams if one["codec_type"] == kind) for kind in ("video", "audio"))
    assert picture["avg_frame_rate"] == "30000/1001"
    assert int(picture["nb_frames"]) == count
    assert picture["codec_name"] in ("h264", "mpeg4")
    assert sound["codec_name"] == "aac"
    assert float(sound["duration"]) == pytest.approx(1, abs=0.1)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["out.mp4", "source.mp4"]


@pytest.mark.usefixtures("no_ffmpeg")
def test_without_ffmpeg_the_missing_sound_is_noted(tmp_path: Path) -> None:
    source = clip(tmp_path / "a.mp4", 3)
    with VideoWriter(tmp_path / "b.mp4", NTSC, sound_from=source) as video:
        video.write(np.zeros((48, 64, 3), np.uint8))
    assert video.notes == ["without sound, as ffmpeg is not installed"]
