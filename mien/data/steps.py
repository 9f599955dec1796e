"""Which steps of a longer way a project has behind it, so that it can be gone on with on another day."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

from mien.errors import DataError
from mien.media.write import whole_file


class Steps:
    """The steps of a project that are done, in ``steps.json`` in its folder, which is written whole after each.

    Raises `DataError` where that file holds something else.
    """

    def __init__(self, root: Path) -> None:
        self.path = root / "steps.json"
        self._done: dict[str, str] = {}
        if self.path.exists():
            try:
                table = json.loads(self.path.read_text("utf-8"))
                self._done = {str(step): str(when) for step, when in table.items()}
            except (OSError, ValueError, AttributeError) as error:
                raise DataError(f"{self.path}: expected the steps that are done, got: {error}; delete it") from None

    def is_done(self, step: str) -> bool:
        """Whether a step is behind the project."""
        return step in self._done

    def when(self, step: str) -> str:
        """The moment, as ISO 8601, at which a step was noted; "" for one that was not."""
        return self._done.get(step, "")

    def note(self, step: str) -> None:
        """A step is done."""
        self._done[step] = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        self._write()

    def forget(self, step: str) -> None:
        """A step and all its parts (``capture`` also forgets ``capture mask``) are to be done again."""
        self._done = {name: when for name, when in self._done.items() if name.split()[0] != step}
        self._write()

    def _write(self) -> None:
        with whole_file(self.path) as file:
            file.write(json.dumps(self._done, indent=1).encode() + b"\n")
