"""A library against the same studies in memory, with several writers, and after writers that were killed."""

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import ModelError, SleepcliError, StudyError, UsageError
from core.inference.answers import answer
from core.inference.bouts import bouts_of
from core.inference.engine import Engine
from core.inference.epoch_table import COLUMNS, StudyTable
from core.inference.library import Library, StudyKey
from core.inference.library_store import LibraryStore
from core.inference.patients import studies_of
from core.inference.search import Wishes, ask, hits_of, index_study
from core.inference.store import MemoryStore
from core.psg.scoring import Event, Scoring

pytest.importorskip("lancedb")

STAGES = ("W", "W", "N2", "N2", "N2", "N3", "N3", "R", "R", "R", "?", "W")
NIGHTS = 3


@pytest.fixture(scope="module")
def tables(engine: Engine, make_study) -> list[StudyTable]:
    """Three scored nights whose events differ."""
    found = []
    for seed in range(NIGHTS):
        events = (Event("obstructive_apnea", 225.0, 30.0 - seed), Event("arousal", 30.0 * seed + 5, 5.0))
        study = replace(make_study(seed=seed), scoring=Scoring(STAGES[seed:] + STAGES[:seed], events))
        found.append(index_study(study, engine))
    return found


def key_of(table: StudyTable, content: str = "") -> StudyKey:
    return StudyKey(content or f"content of {table.study}", f"place of {table.study}")


def filled(place: Path, engine: Engine, tables: list[StudyTable]) -> Library:
    library = Library(str(place), engine.bundle, create=True)
    for table in tables:
        library.add(table, key_of(table))
    library.build_indexes()
    return library


def rows_of(library: Library) -> dict[str, list[Any]]:
    """Everything in the library but who wrote it, by study and epoch."""
    library.epochs.checkout_latest()
    return LibraryStore(library).read(tuple(COLUMNS), "")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, engine: Engine, tables: list[StudyTable]) -> Library:
    return filled(tmp_path_factory.mktemp("libraries") / "lab", engine, tables)


@pytest.mark.parametrize(
    "wishes",
    [
        ("REM sleep with an obstructive apnea", Wishes()),
        ("breathing pause with low chin tone", Wishes(20)),
        ("a zebra", Wishes(5)),
        ("without arousals in N2 or REM, quick eye movements", Wishes(40)),
        ("", Wishes(7, where="delta > 10.5 AND clock IS NULL AND NOT has_arousal AND p_W IS NULL")),
        ("no apnea", Wishes(4, like="night1:3")),
        ("apnea longer than 28 s in the second half of the night", Wishes()),
    ],
    ids=lambda wishes: wishes[0] or "expression",
)
def test_a_library_answers_as_the_studies_in_memory_do(
    wishes: tuple[str, Wishes], library: Library, engine: Engine, tables: list[StudyTable]
) -> None:
    stores = (MemoryStore(tables), LibraryStore(library))
    asked = [ask(wishes[0], store, engine, wishes[1]) for store in stores]
    hits = [hits_of(question, store) for question, store in zip(asked, stores, strict=True)]
    assert hits[0] == hits[1]
    assert hits[0]
    for what in (bouts_of, studies_of, answer):
        memory, disk = (what(question, store) for question, store in zip(asked, stores, strict=True))
        assert memory == disk


def test_every_figure_comes_back_as_it_went_in(library: Library, tables: list[StudyTable]) -> None:
    rows = rows_of(library)
    for name in COLUMNS:
        expected = [value for table in sorted(tables, key=lambda table: table.study) for value in table.columns[name]]
        assert rows[name] == expected, name
    store = LibraryStore(library)
    np.testing.assert_array_equal(store.embeddings("night1"), tables[1].embeddings)
    night = json.loads(library.study_row("night1")["summary"])
    assert night["epochs"] == 12
    assert night["stages_from"] == "scoring"


def test_a_study_is_known_by_its_content_and_replaced_whole(
    tmp_path: Path, engine: Engine, tables: list[StudyTable], make_study
) -> None:
    library = filled(tmp_path / "lab", engine, tables)
    assert library.holds("night0", key_of(tables[0]))
    assert not library.holds("night0", key_of(tables[0], "changed"))
    assert not library.holds("nobody", key_of(tables[0]))
    shorter = replace(index_study(make_study(7, seed=9), engine), study="night0")
    columns = {**shorter.columns, "study": ["night0"] * 7}
    library.add(replace(shorter, columns=columns), key_of(tables[0], "changed"))
    assert library.holds("night0", key_of(tables[0], "changed"))
    counts = {name: library.epochs.count_rows(f"study = '{name}'") for name in ("night0", "night1", "night2")}
    assert counts == {"night0": 7, "night1": 12, "night2": 12}
    assert library.counts() == (3, 31)


