"""The folder that labels are imported from: what lies in it, and which picture a label means. Nothing outside it is read."""

from __future__ import annotations

import os
import re
import stat
from collections import defaultdict
from pathlib import Path, PurePosixPath
from typing import Any

from mien.errors import DataError
from mien.media.sources import SUFFIXES, natural_key

MAX_LABEL_BYTES = 1_000_000_000
"""The largest file of labels that is read: 1 GB, some 1.5 million objects of COCO."""

CONTROL = re.compile("[\x00-\x1f\x7f\u2028\u2029]")
"""Characters that no file name of a label may have: they would break lines of messages and tables."""
_DRIVE_OR_ADDRESS = re.compile(r"[A-Za-z]:|[A-Za-z][A-Za-z0-9+.-]*://")

_LABEL_SUFFIXES = (".json", ".jsonl", ".xml", ".yaml", ".yml", ".csv", ".txt", ".npz", ".parquet")
_USUAL = ("images", "JPEGImages")
"""Folders in which pictures are looked for, beside labels that lie apart."""


class SourceFolder:
    """A folder with pictures and labels, listed once; folders that are links are not entered, hidden files not seen.

    source: the folder, or one file of labels in it; then no other label file counts.

    Raises `DataError` when there is nothing of that name.
    """

    def __init__(self, source: Path) -> None:
        if not source.exists():
            raise DataError(f"{source}: expected a folder or file of labels, found nothing there")
        self.source = source
        self.root = source if source.is_dir() else source.parent
        self._real_root = self.root.resolve()
        self._left_out: list[Path] = []
        self._files = [PurePosixPath(name) for name in sorted(self._walk(), key=lambda name: natural_key(Path(name)))]
        self._by_name: dict[str, list[PurePosixPath]] = defaultdict(list)
        for path in self._files:
            self._by_name[path.name].append(path)
        self._known = {str(path) for path in self._files}
        self.recent: dict[Path, Any] = {}

    def _walk(self) -> list[str]:
        found = []
        for folder, folders, names in os.walk(self.root):
            folders[:] = [name for name in folders if not name.startswith(".")]
            inner = Path(folder).relative_to(self.root)
            for name in names:
                path = Path(folder, name)
                if name.startswith("."):
                    continue
                if path.is_symlink() and not self._holds(path):
                    self._left_out.append(path)
                else:
                    found.append((inner / name).as_posix())
        return found

    def _holds(self, path: Path) -> bool:
        """Whether a path, links followed, lies in the folder."""
        try:
            return path.resolve().is_relative_to(self._real_root)
        except (OSError, RuntimeError, ValueError):  # a loop of links, a name that no file can have
            return False

    def label_files(self, *suffixes: str) -> list[Path]:
        """The files with one of these endings, in natural order; only the one that was named when it was a file."""
        if self.source != self.root:
            return [self.source] if self.source.suffix.lower() in suffixes else []
        return [self.root / path for path in self._files if path.suffix.lower() in suffixes]

    def pictures(self) -> list[PurePosixPath]:
        """The picture files by their endings, relative to the folder, in natural order."""
        return [path for path in self._files if path.suffix.lower() in SUFFIXES]

    def may_hold_labels(self) -> bool:
        """Whether there are files that labels come in, or links to some outside, which are never read.

        What is there to be read by people does not count.
        """
        linked = [path for path in self._left_out if path.suffix.lower() in _LABEL_SUFFIXES]
        files = (*self.label_files(*_LABEL_SUFFIXES), *linked)
        return any(not path.stem.lower().startswith(("readme", "licen")) for path in files)

    def files_called(self, name: str) -> list[PurePosixPath]:
        """The files of this name, wherever they lie, relative to the folder."""
        return list(self._by_name.get(name, ()))

    def holds(self, path: PurePosixPath) -> bool:
        """Whether this is a file of the folder, by its plain path relative to it."""
        return str(path) in self._known

    def relative(self, path: Path) -> PurePosixPath:
        """A path in the folder, relative to it."""
        return PurePosixPath(path.relative_to(self.root).as_posix())

    def find(self, name: Any, near: Path, where: str) -> PurePosixPath:
        """The one file that a label means, relative to the folder.

        It is looked for beside the label (``near``, the label's folder), then from the top of the folder, then it is the
        only file whose path ends in that name. Raises `DataError` when there is none, more than one, or one outside.
        """
        if not isinstance(name, str) or not name or CONTROL.search(name):
            raise DataError(f"{where}: expected the name of a picture file, got {str(name)[:60]!r}")
        parts = PurePosixPath(name.replace("\\", "/"))
        if parts.is_absolute() or _DRIVE_OR_ADDRESS.match(name):
            raise DataError(
                f"{where}: expected a picture inside {self.root}, got the full path or address {name[:80]!r}; "
                "make it relative to the folder"
            )
        beside = PurePosixPath(near.relative_to(self.root).as_posix())
        for base in (
            beside,
            PurePosixPath(),
            *(PurePosixPath(top, name) for top in (beside, beside / "..", ".") for name in _USUAL),
        ):
            place = PurePosixPath(os.path.normpath(base / parts))
            if self.holds(place):
                return place
        if ".." in parts.parts:
            raise DataError(
                f"{where}: expected a picture inside {self.root}, got {name[:80]!r}; "
                "name the folder that holds labels and pictures"
            )
        ends = [path for path in self._by_name.get(parts.name, ()) if path.parts[-len(parts.parts) :] == parts.parts]
        if len(ends) > 1:
            raise DataError(f"{where}: {name[:80]!r} may be {ends[0]} or {ends[1]}; give it with its folder")
        if not ends:
            raise DataError(
                f"{where}: expected the picture {name[:80]!r} in {self.root}, found none; put it there, "
                "or name the folder that holds labels and pictures"
            )
        return ends[0]

    def load(self, path: Path) -> bytes:
        """The content of a label file. Raises `DataError` for what is no plain file of at most 1 GB inside the folder."""
        try:
            status = path.stat()
            if not stat.S_ISREG(status.st_mode) or not self._holds(path):
                raise DataError(f"{path}: expected a plain file inside {self.root}, got something else")
            if status.st_size > MAX_LABEL_BYTES:
                raise DataError(
                    f"{path}: expected labels of at most {MAX_LABEL_BYTES / 1e6:g} MB, "
                    f"got {status.st_size / 1e6:.0f}; split the file"
                )
            return path.read_bytes()
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None

    def load_text(self, path: Path) -> str:
        """The content of a label file as text. Raises `DataError` when it is not UTF-8."""
        data = self.load(path)
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data[: error.start].count(b"\n") + 1
            raise DataError(
                f"{path}:{line}: expected UTF-8 text, got the byte {data[error.start]:#04x}; convert it"
            ) from None
