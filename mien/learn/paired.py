"""The difference of two models on the same pictures: its interval and how likely it is chance."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from mien.metrics import Statistic

_CHUNK = 4_000_000


@dataclass(frozen=True)
class Difference:
    """How much more a second statistic is than a first one, on the same pictures.

    value: second less first. low, high: interval; p: chance of a difference so far from 0 if there were none. The last three
    are NaN where fewer than two groups allow no resampling.
    """

    value: float
    low: float
    high: float
    p: float


def paired_bootstrap(
    first: Statistic,
    second: Statistic,
    first_groups: Sequence[Hashable],
    second_groups: Sequence[Hashable],
    *,
    resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Difference:
    """The difference of two statistics when groups of pictures are drawn with replacement, the same ones for both.

    first_groups, second_groups: what each picture of either statistic belongs to; a group may be in one of them only.
    Percentile interval (Efron 1979); two-sided p from the share of resamples on the other side of 0, none counted as one
    (Davison and Hinkley 1997, section 4.2).
    """
    rows = {group: row for row, group in enumerate(dict.fromkeys([*first_groups, *second_groups]))}
    value = float(second(np.ones((1, len(second_groups))))[0] - first(np.ones((1, len(first_groups))))[0])
    nothing = Difference(value, float("nan"), float("nan"), float("nan"))
    if len(rows) < 2:
        return nothing
    members = [np.array([rows[group] for group in groups], np.int64) for groups in (first_groups, second_groups)]
    rng, parts = np.random.default_rng(seed), []
    step = max(1, _CHUNK // max(map(len, members)))
    for start in range(0, resamples, step):
        drawn = rng.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=min(step, resamples - start))
        before, after = (drawn[:, member].astype(np.float32) for member in members)
        parts.append(second(after) - first(before))
    differences = np.concatenate(parts)
    differences = differences[~np.isnan(differences)]
    if not len(differences):
        return nothing
    low, high = np.quantile(differences, [(1 - confidence) / 2, (1 + confidence) / 2])
    tail = min(np.count_nonzero(differences <= 1e-12), np.count_nonzero(differences >= -1e-12))
    p = min(1.0, 2 * (1 + tail) / (1 + len(differences)))
    return Difference(value, float(low), float(high), float(p))


def holm(ps: Sequence[float]) -> list[float]:
    """p values that hold for several questions asked at once (Holm 1979); NaN stays and counts as no question."""
    order = sorted((p, row) for row, p in enumerate(ps) if p == p)
    adjusted, largest = list(ps), 0.0
    for rank, (p, row) in enumerate(order):
        largest = max(largest, min(1.0, p * (len(order) - rank)))
        adjusted[row] = largest
    return adjusted