def test_another_study_of_one_name_is_told_apart_by_its_folder(
    tmp_path: Path, engine: Engine, tables: list[StudyTable]
) -> None:
    library = filled(tmp_path / "lab", engine, tables[:1])
    path = Path("/data/ward/night0.edf")
    assert library.name_for("night0", path, key_of(tables[0])) == "night0"
    assert library.name_for("night0", path, StudyKey("changed", "place of night0")) == "night0"
    assert library.name_for("night0", path, StudyKey("content of night0", "moved")) == "night0"
    assert library.name_for("night0", path, StudyKey("other", "elsewhere")) == "ward_night0"


def test_a_library_of_another_model_is_refused(tmp_path: Path, engine: Engine, tables: list[StudyTable]) -> None:
    filled(tmp_path / "lab", engine, tables[:1])
    other = replace(engine.bundle, name="other", content_hash="0" * 64)
    for create in (False, True):
        with pytest.raises(ModelError, match=r"holds embeddings of the model fake .* not of other") as refused:
            Library(str(tmp_path / "lab"), other, create=create)
        assert refused.value.hint


def test_what_is_no_library_is_said(tmp_path: Path, engine: Engine) -> None:
    for place in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(UsageError, match="There is no library"):
            Library(str(place), engine.bundle)
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(UsageError, match="cannot be made"):
        Library(str(tmp_path / "file"), engine.bundle, create=True)


def test_a_comparison_of_unlike_things_is_one_sentence(library: Library) -> None:
    with pytest.raises(SleepcliError, match="cannot compare"):
        LibraryStore(library).count("has_apnea = 1")


def test_a_writer_that_ends_before_the_last_row_is_done_again(
    tmp_path: Path, engine: Engine, tables: list[StudyTable], library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = filled(tmp_path / "lab", engine, tables[:2])
    real = Library._replace

    def stops(self: Library, table: Any, rows: Any, *rest: Any) -> None:
        if table is self.studies:
            raise KeyboardInterrupt
        real(self, table, rows, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(Library, "_replace", stops)
        with pytest.raises(KeyboardInterrupt):
            cut.add(tables[2], key_of(tables[2]))
    assert not cut.holds("night2", key_of(tables[2]))
    cut.add(tables[2], key_of(tables[2]))
    assert rows_of(cut) == rows_of(library)


def test_two_writers_of_different_studies_under_one_name_do_not_mix(
    tmp_path: Path, engine: Engine, tables: list[StudyTable]
) -> None:
    library = filled(tmp_path / "lab", engine, [])
    write = Library(str(tmp_path / "lab"), engine.bundle)
    other = replace(tables[1], study="night0", columns={**tables[1].columns, "study": ["night0"] * 12})
    late: list[str] = []
    count = library.epochs.count_rows

    class Meanwhile:
        """The table, but another writer is quicker between the look and the write."""

        def __getattr__(self, name: str) -> Any:
            return getattr(type(self).table, name)

        table: Any = library.epochs

        def count_rows(self, where: str) -> int:
            found = count(where)
            if not late:
                late.append("written")
                write.add(other, StudyKey("other", "elsewhere"))
            return found

    library.epochs = Meanwhile()
    message = ""
    try:
        library.add(tables[0], key_of(tables[0]))
    except StudyError as error:  # one of the two writers, whichever, has lost
        message = error.message
    assert message in ("", "Something else named night0 came into the library at the same moment.")
    write.epochs.checkout_latest()
    assert write.epochs.count_rows("study = 'night0'") == 12
    origins = write.epochs.search().select(["origin"]).limit(None).to_arrow()["origin"].to_pylist()
    assert len(set(origins)) == 1


def _write(place: str, bundle: Any, tables: list[StudyTable], rounds: int) -> None:
    for _ in range(rounds):
        library = Library(place, bundle, create=True)
        for table in tables:
            library.add(table, key_of(table))


def test_writers_at_once_and_one_killed_leave_the_rows_of_one_undisturbed(
    tmp_path: Path, engine: Engine, tables: list[StudyTable], library: Library
) -> None:
    place = tmp_path / "lab"
    context = multiprocessing.get_context("spawn")
    bundle = replace(engine.bundle, graphs=dict(engine.bundle.graphs), description={})
    orders: Mapping[int, list[StudyTable]] = {0: tables, 1: tables[::-1]}
    workers = [context.Process(target=_write, args=(str(place), bundle, orders[n], 1 + 50 * n)) for n in range(2)]
    for worker in workers:
        worker.start()
    workers[0].join()
    time.sleep(0.05)
    os.kill(workers[1].pid or 0, signal.SIGKILL)  # it would go on for long
    workers[1].join()
    assert workers[0].exitcode == 0
    after = filled(place, engine, tables)
    assert rows_of(after) == rows_of(library)
    assert after.counts() == (NIGHTS, 12 * NIGHTS)
