"""`sleepcli export`: a trained run becomes a bundle of verified ONNX graphs."""

from pathlib import Path
from typing import Annotated

import typer

from sleepcli import ui
from sleepcli.extras import training_room


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder of `sleepcli train`.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder of the new bundle.")],
    name: Annotated[str | None, typer.Option("--name", help="Name of the model; the folder's by default.")] = None,
) -> None:
    """Export a trained run as ONNX graphs, compare each with torch, and publish the bundle.

    [bold]Examples[/]

      sleepcli export runs/nano --out models/nano

      sleepcli caption study.edf --model models/nano
    """
    with training_room("export"):
        from export.publish import ExportOptions, export_run
    with ui.progress("exporting", None) as bar:
        for event in export_run(run, out, ExportOptions(name=name or out.name)):
            bar.show(str(event))
            ui.note(str(event))
    ui.note(f"Bundle in {out}: use it with --model {out}.")
