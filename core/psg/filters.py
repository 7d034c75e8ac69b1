"""Resampling and zero-phase filtering of one channel, with gaps kept apart."""

from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt

from core.psg.runs import runs

BRIDGED_SECONDS = 1.0  # a shorter gap is drawn straight; a longer one parts the signal


def bridge(samples: NDArray[np.float32], rate: float) -> tuple[NDArray[np.float32], NDArray[np.bool_] | None]:
    """Draw a straight line over what is missing.

    Parameters
    ----------
    samples
        1-D signal with NaN where nothing was recorded.
    rate
        Sampling rate in Hz.

    Returns
    -------
    tuple of array and (array or None)
        The signal without NaN, and True in gaps longer than ``BRIDGED_SECONDS``; None where there is no such gap.
    """
    if np.isfinite(samples.sum(dtype=np.float64)):
        return samples, None
    missing = ~np.isfinite(samples)
    if not missing.any():
        return samples, None
    if missing.all():
        return np.zeros_like(samples), missing
    known = np.flatnonzero(~missing)
    filled = samples.copy()
    holes = np.flatnonzero(missing)
    filled[holes] = np.interp(holes, known, samples[known])
    long = np.zeros_like(missing)
    for start, stop in runs(missing):
        if stop - start > BRIDGED_SECONDS * rate:
            long[start:stop] = True
    return filled, long if long.any() else None


def to_rate(samples: NDArray[np.float32], rate: float, new_rate: int, n_samples: int) -> NDArray[np.float32]:
    """Resample, band-limited and without delay.

    Parameters
    ----------
    samples
        1-D signal without NaN.
    rate, new_rate
        Rates in Hz.
    n_samples
        Samples wanted; the signal is cut, or continued with its last value.

    Returns
    -------
    array
        ``[n_samples]`` float32.
    """
    if not samples.size:
        return np.zeros(n_samples, dtype=np.float32)
    if abs(rate - new_rate) > 1e-9:
        # From the first value on, and past the last one: a resampler that met zeros there would ring.
        level, past = samples[0], round(rate)
        extended = np.empty(samples.size + past, dtype=np.float32)
        np.subtract(samples, level, out=extended[: samples.size])
        extended[samples.size :] = extended[samples.size - 1]
        resampled = np.asarray(soxr.resample(extended, rate, new_rate, quality="HQ"), dtype=np.float32)
        samples = resampled[: max(1, round(samples.size * new_rate / rate))] + level
    if samples.size < n_samples:
        tail = samples[-1] if samples.size else np.float32(0)
        return np.concatenate([samples, np.full(n_samples - samples.size, tail, dtype=np.float32)])
    return np.ascontiguousarray(samples[:n_samples])


@cache
def _sections(low: float | None, high: float | None, rate: int) -> NDArray[np.float64] | None:
    """Design a Butterworth filter of second order a side; there and back it is of fourth order, without phase."""
    nyquist = rate / 2
    if high is not None and high >= nyquist:
        high = None
    if low is not None and high is not None:
        return np.asarray(butter(2, (low, high), "bandpass", fs=rate, output="sos"))
    if low is not None:
        return np.asarray(butter(2, low, "highpass", fs=rate, output="sos"))
    return np.asarray(butter(2, high, "lowpass", fs=rate, output="sos")) if high is not None else None


def band_pass(
    samples: NDArray[np.float32], gap: NDArray[np.bool_], band: tuple[float | None, float | None] | None, rate: int
) -> NDArray[np.float32]:
    """Filter forwards and backwards; every stretch between gaps and lasting steps for itself.

    Parameters
    ----------
    samples
        1-D signal without NaN.
    gap
        True where nothing was recorded; those samples come back as zeros.
    band
        Lower and upper corner (−6 dB after both passes) in Hz; None on a side for no filter there.
    rate
        Sampling rate in Hz.

    Returns
    -------
    array
        Filtered signal, float32.
    """
    low, high = band if band is not None else (None, None)
    sections = _sections(low, high, rate)
    out = np.zeros_like(samples)
    padding = round(rate / low) if low is not None else rate
    for start, stop in _stretches(samples, gap, rate):
        part = samples[start:stop].astype(np.float64)
        if sections is None:
            out[start:stop] = part
        elif part.size > 12:
            out[start:stop] = sosfiltfilt(sections, part, padlen=min(padding, part.size - 1))
    return out


def _stretches(samples: NDArray[np.float32], gap: NDArray[np.bool_], rate: int) -> list[tuple[int, int]]:
    """Return the stretches between gaps and steps."""
    pairs = [(0, samples.size)] if not gap.any() else runs(~gap)
    steps = _steps(samples, rate)
    out: list[tuple[int, int]] = []
    for start, stop in pairs:
        cuts = [start, *steps[(steps > start + rate) & (steps < stop - rate)].tolist(), stop]
        out += list(pairwise(cuts))
    return out


