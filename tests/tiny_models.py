"""Small ONNX models for tests, whose right answers are plain to see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser
from onnx import ModelProto, numpy_helper

from mien.card import CARD_KEY, GOLDEN_KEY, GoldenVector, ModelCard, golden_to_json

WRITTEN_FACES = """
written (uint8[height, width, 3] image, float min_score, float max_overlap, int64 max_faces)
    => (float[faces, 4] boxes, float[faces] scores, float[faces, 5, 2] keypoints) {
  first = Constant <value = int64 {0}> ()
  row = Gather <axis = 0> (image, first)
  row_f = Cast <to = 1> (row)
  shape = Constant <value = int64[2] {-1, 6}> ()
  cells = Reshape(row_f, shape)
  from_0 = Constant <value = int64[1] {0}> ()
  from_4 = Constant <value = int64[1] {4}> ()
  to_5 = Constant <value = int64[1] {5}> ()
  axis_1 = Constant <value = int64[1] {1}> ()
  all_boxes = Slice(cells, from_0, from_4, axis_1)
  levels = Slice(cells, from_4, to_5, axis_1)
  most = Constant <value_float = 255.0> ()
  level = Div(levels, most)
  flat_shape = Constant <value = int64[3] {1, 1, -1}> ()
  flat = Reshape(level, flat_shape)
  lead = Constant <value = int64[1] {0}> ()
  batch = Unsqueeze(all_boxes, lead)
  picked = NonMaxSuppression(batch, flat, max_faces, max_overlap, min_score)
  column = Constant <value = int64 {2}> ()
  rows = Gather <axis = 1> (picked, column)
  boxes = Gather <axis = 0> (all_boxes, rows)
  list_shape = Constant <value = int64[1] {-1}> ()
  all_scores = Reshape(level, list_shape)
  scores = Gather <axis = 0> (all_scores, rows)
  corner_1 = Slice(boxes, from_0, two, axis_1)
  corner_2 = Slice(boxes, two, from_4, axis_1)
  two = Constant <value = int64[1] {2}> ()
  size = Sub(corner_2, corner_1)
  size_3 = Unsqueeze(size, axis_1)
  corner_3 = Unsqueeze(corner_1, axis_1)
  places = Constant <value = float[1, 5, 2] {0.7, 0.4, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.3, 0.8}> ()
  moved = Mul(size_3, places)
  keypoints = Add(corner_3, moved)
}
"""
"""Reads its "faces" off the first row of the picture: six values for each, x1 y1 x2 y2, 255 times the score, and nothing."""

BRIGHT_FACE = """
bright (uint8[height, width, 3] image, int64 long_side) => (float[1, 4] boxes, float[1] scores, float[1, 5, 2] keypoints) {
  shape = Shape(image)
  from_0 = Constant <value = int64[1] {0}> ()
  from_2 = Constant <value = int64[1] {2}> ()
  size_hw = Slice(shape, from_0, from_2)
  longest = ReduceMax <keepdims = 0> (size_hw)
  longest_f = Cast <to = 1> (longest)
  wanted_f = Cast <to = 1> (long_side)
  scale = Div(wanted_f, longest_f)
  size_f = Cast <to = 1> (size_hw)
  fitted_any = Mul(size_f, scale)
  fitted_f = Round(fitted_any)
  fitted = Cast <to = 7> (fitted_f)
  three = Constant <value = int64[1] {3}> ()
  sizes = Concat <axis = 0> (fitted, three)
  small = Resize <mode = "linear", antialias = 1, coordinate_transformation_mode = "half_pixel"> (image, , , sizes)
  small_f = Cast <to = 1> (small)
  red_at = Constant <value = int64 {0}> ()
  red = Gather <axis = 2> (small_f, red_at)
  level = Constant <value_float = 128.0> ()
  is_bright = Greater(red, level)
  places = NonZero(is_bright)
  rows_axis = Constant <value = int64[1] {1}> ()
  low = ReduceMin <keepdims = 0> (places, rows_axis)
  last = ReduceMax <keepdims = 0> (places, rows_axis)
  one = Constant <value = int64[1] {1}> ()
  high = Add(last, one)
  low_f = Cast <to = 1> (low)
  high_f = Cast <to = 1> (high)
  back = Div(size_f, fitted_f)
  near = Mul(low_f, back)
  far = Mul(high_f, back)
  order = Constant <value = int64[2] {1, 0}> ()
  near_xy = Gather(near, order)
  far_xy = Gather(far, order)
  box = Concat <axis = 0> (near_xy, far_xy)
  boxes = Unsqueeze(box, from_0)
  scores = Constant <value = float[1] {0.9}> ()
  sum = Add(near_xy, far_xy)
  half = Constant <value_float = 0.5> ()
  middle = Mul(sum, half)
  target = Constant <value = int64[3] {1, 5, 2}> ()
  keypoints = Expand(middle, target)
}
"""
"""Finds the one bright rectangle of a dark picture that it sees at ``long_side``; every keypoint is its middle."""

RED_MATTE = """
red (uint8[height, width, 3] image, int64 long_side) => (float[height, width] matte) {
  shape = Shape(image)
  from_0 = Constant <value = int64[1] {0}> ()
  from_2 = Constant <value = int64[1] {2}> ()
  size_hw = Slice(shape, from_0, from_2)
  longest = ReduceMax <keepdims = 0> (size_hw)
  least = Min(longest, long_side)
  longest_f = Cast <to = 1> (longest)
  wanted_f = Cast <to = 1> (least)
  scale = Div(wanted_f, longest_f)
  size_f = Cast <to = 1> (size_hw)
  fitted_any = Mul(size_f, scale)
  fitted_f = Round(fitted_any)
  fitted = Cast <to = 7> (fitted_f)
  red_at = Constant <value = int64 {0}> ()
  red = Gather <axis = 2> (image, red_at)
  red_f = Cast <to = 1> (red)
  most = Constant <value_float = 255.0> ()
  share = Div(red_f, most)
  small = Resize <mode = "linear", antialias = 1, coordinate_transformation_mode = "half_pixel"> (share, , , fitted)
  matte = Resize <mode = "linear", antialias = 1, coordinate_transformation_mode = "half_pixel"> (small, , , size_hw)
}
"""
"""Takes what is red for person; sees the picture at ``long_side`` at most."""

RED_HAT = """
hat (uint8[height, width, 3] image, float[faces, 4] boxes, float[faces, 5, 2] keypoints)
    => (float[faces, 2] hat, float[faces, 4] corners) {
  red_at = Constant <value = int64 {0}> ()
  red = Gather <axis = 2> (image, red_at)
  red_f = Cast <to = 1> (red)
  reddest = ReduceMax <keepdims = 0> (red_f)
  most = Constant <value_float = 255.0> ()
  level = Div(reddest, most)
  one = Constant <value_float = 1.0> ()
  rest = Sub(one, level)
  axis_0 = Constant <value = int64[1] {0}> ()
  level_1 = Unsqueeze(level, axis_0)
  rest_1 = Unsqueeze(rest, axis_0)
  both = Concat <axis = 0> (level_1, rest_1)
  shape = Shape(boxes)
  to_1 = Constant <value = int64[1] {1}> ()
  count = Slice(shape, axis_0, to_1)
  two = Constant <value = int64[1] {2}> ()
  target = Concat <axis = 0> (count, two)
  hat = Expand(both, target)
  corners = Identity(boxes)
}
"""
"""Its hat scores what the reddest pixel has, at least 0.5 (the grey around a face); its points are the box's corners."""

