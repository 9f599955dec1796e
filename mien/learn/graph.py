"""What a model file does around its network, see `mien.learn.graph_steps`, and what it says of its inputs and outputs: one
entry a task.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor, nn

from mien.attributes import ATTRIBUTES, Attribute
from mien.learn import graph_steps as steps
from mien.learn.attribute_network import AttributeNetwork, expected_number, in_picture
from mien.learn.guided import blended, guided_blend
from mien.learn.networks import FaceNetwork, MatteNetwork
from mien.learn.picture_quality import picture_quality
from mien.learn.pose import head_pose, lift_of


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
    core_outputs: names of what it gives; those in ``places`` are in pixels. shown: what somebody sees of the core's input
    and answer, where it is not the answer itself. answer: the ONNX text of the steps after it. most_enlarged: how far a
    small picture is enlarged. least_light: mean of all pixels, 0 to 255, up to which a darker picture is brightened; 0 for
    never. pad_mode: of ONNX ``Pad``, what the picture is filled up with: grey, or its edge. outputs: what the file says of
    its outputs. has_size: whether the picture is brought to a size of ``long_side``.
    """

    core: type[nn.Module]
    core_outputs: tuple[str, ...]
    outputs: Mapping[str, Mapping[str, Any]]
    answer: str = ""
    prepare: str = steps.PREPARE
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
        light, network_image = steps.LIFTED if self.least_light else steps.AS_IT_IS
        text = steps.filled(self.prepare, {"LIGHT": light, "NETWORK_IMAGE": network_image})
        values = {"PAD_MODE": self.pad_mode, "LEAST_LIGHT": self.least_light, "MOST_GAIN": steps.MOST_GAIN}
        return steps.filled(text, {**values, "MULTIPLE": multiple, "MOST_ENLARGED": self.most_enlarged})

    def all_settings(self, long_side: int) -> dict[str, Setting]:
        """The settings of the task and of `graph_steps.PREPARE`."""
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
    blanks = {
        "POINT_INPUTS": "".join(f"float[faces, {one.points}, 2] network_{one.name}, " for one in told),
        "POINT_OUTPUTS": "".join(f"float[faces, {one.width}] {one.name}, " for one in told),
        "POINT_STEPS": "".join(steps.filled(steps.POINTS, {"POINTS": one.name, "WIDTH": one.width}) for one in told),
    }
    return steps.filled(steps.ATTRIBUTES, blanks)


GRAPHS: dict[str, TaskGraph] = {
    "faces": TaskGraph(
        core=_Faces,
        core_outputs=("cell_scores", "cell_boxes", "cell_keypoints"),
        places=("cell_boxes", "cell_keypoints"),
        answer=steps.filled(
            steps.FACES,
            {
                "MOST_VOTERS": steps.MOST_VOTERS,
                "VOTER_OVERLAP": steps.VOTER_OVERLAP,
                "SCORE_VOTERS": steps.SCORE_VOTERS,
            },
        ),
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
        answer=steps.MATTE,
        most_enlarged=16.0,
        pad_mode="edge",
        outputs={"matte": {"type": "float32", "shape": "(H, W)", "meaning": "share of person, 0 to 1, at picture size"}},
    ),
    "attributes": TaskGraph(
        prepare=steps.filled(steps.PREPARE_FACES, {"SEEN_FACE": steps.SEEN_FACE}),
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
