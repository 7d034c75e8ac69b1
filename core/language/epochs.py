"""Cutting a trace into epochs: the ground on which every measurement stands."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from core.psg.channels import CHANNELS
from core.psg.preprocess import EPOCH_SECONDS, Trace
from core.psg.quality import State
from core.psg.runs import run_edges

COLUMNS = {channel.name: column for column, channel in enumerate(CHANNELS)}
LEAST_VALID = 0.5
"""Smallest share of an epoch that must be recorded (not in a gap) for the epoch to be measured."""
STANDARDISED_SPREAD = (0.2, 2.0)
"""Robust spread of a trace that has been z-scored; a biosignal in µV is wider by an order of magnitude."""


@dataclass(frozen=True)
class Sampled:
    """A channel on the epochs' own grid."""

    samples: NDArray[np.float32]
    """Shape (epochs × 30 × rate,); gaps bridged by straight lines."""
    valid: NDArray[np.bool_]
    """Shape (epochs × 30 × rate,); False inside a gap and in epochs whose state forbids measuring."""
    rate: int
    """Samples a second."""
    usable: NDArray[np.bool_]
    """Shape (epochs,); True where the epoch may be measured."""

    def epochs(self) -> NDArray[np.float32]:
        """Return the samples as (epochs, 30 × rate)."""
        return self.samples.reshape(len(self.usable), -1)


def usable_epochs(states: NDArray[np.uint8], channel: str, n_epochs: int) -> NDArray[np.bool_]:
    """Tell which epochs of a channel have a state that allows a measurement.

    Parameters
    ----------
    states
        Shape (epochs, channels), :class:`core.psg.quality.State` codes in the order of ``CHANNELS``.
    channel
        Name of the channel.
    n_epochs
        Number of epochs; epochs beyond the states are not usable.

    Returns
    -------
    NDArray[np.bool_]
        Shape (epochs,).
    """
    usable = np.zeros(n_epochs, dtype=bool)
    rows = min(n_epochs, len(states))
    usable[:rows] = np.isin(states[:rows, COLUMNS[channel]], [int(state) for state in State if state.usable])
    return usable


def bridged(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Replace NaN by straight lines between the neighbours; all NaN becomes zeros."""
    missing = np.isnan(samples)
    if not missing.any():
        return samples
    if missing.all():
        return np.zeros_like(samples)
    places = np.arange(len(samples))
    filled = samples.copy()
    filled[missing] = np.interp(places[missing], places[~missing], samples[~missing])
    return filled


def is_standardised(trace: Trace) -> bool:
    """Tell whether a trace comes from an array in standard deviations, so that its µV are unknown.

    Parameters
    ----------
    trace
        A channel in µV by contract.

    Returns
    -------
    bool
        True where half the distance between the 16th and the 84th percentile is that of a z-score. An EEG, EOG
        or EMG of so small a spread in µV would be flat.
    """
    sparse = trace.samples[:: max(1, len(trace.samples) // 100_000)]
    sparse = sparse[np.isfinite(sparse)]
    if not len(sparse):
        return False
    low, high = np.percentile(sparse, [16, 84])
    return bool(STANDARDISED_SPREAD[0] <= (high - low) / 2 <= STANDARDISED_SPREAD[1])


def sampled(
    traces: Mapping[str, Trace], states: NDArray[np.uint8], channel: str, rate: int, n_epochs: int
) -> Sampled | None:
    """Bring a channel to one rate on the epochs' grid.

    Parameters
    ----------
    traces
        Channel name to trace.
    states
        Shape (epochs, channels), state codes.
    channel
        Name of the channel.
    rate
        Samples a second that are wanted.
    n_epochs
        Number of epochs.

    Returns
    -------
    Sampled | None
        None where the channel is absent or no epoch may be measured.
    """
    trace = traces.get(channel)
    usable = usable_epochs(states, channel, n_epochs)
    if trace is None or not usable.any():
        return None
    size = n_epochs * EPOCH_SECONDS * rate
    native = np.asarray(trace.samples, dtype=np.float32)
    known = np.isfinite(native)
    valid = nearest(known, trace.rate, rate, size)
    usable &= valid.reshape(n_epochs, -1).mean(axis=1) >= LEAST_VALID
    valid &= np.repeat(usable, EPOCH_SECONDS * rate)
    resampled = native if known.all() else bridged(native)
    if trace.rate != rate:
        resampled = np.asarray(soxr.resample(resampled, trace.rate, rate), dtype=np.float32)
    fitted = np.zeros(size, dtype=np.float32)
    fitted[: len(resampled)] = resampled[:size]
    return Sampled(samples=fitted, valid=valid, rate=rate, usable=usable) if usable.any() else None


def nearest(values: NDArray[np.bool_], rate: float, wanted: float, size: int) -> NDArray[np.bool_]:
    """Carry a mask from one rate to another; beyond its end it is False."""
    carried = np.zeros(size, dtype=bool)
    starts, ends = (_first_from(edges, rate / wanted) for edges in run_edges(values))
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        carried[start:end] = True
    return carried


def _first_from(edges: NDArray[np.int64], step: float) -> NDArray[np.int64]:
    """Find, for each index of a mask, the first sample of another rate whose middle does not lie before it."""
    first = np.ceil(edges / step - 0.5).astype(np.int64)
    first -= np.floor((first - 0.5) * step) >= edges  # rounding may have gone one too far, either way
    first += np.floor((first + 0.5) * step) < edges
    return np.maximum(first, 0)


def per_epoch(
    times: NDArray[np.float64], values: NDArray[np.float64], n_epochs: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Count what happened in each epoch and add up its values.

    Parameters
    ----------
    times
        Shape (events,), seconds from the start of the recording.
    values
        Shape (events,).
    n_epochs
        Number of epochs; events outside them are left out.

    Returns
    -------
    tuple[NDArray[np.int64], NDArray[np.float64]]
        Counts and sums, each of shape (epochs,).
    """
    rows = np.floor(times / EPOCH_SECONDS).astype(np.int64)
    inside = (rows >= 0) & (rows < n_epochs)
    counts = np.bincount(rows[inside], minlength=n_epochs)
    sums = np.bincount(rows[inside], weights=values[inside], minlength=n_epochs)
    return counts.astype(np.int64), sums.astype(np.float64)


def ratio(above: NDArray[np.float64], below: NDArray[np.float64] | NDArray[np.int64]) -> NDArray[np.float64]:
    """Divide, with NaN where there is nothing to divide by."""
    answer = np.full(np.shape(above), np.nan)
    np.divide(above, below, out=answer, where=np.asarray(below) > 0)
    return answer
