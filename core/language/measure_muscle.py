"""What chin EMG and the position sensor show."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import fft, signal

from core.language.epochs import Sampled, ratio, sampled, usable_epochs
from core.language.measure_eeg import welch
from core.psg.preprocess import EPOCH_SECONDS, Trace

CHIN_BAND = (10.0, 100.0)  # Hz (AASM's EMG filter); up to 0.45 of the sampling rate
MOST_RATE = 256  # Hz
LEAST_RATE = 50  # Hz; below, no band is left above 10 Hz
MAINS = (50.0, 60.0)  # Hz; and their doubles, ± 1.5 Hz, are bridged
ENVELOPE_RATE = 10  # Hz
BURST_BAND = (0.2, 4.0)  # Hz
EPOCHS_AT_ONCE = 16  # of a night are filtered: more would not stay in the processor's cache
LEAST_BURST = 3.0  # height of the envelope's spectral peak over its median: below, there is no rhythm to tell


def measure_chin(
    traces: Mapping[str, Trace], states: NDArray[np.uint8], n_epochs: int
) -> dict[str, NDArray[np.float64]]:
    """Measure the chin EMG of every epoch.

    Parameters
    ----------
    traces
        Channel name to trace; the EMG may be in any unit.
    states
        Shape (epochs, channels), state codes.
    n_epochs
        Number of epochs.

    Returns
    -------
    dict[str, NDArray[np.float64]]
        Names to values, shape (epochs,), NaN where the EMG cannot be measured:
        ``chin_median_frequency`` (Hz, halves the power between 10 and 100 Hz, mains bridged);
        ``chin_burst_ratio`` (95th percentile over median of the 0.1-s root mean squares; 1.2 for steady tone);
        ``chin_burst_rate`` (Hz, strongest rhythm between 0.2 and 4 Hz of those root mean squares, told only where the
        spectral peak is distinct); ``chin_tone`` (median of the root mean squares over the night's median; 1 is this
        night's usual).
    """
    names = ("chin_median_frequency", "chin_burst_ratio", "chin_burst_rate", "chin_tone")
    values = {name: np.full(n_epochs, np.nan) for name in names}
    trace = traces.get("EMG_CHIN")
    if trace is None or trace.rate < LEAST_RATE:
        return values
    rate = int(min(trace.rate, MOST_RATE)) // ENVELOPE_RATE * ENVELOPE_RATE
    channel = sampled(traces, states, "EMG_CHIN", rate, n_epochs)
    if channel is None:
        return values
    level = _levels(channel)  # (epochs, 300)
    middle = np.median(level, axis=1).astype(np.float64)
    usable = channel.usable & (middle > 0)
    values["chin_median_frequency"] = np.where(usable, _median_frequency(channel), np.nan)
    values["chin_burst_ratio"] = np.where(usable, ratio(np.percentile(level, 95, axis=1), middle), np.nan)
    values["chin_burst_rate"] = np.where(usable, _burst_rate(level), np.nan)
    if usable.any():
        values["chin_tone"] = np.where(usable, middle / np.median(middle[usable]), np.nan)
    return values


def measure_position(traces: Mapping[str, Trace], states: NDArray[np.uint8], n_epochs: int) -> NDArray[np.float64]:
    """Tell the position held longest in every epoch.

    Parameters
    ----------
    traces
        Channel name to trace; POS as a code.
    states
        Shape (epochs, channels), state codes.
    n_epochs
        Number of epochs.

    Returns
    -------
    NDArray[np.float64]
        Shape (epochs,): 0 right, 1 left, 2 supine, 3 prone, 4 upright; NaN where it is unknown.
    """
    answer = np.full(n_epochs, np.nan)
    trace = traces.get("POS")
    if trace is None:
        return answer
    places = np.floor((np.arange(n_epochs * EPOCH_SECONDS) + 0.5) * trace.rate).astype(np.int64)
    codes = np.full(len(places), -1.0)
    inside = places < len(trace.samples)
    codes[inside] = np.nan_to_num(trace.samples[places[inside]], nan=-1.0)
    seconds = np.round(codes).reshape(n_epochs, EPOCH_SECONDS)
    counts = np.stack([(seconds == code).sum(axis=1) for code in range(5)], axis=1)  # (epochs, 5)
    known = usable_epochs(states, "POS", n_epochs) & (2 * counts.max(axis=1) >= EPOCH_SECONDS)
    return np.where(known, counts.argmax(axis=1), np.nan)


def _band(rate: int) -> tuple[float, float]:
    return CHIN_BAND[0], min(CHIN_BAND[1], 0.45 * rate)


def _levels(channel: Sampled) -> NDArray[np.float64]:
    """Root mean square of every tenth of a second, (epochs, 300), of the 10 to 100 Hz signal without mains."""
    sections = [signal.butter(2, _band(channel.rate), "bandpass", fs=channel.rate, output="sos")]
    for mains in MAINS:
        if mains < 0.45 * channel.rate:
            sections.append(signal.tf2sos(*signal.iirnotch(mains, 15.0, fs=channel.rate)))
    filters = np.concatenate(sections)
    state = np.zeros((len(filters), 2))
    epochs = channel.epochs()
    level = np.empty((len(epochs), EPOCH_SECONDS * ENVELOPE_RATE))
    for first in range(0, len(epochs), EPOCHS_AT_ONCE):
        some = slice(first, first + EPOCHS_AT_ONCE)
        filtered, state = signal.sosfilt(filters, epochs[some].reshape(-1), zi=state)
        blocks = filtered.reshape(-1, level.shape[1], epochs.shape[1] // level.shape[1])
        level[some] = np.sqrt((blocks**2).mean(axis=2))
    return level


def _median_frequency(channel: Sampled) -> NDArray[np.float64]:
    frequencies, power = welch(channel.epochs(), channel.rate, 2.0)
    low, high = _band(channel.rate)
    inside = (frequencies >= low) & (frequencies <= high)
    for line in (overtone * mains for mains in MAINS for overtone in (1, 2)):
        hum = np.abs(frequencies - line) <= 1.5
        beside = ~hum & (np.abs(frequencies - line) <= 3.0)
        if beside.any():
            power[:, hum] = power[:, beside].mean(axis=1, keepdims=True)
    running = np.cumsum(power[:, inside], axis=1)
    half = (running >= running[:, -1:] / 2).argmax(axis=1)
    return np.asarray(frequencies[inside][half], dtype=np.float64)


def _burst_rate(level: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = np.log(np.maximum(level, 1e-12))
    centred = signal.detrend(centred, axis=1) * signal.get_window("hann", level.shape[1])
    power = np.abs(fft.rfft(centred, axis=1)) ** 2
    frequencies = fft.rfftfreq(level.shape[1], 1 / ENVELOPE_RATE)
    inside = (frequencies >= BURST_BAND[0]) & (frequencies <= BURST_BAND[1])
    power = power[:, inside]
    # The highest of n exponentially distributed bins is about ln(n) / ln(2) medians high by chance alone.
    by_chance = np.log(inside.sum()) / np.log(2)
    distinct = power.max(axis=1) >= LEAST_BURST * by_chance * np.maximum(np.median(power, axis=1), 1e-20)
    return np.where(distinct, frequencies[inside][power.argmax(axis=1)], np.nan)
