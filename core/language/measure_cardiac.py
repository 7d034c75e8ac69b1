"""What the ECG shows: beats, their rate, and its variability."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import sleepecg
import soxr
from numpy.typing import NDArray
from scipy import ndimage, signal

from core.language.epochs import bridged, nearest, per_epoch, ratio, usable_epochs
from core.language.trends import Trend, trends
from core.language.zero_phase import zero_phase
from core.psg.preprocess import EPOCH_SECONDS, Trace
from core.psg.runs import runs

ECG_RATE = 256  # Hz; every ECG is brought here, so that low rates are timed between their samples
SHORTEST_SEGMENT = 8  # s that the detector needs to learn its thresholds
REFRACTORY = 0.25  # s
WIDE_BAND = (3.0, 25.0)  # Hz, in which beats are looked for
NARROW_BAND = (5.0, 30.0)  # Hz, in which they are timed
SMOOTHING = 0.04  # s
CLIMB = 0.15  # s from the detector's mark to the highest energy
SHARPENING = 0.08  # s from there to the R peak
LOW = 0.4  # of the height of the beats around
LATE = 1.45  # of the usual interval
PLAUSIBLE = (0.3, 2.5)  # s between beats: 200 to 24 a minute
ECTOPIC = 0.2  # an interval this share away from its neighbours' median is no sinus interval (Malik 1989)
LEAST_COVERED = 20.0  # s of an epoch's 30 that plausible intervals have to cover
LEAST_PAIRS = 8  # successive differences under an RMSSD
LEAST_PROMINENCE = 4.5  # height of a beat over the signal between beats, median of the epoch
TREND_CHANGE = 4.0  # beats a minute
TREND_NOISE = 1.5  # beats a minute


@dataclass(frozen=True)
class Beats:
    """Heartbeats of a night."""

    times: NDArray[np.float64]
    """Shape (beats,), seconds from the start of the recording."""
    prominence: NDArray[np.float64]
    """Shape (beats,), height over the typical size of the signal between beats; noise has 2 to 3."""


@dataclass(frozen=True)
class CardiacMeasurements:
    """Heart rate by epoch."""

    values: dict[str, NDArray[np.float64]]
    """``beat_rate``, ``rmssd``, ``heart_rate_min``, ``_mean`` and ``_max``, each (epochs,)."""
    trends: list[tuple[Trend, ...]]
    """One tuple an epoch."""


def detect_beats(trace: Trace, usable: NDArray[np.bool_] | None = None) -> NDArray[np.float64]:
    """Find the heartbeats of an ECG with sleepecg's detector (Pan and Tompkins 1985, modified).

    The detector gets the size of the 3 to 25 Hz signal, so that polarity does not matter. Its marks then climb to the
    highest energy near by, where double marks meet; low marks inside an interval (T waves) are dropped; late beats are
    looked for again, because a broad ectopic beat has little slope.

    Parameters
    ----------
    trace
        ECG in any unit and either polarity.
    usable
        Shape (epochs,); epochs that are not usable are skipped. None uses all.

    Returns
    -------
    NDArray[np.float64]
        Times of the R peaks in seconds from the start of the recording.
    """
    return find_beats(trace, usable).times


def find_beats(trace: Trace, usable: NDArray[np.bool_] | None = None) -> Beats:
    """Find the heartbeats and how far each stands out (see :func:`detect_beats`)."""
    native = np.asarray(trace.samples, dtype=np.float32)
    valid = np.isfinite(native)
    if usable is not None:
        valid &= nearest(usable, 1 / EPOCH_SECONDS, trace.rate, len(native))
    found: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
    for start, end in runs(valid):
        if end - start < SHORTEST_SEGMENT * trace.rate:
            continue
        piece = bridged(native[start:end])
        if trace.rate != ECG_RATE:
            piece = np.asarray(soxr.resample(piece, trace.rate, ECG_RATE), dtype=np.float32)
        if np.ptp(piece) > 0:
            times, prominence = _beats_of(piece)
            found.append((times + start / trace.rate, prominence))
    if not found:
        return Beats(np.empty(0), np.empty(0))
    return Beats(np.concatenate([times for times, _ in found]), np.concatenate([height for _, height in found]))


def beat_rate(beats: NDArray[np.float64], n_epochs: int) -> NDArray[np.float64]:
    """Compute the mean rate of each epoch's beats.

    Parameters
    ----------
    beats
        Shape (beats,), seconds, rising.
    n_epochs
        Number of epochs.

    Returns
    -------
    NDArray[np.float64]
        Shape (epochs,), beats a minute: 60 over the mean of the intervals of 0.3 to 2.5 s whose middle lies in the
        epoch; NaN where they cover less than 20 s.
    """
    intervals = np.diff(beats)
    middles = beats[:-1] + intervals / 2
    plausible = (intervals >= PLAUSIBLE[0]) & (intervals <= PLAUSIBLE[1])
    counts, covered = per_epoch(middles[plausible], intervals[plausible], n_epochs)
    return np.where(covered >= LEAST_COVERED, 60.0 * ratio(counts.astype(np.float64), covered), np.nan)


def sinus_intervals(beats: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which intervals between beats are normal.

    Parameters
    ----------
    beats
        Shape (beats,), seconds, rising.

    Returns
    -------
    NDArray[np.bool_]
        Shape (beats − 1,); True for 0.3 to 2.5 s and within 20 % of the median of the eleven intervals around
        (fewer at the ends, where the first or last interval is repeated).
    """
    intervals = np.diff(beats)
    if not len(intervals):
        return np.empty(0, dtype=bool)
    around = ndimage.median_filter(intervals, size=11, mode="nearest")
    plausible = (intervals >= PLAUSIBLE[0]) & (intervals <= PLAUSIBLE[1])
    return np.asarray(plausible & (np.abs(intervals - around) <= ECTOPIC * around))


