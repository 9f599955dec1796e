from __future__ import annotations

from pathlib import Path

import pytest

from mien.errors import InputError
from mien.media.sinks import OutputFolder, unique_stems


def test_stems_stay_apart() -> None:
    assert unique_stems(["a/x.jpg", "b/x.png", "c/y.jpg", "d/X.jpg"]) == ["x", "x-2", "y", "X-3"]
    # The third keeps its own name, so the second cannot take it.
    assert unique_stems(["a/x.jpg", "b/x.jpg", "c/x-2.jpg"]) == ["x", "x-3", "x-2"]
    stems = unique_stems(["x.jpg", "x-2.jpg", "x.png", "X-2.png"] * 3)
    assert len({stem.casefold() for stem in stems}) == 12


def test_paths_and_the_folder_is_not_made_yet(tmp_path: Path) -> None:
    folder = OutputFolder(tmp_path / "out", ["a/x.jpg", "b/x.jpg"], [".json"])
    assert folder.path(1, ".json") == tmp_path / "out" / "x-2.json"
    assert not (tmp_path / "out").exists()


def test_nothing_is_replaced_in_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.png").touch()
    with pytest.raises(InputError, match=r"x.png: already exists; .* --overwrite"):
        OutputFolder(tmp_path, ["y/x.jpg"], [".json", ".png"])
    OutputFolder(tmp_path, ["y/x.jpg"], [".png"], overwrite=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="would replace a picture it is made from"):
        OutputFolder(tmp_path, ["a/b.jpg", "x.png"], [".png"], overwrite=True)
    with pytest.raises(InputError, match="expected a folder for the results, got a file"):
        OutputFolder(tmp_path / "x.png", ["a.jpg"], [".png"])
