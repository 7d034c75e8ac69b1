"""Ctrl-C and SIGTERM: how a command ends at once, and how it is asked to end at a good place."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

INTERRUPTED, TERMINATED = 130, 143
"""Exit codes of a command that Ctrl-C or SIGTERM ended: 128 and the signal's number, as shells have it."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, as a cluster or the system sends it; whatever cleans up after Ctrl-C cleans up after it."""


def code_of(end: KeyboardInterrupt) -> int:
    """Exit code of a command that was interrupted."""
    return TERMINATED if isinstance(end, Terminated) else INTERRUPTED


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM interrupt as Ctrl-C does, where nobody else handles it."""
    if not _in_main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _terminate(*_: object) -> None:
    raise Terminated


AT_ONCE: dict[signal.Signals, Callable[..., object]] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: _terminate,
}


@contextmanager
def stoppable(asked: Callable[[], None] | None) -> Iterator[Callable[[], bool]]:
    """Let the first Ctrl-C ask for an end between studies, and the second one interrupt.

    Parameters
    ----------
    asked
        Tells people that the studies in work are finished first; None where there is one study, which the first
        Ctrl-C interrupts.

    Yields
    ------
    callable
        Whether somebody asked.
    """
    wish = Wish()
    if asked is None:
        yield wish
        return
    with wish.heard(asked, (signal.SIGINT,)):
        yield wish


class Wish:
    """Somebody's wish that a command ends at the next good place."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self.code = INTERRUPTED
        """Exit code that follows from how it was wished."""

    def __call__(self) -> bool:
        """Whether somebody asked."""
        return self._asked.is_set()

    @contextmanager
    def heard(self, asked: Callable[[], None], signals: tuple[signal.Signals, ...]) -> Iterator[None]:
        """Take the first of some signals as the wish; the second one interrupts.

        Under `torchrun`, which passes a Ctrl-C on to processes that had it already and kills those that do not end,
        every further one is let pass.

        Parameters
        ----------
        asked
            Tells people; called once, by the signal.
        signals
            Which ones.
        """
        if not _in_main_thread():
            yield
            return
        before = {one: signal.getsignal(one) for one in signals}

        def first(number: int, _: object) -> None:
            for one in signals:
                signal.signal(one, signal.SIG_IGN if one_of_several() else AT_ONCE[one])
            self.code = 128 + number
            self._asked.set()
            asked()

        for one in signals:
            signal.signal(one, first)
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)


def one_of_several() -> bool:
    """Whether `torchrun` started this process beside others."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
