"""Writing measured tables into documents, between marks, so that no figure is typed by hand."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def put(name: str, text: str, *files: str) -> None:
    """Replace what stands between ``<!-- NAME -->`` and ``<!-- /NAME -->`` in these files of the repository."""
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    for file in files:
        path = ROOT / file
        old = path.read_text("utf-8")
        before, rest = old.split(start, 1)
        after = rest.split(end, 1)[1]
        part = path.with_name(f"{path.name}.part")
        part.write_text(f"{before}{start}\n{text}\n{end}{after}", "utf-8")
        part.replace(path)


def machine() -> str:
    """The processor, as figures of speed need it said."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0] if names else model
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}"
