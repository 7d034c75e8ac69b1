"""What an oximeter's pulse rate tells of the heart where the ECG tells nothing."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from core.language.measure_cardiac import (
    LEAST_COVERED,
    TREND_CHANGE,
    TREND_NOISE,
    CardiacMeasurements,
)
from core.language.trends import trends
from core.psg.preprocess import EPOCH_SECONDS, Trace


def pulse_course(trace: Trace, n_epochs: int) -> NDArray[np.float64]:
    """Follow a pulse rate second by second.

    Parameters
    ----------
    trace
        The pulse rate in beats a minute, NaN without a signal; a rate below 1 Hz is held.
    n_epochs
        Number of epochs.

    Returns
    -------
    NDArray[np.float64]
        Shape (epochs, 30), the mean of each second; NaN without a value.
    """
    size = n_epochs * EPOCH_SECONDS
    samples = np.asarray(trace.samples, dtype=np.float64)
    course = np.full(size, np.nan)
    if trace.rate < 1:
        places = np.floor(np.arange(size) * trace.rate).astype(np.int64)
        inside = places < len(samples)
        course[inside] = samples[places[inside]]
        return course.reshape(n_epochs, EPOCH_SECONDS)
    rows = np.floor(np.arange(len(samples)) / trace.rate + 1e-9).astype(np.int64)
    kept = np.isfinite(samples) & (rows < size)
    counts = np.bincount(rows[kept], minlength=size)
    sums = np.bincount(rows[kept], weights=samples[kept], minlength=size)
    course[counts > 0] = sums[counts > 0] / counts[counts > 0]
    return course.reshape(n_epochs, EPOCH_SECONDS)


def with_pulse(cardiac: CardiacMeasurements, traces: Mapping[str, Trace], n_epochs: int) -> CardiacMeasurements:
    """Take the heart rate from the oximeter in the epochs in which the ECG gives none.

    Parameters
    ----------
    cardiac
        What the ECG shows.
    traces
        Channel name to trace; ``PULSE`` is the oximeter's rate.
    n_epochs
        Number of epochs.

    Returns
    -------
    CardiacMeasurements
        With ``heart_rate_min``, ``_mean``, ``_max`` and trends where the pulse has a value in 20 s of the epoch.
        Beat rate and RMSSD stay the ECG's: an oximeter averages over several beats. An epoch with a heart rate and no
        beat rate has it from the pulse.
    """
    if "PULSE" not in traces:
        return cardiac
    course = pulse_course(traces["PULSE"], n_epochs)
    covered = np.isfinite(course).mean(axis=1) >= LEAST_COVERED / EPOCH_SECONDS
    taken = np.flatnonzero(covered & np.isnan(cardiac.values["heart_rate_mean"]))
    values = {name: column.copy() for name, column in cardiac.values.items()}
    if taken.size:
        values["heart_rate_min"][taken] = np.nanmin(course[taken], axis=1)
        values["heart_rate_mean"][taken] = np.nanmean(course[taken], axis=1)
        values["heart_rate_max"][taken] = np.nanmax(course[taken], axis=1)
    told = list(cardiac.trends)
    for row, found in zip(taken, trends("heart_rate", course[taken], TREND_CHANGE, TREND_NOISE), strict=True):
        told[row] = found
    return replace(cardiac, values=values, trends=told)
