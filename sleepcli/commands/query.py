"""`sleepcli query`: the epochs that answer a question."""

from typing import Annotated

import typer

from core.batch import StudyRow
from sleepcli import options, ui
from sleepcli.model import about_model, model_choice, reading
from sleepcli.run import RunOptions, finish, run_studies


def query(
    text: Annotated[str, typer.Argument(metavar="QUESTION", help="What to look for, in words.")],
    paths: options.Paths,
    top: Annotated[int, typer.Option("--top", "-k", min=1, help="How many epochs to give.")] = 10,
    model: options.Model = "nano",
    device: options.Device = "auto",
    json: options.Json = False,
    on_error: options.OnError = "continue",
    no_scoring: options.NoScoring = False,
    montage: options.MontageFile = None,
    batch: options.Batch = 0,
) -> None:
    """Find the epochs that answer a question, best first.

    Figures, stages and positions in the question filter; its meaning ranks.

    [bold]Examples[/]

      sleepcli query "deep sleep without events" study.edf

      sleepcli query "REM sleep with oxygen saturation below 90 %" nights/ --top 5

      sleepcli query "obstructive apnea" nights/ --json
    """
    from core.inference.search import IndexedStudy, search
    from core.inference.tasks import IndexTask

    choice = model_choice(model, device, batch, 1)
    found: list[IndexedStudy] = []
    task = IndexTask(choice, reading(montage, no_scoring=no_scoring), found)
    run_options = RunOptions("query", on_error=on_error, about=about_model(choice, {}))
    rows = run_studies(task, paths, run_options, _quiet)
    answer = search(text, found, choice.engine(), top)
    ui.note(f"understood: {answer.question}; {answer.matching} epochs match")
    if ui.wants_json(json):
        ui.json_lines(hit.to_json() for hit in answer.hits)
    else:
        ui.table(
            text,
            ["study", "epoch", "onset s", "score", "caption"],
            ([hit.study, hit.epoch, hit.onset, hit.score, hit.caption] for hit in answer.hits),
        )
    finish(rows)


def _quiet(_: StudyRow) -> None:
    """Indexing prints nothing: the hits come at the end."""
