"""What a model file does around its network, as ONNX text, and what it says of its inputs and outputs: one entry a task.

`PREPARE` goes from the raw picture to the network's input, a task's ``answer`` from the network's decoded output to final
answers in picture pixels. Text form: https://github.com/onnx/onnx/blob/main/docs/Syntax.md
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor, nn

from mien.attributes import ATTRIBUTES, Attribute
from mien.learn.attribute_network import AttributeNetwork, expected_number, in_picture
from mien.learn.guided import blended, guided_blend
from mien.learn.networks import FaceNetwork, MatteNetwork
from mien.learn.picture_quality import picture_quality
from mien.learn.pose import head_pose, lift_of

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
LIGHT  p_padded = Pad <mode = "PAD_MODE"> (p_fitted, p_pads, p_grey)
  p_planes = Transpose <perm = [0, 3, 1, 2]> (p_padded)
NETWORK_IMAGE}
"""
_AS_IT_IS = (
    """  p_grey = Constant <value = uint8 {127}> ()
""",
    """  network_image = Cast <to = 1> (p_planes)
""",
)
_LIFTED = (
    """  p_sides = Constant <value = int64[2] {1, 2}> ()
  p_begin = Constant <value = int64[2] {0, 0}> ()
  p_end = Constant <value = int64[2] {1000000, 1000000}> ()
  p_step = Constant <value = int64[2] {4, 4}> ()
  p_few = Slice(p_fitted, p_begin, p_end, p_sides, p_step)
  p_few_f = Cast <to = 1> (p_few)
  p_mean = ReduceMean <keepdims = 0> (p_few_f)
  p_least_light = Constant <value_float = LEAST_LIGHT> ()
  p_wanted_gain = Div(p_least_light, p_mean)
  p_no_gain = Constant <value_float = 1.0> ()
  p_most_gain = Constant <value_float = MOST_GAIN> ()
  p_gain = Clip(p_wanted_gain, p_no_gain, p_most_gain)
  p_grey_f = Constant <value_float = 127.0> ()
  p_dark_grey = Div(p_grey_f, p_gain)
  p_grey = Cast <to = 2> (p_dark_grey)
""",
    """  p_seen = Cast <to = 1> (p_planes)
  p_lit = Mul(p_seen, p_gain)
  p_black = Constant <value_float = 0.0> ()
  p_white = Constant <value_float = 255.0> ()
  network_image = Clip(p_lit, p_black, p_white)
""",
)
MOST_GAIN = 10.0
"""How many times brighter a dark picture is made at most."""

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
answer (float[1, 4, padded_height, padded_width] network_blend, uint8[height, width, 3] image, int64[2] size_hw,
        int64[2] fitted_hw) => (float[height, width] matte) {
  a_start = Constant <value = int64[2] {0, 0}> ()
  a_axes = Constant <value = int64[2] {2, 3}> ()
  a_fitted = Slice(network_blend, a_start, fitted_hw, a_axes)
  a_lead = Constant <value = int64[2] {1, 4}> ()
  a_sizes = Concat <axis = 0> (a_lead, size_hw)
  a_large = Resize <mode = "linear", coordinate_transformation_mode = "half_pixel"> (a_fitted, , , a_sizes)
  a_first = Constant <value = int64[1] {0}> ()
  a_blend = Squeeze(a_large, a_first)
  a_parts = Constant <value = int64[2] {3, 1}> ()
  a_gains, a_offset = Split(a_blend, a_parts)
  a_planes = Transpose <perm = [2, 0, 1]> (image)
  a_planes_f = Cast <to = 1> (a_planes)
  a_shares = Mul(a_planes_f, a_gains)
  a_sum = ReduceSum <keepdims = 0> (a_shares, a_first)
  a_rest = Squeeze(a_offset, a_first)
  a_plane = Add(a_sum, a_rest)
  a_none = Constant <value_float = 0.0> ()
  a_full = Constant <value_float = 1.0> ()
  matte = Clip(a_plane, a_none, a_full)
}
"""


_PREPARE_FACES = """
prepare (uint8[height, width, 3] image, float[faces, 4] boxes, float[faces, 5, 2] keypoints)
    => (float[1, 3, seen_height, seen_width] network_image, float[faces, 4] face_boxes, float[faces, 5, 2] face_keypoints,
        float[2] seen_wh) {
  p_zero = Constant <value = int64[1] {0}> ()
  p_one = Constant <value = int64[1] {1}> ()
  p_two = Constant <value = int64[1] {2}> ()
  p_four = Constant <value = int64[1] {4}> ()
  p_corner = Slice(boxes, p_zero, p_two, p_one)
  p_other = Slice(boxes, p_two, p_four, p_one)
  p_extent = Sub(p_other, p_corner)
  p_smallest_side = ReduceMax <keepdims = 0> (p_extent, p_one)
  p_smallest = ReduceMin <keepdims = 0> (p_smallest_side, p_zero)
  p_least = Constant <value_float = 1.0> ()
  p_some = Max(p_smallest, p_least)
  p_enough = Constant <value_float = SEEN_FACE> ()
  p_ratio = Div(p_enough, p_some)
  p_scale = Min(p_ratio, p_least)
  p_shape = Shape(image)
  p_size_hw = Slice(p_shape, p_zero, p_two)
  p_size_hw_f = Cast <to = 1> (p_size_hw)
  p_fitted_f = Mul(p_size_hw_f, p_scale)
  p_rounded = Round(p_fitted_f)
  p_fitted_any = Cast <to = 7> (p_rounded)
  p_fitted = Max(p_fitted_any, p_one)
  p_three = Constant <value = int64[1] {3}> ()
  p_sizes = Concat <axis = 0> (p_one, p_fitted, p_three)
  p_batch = Unsqueeze(image, p_zero)
  p_small = Resize <mode = "linear", antialias = 1, coordinate_transformation_mode = "half_pixel"> (p_batch, , , p_sizes)
  p_planes = Transpose <perm = [0, 3, 1, 2]> (p_small)
  network_image = Cast <to = 1> (p_planes)
  p_fitted_hw = Cast <to = 1> (p_fitted)
  p_seen_hw = Div(p_fitted_hw, p_size_hw_f)
  p_order = Constant <value = int64[2] {1, 0}> ()
  seen_wh = Gather(p_seen_hw, p_order)
  p_seen_4 = Concat <axis = 0> (seen_wh, seen_wh)
  face_boxes = Mul(boxes, p_seen_4)
  face_keypoints = Mul(keypoints, seen_wh)
}
"""

_ATTRIBUTES = """
answer (POINT_INPUTS float[faces, 3] network_quality, float[2] seen_wh)
    => (POINT_OUTPUTS float[faces, 3] quality) {
POINT_STEPS
  a_plain = Constant <value = float[2] {1.0, 1.0}> ()
  a_first = Constant <value = int64[1] {0}> ()
  a_next = Constant <value = int64[1] {1}> ()
  a_seen_w = Slice(seen_wh, a_first, a_next)
  a_back = Concat <axis = 0> (a_plain, a_seen_w)
  quality = Div(network_quality, a_back)
}
"""
_POINTS = """
  a_POINTS = Div(network_POINTS, seen_wh)
  a_axis_POINTS = Constant <value = int64[2] {0, WIDTH}> ()
  POINTS = Reshape(a_POINTS, a_axis_POINTS)
