"""Several sets of pictures into one new project, every input counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from mien.data.check import hashes_of
from mien.data.duplicates import near_duplicates
from mien.data.project import NewPicture, Project, new_project
from mien.data.sample import FaceLabel, Sample, face_entry, read_samples
from mien.data.settings import ProjectSettings
from mien.data.split import SPLITS, joined_groups
from mien.errors import DataError, InputError


@dataclass
class Counted:
    """What became of one input. ``given`` is always ``kept`` plus ``duplicates`` plus ``rejected``.

    duplicates: pictures whose very bytes were there already, and the file that has them. rejected: with the reason.
    """

    source: str
    given: int = 0
    kept: int = 0
    duplicates: list[tuple[str, str]] = field(default_factory=list)
    rejected: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Contradiction:
    """One picture that two inputs label differently. file_name: in the new project, which keeps the labels ``kept``."""

    file_name: str
    source: str
    kept: str
    other: str


@dataclass(frozen=True)
class SidedGroup:
    """A group of pictures that the inputs had in several parts of the set, and the one part it is in now.

    file_names: its pictures. given: how many pictures of the inputs were in each part ("": in none).
    """

    file_names: tuple[str, ...]
    given: dict[str, int]
    part: str

    def __str__(self) -> str:
        first, more = self.file_names[0], len(self.file_names) - 1
        name = f"{first} and {more} that belong to it" if more else first
        return f"{name}: {', '.join(f'{count} in {part}' for part, count in self.given.items())}; now all in {self.part}"


@dataclass
class Merged:
    """What a merge did: one `Counted` an input, the labels that contradict each other, and what became of the splits.

    moved: groups that were on several sides. parts: pictures in each part now, "" for those in none.
    mattes: how many pictures have one. unmatted: pictures whose duplicate's matte could not be taken, and why.
    """

    project: Path
    inputs: list[Counted] = field(default_factory=list)
    contradictions: list[Contradiction] = field(default_factory=list)
    moved: list[SidedGroup] = field(default_factory=list)
    parts: dict[str, int] = field(default_factory=dict)
    mattes: int = 0
    unmatted: list[tuple[str, str]] = field(default_factory=list)


def merge(sources: Sequence[str | Path], out: str | Path, *, progress: Callable[[int, int], None] | None = None) -> Merged:
    """Make a new project of projects, ImageFolders and Parquet files. The inputs stay as they are.

    Classes and keypoints are united; people and sessions of one name are one. A picture that is there twice is kept once,
    with the labels and the matte of the first input that has any. Splits are kept. What belongs together (`joined_groups`)
    comes into one part, the one that most of it was in; of equals test before validation before train, so that what was held
    out stays so.

    Raises `DataError` when an input cannot be read or they ask about different things; then nothing is written.
    """
    if len(sources) < 2:
        raise DataError("merge: expected at least two inputs")
    read = [(str(source), read_samples(source)) for source in sources]
    for source, samples in read:
        if odd := sorted({sample.split for sample in samples} - {*SPLITS, ""}):
            raise DataError(f"{source}: split: expected one of {', '.join(SPLITS)} or none, got {', '.join(odd)[:80]}")
    settings = _united(Path(out).resolve().name, [(Path(source), samples) for source, samples in read])
    merged = Merged(Path(out))
    total, done = sum(len(samples) for _, samples in read), 0
    with new_project(Path(out), settings) as project:
        sides: dict[str, Counter[str]] = {}
        for source, samples in read:
            counted = Counted(source, given=len(samples))
            merged.inputs.append(counted)
            names: dict[str, str] = {}
            for sample in samples:
                names[sample.name] = file_name = _put(project, sample, counted, merged)
                sides.setdefault(file_name, Counter())[sample.split] += bool(sample.split)
                done += 1
                if progress is not None:
                    progress(done, total)
            copies = {names[s.name]: {"parent": names.get(s.parent, "")} for s in samples if s.parent and names[s.name]}
            project.assign(copies)
        merged.moved = _settle_splits(project, sides)
        rows = project.rows()
        merged.parts = dict(Counter(row.get("split", "") for row in rows))
        merged.mattes = sum(bool(row.get("matte")) for row in rows)
    return merged


def _settle_splits(project: Project, sides: dict[str, Counter[str]]) -> list[SidedGroup]:
    """Put every group into one part of the set; gives those that the inputs had in several.

    sides: how many pictures of the inputs became each file, by the part that they were in.
    """
    if not any(count.total() for count in sides.values()):
        return []
    samples = project.samples()
    members: dict[str, list[str]] = {}
    for sample, group in zip(samples, joined_groups(samples, near_duplicates(hashes_of(project))), strict=True):
        members.setdefault(group, []).append(sample.name)
    moved: list[SidedGroup] = []
    parts: dict[str, str] = {}
    for names in members.values():
        given = sum((sides[name] for name in names), Counter())
        if not given:
            continue
        part = max(given, key=lambda one: (given[one], SPLITS.index(one) if one in SPLITS else -1))
        parts |= dict.fromkeys(names, part)
        if len(given) > 1:
            moved.append(SidedGroup(tuple(names), {one: given[one] for one in SPLITS if given[one]}, part))
    project.assign_split(parts)
    return moved


def _put(project: Project, sample: Sample, counted: Counted, merged: Merged) -> str:
    """Add one picture and count it; gives its name in the new project, "" where it was rejected."""
    labels = replace(sample, split="", labels={} if sample.is_crop else sample.labels)
    added = project.add([NewPicture(sample.picture, Path(sample.name).name, labels)])
    counted.kept += len(added.kept)
    counted.rejected += added.rejected
    if added.kept:
        return str(added.kept[0]["file_name"])
    if added.rejected:
        return ""
    counted.duplicates += added.duplicates
    file_name = added.duplicates[0][1]
    _unite(project, file_name, sample, counted.source, merged.contradictions)
    if sample.matte is not None and not project.row(file_name).get("matte"):
        try:
            project.attach_matte(file_name, sample.matte)
        except InputError as error:
            merged.unmatted.append((file_name, str(error)))
    return file_name


def _unite(project: Project, file_name: str, sample: Sample, source: str, contradictions: list[Contradiction]) -> None:
    """Take the labels of a duplicate where there are none yet; note where they differ."""
    row = project.row(file_name)
    has_labels = sample.faces is not None and sample.state != "unlabelled"
    if has_labels and (row["state"] == "unlabelled" or (row["state"] == "suggested" and sample.state in ("labelled", ""))):
        state = sample.state or "labelled"
        project.update(file_name, faces=list(sample.faces or ()), revision=row["revision"], state=state, by="")
    elif has_labels and sample.state != "suggested":
        kept, other = described(row.get("faces") or []), described([face_entry(face) for face in sample.faces or ()])
        if not _is_same(row.get("faces") or [], sample.faces or ()):
            contradictions.append(Contradiction(file_name, source, kept, other))
    missing = {key: getattr(sample, key) for key in ("person", "session") if getattr(sample, key) and not row.get(key)}
    if missing:
        project.assign({file_name: missing})


def described(faces: Sequence[dict[str, Any]]) -> str:
    """Faces of a row in a few words, such as ``2 faces: mask, no_mask``."""
    real = [face for face in faces if not face.get("ignore")]
    answers = [str(value) for face in real for value in (face.get("attributes") or {}).values()]
    return f"{len(real)} face{'' if len(real) == 1 else 's'}" + (f": {', '.join(answers)}" if answers else "")


def _is_same(faces: Sequence[dict[str, Any]], others: Sequence[FaceLabel]) -> bool:
    """Whether labels say the same: as many faces, each box within 5 % of its size, the same answers."""
    real = [face for face in faces if not face.get("ignore")]
    left = [face for face in others if not face.is_ignored]
    if len(real) != len(left):
        return False
    for face in real:
        box = np.array(face["box"], float)
        reach = 0.05 * max(box[2] - box[0], box[3] - box[1]) + 1
        fits = [
            o for o in left if np.abs(o.box - box).max() <= reach and dict(o.attributes) == (face.get("attributes") or {})
        ]
        if not fits:
            return False
        left = [other for other in left if other is not fits[0]]
    return True


def _united(name: str, inputs: Sequence[tuple[Path, list[Sample]]]) -> ProjectSettings:
    """Settings that hold for all inputs. Those of the projects count; without any, what the labels look like."""
    known = [(path, ProjectSettings.read(path / "mien.toml")) for path, _ in inputs if (path / "mien.toml").is_file()]
    if not known:
        return _guessed(name, [sample for _, samples in inputs for sample in samples])
    first = known[0][1]
    for path, settings in known[1:]:
        if (settings.task, settings.attribute) != (first.task, first.attribute):
            raise DataError(
                f"{path}: expected a project about {first.attribute or first.task} as {known[0][0]} is, "
                f"got one about {settings.attribute or settings.task}; merge those of one kind"
            )
    classes = dict.fromkeys(name for _, settings in known for name in settings.classes)
    points = dict.fromkeys(name for _, settings in known for name in settings.keypoints)
    return ProjectSettings(name, first.task, first.attribute, tuple(classes), tuple(points))


def _guessed(name: str, samples: Sequence[Sample]) -> ProjectSettings:
    faces = [face for sample in samples for face in sample.faces or ()]
    attributes = sorted({attribute for face in faces for attribute in face.attributes})
    if len(attributes) == 1:
        answers = {face.attributes[attributes[0]] for face in faces if attributes[0] in face.attributes}
        classes = sorted(str(answer) for answer in answers if isinstance(answer, str))
        if len(classes) > 1 or not classes:
            return ProjectSettings.of(name, "attribute", attributes[0], classes)
    has_points = any(np.isfinite(face.keypoints).any() for face in faces)
    return ProjectSettings.of(name, "keypoints" if has_points else "boxes")
