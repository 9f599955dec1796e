"""The command line: parse, call one function, print."""

from __future__ import annotations

import json
import logging
import sys
import time
import warnings
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from mien import __version__
from mien.errors import MienError
from mien.types import Failure, Frame

_EXTRAS = {
    **dict.fromkeys(("albumentations", "lightning", "matplotlib", "onnx", "onnxscript"), "train"),
    **dict.fromkeys(("pyarrow", "safetensors", "tensorboard", "torch"), "train"),
    **dict.fromkeys(("fastapi", "prometheus_client", "uvicorn", "websockets"), "serve"),
    "ray": "scale",
}

app = typer.Typer(
    name="mien",
    help="Find faces, cut people out, make portraits, and train your own models.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
models_app = typer.Typer(help="List, check and describe the models.", invoke_without_command=True, rich_markup_mode="rich")
app.add_typer(models_app, name="models")

Sources = Annotated[
    list[str], typer.Argument(metavar="SOURCE", help="Pictures, folders of pictures, or patterns such as 'trip/*.jpg'.")
]
Model = Annotated[
    str, typer.Option("--model", metavar="NAME|FILE", help="What finds faces: a shipped model or an ONNX file.")
]
Device = Annotated[str, typer.Option(help="cpu, cuda, openvino or an onnxruntime provider; it must be there.")]
Threads = Annotated[int, typer.Option(min=1, help="Threads that one model call may use.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace results that are there already.")]


def _examples(*lines: str) -> str:
    return "[bold]Examples[/bold]\n\n" + "\n\n".join(f"  [cyan]{line}[/cyan]" for line in lines)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        print(f"mien {__version__}")
        raise typer.Exit


@app.callback()
def _start(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Tell more on the error output.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    logging.getLogger("mien").setLevel(logging.DEBUG if verbose else logging.ERROR)
    logging.basicConfig(format="mien: %(message)s")
    # What Pillow warns of in odd files is either harmless or becomes an error of its own.
    warnings.filterwarnings("default" if verbose else "ignore", module=r"PIL\.")


@app.command(
    epilog=_examples(
        "mien analyze photo.jpg",
        "mien analyze holiday/ -o results",
        "mien analyze holiday/ --json > faces.jsonl",
        "mien analyze school-class.jpg --tile --min-size 10",
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
        str, typer.Option(metavar="never|auto|all", help="Try all four ways round: keep the best one, or all faces.")
    ] = "never",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Pictures at the same time; one for each processor, 4 at most, if not given.")
    ] = None,
    model: Model = "faces",
    device: Device = "cpu",
    threads: Threads = 1,
    overwrite: Overwrite = False,
) -> None:
    """Find faces: boxes, scores and keypoints, as a table, as JSON, or drawn on the pictures.

    A picture that cannot be read is reported in its place and the others go on; the exit code is 2 when none could be read.
    """
    from mien.attributes import from_card
    from mien.media.sinks import OutputFolder
    from mien.media.sources import expand
    from mien.media.write import whole_file, write
    from mien.models.settings import Settings, face_model
    from mien.pipeline import Prediction, faces_stage, run_batch

    paths = expand(sources)
    folder = OutputFolder(output, paths, (".json", ".overlay.jpg"), overwrite=overwrite) if output else None
    settings = Settings(
        model=model,
        min_score=min_score,
        min_size=min_size,
        max_faces=max_faces,
        fast=fast,
        tile=tile_side or tile,
        rotate=rotate,  # type: ignore[arg-type]  # checked where it is used
        device=device,
        threads=threads,
    )
    finder = face_model(settings)
    described = from_card(finder.card.attributes)
    report = _Report("faces", "best")

    # A bar and lines of JSON would spoil each other on one terminal.
    is_watched = _is_watched(len(paths)) and not (as_json and sys.stdout.isatty())
    with _bar(is_shown=is_watched) as bar:
        results = run_batch(paths, [faces_stage(finder)], workers=workers)
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
            scores = prediction.faces.scores
            report.add(result, str(len(scores)), f"{scores.max():.2f}" if len(scores) else "-")
    report.finish(is_quiet=as_json)


@app.command(
    epilog=_examples("mien filter portrait.jpg -o posters", "mien filter portraits/ -o cutouts --background transparent")
)
def filter(  # noqa: A001
    sources: Sources,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for NAME.png of each picture.")],
    background: Annotated[
        str | None,
        typer.Option(help="'transparent', a word such as 'blur', a colour or a picture file; a framed poster if not given."),
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
    from mien.media.sinks import OutputFolder
    from mien.media.sources import Photos, expand
    from mien.media.write import write
    from mien.models.settings import Settings
    from mien.pipeline import filter_stages, run

    paths = expand(sources)
    folder = OutputFolder(output, paths, (".png",), overwrite=overwrite)
    settings = Settings(model=model, matte_model=matte_model, device=device, threads=threads)
    stages = filter_stages(settings, background, seed=seed)
    report = _Report("result")

    with _bar(is_shown=_is_watched(len(paths))) as bar:
        for number, result in enumerate(bar.track(run(Photos(paths), stages), total=len(paths), description="pictures")):
            done = write(result, folder.path(number, ".png")) if isinstance(result, Frame) else "-"
            report.add(result, str(done))
    report.finish()


def _shipped() -> dict[str, Path]:
    from mien.models.store import shipped

    found = shipped()
    if not found:
        raise MienError("no models come with this installation; install mien again, or train one with: mien train")
    return found


@models_app.callback()
def models(context: typer.Context) -> None:
    """List the models that come with mien."""
    if context.invoked_subcommand is not None:
        return
    from mien.models.onnx_file import read_onnx
    from mien.models.store import summary

    table = Table("name", "what it is", "scores", "trained on (terms)", box=box.SIMPLE_HEAD, show_lines=True)
    for name, path in _shipped().items():
        row, card = summary(name), read_onnx(path).card
        about = f"{row.summary}\n{row.version}, {row.size_bytes / 1e6:.2f} MB, weights {row.licence}"
        scores = [score for score in card.scores if score.get("slice", "all") == "all"]
        shown = "\n".join(f"{score.get('metric', '')} {score.get('value', 0):.3f}" for score in scores[:4])
        data = "\n".join(f"{one.get('pictures')} {one.get('name')} ({one.get('terms')})" for one in card.data)
        table.add_row(*map(_plain, (name, about, shown, data)))
    _console().print(table)


@models_app.command(epilog=_examples("mien models check", "mien models check faces my-model.onnx"))
def check(
    models: Annotated[list[str] | None, typer.Argument(help="Names or files; all shipped models if not given.")] = None,
    device: Device = "cpu",
) -> None:
    """Run the self-test that each model file carries: its answers must be those it gave when it was made."""
    from mien.models.store import check as check_model

    failed = 0
    for name in models or _shipped():
        try:
            rows = check_model(name, device=device)
        except MienError as error:
            _complain(str(error))
            failed += 1
            continue
        print(f"{name}: ok, {len(rows)} golden answers, largest difference {max(row.difference for row in rows):.1e}")
    if failed:
        raise typer.Exit(2)


@models_app.command(epilog=_examples("mien models show faces"))
def show(model: Annotated[str, typer.Argument(help="A shipped model's name or a model file.")]) -> None:
    """Show a model's card: scores, training data and its terms, thresholds, known failures."""
    from mien.models.onnx_file import read_onnx
    from mien.models.store import model_path

    text = read_onnx(model_path(model)).card.to_markdown()
    if sys.stdout.isatty():
        _console().print(Markdown(text))
    else:
        print(text, end="")


@app.command(epilog=_examples("mien train recipes/faces.toml", "mien train recipes/faces.toml -o runs/mine --no-resume"))
def train(
    recipe: Annotated[Path, typer.Argument(help="The recipe, a TOML file.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder of the run; runs/NAME if not given.")] = None,
    root: Annotated[Path | None, typer.Option(help="Folder that the recipe's data lies in.")] = None,
    resume: Annotated[bool, typer.Option(help="Go on from the last checkpoint in the folder.")] = True,
    threads: Threads = 1,
    workers: Annotated[int, typer.Option(min=0, help="Processes that prepare pictures.")] = 1,
) -> None:
    """Train the model that a recipe describes and write it as one ONNX file with its card."""
    from mien.learn.trainer import train as train_model

    logging.getLogger("mien").setLevel(logging.INFO)
    path = train_model(recipe, out=output, root=root, resume=resume, threads=threads, workers=workers)
    print(path)


@app.command(
    epilog=_examples("mien evaluate faces my-test-pictures/", "mien evaluate runs/mine/faces.onnx set.parquet --json")
)
def evaluate(
    model: Annotated[str, typer.Argument(help="A shipped model's name or a model file.")],
    data: Annotated[Path, typer.Argument(help="Labelled pictures: a folder with metadata.jsonl, or a Parquet file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")] = False,
    threads: Threads = 1,
) -> None:
    """Score a model on labelled pictures, whole and in slices, with 95 % intervals."""
    from mien.learn.evaluate import evaluate as evaluate_model

    with _bar(is_shown=sys.stderr.isatty()) as bar:
        task = bar.add_task("pictures", total=None)
        report = evaluate_model(
            model, data, threads=threads, progress=lambda done, count: bar.update(task, completed=done, total=count)
        )
    if as_json:
        print(report.to_json())
        return
    head, *rows = report.table()
    table = Table(*head, box=box.SIMPLE_HEAD)
    for row in rows:
        table.add_row(*map(_plain, row))
    _console().print(table)
    for note in report.notes:
        print(f"Note: {note}.")


class _Report:
    """The table at the end of a batch."""

    def __init__(self, *columns: str) -> None:
        self._table = Table("picture", "size", *columns, "note", box=box.SIMPLE_HEAD, pad_edge=False)
        for column in self._table.columns:
            column.overflow = "fold"
        self._done = 0
        self._failures: list[Failure] = []
        self._started_s = time.perf_counter()

    def add(self, result: Frame | Failure, *cells: str) -> None:
        """One picture: its cells where it could be done, else its error."""
        if isinstance(result, Frame):
            self._done += 1
            self._table.add_row(*map(_plain, (result.source, f"{result.width}x{result.height}", *cells, "")))
            return
        self._failures.append(result)
        note = result.message.removeprefix(f"{result.source}: ")
        self._table.add_row(*map(_plain, (result.source, "-", *("-" for _ in cells), note)), style="red")

    def finish(self, *, is_quiet: bool = False) -> None:
        """Print it (a single picture's error goes on the error output alone) and exit with 2 when nothing could be done."""
        is_single = self._done + len(self._failures) == 1
        if is_quiet or (is_single and self._failures):
            for failure in self._failures:
                _complain(failure.message)
        else:
            console = _console()
            console.print(self._table)
            failed = f", {len(self._failures)} failed" if self._failures else ""
            console.print(f"{self._done} done{failed}, {time.perf_counter() - self._started_s:.1f} s")
        if not self._done:
            raise typer.Exit(2)


def _is_watched(count: int) -> bool:
    return count > 1 and sys.stderr.isatty()


def _bar(*, is_shown: bool) -> Progress:
    """A progress bar on the error output, gone when its block ends."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True, disable=not is_shown, redirect_stdout=False)


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else 120, highlight=False)


def _plain(text: object) -> Text:
    """Text as it is: file names are no markup, and control characters in them are not sent to the terminal."""
    return Text("".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in str(text)))


def _complain(message: str) -> None:
    print(f"mien: {_plain(' '.join(message.split()))}", file=sys.stderr)


def main() -> None:
    """Run the command line. Exit code 0: done; 1: a fault in mien; 2: wrong input, with one line that says what."""
    try:
        app()
    except MienError as error:
        _complain(str(error))
        sys.exit(2)
    except Exception as error:  # the border of the command line
        missing = error.name if isinstance(error, ModuleNotFoundError) and error.name else ""
        if (extra := _EXTRAS.get(missing.split(".")[0])) is not None:
            _complain(f"this needs {missing}, which is not installed: pip install 'mien[{extra}]'")
            sys.exit(2)
        logging.getLogger("mien").exception("unexpected")
        _complain(f"a fault in mien, not in your input ({type(error).__name__}: {error}); please report the lines above")
        sys.exit(1)


if __name__ == "__main__":
    main()
