"""`sleepcli info`: what is in a study, and which signal becomes which channel."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from core.batch import Outcome, StudyInput, StudyRow
from core.errors import UsageError
from sleepcli import options, ui
from sleepcli.model import reading
from sleepcli.run import RunOptions, finish, run_studies, studies_of

COLUMNS = ("target", "source", "derivation", "rate", "unit", "state", "reason")


def info(
    paths: options.Paths,
    json: options.Json = False,
    montage: options.MontageFile = None,
    write_montage: Annotated[
        Path | None,
        typer.Option("--write-montage", metavar="FILE", help="Write the map as a TOML file to edit (one study)."),
    ] = None,
    on_error: options.OnError = "continue",
) -> None:
    """Show what a study holds: its format, length, repairs, and the map from signals to channels.

    [bold]Examples[/]

      sleepcli info study.edf

      sleepcli info study.edf --write-montage lab.toml && sleepcli caption study.edf --montage lab.toml
    """
    if write_montage is not None and len(studies_of(paths)) > 1:
        raise UsageError("--write-montage takes one study.", "Give one path.")
    reading(montage)
    task = InfoTask(montage, write_montage)
    rows = run_studies(task, paths, RunOptions("info", None, 1, on_error, json), _show)
    finish(rows)


@dataclass(frozen=True)
class InfoTask:
    """Reads headers and resolves labels; no signal is read."""

    montage: Path | None
    write_montage: Path | None

    def __call__(self, item: StudyInput) -> Outcome:
        """Look at one study."""
        from core.psg.channels import resolve
        from core.psg.montage import read_montage, write_montage
        from core.psg.recording import open_recording
        from core.psg.scoring import find_scoring
        from core.psg.store import is_store, open_store

        if is_store(item.path):
            study = open_store(item.path)
            figures = {"study": study.study, "format": study.source_format, "epochs": study.n_epochs}
            return Outcome(figures=figures, rows=({**figures, "channels": study.channel_map},), warnings=study.repairs)
        recording = open_recording(item.path)
        channel_map = resolve(recording.signals, read_montage(self.montage) if self.montage is not None else None)
        if self.write_montage is not None:
            write_montage(channel_map, self.write_montage)
        scoring = find_scoring(item.path)
        figures = {
            "study": item.study,
            "format": recording.format,
            "start": recording.start.isoformat() if recording.start is not None else None,
            "duration": recording.duration,
            "epochs": int(recording.duration // 30),
            "gaps": len(recording.gaps),
            "scoring": scoring.name if scoring is not None else None,
            "unused": list(channel_map.unused),
            "repairs": list(recording.repairs),
        }
        channels = [
            {
                "target": source.target,
                "source": " − ".join(source.labels),
                "derivation": source.derivation,
                "rate": source.rate,
                "unit": source.unit,
                "state": source.state,
                "reason": source.reason,
            }
            for source in channel_map.sources
        ]
        return Outcome(figures=figures, rows=({**figures, "channels": channels},), warnings=recording.repairs)

    def sources(self, item: StudyInput) -> tuple[Path, ...]:
        """The study alone."""
        return (item.path,)


def _show(row: StudyRow) -> None:
    figures = row.result.figures
    channels = row.result.rows[0]["channels"]
    hours = figures.get("duration", figures["epochs"] * 30) / 3600
    ui.heading(f"{row.study}: {figures['format']}, {hours:.2f} h, {figures['epochs']} epochs")
    listed = channels if isinstance(channels, list) else channels.get("sources", [])
    ui.table("", COLUMNS, ([channel.get(column, "") for column in COLUMNS] for channel in listed))
    for name in ("start", "gaps", "scoring"):
        if figures.get(name):
            ui.paragraph(f"{name}: {figures[name]}")
    if figures.get("unused"):
        ui.paragraph(f"not used: {', '.join(figures['unused'])}")
