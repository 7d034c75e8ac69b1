"""Studies on a Dask cluster: the same function a study, its results and failures the same.

The files of the studies and the output folder must be where they are for every worker, as on a shared disk.
A worker that is lost is Dask's affair: its study is done again by another one.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.batching.attempt import Job, process
from core.batching.options import BatchOptions
from core.batching.task import StudyRow, Task
from core.errors import UsageError

if TYPE_CHECKING:
    from distributed import Client, Future

SLURM = "slurm"
ANSWER_SECONDS = 20.0
"""How long a scheduler may take to answer, and then to have a worker."""
POLL_SECONDS = 0.5
"""How often finished studies, new workers and a wish to stop are looked for."""
_ONE_STUDY = threading.Lock()
"""Held while a study is worked on: a worker with several threads still does one at a time."""


def cluster_rows(task: Task, jobs: Sequence[Job], options: BatchOptions) -> Iterator[StudyRow]:
    """Do studies on a cluster and yield a row each, in the order in which they finish.

    Parameters
    ----------
    task
        The work, pickled once a study.
    jobs
        The studies.
    options
        Where the cluster is, time for a study, the wish to stop.

    Raises
    ------
    UsageError
        The cluster cannot be reached, has no workers, or its queue is not configured.
    ImportError
        The extra `[cluster]` is not installed.
    """
    with _client(options) as client:
        flights = _Flights(client, task, options)
        waiting = deque(jobs)
        try:
            while True:
                if options.stop():
                    waiting.clear()
                while waiting and flights.has_room():
                    flights.begin(waiting.popleft())
                if not flights.jobs and not waiting:
                    return
                yield from flights.finished()
        finally:
            client.cancel(list(flights.jobs), force=True)


class _Flights:
    """The studies that the cluster has: no more than it has workers, so that each is begun at once."""

    def __init__(self, client: "Client", task: Task, options: BatchOptions) -> None:
        self.client = client
        self.options = options
        self.jobs: dict[Future, Job] = {}
        self._since: dict[Future, float] = {}
        self._slots: dict[Future, int] = {}
        self._work = (task, str(Path.cwd()), version("sleepcli"))

    def has_room(self) -> bool:
        """Whether a worker is free."""
        return len(self.jobs) < len(self.client.nthreads())

    def begin(self, job: Job) -> None:
        """Send one study to the cluster."""
        task, folder, program = self._work
        future = self.client.submit(_on_worker, task, job, folder, program, pure=False)
        slot = min({*range(1, len(self.jobs) + 2)} - {*self._slots.values()})
        self.jobs[future], self._since[future], self._slots[future] = job, time.monotonic(), slot
        self.options.started(slot, job.item.study)

    def finished(self) -> Iterator[StudyRow]:
        """Wait for a moment, and yield what is finished, lost or late."""
        from distributed import wait

        try:
            if self.jobs:
                wait(list(self.jobs), timeout=POLL_SECONDS, return_when="FIRST_COMPLETED")
            else:
                time.sleep(POLL_SECONDS)
        except TimeoutError:
            yield from self._late()
            return
        for future in [future for future in self.jobs if future.status != "pending"]:
            yield self._landed(future, self._row(future))
        yield from self._late()

    def _row(self, future: "Future") -> StudyRow:
        if future.status == "finished":
            row: StudyRow = future.result()
            return row
        error = future.exception() if future.status == "error" else None
        if type(error).__name__ == "KilledWorker":
            message = "Every worker of the cluster that tried it was lost; out of memory is the usual cause."
            return self._failed(future, message, "Give the workers more memory.")
        what = type(error).__name__ if error is not None else future.status
        return self._failed(future, f"The cluster gave it up ({what}).", "Run the same command again.")

    def _late(self) -> Iterator[StudyRow]:
        """End the workers of studies whose time is over; a study that no worker has yet gets its time anew."""
        limit, now = self.options.timeout, time.monotonic()
        late = [] if limit is None else [future for future in self.jobs if now - self._since[future] > limit]
        if not late:
            return
        owners = {key: worker for worker, keys in self.client.processing().items() for key in keys}
        for future in late:
            worker = owners.get(future.key)
            if worker is None:
                self._since[future] = now
                continue
            message = f"It took longer than {limit:g} s, and its worker was ended."
            row = self._failed(future, message, "Give it more time with --timeout.")
            self.client.cancel([future], force=True)
            self.client.run(os._exit, 1, workers=[worker], wait=False, on_error="ignore")  # its nanny starts it anew
            yield self._landed(future, row)

    def _failed(self, future: "Future", message: str, hint: str) -> StudyRow:
        item, seconds = self.jobs[future].item, time.monotonic() - self._since[future]
        return StudyRow(item.study, str(item.path), "failed", seconds, message, hint)

    def _landed(self, future: "Future", row: StudyRow) -> StudyRow:
        del self.jobs[future], self._since[future]
        return replace(row, worker=self._slots.pop(future))


def _on_worker(task: Task, job: Job, folder: str, program: str) -> StudyRow:
    """Do one study on a worker of the cluster, in the folder where the command was given."""
    item = job.item
    try:
        if version("sleepcli") != program:
            raise UsageError(f"A worker has sleepcli {version('sleepcli')}, this is {program}.", "Install one version.")
        with _ONE_STUDY:
            os.chdir(folder)
            return process(task, job)
    except FileNotFoundError:
        message, hint = f"A worker does not see the folder {folder}.", "Work in a folder that all workers share."
        return StudyRow(item.study, str(item.path), "failed", message=message, hint=hint, code=UsageError.exit_code)
    except UsageError as error:
        told = (error.message, error.hint)
        return StudyRow(item.study, str(item.path), "failed", 0.0, *told, code=error.exit_code)


@contextmanager
def _client(options: BatchOptions) -> "Iterator[Client]":
    """Reach the scheduler that was named, or start one whose workers are jobs of the queue."""
    if options.cluster == SLURM:
        with _slurm(options) as cluster, _reached(cluster) as client:
            yield client
        return
    address = str(options.cluster)
    if "://" not in address:
        raise UsageError(f"--cluster {address} is no cluster.", "It is slurm, or an address such as tcp://host:8786.")
    with _reached(address) as client:
        deadline = time.monotonic() + ANSWER_SECONDS
        while not client.nthreads():
            if time.monotonic() > deadline:
                raise UsageError(f"The cluster at {address} has no workers.", f"Start some: dask worker {address}")
            time.sleep(POLL_SECONDS)
        yield client


def _reached(where: Any) -> "Client":
    from distributed import Client

    try:
        return Client(where, timeout=ANSWER_SECONDS)
    except (OSError, ValueError) as error:
        reason = "No Dask scheduler answers" if isinstance(error, OSError) else "There is no address"
        raise UsageError(f"{reason} at {where}.", "Start one: dask scheduler") from None


def _slurm(options: BatchOptions) -> Any:
    from dask_jobqueue import SLURMCluster

    hint = "Set cores and memory of a job under jobqueue.slurm in ~/.config/dask/jobqueue.yaml."
    try:
        cluster = SLURMCluster()
    except (ValueError, TypeError) as error:
        raise UsageError(f"The Slurm cluster is not configured: {error}.", hint) from None
    cluster.scale(jobs=options.jobs)
    return cluster
