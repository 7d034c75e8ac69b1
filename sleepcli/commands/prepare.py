"""`sleepcli prepare`: studies as the models take them, measured, ready for training."""

from pathlib import Path
from typing import Annotated

import typer

from core.batch import StudyRow
from sleepcli import options, ui
from sleepcli.model import reading, said
from sleepcli.run import RunOptions, finish, run_studies


def prepare(
    paths: options.Paths,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for the prepared studies.")],
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
) -> None:
    """Prepare studies: 64 Hz, normalised, with quality, measurements and the scoring, as .psg folders.

    [bold]Examples[/]

      sleepcli prepare nights/ --out prepared --jobs 2

      sleepcli prepare study.edf --scoring study.xml --out prepared
    """
    from core.inference.tasks import PrepareTask

    read = reading(montage, scoring, no_scoring, lights_off, lights_on)
    about = {"options": said(read), "key": f"prepare {sorted(said(read).items())}"}
    task = PrepareTask(out, read)
    wanted = RunOptions("prepare", out, jobs, on_error, json, study_id, about, timeout, retry_failed, cluster)
    rows = run_studies(task, paths, wanted, _show)
    finish(rows)


def _show(row: StudyRow) -> None:
    figures = row.result.figures
    scored = "with its scoring" if figures["scored"] else "without a scoring"
    ui.paragraph(f"{row.study}: {figures['epochs']} epochs, {scored}; {figures['channels']}")
