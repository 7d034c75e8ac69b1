"""How threads share the Python interpreter."""

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
