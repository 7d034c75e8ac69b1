"""The signals of every epoch, small enough to travel inside the page.

A page holds what a technologist reads at 30 s a screen: 37 pixels a second and about 2 µV a pixel. So a sample is a
whole number of steps of about that size, stored as the difference from the sample before (modulo 256) and deflated;
the browser undoes both. The brain and the heart keep the model's 64 Hz; eyes 32 Hz, breathing 8 Hz, saturation 1 Hz;
of the chin's muscle the lowest and highest value of each sixteenth of a second are kept, which is what a screen shows.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.inference.events import seen
from core.language.sites import shown_names
from core.psg.channels import CHANNEL_BY_NAME
from core.psg.preprocess import EPOCH_SECONDS, MODEL_RATE, SPO2_OFFSET, SPO2_SCALE
from core.psg.store import PreparedStudy

SHOWN = ("EEG_C3", "EEG_C4", "EOG_L", "EOG_R", "EMG_CHIN", "ECG", "AF", "THX", "ABD", "SPO2")
"""Channels from the top of the screen, as a montage for scoring has them."""
NAMES = {
    "EEG_C3": "C3", "EEG_C4": "C4", "EOG_L": "E1", "EOG_R": "E2", "EMG_CHIN": "Chin", "ECG": "ECG",
    "AF": "Flow", "THX": "Thorax", "ABD": "Abdomen", "SPO2": "SpO₂",
}  # fmt: skip
RATES = {"eeg": 64, "ecg": 64, "eog": 32, "emg": 16, "effort": 8, "airflow": 8, "spo2": 1}
"""Samples a second (of `emg`: pairs of lowest and highest)."""
STEPS = {"eeg": 0.15, "eog": 0.2, "emg": 0.25, "ecg": 0.15, "effort": 0.06, "airflow": 0.06}
"""Size of a step in standard deviations of the recording; the signals are clipped at 6 of these."""
OXYGEN_STEP = 0.5  # per cent
BUDGET = 3_100_000  # bytes of deflated signals in an 8-hour night; base64 adds a third
_COARSER = 1.25


@dataclass(frozen=True)
class Signals:
    """Signals ready to travel."""

    channels: tuple[dict[str, Any], ...]
    """For each: name, unit, rate, whether its samples are pairs, and step and offset in that unit."""
    data: tuple[bytes, ...]
    """For each: its samples, deflated (zlib)."""


def pack_signals(study: PreparedStudy, budget: int | None = None) -> Signals:
    """Make the signals small.

    Parameters
    ----------
    study
        Its prepared signals; a channel that is nowhere usable is left out.
    budget
        Bytes to stay below, about; the steps grow until the estimate does. By default 3.1 MB for 8 hours and in
        proportion for longer nights.
    """
    hours = study.n_epochs * EPOCH_SECONDS / 3600
    budget = budget or int(BUDGET * max(hours, 8.0) / 8.0)
    drawn = [(name, _resampled(study, name)) for name in SHOWN if seen(study, (name,)).any()]
    coarse = 1.0
    coded = [_coded(name, values, coarse) for name, values in drawn]
    while _estimate(coded) > budget and coarse < 8.0:
        coarse *= _COARSER
        coded = [_coded(name, values, coarse) for name, values in drawn]
    rows = tuple(_row(study, name, coarse) for name, _ in drawn)
    return Signals(rows, tuple(_deflated(name, code) for (name, _), code in zip(drawn, coded, strict=True)))


def _deflated(name: str, code: NDArray[np.uint8]) -> bytes:
    """Noise never repeats itself, so looking for repetitions would cost time and bytes; the others' rests do."""
    noisy = CHANNEL_BY_NAME[name].kind in ("eeg", "eog", "emg")
    squeezer = zlib.compressobj(6, zlib.DEFLATED, 15, 9, zlib.Z_HUFFMAN_ONLY if noisy else zlib.Z_DEFAULT_STRATEGY)
    return squeezer.compress(code.tobytes()) + squeezer.flush()


def _row(study: PreparedStudy, name: str, coarse: float) -> dict[str, Any]:
    channel = CHANNEL_BY_NAME[name]
    row = {
        "channel": name,
        "name": shown_names(study.channel_map).get(name, NAMES[name]),
        "unit": channel.unit,
        "rate": RATES[channel.kind],
        "pairs": channel.kind == "emg",
    }
    if name == "SPO2":
        return {**row, "step": OXYGEN_STEP, "offset": 100.0}
    sd = study.scale.get(name, 1.0)
    return {**row, "step": float(f"{STEPS[channel.kind] * coarse * sd:.4g}"), "sd": float(f"{sd:.4g}"), "offset": 0.0}


def _resampled(study: PreparedStudy, name: str) -> NDArray[np.float32]:
    """A channel at its rate: in standard deviations, saturation in per cent below 100; pairs one after the other."""
    signal = study.stack((name,))[:, 0].reshape(-1)  # (epochs × 1920,)
    kind = CHANNEL_BY_NAME[name].kind
    factor = MODEL_RATE // RATES[kind]
    if kind == "spo2":
        return signal[::factor] * np.float32(SPO2_SCALE) + np.float32(SPO2_OFFSET - 100.0)
    if kind == "emg":
        parts = signal.reshape(-1, factor)
        return np.stack([parts.min(axis=1), parts.max(axis=1)], axis=1).reshape(-1)
    if factor == 1:
        return signal
    return _slower(signal, factor)


def _slower(signal: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    from scipy.signal import resample_poly

    return np.asarray(resample_poly(signal, 1, factor), np.float32)


def _coded(name: str, values: NDArray[np.float32], coarse: float) -> NDArray[np.uint8]:
    """Differences of whole steps, modulo 256, so that none can overflow."""
    step = OXYGEN_STEP if name == "SPO2" else STEPS[CHANNEL_BY_NAME[name].kind] * coarse
    steps = np.clip(np.round(values / np.float32(step)), -127, 127).astype(np.int8).view(np.uint8)
    if CHANNEL_BY_NAME[name].kind == "emg":  # lowest against the lowest before, highest against the highest
        return np.concatenate([_differences(steps[0::2]), _differences(steps[1::2])])
    return _differences(steps)


def _differences(steps: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.diff(steps, prepend=np.uint8(0))


def _estimate(coded: Sequence[NDArray[np.uint8]]) -> float:
    """Bytes that an ideal code would need: the entropy of each channel's differences (Shannon 1948)."""
    total = 0.0
    for code in coded:
        share = np.bincount(code, minlength=256) / max(1, len(code))
        share = share[share > 0]
        total -= float((share * np.log2(share)).sum()) * len(code) / 8
    return total
