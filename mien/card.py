"""What a model file says of itself: its card, and the golden vectors that prove it still answers as it did.

Both travel in the metadata of the ONNX file, as JSON under `CARD_KEY` and `GOLDEN_KEY`. The idea of the card is that of
Mitchell et al., "Model Cards for Model Reporting", 2019.
"""

from __future__ import annotations

import base64
import binascii
import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import ModelError

CARD_KEY = "mien.card"
GOLDEN_KEY = "mien.golden"
FORMAT = 1
"""The newest form of a card that this program reads."""

_MAX_GOLDEN_PIXELS = 4_000_000


@dataclass(frozen=True)
class ModelCard:
    """The card of one model.

    name, task ("faces", "matte", ...), version, summary: what it is, in one line each.
    licence: of the weights. intended_use: a sentence or two. known_failures: one sentence each.
    inputs, outputs: name to a description (``type``, ``shape``, ``meaning``, ``default`` where one exists).
    input_limits: ``min_side`` and ``max_side`` of a picture in pixels.
    thresholds: name to a score, at least ``default`` where the model scores things.
    attributes: for each attribute of a face ``name`` and ``answers`` or ``unit``.
    training: how it came about: ``recipe``, ``recipe_hash``, ``commit``, ``data_hash``, ``seed``, ``epochs``, ``hours``,
        ``torch``.
    data: for each training set ``name``, ``pictures``, ``terms``.
    scores: rows ``metric``, ``value``, ``low``, ``high`` (95 % interval), ``count``, ``slice`` ("all" for the whole set),
        ``data``, and ``better``: "higher", "lower", or "" for a number that is no score.
    created: ISO date. format: form of the card. extra: keys that this program does not know, kept as they came.

    Raises `ModelError` when a value has the wrong type.
    """

    name: str
    task: str
    version: str
    summary: str
    licence: str = "Apache-2.0"
    intended_use: str = ""
    known_failures: Sequence[str] = ()
    inputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    outputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    input_limits: Mapping[str, int] = field(default_factory=dict)
    thresholds: Mapping[str, float] = field(default_factory=dict)
    attributes: Sequence[Mapping[str, Any]] = ()
    training: Mapping[str, Any] = field(default_factory=dict)
    data: Sequence[Mapping[str, Any]] = ()
    scores: Sequence[Mapping[str, Any]] = ()
    created: str = ""
    format: int = FORMAT
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            kind, member = _KINDS[item.name]
            is_right = isinstance(value, kind) and not isinstance(value, bool)
            if is_right and member is not None:
                members = value.values() if isinstance(value, Mapping) else value
                is_right = all(isinstance(one, member) and not isinstance(one, bool) for one in members)
            if not is_right:
                raise ModelError(f"card: {item.name}: expected {_wanted(kind, member)}, got {str(value)[:60]!r}")
            if kind == _LIST:
                object.__setattr__(self, item.name, tuple(value))
        if self.format > FORMAT:
            raise ModelError(f"card: format {self.format} is newer than {FORMAT}, which this program reads; update mien")

    def to_json(self) -> str:
        """The card as one JSON object, unknown keys included. Raises `ModelError` when a number in it is not finite."""
        values = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "extra"}
        try:
            return json.dumps({**self.extra, **values}, ensure_ascii=False, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ModelError(f"card: expected values that JSON can hold: {error}") from None

    @classmethod
    def from_json(cls, text: str) -> ModelCard:
        """Read a card. Raises `ModelError` when it is no card, lacks a key that it must have, or is newer than `FORMAT`."""
        values = _parse(text, "card")
        if not isinstance(values, dict):
            raise ModelError(f"card: expected a JSON object, got {text[:40]!r}")
        version = values.get("format")
        if isinstance(version, int) and version > FORMAT:
            raise ModelError(f"card: format {version} is newer than {FORMAT}, which this program reads; update mien")
        needed = {"format"} | {item.name for item in fields(cls) if item.default is item.default_factory is MISSING}
        missing = sorted(needed - values.keys())
        if missing:
            raise ModelError(f"card: expected the keys {', '.join(sorted(needed))}; missing: {', '.join(missing)}")
        known = {item.name for item in fields(cls)} - {"extra"}
        return cls(
            **{name: value for name, value in values.items() if name in known},
            extra={name: value for name, value in values.items() if name not in known},
        )

    def to_markdown(self) -> str:
        """The card as a page: scores with their intervals, worst slice first, known failures, data with its terms."""
        parts = [f"# {_cell(self.name)} {_cell(self.version)}", _cell(self.summary)]
        facts = {"Task": self.task, "Licence": self.licence, "Created": self.created}
        facts |= {f"Threshold ({name})": f"{value:g}" for name, value in self.thresholds.items()}
        facts |= {name.replace("_", " ").capitalize() + " (px)": str(value) for name, value in self.input_limits.items()}
        parts.append(_table(("", ""), [(name, value) for name, value in facts.items() if value]))
        if self.intended_use:
            parts += ["## Intended use", _cell(self.intended_use)]
        if self.known_failures:
            parts += ["## Known failures", "\n".join(f"- {_cell(failure)}" for failure in self.known_failures)]
        parts += self._score_parts()
        if self.data:
            rows = [(one.get("name", ""), one.get("pictures", ""), one.get("terms", "")) for one in self.data]
            parts += ["## Training data", _table(("set", "pictures", "terms of the originals"), rows)]
        if self.attributes:
            answers = [", ".join(map(str, one.get("answers", ()))) or one.get("unit", "") for one in self.attributes]
            names = [one.get("name", "") for one in self.attributes]
            parts += ["## Attributes", _table(("name", "answers or unit"), list(zip(names, answers, strict=True)))]
        for title, entries in (("Input", self.inputs), ("Output", self.outputs)):
            if entries:
                columns = sorted({key for entry in entries.values() for key in entry}, key=_column_order)
                rows = [(name, *(entry.get(key, "") for key in columns)) for name, entry in entries.items()]
                parts += [f"## {title}", _table(("name", *columns), rows)]
        if self.training:
            parts += [
                "## Training",
                _table(("", ""), [(key.replace("_", " "), value) for key, value in self.training.items()]),
            ]
        return "\n\n".join(parts) + "\n"

    def _score_parts(self) -> list[str]:
        parts = []
        for data in dict.fromkeys(str(row.get("data", "")) for row in self.scores):
            rows = [row for row in self.scores if str(row.get("data", "")) == data]
            whole = [row for row in rows if row.get("slice", "all") == "all"]
            sliced = [row for row in rows if row.get("slice", "all") != "all"]
            parts.append("## Scores" + (f" on {_cell(data)}" if data else ""))
            if whole:
                head = ("metric", "value", "95 % interval", "count")
                parts.append(_table(head, [(_metric(row), *_numbers(row)) for row in whole]))
            if sliced:
                order = list(dict.fromkeys(row.get("metric") for row in rows))
                sliced.sort(key=lambda row: (order.index(row.get("metric")), _badness(row)))
                head_of_slices = ("metric", "slice, worst first", "value", "95 % interval", "count")
                parts.append(_table(head_of_slices, [(_metric(row), row["slice"], *_numbers(row)) for row in sliced]))
        return parts


_LIST = (list, tuple)
_KINDS: dict[str, tuple[Any, Any]] = {
    **dict.fromkeys(("name", "task", "version", "summary", "licence", "intended_use", "created"), (str, None)),
    **dict.fromkeys(("inputs", "outputs"), (Mapping, Mapping)),
    **dict.fromkeys(("training", "extra"), (Mapping, None)),
    **dict.fromkeys(("attributes", "data", "scores"), (_LIST, Mapping)),
    "known_failures": (_LIST, str),
    "input_limits": (Mapping, int),
    "thresholds": (Mapping, (int, float)),
    "format": (int, None),
}


def _wanted(kind: Any, member: Any) -> str:
    names = {str: "text", int: "a whole number", Mapping: "an object", _LIST: "a list", (int, float): "a number"}
    return names[kind] if member is None else f"{names[kind]} in which each value is {names[member]}"


def _parse(text: str, what: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{what}: expected JSON, got {text[:40]!r} ({error})") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _cell(value: object) -> str:
    """Text that a Markdown table shows as it is."""
    return " ".join(str(value).split()).replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(value) for value in line) + " |" for line in lines)


