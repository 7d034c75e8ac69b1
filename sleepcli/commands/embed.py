"""`sleepcli embed`: epochs as vectors of the space that signals and texts share."""

from core.batch import StudyRow
from sleepcli import options, ui
from sleepcli.model import about_model, model_choice, reading
from sleepcli.run import RunOptions, finish, run_studies


def embed(
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
    montage: options.MontageFile = None,
    study_id: options.StudyId = None,
    batch: options.Batch = 0,
) -> None:
    """Embed studies: one L2-normalised vector an epoch, as .npy files or JSON Lines.

    [bold]Examples[/]

      sleepcli embed study.edf --out vectors

      sleepcli embed study.edf --json | head -1
    """
    from core.inference.tasks import EmbedTask

    choice = model_choice(model, device, batch, 1 if cluster else jobs)
    task = EmbedTask(out, choice, reading(montage, no_scoring=True))
    about = about_model(choice, {})
    wanted = RunOptions("embed", out, jobs, on_error, json, study_id, about, timeout, retry_failed, cluster)
    rows = run_studies(task, paths, wanted, _show)
    finish(rows)


def _show(row: StudyRow) -> None:
    figures = row.result.figures
    where = f" in {row.result.files[0]}" if row.result.files else "; --out DIR writes them, --json prints them"
    ui.paragraph(f"{row.study}: {figures['epochs']} epochs × {figures['dimensions']} dimensions{where}")
