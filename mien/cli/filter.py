"""`mien filter`."""

from __future__ import annotations

import glob
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.app import app
from mien.cli.options import Device, Model, Overwrite, Sources, Threads, examples
from mien.cli.report import Report, has_watcher, new_console, plain, progress_bar
from mien.errors import InputError, MienError
from mien.types import Failure, Frame

if TYPE_CHECKING:
    from mien.filters.preset import Preset
    from mien.models.settings import Settings

_ABOUT = """Make a new picture, or a new video, of the people in each: a poster, a cut-out, other backgrounds, effects,
looks, words.

Without options: a framed poster in the person's own colours, written beside the picture as NAME.filter.png.
"""


@app.command(
    help=_ABOUT,
    epilog=examples(
        "mien filter selfie.jpg",
        "mien filter selfie.jpg -o me.png --preset birthday",
        "mien filter party/ -o out --effect sunglasses,crown --when 'smile > 0.7' --caption auto",
        "mien filter street.jpg -o street.png --background none --effect pixelate",
        "mien filter group.jpg -o out --each-person --background transparent",
        "mien filter clip.mp4 -o out.mp4 --background blur --look film",
    ),
)
def filter(  # noqa: A001
    sources: Sources,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Folder for the results, or for one source a file; beside each source if not given."
        ),
    ] = None,
    preset: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="A shipped preset or a preset file; other options change it.")
    ] = None,
    background: Annotated[
        str | None,
        typer.Option(
            help="'transparent', 'blur', words such as 'rainbow, texture' or 'blue marble', a colour, a picture file, "
            "a folder or FOLDER:WORDS, or 'none' for the photo's own; a framed poster if not given."
        ),
    ] = None,
    frame: Annotated[
        bool | None, typer.Option("--frame/--no-frame", help="Let the person stand out of a framed panel, or not.")
    ] = None,
    effect: Annotated[
        str | None, typer.Option(metavar="NAME,NAME", help="What is put on every face; 'list' shows all effects and looks.")
    ] = None,
    when: Annotated[
        str | None, typer.Option(metavar="CONDITION", help="On which faces effects are put, such as 'smile > 0.7'.")
    ] = None,
    look: Annotated[str | None, typer.Option(metavar="NAME,NAME", help="smooth, lift, warm, cool, film, mono.")] = None,
    caption: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Words on the picture; 'auto' chooses them by the faces.")
    ] = None,
    typeface: Annotated[str | None, typer.Option(help="Of the caption: serif, bold or hand.")] = None,
    each_person: Annotated[
        bool,
        typer.Option("--each-person", help="A picture of each person in a group: NAME-1, NAME-2 ... from left to right."),
    ] = False,
    seed: Annotated[int | None, typer.Option(min=0, help="Chooses among results that suit equally well.")] = None,
    save_preset: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write what is asked for as a preset, .toml or .json.")
    ] = None,
    model: Model = "faces",
    matte_model: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="What tells people from background: a shipped model or an ONNX file.")
    ] = "matte",
    device: Device = "cpu",
    threads: Threads = 1,
    overwrite: Overwrite = False,
) -> None:
    """The command; its help is `_ABOUT`."""
    if effect == "list":
        _show_effects()
        return
    from mien.filters.preset_file import save_preset as write_preset
    from mien.media.sinks import result_paths
    from mien.media.sources import expand
    from mien.media.video import is_video
    from mien.models.settings import Settings

    wanted = _wanted(preset, background, frame, effect, when, look, caption, typeface, seed)
    # What an earlier run wrote beside its pictures is not taken for a picture when the folder is named again.
    named = {Path(source) for source in sources}
    paths = [path for path in expand(sources) if path in named or not path.stem.endswith(".filter")]
    outputs = result_paths(output, paths, [".mp4" if is_video(path) else ".png" for path in paths], overwrite=overwrite)
    settings = Settings(model=model, matte_model=matte_model, device=device, threads=threads)
    if save_preset is not None:
        write_preset(wanted, save_preset)
    report = Report("result")
    photos = [(path, done) for path, done in zip(paths, outputs, strict=True) if not is_video(path)]
    videos = [(path, done) for path, done in zip(paths, outputs, strict=True) if is_video(path)]
    if each_person:
        if videos:
            raise InputError(f"{videos[0][0]}: expected photos with --each-person, got a video; leave the option out")
        _filter_persons(photos, wanted, settings, report, overwrite=overwrite)
    elif photos:
        _filter_photos(photos, wanted, settings, report)
    for path, done in videos:
        _filter_video(path, done, wanted, settings, report)
    report.finish()


