"""Where results go: files named after the pictures they came from, in a folder, beside them, or as one is told."""

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
        paths = [self.path(number, suffix) for number in range(len(self._stems)) for suffix in suffixes]
        _check_free(paths, sources, overwrite=overwrite)

    def path(self, number: int, suffix: str) -> Path:
        """The file of one result, by the place of its picture among the sources."""
        return self._folder / f"{self._stems[number]}{suffix}"


def result_paths(
    output: str | Path | None, sources: Sequence[str | Path], endings: Sequence[str], *, overwrite: bool = False
) -> list[Path]:
    """Where each result goes, checked before any work is done.

    output: None puts NAME.filter.ENDING beside each source; for one source a name with an ending is that file; any other
    is a folder. endings: of each source's result, such as ``.png``.

    Raises `InputError` as `OutputFolder` does.
    """
    if output is None:
        paths = [Path(source).with_suffix(f".filter{ending}") for source, ending in zip(sources, endings, strict=True)]
        if len({str(path).casefold() for path in paths}) < len(paths):
            raise InputError("two sources beside each other have the same name: choose a folder with --output")
    elif len(sources) == 1 and Path(output).suffix and not Path(output).is_dir():
        paths = [Path(output)]
        is_video, is_video_name = endings[0] == ".mp4", paths[0].suffix.lower() == ".mp4"
        if is_video != is_video_name:
            wanted = "that ends in .mp4 for a video" if is_video else "of a picture (.png, .jpg, .webp) for a picture"
            raise InputError(f"{output}: expected a name {wanted}")
    else:
        folder = OutputFolder(output, sources, (), overwrite=overwrite)
        paths = [folder.path(number, ending) for number, ending in enumerate(endings)]
    _check_free(paths, sources, overwrite=overwrite)
    return paths


def _check_free(paths: Sequence[Path], sources: Sequence[str | Path], *, overwrite: bool) -> None:
    originals = {Path(source).resolve() for source in sources}
    for path in paths:
        if path.resolve() in originals:
            raise InputError(f"{path}: the result would replace a picture it is made from; choose another folder")
        if path.exists() and not overwrite:
            raise InputError(f"{path}: already exists; choose another folder or add --overwrite")
