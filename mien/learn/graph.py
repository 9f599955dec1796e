"""What a model file does around its network, as ONNX text, and what it says of its inputs and outputs: one entry a task.

`PREPARE` goes from the raw picture to the network's input, a task's ``answer`` from the network's decoded output to final
answers in picture pixels. Text form: https://github.com/onnx/onnx/blob/main/docs/Syntax.md
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor, nn

from mien.learn.networks import FaceNetwork, MatteNetwork

PREPARE = """
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


@dataclass(frozen=True)
class Setting:
    """A scalar that may be fed beside the picture, and what it is when it is not."""

    default: np.generic
    meaning: str


@dataclass(frozen=True)
class TaskGraph:
    """The model file of one task.

    core: wraps the network so that it gives decoded answers in the pixels of its input. core_outputs: their names; those in
    ``places`` are in pixels. answer: the ONNX text of the steps after it. most_enlarged: how far a small picture is
    enlarged. outputs: what the file says of its outputs.
    """

    core: type[nn.Module]
    core_outputs: tuple[str, ...]
    answer: str
    most_enlarged: float
    outputs: Mapping[str, Mapping[str, Any]]
    places: tuple[str, ...] = ()
    settings: Mapping[str, Setting] = field(default_factory=dict)

    def all_settings(self, long_side: int) -> dict[str, Setting]:
        """The settings of the task and of `PREPARE`."""
        meaning = "longer side that the network sees, in pixels"
        return {"long_side": Setting(np.int64(long_side), meaning), **self.settings}

    def inputs(self, long_side: int) -> dict[str, dict[str, Any]]:
        """What the file says of its inputs."""
        picture = {"type": "uint8", "shape": "(H, W, 3)", "meaning": "RGB picture of any size"}
        return {"image": picture} | {
            name: {"type": str(one.default.dtype), "shape": "()", "default": one.default.item(), "meaning": one.meaning}
            for name, one in self.all_settings(long_side).items()
        }


GRAPHS: dict[str, TaskGraph] = {
    "faces": TaskGraph(
        core=_Faces,
        core_outputs=("cell_scores", "cell_boxes", "cell_keypoints"),
        places=("cell_boxes", "cell_keypoints"),
        answer=_FACES,
        most_enlarged=2.0,
        settings={
            "min_score": Setting(np.float32(0.5), "smallest score that is kept"),
            "max_overlap": Setting(np.float32(0.5), "IoU from which on the weaker of two faces goes"),
            "max_faces": Setting(np.int64(1000), "most faces, best first"),
        },
        outputs={
            "boxes": {"type": "float32", "shape": "(N, 4)", "meaning": "x1 y1 x2 y2 in pixels of the picture"},
            "scores": {"type": "float32", "shape": "(N,)", "meaning": "0 to 1, falling"},
            "keypoints": {
                "type": "float32",
                "shape": "(N, 5, 2)",
                "meaning": "left eye, right eye, nose, left and right mouth corner; the subject's own left",
            },
        },
    ),
    "matte": TaskGraph(
        core=_Matte,
        core_outputs=("network_matte",),
        answer=_MATTE,
        most_enlarged=16.0,
        outputs={"matte": {"type": "float32", "shape": "(H, W)", "meaning": "share of person, 0 to 1, at picture size"}},
    ),
}
