"""How a batch runs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def never() -> bool:
    """Nobody asks the batch to stop."""
    return False


def unseen(worker: int, study: str) -> None:
    """Nobody watches which worker began which study."""


@dataclass(frozen=True)
class BatchOptions:
    """How a batch runs."""

    out: Path | None = None
    """Folder of the outputs, the journal and the report; None writes nothing."""
    jobs: int = 1
    """Worker processes (no more than `core.batching.workers.most_workers`), or jobs of a cluster's queue."""
    on_error: str = "continue"
    """`continue` with the other studies, or `abort` at the first failure."""
    key: str = ""
    """What the outputs depend on besides the study: model hash and options."""
    work: str = ""
    """Name of the work, such as the command, in the journal."""
    timeout: float | None = None
    """Seconds for one study; a worker that needs more is ended. None waits for ever."""
    retry_failed: bool = False
    """Whether studies that failed before, and have not changed, are tried again."""
    cluster: str | None = None
    """Address of a Dask scheduler, or `slurm`; None for this machine."""
    kept: bool = False
    """Whether the work keeps its results itself, such as in a library, also where `out` is None."""
    about: Mapping[str, Any] | None = None
    """Head of run.json; None writes no report."""
    stop: Callable[[], bool] = never
    """Asked between studies: True ends the batch once the studies in work are finished."""
    started: Callable[[int, str], None] = unseen
    """Told the number of the worker and the name of the study that it begins."""