def rmssd(beats: NDArray[np.float64], n_epochs: int) -> NDArray[np.float64]:
    """Compute the root mean square of successive differences of normal intervals (Task Force 1996).

    Parameters
    ----------
    beats
        Shape (beats,), seconds, rising.
    n_epochs
        Number of epochs.

    Returns
    -------
    NDArray[np.float64]
        Shape (epochs,), milliseconds. A difference is that of two neighbouring normal intervals and belongs to the
        epoch of the beat between them; NaN with fewer than 8 of them or when less than half of the epoch's are normal.
    """
    intervals, normal = np.diff(beats), sinus_intervals(beats)
    if len(intervals) < 2:
        return np.full(n_epochs, np.nan)
    squared = (1000.0 * np.diff(intervals)) ** 2
    both = normal[:-1] & normal[1:]
    between = beats[1:-1]
    everything, _ = per_epoch(between, squared, n_epochs)
    counts, sums = per_epoch(between[both], squared[both], n_epochs)
    enough = (counts >= LEAST_PAIRS) & (2 * counts >= everything)
    return np.where(enough, np.sqrt(ratio(sums, counts)), np.nan)


def heart_rate(beats: NDArray[np.float64], n_epochs: int) -> NDArray[np.float64]:
    """Follow the heart rate second by second.

    Parameters
    ----------
    beats
        Shape (beats,), seconds, rising.
    n_epochs
        Number of epochs.

    Returns
    -------
    NDArray[np.float64]
        Shape (epochs, 30), beats a minute in the middle of each second: 60 over the mean of three plausible
        intervals (an early beat and its pause cancel), interpolated; NaN further than 5 s from the middle of one.
    """
    plausible = (np.diff(beats) >= PLAUSIBLE[0]) & (np.diff(beats) <= PLAUSIBLE[1])
    seconds = np.arange(n_epochs * EPOCH_SECONDS) + 0.5
    if plausible.sum() < 3:
        return np.full((n_epochs, EPOCH_SECONDS), np.nan)
    intervals = np.diff(beats)[plausible]
    middles = (beats[:-1] + np.diff(beats) / 2)[plausible]
    smooth = 60.0 / ndimage.uniform_filter1d(intervals, 3, mode="nearest")
    after = np.clip(np.searchsorted(middles, seconds), 1, len(middles) - 1)
    distance = np.minimum(np.abs(middles[after] - seconds), np.abs(seconds - middles[after - 1]))
    rate = np.where(distance <= 5.0, np.interp(seconds, middles, smooth), np.nan)
    return rate.reshape(n_epochs, EPOCH_SECONDS)


