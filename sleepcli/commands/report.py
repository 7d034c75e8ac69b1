"""`sleepcli report`: a night as one page that can be looked through, reviewed and printed."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.batch import StudyRow
from core.errors import UsageError
from sleepcli import options, ui
from sleepcli.model import model_choice, model_or_none, reading, said
from sleepcli.run import RunOptions, finish, run_studies, studies_of

if TYPE_CHECKING:
    from core.inference.report.task import ReportTask

INDEX = "index.html"


Target = Annotated[
    Path, typer.Option("--out", "-o", metavar="FILE|DIR", help="File of one study's report, or folder of several.")
]
Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="html|png|svg|pdf",
        autocompletion=options.one_of("html", "png", "svg", "pdf"),
        help="The page, or its figure alone; by default what FILE ends with, else html.",
    ),
]


def report(
    paths: options.Paths,
    out: Target,
    form: Format = None,
    model: options.Model = "nano",
    device: options.Device = "auto",
    measured: options.Measured = False,
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
    """Report on studies: a page each that needs no network, to look through, to review and to print.

    The page holds hypnogram, spectrogram, saturation, heart rate, position and events on one time axis, the night in
    words with its evidence, a search over the captions, and a review that saves its corrections as a scoring. A scoring
    beside the study gives stages and events, and the page compares the model's with them. Several studies get an index.

    [bold]Examples[/]

      sleepcli report study.edf --out report.html

      sleepcli report study.edf --scoring study.scoring.json --out checked.html

      sleepcli report nights/ --out reports --jobs 2

      sleepcli report study.edf --out hypnogram.pdf
    """
    from core.inference.report.task import ReportTask

    items = studies_of(paths, study_id)
    single, chosen = _target(out, form, len(items))
    read = reading(montage, scoring, no_scoring, lights_off, lights_on)
    wishes = {**said(read), "format": chosen}
    choice, about = model_or_none(measured, wishes, model_choice(model, device, batch, 1 if cluster else jobs))
    task = ReportTask(out, single, chosen, choice, read)
    folder = None if single else out
    names = [str(item.path) for item in items]
    wanted = RunOptions("report", folder, jobs, on_error, json, study_id, about, timeout, retry_failed, cluster)
    rows = run_studies(task, names, wanted, lambda row: _show(row, task))
    if not single and chosen == "html":
        _write_index(out, rows)
    finish(rows)


def _target(out: Path, form: str | None, studies: int) -> tuple[bool, str]:
    """Whether `--out` is one file, and the format of the reports.

    Raises
    ------
    UsageError
        The format is not known, contradicts the file's name, or one file is to hold several reports.
    """
    from core.inference.report.figure import FORMATS

    suffix = out.suffix.lower().lstrip(".")
    suffix = "html" if suffix == "htm" else suffix
    if form is not None and form not in FORMATS:
        raise UsageError(f"--format {form} is not known.", f"It is {', '.join(FORMATS[:-1])} or {FORMATS[-1]}.")
    single = suffix in FORMATS and not out.is_dir()
    if single and form is not None and form != suffix:
        raise UsageError(f"--out {out.name} is no {form} file.", f"Name it .{form}, or leave --format out.")
    if not single and form is not None and studies == 1 and suffix and not out.is_dir():
        raise UsageError(f"--out {out.name} is no {form} file.", f"Name it .{form}, or give a folder.")
    if single and studies > 1:
        raise UsageError(
            f"--out {out.name} is one file, and {studies} studies were given.", "Give a folder for several reports."
        )
    return single, form or (suffix if single else "html")


def _show(row: StudyRow, task: "ReportTask") -> None:
    figures = row.result.figures
    told = f"{figures['epochs']} epochs"
    if figures["report"]["doubtful"] is not None:
        told += f", {figures['report']['doubtful']} of them doubtful"
    ui.paragraph(f"{row.study}: {told}. {task.file_of(row.study)}")


def _write_index(folder: Path, rows: Sequence[StudyRow]) -> None:
    from core.files import write_text
    from core.inference.report.index import IndexRow, index_page

    listed = [
        IndexRow(row.study, "", {}, row.message)
        if row.outcome == "failed"
        else IndexRow(row.study, row.result.files[0], row.result.figures["report"])
        for row in sorted(rows, key=lambda row: row.study)
    ]
    write_text(folder / INDEX, index_page(listed))
    ui.note(f"Index of {len(listed)} reports: {folder / INDEX}")
