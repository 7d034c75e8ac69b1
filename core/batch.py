"""One function over many studies: what is done, skipped or failed, and the report of the run.

The work on one study is a task: a picklable callable that takes a `StudyInput` and returns an `Outcome`.
A batch journals each finished study in the output folder, so that a killed run goes on where it stopped.
"""

import csv
import glob
import hashlib
import io
import json
import multiprocessing
import os
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol

from core.errors import SleepcliError, StudyError, UsageError
from core.files import content_hash, write_text

STUDY_SUFFIXES = (".edf", ".bdf", ".rec", ".vhdr", ".set", ".fif", ".fif.gz", ".gdf", ".cnt", ".npy")
"""What a folder is searched for, besides `.psg` folders; a file given by name may have any suffix."""
STUDY_FOLDERS = (".psg", ".mff", ".mefd")
"""Folders that are one study: prepared ones, and EGI's and MEF's recordings."""
JOURNAL = ".run.jsonl"
NOTHING_DONE = 3


@dataclass(frozen=True)
class StudyInput:
    """One study of a batch."""

    path: Path
    """The file, or the folder of a prepared study."""
    study: str
    """Name of the study in every output, unique in the batch."""


@dataclass(frozen=True)
class Outcome:
    """What a task gives back for one study."""

    files: tuple[str, ...] = ()
    """Names of the files written, inside the output folder."""
    figures: dict[str, Any] = field(default_factory=dict)
    """What the summary table and run.json show."""
    rows: tuple[dict[str, Any], ...] = ()
    """JSON rows for a pipe, when nothing is written."""
    warnings: tuple[str, ...] = ()
    """What was repaired or left out, for the screen and run.json."""


@dataclass(frozen=True)
class StudyRow:
    """A row of run.json: what became of one study."""

    study: str
    path: str
    outcome: str
    """`done`, `skipped` or `failed`."""
    seconds: float = 0.0
    message: str = ""
    hint: str = ""
    key: str = ""
    result: Outcome = field(default_factory=Outcome)
    code: int = NOTHING_DONE
    """Exit code of the failure when nothing else could be done: 2 for wrong usage, else 3."""
    trace: str = ""
    """Call stack of an unexpected failure, without values of variables or the exception's text."""


class Task(Protocol):
    """The work on one study; an instance is pickled to worker processes."""

    def __call__(self, item: StudyInput) -> Outcome:
        """Process one study; raises `SleepcliError` where it cannot be processed."""
        ...

    def sources(self, item: StudyInput) -> Sequence[Path]:
        """Give the files that the outputs depend on: the study, a scoring beside it, a montage."""
        ...


@dataclass(frozen=True)
class BatchOptions:
    """How a batch runs."""

    out: Path | None = None
    """Folder of the outputs, the journal and the report; None writes nothing."""
    jobs: int = 1
    """Worker processes; 1 works in this process."""
    on_error: str = "continue"
    """`continue` with the other studies, or `abort` at the first failure."""
    key: str = ""
    """What the outputs depend on besides the study: model hash and options."""


def expand(
    paths: Sequence[str], listed: Iterable[str] = (), is_scoring: Callable[[Path], bool] | None = None
) -> list[StudyInput]:
    """Turn files, folders, globs and lists into studies with unique names.

    Parameters
    ----------
    paths
        As typed: a file, a prepared study, a folder (searched below for `STUDY_SUFFIXES`), a glob, or `-`
        for the list.
    listed
        Lines of the list that stands for `-`, one path a line.
    is_scoring
        Tells the files that hold annotations only: beside studies they are left out, alone they stay.

    Raises
    ------
    UsageError
        When none of the paths exists, or no study is in them.
    """
    typed = [line for path in paths for line in (_lines(listed) if path == "-" else [path])]
    found: dict[Path, None] = {}
    missing: list[Path] = []
    for text in typed:
        matches = _matches(text)
        if not matches:
            missing.append(Path(text))
        for match in matches:
            found[match] = None
    if missing and not found and not any(Path(text).exists() for text in typed):
        raise UsageError(f"No such file or folder: {missing[0]}.", "Check the path, or quote a glob.")
    items = list(found) + [path for path in missing if not path.exists()]
    if not items:
        raise UsageError(
            f"No study was found in {typed[0] if typed else 'an empty list'}.",
            f"A folder is searched for {' '.join(STUDY_SUFFIXES)} files and prepared .psg studies.",
        )
    studies = [path for path in items if is_scoring is None or not is_scoring(path)]
    return _named(studies or items)


