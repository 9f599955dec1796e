"""`mien filter`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli.app import app
from mien.cli.options import Device, Model, Overwrite, Sources, Threads, examples
from mien.cli.report import Report, has_watcher, progress_bar
from mien.types import Frame


@app.command(
    epilog=examples("mien filter portrait.jpg -o posters", "mien filter portraits/ -o cutouts --background transparent")
)
def filter(  # noqa: A001
    sources: Sources,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for NAME.png of each picture.")],
    background: Annotated[
        str | None,
        typer.Option(
            help="'transparent', 'blur', words such as 'rainbow, texture' or 'blue marble', a colour, a picture file, "
            "a folder or FOLDER:WORDS; a framed poster if not given."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Chooses among results that suit equally well.")] = 0,
    model: Model = "faces",
    matte_model: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="What tells people from background: a shipped model or an ONNX file.")
    ] = "matte",
    device: Device = "cpu",
    threads: Threads = 1,
    overwrite: Overwrite = False,
) -> None:
    """Make a new picture of the people in each picture: a framed poster, the people cut out, or a new background."""
    from mien.filters.background import notes_on
    from mien.media.sinks import OutputFolder
    from mien.media.sources import Photos, expand
    from mien.media.write import write
    from mien.models.settings import Settings
    from mien.pipeline import filter_stages, run

    paths = expand(sources)
    folder = OutputFolder(output, paths, (".png",), overwrite=overwrite)
    settings = Settings(model=model, matte_model=matte_model, device=device, threads=threads)
    stages = filter_stages(settings, background, seed=seed)
    for note in notes_on(background) if background is not None else ():
        typer.echo(f"mien: background: {note}", err=True)
    report = Report("result")

    with progress_bar(is_shown=has_watcher(len(paths))) as bar:
        for number, result in enumerate(bar.track(run(Photos(paths), stages), total=len(paths), description="pictures")):
            done = write(result, folder.path(number, ".png")) if isinstance(result, Frame) else "-"
            report.add(result, str(done))
    report.finish()
