"""Presets as files: the twelve that come with mien, and people's own, TOML or JSON."""

from __future__ import annotations

import difflib
import json
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from mien.errors import InputError
from mien.filters.preset import Preset

_FOLDER = Path(__file__).parent / "presets"
_MOST_BYTES = 64_000


@cache
def shipped_presets() -> dict[str, Path]:
    """The presets that come with mien, by name."""
    return {path.stem: path for path in sorted(_FOLDER.glob("*.toml"))}


def load_preset(name_or_path: str | Path) -> Preset:
    """The preset of a shipped name or of a ``.toml`` or ``.json`` file.

    A background that names a picture beside the file is found there, wherever the program runs. Raises `InputError`.
    """
    known = shipped_presets()
    word = str(name_or_path).strip().lower()
    path = known.get(word, Path(name_or_path).expanduser())
    if word not in known and path.suffix.lower() not in (".toml", ".json"):
        near = difflib.get_close_matches(word, known, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise InputError(f"preset {str(name_or_path)!r}: expected one of {', '.join(known)}, or a .toml or .json file{hint}")
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(f"{path}: expected a preset of at most {_MOST_BYTES} bytes, got {path.stat().st_size}")
        text = path.read_text("utf-8")
        values: Any = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except OSError as error:
        raise InputError(f"{path}: the preset cannot be read ({error.strerror or error})") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: expected a preset in {path.suffix[1:].upper()}, got something else ({error})") from None
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected a table of values, got {type(values).__name__}")
    try:
        background = values.get("background")
        if isinstance(background, str) and Path(background).suffix and (path.parent / background).is_file():
            values["background"] = str((path.parent / background).resolve())
        return Preset.from_dict(values)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def save_preset(preset: Preset, path: str | Path) -> Path:
    """Write a preset as TOML or JSON, as the file's ending says, and give its path back. Raises `InputError`."""
    from mien.media.write import whole_file

    path = Path(path)
    values = preset.to_dict()
    if path.suffix.lower() == ".json":
        text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
    elif path.suffix.lower() == ".toml":
        text = _toml(values)
    else:
        raise InputError(f"{path}: expected a name that ends in .toml or .json, got {path.suffix or 'no ending'!r}")
    with whole_file(path) as file:
        file.write(text.encode())
    return path


def _toml(values: dict[str, Any]) -> str:
    """What a preset holds as TOML: plain values first, then a table each."""
    plain = [f"{key} = {_toml_value(value)}" for key, value in values.items() if not isinstance(value, dict)]
    tables = [
        "\n".join([f"\n[{key}]", *(f"{name} = {_toml_value(inner)}" for name, inner in value.items())])
        for key, value in values.items()
        if isinstance(value, dict)
    ]
    return "\n".join([*plain, *tables]) + "\n"


def _toml_value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml_value(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml_value, value)) + "]"
    # JSON's strings, numbers and booleans are TOML's, but for the escape of DEL, which TOML wants.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
