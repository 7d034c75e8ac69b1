"""One function over many studies: what is done, skipped or failed, and the report of the run.

The work on one study is a task: a picklable callable that takes a `StudyInput` and returns an `Outcome`.
A batch journals each finished study in the output folder, so that a killed run goes on where it stopped.
"""

from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace

from core.batching.attempt import Job, attempt, known_row, process
from core.batching.journal import Journal
from core.batching.leftovers import remove_leftovers
from core.batching.lock import sole_run
from core.batching.options import BatchOptions
from core.batching.paths import expand, study_name
from core.batching.report import exit_code, write_report
from core.batching.task import Outcome, StudyInput, StudyRow, Task
from core.batching.workers import most_workers, worker_rows
from core.errors import StudyError

__all__ = [
    "BatchOptions", "Outcome", "StudyInput", "StudyRow", "Task",
    "attempt", "exit_code", "expand", "most_workers", "run", "study_name", "write_report",
]  # fmt: skip


def run(task: Task, items: Sequence[StudyInput], options: BatchOptions) -> Generator[StudyRow, None, None]:
    """Process studies and yield a row each, in the order in which they finish.

    Studies whose journal entry has the same content, model and options, and whose files are still there,
    are skipped; those that failed for good stay failed, unless `retry_failed`. The journal is written as each
    study finishes, the report at the end, also of a run that was stopped.

    Parameters
    ----------
    task
        The work on one study.
    items
        The studies.
    options
        How the batch runs.

    Raises
    ------
    SleepcliError
        When the output folder cannot be written or another run writes there, a cluster does not answer, or
        `on_error` is `abort` and a study failed.
    """
    with ExitStack() as held:
        if options.out is not None:
            held.enter_context(sole_run(options.out))
        rows = _Rows(options, {item.study for item in items})
        held.callback(rows.close)
        yield from rows.of(task, items)


class _Rows:
    """The rows of a run, noted as they come."""

    def __init__(self, options: BatchOptions, studies: set[str]) -> None:
        self.options = options
        self.studies = studies
        self.journal = Journal(options.out, options.work)
        self.rows: list[StudyRow] = []
        if options.out is not None:
            remove_leftovers(options.out, studies)

    def of(self, task: Task, items: Sequence[StudyInput]) -> Iterator[StudyRow]:
        """Studies that need no work first, then the others."""
        rest = []
        for item in items:
            job = self._job(item)
            row = known_row(task, job)
            if row is None:
                rest.append(job)
            else:
                yield self._noted(row, fresh=False)
        for row in _worked(task, rest, self.options):
            yield self._noted(row, fresh=True)
            if row.outcome == "failed" and self.options.on_error == "abort":
                raise StudyError(f"{row.study}: {row.message}", row.hint or "Stopped, because --on-error is abort.")

    def _job(self, item: StudyInput) -> Job:
        before = self.journal.entry(item.study)
        if before is not None and before.outcome == "failed" and self.options.retry_failed:
            before = None
        return Job(item, self.options.out, self.options.key, before)

    def _noted(self, row: StudyRow, fresh: bool) -> StudyRow:
        warning = self.journal.add(row) if fresh else ""
        if warning:
            row = replace(row, result=replace(row.result, warnings=(*row.result.warnings, warning)))
        self.rows.append(replace(row, result=replace(row.result, rows=(), found=None)))
        return row

    def close(self) -> None:
        """Take away what ended workers left, and write the report."""
        if self.options.out is None:
            return
        remove_leftovers(self.options.out, self.studies)
        if self.options.about is not None and self.rows:
            write_report(self.options.out, self.options.about, self.rows)


def _worked(task: Task, jobs: Sequence[Job], options: BatchOptions) -> Iterator[StudyRow]:
    """Do studies on a cluster, in worker processes, or here.

    Several studies whose results are kept are done in a process of their own also one after the other: what ends
    the process of one study (memory, a file cut while it is mapped, a bug in native code) must not end the night.
    """
    if options.cluster is not None and jobs:
        from core.batching.cluster import cluster_rows

        yield from cluster_rows(task, jobs, options)
        return
    is_kept = options.kept or options.out is not None
    if options.timeout is not None or (len(jobs) > 1 and (is_kept or options.jobs > 1)):
        yield from worker_rows(task, jobs, options)
        return
    for job in jobs:
        if options.stop():
            return
        options.started(0, job.item.study)
        yield process(task, job)
