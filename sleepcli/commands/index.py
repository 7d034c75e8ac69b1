"""`sleepcli index`: studies into a library that questions are put to."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from core.batch import StudyRow
from core.errors import SleepcliError
from sleepcli import options, ui
from sleepcli.extras import extra_room
from sleepcli.model import about_model, model_choice, reading, said
from sleepcli.run import RunOptions, finish, run_studies

if TYPE_CHECKING:
    from core.inference.library import Library

LibraryPlace = Annotated[
    str,
    typer.Option(
        "--library", "-l", metavar="DIR|URI", help="Library: a folder, or an object storage such as s3://bucket/sleep."
    ),
]


def index(
    paths: options.Paths,
    library: LibraryPlace,
    model: options.Model = "nano",
    device: options.Device = "auto",
    out: options.Report = None,
    json: options.Json = False,
    jobs: options.Jobs = 1,
    on_error: options.OnError = "continue",
    timeout: options.Timeout = None,
    retry_failed: options.RetryFailed = False,
    cluster: options.Cluster = None,
    no_scoring: options.NoScoring = False,
    montage: options.MontageFile = None,
    study_id: options.StudyId = None,
    batch: options.Batch = 0,
) -> None:
    """Put studies into a library: embeddings, stages, measurements, events and captions, a row an epoch.

    What is in the library as it is now is left alone; a study that has changed is replaced whole. Several programs may
    write at once, and others may ask meanwhile. A library holds the embeddings of one model. With --out the run leaves
    run.json and run.csv there, and a rerun neither reads again what has not changed nor tries what failed.

    [bold]Examples[/]

      sleepcli index nights/ --library lab

      sleepcli index nights/ --library lab --jobs 2 --timeout 1800 --out lab-run

      sleepcli index new.edf --library s3://bucket/lab
    """
    with extra_room("library", "sleepcli index"):
        from core.inference.index_task import IndexTask
        from core.inference.library import Library

        choice = model_choice(model, device, batch, 1 if cluster else jobs)
        read = reading(montage, no_scoring=no_scoring)
        about = about_model(choice, {"library": library, **said(read)})
        opened = Library(library, choice.engine().bundle, create=True)
        about["key"] += f" {opened.identity}"
        task = IndexTask(library, choice, read, study_id is not None)
        wanted = RunOptions("index", out, jobs, on_error, json, study_id, about, timeout, retry_failed, cluster)
        rows = run_studies(task, paths, replace(wanted, kept=f"The library {library}"), _show)
        is_quick = _is_indexed(opened) if any(row.outcome == "done" for row in rows) else True
        counts = opened.counts()
    studies, epochs = _count(counts[0], "study", "studies"), _count(counts[1], "epoch", "epochs")
    ui.note(f"The library {library} holds {studies} with {epochs}.")
    finish(rows)
    if not is_quick:
        raise typer.Exit(1)


def _is_indexed(library: "Library") -> bool:
    """Make the indexes for quick searches; where that fails, the studies are in the library all the same."""
    try:
        library.build_indexes()
    except SleepcliError as error:
        ui.error(error.message, error.hint)
        return False
    return True


def _show(row: StudyRow) -> None:
    figures = row.result.figures
    if figures["state"] == "indexed" and row.outcome == "done":
        ui.paragraph(f"{figures['study']}: {figures['epochs']} epochs indexed")
    else:
        ui.note(f"{figures['study']}: in the library already, nothing has changed.")


def _count(number: int, one: str, several: str) -> str:
    return f"{number} {one if number == 1 else several}"
