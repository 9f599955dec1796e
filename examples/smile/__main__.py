"""Smile or no smile on grey crops of 64x64: ``python -m examples.smile``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from examples.painted import grey, paint
from examples.steps import Choice, choose, judge, mien, row, save_folder, show, train
from mien.data.sample import read_parquet

SIDE = 64
BACKBONE = "examples.smile.small:Small"


def crops(choice: Choice) -> Iterator[tuple[NDArray[np.uint8], dict[str, Any]]]:
    """Crops with their labels; of the real set, those kept for testing are in the test part."""
    if choice.real is None:
        for number in range(choice.count):
            at = tuple(0.5 + np.random.default_rng(number).uniform(-0.06, 0.06, 2))
            yield grey(paint(number, side=SIDE, share=0.95, at=at, smiles=number % 2 == 0).image), _row(number % 2 == 0)
        return
    folder = choice.real / "attributes"
    for name, count, part in (("train", choice.count, ""), ("val", choice.count // 4, "test")):
        for sample in read_parquet(folder / f"smile-smilesd-{name}.parquet")[:count]:
            told = _row(bool(sample.labels["smile"])) | ({"split": part} if part else {})
            yield sample.image(), told | ({"person": sample.group} if sample.group else {})


def _row(smiles: bool) -> dict[str, Any]:
    answers = {"smile": "smile" if smiles else "no_smile"}
    return {"crop": True, "faces": [{"box": [0, 0, SIDE, SIDE], "attributes": answers}]}


def prepare(choice: Choice) -> None:
    """The project, its pictures divided."""
    project = choice.folder / "smile"
    save_folder(choice.folder / "crops", crops(choice))
    mien("new", project, "--task", "smile")
    mien("data", "import", project, choice.folder / "crops", "--format", "imagefolder", "--no-find-faces")
    mien("data", "split", project, "--validation", 0.15, "--test", 0 if choice.real else 0.2)


def main(words: Sequence[str] | None = None) -> None:
    """Prepare, train from nothing, judge."""
    choice = choose("Smile or no smile on grey crops of 64x64.", words, painted=(400, 6), real=(6000, 12))
    prepare(choice)
    project = choice.folder / "smile"
    trained = train(project, choice, "--backbone", BACKBONE)
    scores = judge(trained.run, project)
    what = "a small network from nothing"
    show("smile", choice, [row(what, trained, name, scores[f"smile {name}"]) for name in ("accuracy", "balanced_accuracy")])


if __name__ == "__main__":
    main()
