"""What is put into a project, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data.sample import Sample


@dataclass(frozen=True, eq=False)
class NewPicture:
    """A picture to be put into a project.

    picture: a file, encoded bytes (both are kept byte for byte), or an array (H, W, 3) uint8 RGB, which becomes a JPEG.
    name: what its file name begins with; its own name if empty.
    labels: what is known of it; its faces, matte, person, session, source, split and state count, its picture and name do
        not. Without a state it is labelled when its faces are known. The matte is copied, and must have the picture's size.
    """

    picture: Path | bytes | NDArray[np.uint8]
    name: str = ""
    labels: Sample | None = None


@dataclass
class Added:
    """What became of pictures that were to be added.

    kept: the new rows. duplicates: names of those whose very bytes were there already, and the file that has them.
    rejected: names of those that could not be kept, and why.
    differing: duplicates that came with other labels. updated: duplicates whose labels were taken (`import_pictures`).
    """

    kept: list[dict[str, Any]] = field(default_factory=list)
    duplicates: list[tuple[str, str]] = field(default_factory=list)
    rejected: list[tuple[str, str]] = field(default_factory=list)
    differing: list[tuple[str, str]] = field(default_factory=list)
    updated: list[tuple[str, str]] = field(default_factory=list)
