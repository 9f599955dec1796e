"""Going on from a finished model file: its weights come back into a network that can be trained.

A model file holds convolutions with their batch norms folded in. The norms are unfolded again here: each gets the mean and
spread that its convolution shows on training pictures, and the scale and shift that undo them, so that the network answers
as the file does and can be trained like one that never was a file.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from mien.errors import ModelError
from mien.learn.export import HALF
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
    names: tuple[str, ...] = ("",),
) -> frozenset[str]:
    """Give ``network`` the weights of a model file, layer by layer where name and shape agree; the names of such layers.

    A `Unit` may be wider than in the file, and other convolutions may have more inputs: the file's weights come first, old
    outputs do not see new inputs, so that the network still answers as the file does, and new outputs are drawn anew
    (Net2Net, Chen et al. 2016). Not so the layers that the network names as ``joined``, whose inputs are two maps one
    after the other.

    model: name of a shipped model, or an ONNX file exported by `mien.learn.export`. batches: as in training, and forward:
    how the network is run on one; pictures (B, 3, H, W) with values 0 to 255 unless told otherwise. Without any batch the
    norms do nothing, which is enough for layers that are not trained on. names: only layers whose name begins with one of
    these. Raises `ModelError` when the file cannot be read or no layer agrees.
    """
    path = model_path(model)
    read_onnx(path)  # refuses what is no model of ours
    layers = _layers(onnx.load(path))
    taken: dict[str, Tensor | None] = {}
    modules = dict(network.named_modules())
    with torch.no_grad():
        for name, module in modules.items():
            if not isinstance(module, nn.Conv2d | nn.Linear) or name not in layers or not name.startswith(names):
                continue
            weight, bias = layers[name]
            if weight.shape != module.weight.shape:
                if not _is_wider(network, name, weight):
                    continue
                weight, bias = _widened(weight, bias, module.weight.shape)
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
        (partial(forward, network, batch) for batch in batches),
    )
    log.info("%d layers of %d start from %s", len(taken), sum(hasattr(m, "weight") for m in modules.values()), path.name)
    return frozenset(taken)


def _is_wider(network: nn.Module, name: str, weight: Tensor) -> bool:
    """Whether a layer of the network can take up the smaller ``weight`` of a layer of the same name."""
    layer, owner = network.get_submodule(name), network.get_submodule(name.rpartition(".")[0])
    shape, outputs = tuple(layer.weight.shape), len(weight)
    if not isinstance(layer, nn.Conv2d) or shape[2:] != tuple(weight.shape[2:]):
        return False
    if name.startswith(getattr(network, "joined", ())) or (shape[0] != outputs and not isinstance(owner, Unit)):
        return False
    return shape[0] >= outputs and shape[1] >= weight.shape[1]


def _widened(weight: Tensor, bias: Tensor | None, shape: torch.Size) -> tuple[Tensor, Tensor | None]:
    """Weight and bias of a convolution with the old outputs first, which see the old inputs only; new outputs are drawn as
    He et al. (2015) do.
    """
    outputs, inputs = weight.shape[:2]
    wide = torch.empty(shape)
    nn.init.kaiming_normal_(wide, nonlinearity="relu")
    wide[:outputs] = 0
    wide[:outputs, :inputs] = weight
    return wide, None if bias is None else torch.cat([bias, bias.new_zeros(shape[0] - outputs)])


def network_settings(model: str | Path) -> dict[str, Any]:
    """What a network must be built with to take over a model file: ``widths`` and ``depths`` of its backbone, and those of
    ``neck``, ``decoder`` and ``hidden`` that it has. Raises `ModelError` for a file without such a backbone.
    """
    path = model_path(model)
    read_onnx(path)
    sizes = {name: int(weight.shape[0]) for name, (weight, _) in _layers(onnx.load(path)).items()}
    if "backbone.stem.0" not in sizes:
        raise ModelError(f"{path}: expected a model with a backbone of mien's own, found none; train from scratch")
    settings: dict[str, Any] = {"widths": [sizes["backbone.stem.0"]], "depths": []}
    while (stage := f"backbone.stages.{len(settings['depths'])}") + ".0.pointwise.0" in sizes:
        settings["widths"].append(sizes[f"{stage}.0.pointwise.0"])
        settings["depths"].append(sum(name.startswith(f"{stage}.") and ".pointwise." in name for name in sizes) - 1)
    for setting, layer in (("neck", "laterals.0.0"), ("hidden", "features.0")):
        if layer in sizes:
            settings[setting] = sizes[layer]
    if "narrows.0.0" in sizes:
        settings["decoder"] = [sizes[f"narrows.{n}.0"] for n in range(len(sizes)) if f"narrows.{n}.0" in sizes]
    return settings


def constant_of(model: str | Path, name: str) -> Tensor:
    """One of the constants of a model file. Raises `ModelError` where it has none of that name."""
    for one in onnx.load(model_path(model)).graph.initializer:
        if one.name in (name, f"{name}{HALF}"):
            return torch.from_numpy(numpy_helper.to_array(one).astype(np.float32))
    raise ModelError(f"{model_path(model)}: expected a constant {name!r} in the model, found none")


def _layers(model: onnx.ModelProto) -> dict[str, tuple[Tensor, Tensor | None]]:
    """Weight and bias of each layer under its name in the network."""
    constants = {one.name: one for one in model.graph.initializer}
    constants |= {node.output[0]: constants[node.input[0]] for node in model.graph.node if _is_half(node, constants)}

    def tensor(name: str) -> Tensor:
        return torch.from_numpy(numpy_helper.to_array(constants[name]).astype(np.float32))

    found = {}
    for node in model.graph.node:
        if node.op_type not in ("Conv", "Gemm") or node.input[1] not in constants:
            continue
        name = node.input[1]
        if name.startswith(_PREFIX) and name.endswith(".weight"):
            bias = node.input[2] if len(node.input) > 2 and node.input[2] in constants else ""
            found[name.removeprefix(_PREFIX).removesuffix(".weight")] = (tensor(name), tensor(bias) if bias else None)
    return found


def _is_half(node: onnx.NodeProto, constants: Mapping[str, Any]) -> bool:
    """Whether a weight is kept as 16-bit floats and made whole here, see `mien.learn.export.halve`."""
    return node.op_type == "Cast" and node.input[0] in constants and node.input[0].endswith(HALF)


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
            if not count[0]:
                continue
            mean = total / count
            variance = (squares / count - mean * mean).clamp(min=1e-6)
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(variance)
            norm.weight.copy_((variance + norm.eps).sqrt())
            norm.bias.add_(mean.to(norm.bias.dtype))
