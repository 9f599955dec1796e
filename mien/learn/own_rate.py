"""A good learning rate, looked for (Smith 2017): the rate grows step by step until the loss breaks away."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from mien.errors import DataError
from mien.learn.own_learner import OwnLearner
from mien.media.write import whole_file

_LOWEST, _HIGHEST, _STEPS = 1e-5, 1.0, 60
_SMOOTH = 0.8
_BROKEN = 4.0


def find_rate(learner: OwnLearner, picture: Path) -> float:
    """The rate at which the loss falls fastest, and a plot of loss over rate as PNG. The learner stays as it is.

    Raises `DataError` where no rate lowers the loss.
    """
    trial = copy.deepcopy(learner.network)
    learner.set_mode(trial)
    parameters = [
        {"params": [one], "lr": 1.0, "share": learner.lesson.share_of(name)}
        for name, one in trial.named_parameters()
        if name.split(".")[0] not in learner.lesson.kept
    ]
    optimizer = torch.optim.AdamW(parameters)
    rates: list[float] = []
    losses: list[float] = []
    mean = 0.0
    torch.manual_seed(learner.options.seed)
    for step, batch in enumerate(itertools.islice(_endless(learner), _STEPS)):
        rate = _LOWEST * (_HIGHEST / _LOWEST) ** (step / (_STEPS - 1))
        for group in optimizer.param_groups:
            group["lr"] = rate * group["share"]
        loss = learner.lesson.losses(trial, batch)["total"]
        mean = _SMOOTH * mean + (1 - _SMOOTH) * float(loss.detach())
        smooth = mean / (1 - _SMOOTH ** (step + 1))
        if not math.isfinite(smooth) or (losses and smooth > _BROKEN * min(losses)):
            break
        rates.append(rate)
        losses.append(smooth)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trial.parameters(), learner.options.clip)
        optimizer.step()
    found = steepest(rates, losses)
    _plot(rates, losses, found, picture)
    return found


def steepest(rates: list[float], losses: list[float]) -> float:
    """The rate at which the loss falls fastest over the logarithm of the rate, before it is lowest. Raises `DataError` where
    no rate lowers it.

    The first sixth does not count: means of few batches fall and rise by chance. A loss that is lowest far from where it
    breaks away, as that of a network which knows the answers already, is so by chance too; then it is a tenth of the rate
    where it breaks away.
    """
    lowest = min(range(len(losses)), key=losses.__getitem__) if losses else 0
    if losses:
        limit = losses[lowest] + (max(losses) - losses[lowest]) / 4
        safe = max(rate for rate, loss in zip(rates, losses, strict=True) if loss <= limit) / 10
        if rates[lowest] < safe:
            return float(f"{safe:.1e}")
    falls = [(losses[n] - losses[n + 2]) / max(losses[n], 1e-12) for n in range(max(0, lowest - 1))]
    skipped = min(len(losses) // 6, max(0, len(falls) - 1))
    falls[:skipped] = [0.0] * skipped
    if not falls or max(falls) <= 0:
        raise DataError("find-lr: expected a rate that lowers the loss, found none; check the labels, or give --lr")
    return float(f"{rates[falls.index(max(falls)) + 1]:.1e}")


def _endless(learner: OwnLearner) -> Iterable[Any]:
    loader = learner.train_dataloader()
    for epoch in itertools.count():
        learner.draws.set_epoch(epoch)
        yield from loader


def _plot(rates: list[float], losses: list[float], found: float, picture: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axis = plt.subplots(figsize=(7, 4.2), layout="constrained")
    axis.plot(rates, losses, linewidth=2)
    axis.axvline(found, color="tab:red", linestyle="--", label=f"suggested: {found:g}")
    axis.set(xscale="log", xlabel="learning rate", ylabel="loss, smoothed", title="Loss while the rate grows")
    axis.grid(alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False)
    with whole_file(picture) as file:
        figure.savefig(file, format="png", dpi=120)
    plt.close(figure)
