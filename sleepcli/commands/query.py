"""`sleepcli query`: the epochs, bouts or studies that answer a question."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.batch import StudyRow
from core.errors import UsageError
from sleepcli import options, ui
from sleepcli.extras import extra_room
from sleepcli.model import about_model, model_choice, reading
from sleepcli.run import RunOptions, finish, run_studies

if TYPE_CHECKING:
    from core.inference.search import Asked
    from core.inference.store import Store
    from core.inference.tasks import ModelChoice

HIT_COLUMNS = ("study", "epoch", "onset", "score", "caption")
BOUT_COLUMNS = ("study", "clock", "onset", "duration", "score", "evidence", "caption")
STUDY_COLUMNS = ("study", "score", "matching", "share", "best_epoch", "caption")
HEADINGS = {"onset": "onset s", "duration": "duration s", "matching": "epochs", "best_epoch": "best"}


Question = Annotated[str, typer.Argument(metavar="[QUESTION]", help="What to look for, in words.")]
Places = Annotated[
    list[str] | None, typer.Argument(metavar="[PATHS]...", help="Studies to look in, where there is no --library.")
]
LibraryPlace = Annotated[
    str | None, typer.Option("--library", "-l", metavar="DIR|URI", help="Library that sleepcli index made.")
]
Where = Annotated[
    str, typer.Option("--where", metavar="SQL", help="Condition on the table's columns, besides the question's.")
]
Like = Annotated[
    str, typer.Option("--like", metavar="STUDY:EPOCH", help="Rank by likeness to this epoch, not by the question.")
]
By = Annotated[str, typer.Option("--by", metavar="epoch|study", help="Rank epochs, or studies.")]
Localise = Annotated[
    bool, typer.Option("--localise", help="Give the bouts of neighbouring epochs that answer, with their times.")
]
InWords = Annotated[bool, typer.Option("--answer", help="Answer in a sentence: counts, shares, times and extremes.")]
ConceptFile = Annotated[
    Path | None,
    typer.Option("--concepts", metavar="FILE", help="TOML file with concepts of your own that the question may name."),
]
Top = Annotated[int, typer.Option("--top", "-k", min=1, help="How many hits to give.")]


def query(
    text: Question = "",
    paths: Places = None,
    library: LibraryPlace = None,
    where: Where = "",
    like: Like = "",
    by: By = "epoch",
    localise: Localise = False,
    answer: InWords = False,
    concepts: ConceptFile = None,
    top: Top = 10,
    model: options.Model = "nano",
    device: options.Device = "auto",
    json: options.Json = False,
    jobs: options.Jobs = 1,
    on_error: options.OnError = "continue",
    timeout: options.Timeout = None,
    no_scoring: options.NoScoring = False,
    montage: options.MontageFile = None,
    batch: options.Batch = 0,
) -> None:
    """Find the epochs that answer a question, best first.

    Figures, stages, events, positions, clock times and their negations in the question filter; the rest ranks by
    meaning and by the words of the captions. What was understood is said.

    [bold]Examples[/]

      sleepcli query "deep sleep without events" study.edf

      sleepcli query "REM sleep with oxygen below 88 %" --library lab

      sleepcli query "supine hypopneas after 3 am" --library lab --localise

      sleepcli query "obstructive apnea in REM" --library lab --answer

      sleepcli query "periodic breathing" --library lab --by study --where "ahi>15"

      sleepcli query --like night01:120 --library lab
    """
    _check(by, localise, answer)
    text, places = _arguments(text, paths or [], library, bool(where or like))
    from core.inference.search import Wishes, ask, never_known

    choice = model_choice(model, device, batch, jobs if library is None else 1)
    wanted = RunOptions("query", None, jobs, on_error, timeout=timeout)
    store, rows = _store(places, library, choice, wanted, where, montage, no_scoring)
    asked = ask(text, store, choice.engine(), Wishes(top, where, like))
    if concepts is not None:
        asked = _by_concept(asked, text, concepts, store, choice)
    matching = store.count(asked.where)
    ui.note(f"understood: {asked}; {matching} epochs match")
    if not matching and (unknown := never_known(asked, store)):
        ui.note(f"Not known of any epoch here: {', '.join(unknown)}.")
    if answer:
        _tell(asked, store, json)
    else:
        _show(text or like or where, *_found(asked, store, by, localise), json)
    finish(rows)


def _check(by: str, localise: bool, answer: bool) -> None:
    if by not in ("epoch", "study"):
        raise UsageError(f"--by {by} is not known.", "It is epoch or study.")
    if sum((by == "study", localise, answer)) > 1:
        raise UsageError("--by study, --localise and --answer exclude each other.", "Give one of them.")


def _show(title: str, columns: Sequence[str], found: Sequence[dict[str, Any]], json: bool) -> None:
    if ui.wants_json(json):
        ui.json_lines(found)
    else:
        cells = ([row[name] for name in columns] for row in found)
        ui.table(title, [HEADINGS.get(name, name) for name in columns], cells)


def _by_concept(asked: "Asked", text: str, file: Path, store: "Store", choice: "ModelChoice") -> "Asked":
    """Rank by the concept that the question names."""
    from core.inference.concepts import named, ranked_by, read_concepts

    concepts = read_concepts(file)
    concept = named(text, concepts)
    if concept is None:
        names = ", ".join(concept.name for concept in concepts)
        raise UsageError(f"The question names no concept of {file}.", f"It has {names}.")
    return ranked_by(asked, concept, store, choice.engine())


def _arguments(text: str, paths: Sequence[str], library: str | None, asked: bool) -> tuple[str, list[str]]:
    """Tell question and studies apart: with --like or --where there need be no question."""
    places = list(paths)
    if asked and text and (text == "-" or Path(text).exists()):
        text, places = "", [text, *places]
    if library is not None and places:
        raise UsageError(f"--library and {places[0]} are two places to look in.", "Give one; quote the question.")
    if library is None and not places:
        raise UsageError("There is nothing to look in.", "Give studies after the question, or --library DIR.")
    return text, places


def _store(
    paths: Sequence[str],
    library: str | None,
    choice: "ModelChoice",
    run_options: RunOptions,
    where: str,
    montage: Path | None,
    no_scoring: bool,
) -> "tuple[Store, list[StudyRow]]":
    """Open the library, or read the studies."""
    about = about_model(choice, {})
    if library is not None:
        with extra_room("library", "sleepcli query --library"):
            from core.inference.library import Library
            from core.inference.library_store import LibraryStore

            return LibraryStore(Library(library, choice.engine().bundle)), []
    from core.inference.expression import checked_expression
    from core.inference.index_task import GatherTask
    from core.inference.store import MemoryStore
    from core.language.facts import DOMAINS

    if where:
        checked_expression(where)  # before an hour of reading
    domains = DOMAINS if "caption_" in where else ("stage_event",)
    task = GatherTask(choice, reading(montage, no_scoring=no_scoring), domains)
    rows = run_studies(task, paths, replace(run_options, about=about), _quiet)
    return MemoryStore([row.result.found for row in rows if row.outcome == "done"]), rows


def _found(asked: "Asked", store: "Store", by: str, localise: bool) -> tuple[Sequence[str], list[dict[str, Any]]]:
    from core.inference.bouts import bouts_of
    from core.inference.patients import studies_of
    from core.inference.search import hits_of

    if by == "study":
        return STUDY_COLUMNS, [row.to_json() for row in studies_of(asked, store)]
    if localise:
        return BOUT_COLUMNS, [row.to_json() for row in bouts_of(asked, store)]
    return HIT_COLUMNS, [row.to_json() for row in hits_of(asked, store)]


def _tell(asked: "Asked", store: "Store", json: bool) -> None:
    from core.inference.answers import answer

    told = answer(asked, store)
    if ui.wants_json(json):
        ui.json_lines([told.to_json()])
    else:
        ui.paragraph(told.sentence)


def _quiet(_: StudyRow) -> None:
    """Reading prints nothing: the hits come at the end."""
