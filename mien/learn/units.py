"""Watching the units of a network in training: those that never answer learn nothing more, unless they are drawn anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mien.learn.networks import Unit


def dead_units(network: nn.Module, run: Callable[[], Any]) -> dict[str, Tensor]:
    """Of each ReLU that has any: which of its channels are 0 all over whatever the network sees, (C,) bool.

    run: lets the network look at a batch. The more different pictures that holds, the surer the answer ("dying ReLU", Lu et
    al. 2019).
    """
    alive: dict[str, Tensor] = {}

    def watch(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def seen(_: nn.Module, inputs: Any, output: Tensor) -> None:
            one = (output > 0).transpose(0, 1).flatten(1).any(1)
            alive[name] = alive[name] | one if name in alive else one

        return seen

    hooks = [
        module.register_forward_hook(watch(name)) for name, module in network.named_modules() if isinstance(module, nn.ReLU)
    ]
    was_training = network.training
    try:
        with torch.no_grad():
            network.eval()
            run()
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    return {name: ~one for name, one in alive.items() if not one.all()}


@torch.no_grad()
def wake_units(
    networks: Sequence[nn.Module], dead: Mapping[str, Tensor], runs: Sequence[Callable[[], Any]], seed: int
) -> None:
    """Draw dead units anew (He et al. 2015), the same in all ``networks``, which are alike. dead: as `dead_units` gives it.
    runs: let each network look at a batch, from which all norms then take what they expect to see.

    The norms of these units get the middle scale of their layer and no shift, so that they answer for half of what they see.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, rows in dead.items():
        units = [network.get_submodule(name.rpartition(".")[0]) for network in networks]
        if not isinstance(units[0], Unit):
            continue
        weight = torch.empty_like(units[0][0].weight)
        nn.init.kaiming_normal_(weight, nonlinearity="relu", generator=generator)
        scale = units[0][1].weight.abs().median()
        for unit in units:
            unit[0].weight[rows] = weight[rows]
            unit[1].weight[rows] = scale
            unit[1].bias[rows] = 0.0
    for network, run in zip(networks, runs, strict=True):
        norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
        pace, was_training = [norm.momentum for norm in norms], network.training
        for norm in norms:
            norm.momentum = 1.0
        network.train()
        run()
        network.train(was_training)
        for norm, momentum in zip(norms, pace, strict=True):
            norm.momentum = momentum
