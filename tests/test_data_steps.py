"""Steps that a project has behind it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mien.data.steps import Steps
from mien.errors import DataError


def test_steps_are_remembered_and_forgotten(tmp_path: Path) -> None:
    steps = Steps(tmp_path)
    for step in ("capture mask", "capture no_mask", "label"):
        steps.note(step)
    again = Steps(tmp_path)
    assert again.is_done("label")
    assert not again.is_done("capture")
    again.forget("capture")
    assert not Steps(tmp_path).is_done("capture mask")
    assert Steps(tmp_path).is_done("label")


def test_another_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "steps.json").write_text("[1")
    with pytest.raises(DataError, match="expected the steps that are done, got"):
        Steps(tmp_path)
