"""Steps for layers that mix channels: as large in every direction that their gradient has, however weak."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from mien.learn.networks import Unit

_QUINTIC = (3.4445, -4.7750, 2.0315)
_TURNS = 5
_ADAM_SIZE = 0.2
"""Root mean square of a step of Adam, in learning rates, so that both kinds of step can share one (Liu et al. 2025)."""


def mixing_weights(network: nn.Module) -> list[nn.Parameter]:
    """Weights of the network's pointwise convolutions that a batch norm follows: what `MuonAdamW` takes bold steps with."""
    units = (module[0] for module in network.modules() if isinstance(module, Unit))
    return [layer.weight for layer in units if layer.kernel_size == (1, 1) and layer.groups == 1]


def orthogonal(matrix: Tensor) -> Tensor:
    """The matrix (M, N) with all its singular values brought near 1 (between 0.7 and 1.2), by five Newton-Schulz steps
    (Jordan et al. 2024).
    """
    a, b, c = _QUINTIC
    x = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(_TURNS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x if matrix.shape[0] <= matrix.shape[1] else x.T


class MuonAdamW(torch.optim.AdamW):
    """Muon (Jordan et al. 2024) for groups of parameters with ``is_mixing``, AdamW for all others, in one optimiser.

    Muon's step is the momentum of the gradient made `orthogonal`, with Nesterov's look ahead, as long as one of Adam.
    Mixing parameters are matrices (M, N) or pointwise convolutions (M, N, 1, 1). PyTorch's own ``torch.optim.Muon`` takes
    matrices only and works in bfloat16, which is far slower on processors without it (docs/decisions/0003).
    """

    def __init__(self, groups: list[dict[str, Any]], momentum: float = 0.95) -> None:
        super().__init__([{"is_mixing": False, "momentum": momentum, **group} for group in groups])

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A checkpoint of plain AdamW mixes nothing."""
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("is_mixing", False)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """One step of all parameters; ``closure`` computes the gradients first."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            if group["is_mixing"]:
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        self._mix(parameter, group)
                        parameter.grad = None  # AdamW leaves alone what has none
        super().step()
        return loss

    @torch.no_grad()
    def _mix(self, parameter: nn.Parameter, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state.update(step=torch.zeros(()), momentum=torch.zeros_like(parameter))  # AdamW looks for a step in each state
        state["momentum"].lerp_(parameter.grad, 1 - group["momentum"])
        ahead = parameter.grad.lerp(state["momentum"], group["momentum"]).flatten(1)
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        size = _ADAM_SIZE * max(ahead.shape) ** 0.5
        parameter.add_(orthogonal(ahead).view_as(parameter), alpha=-group["lr"] * size)
