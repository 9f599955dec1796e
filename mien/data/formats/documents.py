"""JSON, XML, YAML and CSV of label files as plain values, with the lines they stand in. Hostile files give a `DataError`."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from mien.data.formats.source import SourceFolder
from mien.errors import DataError

_MAX_DEPTH = 60
_KEPT = 3
_MAX_YAML_BYTES = 200_000
_NESTING = {"[": 1, "{": 1, "]": -1, "}": -1}
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def read_json(source: SourceFolder, path: Path) -> Any:
    """What a JSON file holds; the last few are kept, since each format has a look. Raises `DataError` naming the line."""
    if path not in source.recent:
        value = _parse_json(source.load_text(path), path)
        source.recent[path] = value
        for old in list(source.recent)[:-_KEPT]:
            del source.recent[old]
    return source.recent[path]


def _parse_json(text: str, path: Path) -> Any:
    def refuse(word: str) -> None:
        raise ValueError(f"{word} is no JSON number")

    try:
        return json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}:{error.lineno}: expected JSON, got a fault at column {error.colno} ({error.msg.lower()})"
        ) from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: expected JSON, got: {str(error)[:80]}") from None


def read_yaml(source: SourceFolder, path: Path) -> Any:
    """What a YAML file holds, every scalar as text. Raises `DataError` naming the line."""
    import yaml

    text = source.load_text(path)
    if len(text) > _MAX_YAML_BYTES:
        raise DataError(f"{path}: expected at most {_MAX_YAML_BYTES / 1e6:g} MB of YAML, got {len(text) / 1e6:.1f}")
    # PyYAML needs time in the square of how deep lists are nested.
    if max(itertools.accumulate(_NESTING.get(letter, 0) for letter in text), default=0) > _MAX_DEPTH:
        raise DataError(f"{path}: expected YAML of at most {_MAX_DEPTH} levels, got more")
    try:
        return yaml.load(text, yaml.BaseLoader)  # noqa: S506  the base loader makes nothing but text, lists and dictionaries
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise DataError(f"{path}:{line}: expected YAML, got: {error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: expected YAML, got: {str(error).splitlines()[0][:80]}") from None


def read_csv(source: SourceFolder, path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line and cells by column of each row of a CSV file with a head. Raises `DataError` naming the line."""
    reader = csv.reader(io.StringIO(source.load_text(path), newline=""), strict=True)
    try:
        head = [name.strip() for name in next(reader, [])]
        if not any(head) or len(set(head)) != len(head):
            raise DataError(f"{path}:1: expected different column names, got {','.join(head)[:80]!r}")
        for cells in reader:
            if len(cells) == len(head):
                yield reader.line_num, dict(zip(head, (cell.strip() for cell in cells), strict=True))
            elif cells:
                raise DataError(f"{path}:{reader.line_num}: expected {len(head)} cells as in the head, got {len(cells)}")
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: expected CSV, got: {error}") from None


def first_lines(path: Path, count: int) -> list[str]:
    """The first lines of a text file, to tell formats apart; none of what is no plain file."""
    if not path.is_file():
        return []
    with path.open("rb") as file:
        return file.read(200_000).decode("utf-8-sig", "ignore").splitlines()[:count]


@dataclass(eq=False)
class Node:
    """An XML element: attributes, children, the text in it, and its line."""

    tag: str
    line: int
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Node] = field(default_factory=list)
    text: str = ""

    def all(self, tag: str) -> list[Node]:
        """The children of that tag."""
        return [child for child in self.children if child.tag == tag]

    def first(self, *tags: str) -> Node | None:
        """The first node down a path of tags, None where there is none."""
        node: Node | None = self
        for tag in tags:
            node = next((child for child in node.children if child.tag == tag), None) if node is not None else None
        return node

    def text_of(self, *tags: str) -> str:
        """The text of the first node down a path of tags, empty where there is none."""
        node = self.first(*tags)
        return node.text.strip() if node is not None else ""


def read_xml(source: SourceFolder, path: Path) -> Node:
    """The root of an XML file. Raises `DataError` naming the line; also for a document type, and so for any entity."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    top = Node("", 0)
    stack = [top]

    def start(tag: str, attributes: dict[str, str]) -> None:
        if len(stack) > _MAX_DEPTH:
            raise DataError(f"{path}:{parser.CurrentLineNumber}: expected XML of at most {_MAX_DEPTH} levels, got more")
        node = Node(tag, parser.CurrentLineNumber, attributes)
        stack[-1].children.append(node)
        stack.append(node)

    def text(data: str) -> None:
        stack[-1].text += data

    def refuse(*_: Any) -> None:
        raise DataError(f"{path}:{parser.CurrentLineNumber}: expected XML without a document type, got one; delete it")

    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: stack.pop()
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(source.load(path), True)
    except expat.ExpatError as error:
        raise DataError(f"{path}:{error.lineno}: expected XML, got: {expat.ErrorString(error.code)}") from None
    except (ValueError, LookupError) as error:  # an encoding that Python does not know
        raise DataError(f"{path}: expected XML, got: {error}") from None
    return top.children[0]


def element(tag: str, *children: str, text: object = "", **attributes: object) -> str:
    """An XML element as text, its children indented. Raises `DataError` for a character that XML cannot hold."""
    head = tag + "".join(f" {name}={quoteattr(_xml_text(value))}" for name, value in attributes.items())
    if not children:
        return f"<{head}>{escape(_xml_text(text), {chr(10): '&#10;'})}</{tag}>"
    inner = "\n".join("  " + line for child in children for line in child.split("\n"))
    return f"<{head}>\n{inner}\n</{tag}>"


def _xml_text(value: object) -> str:
    text = str(value)
    if (found := _NOT_XML.search(text)) is not None:
        raise DataError(f"expected text that XML can hold, got {found.group()!r} in {text[:60]!r}; rename it")
    return text
