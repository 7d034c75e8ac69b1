"""What airflow and effort show: breaths, their rate, size and shape."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

from core.language.epochs import Sampled, per_epoch, ratio, sampled
from core.language.zero_phase import zero_phase
from core.psg.preprocess import EPOCH_SECONDS, Trace
from core.psg.runs import run_edges

BREATHING = {"abdominal": "ABD", "thoracic": "THX", "airflow": "AF"}
BREATH_RATE = 16  # Hz
BAND = (0.08, 0.75)  # Hz: 5 to 45 breaths a minute, below the heart's own oscillation
WIDE_BAND = (0.05, 3.0)  # Hz: the shape of a breath
SHORTEST_BREATH = 1.4  # s
LEAST_HEIGHT = 0.25  # of the breaths around; smaller waves are noise or the remains of an apnea
LONGEST_BREATH = 10.0  # s; a longer pause is an apnea (AASM), not a breath interval
# Of the median interval: outside, a breath was missed (2, and less when breathing is uneven) or split. The breaths of
# wake vary by a fifth (standard deviation), so that one in fifty is 1.5 medians long, and has to count; where they vary
# more, all within so many robust standard deviations of the log interval do.
TYPICAL = (0.5, 1.75)
TYPICAL_SPREADS = 3.5
AROUND = 21  # intervals over which the spread is taken
# A nasal cannula shows the flow to the power of 1.75 or so (Farré et al. 2001 take its square root to have flow again):
# a shallow breath next to deep ones all but vanishes. With this power of the signal it is a breath again; flow and
# thermistor only gain by it.
FLOW_POWER = 0.6
HALF_INSPIRATION = 0.2  # of a breath: inspiration takes two fifths, and effort, which follows volume, is then half up
LEAST_INTERVALS = 2  # under a rate; a spread needs one more, a shape is the mean of three breaths
LEAST_BREATHS = 3
LEAST_COVERED = 12.0  # s of an epoch that intervals have to cover
LEAST_SHARE = 0.5  # of the 0.05 to 8 Hz power that breathing has to hold in an epoch
ENVELOPE_SECONDS = 4  # over which the size of breathing is taken: about a breath
BASELINE_SECONDS = 300  # around, in which the baseline of the amplitude is taken
LEAST_BREATHING = 0.25  # of the usable epochs that have to show breathing
LEAST_RATE = 4.0  # Hz
LEAST_SHAPE_RATE = 8.0  # Hz, for the shape of a breath
LEAST_COHERENCE = 0.6


@dataclass(frozen=True)
class Breaths:
    """Breaths of a channel."""

    times: NDArray[np.float64]
    """Shape (breaths,), seconds from the start of the recording at which the signal has risen half way."""
    heights: NDArray[np.float64]
    """Shape (breaths,), from trough to peak in the channel's unit."""


def detect_breaths(channel: Sampled, power: float = 1.0) -> Breaths:
    """Find the breaths of an airflow or effort channel.

    A breath is a peak of the 0.08 to 0.75 Hz signal, at least 1.4 s from the next and at least a quarter as high
    as breaths are in the two minutes around.

    Parameters
    ----------
    channel
        Airflow or effort at ``BREATH_RATE``, any unit.
    power
        To which the size of the 0.05 to 3 Hz signal is taken first; below 1, shallow breaths stand nearer to deep ones.

    Returns
    -------
    Breaths
        In order of time; none where the channel is not valid.
    """
    narrow = _band(channel if power == 1.0 else _compressed(channel, power), BAND)
    peaks, found = signal.find_peaks(
        narrow, distance=SHORTEST_BREATH * channel.rate, prominence=1e-9, wlen=20 * channel.rate
    )
    heights = found["prominences"]
    inside = channel.valid[peaks]
    peaks, heights = peaks[inside], heights[inside]
    if len(peaks) < LEAST_BREATHS:
        return Breaths(np.empty(0), np.empty(0))
    usual = ndimage.percentile_filter(heights, 70, size=41, mode="nearest")
    kept = (heights >= LEAST_HEIGHT * usual) & (peaks > 0)
    peaks, heights = peaks[kept], heights[kept]
    return Breaths(_half_way_up(narrow, peaks) / channel.rate, heights)


