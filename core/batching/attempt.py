"""One study tried: whether it is done already, the work, and the row that tells what came of it."""

import errno
import shutil
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from core.batching.journal import Entry
from core.batching.lock import working_in
from core.batching.sources import are_settled, hash_of, key_of, same_content, sources_of, stamps_of
from core.batching.task import StudyInput, StudyRow, Task
from core.errors import SleepcliError, StudyError, UsageError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Job:
    """One study as it travels to a worker."""

    item: StudyInput
    """The study."""
    out: Path | None = None
    """The output folder."""
    key: str = ""
    """What the outputs depend on besides the study."""
    before: Entry | None = None
    """What became of it in an earlier run, unless it is to be done anyway."""


def known_row(task: Task, job: Job) -> StudyRow | None:
    """Give the row of a study whose sources look as they did when it was done; None where they must be read."""
    before = job.before
    if before is None or job.out is None or (not before.stamps and before.content):
        return None
    if before.key != key_of(before.content, job.item, job.key) or not before.still_holds(job.out):
        return None
    sources = sources_of(task, job.item)
    if sources is None or stamps_of(sources) != before.stamps:
        return None
    return before.row(job.item)


def _unheard(row: StudyRow) -> None:
    """Nobody wants to know that a study was begun."""


def process(task: Task, job: Job, begun: Callable[[StudyRow], None] = _unheard) -> StudyRow:
    """Do one study, unless its contents, model and options are those of an earlier run whose files are there.

    Parameters
    ----------
    task
        The work.
    job
        The study, and what is known of it.
    begun
        Told what the study is, in a row of the outcome `begun`, before the work on it.
    """
    sources = sources_of(task, job.item) if job.out is not None else None
    stamps = stamps_of(sources) if sources is not None else None
    if job.out is None or sources is None or stamps is None:
        return attempt(task, job.item)
    settled = are_settled(stamps)
    try:
        content = hash_of(sources)
    except OSError:
        return attempt(task, job.item)  # the reading says what is wrong with the file
    key = key_of(content, job.item, job.key)
    seen = stamps if settled else ()
    if job.before is not None and job.before.key == key and job.before.still_holds(job.out):
        return replace(job.before.row(job.item), stamps=seen)
    begun(StudyRow(job.item.study, str(job.item.path), "begun", key=key, content=content, stamps=seen))
    try:
        with working_in(job.out):
            row = attempt(task, job.item, key)
            if not same_content(stamps, stamps_of(sources) or stamps):
                row = _changed(row, job.out)
    except UsageError as error:
        return _failed(job.item, error)
    return replace(row, content=content, stamps=seen)


def _changed(row: StudyRow, out: Path) -> StudyRow:
    """Take back what was made of a study whose files changed under the reader: it may be of two contents."""
    for name in row.result.files:
        path = out / name
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    message = f"{row.study} changed while it was read."
    return StudyRow(row.study, row.path, "failed", row.seconds, message, "Run the same command again when it is whole.")


def attempt(task: Task, item: StudyInput, key: str = "") -> StudyRow:
    """Run a task on one study; a failure becomes a row."""
    start = time.monotonic()
    try:
        if not item.path.exists():
            raise StudyMissingError(f"No such file or folder: {item.path}.", "Check the path.")
        result = task(item)
    except Exception as error:  # noqa: BLE001 - a bug in one study must not lose the others
        return replace(_failed(item, error), seconds=time.monotonic() - start, key=key)
    return StudyRow(item.study, str(item.path), "done", time.monotonic() - start, key=key, result=result)


class StudyMissingError(StudyError):
    """The file is not there, or not there any more."""


def _failed(item: StudyInput, error: Exception) -> StudyRow:
    """The row of a failure: a sentence, and for a bug the place where it happened."""
    path = str(item.path)
    if isinstance(error, SleepcliError):
        lasting = isinstance(error, StudyError) and not isinstance(error, StudyMissingError) and item.path.exists()
        return StudyRow(
            item.study, path, "failed", 0.0, error.message, error.hint, code=error.exit_code, lasting=lasting
        )
    if isinstance(error, OSError | MemoryError):
        return StudyRow(item.study, path, "failed", 0.0, *_of_the_machine(item, error))
    frame = traceback.extract_tb(error.__traceback__)[-1]
    message = f"Unexpected {type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}."
    stack = "".join(traceback.format_tb(error.__traceback__))
    hint = "Please report this; --debug shows where it happened."
    return StudyRow(item.study, path, "failed", 0.0, message, hint, trace=stack, lasting=True)


def _of_the_machine(item: StudyInput, error: OSError | MemoryError) -> tuple[str, str]:
    """Say what the machine lacked; never the exception's own text, which may hold what was read."""
    if isinstance(error, MemoryError):
        return f"{item.path} needs more memory than there is.", "Try a lower --jobs."
    if not item.path.exists():
        return f"{item.path} was removed while it was read.", "Bring it back and run the same command again."
    reason = (error.strerror or type(error).__name__).lower()
    where = f"{item.study} could not be read or written: {reason}."
    return where, "Free some space." if error.errno in FULL else "Check the disk, and run the same command again."
