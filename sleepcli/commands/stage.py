"""`sleepcli stage`: sleep stages of studies."""

from core.batch import StudyRow
from sleepcli import options, ui
from sleepcli.drawings.bars import stage_bars
from sleepcli.drawings.hypnogram import hypnogram, strip_width
from sleepcli.model import about_model, model_choice, reading, said
from sleepcli.run import RunOptions, finish, run_studies


def stage(
    paths: options.Paths,
    model: options.Model = "nano",
    device: options.Device = "auto",
    out: options.Out = None,
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
    """Stage the sleep of studies: W, N1, N2, N3, R, with probabilities, 30 s by 30 s.

    A scoring beside the study gives the stages; --no-scoring asks the model.

    [bold]Examples[/]

      sleepcli stage study.edf

      sleepcli stage nights/ --out stages --jobs 2 --no-scoring

      sleepcli stage study.edf --json | head -3
    """
    from core.inference.tasks import StageTask

    choice = model_choice(model, device, batch, 1 if cluster else jobs)
    read = reading(montage, scoring, no_scoring, lights_off, lights_on)
    task = StageTask(out, choice, read)
    about = about_model(choice, said(read))
    wanted = RunOptions("stage", out, jobs, on_error, json, study_id, about, timeout, retry_failed, cluster)
    rows = run_studies(task, paths, wanted, show_stages)
    finish(rows)


def show_stages(row: StudyRow) -> None:
    """Draw the hypnogram and the minutes of each stage."""
    figures = row.result.figures
    ui.heading(f"{row.study}: {figures['epochs']} epochs, {_from(figures)}")
    stages = [entry["stage"] for entry in row.result.rows]
    if stages:
        ui.draw([*hypnogram(stages, strip_width(ui.width())), *stage_bars(stages)])
    else:
        minutes = (f"{name[:-4]} {value:g} min" for name, value in figures.items() if name.endswith("_min"))
        ui.paragraph(", ".join(minutes))


def _from(figures: dict[str, object]) -> str:
    if figures["stages_from"] == "scoring":
        return "stages from the scoring"
    if "confidence" in figures:
        return f"stages by the model, mean probability {figures['confidence']}"
    return "no stages"