"""
SEEN_FACE = 200.0
"""A picture is shrunk until the box of its smallest face has this many pixels, so that nothing is lost between samples."""


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
        return guided_blend(network_image, self.network(network_image).sigmoid())


class _Attributes(nn.Module):
    """Final answers: probabilities, numbers with their spread, contours, pose and quality, in the order of `outputs_of`."""

    def __init__(self, network: AttributeNetwork) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("lift", lift_of(network.face), persistent=False)

    def forward(self, network_image: Tensor, face_boxes: Tensor, face_keypoints: Tensor) -> tuple[Tensor, ...]:
        crops, frames = self.network.crops(network_image, face_boxes, face_keypoints)
        logits, points = self.network.read(crops, frames)
        answers = []
        for attribute, part in zip(self.network.attributes, self.network.slices.values(), strict=True):
            if attribute.points:
                answers.append(in_picture(logits[:, part], frames))
                continue
            shares = logits[:, part].softmax(1)
            answers.append(shares if attribute.answers else expected_number(shares, attribute))
        if points is not None:
            answers += [points, head_pose(points, self.lift)]
        return (*answers, picture_quality(crops, frames))


def outputs_of(attributes: Sequence[Attribute], has_contour: bool = True) -> list[Attribute]:
    """The attributes that a network for some of them answers: these, then contour and pose where it has them, quality."""
    return [*attributes, *(ATTRIBUTES[name] for name in (("landmarks68", "pose") if has_contour else ()) + ("quality",))]


@dataclass(frozen=True)
class Setting:
    """A scalar that may be fed beside the picture, and what it is when it is not."""

    default: np.generic
    meaning: str


@dataclass(frozen=True)
class TaskGraph:
    """The model file of one task.

    prepare: the ONNX text of the steps before the network. core: wraps the network so that it gives decoded answers in the
    pixels of its input. core_inputs: what it takes, with an example and the axes that may have any length.
    core_outputs: names of what it gives; those in ``places`` are in pixels. shown: what somebody
    sees of the core's input and answer, where it is not the answer itself. answer:
    the ONNX text of the steps after it. most_enlarged: how far a small picture is enlarged. least_light: mean of all
    pixels, 0 to 255, up to which a darker picture is brightened; 0 for never. pad_mode: of ONNX ``Pad``, what the picture
    is filled up with: grey, or its edge. outputs: what the file says
    of its outputs. has_size: whether the picture is brought to a size of ``long_side``.
    """

    core: type[nn.Module]
    core_outputs: tuple[str, ...]
    outputs: Mapping[str, Mapping[str, Any]]
    answer: str = ""
    prepare: str = PREPARE
    most_enlarged: float = 1.0
    least_light: float = 0.0
    pad_mode: str = "constant"
    places: tuple[str, ...] = ()
    shown: Callable[[Tensor, Tensor], Tensor] | None = None
    settings: Mapping[str, Setting] = field(default_factory=dict)
    has_size: bool = True
    more_inputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def steps_before(self, multiple: int) -> str:
        """The ONNX text of the steps before a network whose input's sides are multiples of that."""
        light, network_image = _LIFTED if self.least_light else _AS_IT_IS
        text = self.prepare.replace("LIGHT", light).replace("NETWORK_IMAGE", network_image)
        values = {"PAD_MODE": self.pad_mode, "LEAST_LIGHT": self.least_light, "MOST_GAIN": MOST_GAIN, "MULTIPLE": multiple}
        for name, value in {**values, "MOST_ENLARGED": self.most_enlarged}.items():
            text = text.replace(name, str(value))
        return text

    def all_settings(self, long_side: int) -> dict[str, Setting]:
        """The settings of the task and of `PREPARE`."""
        meaning = "longer side that the network sees, in pixels"
        return ({"long_side": Setting(np.int64(long_side), meaning)} if self.has_size else {}) | dict(self.settings)

    def inputs(self, long_side: int) -> dict[str, dict[str, Any]]:
        """What the file says of its inputs."""
        picture = {"type": "uint8", "shape": "(H, W, 3)", "meaning": "RGB picture of any size"}
        return (
            {"image": picture}
            | {name: dict(one) for name, one in self.more_inputs.items()}
            | {
                name: {"type": str(one.default.dtype), "shape": "()", "default": one.default.item(), "meaning": one.meaning}
                for name, one in self.all_settings(long_side).items()
            }
        )


