"""Arguments and options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Sources = Annotated[
    list[str], typer.Argument(metavar="SOURCE", help="Pictures, folders of pictures, or patterns such as 'trip/*.jpg'.")
]
Model = Annotated[
    str, typer.Option("--model", metavar="NAME|FILE", help="What finds faces: a shipped model or an ONNX file.")
]
Device = Annotated[str, typer.Option(help="cpu, cuda, openvino or an onnxruntime provider; it must be there.")]
Threads = Annotated[int, typer.Option(min=1, help="Threads that one model call may use.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace results that are there already.")]


def examples(*lines: str) -> str:
    """The end of a command's help."""
    return "[bold]Examples[/bold]\n\n" + "\n\n".join(f"  [cyan]{line}[/cyan]" for line in lines)
