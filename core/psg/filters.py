"""Resampling and zero-phase filtering of one channel, with gaps kept apart."""

from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from core.psg.runs import runs

BRIDGED_SECONDS = 1.0  # a shorter gap is drawn straight; a longer one parts the signal
_REACH = 4.0
"""Periods of a corner after which a filter's response has fallen below 2e-8: exp(-2 pi sin(45 deg) 4)."""
_SMALLEST_BLOCK, _BLOCKS = 4096, 8  # samples; blocks at a time


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
def _gain(low: float | None, high: float | None, rate: int) -> tuple[NDArray[np.float64], int] | None:
    """Design a Butterworth filter of second order a side, run forwards and backwards: its gain, and its reach.

    The squared magnitude of the bilinear transform of a prototype of order n is 1 / (1 + x^2n), x the prototype's
    frequency; there is no phase.

    Returns
    -------
    tuple of array and int, or None
        Gains at the frequencies of a block's real Fourier transform, and samples that a sample reaches to either
        side; None for no filter.
    """
    if high is not None and high >= rate / 2:
        high = None
    if low is None and high is None:
        return None
    reach = round(_REACH * rate / (low or high or rate))
    size = max(_SMALLEST_BLOCK, 1 << (8 * reach - 1).bit_length())
    warped = np.tan(np.pi * np.arange(size // 2 + 1) / size)
    edge = {corner: np.tan(np.pi * corner / rate) for corner in (low, high) if corner is not None}
    with np.errstate(divide="ignore", over="ignore"):
        if low is not None and high is not None:
            prototype = (warped**2 - edge[low] * edge[high]) / (warped * (edge[high] - edge[low]))
        else:
            prototype = edge[low] / warped if low is not None else warped / edge[high or rate]
        return 1.0 / (1.0 + prototype**4), reach


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
    designed = _gain(low, high, rate)
    out = np.zeros_like(samples)
    padding = round(rate / low) if low is not None else rate
    for start, stop in _stretches(samples, gap, rate):
        part = samples[start:stop]
        if designed is None:
            out[start:stop] = part
        elif part.size > 12:
            out[start:stop] = _filtered(part, *designed, min(padding, part.size - 1))
    return out


def _filtered(part: NDArray[np.float32], gain: NDArray[np.float64], reach: int, padding: int) -> NDArray[np.float32]:
    """Filter one stretch in overlapping blocks; at its ends it goes on point-mirrored, then level."""
    size = 2 * (gain.size - 1)
    hop = size - 2 * reach
    count = -(-part.size // hop)
    extended = np.empty(count * hop + 2 * reach, dtype=np.float32)
    begin, end = reach, reach + part.size
    extended[begin:end] = part
    mirrored = min(padding, reach)
    extended[begin - mirrored : begin] = 2 * part[0] - part[mirrored:0:-1]
    extended[: begin - mirrored] = extended[begin - mirrored]
    tail = 2 * part[-1] - part[-2 : -2 - mirrored : -1]
    extended[end : end + mirrored] = tail
    extended[end + mirrored :] = tail[-1]
    blocks = np.lib.stride_tricks.sliding_window_view(extended, size)[::hop]
    out = np.empty((count, hop), dtype=np.float32)
    for first in range(0, count, _BLOCKS):
        spectrum = np.fft.rfft(blocks[first : first + _BLOCKS].astype(np.float64))
        spectrum *= gain
        out[first : first + _BLOCKS] = np.fft.irfft(spectrum)[:, reach : reach + hop]
    return out.reshape(-1)[: part.size]


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