def output_fact(attribute: Attribute) -> dict[str, Any]:
    """What a model file says of the output that is an attribute."""
    names = ", ".join(attribute.answers or attribute.parts)
    meaning = f"probabilities of {names}" if attribute.answers else names
    if attribute.points:
        meaning = f"x and y of {attribute.points} points in pixels of the picture"
    elif attribute.unit and not attribute.parts:
        meaning = f"value and standard deviation in {attribute.unit}"
    return {"type": "float32", "shape": f"(N, {attribute.width})", "meaning": meaning}


def attribute_outputs(network: AttributeNetwork) -> tuple[str, ...]:
    """Names of what the core of an attribute network gives; what is in pixels of its input is called so."""
    return tuple(
        f"network_{one.name}" if one.points or "size" in one.parts else one.name
        for one in outputs_of(network.attributes, network.has_contour)
    )


def attribute_answer(network: AttributeNetwork) -> str:
    """The ONNX text of the steps after an attribute network: points and sizes in pixels of the picture."""
    told = [one for one in outputs_of(network.attributes, network.has_contour) if one.points]
    steps = [_POINTS.replace("POINTS", one.name).replace("WIDTH", str(one.width)) for one in told]
    return (
        _ATTRIBUTES.replace("POINT_INPUTS", "".join(f"float[faces, {one.points}, 2] network_{one.name}, " for one in told))
        .replace("POINT_OUTPUTS", "".join(f"float[faces, {one.width}] {one.name}, " for one in told))
        .replace("POINT_STEPS", "".join(steps))
    )


GRAPHS: dict[str, TaskGraph] = {
    "faces": TaskGraph(
        core=_Faces,
        core_outputs=("cell_scores", "cell_boxes", "cell_keypoints"),
        places=("cell_boxes", "cell_keypoints"),
        answer=_FACES,
        most_enlarged=2.0,
        least_light=100.0,
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
        core_outputs=("network_blend",),
        shown=blended,
        answer=_MATTE,
        most_enlarged=16.0,
        pad_mode="edge",
        outputs={"matte": {"type": "float32", "shape": "(H, W)", "meaning": "share of person, 0 to 1, at picture size"}},
    ),
    "attributes": TaskGraph(
        prepare=_PREPARE_FACES.replace("SEEN_FACE", str(SEEN_FACE)),
        core=_Attributes,
        core_outputs=(),  # those of its attributes, see `attribute_outputs` and `attribute_answer`
        has_size=False,
        more_inputs={
            "boxes": {"type": "float32", "shape": "(N, 4)", "meaning": "x1 y1 x2 y2 of each face in pixels of the picture"},
            "keypoints": {
                "type": "float32",
                "shape": "(N, 5, 2)",
                "meaning": "left eye, right eye, nose, left and right mouth corner; not a number where unknown: then the "
                "face fills its box",
            },
        },
        outputs={},
    ),
}
