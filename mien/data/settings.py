"""What a project is about: its task and its names, kept in ``mien.toml``."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien.attributes import ATTRIBUTES, Attribute, mirrored_name
from mien.errors import DataError, InputError
from mien.media.write import whole_file
from mien.types import KEYPOINT_NAMES

TASKS = ("attribute", "boxes", "keypoints")
FORMAT = 1
"""Version of the layout of a project folder."""

_LONGEST_NAME = 64


@dataclass(frozen=True)
class ProjectSettings:
    """What ``mien.toml`` says.

    name: of the project. task: one of `TASKS`. attribute: the question asked about each face, of the task ``attribute``.
    classes: its answers; none for an attribute whose answer is a number. keypoints: the points of each face, by name.

    Raises `DataError` for settings that do not fit together.
    """

    name: str
    task: str = "attribute"
    attribute: str = ""
    classes: tuple[str, ...] = ()
    keypoints: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            known = [name for name, entry in ATTRIBUTES.items() if entry.answers or (entry.unit and not entry.parts)]
            raise DataError(
                f"task: expected one of {', '.join(TASKS)}, or a question that mien knows ({', '.join(known)}), got "
                f"{self.task!r}; for one of your own: --attribute {self.task} --classes ONE,TWO"
            )
        for kind, names in (("attribute", (self.attribute,)), ("class", self.classes), ("keypoint", self.keypoints)):
            for name in names:
                if name or kind != "attribute":
                    check_name(name, kind)
            if len(set(names)) != len(names):
                raise DataError(f"{kind}: expected different names, got {', '.join(names)}")
        if self.task == "attribute":
            if not self.attribute:
                raise DataError("attribute: expected the name of what is asked about each face; add --attribute NAME")
            _ = self.question
        elif self.attribute or self.classes:
            raise DataError(f"task {self.task}: expected neither attribute nor classes, got {self.attribute} {self.classes}")

    @classmethod
    def of(
        cls,
        name: str,
        task: str = "attribute",
        attribute: str = "",
        classes: Sequence[str] = (),
        keypoints: Sequence[str] = (),
    ) -> ProjectSettings:
        """Settings with what goes without saying filled in: an attribute as the task, its known answers, the five points."""
        if (task in ATTRIBUTES and not attribute) or (task not in TASKS and not attribute and classes):
            task, attribute = "attribute", task
        known = ATTRIBUTES.get(attribute)
        if task == "attribute" and not classes and known is not None:
            classes = known.answers
        return cls(name, task, attribute, tuple(classes), tuple(keypoints) or KEYPOINT_NAMES)

    @property
    def question(self) -> Attribute:
        """The attribute that the project asks about. Raises `DataError` for a project of another task or without answers."""
        if self.task != "attribute":
            raise DataError(f"{self.name}: expected a project about an attribute, got one about {self.task}")
        known = ATTRIBUTES.get(self.attribute)
        if known is not None and set(known.answers) == set(self.classes):
            return known
        mirror = {name: other for name in self.classes if (other := mirrored_name(name)) != name and other in self.classes}
        try:
            return Attribute(self.attribute, f"{self.attribute.replace('_', ' ')}?", self.classes, mirror=mirror)
        except InputError as error:
            raise DataError(f"{error}; add --classes ONE,TWO") from None

    def check_answer(self, answer: str | float) -> None:
        """Raises `DataError` when that is no answer to the project's question."""
        if self.classes and answer not in self.classes:
            raise DataError(f"{self.attribute}: expected one of {', '.join(self.classes)}, got {str(answer)[:60]!r}")
        if not self.classes and not isinstance(answer, int | float):
            raise DataError(f"{self.attribute}: expected a number, got {str(answer)[:60]!r}")

    def write(self, path: Path) -> None:
        """Put the settings into a file."""
        lines = [f"format = {FORMAT}", *(f"{key} = {_toml(getattr(self, key))}" for key in self.__dataclass_fields__)]
        with whole_file(path) as file:
            file.write(("\n".join(lines) + "\n").encode())

    @classmethod
    def read(cls, path: Path) -> ProjectSettings:
        """The settings in a file. Raises `DataError` where they are missing, wrong or of a newer format."""
        try:
            values = tomllib.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            raise DataError(
                f"{path.parent}: expected a project (a folder with mien.toml); make one with: mien new"
            ) from None
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: expected TOML, got: {error}") from None
        if not isinstance(version := values.pop("format", None), int) or version > FORMAT:
            raise DataError(f"{path}: expected format {FORMAT} or less, got {version}; use a newer mien")
        if unknown := set(values) - set(cls.__dataclass_fields__):
            raise DataError(f"{path}: expected {', '.join(cls.__dataclass_fields__)}, got {', '.join(sorted(unknown))}")
        for key, value in values.items():
            wanted = list if key in ("classes", "keypoints") else str
            if not isinstance(value, wanted) or (wanted is list and not all(isinstance(item, str) for item in value)):
                raise DataError(f"{path}: {key}: expected {'names in []' if wanted is list else 'a text'}, got {value!r}")
        given: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
        try:
            return cls(**given)
        except (DataError, TypeError) as error:
            raise DataError(f"{path}: {error}") from None


def check_name(name: str, kind: str) -> None:
    """Raises `DataError` for a name that could not stand in file names, pages and tables."""
    bad = set('/\\:*?"<>|') & set(name)
    if not name.strip() or name != name.strip() or name.startswith(".") or bad or not name.isprintable():
        raise DataError(f'{kind}: expected a plain name without / \\ : * ? " < > |, got {name[:80]!r}')
    if len(name) > _LONGEST_NAME:
        raise DataError(f"{kind}: expected at most {_LONGEST_NAME} characters, got {len(name)}")


def _toml(value: str | tuple[str, ...]) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False)  # the escapes of JSON are TOML's as well
