"""`sleepcli export`: a trained run becomes a bundle of verified ONNX graphs."""

from pathlib import Path
from typing import Annotated

import typer

from sleepcli import ui
from sleepcli.extras import training_room


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder of `sleepcli train`.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder of the new bundle.")],
    name: Annotated[str, typer.Option("--name", help="Name of the model; the folder's by default.")] = "",
    precision: Annotated[
        str, typer.Option("--precision", metavar="fp32|fp16|int8", help="How weights are kept.")
    ] = "fp32",
) -> None:
    """Export a trained run as ONNX graphs, compare each with torch, and publish the bundle.

    [bold]Examples[/]

      sleepcli export runs/nano --out models/nano

      sleepcli caption study.edf --model models/nano
    """
    with training_room("export"):
        from export.publish import ExportOptions, export_run
    with ui.progress("exporting", None) as bar:
        for event in export_run(run, out, ExportOptions(name=name, precision=precision)):
            bar.show(f"{event.step} {event.graph}")
            if event.difference is not None:
                ui.note(f"{event.graph}: differs from torch by {event.difference:.1e} at most")
    ui.note(f"Bundle in {out}: use it with --model {out}.")
