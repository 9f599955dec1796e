"""Reading an ONNX file without running it: what it declares, and whether it points at other files.

Only the parts of the protocol buffer that are needed are looked at (https://protobuf.dev/programming-guides/encoding/ and
onnx.proto3). Weights in other files are refused because onnxruntime resolves their paths itself, against the working
directory when a model comes as bytes, so that a model could read any file there.
"""

from __future__ import annotations

import hashlib
import stat
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mien.card import GoldenVector, ModelCard, read_card, read_golden
from mien.errors import ModelError

MAX_BYTES = 512_000_000
"""The largest model file that is read."""

_MAX_FIELDS = 2_000_000

_CHILDREN: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
"""Where a tensor can be: for each message the field numbers that lead to one."""

_FLOAT, _INT64 = 1, 7


@dataclass(frozen=True, eq=False)
class OnnxFile:
    """An ONNX file that holds all of its weights.

    content: its bytes. sha256: of them, in hexadecimal. metadata: its key and value texts.
    settings: the scalar inputs that have a default, and that default.
    """

    path: Path
    content: bytes
    sha256: str
    metadata: Mapping[str, str]
    settings: Mapping[str, float]

    @cached_property
    def card(self) -> ModelCard:
        """What the model says of itself. Raises `ModelError` where it has no card."""
        return read_card(self.metadata, str(self.path))

    @cached_property
    def golden(self) -> list[GoldenVector]:
        """Pictures with the answers that the model must give; may be empty. Raises `ModelError` when one cannot be read."""
        return read_golden(self.metadata, str(self.path))


def read_onnx(path: str | Path, *, max_bytes: int = MAX_BYTES, sha256: str | None = None) -> OnnxFile:
    """Read and look through a model file. ``sha256``: what that of the file must be.

    Raises `ModelError` when it is not there, larger than ``max_bytes``, altered, no ONNX file, or keeps weights elsewhere.
    """
    path = Path(path)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ModelError(f"{path}: expected an ONNX file, got something that is no file")
        if status.st_size > max_bytes:
            raise ModelError(f"{path}: expected at most {max_bytes / 1e6:g} MB, got {status.st_size / 1e6:.1f} MB")
        content = path.read_bytes()
    except FileNotFoundError:
        raise ModelError(f"{path}: no such model file") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: the model file cannot be read ({getattr(error, 'strerror', None) or error})") from None
    found = hashlib.sha256(content).hexdigest()
    if sha256 is not None and found != sha256:
        raise ModelError(
            f"{path}: expected SHA-256 {sha256[:12]}..., got {found[:12]}...; the file was altered, get it again"
        )
    try:
        return OnnxFile(path, content, found, *_look_through(memoryview(content)))
    except (IndexError, struct.error, ValueError) as error:
        raise ModelError(f"{path}: expected an ONNX file, got a damaged or another kind of file ({error})") from None
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Field number and value of each field: a number, or the bytes of a text, list or inner message."""
    at, end = 0, len(message)
    while at < end:
        tag, at = _varint(message, at)
        kind = tag & 7
        if tag >> 3 == 0:
            raise ValueError("field number 0")
        if kind == 0:
            value, at = _varint(message, at)
            yield tag >> 3, value
            continue
        if kind == 2:
            size, at = _varint(message, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f"wire type {kind}")
        if at + size > end:
            raise ValueError("cut short")
        yield tag >> 3, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(message) or shift > 63:
            raise ValueError("cut short")
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _look_through(model: memoryview) -> tuple[dict[str, str], dict[str, float]]:
    """Metadata and settings of a model, after a walk over every tensor in it."""
    pairs, has_version, graph = [], False, None
    for number, value in _fields(model):
        has_version |= number == 1 and isinstance(value, int) and value > 0
        if number == 14:
            pairs.append(_message(value))
        elif number == 7:
            graph = _message(value)
    if not has_version or graph is None:
        raise ValueError("no IR version or no graph in it")
    _refuse_external_data(model)
    metadata = {}
    for pair in pairs:
        entry = dict(_fields(pair))
        metadata[_text(entry.get(1))] = _text(entry.get(2))
    return metadata, _settings(graph)


def _message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a number where a message belongs")
    return value


def _text(value: int | memoryview | None) -> str:
    return "" if value is None else bytes(_message(value)).decode("utf-8", "replace")


def _refuse_external_data(model: memoryview) -> None:
    open_messages, seen = [("model", model)], 0
    while open_messages:
        kind, message = open_messages.pop()
        children = _CHILDREN[kind]
        for number, value in _fields(message):
            seen += 1
            if seen > _MAX_FIELDS:
                raise ModelError(f"expected at most {_MAX_FIELDS} entries in a model")
            if number in children:
                open_messages.append((children[number], _message(value)))
            elif kind == "tensor" and (number == 13 or (number == 14 and value != 0)):
                raise ModelError(
                    "expected all weights inside the file, got weights in another file; export with external_data=False"
                )


def _settings(graph: memoryview) -> dict[str, float]:
    inputs = {_text(dict(_fields(_message(value))).get(1)) for number, value in _fields(graph) if number == 11}
    settings = {}
    for number, value in _fields(graph):
        if number != 5:
            continue
        tensor: dict[int, int | memoryview] = dict(_fields(_message(value)))
        name = _text(tensor.get(8))
        if name in inputs and 1 not in tensor:
            default = _scalar(tensor)
            if default is not None:
                settings[name] = default
    return settings


def _scalar(tensor: Mapping[int, int | memoryview]) -> float | None:
    """The value of a tensor without dimensions; None for other types than float and int64."""
    if tensor.get(2) == _FLOAT:
        return float(struct.unpack("<f", _message(tensor.get(9, tensor.get(4, 0))))[0])
    if tensor.get(2) != _INT64:
        return None
    if 9 in tensor:
        return int(struct.unpack("<q", _message(tensor[9]))[0])
    packed = tensor.get(7, 0)
    value = packed if isinstance(packed, int) else _varint(packed, 0)[0]
    return value - (1 << 64) if value >> 63 else value
