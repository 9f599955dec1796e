"""The shape of the package: who may import whom, and what no file may do."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import mien

PACKAGE = Path(mien.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

# A part imports only from parts further left, and from itself.
ORDER = (
    *("errors", "types", "geometry"),
    *("attributes", "card", "metrics", "track", "draw"),
    *("media", "models", "filters"),
    *("prediction", "pipeline", "predictor", "data", "learn"),
    *("scale", "serve"),
    *("cli", "__main__"),
)
NEVER = {("data", "pipeline"), ("learn", "pipeline"), ("scale", "learn"), ("serve", "learn")}
ONLY_IN = {
    "torch": {"learn"},
    "lightning": {"learn"},
    "onnxruntime": {"models"},
    "onnx": {"learn"},
    "onnxscript": {"learn"},
    "ray": {"scale"},
    "fastapi": {"serve"},
    "uvicorn": {"serve"},
    "typer": {"cli"},
    "rich": {"cli"},
    "pickle": set(),
    "marshal": set(),
    "shelve": set(),
}
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "core", "base", "manager"}
MAX_LINES = 400
BORDERS = {"cli/__init__.py", "pipeline.py"}


def part(file: Path) -> str:
    """The part of the package that a file belongs to; empty for ``mien/__init__.py``."""
    first = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return "" if first == "__init__" else first


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and full name of everything that is imported, inside functions and type-checking blocks as well."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports say the whole name"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def faults(file: Path) -> Iterator[str]:
    """What in a file's imports breaks the order."""
    own = part(file)
    for line, name in imports(ast.parse(file.read_text("utf-8"))):
        where = f"{file.relative_to(PACKAGE.parent)}:{line} imports {name}"
        top, *rest = name.split(".")
        if top != "mien":
            if top in ONLY_IN and own not in ONLY_IN[top]:
                yield f"{where}: only {sorted(ONLY_IN[top])} may"
        elif own and rest[0] != own and rest[0] != "__version__":
            if rest[0] not in ORDER:
                yield f"{where}: not a part of the package"
            elif ORDER.index(rest[0]) > ORDER.index(own) or (own, rest[0]) in NEVER:
                yield f"{where}: {own} may not import {rest[0]}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_point_one_way(file: Path) -> None:
    assert not part(file) or part(file) in ORDER, "a new part has a place in the order"
    assert not list(faults(file))


@pytest.mark.parametrize(
    ("place", "text", "is_allowed"),
    [
        ("media/read.py", "from mien.types import Frame", True),
        ("media/read.py", "from mien.media.write import write", True),
        ("media/read.py", "def f():\n    from mien.models.store import shipped", False),
        ("pipeline.py", "import mien.learn.trainer", False),
        ("pipeline.py", "from mien import learn", False),
        ("draw.py", "def f():\n    import torch", False),
        ("filters/preset.py", "import onnxruntime as ort", False),
        ("models/session.py", "import onnxruntime", True),
        ("learn/export.py", "import onnxruntime", False),
        ("learn/trainer.py", "import torch.nn", True),
        ("cli/app.py", "from mien import __version__", True),
        ("serve/app.py", "from mien.learn.trainer import train", False),
        ("media/read.py", "import pickle", False),
    ],
)
def test_the_check_of_imports_finds_what_it_should(
    place: str, text: str, is_allowed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path / "mien")
    file = tmp_path / "mien" / place
    file.parent.mkdir(parents=True)
    file.write_text(text)
    assert (not list(faults(file))) == is_allowed


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_house_rules(file: Path) -> None:
    text = file.read_text("utf-8")
    nodes = list(ast.walk(ast.parse(text)))
    asserts = [node.lineno for node in nodes if isinstance(node, ast.Assert)]
    assert not asserts, f"assert vanishes under python -O, raise an error: lines {asserts}"
    assert file.stem not in FORBIDDEN_NAMES
    assert len(text.splitlines()) <= MAX_LINES
    if file.relative_to(PACKAGE).as_posix() not in BORDERS:
        broad = [node for node in nodes if isinstance(node, ast.ExceptHandler) and _is_broad(node)]
        assert not broad, f"everything is caught only at the borders: lines {[node.lineno for node in broad]}"


def _is_broad(handler: ast.ExceptHandler) -> bool:
    return handler.type is None or ast.unparse(handler.type) in ("Exception", "BaseException")


def run_python(code: str) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=PACKAGE.parent, timeout=60).stdout.strip()


def test_importing_mien_is_quick_and_light() -> None:
    code = "import sys, time; start = time.process_time(); import mien; print(time.process_time() - start, *sys.modules)"
    runs = [run_python(code).split() for _ in range(3)]
    assert min(float(run[0]) for run in runs) < 0.2
    heavy = {"torch", "fastapi", "starlette", "onnxruntime", "cv2", "PIL", "numpy", "typer", "pydantic"}
    assert not heavy & {name.split(".")[0] for name in runs[0][1:]}


def test_running_needs_neither_torch_nor_a_web_framework() -> None:
    code = "import sys, mien.cli, mien.pipeline, mien.draw, mien.models.faces, mien.filters.preset; print(*sys.modules)"
    loaded = {name.split(".")[0] for name in run_python(code).split()}
    assert not {"torch", "lightning", "onnx", "fastapi", "starlette", "ray"} & loaded


def test_public_names() -> None:
    assert len(mien.__all__) <= 20
    assert dir(mien) == sorted(mien.__all__)
    for name in mien.__all__:
        value = getattr(mien, name)
        # The value is what its module says, not a module of the same name.
        assert not isinstance(value, type(mien)), name
    with pytest.raises(AttributeError, match="module 'mien' has no attribute 'analyse'"):
        mien.analyse  # noqa: B018


def test_public_names_survive_loading_every_module() -> None:
    code = (
        "import mien, mien.cli, mien.pipeline, mien.draw, mien.media.read, mien.media.write, mien.filters.preset;"
        "print(*(type(getattr(mien, name)).__name__ for name in mien.__all__))"
    )
    assert "module" not in run_python(code).split()