def measure_cardiac(traces: Mapping[str, Trace], states: NDArray[np.uint8], n_epochs: int) -> CardiacMeasurements:
    """Measure the heart in every epoch.

    An epoch's beats are believed when, in the median, they stand 4.5 times above the signal between them; muscle
    noise, in which a detector finds "beats" too, stays below that.

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
    CardiacMeasurements
        NaN and no trends where the ECG cannot be measured or believed.
    """
    names = ("beat_rate", "rmssd", "heart_rate_min", "heart_rate_mean", "heart_rate_max")
    usable = usable_epochs(states, "ECG", n_epochs)
    if "ECG" not in traces or not usable.any():
        return CardiacMeasurements({name: np.full(n_epochs, np.nan) for name in names}, [()] * n_epochs)
    beats = find_beats(traces["ECG"], usable)
    believed = usable & (_median_by_epoch(beats, n_epochs) >= LEAST_PROMINENCE)
    rate = np.where(believed, beat_rate(beats.times, n_epochs), np.nan)
    believed &= np.isfinite(rate)
    course = np.where(believed[:, None], heart_rate(beats.times, n_epochs), np.nan)
    covered = np.isfinite(course).mean(axis=1) >= LEAST_COVERED / EPOCH_SECONDS
    course[~covered] = np.nan
    filled = np.where(covered[:, None], course, 0.0)
    values = {
        "beat_rate": rate,
        "rmssd": np.where(believed, rmssd(beats.times, n_epochs), np.nan),
        "heart_rate_min": np.where(covered, np.nanmin(filled, axis=1), np.nan),
        "heart_rate_mean": np.where(covered, np.nanmean(filled, axis=1), np.nan),
        "heart_rate_max": np.where(covered, np.nanmax(filled, axis=1), np.nan),
    }
    return CardiacMeasurements(values, trends("heart_rate", course, TREND_CHANGE, TREND_NOISE))


