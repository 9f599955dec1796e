from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.errors import DataError, InputError
from mien.media.read import read
from mien.media.write import whole_file, whole_folder, write
from mien.types import Frame

RNG = np.random.default_rng(3)
PHOTO = RNG.integers(0, 256, (9, 12, 3), np.uint8)
ALPHA = RNG.integers(0, 256, (9, 12), np.uint8)


@pytest.mark.parametrize("name", ["a.png", "a.PNG", "a.webp"])
def test_lossless_writing_gives_the_same_pixels_back(tmp_path: Path, name: str) -> None:
    path = write(Frame(PHOTO, alpha=ALPHA), tmp_path / "new" / name, quality=100)
    with Image.open(path) as opened:
        assert opened.mode == "RGBA"
        shown = np.asarray(opened)
    assert np.array_equal(shown[..., 3], ALPHA)
    # WebP may drop the colour where nothing shows.
    assert np.array_equal(shown[ALPHA > 0, :3], PHOTO[ALPHA > 0])
    assert np.array_equal(read(write(PHOTO, tmp_path / name, quality=100)).image, PHOTO)


def test_jpeg_is_near_and_has_the_upright_size(tmp_path: Path) -> None:
    smooth = np.dstack([np.tile(np.arange(60, dtype=np.uint8) * 4, (40, 1))] * 3)
    assert np.abs(read(write(smooth, tmp_path / "a.jpeg")).image.astype(int) - smooth).max() <= 4


def test_what_cannot_be_written_says_why(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ends in .png, .jpg, .jpeg, .webp, got '.bmp'"):
        write(PHOTO, tmp_path / "a.bmp")
    with pytest.raises(InputError, match="got 'no ending'"):
        write(PHOTO, tmp_path / "a")
    with pytest.raises(InputError, match="no transparency"):
        write(Frame(PHOTO, alpha=ALPHA), tmp_path / "a.jpg")
    with pytest.raises(InputError, match="at most 16383 pixels a side"):
        write(np.zeros((1, 17000, 3), np.uint8), tmp_path / "a.webp")
    with pytest.raises(InputError, match=r"expected \(H, W, 3\)"):
        write(np.zeros((4, 4), np.uint8), tmp_path / "a.png")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        write(PHOTO, tmp_path / "file" / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_write_that_breaks_off_leaves_the_old_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_bytes(b"old")

    def break_off(error: Exception) -> None:
        with whole_file(path) as file:
            file.write(b"half of the ne")
            raise error

    with pytest.raises(RuntimeError, match="crash"):
        break_off(RuntimeError("crash"))
    with pytest.raises(InputError, match=r"result.json: cannot be written \(No space left on device\)"):
        break_off(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    with whole_file(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_the_bytes_are_on_the_disk_before_the_name_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = []
    flush, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: (steps.append("flush"), flush(descriptor)))
    monkeypatch.setattr(os, "replace", lambda old, new: (steps.append("rename"), replace(old, new)))
    write(PHOTO, tmp_path / "a.png")
    assert steps[:2] == ["flush", "rename"]


def test_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    assert write(PHOTO, tmp_path / "a.png").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_folder_takes_its_place_only_when_it_is_whole(tmp_path: Path, is_replaced: bool) -> None:
    path = tmp_path / "set"
    if is_replaced:
        path.mkdir()
        (path / "old").touch()

    def break_off(error: Exception) -> None:
        with whole_folder(path, is_replaced=is_replaced, error=DataError) as new:
            (new / "half").touch()
            raise error

    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(RuntimeError, match="crash"):
        break_off(RuntimeError("crash"))
    with pytest.raises(DataError, match=r"set: cannot be written \(No space left on device\)"):
        break_off(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert sorted(tmp_path.rglob("*")) == before
    with whole_folder(path, is_replaced=is_replaced) as new:
        (new / "new").touch()
        assert sorted(path.rglob("*")) == [one for one in before if one != path]
    assert sorted(tmp_path.rglob("*")) == [path, path / "new"]


def test_a_folder_goes_only_where_nothing_is(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    (tmp_path / "empty").mkdir()
    for name, message in (
        ("file", "expected a new or an empty folder, found something there"),
        ("full", "expected a new or an empty folder, found something there"),
        ("file/new", "cannot be written"),
        ("nul\0", "cannot be written"),
    ):
        with pytest.raises(InputError, match=message), whole_folder(tmp_path / name):
            pytest.fail("a folder was given")
    assert (tmp_path / "full" / "mine").exists()
    with whole_folder(tmp_path / "empty") as new:
        (new / "it").touch()
    assert (tmp_path / "empty" / "it").exists()
    assert len(list(tmp_path.iterdir())) == 3
