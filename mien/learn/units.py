"""Watching the units of a network in training: those that never answer learn nothing more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


def dead_units(network: nn.Module, run: Callable[[], Any]) -> dict[str, tuple[int, int]]:
    """Of each ReLU that has any: how many of its channels are 0 all over whatever the network sees, and of how many.

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
    counts = {name: (int((~one).sum()), len(one)) for name, one in alive.items()}
    return {name: count for name, count in counts.items() if count[0]}