_SETTINGS: dict[str, Any] = {
    "long_side": np.int64(64),
    "min_score": np.float32(0.5),
    "max_overlap": np.float32(1.0),
    "max_faces": np.int64(100),
}


def card(task: str, **changes: Any) -> ModelCard:
    values: dict[str, Any] = {"name": f"tiny-{task}", "task": task, "version": "1.2.3", "summary": "For tests"}
    return ModelCard(**{**values, **changes})


def build(text: str) -> ModelProto:
    """The model; its scalar inputs get defaults, as the shipped models have them."""
    graph = onnx.parser.parse_graph(text)
    for entry in graph.input:
        if entry.name in _SETTINGS:
            graph.initializer.append(numpy_helper.from_array(np.asarray(_SETTINGS[entry.name]), entry.name))
    nodes = list(graph.node)
    constants = [node for node in nodes if node.op_type == "Constant"]
    del graph.node[:]
    graph.node.extend([*constants, *(node for node in nodes if node.op_type != "Constant")])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)


def save(path: Path, model: ModelProto, card: ModelCard | None = None, golden: list[GoldenVector] | None = None) -> Path:
    metadata = {} if card is None else {CARD_KEY: card.to_json()}
    if golden is not None:
        metadata[GOLDEN_KEY] = golden_to_json(golden)
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, metadata)
    path.write_bytes(model.SerializeToString())
    return path


def written(width: int, height: int, faces: list[tuple[int, int, int, int, float]]) -> np.ndarray:
    """A picture in which `WRITTEN_FACES` finds these: x1 y1 x2 y2 (up to 255) and score. ``width`` must be even."""
    image = np.zeros((height, width, 3), np.uint8)
    cells = np.zeros((width // 2, 6), np.uint8)
    for row, (*box, score) in enumerate(faces):
        cells[row] = [*box, round(score * 255), 0]
    image[0] = cells.reshape(width, 3)
    return image
