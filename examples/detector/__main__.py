"""A detector of one face from 90 pictures and 60 changed copies of each: ``python -m examples.detector``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from examples.painted import paint
from examples.steps import Choice, choose, judge, mien, row, save_folder, show, train

SIDE = 160
TIMES, FEW_TIMES = 60, 4


def pictures(choice: Choice) -> Iterator[tuple[NDArray[np.uint8] | Path, dict[str, Any]]]:
    """Pictures with one face each."""
    if choice.real is None:
        for number in range(choice.count):
            rng = np.random.default_rng(number)
            at = tuple(rng.uniform(0.35, 0.65, 2))
            face = paint(number, side=SIDE, share=float(rng.uniform(0.3, 0.6)), at=at)
            yield face.image, {"faces": [{"box": face.box, "keypoints": face.keypoints}]}
        return
    folder = choice.real / "faces" / "train"
    taken = 0
    for line in (folder / "metadata.jsonl").read_text().splitlines():
        told = json.loads(line)
        faces = told.get("faces") or []
        if len(faces) == 1 and not faces[0].get("ignore") and taken < choice.count:
            taken += 1
            yield folder / told["file_name"], {"faces": faces}


def prepare(choice: Choice) -> None:
    """The project, divided, and the changed copies of its training pictures."""
    project = choice.folder / "detector"
    save_folder(choice.folder / "pictures", pictures(choice))
    mien("new", project, "--task", "boxes")
    mien("data", "import", project, choice.folder / "pictures", "--format", "imagefolder")
    mien("data", "split", project, "--validation", 0.2, "--test", 0.2)
    mien("data", "augment", project, "--times", TIMES if choice.real else FEW_TIMES)


def main(words: Sequence[str] | None = None) -> None:
    """Prepare, train the heads for class and box, judge."""
    choice = choose("A detector of one face from 90 pictures.", words, painted=(90, 2), real=(90, 1))
    prepare(choice)
    project = choice.folder / "detector"
    trained = train(project, choice)
    figures = ("ap50", "recall", "precision")
    ours, shipped = judge(trained.run, project), judge("faces", project)
    # Where nothing is found there is no precision.
    rows = [row("faces, trained on", trained, name, ours[name]) for name in figures if name in ours]
    rows += [row("faces, as shipped", None, name, shipped[name]) for name in figures if name in shipped]
    show("detector", choice, rows)


if __name__ == "__main__":
    main()
