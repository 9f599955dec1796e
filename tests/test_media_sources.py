from __future__ import annotations

import io
import threading
from pathlib import Path

import numpy as np
import pytest

from mien.errors import SourceError
from mien.media import sources
from mien.media.read import read
from mien.media.sources import Photos, expand
from mien.media.write import write
from mien.types import Failure, Frame


def photo(level: int) -> np.ndarray:
    return np.full((4, 6, 3), level, np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("img10.png", "img2.png", "IMG1.jpg", ".hidden.png", "deep/inner.png", "shot[1].png"):
        write(photo(9), tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic")
    (tmp_path / "empty").mkdir()
    return tmp_path


def names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


def test_a_folder_gives_its_pictures_in_natural_order(folder: Path) -> None:
    assert names(expand([folder])) == ["IMG1.jpg", "img2.png", "img10.png", "phone.heic", "shot[1].png"]


def test_patterns_names_and_repeats_keep_their_order(folder: Path) -> None:
    assert names(expand([f"{folder}/img*.png", f"{folder}/notes.txt"])) == ["img2.png", "img10.png", "notes.txt"]
    assert names(expand([f"{folder}/**/*.png"])) == ["inner.png", "img2.png", "img10.png", "shot[1].png"]
    twice = [folder / "img2.png", folder / "img2.png", "missing.png"]
    assert expand(twice) == [Path(path) for path in twice]
    assert names(expand([f"{folder}/shot[1].png"])) == ["shot[1].png"]


def test_nothing_found_is_an_error(folder: Path) -> None:
    for source, message in ((folder / "empty", "a folder with pictures"), (f"{folder}/*.gif", "a pattern that fits")):
        with pytest.raises(SourceError, match=message):
            expand([folder / "img2.png", source])
    with pytest.raises(SourceError, match="at least one"):
        expand([])
    assert names(expand(["x" * 400])) == ["x" * 400]


def test_photos_come_in_order_and_a_bad_one_in_its_place(folder: Path) -> None:
    data = (folder / "img2.png").read_bytes()
    photos = Photos([folder / "img2.png", folder / "notes.txt", data, photo(3), folder / "gone.png", io.BytesIO(data)])
    results = list(photos)
    photos.close()
    assert [type(result) for result in results] == [Frame, Failure, Frame, Frame, Failure, Frame]
    assert [result.source for result in results[:3]] == [str(folder / "img2.png"), str(folder / "notes.txt"), "<bytes>"]
    failure = results[4]
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.message) == ("input", f"{folder / 'gone.png'}: no such file")
    assert len(photos) == 6


def test_no_more_than_two_photos_wait_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    started, taken = [], 0
    most = 0

    def counted(source: np.ndarray) -> Frame:
        nonlocal most
        started.append(1)
        most = max(most, len(started) - taken)
        return read(source)

    monkeypatch.setattr(sources, "read", counted)
    photos = Photos([photo(level) for level in range(20)])
    for number, result in enumerate(photos):
        assert isinstance(result, Frame)
        assert result.image[0, 0, 0] == number
        taken = number + 1
    photos.close()
    # One is in the caller's hands, two wait, and one more may be under way when the caller comes for the next.
    assert most <= 4
    assert len(started) == 20


def test_leaving_early_ends_the_thread() -> None:
    before = threading.active_count()
    photos = Photos([photo(1)] * 50)
    for _ in photos:
        break
    photos.close()
    assert threading.active_count() == before
