"""`sleepcli evaluate`: how well a model does on scored studies."""

import csv
import io
import json as json_text
from pathlib import Path
from typing import TYPE_CHECKING

from core.batch import StudyRow
from core.files import write_text
from sleepcli import evaluate_options as given
from sleepcli import options, ui
from sleepcli.model import about_model, model_choice, reading
from sleepcli.run import RunOptions, finish, run_studies

if TYPE_CHECKING:
    from core.inference.evaluation import Evaluation
    from core.inference.judged import Row

COLUMNS = ("task", "what", "figure", "value", "low", "high", "chance", "n")


def evaluate(
    model: given.Model,
    paths: options.Paths,
    tasks: given.Tasks = ",".join(given.TASKS),
    out: options.Out = None,
    pool: given.Pool = 1000,
    subject_separator: given.SubjectSeparator = "",
    form: given.Form = "png",
    bertscore: given.BertScore = "roberta-large",
    device: options.Device = "auto",
    batch: options.Batch = 0,
    seed: options.Seed = 0,
    jobs: options.Jobs = 1,
    on_error: options.OnError = "continue",
    timeout: options.Timeout = None,
    montage: options.MontageFile = None,
    json: options.Json = False,
) -> None:
    """Judge a model on scored studies that it was not trained on.

    Stages, events, retrieval both ways, few-shot curves, captions fact by fact, events with their times, and event
    types found from ten examples; intervals are 95 % bootstrap over subjects. With --out: evaluation.json and .csv.

    [bold]Examples[/]

      sleepcli evaluate nano scored/

      sleepcli evaluate models/ours scored/ --tasks staging --out figures
    """
    from core.inference.evaluation import evaluate
    from core.inference.evaluation_figures import check_format
    from core.inference.judged import EvaluationOptions, JudgeTask

    wishes = EvaluationOptions(tuple(tasks.split(",")), pool, subject_separator, seed=seed, bert_model=bertscore)
    wishes.check()
    check_format(form)
    if out is not None:
        _make(out)
    choice = model_choice(model, device, batch, jobs)
    wanted = RunOptions(
        "evaluate", None, jobs, on_error, about=about_model(choice, {}), timeout=timeout, all_or_none=True
    )
    rows = run_studies(JudgeTask(choice, reading(montage), wishes), paths, wanted, _quiet)
    judged = [row.result.found for row in sorted(rows, key=lambda row: row.study) if row.outcome == "done"]
    found = evaluate(judged, choice.engine(), wishes) if judged else None
    if found is not None:
        for note in found.notes:
            ui.note(note)
        if out is not None:
            _write(found, out, form)
        if ui.wants_json(json):
            ui.json_lines([found.to_json()])
        else:
            _show(found)
    finish(rows)


def _make(out: Path) -> None:
    """Make the folder before minutes of work, not after them."""
    from core.batching.lock import not_writable

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise not_writable(out, error) from None


def _quiet(_: StudyRow) -> None:
    """The figures of all studies come at the end."""


def _write(found: "Evaluation", out: Path, form: str) -> None:
    from core.inference.evaluation_figures import write_pictures

    entry = found.to_json()
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(entry["figures"])
    write_text(out / "evaluation.csv", text.getvalue())
    write_text(out / "evaluation.json", json_text.dumps(entry, indent=1) + "\n")
    write_pictures(found, out, form)


def _show(found: "Evaluation") -> None:
    about = found.about
    ui.note(f"{about['model']}: {about['studies']} studies of {about['subjects']} subjects, {about['epochs']} epochs")
    heads = ["", "figure", "value", "95 % interval", "chance", "n"]
    for task in dict.fromkeys(row.task for row in found.rows):
        ui.table(task, heads, [_cells(row) for row in found.rows if row.task == task])


def _cells(row: "Row") -> list[str]:
    interval = f"{row.low:.3f} to {row.high:.3f}" if row.low == row.low else ""
    chance = f"{row.chance:.3f}" if row.chance == row.chance else ""
    value = f"{row.value:.3f}" if row.value == row.value else "not known"
    return [row.what, row.figure, value, interval, chance, str(row.n)]
