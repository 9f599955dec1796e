"""The paired bootstrap against what statistics knows without it."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from mien import metrics
from mien.learn.paired import holm, paired_bootstrap


def names(count: int) -> list[str]:
    return [str(number) for number in range(count)]


def test_interval_and_p_of_a_mean_difference_are_those_of_the_normal() -> None:
    rng = np.random.default_rng(1)
    first = rng.normal(0.7, 0.2, 400)
    second = first + rng.normal(0.015, 0.1, 400)
    gap = second - first
    spread = gap.std() / np.sqrt(len(gap))
    found = paired_bootstrap(metrics.ratio(first), metrics.ratio(second), names(400), names(400))
    assert found.value == pytest.approx(gap.mean())
    assert found.low == pytest.approx(gap.mean() - 1.96 * spread, abs=0.12 * spread)
    assert found.high == pytest.approx(gap.mean() + 1.96 * spread, abs=0.12 * spread)
    wanted = 2 * (1 - NormalDist().cdf(abs(gap.mean()) / spread))
    assert 0.001 < wanted < 0.2
    assert found.p == pytest.approx(wanted, abs=0.015)


def test_models_that_answer_alike_do_not_differ() -> None:
    hits = np.random.default_rng(2).random(50) < 0.6
    found = paired_bootstrap(metrics.ratio(hits), metrics.ratio(hits), names(50), names(50))
    assert (found.value, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_one_of_twenty_sets_of_equal_models_is_called_different() -> None:
    rng = np.random.default_rng(3)
    called = 0
    for seed in range(300):
        first, second = rng.random((2, 120)) < 0.8
        found = paired_bootstrap(
            metrics.ratio(first), metrics.ratio(second), names(120), names(120), resamples=400, seed=seed
        )
        called += found.p < 0.05
    assert 0.02 < called / 300 < 0.09


def test_pictures_of_one_group_are_one_observation() -> None:
    gap = np.random.default_rng(4).normal(0, 1, 40)
    alone = paired_bootstrap(metrics.ratio(np.zeros(40)), metrics.ratio(gap), names(40), names(40))
    copies = [name for name in names(40) for _ in range(9)]
    together = paired_bootstrap(metrics.ratio(np.zeros(360)), metrics.ratio(np.repeat(gap, 9)), copies, copies)
    assert together.high - together.low == pytest.approx(alone.high - alone.low, rel=1e-4)


def test_statistics_of_other_pictures_are_paired_by_group() -> None:
    """A model may be judged on fewer pictures, as in a slice of its own: those of one group are still drawn together."""
    values = np.random.default_rng(5).normal(0, 1, 60)
    found = paired_bootstrap(
        metrics.ratio(values), metrics.ratio(np.repeat(values, 2)), names(60), [n for n in names(60) for _ in range(2)]
    )
    assert (found.value, found.low, found.high) == pytest.approx((0, 0, 0), abs=1e-6)


def test_without_groups_there_is_a_value_and_no_interval() -> None:
    found = paired_bootstrap(metrics.ratio([0.0, 1.0]), metrics.ratio([1.0, 1.0]), ["a", "a"], ["a", "a"])
    assert found.value == 0.5
    assert np.isnan([found.low, found.high, found.p]).all()


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    first, second, third = holm([0.02, float("nan"), 0.9])
    assert (first, third) == pytest.approx((0.04, 0.9))
    assert np.isnan(second)
