"""From a trained network to one ONNX file that takes a picture: raw ``uint8`` in, answers in picture pixels out."""

from __future__ import annotations

import copy
import logging
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser
import torch
from numpy.typing import NDArray
from onnx import ModelProto, numpy_helper
from torch import nn
from torch.nn.utils import fuse_conv_bn_eval

from mien.attributes import Attribute
from mien.card import CARD_KEY
from mien.data.sample import Sample
from mien.errors import ModelError
from mien.learn.attribute_network import AttributeNetwork
from mien.learn.cards import draft_card
from mien.learn.graph import GRAPHS, attribute_answer, attribute_outputs, outputs_of
from mien.learn.networks import Unit
from mien.learn.recipe import Recipe
from mien.media.write import whole_file
from mien.models.session import ModelSession

OPSET = 20
log = logging.getLogger(__name__)

HALF = ".half"
"""What the name of a weight that is kept as 16-bit floats ends with."""
_FEW = 1024
_MOST_HALF = 6e4
_STILL = 0.01
"""A variance of so much of a batch norm's epsilon is none."""
_SHRILL = 20.0
"""A depth-wise unit whose weights add up to more than so many times those of the middle one of its layer hears next to
nothing in training, for its norm raises what it hears to what the others hear.
"""


def core(network: nn.Module, task: str) -> nn.Module:
    """The exported part: a padded float picture in, decoded answers in the network's pixels out; in evaluation mode."""
    return GRAPHS[task].core(network).eval()


def core_outputs(network: nn.Module, task: str) -> tuple[str, ...]:
    """Names of what the core gives."""
    return attribute_outputs(network) if isinstance(network, AttributeNetwork) else GRAPHS[task].core_outputs


def export_core(network: nn.Module, task: str) -> ModelProto:
    """The core as ONNX with dynamic height, width and number of faces."""
    side = 2 * int(network.multiple)  # type: ignore[arg-type]
    side += 0 if side > 32 else 64
    axes = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    example: tuple[torch.Tensor, ...] = (torch.zeros(1, 3, side, side + int(network.multiple)),)  # type: ignore[arg-type]
    shapes: dict[str, Any] = {"network_image": axes}
    if isinstance(network, AttributeNetwork):
        faces = torch.tensor([[5.0, 5, 45, 50]]).repeat(3, 1)
        example += (faces, torch.full((3, 5, 2), torch.nan))
        shapes |= {name: {0: torch.export.Dim("faces", min=1, max=4096)} for name in ("face_boxes", "face_keypoints")}
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        path = Path(folder) / "core.onnx"
        torch.onnx.export(
            core(network, task).to(memory_format=torch.contiguous_format),
            example,
            str(path),
            dynamo=True,
            external_data=False,
            opset_version=OPSET,
            output_names=list(core_outputs(network, task)),
            dynamic_shapes=shapes,
            verbose=False,
        )
        return onnx.load(path)


def assemble(body: ModelProto, task: str, multiple: int, long_side: int, answer: str = "") -> ModelProto:
    """Put the steps from raw picture to network, and from network to final answers, around the exported core.

    answer: the ONNX text of the latter where the task alone does not decide it.
    """
    steps = GRAPHS[task]
    before = onnx.parser.parse_graph(steps.steps_before(multiple))
    after = onnx.parser.parse_graph(answer or steps.answer)
    taken = {one.name for one in after.input}
    graph = onnx.GraphProto(name=f"mien.{task}")
    graph.node.extend([*before.node, *body.graph.node, *after.node])
    graph.initializer.extend(body.graph.initializer)
    settings = steps.all_settings(long_side)
    graph.input.extend(one for one in before.input if one.name not in settings)
    for name, setting in settings.items():
        graph.initializer.append(numpy_helper.from_array(np.asarray(setting.default), name))
        kind = onnx.helper.np_dtype_to_tensor_dtype(setting.default.dtype)
        graph.input.append(onnx.helper.make_tensor_value_info(name, kind, []))
    graph.output.extend(one for one in body.graph.output if one.name not in taken)
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


