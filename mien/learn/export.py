"""From a trained network to one ONNX file that takes a picture: raw ``uint8`` in, answers in picture pixels out."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import torch
from numpy.typing import NDArray
from onnx import ModelProto, numpy_helper
from torch import nn

from mien.card import CARD_KEY
from mien.errors import ModelError
from mien.learn.cards import draft_card
from mien.learn.graph import GRAPHS, PREPARE
from mien.learn.recipe import Recipe
from mien.media.write import whole_file
from mien.models.session import ModelSession

OPSET = 20


def core(network: nn.Module, task: str) -> nn.Module:
    """The exported part: a padded float picture in, decoded answers in the network's pixels out; in evaluation mode."""
    return GRAPHS[task].core(network).eval()


def export_core(network: nn.Module, task: str) -> ModelProto:
    """The core as ONNX with dynamic height and width."""
    side = 2 * int(network.multiple)  # type: ignore[arg-type]
    axes = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        path = Path(folder) / "core.onnx"
        torch.onnx.export(
            core(network, task).to(memory_format=torch.contiguous_format),
            (torch.zeros(1, 3, side, side + int(network.multiple)),),  # type: ignore[arg-type]
            str(path),
            dynamo=True,
            external_data=False,
            opset_version=OPSET,
            output_names=list(GRAPHS[task].core_outputs),
            dynamic_shapes={"network_image": axes},
            verbose=False,
        )
        return onnx.load(path)


def assemble(body: ModelProto, task: str, multiple: int, long_side: int) -> ModelProto:
    """Put the steps from raw picture to network, and from network to final answers, around the exported core."""
    steps = GRAPHS[task]
    prepare = PREPARE.replace("MULTIPLE", str(multiple)).replace("MOST_ENLARGED", str(steps.most_enlarged))
    before, after = onnx.parser.parse_graph(prepare), onnx.parser.parse_graph(steps.answer)
    graph = onnx.GraphProto(name=f"mien.{task}")
    graph.node.extend([*before.node, *body.graph.node, *after.node])
    graph.initializer.extend(body.graph.initializer)
    graph.input.append(before.input[0])
    for name, setting in steps.all_settings(long_side).items():
        graph.initializer.append(numpy_helper.from_array(np.asarray(setting.default), name))
        kind = onnx.helper.np_dtype_to_tensor_dtype(setting.default.dtype)
        graph.input.append(onnx.helper.make_tensor_value_info(name, kind, []))
    graph.output.extend(after.output)
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=10, producer_name="mien"
    )
    model.functions.extend(body.functions)
    onnx.checker.check_model(model, full_check=True)
    return model


def save_model(model: ModelProto, path: Path, metadata: dict[str, str]) -> Path:
    """Write aside, then rename. ``metadata`` replaces what the file said before."""
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, metadata)
    with whole_file(path) as file:
        file.write(model.SerializeToString())
    return path


def set_default(model: ModelProto, name: str, value: float) -> None:
    """Change the default of one of the settings that may be fed beside the picture."""
    for tensor in model.graph.initializer:
        if tensor.name == name:
            tensor.CopyFrom(numpy_helper.from_array(np.asarray(value, numpy_helper.to_array(tensor).dtype), name))
            return
    raise ModelError(f"expected a setting named {name!r} in the model, found none")


def whole_model(network: nn.Module, task: str, long_side: int) -> ModelProto:
    """The network with the steps before and after it: a raw picture in, final answers out."""
    return assemble(export_core(network, task), task, int(network.multiple), long_side)


def export_network(network: nn.Module, recipe: Recipe, path: Path) -> Path:
    """The whole model file, not yet judged: a card without scores and no golden vectors."""
    return save_model(whole_model(network, recipe.task, recipe.long_side), path, {CARD_KEY: draft_card(recipe).to_json()})


def parity(network: nn.Module, model: ModelProto, task: str, images: Iterable[NDArray[np.uint8]]) -> float:
    """Largest difference between torch and ONNX over pictures (H, W, 3): scores and mattes as they are, places in
    units of the network input's longer side."""
    probe = ModelProto()
    probe.CopyFrom(model)
    names = ["network_image", *GRAPHS[task].core_outputs]
    del probe.graph.output[:]
    probe.graph.output.extend(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names)
    with tempfile.TemporaryDirectory() as folder:
        session = ModelSession(save_model(probe, Path(folder) / "probe.onnx", {}))
    body = core(network, task)
    worst = 0.0
    for image in images:
        answers = session.run({"image": image})
        prepared = answers["network_image"]
        with torch.inference_mode():
            wanted = body(torch.from_numpy(prepared))
        for name, want in zip(names[1:], wanted if isinstance(wanted, tuple) else (wanted,), strict=True):
            unit = max(prepared.shape[2:]) if name in GRAPHS[task].places else 1
            worst = max(worst, float(np.abs(answers[name] - want.numpy()).max()) / unit)
    return worst
