"""The steps that a model file does around its network, as ONNX text: `PREPARE` goes from the raw picture to the network's
input, the others from the network's decoded output to final answers in picture pixels.

Text form: https://github.com/onnx/onnx/blob/main/docs/Syntax.md
"""

from __future__ import annotations

from collections.abc import Mapping


def filled(text: str, values: Mapping[str, object]) -> str:
    """Steps whose blanks, words in capitals, are filled in."""
    for name, value in values.items():
        text = text.replace(name, str(value))
    return text


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
AS_IT_IS = (
    """  p_grey = Constant <value = uint8 {127}> ()
""",
    """  network_image = Cast <to = 1> (p_planes)
""",
)
LIFTED = (
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

MOST_VOTERS, VOTER_OVERLAP, SCORE_VOTERS = 1000, 0.6, 3
"""How many of the best cells vote on the faces that are kept; the IoU that a cell's box must have with the face's; and how
many of those cells, the surest, make its score.
"""

# Many cells find one face. What is told of it is not the surest cell's word but a vote of those whose boxes lie on it: box
# and keypoints are their mean by score and IoU (box voting: Gidaris and Komodakis 2015; blending: BlazeFace, Bazarevsky et
# al. 2019), the score is the mean of the three surest, so that a cell that nobody agrees with finds little.
FACES = """
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
  a_kept = Gather <axis = 0> (a_all_boxes, a_rows)
  a_kept_scores = Gather <axis = 0> (a_all_scores, a_rows)

  a_most = Constant <value = int64[1] {MOST_VOTERS}> ()
  a_cells = Shape(a_all_scores)
  a_many = Min(a_most, a_cells)
  a_votes, a_voters = TopK(a_all_scores, a_many)
  a_voting = Gather <axis = 0> (a_all_boxes, a_voters)
  a_kept_1 = Unsqueeze(a_kept, a_axis)
  a_ahead = Constant <value = int64[1] {0}> ()
  a_voting_1 = Unsqueeze(a_voting, a_ahead)
  a_ends = Constant <value = int64[2] {2, 2}> ()
  a_kept_from, a_kept_to = Split <axis = 2> (a_kept_1, a_ends)
  a_voting_from, a_voting_to = Split <axis = 2> (a_voting_1, a_ends)
  a_shared_from = Max(a_kept_from, a_voting_from)
  a_shared_to = Min(a_kept_to, a_voting_to)
  a_shared_any = Sub(a_shared_to, a_shared_from)
  a_shared_sides = Max(a_shared_any, a_nought)
  a_last = Constant <value = int64[1] {2}> ()
  a_shared = ReduceProd <keepdims = 0> (a_shared_sides, a_last)
  a_kept_sides = Sub(a_kept_to, a_kept_from)
  a_kept_area = ReduceProd <keepdims = 0> (a_kept_sides, a_last)
  a_voting_sides = Sub(a_voting_to, a_voting_from)
  a_voting_area = ReduceProd <keepdims = 0> (a_voting_sides, a_last)
  a_areas = Add(a_kept_area, a_voting_area)
  a_union_any = Sub(a_areas, a_shared)
  a_little = Constant <value_float = 1e-6> ()
  a_union = Max(a_union_any, a_little)
  a_overlap = Div(a_shared, a_union)
  a_least_overlap = Constant <value_float = VOTER_OVERLAP> ()
  a_is_voter = Greater(a_overlap, a_least_overlap)
  a_is_voter_f = Cast <to = 1> (a_is_voter)
  a_close = Mul(a_overlap, a_is_voter_f)
  a_weight = Mul(a_close, a_votes)
  a_own = Constant <value_float = 0.01> ()
  a_kept_column = Unsqueeze(a_kept_scores, a_axis)
  a_own_weight = Mul(a_kept_column, a_own)
  a_sum = ReduceSum(a_weight, a_axis)
  a_total = Add(a_sum, a_own_weight)
  a_share = Div(a_weight, a_total)
  a_own_share = Div(a_own_weight, a_total)
  a_box_votes = MatMul(a_share, a_voting)
  a_box_own = Mul(a_kept, a_own_share)
  a_mean_boxes = Add(a_box_votes, a_box_own)
  a_seen_boxes = Min(a_mean_boxes, a_far)
  a_flat = Constant <value = int64[2] {-1, 10}> ()
  a_flat_keypoints = Reshape(a_all_keypoints, a_flat)
  a_voting_keypoints = Gather <axis = 0> (a_flat_keypoints, a_voters)
  a_kept_keypoints = Gather <axis = 0> (a_flat_keypoints, a_rows)
  a_keypoint_votes = MatMul(a_share, a_voting_keypoints)
  a_keypoint_own = Mul(a_kept_keypoints, a_own_share)
  a_seen_keypoints = Add(a_keypoint_votes, a_keypoint_own)
  a_pairs = Constant <value = int64[3] {-1, 5, 2}> ()
  a_paired_keypoints = Reshape(a_seen_keypoints, a_pairs)

  a_said = Mul(a_is_voter_f, a_votes)
  a_few = Constant <value = int64[1] {SCORE_VOTERS}> ()
  a_fewest = Min(a_few, a_many)
  a_best_said, a_best_voters = TopK <axis = 1> (a_said, a_fewest)
  a_mean_said = ReduceMean <keepdims = 0> (a_best_said, a_axis)
  a_few_f = Constant <value_float = SCORE_VOTERS.0> ()
  a_own_said = Div(a_kept_scores, a_few_f)
  a_seen_scores = Max(a_mean_said, a_own_said)
  a_is_enough = GreaterOrEqual(a_seen_scores, min_score)
  a_enough_scores = Compress <axis = 0> (a_seen_scores, a_is_enough)
  a_enough_boxes = Compress <axis = 0> (a_seen_boxes, a_is_enough)
  a_enough_keypoints = Compress <axis = 0> (a_paired_keypoints, a_is_enough)
  a_count = Shape(a_enough_scores)
  scores, a_falling = TopK(a_enough_scores, a_count)
  boxes = Gather <axis = 0> (a_enough_boxes, a_falling)
  keypoints = Gather <axis = 0> (a_enough_keypoints, a_falling)
}
"""

MATTE = """
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


PREPARE_FACES = """
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

ATTRIBUTES = """
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
POINTS = """
  a_POINTS = Div(network_POINTS, seen_wh)
  a_axis_POINTS = Constant <value = int64[2] {0, WIDTH}> ()
  POINTS = Reshape(a_POINTS, a_axis_POINTS)
"""
SEEN_FACE = 200.0
"""A picture is shrunk until the box of its smallest face has this many pixels, so that nothing is lost between samples."""
