"""A recording that is still being written: how far it has come, until it rests, shrinks or is another."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.errors import StudyError, UsageError
from core.psg.recording import EDF_SUFFIXES, Recording, open_recording

COUNT_FIELD = slice(236, 244)
"""Bytes of the header that a recorder rewrites when it closes the file: the number of records."""
FIXED_BYTES = 256


@dataclass(frozen=True)
class Patience:
    """How a growing file is looked at."""

    idle: float = 120.0
    """Seconds without a new byte after which the recording is over; 0 waits for ever."""
    interval: float = 1.0
    """Seconds between two looks."""


@dataclass(frozen=True)
class _Look:
    """What is seen of the file without reading its samples."""

    identity: tuple[int, int]
    size: int
    header: bytes

    def continues(self, before: "_Look") -> bool:
        """Whether this is the file of before, grown or not."""
        known = min(len(before.header), FIXED_BYTES)
        return (
            self.identity == before.identity
            and self.size >= before.size
            and self.header[:known] == before.header[:known]
        )


def growing(path: Path, study: str | None = None, patience: Patience | None = None) -> Iterator[Recording]:
    """Open a file that is being written, again each time that it has grown.

    Parameters
    ----------
    path
        An EDF or BDF file; it may begin as a header, or less.
    study
        Name of the study; the file's stem where None.
    patience
        When to look, and when to stop.

    Yields
    ------
    Recording
        With the complete data records of that moment, longer each time. Ends when the file rests.

    Raises
    ------
    UsageError
        The file does not exist or is of a format that is not written record by record.
    StudyError
        It has become shorter, was replaced, or never became a recording.
    """
    patience = patience or Patience()
    if not path.is_file():
        raise UsageError(f"{path.name} does not exist.", "Check the path; start the recording first.")
    if path.suffix.lower() not in EDF_SUFFIXES:
        raise UsageError(f"{path.name} is not EDF or BDF, so it cannot be followed.", "Wait for its end, then give it.")
    seen: _Look | None = None
    found: Recording | StudyError | None = None
    duration = 0.0
    since = time.monotonic()
    while True:
        look = _look(path)
        if seen is not None and not look.continues(seen):
            raise _not_the_same(path, look, seen)
        if seen is None or look.size > seen.size:
            seen, since = look, time.monotonic()
            found = _open(path, study)
            if isinstance(found, Recording) and found.duration > duration:
                duration = found.duration
                yield found
        elif patience.idle and time.monotonic() - since >= patience.idle:
            if isinstance(found, StudyError):
                raise found
            return
        else:
            time.sleep(patience.interval)


def _open(path: Path, study: str | None) -> Recording | StudyError:
    """Open what is there of a file; a header without a record yet is told only when nothing follows."""
    try:
        return open_recording(path, study)
    except StudyError as error:
        return error


def _look(path: Path) -> _Look:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            start = file.read(FIXED_BYTES)
    except OSError as error:
        raise StudyError(f"{path.name} cannot be read any more.", "Check the disk or the connection to it.") from error
    header = start[: COUNT_FIELD.start] + start[COUNT_FIELD.stop :]
    return _Look((status.st_dev, status.st_ino), status.st_size, header)


def _not_the_same(path: Path, look: _Look, before: _Look) -> StudyError:
    if look.identity == before.identity and look.size < before.size:
        what = f"{path.name} has become shorter: {look.size} bytes after {before.size}."
    else:
        what = f"{path.name} was replaced by another file while it was followed."
    return StudyError(what, "Follow it again from its beginning.")
