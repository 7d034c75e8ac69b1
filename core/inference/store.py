"""Where epochs are searched: what every store of rows can do, and the store of studies that are held in memory."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from core.inference.caption_words import coverage
from core.inference.conditions import quoted_name
from core.inference.epoch_table import COLUMNS, FLAG, INTEGER, NIGHT_FIGURES, NUMBER, StudyTable

HIT_COLUMNS = ("study", "epoch", "onset", "clock", "stage", "caption_stage_event", "words", "events")
Measure = Callable[[Mapping[str, Any], int], NDArray[np.float64]]
"""Gives a figure, [N], of the values of some columns of N epochs."""
_TYPES = {NUMBER: "REAL", INTEGER: "INTEGER", FLAG: "INTEGER"}
STUDY_COLUMNS = ("study", "epochs", "start", "duration", "stages_from", "events_from", *NIGHT_FIGURES)


@dataclass(frozen=True)
class Candidate:
    """An epoch that may be a hit."""

    row: Mapping[str, Any]
    """Its `HIT_COLUMNS`, and the columns that were asked for beside them."""
    embedding: NDArray[np.float32]
    """[D]."""

    @property
    def place(self) -> tuple[str, int]:
        """Study and epoch."""
        return self.row["study"], self.row["epoch"]


class Store(Protocol):
    """Rows of epochs. `where` is SQL of `core.inference.conditions` or `core.inference.expression`; empty for all."""

    def studies(self) -> list[dict[str, Any]]:
        """The studies' rows, `STUDY_COLUMNS` at least, by name."""
        ...

    def count(self, where: str) -> int:
        """How many epochs meet a condition."""
        ...

    def read(self, columns: Sequence[str], where: str) -> dict[str, list[Any]]:
        """Values of some columns, by study and epoch."""
        ...

    def nearest(self, vector: NDArray[np.float32], where: str, limit: int, also: Sequence[str] = ()) -> list[Candidate]:
        """The epochs whose embeddings lie nearest to a vector [D], with some columns more."""
        ...

    def saying(self, words: Sequence[str], where: str, limit: int, also: Sequence[str] = ()) -> list[Candidate]:
        """The epochs whose `words` hold most of some words."""
        ...

    def highest(self, measure: Measure, columns: Sequence[str], where: str, limit: int) -> list[Candidate]:
        """The epochs with the highest measure of some columns; of equal ones those of the lowest number, then study."""
        ...

    def first(self, where: str, limit: int) -> list[Candidate]:
        """The first epochs by study and epoch."""
        ...

    def embeddings(self, study: str) -> NDArray[np.float32]:
        """The embeddings of a study by epoch, [N, D]; empty where there is no such study."""
        ...


class MemoryStore:
    """Studies in memory: figures in SQLite, which the standard library has, and embeddings beside it."""

    def __init__(self, tables: Sequence[StudyTable]) -> None:
        self._tables = {table.study: table for table in sorted(tables, key=lambda table: table.study)}
        self._database = sqlite3.connect(":memory:")
        self._database.execute("PRAGMA case_sensitive_like = ON")
        typed = ", ".join(f"{quoted_name(name)} {_TYPES.get(kind, 'TEXT')}" for name, kind in COLUMNS.items())
        self._database.execute(f"CREATE TABLE epochs ({typed})")
        holes = ", ".join("?" * len(COLUMNS))
        for table in self._tables.values():
            rows = zip(*(table.columns[name] for name in COLUMNS), strict=True)
            self._database.executemany(f"INSERT INTO epochs VALUES ({holes})", rows)

    def studies(self) -> list[dict[str, Any]]:
        """The studies' rows."""
        return [dict(table.night) for table in self._tables.values()]

    def count(self, where: str) -> int:
        """How many epochs meet a condition."""
        return int(self._select("COUNT(*)", where)[0][0])

    def read(self, columns: Sequence[str], where: str) -> dict[str, list[Any]]:
        """Values of some columns, by study and epoch."""
        rows = self._select(", ".join(map(quoted_name, columns)), where)
        flags = [COLUMNS[name] == FLAG for name in columns]
        return {
            name: [bool(row[n]) if flags[n] and row[n] is not None else row[n] for row in rows]
            for n, name in enumerate(columns)
        }

    def nearest(self, vector: NDArray[np.float32], where: str, limit: int, also: Sequence[str] = ()) -> list[Candidate]:
        """The epochs whose embeddings lie nearest to a vector [D]."""
        places = self._select("study, epoch", where)
        if not places:
            return []
        scores = np.concatenate([
            np.einsum("nd,d->n", table.embeddings.astype(np.float64), vector.astype(np.float64))
            for table in self._tables.values()
        ])  # fmt: skip
        first = self._firsts()
        found = np.array([scores[first[study] + epoch] for study, epoch in places])
        order = np.argsort(-found, kind="stable")[:limit]
        return self._candidates([places[n] for n in order], also)

    def saying(self, words: Sequence[str], where: str, limit: int, also: Sequence[str] = ()) -> list[Candidate]:
        """The epochs whose `words` hold most of some words."""
        rows = self._select("study, epoch, words", where)
        scored = [(-coverage(words, text or ""), study, epoch) for study, epoch, text in rows]
        best = sorted(row for row in scored if row[0] < 0)[:limit]
        return self._candidates([(study, epoch) for _, study, epoch in best], also)

    def highest(self, measure: Measure, columns: Sequence[str], where: str, limit: int) -> list[Candidate]:
        """The epochs with the highest measure of some columns."""
        rows = self.read((*columns, "study", "epoch"), where)
        scores = measure(rows, len(rows["epoch"]))
        ranked = sorted(zip((-scores).tolist(), rows["epoch"], rows["study"], strict=True))[:limit]
        return self._candidates([(study, epoch) for _, epoch, study in ranked], columns)

    def first(self, where: str, limit: int) -> list[Candidate]:
        """The first epochs by study and epoch."""
        return self._candidates(self._select("study, epoch", where)[:limit])

    def embeddings(self, study: str) -> NDArray[np.float32]:
        """The embeddings of a study by epoch, [N, D]."""
        table = self._tables.get(study)
        return np.zeros((0, 0), np.float32) if table is None else table.embeddings

    def _firsts(self) -> dict[str, int]:
        sizes = [table.n_epochs for table in self._tables.values()]
        return dict(zip(self._tables, np.cumsum([0, *sizes])[:-1].tolist(), strict=True))

    def _candidates(self, places: Sequence[tuple[str, int]], also: Sequence[str] = ()) -> list[Candidate]:
        tables = ((self._tables[study], epoch) for study, epoch in places)
        return [
            Candidate({name: table.columns[name][epoch] for name in (*HIT_COLUMNS, *also)}, table.embeddings[epoch])
            for table, epoch in tables
        ]

    def _select(self, what: str, where: str) -> list[Any]:
        filtered = f"WHERE {where}" if where else ""
        return self._database.execute(f"SELECT {what} FROM epochs {filtered} ORDER BY study, epoch").fetchall()
