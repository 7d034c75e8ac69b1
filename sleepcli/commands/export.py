"""`sleepcli export`: a trained run becomes a bundle of verified ONNX graphs."""

from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from sleepcli import ui
from sleepcli.exporting import LeastAgreement, Precision, follow_export
from sleepcli.extras import training_room


def export(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="Run folder of `sleepcli train`; with --night also a model's folder.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder of the new bundle.")],
    name: Annotated[str, typer.Option("--name", help="Name of the model; the folder's by default.")] = "",
    precision: Precision = "fp32",
    least_agreement: LeastAgreement = 0.9,
    with_weights: Annotated[
        bool,
        typer.Option("--with-weights", help="Put the weights in too: others can train on from the bundle."),
    ] = False,
    night: Annotated[
        Path | None,
        typer.Option("--night", metavar="RUN", help="Run folder of `sleepcli train --night`, to put into the bundle."),
    ] = None,
) -> None:
    """Export a trained run as ONNX graphs, compare each with torch, and publish the bundle.

    [bold]Examples[/]

      sleepcli export runs/nano --out models/nano

      sleepcli caption study.edf --model models/nano

      sleepcli export models/nano --night runs/night --out models/ours
    """
    with training_room("export"):
        from export.night import add_night
        from export.publish import BUNDLE_FILE, ExportOptions, export_run
    is_bundle = night is not None and (run / BUNDLE_FILE).is_file()
    wishes = ExportOptions(name, precision, least_agreement=least_agreement, trainable=with_weights)
    network = () if is_bundle else export_run(run, out, wishes)
    beside = add_night(run if is_bundle else out, night, out) if night else ()
    follow_export(chain(network, beside), "exporting", precision)
    ui.note(f"Bundle in {out}: use it with --model {out}.")
