"""Mask, no mask or mask worn wrongly, by transfer learning: ``python -m examples.mask``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from examples.painted import MASKS, paint
from examples.steps import Choice, choose, judge, mien, row, save_folder, show, train

SIDE = 128


def pictures(choice: Choice) -> Iterator[tuple[NDArray[np.uint8] | Path, dict[str, Any]]]:
    """Pictures with labelled faces; of the real set those with a mask worn wrongly first, for there are few."""
    if choice.real is None:
        for number in range(choice.count):
            face = paint(number, side=SIDE, share=0.6, mask=MASKS[number % 3], smiles=number % 2 == 0)
            yield face.image, {"faces": [{"box": face.box, "attributes": {"mask": MASKS[number % 3]}}]}
        return
    folder = choice.real / "faces" / "train"
    lines = [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]
    told = [(one, [face for face in one.get("faces") or [] if "mask" in (face.get("attributes") or {})]) for one in lines]
    told = [(one, faces) for one, faces in told if faces and len(faces) <= 4]
    rare = [one for one in told if any(face["attributes"]["mask"] == "bad_mask" for face in one[1])]
    chosen = (rare[: choice.count // 2] + [one for one in told if one not in rare])[: choice.count]
    for one, faces in chosen:
        group = {"group": str(one["group"])} if one.get("group") else {}
        yield folder / one["file_name"], {"faces": faces, **group}


def prepare(choice: Choice) -> None:
    """The project, its pictures divided."""
    project = choice.folder / "mask"
    save_folder(choice.folder / "pictures", pictures(choice))
    mien("new", project, "--task", "mask")
    mien("data", "import", project, choice.folder / "pictures", "--format", "imagefolder")
    mien("data", "split", project, "--validation", 0.15, "--test", 0.2)


def main(words: Sequence[str] | None = None) -> None:
    """Prepare, look for a learning rate, train heads and then the network under them, judge."""
    choice = choose("Mask, no mask or mask worn wrongly.", words, painted=(150, 8), real=(120, 4))
    prepare(choice)
    project = choice.folder / "mask"
    trained = train(project, choice, "--backbone", "unfrozen", "--find-lr", "--batch", 16)
    scores = judge(trained.run, project)
    figures = ("accuracy", "balanced_accuracy")
    rate = json.loads((trained.run / "run.json").read_text())["suggested_lr"]
    rows = [row("unfrozen, the rate looked for", trained, name, scores[f"mask {name}"]) for name in figures]
    show("mask", choice, rows, f"Learning rate found: {rate:g}.")


if __name__ == "__main__":
    main()
