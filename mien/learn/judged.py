"""What judging a model found: its report, and what it said of each picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mien.attributes import Attribute
from mien.data.sample import Sample
from mien.errors import DataError, InputError
from mien.learn.scores import Measure, Report

if TYPE_CHECKING:
    from mien.learn.evaluate_attributes import Read
    from mien.learn.evaluate_faces import Seen

Progress = Callable[[int, int], None]
"""Called with the pictures done and their number."""

_MOST_SLICES = 12


@dataclass(frozen=True)
class Cut:
    """How well a matte fits one picture. iou: with the labelled person; without one, the share of the picture left alone."""

    sample: Sample
    iou: float
    has_person: bool = True


@dataclass(frozen=True, eq=False)
class Judged:
    """A report and what stands behind it.

    measures: every score of the report that has an interval, to be drawn again. The evidence, of which a task has one kind:
    read: what was said of each labelled face, by attribute (``attributes`` describes them). seen: the faces found in each
    picture, believed from ``threshold`` on. cuts: the mattes.
    """

    report: Report
    measures: Sequence[Measure]
    read: Mapping[str, Read] = field(default_factory=dict)
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    seen: Sequence[Seen] = ()
    threshold: float = 0.0
    cuts: Sequence[Cut] = ()


def images_of(samples: Sequence[Sample], data: str, progress: Progress | None) -> Iterator[tuple[Sample, NDArray[np.uint8]]]:
    """Samples with their pictures. Raises `DataError` naming the one that cannot be read."""
    for done, sample in enumerate(samples, 1):
        try:
            image = sample.image()
        except InputError as error:
            raise DataError(f"{data}: {sample.name}: {error}") from None
        yield sample, image
        if progress is not None:
            progress(done, len(samples))


def group_of(sample: Sample) -> str:
    """What is drawn together with a sample when pictures are drawn again."""
    return f"group/{sample.group}" if sample.group else f"picture/{sample.name}"


def slices_of(names: Sequence[str]) -> dict[str, NDArray[np.int64]]:
    """Rows of each name, when there are at least two names and few enough to be slices."""
    distinct = sorted({name for name in names if name})
    if not 2 <= len(distinct) <= _MOST_SLICES:
        return {}
    return {name: np.flatnonzero([other == name for other in names]) for name in distinct}
