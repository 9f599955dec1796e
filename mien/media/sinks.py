"""Where results go: a folder with files named after the pictures they came from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mien.errors import InputError


def unique_stems(sources: Sequence[str | Path]) -> list[str]:
    """One file stem for each picture: its own, with ``-2``, ``-3`` behind it where pictures share one, whatever the case."""
    wanted = [Path(source).stem or "picture" for source in sources]
    taken: set[str] = set()
    own = {stem.casefold() for stem in wanted}
    stems = []
    for stem in wanted:
        name, number = stem, 1
        while name.casefold() in taken or (number > 1 and name.casefold() in own):
            number += 1
            name = f"{stem}-{number}"
        taken.add(name.casefold())
        stems.append(name)
    return stems


class OutputFolder:
    """The files that the results of these pictures will have, checked before any work is done.

    folder: made when the first file is written. sources: the pictures, in the order of their results.
    suffixes: the endings of the files that each result has, such as ``.json``.

    Raises `InputError` when a result would take the place of a picture it comes from, or of any file unless ``overwrite``.
    """

    def __init__(
        self, folder: str | Path, sources: Sequence[str | Path], suffixes: Sequence[str], *, overwrite: bool = False
    ) -> None:
        self._folder = Path(folder)
        if self._folder.exists() and not self._folder.is_dir():
            raise InputError(f"{folder}: expected a folder for the results, got a file; choose another place")
        self._stems = unique_stems(sources)
        originals = {Path(source).resolve() for source in sources}
        for number in range(len(self._stems)):
            for suffix in suffixes:
                path = self.path(number, suffix)
                if path.resolve() in originals:
                    raise InputError(f"{path}: the result would replace a picture it is made from; choose another folder")
                if path.exists() and not overwrite:
                    raise InputError(f"{path}: already exists; choose another folder or add --overwrite")

    def path(self, number: int, suffix: str) -> Path:
        """The file of one result, by the place of its picture among the sources."""
        return self._folder / f"{self._stems[number]}{suffix}"
