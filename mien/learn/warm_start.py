"""Going on from a finished model file: its weights come back into a network that can be trained.

A model file holds convolutions with their batch norms folded in. The norms are unfolded again here: each gets the mean and
spread that its convolution shows on training pictures, and the scale and shift that undo them, so that the network answers
as the file does and can be trained like one that never was a file.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from mien.errors import ModelError
from mien.learn.networks import Unit
from mien.models.onnx_file import read_onnx
from mien.models.store import model_path

log = logging.getLogger(__name__)

_PREFIX = "network."


def warm_start(
    network: nn.Module,
    model: str | Path,
    batches: Iterable[Any],
    forward: Callable[[Any, Any], Any] = lambda network, batch: network(batch),
) -> int:
    """Give ``network`` the weights of a model file, layer by layer where name and shape agree; the number of such layers.

    model: name of a shipped model, or an ONNX file exported by `mien.learn.export`. batches: as in training, and forward:
    how the network is run on one; pictures (B, 3, H, W) with values 0 to 255 unless told otherwise. Raises `ModelError` when the file cannot be read or no layer agrees.
    """
    path = model_path(model)
    read_onnx(path)  # refuses what is no model of ours
    layers = _layers(onnx.load(path))
    taken: dict[str, Tensor | None] = {}
    modules = dict(network.named_modules())
    with torch.no_grad():
        for name, module in modules.items():
            if not isinstance(module, nn.Conv2d | nn.Linear) or name not in layers:
                continue
            weight, bias = layers[name]
            if weight.shape != module.weight.shape:
                continue
            module.weight.copy_(weight)
            if module.bias is not None and bias is not None:
                module.bias.copy_(bias)
            taken[name] = bias
    if not taken:
        raise ModelError(f"{path}: expected a model with layers like those of this network, found none; change [network]")
    norms = {
        f"{name}.1": taken[f"{name}.0"]
        for name, module in modules.items()
        if isinstance(module, Unit) and f"{name}.0" in taken
    }
    _unfold(
        network,
        {name: modules[name] for name in norms},
        norms,
        (lambda batch=batch: forward(network, batch) for batch in batches),
    )
    log.info("%d layers of %d start from %s", len(taken), sum(hasattr(m, "weight") for m in modules.values()), path.name)
    return len(taken)


def _layers(model: onnx.ModelProto) -> dict[str, tuple[Tensor, Tensor | None]]:
    """Weight and bias of each layer under its name in the network."""
    constants = {one.name: one for one in model.graph.initializer}

    def tensor(name: str) -> Tensor:
        return torch.from_numpy(numpy_helper.to_array(constants[name]).copy())

    found = {}
    for node in model.graph.node:
        if node.op_type not in ("Conv", "Gemm") or node.input[1] not in constants:
            continue
        name = node.input[1]
        if name.startswith(_PREFIX) and name.endswith(".weight"):
            bias = node.input[2] if len(node.input) > 2 and node.input[2] in constants else ""
            found[name.removeprefix(_PREFIX).removesuffix(".weight")] = (tensor(name), tensor(bias) if bias else None)
    return found


def _unfold(
    network: nn.Module, norms: dict[str, Any], biases: dict[str, Tensor | None], passes: Iterable[Callable[[], Any]]
) -> None:
    sums = {name: torch.zeros(3, norm.num_features, dtype=torch.float64) for name, norm in norms.items()}

    def watch(name: str) -> Any:
        def seen(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            x = inputs[0].double()
            sums[name] += torch.stack(
                [torch.full_like(x[0, :, 0, 0], x[:, 0].numel()), x.sum((0, 2, 3)), (x * x).sum((0, 2, 3))]
            )

        return seen

    for name, norm in norms.items():
        nn.init.ones_(norm.weight)
        nn.init.zeros_(norm.running_mean)
        nn.init.constant_(norm.running_var, 1 - norm.eps)
        with torch.no_grad():
            norm.bias.copy_(torch.zeros_like(norm.bias) if biases[name] is None else biases[name])
    hooks = [norm.register_forward_pre_hook(watch(name)) for name, norm in norms.items()]
    was_training = network.training
    with torch.inference_mode():
        network.eval()
        for one in passes:
            one()
    for hook in hooks:
        hook.remove()
    network.train(was_training)
    with torch.no_grad():
        for name, norm in norms.items():
            count, total, squares = sums[name]
            mean = total / count
            variance = (squares / count - mean * mean).clamp(min=1e-6)
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(variance)
            norm.weight.copy_((variance + norm.eps).sqrt())
            norm.bias.add_(mean.to(norm.bias.dtype))
