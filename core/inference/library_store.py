"""A library as a store of epochs that questions are put to."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import UsageError
from core.inference.conditions import quoted
from core.inference.epoch_table import COLUMNS, NUMBER
from core.inference.library import Library
from core.inference.library_failure import library_failure
from core.inference.store import HIT_COLUMNS, STUDY_COLUMNS, Candidate, Measure

PROBES = 40
"""Partitions of the approximate index that are looked into; what lies in them is compared exactly. Product quantisation
in its place lost a third of the nearest among a million epochs, and took far longer to build."""


class LibraryStore:
    """A library, read as it stood when the store was opened."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._epochs = library.epochs
        self._indexed = {name for index in self._epochs.list_indices() for name in index.columns}

    def studies(self) -> list[dict[str, Any]]:
        """The studies' rows."""
        query = self._library.studies.search().select(list(STUDY_COLUMNS)).limit(None)
        rows: list[dict[str, Any]] = query.to_arrow().to_pylist()
        return sorted(rows, key=lambda row: str(row["study"]))

    def count(self, where: str) -> int:
        """How many epochs meet a condition."""
        return int(self._read(lambda: self._epochs.count_rows(where or None)))

    def read(self, columns: Sequence[str], where: str) -> dict[str, list[Any]]:
        """Values of some columns, by study and epoch."""
        names = list(dict.fromkeys((*columns, "study", "epoch")))
        query = self._epochs.search().select(names).limit(None)
        table = self._read(lambda: (query.where(where) if where else query).to_arrow())
        table = table.sort_by([("study", "ascending"), ("epoch", "ascending")])
        return {name: _plain(name, table.column(name)) for name in columns}

    def nearest(self, vector: NDArray[np.float32], where: str, limit: int, also: Sequence[str] = ()) -> list[Candidate]:
        """The epochs whose embeddings lie nearest to a vector [D]; exact where there is no approximate index."""
        query = self._epochs.search(vector, vector_column_name="embedding").distance_type("dot")
        if "embedding" in self._indexed:
            query = query.nprobes(PROBES)
        return self._candidates(query, where, limit, "_distance", also)

    def saying(self, words: Sequence[str], where: str, limit: int, also: Sequence[str] = ()) -> list[Candidate]:
        """The epochs whose `words` hold most of some words, as the full-text index ranks them."""
        from lancedb.query import MatchQuery

        if "words" not in self._indexed:
            return []
        query = self._epochs.search(MatchQuery(" ".join(words), "words"), query_type="fts")
        return self._candidates(query, where, limit, "_score", also)

    def highest(self, measure: Measure, columns: Sequence[str], where: str, limit: int) -> list[Candidate]:
        """The epochs with the highest measure of some columns; of equal ones those of the lowest number, then study."""
        query = self._epochs.search().select([*columns, "epoch"]).with_row_id(True).limit(None)
        table = self._read(lambda: (query.where(where) if where else query).to_arrow())
        scores = -measure({name: _numbers(table.column(name)) for name in columns}, table.num_rows)
        epochs = table.column("epoch").to_numpy()
        order = _lowest(scores, epochs, limit)
        rows = self._rows(table.column("_rowid").to_numpy()[order].tolist(), columns)
        ranked = sorted(zip(scores[order].tolist(), rows, strict=True), key=lambda pair: (pair[0], pair[1].place[::-1]))
        return [row for _, row in ranked[:limit]]

    def first(self, where: str, limit: int) -> list[Candidate]:
        """The first epochs by study and epoch."""
        query = self._epochs.search().select(["study", "epoch"]).with_row_id(True).limit(None)
        table = self._read(lambda: (query.where(where) if where else query).to_arrow())
        table = table.sort_by([("study", "ascending"), ("epoch", "ascending")]).slice(0, limit)
        return self._rows(table.column("_rowid").to_pylist())

    def _rows(self, numbers: Sequence[int], also: Sequence[str] = ()) -> list[Candidate]:
        """Rows by their numbers in the table as it stood, in the order of the numbers."""
        if not numbers:
            return []
        names = list(dict.fromkeys((*HIT_COLUMNS, *also)))
        query = self._epochs.take_row_ids(list(numbers)).select([*names, "embedding"]).with_row_id()
        table = self._read(query.to_arrow)
        found = dict(zip(table.column("_rowid").to_pylist(), self._candidates_of(table, names), strict=True))
        return [found[number] for number in numbers]

    def embeddings(self, study: str) -> NDArray[np.float32]:
        """The embeddings of a study by epoch, [N, D]."""
        query = self._epochs.search().where(f"study = {quoted(study)}").select(["epoch", "embedding"]).limit(None)
        table = self._read(query.to_arrow).sort_by("epoch")
        return _matrix(table.column("embedding"), self._library.dimensions)

    def _candidates(
        self, query: Any, where: str, limit: int, score: str = "", also: Sequence[str] = ()
    ) -> list[Candidate]:
        query = query.where(where, prefilter=True) if where else query
        names = list(dict.fromkeys((*HIT_COLUMNS, *also)))
        columns = [*names, "embedding", *([score] if score else [])]
        table = self._read(lambda: query.limit(limit).select(columns).to_arrow())
        return self._candidates_of(table, names)

    def _candidates_of(self, table: Any, names: Sequence[str]) -> list[Candidate]:
        values = {name: _plain(name, table.column(name)) for name in names}
        vectors = _matrix(table.column("embedding"), self._library.dimensions)
        return [Candidate({name: values[name][row] for name in names}, vectors[row]) for row in range(len(vectors))]

    def _read(self, work: Any) -> Any:
        try:
            return work()
        except ValueError as error:
            raise UsageError(
                f"The library {self._library.place} cannot compare so: {_first_line(error)}", "Compare like with like."
            ) from error
        except (OSError, RuntimeError) as error:
            raise library_failure(self._library.place, "read", error) from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0].partition(", /")[0][:200]


def _plain(name: str, column: Any) -> list[Any]:
    """Python values; a figure has the digits that it was stored with."""
    values: list[Any] = column.to_pylist()
    if COLUMNS[name] != NUMBER:
        return values
    return [None if value is None else float(str(np.float32(value))) for value in values]


def _lowest(scores: NDArray[np.float64], epochs: NDArray[np.int32], limit: int) -> NDArray[np.intp]:
    """Places of the lowest scores, of equal ones those of the lowest epoch, and of all that equal the last in both."""
    if len(scores) <= limit:
        return np.arange(len(scores))
    near = np.flatnonzero(scores <= np.partition(scores, limit - 1)[limit - 1])
    order = near[np.lexsort((epochs[near], scores[near]))]
    last = order[limit - 1]
    equal = (scores[order] < scores[last]) | (epochs[order] <= epochs[last])
    return np.asarray(order[equal], np.intp)


def _numbers(column: Any) -> NDArray[np.float64]:
    """Figures, NaN where there is none."""
    return np.asarray(column.to_numpy(zero_copy_only=False), np.float64)


def _matrix(column: Any, dimensions: int) -> NDArray[np.float32]:
    parts = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks]
    flat = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    return np.asarray(flat, np.float32).reshape(-1, dimensions)