def _wanted(
    preset: str | None,
    background: str | None,
    frame: bool | None,
    effect: str | None,
    when: str | None,
    look: str | None,
    caption: str | None,
    typeface: str | None,
    seed: int | None,
) -> Preset:
    """The preset that the options ask for: the named one, changed by the others."""
    from mien.filters.caption import Caption
    from mien.filters.preset import EffectUse, Preset
    from mien.filters.preset_file import load_preset

    made = Preset() if preset is None else load_preset(preset)
    if background is not None:
        is_none = background.strip().lower() == "none"
        made = replace(made, background=None if is_none else background, frame=False if is_none else made.frame)
    if frame is not None:
        made = replace(made, frame=frame)
    if effect is not None:
        made = replace(made, effects=tuple(EffectUse(name) for name in _names(effect)))
    if look is not None:
        made = replace(made, looks=_names(look))
    if when is not None:
        made = replace(made, when=when)
    if caption is not None or typeface is not None:
        usual = made.caption or Caption()
        words = replace(usual, text=caption or usual.text, typeface=typeface or usual.typeface)
        made = replace(made, caption=None if caption == "none" else words)
    return made if seed is None else replace(made, seed=seed)


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _filter_photos(pairs: Sequence[tuple[Path, Path]], preset: Preset, settings: Settings, report: Report) -> None:
    from mien.media.sources import Photos
    from mien.media.write import write
    from mien.pipeline import filter_stages, run

    results = run(Photos([path for path, _ in pairs]), filter_stages(settings, preset=preset))
    with progress_bar(is_shown=has_watcher(len(pairs))) as bar:
        tracked = bar.track(results, total=len(pairs), description="pictures")
        for result, (_, done) in zip(tracked, pairs, strict=True):
            report.add(result, str(write(result, done)) if isinstance(result, Frame) else "-")


def _filter_persons(
    pairs: Sequence[tuple[Path, Path]], preset: Preset, settings: Settings, report: Report, *, overwrite: bool
) -> None:
    """Photos of groups: a result for each person; one that shows nobody gets a row that says so."""
    from mien.media.sources import Photos
    from mien.media.write import write
    from mien.pipeline import each_filtered, filter_stages, run

    for _, done in pairs:
        old = [path for path in done.parent.glob(f"{glob.escape(done.stem)}-*") if path.stem[len(done.stem) + 1 :].isdigit()]
        if old and not overwrite:
            raise InputError(f"{old[0]}: already exists; choose another folder or add --overwrite")
    *looking, last = filter_stages(settings, preset=preset)
    results = run(Photos([path for path, _ in pairs]), looking)
    with progress_bar(is_shown=has_watcher(len(pairs))) as bar:
        tracked = bar.track(results, total=len(pairs), description="pictures")
        for result, (_, done) in zip(tracked, pairs, strict=True):
            if not isinstance(result, Frame):
                report.add(result, "-")
                continue
            people = each_filtered(result, last)
            for number, person in enumerate(people, 1):
                report.add(person, str(write(person, done.with_name(f"{done.stem}-{number}{done.suffix}"))))
            if not people:
                report.add(
                    Failure(result.source, InputError.kind, f"{result.source}: no person found, nothing was made"), "-"
                )


def _filter_video(path: Path, done: Path, preset: Preset, settings: Settings, report: Report) -> None:
    """One video; one that fails gets a row with its error, as a picture does."""
    from mien.pipeline import filter_video

    with progress_bar(is_shown=has_watcher(2)) as bar:
        task = bar.add_task(path.name, total=None)
        show: Callable[[int, int], None] = lambda now, count: bar.update(task, completed=now, total=count or None)  # noqa: E731
        try:
            last = filter_video(path, done, preset, settings, progress=show)
        except MienError as error:
            report.add(Failure(str(path), error.kind, str(error)))
            return
    report.add(last, str(done))


def _show_effects() -> None:
    from rich import box
    from rich.table import Table

    from mien.filters.effects import EFFECTS
    from mien.filters.looks import LOOKS

    table = Table("name", "what it is", box=box.SIMPLE_HEAD)
    rows = [(one.name, one.summary) for one in EFFECTS.values()] + [(one.name, one.summary) for one in LOOKS.values()]
    for row in rows:
        table.add_row(*map(plain, row))
    new_console().print(table)
