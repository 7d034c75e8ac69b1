"""A library: the epochs of many studies in LanceDB tables, written by several at once and searched while written."""

import hashlib
import os
import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from core.errors import ModelError, SleepcliError, StudyError, UsageError
from core.inference.bundle import Bundle
from core.inference.conditions import quoted
from core.inference.epoch_table import COLUMNS, EVENT_GROUPS, FLAG, INTEGER, NIGHT_FIGURES, TEXT, StudyTable
from core.inference.library_failure import library_failure

if TYPE_CHECKING:  # the extra's packages take seconds to import
    import pyarrow as pa

FORMAT = "2"
"""Of the tables; a library of another one is refused."""
EPOCHS, STUDIES = "epochs", "studies"
WRITE = "write_id"
"""Column that says which writer's rows these are, so that two writers of one study leave one of them."""
ORIGIN = "origin"
"""Column that says where rows come from: `StudyKey.origin`."""
MANY_FRAGMENTS = 64
"""Appended pieces after which a table is compacted."""
APPROXIMATE_FROM = 100_000
"""Epochs from which an approximate index is worth its error; below it every search is exact."""
FIGURES = (
    *("spo2_min", "spo2_mean", "heart_rate_min", "heart_rate_mean", "heart_rate_max", "breath_rate", "chin_tone"),
    *("clock", "onset", *(f"{event}_longest" for event in EVENT_GROUPS)),
)
"""Columns besides stage, position and events' flags that questions set bounds on most: with an index of its own, 5 MB a
million epochs, a condition takes milliseconds there; without one it reads its column."""
ROUNDS, SAMPLES = 20, 64
"""Rounds of clustering, and epochs a cluster that it is trained on."""
KEPT_FOR = timedelta(hours=1)
"""Age at which old versions go; a reader that began before may still be reading younger ones."""
TRIES = 20
_CONFLICTS = ("conflict", "retryable", "please retry", "too many concurrent", "concurrent")
Result = TypeVar("Result")


@dataclass(frozen=True)
class StudyKey:
    """What a study's rows in a library depend on."""

    content: str
    """Hash of the study, its scoring and its montage, and of how they are read."""
    source: str
    """Hash of where the study lies: tells a changed study from another one of the same name."""

    @property
    def origin(self) -> str:
        """Place and content in one: what two writers of a study must agree in."""
        return f"{self.source} {self.content}"


def source_key(path: Path) -> str:
    """Hash of a study's place; the place itself stays out of the library."""
    return hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:16]


