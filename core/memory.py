"""Memory of a whole night's arrays, kept for the next ones instead of being handed back."""

import ctypes
import sys

_LARGE = 1 << 30
_PARAMETERS = {-3: _LARGE, -1: _LARGE, -8: 1}
"""glibc's M_MMAP_THRESHOLD, M_TRIM_THRESHOLD and M_ARENA_MAX (malloc.h)."""


def keep_freed_memory() -> bool:
    """Let this process keep the memory that it frees, and all its threads share it; tell whether it could be told so.

    glibc gives each large array pages of its own and hands them back when it is freed; the next array of that size has
    all its pages cleared again, which took a third of the time of measuring a night. What is kept never exceeds what
    was in use at once. Other C libraries have no such setting and are left as they are.
    """
    if sys.platform != "linux":
        return False
    set_parameter = getattr(ctypes.CDLL(None), "mallopt", None)
    return set_parameter is not None and all(set_parameter(*pair) == 1 for pair in _PARAMETERS.items())


def give_back_memory() -> bool:
    """Hand memory that is free now back to the system, where the C library can; tell whether any was.

    What comes next needs other sizes, and would take new pages beside those that lie free.
    """
    if sys.platform != "linux":
        return False
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim is not None and trim(0) == 1
