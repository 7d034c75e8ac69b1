"""One run in an output folder at a time: locks of the operating system, which end with the process that holds them.

A run holds `run.lock` alone. Its workers share `run.workers` while they write, so that a run after one that was
killed begins only when the last of the orphaned workers is gone.
"""

import errno
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from core.errors import SleepcliError, UsageError

RUN_LOCK = "run.lock"
WORKERS_LOCK = "run.workers"
ORPHAN_SECONDS = 15.0
"""How long a run waits for the workers of a run that was killed; they end within a second."""
NO_LOCKS = frozenset((errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL))
"""What file systems without locks answer; there a run goes on without."""
POLL_SECONDS = 0.05


@contextmanager
def sole_run(out: Path) -> Iterator[None]:
    """Make and hold an output folder for one run.

    Raises
    ------
    UsageError
        The folder cannot be made or written.
    SleepcliError
        Another run holds it, or workers of one still write there.
    """
    with ExitStack() as held:
        try:
            out.mkdir(parents=True, exist_ok=True)
            run = held.enter_context((out / RUN_LOCK).open("a+b"))
            if not _take(run, shared=False):
                raise _busy(out, run)
            _sign(run)
            with (out / WORKERS_LOCK).open("a+b") as workers:
                if not _wait(workers, shared=False):
                    raise SleepcliError(
                        f"Workers of an earlier run still write in {out}.", "Wait for them, or choose another --out."
                    )
        except OSError as error:
            raise not_writable(out, error) from None
        yield


@contextmanager
def working_in(out: Path | None) -> Iterator[None]:
    """Let later runs see that somebody still writes in a folder."""
    if out is None:
        yield
        return
    try:
        stream = (out / WORKERS_LOCK).open("a+b")
    except OSError as error:
        raise not_writable(out, error) from None
    with stream:
        _wait(stream, shared=True)
        yield


def not_writable(out: Path, error: OSError) -> UsageError:
    """The error of an output folder that takes no files."""
    reason = error.strerror or type(error).__name__
    return UsageError(f"The output folder {out} cannot be written: {reason}.", "Choose another --out.")


def _busy(out: Path, lock: BinaryIO) -> SleepcliError:
    lock.seek(0)
    owner = lock.read(200).decode("utf-8", "replace").strip()
    told = f" ({owner})" if owner else ""
    return SleepcliError(f"Another run is writing in {out}{told}.", "Wait for it to end, or choose another --out.")


def _sign(lock: BinaryIO) -> None:
    lock.truncate(0)
    lock.write(f"process {os.getpid()} on {socket.gethostname()}".encode())
    lock.flush()


def _wait(stream: BinaryIO, *, shared: bool) -> bool:
    deadline = time.monotonic() + ORPHAN_SECONDS
    while not _take(stream, shared=shared):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


if sys.platform == "win32":
    import msvcrt

    BEYOND = 1 << 30
    """Locked bytes lie behind the owner's name: on Windows nobody else can read a locked byte."""
    SPAN = 1 << 30
    """Workers lock one byte each, by their process number; who wants to be alone locks all of them."""

    def _take(stream: BinaryIO, *, shared: bool) -> bool:
        stream.seek(BEYOND + os.getpid() % SPAN if shared else BEYOND)
        try:
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1 if shared else SPAN)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _take(stream: BinaryIO, *, shared: bool) -> bool:
        wanted = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB
        try:
            fcntl.flock(stream, wanted)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
        return True
