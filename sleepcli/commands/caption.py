"""`sleepcli caption`: what happens in each epoch of a study, in words."""

from typing import Annotated

import typer

from core.batch import StudyRow
from core.errors import UsageError
from sleepcli import options, ui
from sleepcli.drawings.hypnogram import hypnogram
from sleepcli.model import about_model, model_choice, reading, said
from sleepcli.run import RunOptions, finish, run_studies

SHOWN = 3
"""Epochs whose captions are shown on a terminal; the files and --json have all."""


def caption(
    paths: options.Paths,
    model: options.Model = "nano",
    device: options.Device = "auto",
    out: options.Out = None,
    measured: Annotated[
        bool, typer.Option("--measured", help="Write from the measurements and the scoring alone, without a model.")
    ] = False,
    domains: Annotated[
        str | None,
        typer.Option("--domains", metavar="LIST", help="Some of brain,cardiac,respiration,somatic,stage_event."),
    ] = None,
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

      sleepcli caption nights/ --out captions --jobs 2

      sleepcli caption study.edf --measured --json > pairs.jsonl
    """
    from core.inference.captioning import CaptionOptions
    from core.inference.tasks import CaptionTask

    chosen = _domains(domains)
    read = reading(montage, scoring, no_scoring, lights_off, lights_on)
    wishes = {**said(read), "domains": ",".join(chosen)}
    if measured:
        choice, about = None, {"model": None, "options": wishes, "key": f"measured {sorted(wishes.items())}"}
    else:
        choice = model_choice(model, device, batch, 1 if cluster else jobs)
        about = about_model(choice, wishes)
    task = CaptionTask(out, choice, read, CaptionOptions(chosen))
    wanted = RunOptions("caption", out, jobs, on_error, json, study_id, about, timeout, retry_failed, cluster)
    rows = run_studies(task, paths, wanted, show_captions)
    finish(rows)


def _domains(text: str | None) -> tuple[str, ...]:
    from core.language.facts import DOMAINS

    if text is None:
        return DOMAINS
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if name not in DOMAINS:
            raise UsageError(f"There is no caption domain {name!r}.", f"Domains: {', '.join(DOMAINS)}.")
    return names


def show_captions(row: StudyRow) -> None:
    """Show the night in words, its hypnogram, and the captions of a few epochs."""
    result = row.result
    ui.heading(f"{row.study}: {result.figures['epochs']} epochs")
    ui.paragraph(str(result.figures.get("text", "")))
    if not result.rows:
        return
    ui.draw(hypnogram([entry["stage"] for entry in result.rows]))
    step = max(1, len(result.rows) // (SHOWN + 1))
    for entry in result.rows[step::step][:SHOWN]:
        ui.heading(f"Epoch {entry['epoch']}, {entry['onset']:.0f} s, stage {entry['stage']}")
        for domain, text in entry["captions"].items():
            ui.paragraph(f"  {domain}: {text}")
    ui.note(f"{len(result.rows)} epochs; --json prints them all, --out DIR writes them.")