def _compressed(channel: Sampled, power: float) -> Sampled:
    """Take the size of a signal around its zero to a power; the median size stays 1."""
    wide = _band(channel, WIDE_BAND)
    size = np.abs(wide)
    usual = float(np.median(size[channel.valid])) if channel.valid.any() else 0.0
    if usual == 0.0:
        return channel
    samples = np.sign(wide) * (size / usual) ** power
    return replace(channel, samples=samples.astype(channel.samples.dtype))


def _half_way_up(narrow: NDArray[np.float64], peaks: NDArray[np.int64]) -> NDArray[np.float64]:
    """Find, before each peak, where the signal has last risen half way from its trough; in samples."""
    if not len(peaks):
        return np.empty(0)
    before = np.concatenate([[0], peaks[:-1]])
    rises = narrow[: peaks[-1]]
    level = (np.minimum.reduceat(rises, before) + narrow[peaks]) / 2
    below = rises < np.repeat(level, peaks - before)
    last = np.maximum.reduceat(np.where(below, np.arange(len(rises)), -1), before)
    last = np.where(last < 0, peaks - 1, last)
    step = narrow[last + 1] - narrow[last]
    return np.asarray(last + np.where(step > 0, (level - narrow[last]) / np.where(step > 0, step, 1.0), 0.0))


