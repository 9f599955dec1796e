"""The page that tells how a run went."""

from __future__ import annotations

from pathlib import Path


def write_report(run: Path) -> Path:
    """Where the report of a run will be."""
    return run / "report.html"