def _steps(samples: NDArray[np.float32], rate: int) -> NDArray[np.int64]:
    """Find jumps that last: a new offset, not a wave.

    A jump is more than 60 times the usual difference of neighbours, and the level of the second before and after
    differs by more than five times the movement about it. QRS complexes, blinks and electrode pops return and are no
    steps.
    """
    difference = np.diff(samples)
    np.abs(difference, out=difference)
    if not difference.size:
        return np.zeros(0, dtype=np.int64)
    usual = float(np.median(difference[:: max(1, difference.size // 100_000)]))
    if usual <= 0.0:
        return np.zeros(0, dtype=np.int64)
    jumps = np.flatnonzero(difference > 60.0 * usual) + 1
    if not jumps.size or jumps.size > samples.size // 8:  # so many are the signal itself
        return np.zeros(0, dtype=np.int64)
    jumps = jumps[_may_last(samples, jumps, rate)]
    if jumps.size > samples.size // rate:
        return np.zeros(0, dtype=np.int64)
    found: list[int] = []
    for jump in jumps.tolist():
        before, after = samples[max(0, jump - rate) : jump], samples[jump + 2 : jump + rate]
        if before.size < rate // 2 or after.size < rate // 2 or (found and jump - found[-1] < rate):
            continue
        movement = max(float(np.ptp(before[: -rate // 8])), float(np.ptp(after)), usual)
        if abs(float(np.median(after)) - float(np.median(before))) > 5.0 * movement:
            found.append(jump)
    return np.asarray(found, dtype=np.int64)


def _may_last(samples: NDArray[np.float32], jumps: NDArray[np.int64], rate: int) -> NDArray[np.bool_]:
    """Leave out the jumps, QRS complexes above all, of which a few samples show that they return.

    Any sample lies within the movement of its side's median, so that where the medians differ by more than five
    movements, any two samples across the jump differ by more than three.
    """
    first = jumps[:, None] - np.linspace(rate, rate // 4, 8).astype(np.int64)
    second = jumps[:, None] + np.linspace(2, rate - 1, 8).astype(np.int64)
    before, after = samples[np.maximum(first, 0)], samples[np.minimum(second, samples.size - 1)]
    movement = np.maximum(np.ptp(before, axis=1), np.ptp(after, axis=1))
    near_border = (first[:, 0] < 0) | (second[:, -1] >= samples.size)
    return np.asarray(near_border | (np.abs(after[:, 0] - before[:, 0]) > 3.0 * movement), dtype=np.bool_)


def nearest(samples: NDArray[np.float32], rate: float, new_rate: int, n_samples: int) -> NDArray[np.float32]:
    """Resample a code: every new sample is the nearest old one.

    Parameters
    ----------
    samples
        1-D codes.
    rate, new_rate
        Rates in Hz.
    n_samples
        Samples wanted; after the end NaN.

    Returns
    -------
    array
        ``[n_samples]`` float32.
    """
    # Half a sample rounds up: a code of 1 Hz changes midway between two seconds.
    index = np.floor(np.arange(n_samples) * (rate / new_rate) + 0.5).astype(np.int64)
    return _taken(samples, index, np.arange(n_samples) * (rate / new_rate))


def hold(samples: NDArray[np.float32], rate: float, new_rate: int, n_samples: int) -> NDArray[np.float32]:
    """Resample a slow value: every new sample is the last old one that was known.

    Parameters
    ----------
    samples
        1-D values; NaN where unknown.
    rate, new_rate
        Rates in Hz.
    n_samples
        Samples wanted.

    Returns
    -------
    array
        ``[n_samples]`` float32; the first known value before there is one.
    """
    known = np.flatnonzero(np.isfinite(samples))
    if not known.size:
        return np.full(n_samples, np.nan, dtype=np.float32)
    at = np.floor(np.arange(n_samples) * (rate / new_rate) + 1e-9).astype(np.int64)
    latest = np.searchsorted(known, np.arange(samples.size), side="right") - 1
    filled = samples[known[np.maximum(latest, 0)]]
    return np.asarray(filled[np.minimum(at, samples.size - 1)], dtype=np.float32)


def _taken(
    samples: NDArray[np.float32], index: NDArray[np.int64], at: NDArray[np.floating[Any]]
) -> NDArray[np.float32]:
    if not samples.size:
        return np.full(at.size, np.nan, dtype=np.float32)
    out = samples[np.minimum(index, samples.size - 1)].astype(np.float32)
    out[at >= samples.size] = np.nan
    return out
