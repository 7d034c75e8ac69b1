"""What happens second by second in breathing, saturation, EEG and muscle: what the event model reads."""

from collections.abc import Mapping
from itertools import accumulate

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy import ndimage

from core.language.band_course import BANDS
from core.language.epochs import bridged, usable_epochs
from core.language.measure_oxygen import oxygen_course
from core.psg.preprocess import EPOCH_SECONDS, Trace

BREATHING = ("AF", "THX", "ABD")
EEGS = ("EEG_C3", "EEG_C4")
EOGS = ("EOG_L", "EOG_R")
WAVE_RATE = 4
"""Samples a second of a breathing wave: breaths last two seconds and more."""
COURSE_RATE = 64
"""Hz that EEG, EOG and EMG are brought to: their bands end at 30 Hz, and prepared studies have no more."""
DRIFT_SECONDS = 15
"""Slower than this is baseline wander or a posture, not breathing."""
EXCURSION_SECONDS = 5
"""Over which the size of breathing is taken: about a breath."""
USUAL_SECONDS = 181
"""Around, in which breathing is called usual (AASM: the two minutes before an event; here also after it)."""
USUAL_PERCENTILE = 75
BACKGROUND_SECONDS = 121
"""Around, whose median is the background of EEG and muscle."""
WAVE_COLUMNS = WAVE_RATE + 3  # the wave, its size against usual and against the night, and whether it was seen
SATURATION_COLUMNS = 3
EEG_COLUMNS = 2 * len(BANDS) + 1
MUSCLE_COLUMNS = 3
_WIDTHS = {
    **dict.fromkeys(BREATHING, WAVE_COLUMNS),
    "SPO2": SATURATION_COLUMNS,
    "EEG": EEG_COLUMNS,
    "EMG_CHIN": MUSCLE_COLUMNS,
    "EOG": MUSCLE_COLUMNS,
}
_ENDS = list(accumulate(_WIDTHS.values()))
N_COURSE = _ENDS[-1]
"""Columns of an event course."""
COLUMNS_OF = {name: slice(end - _WIDTHS[name], end) for name, end in zip(_WIDTHS, _ENDS, strict=True)}
"""Columns by group of channels; the last of each tells whether the group was seen."""
_SMALL = 1e-6


def event_course(traces: Mapping[str, Trace], states: NDArray[np.uint8], n_epochs: int) -> NDArray[np.float32]:
    """Describe every second against the minutes around it, so that gains, units and sensors cancel.

    Parameters
    ----------
    traces
        Channel name to trace, any unit (saturation in per cent).
    states
        Shape (epochs, channels), state codes in the order of `core.psg.channels.CHANNELS`.
    n_epochs
        Number of epochs.

    Returns
    -------
    ndarray
        float32 (seconds, `N_COURSE`): for `BREATHING` the wave at 4 Hz over its usual size, the log of its size against
        the three minutes around and of these against the night, and 1 where seen; for SpO2 its depth below the two
        minutes around (quarters of per cent points), its slope, seen; for the EEG the log band powers of two seconds
        against the two minutes around and these against the night, seen; for chin EMG and EOG the same of their
        amplitude. Zeros where a channel cannot be seen.
    """
    seen = {name: np.repeat(usable_epochs(states, name, n_epochs), EPOCH_SECONDS) for name in _ALL}
    parts = [_wave(traces.get(name), seen[name]) for name in BREATHING]
    parts.append(_saturation(oxygen_course(traces, states, n_epochs), n_epochs * EPOCH_SECONDS))
    parts.append(_eeg([(traces[name], seen[name]) for name in EEGS if name in traces], n_epochs))
    parts.append(_muscle([(traces[name], seen[name]) for name in ("EMG_CHIN",) if name in traces], n_epochs))
    parts.append(_muscle([(traces[name], seen[name]) for name in EOGS if name in traces], n_epochs))
    return np.concatenate(parts, axis=1)


_ALL = (*BREATHING, *EEGS, *EOGS, "EMG_CHIN")


