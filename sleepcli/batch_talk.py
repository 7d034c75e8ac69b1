"""What a batch says while it runs, and how long it will still take."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from core.batch import StudyRow
from sleepcli import ui


class BatchTalk:
    """What a batch says while it runs: a board on a terminal, a line a study in a log, nothing of one study."""

    def __init__(self, command: str, count: int) -> None:
        self.command = command
        self.count = count
        self.finished = 0
        self.worked = 0
        self.since = time.monotonic()
        self.board = ui.Board(command, count) if ui.is_watched() else None

    def __enter__(self) -> None:
        if self.board is not None:
            self.board.__enter__()

    def __exit__(self, *_: object) -> None:
        if self.board is not None:
            self.board.__exit__()

    def began(self, worker: int, study: str) -> None:
        """A worker has begun a study."""
        if self.board is not None:
            self.board.began(worker, study)

    def stopping(self) -> None:
        """Say that the studies in work are finished first; called by a signal, so it prints nothing through others."""
        if self.board is not None:
            self.board.say("finishing; Ctrl-C: at once")
        else:
            os.write(2, b"Finishing the studies in work; Ctrl-C again stops at once.\n")

    @contextmanager
    def about(self, row: StudyRow) -> Iterator[None]:
        """Count a study, and make room for what is said of it."""
        self.finished += 1
        self.worked += row.seconds > 0
        if self.board is not None:
            self.board.ended(row.worker, self._left())
            with self.board.hidden():
                yield
            return
        if self.count > 1:
            known = "already done" if row.outcome == "skipped" else f"{row.outcome}, {row.seconds:.1f} s"
            ui.note("; ".join(filter(None, (f"{self.finished}/{self.count} {row.study}: {known}", self._left()))))
        yield

    def _left(self) -> str:
        """How long the rest will take, if it is like what was worked on so far."""
        rest = self.count - self.finished
        if not self.worked or not rest:
            return ""
        return f"about {spoken((time.monotonic() - self.since) / self.worked * rest)} left"


def spoken(seconds: float) -> str:
    """A length of time as people say it: seconds, minutes, hours, days."""
    for unit, size in (("s", 1), ("min", 60), ("h", 3600)):
        if seconds < 100 * size or (unit == "h" and seconds < 48 * size):
            return f"{max(1, round(seconds / size))} {unit}"
    return f"{seconds / 86400:.1f} days"
