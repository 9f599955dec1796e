"""The pages that a check, a split and a merge leave in a project's ``reports/``."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data.check import FAULTS, Checked, Suspect
from mien.data.merge import Merged
from mien.data.page import Page
from mien.data.project import Project
from mien.data.sample import FaceLabel, sample_from_row
from mien.data.sheet import contact_sheet, with_labels
from mien.data.split import SPLITS, Proof
from mien.errors import MienError
from mien.media.read import read
from mien.media.write import write

_MOST_SHOWN = 36
_MOST_GROUPS = 12
_GROUP_SHOWN = 6
_LOOKS: tuple[tuple[str, tuple[float, float] | None], ...] = (
    ("size (of the picture's shorter side)", None),
    ("light (0 black, 1 white)", (0.0, 1.0)),
    ("sharpness", None),
    ("turned (-1 right, 1 left)", (-1.0, 1.0)),
)
"""The columns of `Checked.looks`, and the ends of their plots; None: from 0 to the largest."""


def write_check(project: Project, checked: Checked) -> Path:
    """The page ``reports/check.html`` and, where there are suspects, the sheet ``reports/suspects.png``. Gives the page."""
    page = Page(f"{project.settings.name}: check of {checked.pictures} pictures")
    settings = project.settings
    asked = f"{settings.attribute} ({', '.join(settings.classes) or 'a number'})" if settings.attribute else settings.task
    page.text(f"Asked of each face: {asked}")
    page.table(("what", "how many"), _summary(checked))
    page.heading("Classes")
    page.bars(("class", "labels", ""), {name: sum(counts.values()) for name, counts in sorted(checked.classes.items())})
    _rare(page, checked.classes)
    add_split(page, checked.classes, checked.proofs)
    _plots(page, checked)
    if checked.faults:
        page.heading("Faults")
        page.table(("what", "how many"), [(FAULTS[k], n) for k, n in Counter(f.kind for f in checked.faults).items()])
        page.table(("picture", "what", "more"), [(f.file_name, FAULTS[f.kind], f.note) for f in checked.faults])
    if checked.suspects:
        page.heading("Suspects: labels that the model contradicts")
        page.text("Not all of them are wrong; the first are the likeliest.", kind="note")
        sheet = contact_sheet(_suspect_tiles(project, checked.suspects[:_MOST_SHOWN]))
        write(sheet, project.root / "reports" / "suspects.png")
        page.picture(sheet, "crops of the suspects")
        rows = [(s.file_name, s.face + 1 if s.face >= 0 else "-", f"{s.loss:.2f}", s.note) for s in checked.suspects]
        page.table(("picture", "face", "loss", "why"), rows)
    if checked.groups:
        page.heading("Near-duplicates")
        count = sum(map(len, checked.groups))
        page.text(f"{len(checked.groups)} groups of {count} pictures look the same, or mirrored.")
        across = min(_GROUP_SHOWN, max(map(len, checked.groups)))
        sheet = contact_sheet(_group_tiles(project, checked.groups, across), columns=across, cell=160)
        page.picture(sheet, "near-duplicates")
        page.table(("pictures", "names"), [(len(group), ", ".join(group[:20])) for group in checked.groups])
    return page.write(project.root / "reports" / "check.html")


def write_split(
    project: Project, classes: Mapping[str, Counter[str]], found: Sequence[Proof], notes: Sequence[str] = ()
) -> Path:
    """The page ``reports/split.html``."""
    page = Page(f"{project.settings.name}: split")
    for note in notes:
        page.text(note, kind="bad")
    add_split(page, classes, found)
    return page.write(project.root / "reports" / "split.html")


def write_merge(project: Project, merged: Merged) -> Path:
    """The page ``reports/merge.html``."""
    page = Page(f"{project.settings.name}: merged from {len(merged.inputs)} inputs")
    cells = [(one.source, one.given, one.kept, len(one.duplicates), len(one.rejected)) for one in merged.inputs]
    page.table(("input", "given", "kept", "duplicates", "rejected"), cells)
    if any(merged.parts.get(part) for part in SPLITS):
        page.heading("Split")
        page.table(("part", "pictures"), [(part or "in none", merged.parts.get(part, 0)) for part in (*SPLITS, "")])
        if merged.moved:
            page.text(
                f"{len(merged.moved)} groups were on several sides of the inputs' splits. Each is now in the part that most "
                "of it was in; of equals test before validation before train."
            )
            moved = [
                (", ".join(g.file_names[:20]), *(g.given.get(part, 0) for part in SPLITS), g.part) for g in merged.moved
            ]
            page.table(("pictures", *(f"were in {part}" for part in SPLITS), "now in"), moved)
        else:
            page.text("No group was on two sides.", kind="good")
    if merged.contradictions:
        page.heading("Labelled differently")
        told = [(c.file_name, c.kept, c.source, c.other) for c in merged.contradictions]
        page.table(("picture", "kept", "other input", "says"), told)
    rejected = [(one.source, name, why) for one in merged.inputs for name, why in one.rejected]
    if rejected:
        page.heading("Rejected")
        page.table(("input", "picture", "why"), rejected)
    if merged.unmatted:
        page.heading("Mattes that could not be taken")
        page.table(("picture", "why"), merged.unmatted)
    return page.write(project.root / "reports" / "merge.html")


def add_split(page: Page, classes: Mapping[str, Counter[str]], found: Sequence[Proof]) -> None:
    """How the classes lie in the parts of the set, and that no group lies in two."""
    if not any(counts[part] for counts in classes.values() for part in SPLITS):
        return
    page.heading("Split")
    totals = {part: sum(counts[part] for counts in classes.values()) or 1 for part in SPLITS}
    rows = [
        (name, *(f"{counts[part]} ({counts[part] / totals[part]:.0%})" for part in SPLITS), counts[""])
        for name, counts in sorted(classes.items())
    ]
    page.table(("class", *SPLITS, "in none"), rows)
    if bad := [proof for proof in found if proof.straddling]:
        page.text(f"{sum(len(proof.straddling) for proof in bad)} groups lie in several parts.", kind="bad")
    else:
        page.text("No group lies in two parts.", kind="good")
    cells = [(p.kind, p.groups, p.pictures, len(p.straddling), ", ".join(p.straddling[:10])) for p in found]
    page.table(("kind of group", "groups", "pictures in them", "in several parts", "which"), cells)
    page.text(
        "Counted afresh from persons, sessions, originals and perceptual hashes, not from the groups that the split was "
        "made by. Near-duplicates: difference hashes within 6 of 64 bits, mirror images included.",
        kind="note",
    )


def _summary(checked: Checked) -> list[tuple[str, object]]:
    rows: list[tuple[str, object]] = [(f"pictures {state or 'without state'}", n) for state, n in checked.states.items()]
    rows.append(("labelled faces", len(checked.looks)))
    rows.append(("faults", len(checked.faults)))
    rows.append(("groups of near-duplicates", len(checked.groups)))
    rows.append(("suspects", len(checked.suspects)))
    return rows


def _rare(page: Page, classes: Mapping[str, Counter[str]]) -> None:
    counts = {name: sum(parts.values()) for name, parts in classes.items() if name != "not labelled"}
    if not counts or max(counts.values()) == 0:
        return
    for name, count in sorted(counts.items()):
        if count < 0.1 * max(counts.values()):
            page.text(f"{name}: {count} labels, less than a tenth of the most frequent class. Record more.", kind="bad")


def _plots(page: Page, checked: Checked) -> None:
    """Histograms of what the faces look like, where matplotlib is there to draw them."""
    if not len(checked.looks):
        return
    page.heading("How the faces are seen")
    try:
        from matplotlib.figure import Figure
    except ImportError:
        page.text("Plots need matplotlib: pip install 'mien[train]'", kind="note")
        return
    figure = Figure(figsize=(12, 2.6), layout="constrained")
    for axis, (name, ends), values in zip(figure.subplots(1, 4), _LOOKS, checked.looks.T, strict=True):
        known = values[np.isfinite(values)].astype(np.float64)
        # From 0 on and never narrow: faces that differ by a rounding error only are one bar.
        low, high = ends or (0.0, max(0.1, float(known.max(initial=0))))
        axis.hist(known.clip(low, high), bins=24, range=(low, high), color="#2ec4b6")
        axis.set_title(name, fontsize=10)
        if not len(known):
            axis.text((low + high) / 2, 0.5, "not known", ha="center", va="center", color="#666")
            axis.set_ylim(0, 1)
        axis.yaxis.get_major_locator().set_params(integer=True)
        axis.spines[["top", "right"]].set_visible(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    page.picture(buffer.getvalue(), "histograms of size, light, sharpness and turn of the faces")


def _suspect_tiles(project: Project, suspects: Sequence[Suspect]) -> Iterator[tuple[NDArray[np.uint8], str]]:
    for suspect in suspects:
        sample = sample_from_row(project.row(suspect.file_name), project.pictures, suspect.file_name)
        try:
            image = sample.image()
        except MienError:
            continue
        faces = list(sample.faces or ())
        if suspect.face >= 0:
            shown = _around(with_labels(image, [faces[suspect.face]]), faces[suspect.face])
        else:
            shown = with_labels(image, faces)
        yield shown, suspect.note


def _around(image: NDArray[np.uint8], face: FaceLabel) -> NDArray[np.uint8]:
    """The part of a picture around a face, twice as large as its box."""
    height, width = image.shape[:2]
    middle, reach = (face.box[:2] + face.box[2:]) / 2, float(max(face.box[2:] - face.box[:2]))
    left, right = (int(np.clip(middle[0] + side * reach, 0, width)) for side in (-1, 1))
    top, bottom = (int(np.clip(middle[1] + side * reach, 0, height)) for side in (-1, 1))
    cut = image[top:bottom, left:right]
    return cut if cut.size else image


def _group_tiles(project: Project, groups: Sequence[Sequence[str]], across: int) -> Iterator[tuple[NDArray[np.uint8], str]]:
    """The first pictures of each group, ``across`` to a row, and blanks for what is missing of them."""
    blank = np.full((1, 2, 3), 250, np.uint8)
    for group in groups[:_MOST_GROUPS]:
        for place in range(across):
            if place >= len(group):
                yield blank, ""
                continue
            try:
                yield read(project.path(group[place])).image, group[place]
            except MienError:
                yield blank, group[place]
