"""The course of EEG and EOG band powers over a night: what the night model reads of each epoch."""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from core.language.epochs import LEAST_VALID, bridged, usable_epochs
from core.psg.preprocess import EPOCH_SECONDS, Trace

BANDS = ((0.5, 4.0), (4.0, 8.0), (8.0, 12.0), (12.0, 16.0), (16.0, 30.0))
"""Hz: delta, theta, alpha, sigma, beta, with the edges of the Sleep-EDF feature tracks; upper edge not included."""
EEGS = ("EEG_C3", "EEG_C4")
EOGS = ("EOG_L", "EOG_R")
COLUMNS = (*EEGS, "EOG")
"""Channels of a course; `EOG` is left minus right (as in the tracks), or the one eye that is there."""
CHIN = "EMG_CHIN"
LEAST_TONED, LOWEST_PERCENTILE = 60, 5
"""Epochs of chin EMG that show what the lowest tone of a night is, and where among them it is taken."""
WINDOW_SECONDS = 4.0
AT_ONCE = 16  # epochs, whose spectra fit a processor's second cache at 64 Hz
LOWEST_RATE = 2 * BANDS[-1][1]
N_FEATURES = 2 * (3 * len(BANDS) + 1)
"""Features of an epoch: three views of five bands and whether it was seen, for an EEG and for the EOG."""
FEATURE_LIMIT = 6.0
_SPREAD_FLOOR = 0.1  # natural log units added to a night's quartile distance, so that a steady band is not blown up
_LEAST_SHARE = 1e-4  # of a band in the power from 0.5 to 30 Hz


def band_course(traces: Mapping[str, Trace], states: NDArray[np.uint8], n_epochs: int) -> NDArray[np.float32]:
    """Measure the band powers of every epoch.

    Welch's method with 4-s Hann windows, half overlapping, their means removed, at the trace's own rate.

    Parameters
    ----------
    traces
        Channel name to trace, in any unit.
    states
        Shape (epochs, channels), state codes in the order of `core.psg.channels.CHANNELS`.
    n_epochs
        Number of epochs.

    Returns
    -------
    ndarray
        Shape (epochs, 3, 5): natural log of the power in `BANDS` for `COLUMNS`; NaN where a channel is missing,
        its state forbids measuring, half the epoch was not recorded, or its rate is below 60 Hz.
    """
    course = np.full((n_epochs, len(COLUMNS), len(BANDS)), np.nan, np.float32)
    for column, name in enumerate(EEGS):
        if trace := _measurable(traces, name):
            course[:, column] = _log_powers(trace.samples, trace.rate, usable_epochs(states, name, n_epochs))
    left, right = (_measurable(traces, name) for name in EOGS)
    seen = {name: usable_epochs(states, name, n_epochs) for name in EOGS}
    if left is not None and right is not None and _distinct(left, right):
        apart = left.samples - right.samples
        course[:, -1] = _log_powers(apart, left.rate, seen[EOGS[0]] & seen[EOGS[1]])
    elif eye := left or right:
        course[:, -1] = _log_powers(eye.samples, eye.rate, seen[eye.channel])
    return course


def _measurable(traces: Mapping[str, Trace], name: str) -> Trace | None:
    trace = traces.get(name)
    return trace if trace is not None and trace.rate >= LOWEST_RATE else None


def _distinct(left: Trace, right: Trace) -> bool:
    """Whether two eyes can be subtracted and leave something: one rate, one length, not one bipolar signal twice."""
    if left.rate != right.rate or left.samples.shape != right.samples.shape:
        return False
    return not np.array_equal(left.samples, right.samples, equal_nan=True)