def _column_order(name: str) -> tuple[int, str]:
    known = ("type", "shape", "default", "meaning")
    return (known.index(name) if name in known else len(known), name)


def _metric(row: Mapping[str, Any]) -> str:
    arrow = {"higher": " ↑", "lower": " ↓"}.get(str(row.get("better", "higher")), "")
    return f"{row.get('metric', '')}{arrow}"


def _numbers(row: Mapping[str, Any]) -> tuple[str, str, str]:
    def shown(key: str) -> str:
        value = row.get(key)
        return f"{value:.3f}" if isinstance(value, int | float) else "-"

    has_interval = row.get("low") is not None and row.get("high") is not None
    return shown("value"), f"{shown('low')} to {shown('high')}" if has_interval else "-", str(row.get("count", "-"))


def _badness(row: Mapping[str, Any]) -> float:
    value = row.get("value")
    if not isinstance(value, int | float):
        return float("inf")
    return -float(value) if row.get("better") == "lower" else float(value)


@dataclass(frozen=True, eq=False)
class GoldenVector:
    """A picture and what the model answered when it was made.

    image: (H, W, 3) uint8 RGB. inputs: what else was fed, plain numbers or nested lists of them. outputs: name to a
    float32 array. tolerance: largest absolute difference allowed, for each output.
    """

    image: NDArray[np.uint8]
    outputs: Mapping[str, NDArray[np.float32]]
    tolerance: Mapping[str, float]
    inputs: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """``image_png`` (base64), ``inputs``, ``outputs`` and ``tolerance``, ready for JSON.

        Each output is an object with ``float32`` (base64, little endian) and ``shape``.
        """
        import cv2

        png = cv2.imencode(".png", self.image[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])[1]
        return {
            "image_png": base64.b64encode(png.tobytes()).decode(),
            "inputs": dict(self.inputs),
            "outputs": {
                name: {
                    "float32": base64.b64encode(np.asarray(value, "<f4").tobytes()).decode(),
                    "shape": list(np.shape(value)),
                }
                for name, value in self.outputs.items()
            },
            "tolerance": {name: float(value) for name, value in self.tolerance.items()},
        }

    @classmethod
    def from_dict(cls, values: Any) -> GoldenVector:
        """The reverse of `to_dict`; outputs may be nested lists too. Raises `ModelError`."""
        if not isinstance(values, dict) or not {"image_png", "outputs", "tolerance"} <= values.keys():
            raise ModelError("golden vector: expected an object with image_png, outputs and tolerance")
        try:
            outputs = {str(name): _output(value) for name, value in values["outputs"].items()}
            tolerance = {str(name): float(value) for name, value in values["tolerance"].items()}
            inputs = {str(name): value for name, value in (values.get("inputs") or {}).items()}
            image = _decode_png(base64.b64decode(values["image_png"], validate=True))
        except (AttributeError, TypeError, ValueError, KeyError, binascii.Error) as error:
            raise ModelError(f"golden vector: a value in it cannot be read ({error})") from None
        if set(tolerance) != set(outputs) or not all(_is_numeric(value) for value in inputs.values()):
            raise ModelError("golden vector: expected one tolerance for each output, and numbers as inputs")
        return cls(image, outputs, tolerance, inputs)


