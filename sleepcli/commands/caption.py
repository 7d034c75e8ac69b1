"""`sleepcli caption`: what happens in each epoch of a study, in words."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.batch import StudyRow
from core.errors import SleepcliError, UsageError
from sleepcli import options, ui
from sleepcli.drawings.bars import stage_bars
from sleepcli.drawings.hypnogram import hypnogram, strip_width
from sleepcli.drawings.summary import EVENT_COLUMNS, clock, event_rows, quality_bars
from sleepcli.drawings.tracks import legend, tracks
from sleepcli.drawings.waves import waves
from sleepcli.model import model_choice, model_or_none, reading, said
from sleepcli.run import RunOptions, finish, run_studies

if TYPE_CHECKING:
    from core.inference.tasks import ModelChoice, Reading


Domains = Annotated[
    str | None,
    typer.Option("--domains", metavar="LIST", help="Some of brain,cardiac,respiration,somatic,stage_event."),
]
Epochs = Annotated[
    list[int] | None,
    typer.Option("--epoch", "-e", min=0, help="Show this epoch; again for more. Without --out, print no other."),
]
Beams = Annotated[
    int, typer.Option("--beams", min=1, max=16, help="Beginnings of each text that are followed; 1: the likeliest.")
]
GrammarOption = Annotated[
    bool, typer.Option("--grammar", help="Hold the model's texts to sentences that sleepcli reads back; CPU.")
]
Follow = Annotated[
    bool, typer.Option("--follow", "-f", help="Caption a recording that is being written, epoch by epoch.")
]
FollowTimeout = Annotated[
    float, typer.Option("--follow-timeout", min=0, help="Seconds without new data that end --follow; 0: never.")
]


def caption(
    paths: options.Paths,
    model: options.Model = "nano",
    device: options.Device = "auto",
    out: options.Out = None,
    measured: options.Measured = False,
    domains: Domains = None,
    epoch: Epochs = None,
    beams: Beams = 1,
    grammar: GrammarOption = False,
    follow: Follow = False,
    follow_timeout: FollowTimeout = 120.0,
    json: options.Json = False,
    jobs: options.Jobs = 1,
    on_error: options.OnError = "continue",
    timeout: options.Timeout = None,
    retry_failed: options.RetryFailed = False,
    cluster: options.Cluster = None,
    scoring: options.ScoringFile = None,
    no_scoring: options.NoScoring = False,
    lights_off: options.LightsOff = None,
    lights_on: options.LightsOn = None,
    montage: options.MontageFile = None,
    study_id: options.StudyId = None,
    batch: options.Batch = 0,
) -> None:
    """Caption studies: five domains an epoch, with stages, events, measurements and a summary.

    Every number is measured on the signal; a channel that is missing is said to be missing.

    [bold]Examples[/]

      sleepcli caption study.edf

      sleepcli caption study.edf --epoch 480 --epoch 481

      sleepcli caption nights/ --out captions --jobs 2

      sleepcli caption study.edf --measured --json > pairs.jsonl

      sleepcli caption tonight.edf --follow
    """
    from core.inference.captioning import CaptionOptions
    from core.inference.tasks import CaptionTask

    chosen = _domains(domains)
    read = reading(montage, scoring, no_scoring or follow, lights_off, lights_on)
    wishes = {**said(read), "domains": ",".join(chosen), "beams": beams, "grammar": grammar}
    choice, about = model_or_none(measured, wishes, model_choice(model, device, batch, 1 if cluster else jobs))
    if follow:
        unfit = {"--out": out, "--scoring": scoring, "--epoch": epoch, "--lights-off": lights_off}
        search = {"--beams": beams > 1, "--grammar": grammar}
        _alone(paths, [name for name, value in {**unfit, "--lights-on": lights_on, **search}.items() if value])
        return _follow(Path(paths[0]), choice, (chosen, montage, study_id, follow_timeout, json))
    if choice is None and (beams > 1 or grammar):
        raise UsageError("--beams and --grammar are about a model's texts.", "Leave them or --measured out.")
    task = CaptionTask(out, choice, read, CaptionOptions(chosen, beams=beams, grammar=grammar))
    wanted = RunOptions("caption", out, jobs, on_error, json, study_id, about, timeout, retry_failed, cluster)
    wanted = replace(wanted, epochs=tuple(epoch or ()))
    finish(run_studies(task, paths, wanted, partial(show_captions, read=read, epochs=wanted.epochs)))


def _follow(
    path: Path, choice: "ModelChoice | None", wishes: tuple[tuple[str, ...], Path | None, str | None, float, bool]
) -> None:
    """Caption a recording that is being written; `wishes` are the fields of `Live`."""
    from sleepcli.following import Live, show_live

    show_live(path, choice.engine() if choice is not None else None, Live(*wishes))


def _domains(text: str | None) -> tuple[str, ...]:
    from core.language.facts import DOMAINS

    if text is None:
        return DOMAINS
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if name not in DOMAINS:
            raise UsageError(f"There is no caption domain {name!r}.", f"Domains: {', '.join(DOMAINS)}.")
    return names


def _alone(paths: list[str], unfit: list[str]) -> None:
    """Refuse what does not go with a recording that is still being written."""
    if unfit:
        raise UsageError(f"{unfit[0]} does not go with --follow.", "Caption the recording again when it is whole.")
    if len(paths) != 1 or paths[0] == "-":
        raise UsageError("--follow takes one recording.", "Give one path.")


def show_captions(row: StudyRow, read: "Reading | None" = None, epochs: tuple[int, ...] = ()) -> None:
    """Show a night: words, hypnogram with its tracks, stages, events, channels, and an epoch with its signals.

    Parameters
    ----------
    row
        The finished study.
    read
        How it was opened, for the signals of the epoch; None for what the labels say.
    epochs
        Epochs to show, and nothing else; empty for the night and one epoch of it.
    """
    rows = row.result.rows
    columns = strip_width(ui.width())
    if not epochs:
        _show_night(row, columns)
    if not rows:
        return
    by_number = {entry["epoch"]: entry for entry in rows}
    for number in epochs or (_telling(rows),):
        if number not in by_number:
            raise UsageError(f"{row.study} has no epoch {number}.", f"Its epochs are 0 to {len(rows) - 1}.")
        show_epoch(by_number[number], Path(row.path), read, columns)
    if not epochs:
        ui.note(f"{len(rows)} epochs: --epoch N shows one, --json prints them all, --out DIR writes them.")


def _show_night(row: StudyRow, columns: int) -> None:
    result = row.result
    ui.heading(f"{row.study}: {result.figures['epochs']} epochs")
    ui.paragraph(str(result.figures.get("text", "")))
    if not result.rows:
        return
    stages = [entry["stage"] for entry in result.rows]
    along = tracks(result.rows, columns)
    ui.draw([*hypnogram(stages, columns), *along])
    ui.aside(legend(along))
    ui.draw(stage_bars(stages))
    if found := event_rows(result.rows):
        ui.table("Events of the whole recording", EVENT_COLUMNS, found)
    ui.heading("Usable share of each channel")
    ui.draw(quality_bars(result.rows))


def _telling(rows: tuple[dict[str, Any], ...]) -> int:
    """Choose the epoch that has most to tell: most kinds of events, and of those the one nearest to mid-night."""
    middle = len(rows) / 2
    kinds = [len({event["type"] for event in entry["events"]}) for entry in rows]
    best = max(range(len(rows)), key=lambda index: (kinds[index], -abs(index - middle)))
    return int(rows[best]["epoch"])


def show_epoch(entry: Mapping[str, Any], path: Path, read: "Reading | None", columns: int) -> None:
    """Show one epoch: its place, its captions, and its signals where they can be read."""
    from core.inference.excerpt import excerpt
    from core.psg.montage import read_montage

    probability = entry["stage_probabilities"].get(entry["stage"])
    sure = f" ({100 * probability:.0f} %)" if probability is not None else ""
    ui.heading(f"Epoch {entry['epoch']} at {clock(entry['onset'])}, stage {entry['stage']}{sure}")
    for domain, text in entry["captions"].items():
        ui.told(domain.replace("_", " "), text)
    if not ui.has_braille():
        return
    montage = read_montage(read.montage) if read is not None and read.montage is not None else None
    try:
        ui.draw(waves(excerpt(path, entry["epoch"], montage=montage), columns))
    except SleepcliError as error:  # the captions stand without their drawing
        ui.warn(f"The signals are not drawn: {error.message}")
