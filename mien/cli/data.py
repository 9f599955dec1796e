"""`mien new`, `mien capture` and `mien data`: from nothing to a frozen set of pictures."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table

from mien.cli.app import app
from mien.cli.options import Device, Model, Threads, examples
from mien.cli.report import complain, new_console, plain, progress_bar

if TYPE_CHECKING:
    from rich.progress import Progress

    from mien.attributes import Attribute
    from mien.data.check import Model as FaceFinder
    from mien.data.project import Added

data = typer.Typer(
    help="Merge, check, split, augment and freeze your own pictures.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(data, name="data")

ProjectFolder = Annotated[Path, typer.Argument(metavar="PROJECT", help="The folder of the project.")]
Seed = Annotated[int, typer.Option(min=0, help="Decides what is left to chance.")]
_SHOWN = 12


@app.command(
    epilog=examples(
        "mien new masks --task mask --classes mask,no_mask,bad_mask",
        "mien new helmets --attribute helmet --classes helmet,none",
        "mien new crowd --task boxes",
    )
)
def new(
    project: Annotated[Path, typer.Argument(metavar="PROJECT", help="The new folder.")],
    task: Annotated[
        str, typer.Option(metavar="TASK", help="attribute, boxes, keypoints; or the attribute's own name, such as mask.")
    ] = "attribute",
    attribute: Annotated[str, typer.Option(metavar="NAME", help="What is asked about each face.")] = "",
    classes: Annotated[str, typer.Option(metavar="A,B", help="Its answers; known attributes have theirs.")] = "",
    keypoints: Annotated[str, typer.Option(metavar="A,B", help="Names of the points; the usual five if not given.")] = "",
) -> None:
    """Make a project: one folder for pictures, labels, frozen versions and reports."""
    from mien.data.project import Project

    made = Project.create(
        project, task=task, attribute=attribute, classes=_names(classes), keypoints=_names(keypoints)
    ).settings
    asked = f"{made.attribute}: {', '.join(made.classes) or made.question.unit}" if made.attribute else made.task
    print(f"{project}: {asked}")


@app.command(
    epilog=examples(
        "mien capture masks --class bad_mask --count 30 --every 1 --person ann",
        "mien capture masks --class mask --from holiday.mp4 --every 0.5",
        "mien capture masks --class no_mask --from rtsp://192.168.1.20/stream",
    )
)
def capture(
    project: ProjectFolder,
    answer: Annotated[str, typer.Option("--class", metavar="NAME", help="What these faces show.")] = "",
    count: Annotated[int, typer.Option(min=1, help="How many pictures to keep.")] = 30,
    every: Annotated[float, typer.Option(min=0, metavar="S", help="Seconds from one picture to the next.")] = 1.0,
    source: Annotated[
        str, typer.Option("--from", metavar="SOURCE", help="A camera's number, a video, an address, or pictures.")
    ] = "0",
    person: Annotated[str, typer.Option(metavar="NAME", help="Who is seen, so that a split keeps them together.")] = "",
    session: Annotated[str, typer.Option(metavar="ID", help="Which recording this is; made up if not given.")] = "",
    keep_unseen: Annotated[
        bool, typer.Option("--keep-unseen", help="Also keep pictures in which no face is found, to label by hand.")
    ] = False,
    model: Model = "faces",
    device: Device = "cpu",
    threads: Threads = 1,
) -> None:
    """Record pictures of one class, with a coach that says what is still missing."""
    from mien.data.capture import capture as record
    from mien.data.capture import check_class
    from mien.data.project import Project
    from mien.media.streams import open_source

    opened = Project.open(project)
    check_class(opened, answer)
    frames = open_source(source, every_s=every)
    finder, _ = _finder(model, device, threads)
    with _bar() as bar:
        task = bar.add_task("starting", total=count)

        def tell(kept: int, advice: str) -> None:
            bar.update(task, completed=kept, description=advice)

        result = record(
            opened,
            frames,
            finder,
            answer=answer,
            count=count,
            person=person,
            session=session,
            keeps_unseen=keep_unseen,
            tell=tell,
        )
    print(f"kept {len(result.kept)} of {count} pictures in session {result.session}")
    for reason, number in result.left_out.most_common():
        print(f"left out {number}: {reason}")
    if result.is_covered:
        print(f"{answer or 'the set'} is well covered")
    elif result.missing:
        print("still missing: " + "; ".join(result.missing))
    if not result.kept:
        complain(f"{source}: no picture was kept; see why above")
        raise typer.Exit(2)


@data.command(epilog=examples("mien data merge masks-ann masks-bob -o masks"))
def merge(
    sources: Annotated[list[Path], typer.Argument(metavar="A B ...", help="Projects, ImageFolders or Parquet files.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the new project.")],
) -> None:
    """Make one project of several, with every picture counted as kept, duplicate or rejected; writes reports/merge.html."""
    from mien.data.check_page import write_merge
    from mien.data.merge import merge as unite
    from mien.data.project import Project
    from mien.data.split import SPLITS

    with _bar() as bar:
        merged = unite(sources, output, progress=_on(bar, "pictures"))
    page = write_merge(Project.open(output), merged)
    table = Table("input", "given", "kept", "duplicates", "rejected", box=box.SIMPLE_HEAD)
    for one in merged.inputs:
        cells = (one.source, one.given, one.kept, len(one.duplicates), len(one.rejected))
        table.add_row(*map(plain, cells))
    new_console().print(table)
    _list("rejected", [reason for one in merged.inputs for reason in one.rejected])
    _list(
        "labelled differently", [(c.file_name, f"kept {c.kept}; {c.source} says {c.other}") for c in merged.contradictions]
    )
    _list("without its matte", merged.unmatted)
    if any(merged.parts.get(part) for part in SPLITS):
        print("parts: " + ", ".join(f"{part or 'in none'} {merged.parts.get(part, 0)}" for part in (*SPLITS, "")))
        for group in merged.moved[:_SHOWN]:
            print(plain(f"was on several sides: {group}"))
        if len(merged.moved) > _SHOWN:
            print(f"was on several sides: and {len(merged.moved) - _SHOWN} more groups")
        if merged.parts.get(""):
            print(f"Note: {merged.parts['']} pictures are in no part yet; run: mien data split {output}")
    if merged.mattes:
        print(f"{merged.mattes} pictures have mattes")
    print(page)


@data.command(epilog=examples("mien data check masks", "mien data check masks --no-model"))
def check(
    project: ProjectFolder,
    with_model: Annotated[bool, typer.Option("--model-check/--no-model", help="Compare labels with a model.")] = True,
    model: Model = "faces",
    attribute_model: Annotated[
        str,
        typer.Option(metavar="NAME|FILE", help="What answers the project's question, if it can; compared with the labels."),
    ] = "attributes",
    device: Device = "cpu",
    threads: Threads = 1,
) -> None:
    """Look for what is unreadable, odd, there twice, rare, or labelled unlike a model would; writes reports/check.html."""
    from mien.data.check import FAULTS
    from mien.data.check import check as look_through
    from mien.data.check_page import write_check
    from mien.data.project import Project

    opened = Project.open(project)
    finder, described = _finder(model, device, threads) if with_model else (None, {})
    if finder is not None and opened.settings.attribute:
        finder, described = _answering(finder, described, opened.settings.question, attribute_model, device, threads)
    with _bar() as bar:
        checked = look_through(opened, finder, described=described, progress=_on(bar, "pictures"))
    page = write_check(opened, checked)
    states = ", ".join(f"{number} {state or 'without state'}" for state, number in sorted(checked.states.items()))
    print(f"{checked.pictures} pictures ({states}), {len(checked.looks)} labelled faces")
    print("classes: " + ", ".join(f"{name} {sum(n.values())}" for name, n in sorted(checked.classes.items())))
    for kind, number in Counter(fault.kind for fault in checked.faults).items():
        print(f"fault, {number}x: {FAULTS[kind]}")
    print(f"near-duplicates: {len(checked.groups)} groups; suspects: {len(checked.suspects)}")
    for proof in checked.proofs:
        if proof.straddling:
            print(
                f"LEAK: {len(proof.straddling)} groups ({proof.kind}) lie in several parts; run: mien data split {project}"
            )
    print(page)


@data.command(epilog=examples("mien data split masks", "mien data split masks --validation 0.2 --test 0 --anew"))
def split(
    project: ProjectFolder,
    validation: Annotated[float, typer.Option(min=0, max=1, help="Share of the pictures.")] = 0.15,
    test: Annotated[float, typer.Option(min=0, max=1, help="Share of the pictures.")] = 0.15,
    anew: Annotated[bool, typer.Option("--anew", help="Forget the split that is there.")] = False,
    seed: Seed = 0,
) -> None:
    """Divide into train, validation and test, so that no person, session or near-duplicate is on two sides."""
    from mien.data.check_page import write_split
    from mien.data.divide import divide
    from mien.data.project import Project

    opened = Project.open(project)
    with _bar() as bar:
        shares = {"validation": validation, "test": test}
        done = divide(opened, shares, is_kept=not anew, seed=seed, progress=_on(bar, "pictures"))
    page = write_split(opened, done.classes, done.proofs, done.notes)
    table = Table("class", *done.parts, box=box.SIMPLE_HEAD)
    for name, counts in sorted(done.classes.items()):
        table.add_row(*map(plain, (name, *(counts[part] for part in done.parts))))
    new_console().print(table)
    for note in done.notes:
        print(f"Note: {note}")
    print("no person, session, original or near-duplicate is on two sides")
    print(page)


@data.command(epilog=examples("mien data augment masks --times 60", "mien data augment masks --times 10 -o masks-more"))
def augment(
    project: ProjectFolder,
    times: Annotated[int, typer.Option(min=1, help="Changed copies of each picture.")] = 10,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A new project for pictures and copies.")] = None,
    all_parts: Annotated[
        bool, typer.Option("--all-parts", help="Also those of validation and test, which are best left as they are.")
    ] = False,
    seed: Seed = 0,
) -> None:
    """Write changed copies of the labelled pictures: moved, turned, mirrored, in other light, blurred, covered."""
    from mien.data.project import Project
    from mien.data.split import SPLITS
    from mien.data.variants import augment as write_copies

    parts = (*SPLITS, "") if all_parts else ("train", "")
    with _bar() as bar:
        progress = _on(bar, "pictures")
        added = write_copies(Project.open(project), times, out=output, parts=parts, seed=seed, progress=progress)
    _told(added)
    print((output or project) / "reports" / "augment.png")


@data.command(epilog=examples("mien data freeze masks v1"))
def freeze(
    project: ProjectFolder,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the version is called.")],
) -> None:
    """Write down pictures, labels and split under a name and a hash of their content."""
    from mien.data.project import Project

    with Project.open(project) as opened:
        frozen = opened.freeze(name)
    print(f"{name}: {frozen['pictures']} pictures, content {frozen['content']}")
    print(project / "versions" / f"{name}.json")


@data.command(
    "import",
    epilog=examples(
        "mien data import masks downloads/coco",
        "mien data import masks holiday-photos",
        "mien data import masks photos --format class-folders",
        "mien data import masks masks-labelme --update",
    ),
)
def import_(
    project: ProjectFolder,
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="The folder with labels and pictures, or the label file.")
    ],
    format: Annotated[  # noqa: A002
        str | None, typer.Option("--format", metavar="NAME", help="What wrote the labels; found by looking if not given.")
    ] = None,
    attribute: Annotated[
        str, typer.Option(metavar="NAME", help="What the class names answer, if not what the project asks.")
    ] = "",
    find_faces: Annotated[
        bool, typer.Option(help="Find the face of pictures whose class is known but no box, with the face model.")
    ] = True,
    update: Annotated[
        bool, typer.Option("--update", help="Take the labels of pictures that are there already, edited in another tool.")
    ] = False,
    model: Model = "faces",
    device: Device = "cpu",
    threads: Threads = 1,
) -> None:
    """Put pictures into a project: photos, or labelled in COCO, YOLO, VOC, labelme, Label Studio, CVAT, CSV and more."""
    from mien.data.project import Project
    from mien.data.transfer import import_pictures

    opened = Project.open(project)
    finder = _finder(model, device, threads)[0] if find_faces else None
    with _bar() as bar:
        added, notes = import_pictures(
            opened,
            source,
            format,
            attribute=attribute,
            model=finder,
            is_update=update,
            progress=_on(bar, "pictures"),
        )
    _told(added)
    if update:
        print(f"{len(added.updated)} with new labels")
    elif added.differing:
        print(f"Note: {len(added.differing)} that were there already have other labels here; to take them, add --update")
    for note in notes:
        print(plain(f"Note: {note}"))
    if not added.kept and not added.duplicates:
        complain(f"{source}: no picture was imported; see why above")
        raise typer.Exit(2)


@data.command(epilog=examples("mien data export masks -o masks-coco --format coco"))
def export(
    project: ProjectFolder,
    output: Annotated[Path, typer.Option("--output", "-o", help="The new folder.")],
    format: Annotated[str, typer.Option("--format", metavar="NAME", help="For which tool, such as coco, yolo, voc.")],  # noqa: A002
    version: Annotated[str, typer.Option(metavar="NAME", help="A frozen version instead of what is there now.")] = "",
) -> None:
    """Write the labelled pictures in another tool's format."""
    from mien.data.project import Project
    from mien.data.transfer import export_pictures

    losses: list[str] = []
    path, count = export_pictures(Project.open(project), output, format, version=version, tell=losses.append)
    print(f"{path}: {count} pictures")
    for loss in losses:
        print(plain(f"Note: {loss}"))


