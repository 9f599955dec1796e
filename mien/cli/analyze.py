"""`mien analyze`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from mien.cli.app import app
from mien.cli.options import Device, Model, Overwrite, Sources, Threads, examples
from mien.cli.report import Report, has_watcher, progress_bar


@app.command(
    epilog=examples(
        "mien analyze photo.jpg",
        "mien analyze holiday/ -o results",
        "mien analyze holiday/ --json > faces.jsonl",
        "mien analyze school-class.jpg --tile --min-size 10",
        "mien analyze faces/*.png --crops --with age,gender",
    )
)
def analyze(
    sources: Sources,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for NAME.overlay.jpg and NAME.json of each picture.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON for each picture, and nothing else.")
    ] = False,
    min_score: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Leave out faces that score less; the model's own threshold if not given."),
    ] = None,
    min_size: Annotated[
        float, typer.Option(min=0, metavar="PX", help="Leave out faces whose box has a shorter side, in pixels.")
    ] = 0,
    max_faces: Annotated[int | None, typer.Option(min=1, help="At most so many faces a picture, the best ones.")] = None,
    fast: Annotated[bool, typer.Option("--fast", help="See the pictures smaller: quicker, misses small faces.")] = False,
    tile: Annotated[
        bool, typer.Option("--tile", help="Look at parts of each picture as well: slow, finds the smallest faces.")
    ] = False,
    tile_side: Annotated[
        int | None,
        typer.Option(min=32, metavar="PX", help="Side of the smallest parts, implies --tile; less finds smaller faces."),
    ] = None,
    rotate: Annotated[
        str,
        typer.Option(
            metavar="never|auto|all", help="Try other ways round: keep the best angle, or the faces of all four sides."
        ),
    ] = "never",
    crops: Annotated[bool, typer.Option("--crops", help="Take each picture as one face that fills it.")] = False,
    with_: Annotated[
        str, typer.Option("--with", metavar="NAMES", help="Sensitive attributes to read as well: age,gender.")
    ] = "",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Pictures at the same time; one for each processor, 4 at most, if not given.")
    ] = None,
    model: Model = "faces",
    attribute_model: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="What reads faces: a shipped model or an ONNX file.")
    ] = "attributes",
    device: Device = "cpu",
    threads: Threads = 1,
    overwrite: Overwrite = False,
) -> None:
    """Find and read faces: boxes, keypoints, smile, mask, expression and more, as a table, as JSON, or drawn on the
    pictures.

    A picture that cannot be read is reported in its place and the others go on; the exit code is 2 when none could be read.
    """
    from mien.attributes import short_text
    from mien.media.sinks import OutputFolder
    from mien.media.sources import expand
    from mien.media.write import whole_file, write
    from mien.models.settings import Settings
    from mien.pipeline import Prediction, analyze_stages, run_batch

    paths = expand(sources)
    folder = OutputFolder(output, paths, (".json", ".overlay.jpg"), overwrite=overwrite) if output else None
    settings = Settings(
        model=model,
        attribute_model=attribute_model,
        with_=tuple(name.strip() for name in with_.split(",") if name.strip()),
        min_score=min_score,
        min_size=min_size,
        max_faces=max_faces,
        fast=fast,
        tile=tile_side or tile,
        rotate=rotate,  # type: ignore[arg-type]  # checked where it is used
        device=device,
        threads=threads,
    )
    stages, described = analyze_stages(settings, crops=crops)
    report = Report("faces", "best", "the best one")

    # A bar and lines of JSON would spoil each other on one terminal.
    is_watched = has_watcher(len(paths)) and not (as_json and sys.stdout.isatty())
    with progress_bar(is_shown=is_watched) as bar:
        results = run_batch(paths, stages, workers=workers)
        for number, result in enumerate(bar.track(results, total=len(paths), description="pictures")):
            prediction = Prediction.of(result, described)
            line = json.dumps(prediction.to_json(), allow_nan=False)
            if as_json:
                print(line, flush=True)
            if folder is not None:
                with whole_file(folder.path(number, ".json")) as file:
                    file.write(line.encode() + b"\n")
                if prediction.error is None:
                    write(prediction.draw(), folder.path(number, ".overlay.jpg"))
            faces = prediction.faces
            best = ", ".join(
                text
                for name, column in faces.attributes.items()
                if len(faces) and (text := short_text(described[name], column, 0))
            )
            report.add(result, str(len(faces)), f"{faces.scores[0]:.2f}" if len(faces) else "-", best or "-")
    report.finish(is_quiet=as_json)
