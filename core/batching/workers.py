"""Worker processes: each does one study at a time, may be lost or ended, and is replaced."""

import contextlib
import ctypes
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from core.batching.attempt import Job, process
from core.batching.options import BatchOptions
from core.batching.task import Outcome, StudyRow, Task

POLL_SECONDS = 0.5
"""How often a wish to stop is looked for."""
START_SECONDS = 600.0
"""How long a worker may take to import what the task needs, before the time of its first study counts."""
PR_SET_PDEATHSIG = 1
WORKERS_A_PROCESSOR = 4
"""More than this wait for each other and fill the memory."""
JOIN_SECONDS = 5.0
"""How long a worker without a study may take to end by itself."""


def worker_rows(task: Task, jobs: Sequence[Job], options: BatchOptions) -> Iterator[StudyRow]:
    """Do studies in worker processes and yield a row each, in the order in which they finish.

    Parameters
    ----------
    task
        The work, pickled once a worker.
    jobs
        The studies.
    options
        Number of workers, time for a study, the wish to stop.
    """
    waiting = deque(jobs)
    count = min(options.jobs, len(jobs), most_workers())
    workers = [_Worker(task, number, options.timeout) for number in range(1, 1 + count)]
    try:
        while True:
            if options.stop():
                waiting.clear()
            for worker in workers:
                if worker.job is None and waiting:
                    worker.begin(waiting.popleft())
                    options.started(worker.number, worker.study)
            busy = [worker for worker in workers if worker.job is not None]
            if not busy:
                return
            wait([worker.pipe for worker in busy], POLL_SECONDS)
            yield from (row for worker in busy if (row := worker.row()) is not None)
    finally:
        for worker in workers:
            worker.end()


def most_workers() -> int:
    """Worker processes that this machine's processors can feed."""
    return WORKERS_A_PROCESSOR * (os.cpu_count() or 1)


class _Worker:
    """One process, and the study that it has."""

    def __init__(self, task: Task, number: int, timeout: float | None) -> None:
        self.number = number
        self.job: Job | None = None
        self.pipe: Connection
        self._task = task
        self._timeout = timeout
        self._process: BaseProcess | None = None
        self._is_ready = False
        self._since = 0.0
        self._begun: StudyRow | None = None

    @property
    def study(self) -> str:
        """Name of the study in work."""
        return self.job.item.study if self.job is not None else ""

    def begin(self, job: Job) -> None:
        """Give the worker a study; a process is started where there is none."""
        self.job, self._since, self._begun = job, time.monotonic(), None
        if self._process is None:
            self._start()
        with contextlib.suppress(OSError):  # a process that is gone is seen by `row`
            self.pipe.send(job)

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, self._task), daemon=True)
        with _interrupts_held():
            self._process.start()
        other.close()
        self._is_ready = False

    def row(self) -> StudyRow | None:
        """Give the row of the study in work once it is finished, its worker lost or its time over."""
        try:
            while self.pipe.poll():
                answer: StudyRow | None = self.pipe.recv()
                if answer is None:
                    self._is_ready, self._since = True, time.monotonic()
                elif answer.outcome == "begun":
                    self._begun = answer
                else:
                    return self._finished(answer)
        except (EOFError, OSError):
            return self._lost()
        limit = self._timeout if self._is_ready else START_SECONDS
        if self._timeout is None or limit is None or time.monotonic() - self._since <= limit:
            return None
        return self._late()

    def _late(self) -> StudyRow:
        """End the process of a study whose time is over; the study is remembered where its contents are known."""
        self.end(kill=True)
        if not self._is_ready:
            return self._failed("Its worker process did not start.", "Try a lower --jobs.")
        message = f"It took longer than {self._timeout:g} s, and its worker was ended."
        row = self._failed(message, "Give it more time with --timeout.")
        known = self._begun
        if known is None:
            return row
        return replace(row, lasting=True, key=known.key, content=known.content, stamps=known.stamps)

    def _lost(self) -> StudyRow:
        self.end(kill=True)
        message = "Its worker process ended before it was finished; out of memory is the usual cause."
        return self._failed(message, "Try a lower --jobs.")

    def _failed(self, message: str, hint: str) -> StudyRow:
        assert self.job is not None
        item, seconds = self.job.item, time.monotonic() - self._since
        return self._finished(StudyRow(item.study, str(item.path), "failed", seconds, message, hint))

    def _finished(self, row: StudyRow) -> StudyRow:
        self.job = None
        return replace(row, worker=self.number)

    def end(self, kill: bool = False) -> None:
        """End the process: at once, or when it has nothing to do, by itself."""
        if self._process is None:
            return
        self.pipe.close()
        if kill or self.job is not None:
            self._process.kill()
        self._process.join(JOIN_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()
        self._process = None


def _serve(pipe: Connection, task: Task) -> None:
    """Work on studies until the pipe is closed; the life of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _end_with_parent()
    pipe.send(None)
    while True:
        try:
            job: Job = pipe.recv()
        except EOFError:
            return
        row = process(task, job, pipe.send)
        try:
            pipe.send(row)
        except (pickle.PicklingError, TypeError, AttributeError):
            pipe.send(replace(row, outcome="failed", result=Outcome(), message="Its figures cannot be sent."))


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Keep Ctrl-C from processes that start now, so that it stops the batch and not the study."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with_parent() -> None:
    """Make this process end when its parent is gone, however it went, also while native code holds the interpreter."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_exit_after, args=(parent,), daemon=True).start()


def _exit_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
