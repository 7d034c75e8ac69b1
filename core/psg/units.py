"""Physical units made canonical: voltages, oxygen saturation, pulse rate."""

import re
import unicodedata

import numpy as np
from numpy.typing import NDArray

from core.psg.runs import runs

# Units of voltage in µV.
_MICROVOLTS = {"V": 1e6, "MV": 1e3, "UV": 1.0, "NV": 1e-3}
_WORDS = {
    "VOLT": "V",
    "VOLTS": "V",
    "MILLIVOLT": "MV",
    "MILLIVOLTS": "MV",
    "MICROVOLT": "UV",
    "MICROVOLTS": "UV",
    "NANOVOLT": "NV",
}

# Robust amplitude (half the 16-84 percentile range inside 30 s) in µV: the least and the greatest that a recording
# can have at a tenth to ten times the usual gain, and the usual one. EEG and EOG: background of 5-50 µV. EMG: atonia
# near 0.5 µV, waking tone 5-20 µV. ECG: baseline between complexes of 1 mV.
_PLAUSIBLE = {"eeg": (0.4, 2e3, 15.0), "eog": (0.4, 4e3, 20.0), "emg": (0.01, 4e3, 4.0), "ecg": (1.0, 2e4, 80.0)}

PULSE_RANGE = (25.0, 250.0)  # beats a minute that an oximeter can mean
PULSE_CODE = 127.0  # a rate, and what seven bits have for no signal
PULSE_STEP = 5.0  # beats a minute from one value to the next, at most, in a rate that passes through 127
PULSE_FROZEN = 600.0  # s
PULSE_WINDOW, PULSE_SWING = 2.0, 15.0  # a wave swings by more beats a minute in two seconds, most of the time


def voltage_factor(unit: str) -> float | None:
    """Return how many µV one unit is.

    Parameters
    ----------
    unit
        The declared unit; both micro signs, ``u`` and ``mc`` for µ, brackets and words are understood.

    Returns
    -------
    float or None
        None for an empty unit and for one that is no voltage.
    """
    text = unicodedata.normalize("NFKC", unit).strip().strip("[]()").strip()
    text = re.sub(r"^(?:μ|µ|mc|\\xb5|\?)(?=[Vv])", "u", text).upper()
    return _MICROVOLTS.get(_WORDS.get(text, text))


def amplitude(samples: NDArray[np.float32], rate: float) -> float:
    """Measure the usual amplitude of a signal.

    Parameters
    ----------
    samples
        1-D signal; NaN in gaps.
    rate
        Sampling rate in Hz.

    Returns
    -------
    float
        Median over up to 48 windows of 10 s of half the range between the 16th and 84th percentile (the standard
        deviation for a Gaussian), flat windows left out; 0 where nothing moves.
    """
    width = max(8, round(10 * rate))
    count = samples.size // width
    if count == 0:
        count, width = 1, samples.size
    if width == 0:
        return 0.0
    rows = np.unique(np.linspace(0, count - 1, min(count, 48)).astype(np.int64))
    windows = samples[: count * width].reshape(count, width)[rows]
    windows = windows[np.isfinite(windows).all(axis=1)]
    if not windows.size:
        return 0.0
    low, high = np.percentile(windows, [16, 84], axis=1)
    spread = (high - low) / 2
    spread = spread[spread > 0]
    return float(np.median(spread)) if spread.size else 0.0


def microvolts(samples: NDArray[np.float32], rate: float, kind: str, unit: str) -> tuple[float, str]:
    """Decide the factor to µV from the declared unit and the amplitude.

    Parameters
    ----------
    samples
        1-D signal in the declared unit.
    rate
        Sampling rate in Hz.
    kind
        ``eeg eog emg ecg``.
    unit
        The declared unit.

    Returns
    -------
    tuple of float and str
        The factor, and a repair in words where the declared unit was missing or cannot be true; else an empty text.
    """
    declared = voltage_factor(unit)
    least, greatest, usual = _PLAUSIBLE[kind]
    size = amplitude(samples, rate)
    if size == 0.0:
        return declared or 1.0, ""
    if declared is not None and least <= size * declared <= greatest:
        return declared, ""
    wrong = "no unit of voltage declared" if declared is None else f"declared in {unit.strip()}"
    factor = min(_MICROVOLTS.values(), key=lambda item: abs(np.log10(size * item / usual)))
    if usual / 5 <= size * factor <= usual * 7:
        name = {1e6: "V", 1e3: "mV", 1.0: "µV", 1e-3: "nV"}[factor]
        return factor, f"{wrong}; the amplitude fits {name}"
    factor = 10.0 ** round(float(np.log10(usual / size)))
    return factor, f"{wrong}; the amplitude fits no unit, so amplitudes in µV are approximate (times {factor:g})"


