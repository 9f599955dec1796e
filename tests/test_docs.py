"""Every command and Python block of README and the how-to pages runs, in a fresh folder that holds only the samples."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from mien.models.store import shipped

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs").glob("*/*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.M | re.S)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")

needs_weights = pytest.mark.skipif(not {"faces", "matte"} <= set(shipped()), reason="the shipped models are not there yet")


def runnable() -> list[tuple[str, Path, str]]:
    pages = []
    for page in PAGES:
        blocks = [(kind, text) for kind, text in BLOCK.findall(page.read_text("utf-8")) if kind in ("bash", "python")]
        if blocks and page.parent.name != "decisions":
            pages.append((str(page.relative_to(ROOT)), page, json.dumps(blocks)))
    return pages


@needs_weights
@pytest.mark.parametrize(("name", "page", "blocks"), runnable(), ids=[name for name, _, _ in runnable()])
def test_what_a_page_tells_to_type_works(name: str, page: Path, blocks: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "samples", tmp_path / "samples")
    command = tmp_path / "bin" / "mien"
    command.parent.mkdir()
    command.write_text(f"#!{sys.executable}\nfrom mien.cli import main\nmain()\n")
    command.chmod(0o755)
    found = {"PATH": f"{command.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    program = ""  # the Python blocks of a page go on from one another
    for kind, text in json.loads(blocks):
        program += text if kind == "python" else ""
        words = ["bash", "-euc", text] if kind == "bash" else [sys.executable, "-c", program]
        done = subprocess.run(words, cwd=tmp_path, env={**os.environ, **found}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{name}:\n{text}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text("utf-8")):
        if not target.startswith(("http:", "https:")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_third_parties_names_every_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    told = (ROOT / "THIRD_PARTY.md").read_text("utf-8")
    for requirement in [
        *project["dependencies"],
        *project["optional-dependencies"]["train"],
        *project["optional-dependencies"]["serve"],
    ]:
        assert re.match(r"[\w-]+", requirement).group() in told


def test_this_version_is_in_the_changelog() -> None:
    assert "[Unreleased]" in (ROOT / "CHANGELOG.md").read_text("utf-8")