def lean(network: nn.Module) -> nn.Module:
    """A copy as it is shipped: batch norms folded into the convolutions before them, and the weights of those, and of a
    contour, rounded to what 16-bit floats hold. `whole_model` keeps such weights in half the bytes.

    A unit that never varied in training stays at what it was, and one that hardly did is silenced: the picture that wakes
    such a unit would get an answer from nowhere.
    """
    network = copy.deepcopy(network).eval()
    for unit in network.modules():
        if isinstance(unit, Unit) and isinstance(unit[1], nn.BatchNorm2d):
            with torch.no_grad():
                unit[1].weight[unit[1].running_var < _STILL * unit[1].eps] = 0
            unit[0], unit[1] = fuse_conv_bn_eval(unit[0], unit[1]), nn.Identity()
            if unit[0].groups > 1:
                _silence(unit[0])
    with torch.no_grad():
        for _, layer in _halved_layers(network):
            if float(layer.weight.abs().max()) < _MOST_HALF:
                layer.weight.copy_(layer.weight.half().float())
    return network


@torch.no_grad()
def _silence(layer: nn.Conv2d) -> None:
    """Take the weights from the units of a depth-wise layer that are `_SHRILL`."""
    loudness = layer.weight.abs().flatten(1).sum(1)
    shrill = loudness > _SHRILL * (loudness[loudness > 0].median() if loudness.any() else 1)
    if shrill.any():
        log.info("%d of %d units of a layer were silenced: next to nothing woke them in training", shrill.sum(), len(shrill))
    layer.weight[shrill] = 0
    layer.bias[shrill] = 0  # type: ignore[index]  # which folding made


def _halved_layers(network: nn.Module) -> Iterator[tuple[str, Any]]:
    """Name and module of each layer whose weights may be kept as 16-bit floats."""
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d) or name == "contour":
            yield name, layer


def halve(model: ModelProto, names: Iterable[str]) -> None:
    """Keep weights, of those named that the model has, as 16-bit floats where these hold them exactly; they are made whole
    when the model is loaded.
    """
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    for name in (one for one in names if one in tensors):
        whole = numpy_helper.to_array(tensors[name])
        if whole.size < _FEW or np.abs(whole).max() >= _MOST_HALF:
            continue
        half = whole.astype(np.float16)
        if np.array_equal(half.astype(np.float32), whole):
            tensors[name].CopyFrom(numpy_helper.from_array(half, f"{name}{HALF}"))
            cast = onnx.helper.make_node("Cast", [f"{name}{HALF}"], [name], to=onnx.TensorProto.FLOAT)
            model.graph.node.insert(0, cast)


def made_whole(model: ModelProto) -> ModelProto:
    """A copy of a model without 16-bit weights, for tools that look for 32-bit ones."""
    model = copy.deepcopy(model)
    for tensor in model.graph.initializer:
        if tensor.name.endswith(HALF):
            whole = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(whole, tensor.name.removesuffix(HALF)))
    kept = [node for node in model.graph.node if not (node.op_type == "Cast" and node.input[0].endswith(HALF))]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    return model


def set_default(model: ModelProto, name: str, value: float) -> None:
    """Change the default of one of the settings that may be fed beside the picture."""
    for tensor in model.graph.initializer:
        if tensor.name == name:
            tensor.CopyFrom(numpy_helper.from_array(np.asarray(value, numpy_helper.to_array(tensor).dtype), name))
            return
    raise ModelError(f"expected a setting named {name!r} in the model, found none")


def whole_model(network: nn.Module, task: str, long_side: int) -> ModelProto:
    """The network with the steps before and after it: a raw picture in, final answers out."""
    answer = attribute_answer(network) if isinstance(network, AttributeNetwork) else ""
    model = assemble(export_core(network, task), task, int(network.multiple), long_side, answer)
    halve(model, (f"network.{name}.weight" for name, _ in _halved_layers(network)))
    return model


