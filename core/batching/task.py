"""What a batch hands around: a study, the work on it, what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

NOTHING_DONE = 3
"""Exit code of a failure when nothing else could be done."""

Stamp = tuple[str, int, int, int, int]
"""Path, bytes, modification time, change time (both ns) and inode of a file."""


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
    found: Any = None
    """What the study was read into, for a caller that goes on with it in memory; in no report."""


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
    """Hash of all that the outputs depend on; empty where it is not known."""
    result: Outcome = field(default_factory=Outcome)
    code: int = NOTHING_DONE
    """Exit code of the failure when nothing else could be done: 2 for wrong usage, else 3."""
    trace: str = ""
    """Call stack of an unexpected failure, without values of variables or the exception's text."""
    lasting: bool = False
    """Whether the failure lies in the study, so that the same command would fail again."""
    content: str = ""
    """Hash of the files that the outputs depend on."""
    stamps: tuple[Stamp, ...] = ()
    """What those files looked like when they were hashed; empty where that proves nothing."""
    worker: int = 0
    """Number of the worker that did it, from 1; 0 where this process did."""


class Task(Protocol):
    """The work on one study; an instance is pickled to worker processes."""

    def __call__(self, item: StudyInput) -> Outcome:
        """Process one study; raises `SleepcliError` where it cannot be processed."""
        ...

    def sources(self, item: StudyInput) -> Sequence[Path]:
        """Give the files that the outputs depend on: the study, a scoring beside it, a montage."""
        ...
