"""`mien label`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli.app import app
from mien.cli.options import Device, Model, Threads, examples
from mien.cli.report import new_console


@app.command(
    epilog=examples("mien label masks", "mien label masks --port 9000 --no-browser", "mien label masks --no-suggest")
)
def label(
    project: Annotated[Path, typer.Argument(help="The project's folder, as mien new makes it.")],
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Where the page is; 8765 or the next free one if not given.")
    ] = None,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Listen here; one that other machines reach needs a token.")
    ] = "127.0.0.1",
    token: Annotated[
        str, typer.Option(envvar="MIEN_TOKEN", help="What a browser must show to be let in; better put in MIEN_TOKEN.")
    ] = "",
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = True,
    suggest: Annotated[bool, typer.Option(help="Let the model fill the pictures in.")] = True,
    model: Model = "faces",
    device: Device = "cpu",
    threads: Threads = 1,
) -> None:
    """Label a project's pictures in the browser: boxes, keypoints and answers, filled in by the model, saved at once.

    The page is reached from this machine only. Ctrl-C ends it; nothing is lost.
    """
    from mien.data.project import Project
    from mien.models.settings import Settings
    from mien.serve.access import Access
    from mien.serve.app import address_of, create_app, listen, open_browser, serve
    from mien.serve.label import LabelDesk, label_router
    from mien.serve.suggest import Finder

    access = Access(host, token)
    desk = LabelDesk(
        Project.open(project),
        Finder.of(Settings(model=model, device=device, threads=threads)) if suggest else None,
    )
    bound = listen(host, 8765 if port is None else port, is_fallback_allowed=port is None)
    address = address_of(bound, "/label")

    def tell() -> None:
        desk.start()
        new_console().print(f"Labelling {desk.project.settings.name!r} at {address}  (Ctrl-C ends it)", markup=False)
        if token:
            new_console().print("The page asks for the token.", markup=False)
        if browser:
            open_browser(address)

    serve(create_app(label_router(desk), access=access), bound, on_ready=tell, on_end=desk.close)