def set_weights(model: ModelProto, weights: Mapping[str, torch.Tensor]) -> None:
    """Change weights of an exported network, by their names in it (``heads.0.linear.bias``), without exporting it again."""
    named = {tensor.name: tensor for tensor in model.graph.initializer}
    for name, weight in weights.items():
        if f"network.{name}" not in named:
            raise ModelError(f"expected a weight named 'network.{name}' in the model, found none")
        named[f"network.{name}"].CopyFrom(numpy_helper.from_array(weight.detach().numpy(), f"network.{name}"))


def export_network(network: nn.Module, recipe: Recipe, path: Path) -> Path:
    """The whole model file, not yet judged: a card without scores and no golden vectors."""
    return save_model(
        whole_model(lean(network), recipe.task, recipe.long_side), path, {CARD_KEY: draft_card(recipe).to_json()}
    )


def parity(network: nn.Module, model: ModelProto, task: str, feeds: Iterable[Mapping[str, NDArray[Any]]]) -> float:
    """Largest difference between torch and ONNX over what a model is fed, see `feeds_of`: scores and mattes as they are,
    places in units of the network input's longer side, numbers by their span.
    """
    probe = ModelProto()
    probe.CopyFrom(model)
    inputs = [name for name in _CORE_INPUTS if name in {out for node in model.graph.node for out in node.output}]
    names = [*inputs, *core_outputs(network, task)]
    del probe.graph.output[:]
    probe.graph.output.extend(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names)
    with tempfile.TemporaryDirectory() as folder:
        session = ModelSession(save_model(probe, Path(folder) / "probe.onnx", {}))
    body = core(network, task)
    units = _units(network, task)
    worst = 0.0
    for feed in feeds:
        answers = session.run(feed)
        with torch.inference_mode():
            wanted = body(*(torch.from_numpy(answers[name]) for name in inputs))
        for name, want in zip(names[len(inputs) :], wanted if isinstance(wanted, tuple) else (wanted,), strict=True):
            unit = units.get(name, 1.0) or max(answers[inputs[0]].shape[2:])
            got, seen = torch.from_numpy(answers[name]), torch.from_numpy(answers[inputs[0]])
            if (shown := GRAPHS[task].shown) is not None:
                got, want = shown(seen, got), shown(seen, want)
            worst = max(worst, float((got - want).abs().max()) / unit)
    return worst


_CORE_INPUTS = ("network_image", "face_boxes", "face_keypoints")


def _units(network: nn.Module, task: str) -> dict[str, float]:
    """What a difference of each answer of the core is measured in, where it is not 1; 0 stands for the picture's side."""
    units = dict.fromkeys(GRAPHS[task].places, 0.0)
    if isinstance(network, AttributeNetwork):
        told = outputs_of(network.attributes, network.has_contour)
        units |= {name: _unit(one) for name, one in zip(attribute_outputs(network), told, strict=True)}
    return units


def _unit(attribute: Attribute) -> float:
    """That of one attribute: points by the picture, numbers by the span they may take, degrees by a half turn."""
    if attribute.points:
        return 0.0
    if attribute.answers or not attribute.unit:
        return 1.0
    return 180.0 if attribute.parts else attribute.span[1] - attribute.span[0]


def feeds_of(sample: Sample, task: str) -> dict[str, NDArray[Any]]:
    """What a model for a task is fed for one labelled picture: the picture and, to read faces, those that are labelled; a
    crop is a face that fills its picture.
    """
    image = sample.image()
    feed: dict[str, NDArray[Any]] = {"image": image}
    if task == "attributes":
        faces = [face for face in sample.faces or () if not face.is_ignored]
        whole = np.array([[0, 0, image.shape[1], image.shape[0]]], np.float32)
        feed["boxes"] = np.stack([face.box for face in faces]) if faces else whole
        unknown = np.full((1, 5, 2), np.nan, np.float32)
        feed["keypoints"] = np.stack([face.keypoints for face in faces]) if faces else unknown
    return feed
