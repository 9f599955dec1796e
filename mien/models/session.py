"""The only place that makes an onnxruntime session."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import InputError, ModelError
from mien.models.onnx_file import MAX_BYTES, OnnxFile, read_onnx

_DEVICES = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "openvino": "OpenVINOExecutionProvider"}
_REMOTE = "AzureExecutionProvider"
_DTYPES: dict[str, np.dtype[Any]] = {
    "tensor(uint8)": np.dtype(np.uint8),
    "tensor(float)": np.dtype(np.float32),
    "tensor(double)": np.dtype(np.float64),
    "tensor(int32)": np.dtype(np.int32),
    "tensor(int64)": np.dtype(np.int64),
    "tensor(bool)": np.dtype(np.bool_),
}


class ModelSession:
    """A model file, ready to run: stateless, so that any number of threads may share it.

    path: an ONNX file with all its weights inside.
    device: ``cpu``, ``cuda``, ``openvino``, or the name of an onnxruntime provider (``...ExecutionProvider``).
    threads: threads that one call may use. On a loaded machine several workers with one thread each are faster.
    max_bytes, sha256: see `read_onnx`.

    Raises `ModelError` when the file cannot be used (see `read_onnx`; or too new for this onnxruntime) and `InputError` when
    the device is not there: it never runs on another one in silence.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        device: str = "cpu",
        threads: int = 1,
        max_bytes: int = MAX_BYTES,
        sha256: str | None = None,
    ) -> None:
        if not isinstance(threads, int) or isinstance(threads, bool) or threads < 1:
            raise InputError(f"threads: expected a whole number from 1, got {threads!r}")
        self.provider = _provider(device)
        self.file: OnnxFile = read_onnx(path, max_bytes=max_bytes, sha256=sha256)
        self._session = _open(self.file, self.provider, device, threads)
        try:
            needed = {one.name: one.type for one in self._session.get_inputs()}
            optional = {one.name: one.type for one in self._session.get_overridable_initializers()}
            outputs = tuple(one.name for one in self._session.get_outputs())
        except UnicodeDecodeError:
            raise ModelError(f"{self.file.path}: expected names in UTF-8, got other bytes; the file is damaged") from None
        self.input_names: tuple[str, ...] = tuple(needed)
        """What must be fed."""
        self.output_names: tuple[str, ...] = outputs
        self._types: dict[str, str] = needed | optional

    @property
    def sha256(self) -> str:
        """SHA-256 of the model file, in hexadecimal."""
        return self.file.sha256

    @property
    def settings(self) -> Mapping[str, float]:
        """What may be fed beside the inputs, and what it is when it is not."""
        return self.file.settings

    def run(self, feeds: Mapping[str, NDArray[Any] | float | list[Any]]) -> dict[str, NDArray[Any]]:
        """Answers by output name. Plain numbers, and lists of them, are fed as the type that the model declares.

        Raises `InputError` when an input is missing, unknown or of another type or shape, `ModelError` when the model fails.
        """
        unknown, missing = set(feeds) - set(self._types), set(self.input_names) - set(feeds)
        if unknown or missing:
            got = f"unknown {', '.join(sorted(unknown))}" if unknown else f"no {', '.join(sorted(missing))}"
            raise InputError(f"{self.file.path}: expected {', '.join(self._types)}; got {got}")
        arrays = {name: self._array(name, value) for name, value in feeds.items()}
        try:
            answers = self._session.run(None, arrays)
        except _onnxruntime_errors() as error:
            raise _run_error(self.file.path, error) from None
        return dict(zip(self.output_names, answers, strict=True))

    def _array(self, name: str, value: NDArray[Any] | float | list[Any]) -> NDArray[Any]:
        wanted = _DTYPES.get(self._types[name])
        array: NDArray[Any] = np.asarray(value)
        if isinstance(value, int | float | list) and wanted is not None:
            array = array.astype(wanted)
        if wanted is not None and array.dtype != wanted:
            raise InputError(f"{name}: expected {wanted}, got {array.dtype}")
        return array


def _provider(device: str) -> str:
    import onnxruntime

    wanted = _DEVICES.get(device, device)
    present = [name for name in onnxruntime.get_available_providers() if name != _REMOTE]
    if wanted not in present:
        short = {provider: name for name, provider in _DEVICES.items()}
        names = ", ".join(short.get(provider, provider) for provider in present)
        raise InputError(f"device: {device!r} is not there; this onnxruntime offers: {names}")
    return wanted


def _open(file: OnnxFile, provider: str, device: str, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.enable_mem_pattern = False  # a pattern is kept for each picture size ever seen
    options.add_session_config_entry("session.load_model_format", "ONNX")
    providers = list(dict.fromkeys((provider, _DEVICES["cpu"])))
    try:
        session = onnxruntime.InferenceSession(file.content, options, providers=providers, enable_fallback=0)
    except _onnxruntime_errors() as error:
        raise ModelError(f"{file.path}: onnxruntime {onnxruntime.__version__} cannot load it: {_one_line(error)}") from None
    used = session.get_providers()[0]
    if used != provider:
        raise InputError(f"device: {device!r} could not be started, onnxruntime fell back to {used}; check its driver")
    return session


def _onnxruntime_errors() -> tuple[type[Exception], ...]:
    """What onnxruntime raises; its exceptions share no base."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    own = [kind for kind in vars(state).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    return (*own, RuntimeError, ValueError)


def _run_error(path: Path, error: Exception) -> InputError | ModelError:
    kind = InputError if type(error).__name__ == "InvalidArgument" else ModelError
    return kind(f"{path}: onnxruntime cannot run it on this input: {_one_line(error)}")


def _one_line(error: Exception) -> str:
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", " ".join(str(error).split()))
    return text if len(text) <= 240 else text[:237] + "..."