def _log_powers(samples: NDArray[np.float32], rate: float, usable: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Natural log of the band powers of each epoch, shape (epochs, 5)."""
    width, length = round(WINDOW_SECONDS * rate), round(EPOCH_SECONDS * rate)
    powers = np.full((len(usable), len(BANDS)), np.nan, np.float32)
    rest = usable.copy()
    if length >= width:
        for epochs, parts in _whole_epochs(samples, rate, usable, length):
            powers[epochs] = _powers(parts, rate, width)
            rest[epochs] = False
    for epoch in np.flatnonzero(rest):  # its end or a part of it was not recorded
        first = round(epoch * EPOCH_SECONDS * rate)
        part = samples[first : first + length]
        if len(part) >= width and np.isfinite(part).sum() >= LEAST_VALID * length:
            powers[epoch] = _powers(bridged(part)[None], rate, width)
    with np.errstate(divide="ignore"):
        logs = np.log(powers)
    logs[~np.isfinite(logs).all(axis=1)] = np.nan  # a band without any power: nothing to compare
    return np.asarray(logs, np.float32)


def _whole_epochs(
    samples: NDArray[np.float32], rate: float, usable: NDArray[np.bool_], length: int
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
    """Give usable epochs that were recorded from end to end, a few at a time: their numbers, and (n, length)."""
    chosen = np.flatnonzero(usable)
    firsts = np.array([round(epoch * EPOCH_SECONDS * rate) for epoch in chosen.tolist()], np.intp)
    inside = firsts + length <= len(samples)
    chosen, firsts = chosen[inside], firsts[inside]
    for start in range(0, len(chosen), AT_ONCE):
        some = slice(start, start + AT_ONCE)
        parts = np.stack([samples[first : first + length] for first in firsts[some].tolist()])
        recorded = np.isfinite(parts).all(axis=1)
        if recorded.any():
            yield chosen[some][recorded], parts[recorded]


def _powers(parts: NDArray[np.float32], rate: float, width: int) -> NDArray[np.float32]:
    """Band powers, (n, 5), of n stretches without gaps."""
    frequencies = np.fft.rfftfreq(width, 1 / rate)
    inside = np.stack([(frequencies >= low) & (frequencies < high) for low, high in BANDS]).astype(np.float32)
    taper = np.hanning(width + 1)[:-1].astype(np.float32)
    scale = np.float32(2 * (frequencies[1] - frequencies[0]) / (rate * float((taper**2).sum())))
    rows = np.lib.stride_tricks.sliding_window_view(parts, width, axis=1)[:, :: width // 2]  # (n, windows, width)
    spectra = np.fft.rfft((rows - rows.mean(axis=2, keepdims=True)) * taper, axis=2)
    mean = (spectra.real**2 + spectra.imag**2).mean(axis=1).astype(np.float32)
    return np.stack([inside @ each * scale for each in mean])  # one by one: a matrix product sums in another order


def chin_tone(traces: Mapping[str, Trace], states: NDArray[np.uint8], n_epochs: int) -> NDArray[np.float64]:
    """Measure how far the chin's tone lies above the lowest of the night.

    The tone of an epoch is the median over its seconds of the EMG's fast amplitude (the root mean square of its first
    difference), so that twitches do not count; the lowest is the 5th percentile of the night's epochs.

    Parameters
    ----------
    traces
        Channel name to trace, in any unit.
    states
        Shape (epochs, channels), state codes.
    n_epochs
        Number of epochs.

    Returns
    -------
    ndarray
        Shape (epochs,): natural log of tone over lowest tone; NaN where the chin was not seen, and throughout where
        less than half an hour of it was.
    """
    tone = np.full(n_epochs, np.nan)
    trace = traces.get(CHIN)
    if trace is None or trace.rate < LOWEST_RATE:
        return tone
    usable = usable_epochs(states, CHIN, n_epochs)
    second = int(trace.rate)
    for epochs, parts in _whole_epochs(trace.samples, trace.rate, usable, EPOCH_SECONDS * second):
        fast = np.diff(parts, axis=1, append=parts[:, -1:]).reshape(len(parts), EPOCH_SECONDS, second)
        sizes = np.median(np.sqrt((fast.astype(np.float64) ** 2).mean(axis=2)), axis=1)
        with np.errstate(divide="ignore"):
            tone[epochs] = np.where(sizes > 0, np.log(sizes), np.nan)
    seen = np.isfinite(tone)
    if seen.sum() < LEAST_TONED:
        return np.full(n_epochs, np.nan)
    return np.asarray(tone - np.percentile(tone[seen], LOWEST_PERCENTILE), np.float64)


def night_features(eeg: NDArray[np.float32], eog: NDArray[np.float32]) -> NDArray[np.float32]:
    """Put one EEG's and the EOG's course in proportion to the night.

    Of each channel and band: the log power and the log share in 0.5 to 30 Hz, both minus the night's median over its
    quartile distance, so that gain, filters and derivation cancel; and half the log share itself, plus one.

    Parameters
    ----------
    eeg, eog
        Shape (epochs, 5) each, from `band_course`; NaN rows where there is nothing.

    Returns
    -------
    ndarray
        Shape (epochs, `N_FEATURES`): 15 of the EEG, 15 of the EOG, and 1 where each was seen. Unseen rows are 0.
    """
    parts, seen = [], []
    for logs in (eeg, eog):
        known: NDArray[np.bool_] = np.asarray(np.isfinite(logs).all(axis=1))
        views = np.zeros((len(logs), 3 * len(BANDS)), np.float32)
        if known.any():
            views[known] = _views(logs[known].astype(np.float64))
        parts.append(views)
        seen.append(known[:, None].astype(np.float32))
    return np.concatenate([*parts, *seen], axis=1)


def _views(logs: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(logs - logs.max(axis=1, keepdims=True))
    shares = np.log(np.maximum(powers / powers.sum(axis=1, keepdims=True), _LEAST_SHARE))
    views = np.concatenate([_in_proportion(logs), _in_proportion(shares), 0.5 * shares + 1], axis=1)
    return np.asarray(np.clip(views, -FEATURE_LIMIT, FEATURE_LIMIT), np.float64)


def _in_proportion(values: NDArray[np.float64]) -> NDArray[np.float64]:
    low, middle, high = np.percentile(values, [25, 50, 75], axis=0)
    return np.asarray((values - middle) / (high - low + _SPREAD_FLOOR), np.float64)