def _finder(model: str, device: str, threads: int) -> tuple[FaceFinder, dict[str, Attribute]]:
    """What finds faces, and the attributes that its card describes."""
    from mien.attributes import from_card
    from mien.models.settings import Settings, face_model

    finder = face_model(Settings(model=model, device=device, threads=threads))
    return finder, from_card(finder.card.attributes)


def _answering(
    finder: FaceFinder, described: dict[str, Attribute], question: Attribute, model: str, device: str, threads: int
) -> tuple[FaceFinder, dict[str, Attribute]]:
    """The finder with a model behind it that answers the question, where that model knows the question and its answers."""
    from mien.attributes import from_card
    from mien.models.attributes import AttributeModel

    session = AttributeModel(model, device=device, threads=threads).session
    known = from_card(session.file.card.attributes).get(question.name)
    if known is None or set(known.answers) != set(question.answers):
        return finder, described
    reader = AttributeModel(session, names=[question.name])
    return (lambda image: reader(image, finder(image))), {**described, **reader.attributes}


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _bar() -> Progress:
    return progress_bar(is_shown=sys.stderr.isatty())


def _on(bar: Progress, what: str) -> Callable[[int, int], None]:
    task = bar.add_task(what, total=None)
    return lambda done, total: bar.update(task, completed=done, total=total)


def _told(added: Added) -> None:
    counts = f"{len(added.kept)} added, {len(added.duplicates)} there already, {len(added.rejected)} rejected"
    print(counts)
    _list("rejected", added.rejected)


def _list(title: str, entries: list[tuple[str, str]]) -> None:
    for name, note in entries[:_SHOWN]:
        print(plain(f"{title}: {name}: {note}"))
    if len(entries) > _SHOWN:
        print(f"{title}: and {len(entries) - _SHOWN} more")