class Library:
    """An open library.

    Parameters
    ----------
    place
        A folder, or the address of an object storage such as `s3://bucket/library`.
    bundle
        The model; a library holds the embeddings of one.
    create
        Whether to make the library where there is none.

    Raises
    ------
    ModuleNotFoundError
        LanceDB is not installed: it comes with the extra `library`.
    UsageError
        There is no library, or it cannot be opened.
    ModelError
        It holds another model's embeddings.
    """

    def __init__(self, place: str, bundle: Bundle, create: bool = False) -> None:
        os.environ.setdefault("LANCE_LOG", "error")  # its remarks on indexes are none for users
        import lancedb  # seconds, and only libraries need it

        self.place = place
        self._model_hash = bundle.content_hash
        if create and "://" not in place:
            _make_folder(Path(place))
        elif "://" not in place and not (Path(place) / f"{EPOCHS}.lance").is_dir():
            raise UsageError(f"There is no library in {place}.", "Make one with sleepcli index PATHS --library DIR.")
        database = self._safely(lambda: lancedb.connect(place), "opened")
        about = {"sleepcli_format": FORMAT, "model": bundle.name, "model_hash": bundle.content_hash}
        about["library_id"] = uuid.uuid4().hex  # of a library that is made now
        self.epochs = self._table(database, EPOCHS, epoch_schema(bundle.embed_dim, about), create)
        self._check(self.epochs.schema.metadata or {}, bundle)
        self.studies = self._table(database, STUDIES, study_schema(about), create)

    def _table(self, database: Any, name: str, schema: "pa.Schema", create: bool) -> Any:
        def opened() -> Any:
            try:
                return database.open_table(name)
            except (ValueError, FileNotFoundError):
                if not create:
                    raise UsageError(
                        f"There is no library in {self.place}.", "Make one with sleepcli index PATHS --library DIR."
                    ) from None
            try:
                return database.create_table(name, schema=schema)
            except ValueError:  # somebody else made it at this moment
                return database.open_table(name)

        return self._safely(opened, "opened")

    def _check(self, metadata: dict[bytes, bytes], bundle: Bundle) -> None:
        about = {key.decode(): value.decode() for key, value in metadata.items()}
        if about.get("sleepcli_format") != FORMAT:
            raise UsageError(
                f"The library {self.place} has format {about.get('sleepcli_format')}; this program reads {FORMAT}.",
                "Index its studies into a new library.",
            )
        if about["model_hash"] != bundle.content_hash:
            raise ModelError(
                f"The library {self.place} holds embeddings of the model {about['model']} "
                f"({about['model_hash'][:12]}), not of {bundle.name} ({bundle.content_hash[:12]}).",
                f"Name that model with --model, or index into another --library with {bundle.name}.",
            )

    def name_for(self, study: str, path: Path, key: StudyKey) -> str:
        """The study's name in the library: the one that it has there; a new one's own, or with its folders before it.

        Folders come before a name that another study has.
        """
        known = self._select(self.studies, f"source = {quoted(key.source)}", ["study"])
        if known:
            return str(known[0]["study"])
        return self._free_name(study, path, key)

    def rename(self, study: str, path: Path, key: StudyKey) -> str:
        """The name of a study that its caller has named; rows that it has under another name go."""
        for row in self._select(self.studies, f"source = {quoted(key.source)}", ["study"]):
            if row["study"] != study:
                for table in (self.studies, self.epochs):
                    self._safely(partial(table.delete, f"study = {quoted(row['study'])}"), "written")
        return self._free_name(study, path, key)

    def _free_name(self, study: str, path: Path, key: StudyKey) -> str:
        folders = path.absolute().parts[1:-1]
        names = [study, *("_".join((*folders[-depth:], study)) for depth in range(1, len(folders) + 1))]
        for name in names:
            row = self.study_row(name)
            if row is None or row["source"] == key.source or row["content"] == key.content:
                return name
        return f"{study}_{key.source}"

    def study_row(self, study: str) -> dict[str, Any] | None:
        """The row of a study, or None."""
        found = self._select(self.studies, f"study = {quoted(study)}", None)
        return found[0] if found else None

    def holds(self, study: str, key: StudyKey) -> bool:
        """Whether a study is there as it is now, whole."""
        row = self.study_row(study)
        return row is not None and row["content"] == key.content and row["model_hash"] == self._model_hash

    def add(self, table: StudyTable, key: StudyKey) -> None:
        """Put a study into the library in the place of what was there of it; whole, or not at all.

        The epochs come first and the study's row last: a study without its row is taken as absent and written again.

        Raises
        ------
        StudyError
            Another study of this name came into the library at this moment.
        SleepcliError
            The library cannot be written.
        """
        write = uuid.uuid4().hex
        night = {**table.night, "study": table.study, **vars(key), ORIGIN: key.origin, "model_hash": self._model_hash}
        self._replace(self.epochs, epoch_rows(table, key, write, self.epochs.schema), table.study, write, key)
        self._replace(self.studies, study_rows(night, write, self.studies.schema), table.study, write, key)

    def _replace(self, table: Any, rows: "pa.Table", study: str, write: str, key: StudyKey) -> None:
        """Write a study's rows in one commit; then take away what another writer put beside them in the meantime."""
        mine = f"study = {quoted(study)}"

        def written() -> None:
            table.checkout_latest()
            if not table.count_rows(mine):
                table.add(rows)
                return
            merging = table.merge_insert(["study", "epoch"] if "epoch" in rows.schema.names else ["study"])
            merging = merging.when_matched_update_all().when_not_matched_insert_all()
            merging.when_not_matched_by_source_delete(mine).execute(rows)

        def settled() -> str:
            table.checkout_latest()
            found = {(row[WRITE], row[ORIGIN]) for row in self._select(table, mine, [WRITE, ORIGIN])}
            winner = min(found, default=(write, key.origin))
            if len(found) > 1:
                table.delete(f"{mine} AND {WRITE} != '{winner[0]}'")
            return winner[1]

        self._safely(written, "written")
        if self._safely(settled, "written") != key.origin:
            raise StudyError(
                f"Something else named {study} came into the library at the same moment.",
                "Run the same command again; another study is told apart by its folder.",
            )

    def tidy(self, every: bool = False) -> None:
        """Compact the tables when many pieces were appended, or at once; old versions go after an hour."""
        for table in (self.epochs, self.studies):
            table.checkout_latest()
            pieces = table.stats()["fragment_stats"]["num_small_fragments"]
            if every or pieces >= MANY_FRAGMENTS:
                self._safely(partial(table.optimize, cleanup_older_than=KEPT_FOR), "compacted")

    def build_indexes(self) -> None:
        """Make what is missing for quick searches, and take up what was appended since."""
        from lancedb.index import FTS, Bitmap, BTree, IvfFlat

        self.epochs.checkout_latest()
        count = self.epochs.count_rows()
        if not count:
            return
        words = FTS(base_tokenizer="whitespace", stem=False, remove_stop_words=False, ascii_folding=False)
        wanted: dict[str, Any] = {"study": BTree(), "words": words, "stage": Bitmap(), "position": Bitmap()}
        if count >= APPROXIMATE_FROM:
            wanted["embedding"] = IvfFlat(
                distance_type="dot", num_partitions=round(count**0.5), max_iterations=ROUNDS, sample_rate=SAMPLES
            )
            wanted |= {name: BTree() for name in FIGURES}
            wanted |= {name: Bitmap() for name, kind in COLUMNS.items() if kind == FLAG}
        there = {name for index in self.epochs.list_indices() for name in index.columns}
        for column, config in wanted.items():
            if column not in there:
                self._safely(partial(self.epochs.create_index, column, config=config), "indexed")
        self.tidy(every=True)

    def counts(self) -> tuple[int, int]:
        """Numbers of studies and of epochs."""
        for table in (self.studies, self.epochs):
            table.checkout_latest()
        return int(self.studies.count_rows()), int(self.epochs.count_rows())

    @property
    def identity(self) -> str:
        """Tells this library from one that was made later in the same place."""
        return str((self.epochs.schema.metadata or {}).get(b"library_id", b"").decode())

    @property
    def dimensions(self) -> int:
        """Length of an embedding."""
        return int(self.epochs.schema.field("embedding").type.list_size)

    def _select(self, table: Any, where: str, columns: list[str] | None) -> list[dict[str, Any]]:
        def selected() -> Any:
            query = table.search().where(where)
            return (query.select(columns) if columns else query).limit(None).to_arrow().to_pylist()

        found: list[dict[str, Any]] = self._safely(selected, "read")
        return found

    def _safely(self, work: Callable[[], Result], done: str) -> Result:
        """Do a piece of work, again where another writer was quicker; a failure becomes one sentence."""
        attempt = 0
        while True:
            attempt += 1
            try:
                return work()
            except SleepcliError:
                raise
            except (OSError, RuntimeError, ValueError) as error:
                text = str(error).lower()
                if attempt >= TRIES or not any(word in text for word in _CONFLICTS):
                    raise library_failure(self.place, done, error) from error
                time.sleep(random.uniform(0.0, min(2.0, 0.05 * 2**attempt)))


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"The library {folder} cannot be made: {error.strerror}.", "Choose another folder.") from None


