"""`sleepcli deidentify`: a copy of a recording that names nobody."""

from pathlib import Path
from typing import Annotated

import typer

from core.errors import UsageError
from sleepcli import options, ui


def deidentify(
    source: Annotated[Path, typer.Argument(metavar="IN", help="EDF, EDF+ or BDF file.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The copy to write.")],
    shift_days: Annotated[int, typer.Option("--shift-days", help="Move the start date by this many days.")] = 0,
    drop_events: Annotated[
        bool, typer.Option("--drop-events", help="Leave annotations of stages and events out too.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Write a copy without patient, recording, device or free-text fields; signals stay byte for byte.

    [bold]Examples[/]

      sleepcli deidentify study.edf anonymous.edf

      sleepcli deidentify study.edf anonymous.edf --shift-days -1234
    """
    from core.psg.deidentify import DeidentifyOptions
    from core.psg.deidentify import deidentify as write_copy

    if not source.exists():
        raise UsageError(f"No such file: {source}.", "Check the path.")
    if target.is_dir():
        raise UsageError(f"{target} is a folder.", f"Name the copy in it, such as {target / source.name}.")
    result = write_copy(source, target, DeidentifyOptions(shift_days, not drop_events))
    for repair in result.repairs:
        ui.warn(f"{source.name}: {repair}")
    if ui.wants_json(json):
        ui.json_lines([{**vars(result), "repairs": list(result.repairs)}])
        return
    ui.paragraph(
        f"{target}: {result.fields_replaced} header fields replaced, "
        f"{result.annotations_removed} annotations removed, {result.annotations_kept} of stages and events kept."
    )
