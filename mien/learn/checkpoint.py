"""Checkpoints without pickle: one safetensors file, tensors as tensors and everything else as JSON in its header."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import CheckpointIO
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from mien.errors import ModelError
from mien.media.write import whole_file


def _flatten(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(value, torch.Tensor):
        key = f"t{len(tensors)}"
        tensors[key] = value.detach().cpu().contiguous().clone()
        return {"tensor": key}
    if isinstance(value, dict):
        return {"dict": [[_flatten(k, tensors), _flatten(v, tensors)] for k, v in value.items()]}
    if isinstance(value, list | tuple):
        return {"list" if isinstance(value, list) else "tuple": [_flatten(item, tensors) for item in value]}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a checkpoint holds tensors, numbers, text, lists and dictionaries; got {type(value).__name__}")


def _restore(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, inner),) = value.items()
    if kind == "tensor":
        return tensors[inner]
    if kind == "dict":
        return {_restore(k, tensors): _restore(v, tensors) for k, v in inner}
    items = [_restore(item, tensors) for item in inner]
    return items if kind == "list" else tuple(items)


def write_checkpoint(checkpoint: Any, path: Path) -> None:
    """Write aside, flush to disk, then rename: a crash leaves the old file or the new one, never half of either."""
    tensors: dict[str, torch.Tensor] = {}
    tree = json.dumps(_flatten(checkpoint, tensors))
    with whole_file(path) as file:
        file.write(save(tensors, metadata={"tree": tree}))


def read_checkpoint(path: Path) -> Any:
    """What `write_checkpoint` wrote. Raises `ModelError` for anything else."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  not a dictionary
            return _restore(json.loads(file.metadata()["tree"]), tensors)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{path}: expected a checkpoint written by mien, got: {error}; train afresh with --no-resume"
        ) from None


class SafeCheckpointIO(CheckpointIO):
    """Lightning's door to `write_checkpoint` and `read_checkpoint`."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        write_checkpoint(checkpoint, Path(path))

    def load_checkpoint(
        self, path: Any, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        checkpoint: dict[str, Any] = read_checkpoint(Path(path))
        return checkpoint

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)
