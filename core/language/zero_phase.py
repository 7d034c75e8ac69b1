"""Filtering a night forwards and backwards without copies as long as the night."""

import numpy as np
from numpy.typing import NDArray
from scipy import signal

PIECE = 1 << 17  # samples at a time: what lies between two of a filter's steps stays in the processor's cache


def zero_phase(sections: NDArray[np.float64], samples: NDArray[np.floating]) -> NDArray[np.float64]:
    """Filter forwards, then backwards: the very numbers of ``scipy.signal.sosfiltfilt`` with its usual padding.

    Parameters
    ----------
    sections
        Shape (sections, 6), second-order sections.
    samples
        Shape (n,).

    Returns
    -------
    NDArray[np.float64]
        Shape (n,).

    Raises
    ------
    ValueError
        There are no more samples than the padding takes.
    """
    order = 2 * len(sections) + 1 - min((sections[:, 2] == 0).sum(), (sections[:, 5] == 0).sum())
    edge = 3 * int(order)
    if len(samples) <= edge:
        raise ValueError(f"{len(samples)} samples are too few to filter.")
    made = np.empty(len(samples) + 2 * edge)
    made[:edge] = 2 * samples[0] - samples[edge:0:-1]  # each end goes on as its own reflection in a point
    made[edge:-edge] = samples
    made[-edge:] = 2 * samples[-1] - samples[-2 : -edge - 2 : -1]
    at_rest = signal.sosfilt_zi(sections)
    for run in (made, made[::-1]):
        state = at_rest * run[0]
        for start in range(0, len(run), PIECE):
            run[start : start + PIECE], state = signal.sosfilt(sections, run[start : start + PIECE], zi=state)
    return made[edge:-edge]
