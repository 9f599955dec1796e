"""The command line: parse, call one function, print. One module for each group of commands."""

from __future__ import annotations

import logging
import sys

from mien.cli import analyze, data, filter, label, learn, models, walk  # each adds its commands, in the order of the help
from mien.cli.app import app
from mien.cli.report import complain
from mien.errors import MienError

_EXTRAS = {
    **dict.fromkeys(("albumentations", "lightning", "matplotlib", "onnx", "onnxscript"), "train"),
    **dict.fromkeys(("pyarrow", "safetensors", "tensorboard", "torch"), "train"),
    **dict.fromkeys(("fastapi", "prometheus_client", "uvicorn", "websockets"), "serve"),
    "ray": "scale",
}

__all__ = ["analyze", "app", "data", "filter", "label", "learn", "main", "models", "walk"]


def main() -> None:
    """Run the command line. Exit code 0: done; 1: a fault in mien; 2: wrong input, with one line that says what."""
    try:
        app()
    except MienError as error:
        complain(str(error))
        sys.exit(2)
    except Exception as error:  # the border of the command line
        missing = error.name if isinstance(error, ModuleNotFoundError) and error.name else ""
        if (extra := _EXTRAS.get(missing.split(".")[0])) is not None:
            complain(f"this needs {missing}, which is not installed: pip install 'mien[{extra}]'")
            sys.exit(2)
        logging.getLogger("mien").exception("unexpected")
        complain(f"a fault in mien, not in your input ({type(error).__name__}: {error}); please report the lines above")
        sys.exit(1)
