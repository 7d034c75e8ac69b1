"""Ctrl-C during a batch: the first asks for an end between studies, the second interrupts."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


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
    wish = threading.Event()
    if asked is None or threading.current_thread() is not threading.main_thread():
        yield wish.is_set
        return
    before = signal.getsignal(signal.SIGINT)

    def first(*_: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        wish.set()
        asked()

    signal.signal(signal.SIGINT, first)
    try:
        yield wish.is_set
    finally:
        signal.signal(signal.SIGINT, before)