def _lines(listed: Iterable[str]) -> list[str]:
    return [line.strip() for line in listed if line.strip()]


def _matches(text: str) -> list[Path]:
    path = Path(text)
    if path.is_dir() and not _is_study_folder(path):
        return sorted(_studies_below(path))
    if path.exists():
        return [path]
    matches = sorted(glob.glob(text, recursive=True))
    return [inner for match in matches for inner in _matches(glob.escape(match))]


def _is_study_folder(path: Path) -> bool:
    return path.suffix in STUDY_FOLDERS and path.is_dir()


def _studies_below(folder: Path) -> Iterator[Path]:
    for base, folders, files in os.walk(folder):
        prepared = [name for name in folders if _is_study_folder(Path(base, name))]
        folders[:] = sorted(name for name in folders if name not in prepared and not name.startswith("."))
        yield from (Path(base, name) for name in prepared if not name.startswith("."))
        for name in files:
            study = name.lower().endswith(STUDY_SUFFIXES) and not name.endswith(".embeddings.npy")
            if study and not name.startswith("."):
                yield Path(base, name)


def study_name(path: Path) -> str:
    """Name of a study: the file's stem."""
    name = path.name
    return name[: -len(".fif.gz")] if name.lower().endswith(".fif.gz") else path.stem


def _named(paths: list[Path]) -> list[StudyInput]:
    """Give each path the shortest unique name: its stem, told apart by folders, then by suffix."""
    names = {path: study_name(path) for path in paths}
    absolute = {path: path.absolute() for path in paths}
    for depth in range(1, 1 + max(len(path.parts) for path in absolute.values())):
        clashes = [path for path in paths if Counter(names.values())[names[path]] > 1]
        if not clashes:
            break
        for path in clashes:
            folders = absolute[path].parts[1:-1][-depth:]
            names[path] = "_".join((*folders, study_name(path)))
    counts = Counter(names.values())
    return [
        StudyInput(path, name if counts[name] == 1 else f"{name}_{path.suffix.lstrip('.')}")
        for path, name in names.items()
    ]


def run(task: Task, items: Sequence[StudyInput], options: BatchOptions) -> Iterator[StudyRow]:
    """Process studies and yield a row each, in the order in which they finish.

    Studies whose journal entry has the same content, model and options, and whose files are still there,
    are skipped. The journal is written as each study finishes; `write_report` closes the run.

    Raises
    ------
    SleepcliError
        When the output folder cannot be written, or `on_error` is `abort` and a study failed.
    """
    journal = _Journal(options)
    rest: list[tuple[StudyInput, str]] = []
    for item in items:
        key = _key_of(task, item, options)
        before = journal.done(item.study, key)
        if before is None:
            rest.append((item, key))
        else:
            yield StudyRow(item.study, str(item.path), "skipped", key=key, result=before)
    for row in _rows(task, rest, options):
        journal.add(row)
        yield row
        if row.outcome == "failed" and options.on_error == "abort":
            hint = row.hint or "Stopped, because --on-error is abort."
            raise StudyError(f"{row.study}: {row.message}", hint)


def _key_of(task: Task, item: StudyInput, options: BatchOptions) -> str:
    if options.out is None or not item.path.exists():
        return ""
    try:
        content = " ".join(content_hash(path) for path in task.sources(item))
    except OSError:
        return ""
    return hashlib.sha256(f"{content} {item.study} {options.key}".encode()).hexdigest()


def _rows(task: Task, work: list[tuple[StudyInput, str]], options: BatchOptions) -> Iterator[StudyRow]:
    if options.jobs <= 1 or len(work) <= 1:
        for item, key in work:
            yield attempt(task, item, key)
        return
    context = multiprocessing.get_context("spawn")
    jobs = min(options.jobs, len(work))
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_end_with_parent) as pool:
        running: dict[Future[StudyRow], StudyInput] = {
            pool.submit(attempt, task, item, key): item for item, key in work
        }
        try:
            while running:
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    item = running.pop(future)
                    yield _row_of(future, item)
        finally:
            for future in running:
                future.cancel()


def _row_of(future: Future[StudyRow], item: StudyInput) -> StudyRow:
    try:
        return future.result()
    except BrokenProcessPool:
        message = "A worker process ended before this study was finished; out of memory is the usual cause."
        return StudyRow(item.study, str(item.path), "failed", message=message, hint="Try a lower --jobs.")


