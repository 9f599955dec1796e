"""From a trained network to one ONNX file that takes a picture: raw ``uint8`` in, answers in picture pixels out."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser
import torch
from numpy.typing import NDArray
from onnx import ModelProto, numpy_helper
from torch import Tensor, nn

from mien.card import CARD_KEY
from mien.errors import ModelError
from mien.learn.cards import draft_card
from mien.learn.networks import FaceNetwork, MatteNetwork
from mien.learn.recipe import Recipe
from mien.media.write import whole_file
from mien.models.session import ModelSession

OPSET = 20

_FIT = """
prepare (uint8[height, width, 3] image, int64 long_side) => (float[1, 3, padded_height, padded_width] network_image) {
  p_shape = Shape(image)
  p_two = Constant <value = int64[1] {2}> ()
  p_zero = Constant <value = int64[1] {0}> ()
  p_one = Constant <value = int64[1] {1}> ()
  size_hw = Slice(p_shape, p_zero, p_two)
  p_longest = ReduceMax <keepdims = 0> (size_hw)
  p_longest_f = Cast <to = 1> (p_longest)
  p_wanted = Cast <to = 1> (long_side)
  p_ratio = Div(p_wanted, p_longest_f)
  p_most = Constant <value_float = MOST_ENLARGED> ()
  p_scale = Min(p_ratio, p_most)
  size_hw_f = Cast <to = 1> (size_hw)
  p_fitted_f = Mul(size_hw_f, p_scale)
  p_rounded = Round(p_fitted_f)
  p_fitted_any = Cast <to = 7> (p_rounded)
  fitted_hw = Max(p_fitted_any, p_one)
  fitted_hw_f = Cast <to = 1> (fitted_hw)
  p_three = Constant <value = int64[1] {3}> ()
  p_sizes = Concat <axis = 0> (p_one, fitted_hw, p_three)
  p_batch = Unsqueeze(image, p_zero)
  p_fitted = Resize <mode = "linear", antialias = 1, coordinate_transformation_mode = "half_pixel"> (p_batch, , , p_sizes)
  p_multiple = Constant <value = int64[1] {MULTIPLE}> ()
  p_rest = Mod(fitted_hw, p_multiple)
  p_more = Sub(p_multiple, p_rest)
  p_pad = Mod(p_more, p_multiple)
  p_zeros = Constant <value = int64[5] {0, 0, 0, 0, 0}> ()
  p_pads = Concat <axis = 0> (p_zeros, p_pad, p_zero)
  p_grey = Constant <value = uint8 {127}> ()
  p_padded = Pad <mode = "constant"> (p_fitted, p_pads, p_grey)
  p_planes = Transpose <perm = [0, 3, 1, 2]> (p_padded)
  network_image = Cast <to = 1> (p_planes)
}
"""

_FACES = """
answer (float[1, cells] cell_scores, float[1, cells, 4] cell_boxes, float[1, cells, 5, 2] cell_keypoints,
        int64[2] size_hw, float[2] size_hw_f, float[2] fitted_hw_f,
        float min_score, float max_overlap, int64 max_faces)
    => (float[faces, 4] boxes, float[faces] scores, float[faces, 5, 2] keypoints) {
  a_back_hw = Div(size_hw_f, fitted_hw_f)
  a_order = Constant <value = int64[2] {1, 0}> ()
  a_back_wh = Gather(a_back_hw, a_order)
  a_back_4 = Concat <axis = 0> (a_back_wh, a_back_wh)
  a_boxes = Mul(cell_boxes, a_back_4)
  a_size_wh = Gather(size_hw_f, a_order)
  a_far = Concat <axis = 0> (a_size_wh, a_size_wh)
  a_nought = Constant <value_float = 0.0> ()
  a_from = Max(a_boxes, a_nought)
  a_clipped = Min(a_from, a_far)
  a_axis = Constant <value = int64[1] {1}> ()
  a_scores = Unsqueeze(cell_scores, a_axis)
  a_picked = NonMaxSuppression(a_clipped, a_scores, max_faces, max_overlap, min_score)
  a_column = Constant <value = int64 {2}> ()
  a_rows = Gather <axis = 1> (a_picked, a_column)
  a_first = Constant <value = int64 {0}> ()
  a_all_boxes = Gather <axis = 0> (a_clipped, a_first)
  a_all_scores = Gather <axis = 0> (cell_scores, a_first)
  a_keypoints = Mul(cell_keypoints, a_back_wh)
  a_all_keypoints = Gather <axis = 0> (a_keypoints, a_first)
  boxes = Gather <axis = 0> (a_all_boxes, a_rows)
  scores = Gather <axis = 0> (a_all_scores, a_rows)
  keypoints = Gather <axis = 0> (a_all_keypoints, a_rows)
}
"""

_MATTE = """
answer (float[1, 1, padded_height, padded_width] network_matte, int64[2] size_hw, int64[2] fitted_hw)
    => (float[height, width] matte) {
  a_start = Constant <value = int64[2] {0, 0}> ()
  a_axes = Constant <value = int64[2] {2, 3}> ()
  a_fitted = Slice(network_matte, a_start, fitted_hw, a_axes)
  a_lead = Constant <value = int64[2] {1, 1}> ()
  a_sizes = Concat <axis = 0> (a_lead, size_hw)
  a_large = Resize <mode = "linear", antialias = 1, coordinate_transformation_mode = "half_pixel"> (a_fitted, , , a_sizes)
  a_lead_axes = Constant <value = int64[2] {0, 1}> ()
  a_plane = Squeeze(a_large, a_lead_axes)
  a_none = Constant <value_float = 0.0> ()
  a_full = Constant <value_float = 1.0> ()
  matte = Clip(a_plane, a_none, a_full)
}
"""


class _Faces(nn.Module):
    def __init__(self, network: FaceNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, network_image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        centres, strides = self.network.cells(network_image.shape[2], network_image.shape[3])
        return self.network.decode(self.network(network_image), centres, strides)


class _Matte(nn.Module):
    def __init__(self, network: MatteNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, network_image: Tensor) -> Tensor:
        return self.network(network_image).sigmoid()


PARTS: dict[str, tuple[type[nn.Module], str, list[str], float, dict[str, Any]]] = {
    "faces": (
        _Faces,
        _FACES,
        ["cell_scores", "cell_boxes", "cell_keypoints"],
        2.0,
        {"min_score": np.float32(0.5), "max_overlap": np.float32(0.5), "max_faces": np.int64(1000)},
    ),
    "matte": (_Matte, _MATTE, ["network_matte"], 16.0, {}),
}
"""For each task: what is exported, the steps after it, its outputs, how far small pictures are enlarged, and the
settings that a caller may feed beside the picture, with their defaults."""


def core(network: nn.Module, task: str) -> nn.Module:
    """The exported part: a padded float picture in, decoded answers in the network's pixels out; in evaluation mode."""
    return PARTS[task][0](network).eval()


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
            output_names=PARTS[task][2],
            dynamic_shapes={"network_image": axes},
            verbose=False,
        )
        return onnx.load(path)


def assemble(body: ModelProto, task: str, multiple: int, long_side: int) -> ModelProto:
    """Put the steps from raw picture to network, and from network to final answers, around the exported core."""
    _, after_text, _, most_enlarged, settings = PARTS[task]
    before = onnx.parser.parse_graph(_FIT.replace("MULTIPLE", str(multiple)).replace("MOST_ENLARGED", str(most_enlarged)))
    after = onnx.parser.parse_graph(after_text)
    graph = onnx.GraphProto(name=f"mien.{task}")
    graph.node.extend([*before.node, *body.graph.node, *after.node])
    graph.initializer.extend(body.graph.initializer)
    graph.input.append(before.input[0])
    for name, value in {"long_side": np.int64(long_side), **settings}.items():
        graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
        kind = onnx.helper.np_dtype_to_tensor_dtype(np.asarray(value).dtype)
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
    names = ["network_image", *PARTS[task][2]]
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
            unit = max(prepared.shape[2:]) if name in ("cell_boxes", "cell_keypoints") else 1
            worst = max(worst, float(np.abs(answers[name] - want.numpy()).max()) / unit)
    return worst
