"""Spectrogram of a night's central EEG, as a picture."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.inference.events import EEG, seen
from core.inference.report.image import indexed_png
from core.inference.report.palette import RAMP
from core.psg.preprocess import EPOCH_SAMPLES, EPOCH_SECONDS, MODEL_RATE
from core.psg.store import PreparedStudy

WINDOW = 4 * MODEL_RATE  # 4 s: a resolution of 0.25 Hz
COLUMN_SECONDS = 10
COLOURS = 64  # and one for nothing; more are not told apart, and cost bytes
HIGHEST = 20.0  # Hz, above which a sleeping EEG has little
_RANGE = (3.0, 99.5)  # percentiles of the power that the colours span


@dataclass(frozen=True)
class Spectrogram:
    """A picture of power by time and frequency."""

    channel: str
    """The EEG that it shows."""
    png: bytes
    """Time from left to right, the lowest frequency at the bottom; transparent where there is no EEG."""
    highest: float
    """Frequency at the upper edge in Hz; the lower edge is 0."""


def central_eeg(study: PreparedStudy) -> str | None:
    """The central EEG that is usable for longer, C4 of two equals; None where there is none."""
    usable = {name: int(seen(study, (name,)).sum()) for name in reversed(EEG)}
    best = max(usable, key=lambda name: usable[name])
    return best if usable[best] else None


def spectrogram(study: PreparedStudy) -> Spectrogram | None:
    """Draw the night's spectrogram; None without a central EEG.

    Returns
    -------
    Spectrogram
        Mean power of 4-s Hann windows that overlap by half, in columns of 10 s, as decibels: z-scored signals have
        no unit, so the colours span the night's own range.
    """
    channel = central_eeg(study)
    if channel is None:
        return None
    signal = study.stack((channel,))[:, 0].reshape(-1)  # (epochs × 1920,)
    power = _column_power(signal)  # (columns, frequencies)
    there = np.repeat(seen(study, (channel,)), EPOCH_SECONDS // COLUMN_SECONDS)
    there &= power.sum(axis=1) > 0
    decibels = 10.0 * np.log10(np.maximum(power, 1e-9))
    low, high = np.percentile(decibels[there], _RANGE) if there.any() else (0.0, 1.0)
    share = np.clip((decibels - low) / max(high - low, 1e-6), 0.0, 1.0)
    pixels = (1 + np.round(share * (COLOURS - 1))).astype(np.uint8)
    pixels[~there] = 0
    return Spectrogram(channel, indexed_png(pixels.T[::-1], ramp()), HIGHEST)


def ramp() -> NDArray[np.uint8]:
    """The colours from least to most power, [65, 3]; the first is never seen."""
    anchors = np.array(RAMP, float)
    places = np.linspace(0, len(anchors) - 1, COLOURS)
    colours = np.stack([np.interp(places, np.arange(len(anchors)), anchors[:, k]) for k in range(3)], axis=1)
    return np.vstack([np.zeros(3), colours]).round().astype(np.uint8)


def _column_power(signal: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean power by column of 10 s, [columns, frequencies below `HIGHEST`]."""
    columns = len(signal) // (MODEL_RATE * COLUMN_SECONDS)
    step = WINDOW // 2
    padded = np.concatenate([signal, np.zeros(WINDOW, np.float32)])
    per_column = MODEL_RATE * COLUMN_SECONDS // step
    starts = np.arange(columns * per_column) * step
    taper = np.hanning(WINDOW).astype(np.float32)
    bins = int(HIGHEST * WINDOW / MODEL_RATE)
    power = np.empty((len(starts), bins), np.float32)
    block = EPOCH_SAMPLES  # windows at a time, which bounds memory
    for first in range(0, len(starts), block):
        rows = starts[first : first + block]
        windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[rows] * taper
        power[first : first + block] = np.abs(np.fft.rfft(windows, axis=1)[:, 1 : bins + 1]) ** 2
    return np.asarray(power.reshape(columns, per_column, bins).mean(axis=1), np.float32)
