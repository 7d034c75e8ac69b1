"""Runs of True in a mask: stretches of time in which something holds."""

import numpy as np
from numpy.typing import NDArray


def runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Find the runs of True.

    Parameters
    ----------
    mask
        1-D.

    Returns
    -------
    list of tuple of int
        First index of each run and the index after its last, in order.
    """
    if not mask.size:
        return []
    inner = np.flatnonzero(mask[1:] != mask[:-1]) + 1
    edges = np.concatenate([[0] * bool(mask[0]), inner, [mask.size] * bool(mask[-1])]).astype(np.int64)
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
