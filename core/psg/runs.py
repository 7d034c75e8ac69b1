"""Stretches: runs of True in a mask, and of equal values."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


def run_edges(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the runs of True.

    Parameters
    ----------
    mask
        1-D.

    Returns
    -------
    tuple of arrays
        First index of each run, and the index after its last, in order.
    """
    if not mask.size:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    inner = np.flatnonzero(mask[1:] != mask[:-1]) + 1
    edges = np.concatenate([[0] * bool(mask[0]), inner, [mask.size] * bool(mask[-1])]).astype(np.int64)
    return edges[::2], edges[1::2]


def runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Give the runs of True one by one, each as in `run_edges`."""
    starts, ends = run_edges(mask)
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


def equal_runs(values: Sequence[object]) -> list[tuple[int, int]]:
    """Give the stretches of equal values: first, and the one after the last."""
    edges = [0, *(k for k in range(1, len(values)) if values[k] != values[k - 1]), len(values)]
    return [(a, b) for a, b in pairwise(edges) if b > a]