def epoch_schema(dimensions: int, about: dict[str, str]) -> "pa.Schema":
    """Arrow's schema of the epochs' table."""
    import pyarrow as pa

    kinds = {TEXT: pa.string(), INTEGER: pa.int32(), FLAG: pa.bool_()}
    fields = [pa.field(name, kinds.get(kind, pa.float32())) for name, kind in COLUMNS.items()]
    fields += [pa.field("embedding", pa.list_(pa.float32(), dimensions))]
    fields += [pa.field(WRITE, pa.string()), pa.field(ORIGIN, pa.string())]
    return pa.schema(fields, metadata=about)


def study_schema(about: dict[str, str]) -> "pa.Schema":
    """Arrow's schema of the studies' table."""
    import pyarrow as pa

    keys = ("study", "content", "source", "model_hash", WRITE, ORIGIN)
    texts = (*keys, "start", "stages_from", "events_from", "summary")
    numbers = ("duration", "time_in_bed", *NIGHT_FIGURES)
    fields = [pa.field(name, pa.string()) for name in texts]
    fields += [pa.field("epochs", pa.int32()), pa.field("lights_known", pa.bool_())]
    return pa.schema([*fields, *(pa.field(name, pa.float64()) for name in numbers)], metadata=about)


def epoch_rows(table: StudyTable, key: StudyKey, write: str, schema: "pa.Schema") -> "pa.Table":
    """A study's epochs as Arrow rows."""
    import pyarrow as pa

    dimensions = schema.field("embedding").type.list_size
    arrays = [pa.array(table.columns[name], schema.field(name).type) for name in COLUMNS]
    flat = pa.array(table.embeddings.reshape(-1), pa.float32())
    arrays += [pa.FixedSizeListArray.from_arrays(flat, dimensions)]
    arrays += [pa.array([write] * table.n_epochs), pa.array([key.origin] * table.n_epochs)]
    return pa.Table.from_arrays(arrays, schema=schema)


def study_rows(night: dict[str, Any], write: str, schema: "pa.Schema") -> "pa.Table":
    """A study's own row as an Arrow table."""
    import pyarrow as pa

    return pa.Table.from_pylist([{**night, WRITE: write}], schema=schema)