def _at_rate(trace: Trace, rate: int, seconds: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Bring a trace to a rate; [seconds × rate] and whether each second was recorded."""
    size = seconds * rate
    native = np.asarray(trace.samples, np.float32)
    places = np.minimum((np.arange(seconds) * trace.rate).astype(np.int64), len(native) - 1)
    recorded = np.isfinite(native[places]) & (np.arange(seconds) * trace.rate < len(native))
    samples = bridged(native)
    samples = samples - np.median(samples)  # an offset rings at both ends of the resampling
    if trace.rate != rate:
        samples = np.asarray(soxr.resample(samples, trace.rate, rate, quality="MQ"), np.float32)
    fitted = np.full(size, samples[-1] if len(samples) else 0, np.float32)
    fitted[: min(size, len(samples))] = samples[:size]
    return fitted, recorded


def _wave(trace: Trace | None, seen: NDArray[np.bool_]) -> NDArray[np.float32]:
    told = np.zeros((len(seen), WAVE_COLUMNS), np.float32)
    if trace is None or not seen.any():
        return told
    samples, recorded = _at_rate(trace, WAVE_RATE, len(seen))
    seen = seen & recorded
    if not seen.any():
        return told
    wave = samples - ndimage.uniform_filter1d(samples, DRIFT_SECONDS * WAVE_RATE, mode="nearest")
    width = EXCURSION_SECONDS * WAVE_RATE + 1
    excursion = ndimage.maximum_filter1d(wave, width) - ndimage.minimum_filter1d(wave, width)
    size = _logs(excursion.reshape(len(seen), -1).mean(axis=1), seen)
    usual = ndimage.percentile_filter(size, USUAL_PERCENTILE, size=USUAL_SECONDS, mode="nearest")
    told[:, :WAVE_RATE] = np.clip(wave.reshape(len(seen), -1) / (np.exp(usual)[:, None] / 2), -3, 3)
    told[:, WAVE_RATE] = np.clip(size - usual, -4, 1.5)
    told[:, WAVE_RATE + 1] = np.clip(usual - np.median(usual[seen]), -2, 2)
    told[:, WAVE_RATE + 2] = 1
    return np.where(seen[:, None], told, 0).astype(np.float32)


def _logs(values: NDArray[np.float32], seen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Natural logs with a floor a thousandth of the night's median, the unseen at the median."""
    middle = float(np.median(values[seen]))
    floored = np.maximum(np.where(seen, values, middle), max(1e-3 * middle, _SMALL))
    return np.asarray(np.log(floored), np.float64)


def _saturation(course: NDArray[np.float64], seconds: int) -> NDArray[np.float32]:
    told = np.zeros((seconds, SATURATION_COLUMNS), np.float32)
    values = np.full(seconds, np.nan)
    values[: min(seconds, len(course))] = course[:seconds]
    seen = np.isfinite(values)
    if not seen.any():
        return told
    filled = np.asarray(bridged(values.astype(np.float32)), np.float64)
    usual = ndimage.percentile_filter(filled, 80, size=BACKGROUND_SECONDS, mode="nearest")
    told[:, 0] = np.clip((filled - usual) / 4, -5, 1)
    told[:, 1] = np.clip(np.gradient(ndimage.uniform_filter1d(filled, 5)), -2, 2)
    told[:, 2] = 1
    return np.where(seen[:, None], told, 0).astype(np.float32)


def _eeg(found: list[tuple[Trace, NDArray[np.bool_]]], n_epochs: int) -> NDArray[np.float32]:
    """The mean over derivations of what each shows."""
    seconds = n_epochs * EPOCH_SECONDS
    total, count = np.zeros((seconds, EEG_COLUMNS - 1)), np.zeros((seconds, 1))
    for trace, usable in found:
        if not usable.any():
            continue
        samples, recorded = _at_rate(trace, COURSE_RATE, seconds)
        seen = usable & recorded
        if seen.any():
            total += np.where(seen[:, None], _against_background(_second_powers(samples), seen), 0)
            count += seen[:, None]
    told = total / np.maximum(count, 1)
    return np.concatenate([told, count > 0], axis=1).astype(np.float32)


def _second_powers(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Band powers of the two seconds around each second's middle, [seconds, 5]."""
    half = COURSE_RATE // 2
    padded = np.pad(samples, (half, half), mode="edge")
    rows = np.lib.stride_tricks.sliding_window_view(padded, 2 * COURSE_RATE)[::COURSE_RATE]
    taper = np.hanning(2 * COURSE_RATE).astype(np.float32)
    frequencies = np.fft.rfftfreq(2 * COURSE_RATE, 1 / COURSE_RATE)
    inside = np.stack([(frequencies >= low) & (frequencies < high) for low, high in BANDS]).astype(np.float64)
    powers = np.empty((len(rows), len(BANDS)))
    for first in range(0, len(rows), 4096):
        part = rows[first : first + 4096]
        spectra = np.fft.rfft((part - part.mean(axis=1, keepdims=True)) * taper, axis=1)
        powers[first : first + 4096] = (spectra.real**2 + spectra.imag**2) @ inside.T
    return powers


def _against_background(powers: NDArray[np.float64], seen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Log powers against the two minutes around, and these against the night; columns doubled."""
    parts = []
    for column in powers.T:
        logs = _logs(column.astype(np.float32), seen)
        background = ndimage.median_filter(logs, size=BACKGROUND_SECONDS, mode="nearest")
        parts.append((np.clip(logs - background, -4, 4), np.clip(background - np.median(background[seen]), -4, 4)))
    return np.stack([now for now, _ in parts] + [before for _, before in parts], axis=1)


def _muscle(found: list[tuple[Trace, NDArray[np.bool_]]], n_epochs: int) -> NDArray[np.float32]:
    seconds = n_epochs * EPOCH_SECONDS
    total, count = np.zeros((seconds, MUSCLE_COLUMNS - 1)), np.zeros((seconds, 1))
    for trace, usable in found:
        if not usable.any():
            continue
        samples, recorded = _at_rate(trace, COURSE_RATE, seconds)
        seen = usable & recorded
        if seen.any():
            rows = np.diff(samples, prepend=samples[:1]).reshape(seconds, -1)  # the fast part
            total += np.where(seen[:, None], _against_background((rows**2).mean(axis=1)[:, None], seen), 0)
            count += seen[:, None]
    return np.concatenate([total / np.maximum(count, 1), count > 0], axis=1).astype(np.float32)