def _beats_of(ecg: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find beats in one unbroken stretch at ``ECG_RATE``; returns seconds and prominences."""
    size = _band(ecg, WIDE_BAND)
    np.abs(size, out=size)
    blocks = size[: len(size) // (2 * ECG_RATE) * 2 * ECG_RATE].reshape(-1, 2 * ECG_RATE)
    ceiling = 3.0 * np.median(blocks.max(axis=1))
    if ceiling <= 0:
        return np.empty(0), np.empty(0)
    np.minimum(size, ceiling, out=size)  # a movement must not teach the detector its height
    rough = np.asarray(sleepecg.detect_heartbeats(size, ECG_RATE), dtype=np.int64)
    energy = ndimage.uniform_filter1d(size, round(SMOOTHING * ECG_RATE))
    del size, blocks  # these arrays are as long as the night
    peaks = _completed(energy, _thinned(energy, _climbed(energy, rough, CLIMB)))
    del energy
    narrow = _band(ecg, NARROW_BAND)
    reach = round(SHARPENING * ECG_RATE)
    peaks = peaks[(peaks > reach) & (peaks < len(ecg) - reach - 1)]
    if len(peaks) < 3:
        return np.empty(0), np.empty(0)
    around = narrow[peaks[:, None] + np.arange(-reach, reach + 1)]  # (beats, samples)
    upright = np.median(around.max(axis=1)) >= -np.median(around.min(axis=1))
    around = around if upright else -around
    peaks = peaks + around.argmax(axis=1) - reach
    before, at, after = narrow[peaks - 1], narrow[peaks], narrow[peaks + 1]
    bend = before - 2 * at + after
    shift = np.where(bend != 0, 0.5 * (before - after) / np.where(bend != 0, bend, 1.0), 0.0)
    times = (peaks + np.clip(shift, -0.5, 0.5)) / ECG_RATE
    np.minimum(np.abs(narrow, out=narrow), ceiling, out=narrow)
    return times, around.max(axis=1) / _between(narrow, peaks)


def _band(ecg: NDArray[np.float32], band: tuple[float, float]) -> NDArray[np.float64]:
    sections = signal.butter(2, band, "bandpass", fs=ECG_RATE, output="sos")
    return zero_phase(sections, ecg)


def _climbed(energy: NDArray[np.float64], rough: NDArray[np.int64], seconds: float) -> NDArray[np.int64]:
    """Move each mark to the highest energy around it; marks that meet become one."""
    reach = round(seconds * ECG_RATE)
    places = np.clip(rough[:, None] + np.arange(-reach, reach + 1), 0, len(energy) - 1)
    best = energy[places].argmax(axis=1) if len(rough) else np.empty(0, dtype=np.int64)
    climbed = np.unique(places[np.arange(len(rough)), best])
    kept: list[int] = []
    for peak in climbed.tolist():
        if not kept or peak - kept[-1] >= REFRACTORY * ECG_RATE:
            kept.append(peak)
        elif energy[peak] > energy[kept[-1]]:
            kept[-1] = peak
    return np.array(kept, dtype=np.int64)


def _thinned(energy: NDArray[np.float64], peaks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Drop low marks between two beats of the usual interval: T waves."""
    if len(peaks) < 5:
        return peaks
    height = energy[peaks]
    low = height < LOW * ndimage.percentile_filter(height, 60, size=31, mode="nearest")
    usual = _usual_interval(peaks[~low])
    tight = np.zeros(len(peaks), dtype=bool)
    tight[[0, -1]] = True  # at the ends nothing tells how long the interval is
    tight[1:-1] = peaks[2:] - peaks[:-2] < LATE * usual
    return np.asarray(peaks[~(low & tight)], dtype=np.int64)


def _completed(energy: NDArray[np.float64], peaks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Look again where a beat is late: a broad ectopic beat has little slope for the detector."""
    if len(peaks) < 5:
        return peaks
    usual = _usual_interval(peaks)
    margin = round(0.3 * ECG_RATE)
    height = ndimage.median_filter(energy[peaks], size=31, mode="nearest")
    added = []
    for place in np.flatnonzero(np.diff(peaks) > LATE * usual):
        first, last = peaks[place] + margin, peaks[place + 1] - margin
        if last <= first:
            continue
        best = first + int(energy[first:last].argmax())
        inside = first < best < last - 1
        if inside and energy[best] >= LOW * height[place]:
            added.append(best)
    return np.sort(np.concatenate([peaks, np.array(added, dtype=np.int64)]))


def _usual_interval(peaks: NDArray[np.int64]) -> float:
    return float(np.median(np.diff(peaks))) if len(peaks) > 1 else float(ECG_RATE)


def _between(size: NDArray[np.float64], peaks: NDArray[np.int64]) -> NDArray[np.float64]:
    """Typical size of the signal around each beat but not in it: its root mean square over ten beats."""
    quiet = np.ones(len(size), dtype=bool)
    for offset in range(-round(0.12 * ECG_RATE), round(0.12 * ECG_RATE) + 1):
        quiet[np.clip(peaks + offset, 0, len(size) - 1)] = False
    power = np.where(quiet, size, 0.0)
    np.square(power, out=power)
    energy = np.concatenate([[0.0], np.cumsum(np.add.reduceat(power, peaks))])  # before each beat, from the first on
    counts = np.concatenate([[0], np.cumsum(np.add.reduceat(quiet, peaks, dtype=np.int64))])
    places = np.arange(len(peaks))
    first, last = np.maximum(places - 5, 0), np.minimum(places + 5, len(peaks) - 1)
    mean = (energy[last] - energy[first]) / np.maximum(counts[last] - counts[first], 1)
    return np.asarray(np.sqrt(np.maximum(mean, 1e-20)))


def _median_by_epoch(beats: Beats, n_epochs: int) -> NDArray[np.float64]:
    rows = np.floor(beats.times / EPOCH_SECONDS).astype(np.int64)
    bounds = np.searchsorted(rows, np.arange(n_epochs + 1))
    return np.array(
        [np.median(beats.prominence[start:end]) if end > start else 0.0 for start, end in itertools.pairwise(bounds)]
    )
