"""The truth of each epoch, from the truth of the night."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.psg.simulate.truth import EPOCH_SECONDS, STAGES, EpochTruth, Span


def _rates(times: NDArray[np.float64], start: float, longest: float) -> tuple[float, float, float]:
    """Mean, smallest and largest rate a minute of the intervals that end in an epoch; zeros where there is none."""
    first = int(np.searchsorted(times, start))
    last = int(np.searchsorted(times, start + EPOCH_SECONDS))
    intervals = np.diff(times[max(first - 1, 0) : last])
    intervals = intervals[intervals < longest]
    if len(intervals) == 0:
        return 0.0, 0.0, 0.0
    return 60.0 / float(intervals.mean()), 60.0 / float(intervals.max()), 60.0 / float(intervals.min())


def _clean(n_epochs: int, artefacts: tuple[Span, ...]) -> NDArray[np.bool_]:
    """Epochs that no artefact touches."""
    clean = np.ones(n_epochs, dtype=bool)
    for span in artefacts:
        clean[int(span.onset // EPOCH_SECONDS) : int(span.end // EPOCH_SECONDS) + 1] = False
    return clean


def summarise(
    stages: NDArray[np.int8],
    codes: NDArray[np.int8],
    beats: NDArray[np.float64],
    breaths: NDArray[np.float64],
    rest: tuple[NDArray[np.float32], tuple[Span, ...]],
) -> tuple[EpochTruth, ...]:
    """Summarise each epoch.

    Parameters
    ----------
    stages : numpy.ndarray
        Shape (epochs,).
    codes : numpy.ndarray
        Position of each second, shape (seconds,).
    beats : numpy.ndarray
        Seconds of the R peaks, shape (n,).
    breaths : numpy.ndarray
        Onset, duration, flow and effort, shape (n, 4).
    rest : tuple
        True saturation of each second, shape (seconds,), and the artefacts.

    Returns
    -------
    tuple of EpochTruth
        The position held longest; the rate of the breaths that begin in the epoch.
    """
    spo2, clean = rest[0], _clean(len(stages), rest[1])
    rows = []
    for epoch, stage in enumerate(stages):
        start = epoch * EPOCH_SECONDS
        part = slice(int(start), int(start + EPOCH_SECONDS))
        mean, low, high = _rates(beats, start, 5.0)
        inside = (breaths[:, 0] >= start) & (breaths[:, 0] < start + EPOCH_SECONDS)
        rate = 60.0 / float(breaths[inside, 1].mean()) if inside.any() else 0.0
        rows.append(
            EpochTruth(
                stage=STAGES[stage],
                position=int(np.bincount(codes[part], minlength=5).argmax()),
                heart_rate=round(mean, 2),
                heart_rate_min=round(low, 2),
                heart_rate_max=round(high, 2),
                breath_rate=round(rate, 2),
                spo2_mean=round(float(spo2[part].mean()), 2),
                spo2_min=round(float(spo2[part].min()), 2),
                spo2_max=round(float(spo2[part].max()), 2),
                clean=bool(clean[epoch]),
            )
        )
    return tuple(rows)