def breath_rate(
    times: NDArray[np.float64], n_epochs: int, elapsed: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute each epoch's breath rate and the variability of its intervals.

    Parameters
    ----------
    times
        Shape (breaths,), seconds, rising.
    n_epochs
        Number of epochs.
    elapsed
        Share of a breath that is over at its time: 0 where the signal is flow, 0.2 where it is effort. It decides to
        which epoch a breath at the border belongs.

    Returns
    -------
    tuple[NDArray[np.float64], NDArray[np.float64]]
        Rate in breaths a minute: 60 over the mean of the typical intervals (0.5 to 1.75 times the median of the 15
        around, farther where breathing is uneven, at most 10 s) that begin in the epoch, so that an apnea or a missed
        breath does not lower it.
        Variability in seconds: the standard deviation (n − 1) of the same intervals. Both (epochs,), NaN with fewer
        than 2 intervals (3 for the variability) or 12 s of them.
    """
    intervals = np.diff(times)
    if len(intervals) < LEAST_INTERVALS:
        return np.full(n_epochs, np.nan), np.full(n_epochs, np.nan)
    around = ndimage.median_filter(intervals, size=15, mode="nearest")
    typical = _typical(intervals, around)
    starts, intervals = (times[:-1] - elapsed * around)[typical], intervals[typical]
    counts, sums = per_epoch(starts, intervals, n_epochs)
    _, squares = per_epoch(starts, intervals**2, n_epochs)
    enough = (counts >= LEAST_INTERVALS) & (sums >= LEAST_COVERED)
    rate = np.where(enough, 60.0 * ratio(counts.astype(np.float64), sums), np.nan)
    variance = ratio(np.maximum(squares - sums * ratio(sums, counts), 0.0), counts - 1)
    return rate, np.where(enough & (counts > LEAST_INTERVALS), np.sqrt(variance), np.nan)


def _typical(intervals: NDArray[np.float64], around: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Intervals that are one breath each, given the medians around them."""
    deviation = np.log(np.maximum(intervals, 0.1) / np.maximum(around, 0.1))
    spread = 1.4826 * ndimage.median_filter(np.abs(deviation), size=AROUND, mode="nearest")
    low = np.minimum(np.log(TYPICAL[0]), -TYPICAL_SPREADS * spread)
    high = np.maximum(np.log(TYPICAL[1]), TYPICAL_SPREADS * spread)
    return np.asarray((deviation >= low) & (deviation <= high) & (intervals <= LONGEST_BREATH))


def flatness(channel: Sampled) -> NDArray[np.float64]:
    """Measure how flat the top of inspiratory flow is: 0.41 for a half sine, 1 for a plateau.

    An inspiration is a stretch of 0.4 to 5 s above the signal's own mean level (inspiration upward, as AASM shows
    it); its flatness is the share of that time in which flow is at least 80 % of its peak (after the flattening
    indices of Teschler et al. 1996).

    Parameters
    ----------
    channel
        Airflow at ``BREATH_RATE``, nasal pressure or flow; a thermistor is too slow to show its flow's shape.

    Returns
    -------
    NDArray[np.float64]
        Shape (epochs,), mean over the inspirations that begin in the epoch; NaN without three of them.
    """
    wide = _band(channel, WIDE_BAND)
    starts, ends = run_edges(wide > 0)
    fitting = (ends - starts >= 0.4 * channel.rate) & (ends - starts <= 5 * channel.rate) & channel.valid[starts]
    starts, ends = starts[fitting], ends[fitting]
    n_epochs = len(channel.usable)
    if not len(starts):
        return np.full(n_epochs, np.nan)
    places, firsts = _inside(starts, ends)
    tops = np.maximum.reduceat(wide[places], firsts)
    usual = ndimage.percentile_filter(tops, 70, size=41, mode="nearest")
    whole = tops >= LEAST_HEIGHT * usual
    starts, ends, tops = starts[whole], ends[whole], tops[whole]
    places, firsts = _inside(starts, ends)
    high = wide[places] >= np.repeat(0.8 * tops, ends - starts)
    shares = np.add.reduceat(high, firsts, dtype=np.int64) / (ends - starts)
    counts, sums = per_epoch(starts / channel.rate, shares, n_epochs)
    return np.where(counts >= LEAST_BREATHS, ratio(sums, counts), np.nan)


def _inside(starts: NDArray[np.int64], ends: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give the samples of some stretches one after the other, and where among them each stretch begins."""
    lengths = ends - starts
    firsts = np.cumsum(lengths) - lengths
    return np.repeat(starts - firsts, lengths) + np.arange(lengths.sum()), firsts


def effort_phase(thorax: Sampled, abdomen: Sampled) -> NDArray[np.float64]:
    """Measure the phase between thoracic and abdominal effort (Konno and Mead's angle, from the analytic signals).

    Parameters
    ----------
    thorax, abdomen
        Efforts at ``BREATH_RATE``, any unit, of one polarity.

    Returns
    -------
    NDArray[np.float64]
        Shape (epochs,), degrees from 0 (together) to 180 (paradoxical); NaN where the two are not coherent (below 0.6).
    """
    n_epochs = len(thorax.usable)
    first, second = (signal.hilbert(_band(channel, BAND)).reshape(n_epochs, -1) for channel in (thorax, abdomen))
    cross = (first * second.conj()).sum(axis=1)
    size = np.sqrt((np.abs(first) ** 2).sum(axis=1) * (np.abs(second) ** 2).sum(axis=1))
    coherence = ratio(np.abs(cross), size)
    told = thorax.usable & abdomen.usable & (coherence >= LEAST_COHERENCE)
    return np.where(told, np.abs(np.degrees(np.angle(cross))), np.nan)


def measure_breathing(
    traces: Mapping[str, Trace], states: NDArray[np.uint8], n_epochs: int
) -> dict[str, NDArray[np.float64]]:
    """Measure the breathing of every epoch.

    Parameters
    ----------
    traces
        Channel name to trace; effort and airflow in any unit.
    states
        Shape (epochs, channels), state codes.
    n_epochs
        Number of epochs.

    Returns
    -------
    dict[str, NDArray[np.float64]]
        Measurement name to values, shape (epochs,). A rate is told only where breathing holds half of the channel's
        power below 8 Hz.
    """
    nothing = np.full(n_epochs, np.nan)
    values: dict[str, NDArray[np.float64]] = {}
    channels = {short: breathing_channel(traces, states, name, n_epochs) for short, name in BREATHING.items()}
    for short, channel in channels.items():
        values[f"{short}_rate"] = values[f"{short}_variability"] = nothing
        if channel is not None:
            breaths = detect_breaths(channel, FLOW_POWER if short == "airflow" else 1.0)
            believed = channel.usable & (_breathing_share(channel) >= LEAST_SHARE)
            elapsed = 0.0 if short == "airflow" else HALF_INSPIRATION
            rate, variability = breath_rate(breaths.times, n_epochs, elapsed)
            values[f"{short}_rate"] = np.where(believed, rate, np.nan)
            values[f"{short}_variability"] = np.where(believed, variability, np.nan)
    airflow, thorax, abdomen = channels["airflow"], channels["thoracic"], channels["abdominal"]
    values["flow_flatness"] = values["airflow_amplitude"] = values["effort_phase"] = nothing
    if airflow is not None:
        told = np.isfinite(values["airflow_rate"])
        if traces["AF"].rate >= LEAST_SHAPE_RATE:
            values["flow_flatness"] = np.where(told, flatness(airflow), np.nan)
        values["airflow_amplitude"] = amplitude_ratio(airflow)
    if thorax is not None and abdomen is not None:
        values["effort_phase"] = effort_phase(thorax, abdomen)
    return values


def breathing_channel(
    traces: Mapping[str, Trace], states: NDArray[np.uint8], name: str, n_epochs: int
) -> Sampled | None:
    """Take an airflow or effort channel to ``BREATH_RATE``, if it shows breathing at all.

    Parameters
    ----------
    traces
        Channel name to trace.
    states
        Shape (epochs, channels), state codes.
    name
        Name of the channel.
    n_epochs
        Number of epochs.

    Returns
    -------
    Sampled | None
        None where the channel is absent, sampled below 4 Hz (such a track is an envelope, not breaths), or noise: where
        breathing holds less than half of the power in more than three quarters of the usable epochs.
    """
    if name not in traces or traces[name].rate < LEAST_RATE:
        return None
    channel = sampled(traces, states, name, BREATH_RATE, n_epochs)
    if channel is None:
        return None
    share = _breathing_share(channel)[channel.usable]
    return channel if np.mean(share >= LEAST_SHARE) >= LEAST_BREATHING else None


def envelope(channel: Sampled) -> NDArray[np.float64]:
    """Follow the size of breathing, second by second.

    Parameters
    ----------
    channel
        Airflow or effort at ``BREATH_RATE``.

    Returns
    -------
    NDArray[np.float64]
        Shape (epochs × 30,): highest minus lowest value of the 0.08 to 0.75 Hz signal in the four seconds around,
        the channel's unit; NaN where the channel is not valid.
    """
    narrow = _band(channel, BAND)
    window = ENVELOPE_SECONDS * channel.rate + 1
    excursion = ndimage.maximum_filter1d(narrow, window) - ndimage.minimum_filter1d(narrow, window)
    middle = slice(channel.rate // 2, None, channel.rate)
    return np.where(channel.valid[middle], excursion[middle], np.nan)


def amplitude_ratio(channel: Sampled) -> NDArray[np.float64]:
    """Measure each epoch's breathing amplitude against the channel's own baseline.

    Parameters
    ----------
    channel
        Airflow or effort at ``BREATH_RATE``.

    Returns
    -------
    NDArray[np.float64]
        Shape (epochs,): median amplitude of the epoch over the 75th percentile of the amplitude in the five minutes
        around; 1 is ordinary breathing, NaN where the channel cannot be measured.
    """
    size = envelope(channel)
    rows = np.flatnonzero(np.isfinite(size))
    n_epochs = len(channel.usable)
    if len(rows) < EPOCH_SECONDS:
        return np.full(n_epochs, np.nan)
    baseline = ndimage.percentile_filter(size[rows], 75, size=min(BASELINE_SECONDS, len(rows)), mode="nearest")
    relative = np.full(len(size), np.nan)
    relative[rows] = ratio(size[rows], baseline)
    answer = np.full(n_epochs, np.nan)
    seconds = relative.reshape(n_epochs, EPOCH_SECONDS)
    told = channel.usable & (np.isfinite(seconds).sum(axis=1) >= EPOCH_SECONDS // 2)
    answer[told] = np.nanmedian(seconds[told], axis=1)
    return answer


def _band(channel: Sampled, band: tuple[float, float]) -> NDArray[np.float64]:
    sections = signal.butter(2, band, "bandpass", fs=channel.rate, output="sos")
    return zero_phase(sections, channel.samples)


def _breathing_share(channel: Sampled) -> NDArray[np.float64]:
    """Share of each epoch's power above 0.05 Hz that lies in the breathing band and twice its top (the overtones)."""
    samples = channel.epochs() - channel.epochs().mean(axis=1, keepdims=True)
    frequencies, power = signal.periodogram(samples, channel.rate, window="hann", detrend="linear", axis=1)
    inside = (frequencies >= BAND[0]) & (frequencies <= 2 * BAND[1])
    total = power[:, frequencies >= WIDE_BAND[0]].sum(axis=1).astype(np.float64)
    return ratio(power[:, inside].sum(axis=1).astype(np.float64), total)