def _is_numeric(value: Any) -> bool:
    """A number, or lists of numbers of one shape."""
    try:
        return bool(np.asarray(value).dtype.kind in "if")
    except ValueError:
        return False


def _output(value: Any) -> NDArray[np.float32]:
    if isinstance(value, dict):
        return np.frombuffer(base64.b64decode(value["float32"], validate=True), "<f4").reshape(value["shape"])
    return np.asarray(value, np.float32)


def _decode_png(data: bytes) -> NDArray[np.uint8]:
    import cv2

    is_png = data[:8] == b"\x89PNG\r\n\x1a\n" and len(data) > 24
    width, height = struct.unpack(">II", data[16:24]) if is_png else (0, 0)
    if not 0 < width * height <= _MAX_GOLDEN_PIXELS:
        raise ModelError(f"golden vector: expected a PNG of at most {_MAX_GOLDEN_PIXELS} pixels, got {width} x {height}")
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ModelError("golden vector: its PNG is damaged")
    return np.ascontiguousarray(image[..., ::-1])


def golden_to_json(vectors: Iterable[GoldenVector]) -> str:
    """The text for `GOLDEN_KEY`."""
    return json.dumps([vector.to_dict() for vector in vectors], allow_nan=False)


def read_card(metadata: Mapping[str, str], where: str) -> ModelCard:
    """The card in the metadata of a model file (``session.get_modelmeta().custom_metadata_map``).

    where: the file, for messages. Raises `ModelError` when there is no card or it cannot be read.
    """
    if CARD_KEY not in metadata:
        raise ModelError(
            f"{where}: expected a model with a card ({CARD_KEY} in its metadata), found none; export it with mien"
        )
    try:
        return ModelCard.from_json(metadata[CARD_KEY])
    except ModelError as error:
        raise ModelError(f"{where}: {error}") from None


def read_golden(metadata: Mapping[str, str], where: str) -> list[GoldenVector]:
    """The golden vectors in the metadata of a model file, none where it has none. Raises `ModelError`."""
    try:
        values = _parse(metadata.get(GOLDEN_KEY, "[]"), "golden vectors")
        if not isinstance(values, list):
            raise ModelError("golden vectors: expected a JSON list")
        return [GoldenVector.from_dict(value) for value in values]
    except ModelError as error:
        raise ModelError(f"{where}: {error}") from None
