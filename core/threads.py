"""How threads share the interpreter and the processors."""

import os
import sys

SWITCH_SECONDS = 1e-4
"""How long a thread may hold the interpreter while others wait for it."""


def share_interpreter() -> None:
    """Let a thread that comes back from native code have the interpreter soon, for the rest of this process.

    By default a thread that computes in Python keeps the others waiting for 5 ms each time. Filtering, resampling and
    decoding come back many thousand times a night after a millisecond or less, so that two processors did the work of
    one while captions were printed or scipy was imported.
    """
    sys.setswitchinterval(SWITCH_SECONDS)


def one_thread_a_product() -> None:
    """Let numpy and scipy, where they are not yet imported, multiply matrices in the thread that asks for it.

    The matrices here are small. OpenBLAS would divide them among threads of its own, which then keep a processor busy
    for many milliseconds to wait for the next: a fifth of the time of measuring a night. And no sum then depends on
    how many processors a machine has. A number that the user has set stands.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
