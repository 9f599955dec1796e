from __future__ import annotations

from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.errors import SourceError
from mien.media.sources import Photos
from mien.media.streams import Video, open_source, shown_address
from mien.types import Frame


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds at 10 frames a second, 64x48; each frame is brighter and has more red than the last."""
    path = tmp_path_factory.mktemp("film") / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"FFV1"), 10, (64, 48))
    for number in range(20):
        writer.write(np.full((48, 64, 3), (0, 5 * number, 10 * number), np.uint8))
    writer.release()
    return path


def test_a_film_gives_its_frames_in_order(film: Path) -> None:
    with closing(open_source(film)) as source:
        assert not source.is_batch
        frames = list(source)
    assert [frame.index for frame in frames] == list(range(20))
    assert [frame.time_s for frame in frames] == pytest.approx([n / 10 for n in range(20)])
    assert all(abs(int(frame.image[0, 0, 0]) - 10 * n) < 4 for n, frame in enumerate(frames)), "red comes first"
    assert frames[0].image.shape == (48, 64, 3)


def test_frames_can_be_taken_every_so_often(film: Path) -> None:
    with closing(open_source(film, every_s=0.5)) as source:
        assert [frame.index for frame in source if isinstance(frame, Frame)] == [0, 5, 10, 15]


def test_pictures_are_a_source_too(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((4, 4, 3), np.uint8))
    for name in (tmp_path, tmp_path / "a.png", str(tmp_path / "*.png")):
        with closing(open_source(name)) as source:
            assert isinstance(source, Photos)
            assert len(list(source)) == 1


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("97", "camera 97: no such camera.*--from"),
        ("nowhere.mp4", "no such file; give"),
        ("concat:a|b", "no such file"),
        ("file:///etc/hostname", "expected an address with http"),
        ("rtsp://me:geheim@127.0.0.1:9/x", r"rtsp://127\.0\.0\.1:9/x: no picture"),
    ],
)
def test_what_cannot_be_opened_is_said_in_one_line(source: str, message: str) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        open_source(source, timeout_s=1)
    assert "geheim" not in str(caught.value)


def test_a_file_that_is_no_film(tmp_path: Path, film: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"nonsense" * 40)
    with pytest.raises(SourceError, match=r"bad\.mp4: expected a video"):
        Video(str(tmp_path / "bad.mp4"))
    (tmp_path / "cut.avi").write_bytes(film.read_bytes()[: film.stat().st_size * 2 // 3])
    with closing(Video(str(tmp_path / "cut.avi"))) as source:
        assert 0 < len(list(source)) < 20, "what is whole of it"


def test_passwords_are_not_shown() -> None:
    assert shown_address("rtsp://me:p@ss@cam.local/a?b=1@2") == "rtsp://cam.local/a?b=1@2"
    assert shown_address("http://cam.local/x") == "http://cam.local/x"