def not_volts(samples: NDArray[np.float32], unit: str) -> tuple[NDArray[np.float32], str]:
    """Undo the scaling of readers of EEG formats, which take every channel for µV.

    Parameters
    ----------
    samples
        1-D: saturation, pulse rate or position in the declared unit.
    unit
        The declared unit.

    Returns
    -------
    tuple of array and str
        The numbers as they were recorded, and a repair in words where the declared volts are millionths of them.
    """
    top = float(np.nanmax(np.abs(samples), initial=0.0))
    if voltage_factor(unit) != _MICROVOLTS["V"] or not 0.0 < top < 1e-3:
        return samples, ""
    return samples * np.float32(_MICROVOLTS["V"]), "declared in V, which it is not; its numbers were taken as µV"


def saturation(samples: NDArray[np.float32]) -> tuple[NDArray[np.float32], str]:
    """Bring oxygen saturation to per cent.

    Parameters
    ----------
    samples
        1-D: per cent, a fraction, or per mille. 0, 127 and everything outside 40 to 100 means no signal.

    Returns
    -------
    tuple of array and str
        Per cent with NaN for no signal, and a repair in words where the scale was not per cent.
    """
    positive = samples[np.isfinite(samples) & (samples > 0)]
    top = float(np.percentile(positive, 75)) if positive.size else 0.0
    factor, repair = 1.0, ""
    if 0.4 <= top <= 1.02:
        factor, repair = 100.0, "a fraction, not per cent"
    elif 400.0 <= top <= 1020.0:
        factor, repair = 0.1, "per mille, not per cent"
    percent = samples * np.float32(factor)
    # Half a per cent of grace: interpolating exporters overshoot 100.
    valid = (percent >= 40.0) & (percent <= 100.5)
    return np.where(valid, np.minimum(percent, np.float32(100.0)), np.float32(np.nan)), repair


def pulse_rate(samples: NDArray[np.float32], rate: float) -> tuple[NDArray[np.float32], str]:
    """Leave of an oximeter's pulse rate what is one.

    Parameters
    ----------
    samples
        1-D, beats a minute. 0, 255, 511 and everything outside 25 to 250 means no signal; so does 127 where the rate
        does not come to it and go from it by small steps.
    rate
        Sampling rate in Hz.

    Returns
    -------
    tuple of array and str
        Beats a minute with NaN for no signal, and a repair in words where the values are no rate at all: they never
        change for ten minutes and more, or swing as a pulse wave does.
    """
    whole = np.round(samples)
    valid = (samples >= PULSE_RANGE[0]) & (samples <= PULSE_RANGE[1])
    coded = valid & (whole == PULSE_CODE)
    for start, stop in runs(coded):
        beside = samples[[place for place in (start - 1, stop) if 0 <= place < samples.size]]
        if not beside.size or not (np.abs(beside - PULSE_CODE) <= PULSE_STEP).all():
            valid[start:stop] = False
    kept = np.where(valid, samples, np.float32(np.nan)).astype(np.float32)
    known = kept[valid]
    if not known.size:
        return kept, ""
    if known.size >= PULSE_FROZEN * rate and float(np.ptp(known)) == 0.0:
        return np.full_like(kept, np.nan), "a pulse rate that never changes; not used"
    width = max(1, round(PULSE_WINDOW * rate))
    windows = samples[: samples.size // width * width].reshape(-1, width)
    swings = np.ptp(windows[np.isfinite(windows).all(axis=1)], axis=1)
    if swings.size and float(np.median(swings)) > PULSE_SWING:
        return np.full_like(kept, np.nan), "swings like a pulse wave, not a pulse rate; not used"
    return kept, ""
