"""What the central EEG shows: band powers, slow waves, spindles."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage, signal

from core.language.epochs import Sampled, is_standardised, per_epoch, ratio, sampled
from core.language.zero_phase import zero_phase
from core.psg.preprocess import Trace
from core.psg.runs import run_edges

BANDS = {"delta": (0.5, 4.0), "theta": (4.0, 8.0), "alpha": (8.0, 12.0), "sigma": (12.0, 16.0), "beta": (16.0, 30.0)}
"""Hz; lower edge included, upper edge not (the bands of the Sleep-EDF feature tracks)."""
CENTRAL = {"c3": "EEG_C3", "c4": "EEG_C4"}
EEG_RATE = 100  # Hz
SLOW_WAVE_RATE = 25  # Hz
SLOW_WAVE_PERIOD = (0.5, 2.0)  # s: 2 to 0.5 Hz
SLOW_WAVE_AMPLITUDE = 75.0  # µV from peak to peak (AASM)
SPINDLE_BAND = (11.0, 16.0)  # Hz (AASM)
SPINDLE_DURATION = (0.5, 3.0)  # s: at least 0.5 by AASM


@dataclass(frozen=True)
class Spindles:
    """Spindles of a night."""

    onsets: NDArray[np.float64]
    """Shape (spindles,), seconds from the start of the recording."""
    durations: NDArray[np.float64]
    """Shape (spindles,), seconds."""
    frequencies: NDArray[np.float64]
    """Shape (spindles,), Hz."""


def welch(epochs: NDArray[np.float32], rate: int, seconds: float) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Estimate the power spectrum of each epoch (Welch 1967: Hann windows, half overlapping, means removed).

    Parameters
    ----------
    epochs
        Shape (epochs, samples).
    rate
        Samples a second.
    seconds
        Length of a window.

    Returns
    -------
    tuple[NDArray[np.float64], NDArray[np.float32]]
        Frequencies in Hz, shape (bins,), and power on an arbitrary scale, shape (epochs, bins).
    """
    size = round(seconds * rate)
    taper = signal.get_window("hann", size).astype(np.float32)
    total: NDArray[np.float32] | None = None
    starts = range(0, epochs.shape[1] - size + 1, size // 2)
    for start in starts:
        window = epochs[:, start : start + size]
        window = (window - window.mean(axis=1, keepdims=True)) * taper
        spectrum = fft.rfft(window, axis=1)
        power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
        total = power if total is None else total + power
    if total is None:
        message = f"a window of {seconds} s does not fit into the epoch"
        raise ValueError(message)
    mean = np.asarray(total / len(starts), dtype=np.float32)
    return np.asarray(fft.rfftfreq(size, 1 / rate), dtype=np.float64), mean


def relative_band_powers(epochs: NDArray[np.float32], rate: int) -> dict[str, NDArray[np.float64]]:
    """Measure the share of each EEG band in the power from 0.5 to 30 Hz.

    Parameters
    ----------
    epochs
        Shape (epochs, samples), any unit.
    rate
        Samples a second, above 60.

    Returns
    -------
    dict[str, NDArray[np.float64]]
        Band name to per cent, shape (epochs,); the five add up to 100, or are NaN where there is no power.
    """
    frequencies, power = welch(epochs, rate, 4.0)
    absolute = {
        band: power[:, (frequencies >= low) & (frequencies < high)].sum(axis=1).astype(np.float64)
        for band, (low, high) in BANDS.items()
    }
    total = np.sum(list(absolute.values()), axis=0)
    return {band: 100.0 * ratio(value, total) for band, value in absolute.items()}


def slow_waves(channel: Sampled) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find slow waves: 0.5 to 2 Hz, at least 75 µV from peak to peak (AASM manual 2.6, section IV).

    A wave runs from one falling zero crossing to the next in the signal of 0.25 to 2.5 Hz. AASM measures the
    amplitude over frontal leads; here it is a central one.

    Parameters
    ----------
    channel
        EEG in µV.

    Returns
    -------
    tuple[NDArray[np.float64], NDArray[np.float64]]
        Times of the negative half's start in seconds, and amplitudes in µV, each of shape (waves,).
    """
    sections = signal.butter(2, (0.25, 2.5), "bandpass", fs=channel.rate, output="sos")
    slow = zero_phase(sections, channel.samples)
    falls = np.flatnonzero((slow[:-1] > 0) & (slow[1:] <= 0)) + 1
    if len(falls) < 2:
        return np.empty(0), np.empty(0)
    amplitude = (np.maximum.reduceat(slow, falls) - np.minimum.reduceat(slow, falls))[:-1]
    period = np.diff(falls) / channel.rate
    whole = channel.valid[falls[:-1]] & channel.valid[falls[1:]]
    kept = whole & (period >= SLOW_WAVE_PERIOD[0]) & (period <= SLOW_WAVE_PERIOD[1])
    kept &= amplitude >= SLOW_WAVE_AMPLITUDE
    return falls[:-1][kept] / channel.rate, amplitude[kept]


def detect_spindles(traces: Mapping[str, Trace], states: NDArray[np.uint8], n_epochs: int) -> Spindles:
    """Find sleep spindles in the mean of the usable central EEGs.

    A spindle is a stretch of 0.5 to 3 s (AASM: at least 0.5 s, 11 to 16 Hz) in which, after Lacourse et al. 2019
    and Vallat and Walker 2021, the 11 to 16 Hz signal (1) stands out from the median of its own minute around,
    (2) holds a good share of the 1 to 30 Hz power, and (3) goes along with the unfiltered signal.

    Parameters
    ----------
    traces
        Channel name to trace; the EEG may be in any unit.
    states
        Shape (epochs, channels), state codes.
    n_epochs
        Number of epochs.

    Returns
    -------
    Spindles
        In order of time; empty without a usable EEG.
    """
    return _spindles([sampled(traces, states, name, EEG_RATE, n_epochs) for name in CENTRAL.values()])


def _spindles(channels: Sequence[Sampled | None]) -> Spindles:
    """Find the spindles in the mean of channels at ``EEG_RATE``."""
    central = _mean(channels)
    if central is None:
        return Spindles(np.empty(0), np.empty(0), np.empty(0))
    rate = central.rate
    sigma = _band(central, *SPINDLE_BAND)
    broad = _band(central, 1.0, 30.0)
    sigma_power = _moving_mean(sigma**2, 0.3 * rate)
    size = _moving_mean(broad**2, 0.3 * rate)
    size *= sigma_power  # in place, here and below: each of these arrays is as long as the night
    np.sqrt(np.maximum(size, 1e-20, out=size), out=size)
    together = _moving_mean(sigma * broad, 0.3 * rate) / size > 0.6
    del size
    share = _moving_mean(sigma**2, rate)
    share /= np.maximum(_moving_mean(np.square(broad, out=broad), rate), 1e-20)
    large = share > 0.18
    del broad, share
    strength = np.sqrt(np.maximum(sigma_power, 0.0))  # a running sum can end a rounding error below zero
    background = _background(strength, rate)
    core = (strength > 2.0 * background) & together & large & central.valid
    body = (strength > 1.5 * background) & central.valid
    starts, ends = _runs_with_core(body, core, round(0.2 * rate))
    long_enough = (ends - starts >= SPINDLE_DURATION[0] * rate) & (ends - starts <= SPINDLE_DURATION[1] * rate)
    starts, ends = starts[long_enough], ends[long_enough]
    rises = np.concatenate([[0], np.cumsum((sigma[:-1] <= 0) & (sigma[1:] > 0)), [0]])
    frequencies = (rises[ends - 1] - rises[starts]) * rate / np.maximum(ends - starts, 1)
    return Spindles(starts / rate, (ends - starts) / rate, frequencies)


def measure_eeg(
    traces: Mapping[str, Trace], states: NDArray[np.uint8], n_epochs: int
) -> dict[str, NDArray[np.float64]]:
    """Measure the EEG of every epoch.

    Parameters
    ----------
    traces
        Channel name to trace.
    states
        Shape (epochs, channels), state codes.
    n_epochs
        Number of epochs.

    Returns
    -------
    dict[str, NDArray[np.float64]]
        Measurement name to values, shape (epochs,), NaN where the channel cannot be measured. Slow waves are
        those of C3 where it is usable, of C4 elsewhere; they need µV and are NaN for a z-scored trace.
    """
    values: dict[str, NDArray[np.float64]] = {}
    counts, amplitudes = np.full(n_epochs, np.nan), np.full(n_epochs, np.nan)
    any_usable = np.zeros(n_epochs, dtype=bool)
    channels = [sampled(traces, states, name, EEG_RATE, n_epochs) for name in CENTRAL.values()]
    for (short, name), channel in zip(CENTRAL.items(), channels, strict=True):
        usable = np.zeros(n_epochs, dtype=bool) if channel is None else channel.usable
        any_usable |= usable
        powers = {} if channel is None else relative_band_powers(channel.epochs(), channel.rate)
        for band in BANDS:
            values[f"{short}_{band}"] = np.where(usable, powers.get(band, np.nan), np.nan)
        slow = sampled(traces, states, name, SLOW_WAVE_RATE, n_epochs)
        if slow is not None and not is_standardised(traces[name]):
            times, sizes = slow_waves(slow)
            found, sums = per_epoch(times, sizes, n_epochs)
            first = usable & np.isnan(counts)
            counts = np.where(first, found, counts)
            amplitudes = np.where(first, ratio(sums, found), amplitudes)
    spindles = _spindles(channels)
    found, durations = per_epoch(spindles.onsets, spindles.durations, n_epochs)
    _, frequencies = per_epoch(spindles.onsets, spindles.frequencies, n_epochs)
    values["slow_wave_count"], values["slow_wave_amplitude"] = counts, amplitudes
    values["spindle_count"] = np.where(any_usable, found, np.nan)
    values["spindle_frequency"] = np.where(any_usable, ratio(frequencies, found), np.nan)
    values["spindle_duration"] = np.where(any_usable, ratio(durations, found), np.nan)
    return values


def _mean(channels: Sequence[Sampled | None]) -> Sampled | None:
    """Give the mean of those channels that are valid at each sample."""
    present = [channel for channel in channels if channel is not None]
    if not present:
        return None
    weights = np.zeros(len(present[0].valid), np.uint8)
    total = np.zeros(len(weights), np.float32)
    for channel in present:
        weights += channel.valid
        total += channel.samples * channel.valid
    usable = np.any([channel.usable for channel in present], axis=0)
    mean = np.asarray(total / np.maximum(weights, 1), np.float32)
    return Sampled(samples=mean, valid=weights > 0, rate=EEG_RATE, usable=usable)


def _band(channel: Sampled, low: float, high: float) -> NDArray[np.float64]:
    sections = signal.butter(3, (low, high), "bandpass", fs=channel.rate, output="sos")
    return zero_phase(sections, channel.samples)


def _moving_mean(values: NDArray[np.float64], size: float) -> NDArray[np.float64]:
    return np.asarray(ndimage.uniform_filter1d(values, round(size), mode="nearest"), dtype=np.float64)


def _background(strength: NDArray[np.float64], rate: int) -> NDArray[np.float64]:
    """Take the median of a minute around, from ten values a second, and carry it to every sample."""
    step = rate // 10
    coarse = strength[::step]
    medians = ndimage.median_filter(coarse, size=60 * 10 + 1, mode="nearest")
    return np.repeat(medians, step)[: len(strength)]


def _runs_with_core(
    body: NDArray[np.bool_], core: NDArray[np.bool_], core_size: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find runs of ``body`` that hold at least ``core_size`` samples of ``core``; ends are exclusive."""
    starts, ends = run_edges(body)
    total = np.concatenate([[0], np.cumsum(core)])
    kept = total[ends] - total[starts] >= core_size
    return starts[kept], ends[kept]