def _end_with_parent() -> None:
    """Make a worker process end when its parent is gone, however it went."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent,), daemon=True).start()


def _exit_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


def attempt(task: Task, item: StudyInput, key: str = "") -> StudyRow:
    """Run a task on one study; a failure becomes a row."""
    start = time.monotonic()
    path = str(item.path)
    try:
        if not item.path.exists():
            raise StudyError(f"No such file or folder: {item.path}.", "Check the path.")
        result = task(item)
    except SleepcliError as error:
        seconds = time.monotonic() - start
        return StudyRow(item.study, path, "failed", seconds, error.message, error.hint, key, code=error.exit_code)
    except Exception as error:  # noqa: BLE001 - a bug in one study must not lose the others
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(frame.filename).name}:{frame.lineno}"
        message = f"Unexpected {type(error).__name__} at {where}."
        stack = "".join(traceback.format_tb(error.__traceback__))
        seconds = time.monotonic() - start
        hint = "Please report this; --debug shows where it happened."
        return StudyRow(item.study, path, "failed", seconds, message, hint, key, trace=stack)
    return StudyRow(item.study, path, "done", time.monotonic() - start, key=key, result=result)


class _Journal:
    """Finished studies of this output folder, a JSON line each, so that a rerun knows them."""

    def __init__(self, options: BatchOptions) -> None:
        self.out = options.out
        self.entries: dict[str, dict[str, Any]] = {}
        if self.out is None:
            return
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            with (self.out / JOURNAL).open("a+", encoding="utf-8") as stream:
                stream.seek(0)
                self._read(stream)
        except OSError as error:
            raise UsageError(
                f"The output folder {self.out} cannot be written: {error.strerror}.", "Choose another --out."
            ) from None

    def _read(self, lines: Iterable[str]) -> None:
        for line in lines:
            try:
                entry = json.loads(line)
                self.entries[entry["study"]] = entry
            except (ValueError, KeyError, TypeError):
                continue  # the last line of a killed run may be cut; its study is done again

    def done(self, study: str, key: str) -> Outcome | None:
        """Outcome of an earlier run when nothing has changed since; None when the study is to be done."""
        entry = self.entries.get(study)
        if self.out is None or entry is None or not key or entry.get("key") != key:
            return None
        files: Mapping[str, int] = entry.get("files", {})
        for name, size in files.items():
            path = self.out / name
            actual = path.stat().st_size if path.is_file() else -1
            if not (path.is_dir() or actual == size):
                return None
        return Outcome(tuple(files), entry.get("figures", {}), (), tuple(entry.get("warnings", ())))

    def add(self, row: StudyRow) -> None:
        """Note a finished study."""
        if self.out is None or row.outcome != "done":
            return
        sizes = {name: (self.out / name).stat().st_size for name in row.result.files}
        entry = {"study": row.study, "key": row.key, "files": sizes}
        entry |= {"figures": row.result.figures, "warnings": list(row.result.warnings)}
        try:
            with (self.out / JOURNAL).open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(entry) + "\n")
        except OSError as error:
            raise SleepcliError(
                f"The journal in {self.out} cannot be written: {error.strerror}.",
                "Free some space and run the same command again; finished studies are kept.",
            ) from None


def write_report(out: Path, about: Mapping[str, Any], rows: Sequence[StudyRow]) -> None:
    """Write run.json and run.csv: versions, model and options, and a row a study.

    Parameters
    ----------
    out
        Folder of the run.
    about
        What the run was: command, versions, model and its hash, device, options.
    rows
        One a study.
    """
    table = [
        {
            "study": row.study,
            "path": row.path,
            "outcome": row.outcome,
            "seconds": round(row.seconds, 2),
            "message": f"{row.message} {row.hint}".strip(),
            "files": list(row.result.files),
            "warnings": list(row.result.warnings),
            "figures": row.result.figures,
        }
        for row in sorted(rows, key=lambda row: row.study)
    ]
    columns = ("study", "path", "outcome", "seconds", "message")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([entry[column] for column in columns] for entry in table)
    write_text(out / "run.json", json.dumps({**about, "studies": table}, indent=2) + "\n")
    write_text(out / "run.csv", text.getvalue())


def exit_code(rows: Sequence[StudyRow]) -> int:
    """0 all done; 1 some studies failed; 2 wrong usage, of all of them; 3 none could be done (DESIGN: exit codes)."""
    codes = [row.code for row in rows if row.outcome == "failed"]
    if len(codes) < len(rows):
        return 1 if codes else 0
    return max(codes, default=0)
