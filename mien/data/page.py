"""A page for people: one HTML file that holds its pictures and asks nobody for anything."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.media.write import encode, whole_file

_LONGEST_WORD = 24
"""Longer words may be broken anywhere, so that a file name does not widen the page."""
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #22242a; background: #fafaf8; max-width: 1320px;
  margin: 2em auto; padding: 0 1.5em }
h1 { font-size: 1.7em }
h2 { font-size: 1.2em; margin-top: 2em; border-bottom: 1px solid #ddd }
table { border-collapse: collapse; margin: .6em 0 }
th, td { text-align: left; padding: .25em 1em .25em 0; vertical-align: top; border-bottom: 1px solid #e6e6e2;
  max-width: 46em }
td.long { overflow-wrap: anywhere }
td.number { text-align: right; white-space: nowrap }
img { max-width: 100%; border: 1px solid #e0e0da }
.good { color: #1a7f4b; font-weight: 600 }
.bad { color: #b3261e; font-weight: 600 }
.note { color: #666 }
.row { display: flex; flex-wrap: wrap; gap: 12px; align-items: flex-start; margin: .8em 0 }
.figure { background: #fff; border: 1px solid #e0e0da; border-radius: 10px; padding: .7em 1.2em; min-width: 8em }
.figure b { display: block; font-size: 1.9em; line-height: 1.2; font-variant-numeric: tabular-nums }
.figure span { display: block }
.figure small { color: #666 }
.bar { background: #2ec4b6; height: .8em; display: inline-block; min-width: 1px }
"""


class Page:
    """An HTML page that is put together from top to bottom. All text is escaped."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._parts = [f"<h1>{escape(title)}</h1>"]

    def heading(self, text: str) -> None:
        self._parts.append(f"<h2>{escape(text)}</h2>")

    def text(self, text: str, *, kind: str = "") -> None:
        """A paragraph. kind: "good", "bad" or "note"."""
        self._parts.append(f'<p class="{escape(kind)}">{escape(text)}</p>')

    def table(self, head: Sequence[str], rows: Iterable[Sequence[object]], *, most: int = 200) -> None:
        """A table; of more than ``most`` rows the rest is counted."""
        rows = list(rows)
        lines = [f"<tr>{''.join(f'<th>{escape(name)}</th>' for name in head)}</tr>"]
        lines += [f"<tr>{''.join(_cell(value) for value in row)}</tr>" for row in rows[:most]]
        self._parts.append(f"<table>{''.join(lines)}</table>")
        if len(rows) > most:
            self.text(f"and {len(rows) - most} more", kind="note")

    def bars(self, head: Sequence[str], counts: Mapping[str, int]) -> None:
        """Counts as bars, the names at their left."""
        longest = max(counts.values(), default=0) or 1
        lines = [f"<tr>{''.join(f'<th>{escape(name)}</th>' for name in head)}</tr>"]
        for name, count in counts.items():
            bar = f'<span class="bar" style="width:{24 * count / longest:.2f}em"></span>'
            lines.append(f'<tr><td>{escape(name)}</td><td class="number">{count}</td><td>{bar}</td></tr>')
        self._parts.append(f"<table>{''.join(lines)}</table>")

    def picture(self, image: NDArray[np.uint8] | bytes, about: str) -> None:
        """A picture (H, W, 3) uint8 RGB, kept as JPEG, or the bytes of a PNG. about: for those who do not see it."""
        self._parts.append(f"<p>{_image(image, about)}</p>")

    def pictures(self, images: Iterable[tuple[NDArray[np.uint8] | bytes, str]]) -> None:
        """Pictures side by side as far as there is room, see `picture`."""
        if images := list(images):
            self._parts.append(f'<div class="row">{"".join(_image(image, about) for image, about in images)}</div>')

    def figures(self, values: Iterable[tuple[str, str, str]]) -> None:
        """Numbers to be seen first: what is large, what it is, and a line in small print."""
        cells = (
            f'<div class="figure"><b>{escape(value)}</b><span>{escape(name)}</span><small>{escape(note)}</small></div>'
            for value, name, note in values
        )
        self._parts.append(f'<div class="row">{"".join(cells)}</div>')

    def write(self, path: Path) -> Path:
        """Put the page into a file, whole or not at all."""
        policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
        head = f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">'
        head += f"<title>{escape(self._title)}</title><style>{_STYLE}</style>"
        html = f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>\n'
        with whole_file(path) as file:
            file.write(html.encode("utf-8", "replace"))
            for part in self._parts:
                file.write(part.encode("utf-8", "replace") + b"\n")
            file.write(b"</body></html>\n")
        return path


def _image(image: NDArray[np.uint8] | bytes, about: str) -> str:
    kind, data = ("png", image) if isinstance(image, bytes) else ("jpeg", encode(image, ".jpg", quality=85))
    return f'<img alt="{escape(about)}" src="data:image/{kind};base64,{base64.b64encode(data).decode()}">'


def _cell(value: object) -> str:
    if isinstance(value, int | float):
        return f'<td class="number">{value:g}</td>' if isinstance(value, float) else f'<td class="number">{value}</td>'
    text = str(value)
    is_long = any(len(word) > _LONGEST_WORD for word in text.split())
    return f'<td class="long">{escape(text)}</td>' if is_long else f"<td>{escape(text)}</td>"
