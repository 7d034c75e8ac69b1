"""`sleepcli info`: what is in a study, and which signal becomes which channel."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.batch import Outcome, StudyInput, StudyRow
from core.errors import UsageError
from sleepcli import options, ui
from sleepcli.config import PROGRAM, Command, config_files, settings
from sleepcli.model import reading
from sleepcli.run import RunOptions, finish, run_studies, studies_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from core.psg.channels import ChannelMap
    from core.psg.recording import Recording

COLUMNS = ("channel", "signal", "rate", "unit", "state", "why")
EPOCH_SECONDS = 30
USABLE = ("ok", "mains")
"""States in which a number may be measured."""
SCORING_SUFFIXES = (".xml", ".annot", ".eannot", ".csv", ".tsv", ".txt", ".json")
"""Suffixes of scorings that are no recordings."""


def info(
    context: typer.Context,
    paths: options.Paths = [],  # noqa: B006 - Typer's way to say that no path is needed
    json: options.Json = False,
    montage: options.MontageFile = None,
    write_montage: Annotated[
        Path | None,
        typer.Option("--write-montage", metavar="FILE", help="Write the map as a TOML file to edit (one study)."),
    ] = None,
    quality: Annotated[
        bool, typer.Option("--quality", help="Read the signals too, and say how much of each channel is usable.")
    ] = False,
    config: Annotated[
        bool, typer.Option("--config", help="Show the value of every option instead, and where it comes from.")
    ] = False,
    on_error: options.OnError = "continue",
) -> None:
    """Show what a study holds: its format, length, repairs, and the map from signals to channels. Scorings too.

    [bold]Examples[/]

      sleepcli info study.edf

      sleepcli info study.edf --write-montage lab.toml

      sleepcli info nights/ --quality --json

      sleepcli info --config
    """
    if config:
        _show_config(context.find_root().command, json)
        return
    if not paths:
        raise UsageError("There is no study to look at.", "Give a path, or --config for the options.")
    if write_montage is not None and len(studies_of(paths)) > 1:
        raise UsageError("--write-montage takes one study.", "Give one path.")
    reading(montage)
    task = InfoTask(montage, write_montage, quality)
    rows = run_studies(task, paths, RunOptions("info", None, 1, on_error, json), _show)
    finish(rows)


def _show_config(program: Command, json: bool) -> None:
    """Print where options get their values: what is set by files and variables first."""
    found = settings(program)
    if ui.wants_json(json):
        ui.json_lines(setting.to_json() for setting in found)
        return
    for file in config_files():
        ui.paragraph(f"{'read' if file.is_file() else 'not there'}: {file}")
    set_by = [setting for setting in found if setting.origin != PROGRAM or len(setting.commands) > 1]
    rows = ([one.option, one.shown, one.origin, ", ".join(one.commands)] for one in set_by)
    ui.table("Options", ("option", "value", "from", "commands"), rows)
    ui.note("Stronger first: the command line, SLEEPCLI_<COMMAND>_<OPTION>, SLEEPCLI_<OPTION>,")
    ui.note("the user's file, the lab's, the program. --json has the options of single commands too.")


@dataclass(frozen=True)
class InfoTask:
    """Reads headers and resolves labels; signals are read for their quality alone."""

    montage: Path | None
    write_montage: Path | None
    quality: bool = False

    def __call__(self, item: StudyInput) -> Outcome:
        """Look at one study."""
        from core.psg.mapping import map_recording
        from core.psg.montage import read_montage, write_montage
        from core.psg.recording import open_recording
        from core.psg.scoring import find_scoring
        from core.psg.store import is_store

        if is_store(item.path) or item.path.suffix.lower() == ".npy":
            if self.write_montage is not None:
                raise UsageError(f"{item.path} is prepared: its channels are settled.", "Give the recording.")
            return _prepared_outcome(item)
        if item.path.suffix.lower() in SCORING_SUFFIXES and not _is_edf(item.path):
            return _scoring_outcome(item)
        recording = open_recording(item.path)
        if recording.is_scoring:
            return _scoring_outcome(item)
        montage = read_montage(self.montage) if self.montage is not None else None
        channel_map = map_recording(recording, montage)
        if self.write_montage is not None:
            write_montage(channel_map, self.write_montage)
        shares: dict[str, dict[str, float]] = {}
        warnings: tuple[str, ...] = ()
        if self.quality:
            channel_map, shares, warnings = _quality(recording, channel_map)
        scoring = find_scoring(item.path)
        figures = {
            "study": item.study,
            "format": recording.format,
            "start": recording.start.isoformat() if recording.start is not None else None,
            "duration": recording.duration,
            "epochs": int(recording.duration // EPOCH_SECONDS),
            "gaps": [{"onset": gap.onset, "duration": gap.duration} for gap in recording.gaps],
            "scoring": scoring.name if scoring is not None else None,
            "unused": list(channel_map.unused),
            "repairs": [*recording.repairs, *warnings],
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
                **({"quality": shares[source.target]} if source.target in shares else {}),
            }
            for source in channel_map.shown()
        ]
        rows = ({**figures, "channels": channels},)
        return Outcome(figures=figures, rows=rows, warnings=(*recording.repairs, *warnings))

    def sources(self, item: StudyInput) -> tuple[Path, ...]:
        """The study alone."""
        return (item.path,)


def _is_edf(path: Path) -> bool:
    """Whether a file is an EDF, whatever its suffix says."""
    from core.psg.edf.header import FIXED_BYTES, looks_like_edf

    if not path.is_file():
        return False
    with path.open("rb") as file:
        return looks_like_edf(file.read(FIXED_BYTES))


def _quality(
    recording: "Recording", channel_map: "ChannelMap"
) -> tuple["ChannelMap", dict[str, dict[str, float]], tuple[str, ...]]:
    """Give the map of what is taken, each channel's share of epochs in each state, and what was repaired."""
    from core.psg.alternatives import load_living
    from core.psg.quality import assess

    channel_map, traces = load_living(recording, channel_map)
    states = assess(traces, int(recording.duration // EPOCH_SECONDS))
    shares = {name: share for name, share in _shares(states).items() if name in traces}
    return channel_map, shares, tuple(repair for trace in traces.values() for repair in trace.repairs)


def _shares(states: "NDArray[np.uint8]") -> dict[str, dict[str, float]]:
    """Give for each channel the share of epochs in each state."""
    from core.psg.channels import CHANNELS
    from core.psg.quality import State

    return {
        channel.name: {
            State(state).name.lower(): round(count / len(states), 3)
            for state, count in sorted(Counter(states[:, column].tolist()).items())
        }
        for column, channel in enumerate(CHANNELS)
    }


def _prepared_outcome(item: StudyInput) -> Outcome:
    """Say what a prepared study or an array holds; its states are known, so its quality is told too."""
    from core.inference.studies import StudyOptions, open_study

    wishes = StudyOptions(study_id=item.study, look_for_scoring=item.path.is_dir(), measured=False)
    study = open_study(item.path, wishes)
    scored = study.scoring is not None and study.scoring.source
    figures: dict[str, Any] = {
        "study": study.study,
        "format": f"prepared from {study.source_format}",
        "start": study.start.isoformat() if study.start is not None else None,
        "duration": float(study.n_epochs * EPOCH_SECONDS),
        "epochs": study.n_epochs,
        "scoring": scored or None,
        "unused": study.channel_map.get("unused", []),
        "repairs": list(study.repairs),
    }
    rows = {row["target"]: row for row in study.channel_map.get("channels", ())}
    channels = []
    shares = _shares(study.states)
    for target in (*shares, *(target for target in rows if target not in shares)):
        share = shares.get(target, {})
        row = rows.get(target, {"state": "missing" if share == {"missing": 1.0} else "ok"})
        told = {name: row.get(name, "") for name in ("derivation", "rate", "unit", "state", "reason")}
        source = {"target": target, "source": " − ".join(row.get("labels", ()))}
        channels.append(source | told | ({"quality": share} if share and told["state"] != "missing" else {}))
    return Outcome(figures=figures, rows=({**figures, "channels": channels},), warnings=study.repairs)


def _scoring_outcome(item: StudyInput) -> Outcome:
    """Say what a scoring holds: epochs of each stage, events of each type, lights."""
    from core.psg.scoring import read_scoring

    scoring = read_scoring(item.path)
    figures: dict[str, Any] = {
        "study": item.study,
        "format": "scoring",
        "epochs": len(scoring.stages),
        "stages": dict(sorted(Counter(scoring.stages).items())),
        "events": dict(sorted(Counter(event.type for event in scoring.events).items())),
        "lights_off": scoring.lights_off,
        "lights_on": scoring.lights_on,
    }
    return Outcome(figures=figures, rows=(figures,))


def _show(row: StudyRow) -> None:
    figures = row.result.figures
    hours = figures.get("duration", figures["epochs"] * EPOCH_SECONDS) / 3600
    ui.heading(f"{row.study}: {figures['format']}, {hours:.2f} h, {figures['epochs']} epochs")
    if figures["format"] == "scoring":
        for name in ("stages", "events"):
            ui.paragraph(f"{name}: {', '.join(f'{count} {kind}' for kind, count in figures[name].items()) or 'none'}")
        ui.paragraph("A scoring, not a study: give it with --scoring, or keep it beside its study.")
        return
    channels = row.result.rows[0]["channels"]
    columns = (*COLUMNS, "usable") if any("quality" in channel for channel in channels) else COLUMNS
    ui.table("", columns, ([*_cells(channel)][: len(columns)] for channel in channels))
    if figures.get("start"):
        ui.paragraph(f"start: {figures['start'].replace('T', ' ')}")
    for gap in figures.get("gaps", ()):
        ui.paragraph(f"gap: {gap['duration']:g} s without data from {gap['onset']:g} s on")
    if figures.get("scoring"):
        ui.paragraph(f"scoring: {figures['scoring']}")
    if figures.get("unused"):
        ui.paragraph(f"not used: {', '.join(figures['unused'])}")


def _letters(text: str) -> str:
    return "".join(character for character in text.upper() if character.isalnum())


def _cells(channel: Mapping[str, Any]) -> list[str]:
    """The row of one channel; a derivation that its labels do not show stands below them."""
    signal, derivation = channel["source"], channel["derivation"]
    if _letters(derivation) not in _letters(signal):
        signal = f"{signal}\n= {derivation}"
    rate = f"{channel['rate']:.5g}" if channel["rate"] else ""
    quality = channel.get("quality")
    usable = "" if quality is None else f"{100 * sum(quality.get(name, 0.0) for name in USABLE):.0f} %"
    return [channel["target"], signal, rate, channel["unit"], channel["state"], channel["reason"], usable]
