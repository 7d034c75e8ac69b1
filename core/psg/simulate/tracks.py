"""Following a real night: its stages and the course of its band powers.

A track holds, for each 30-s epoch of a recording, the stage and the log powers of five bands in Fpz-Cz, Pz-Oz and the
horizontal EOG (Welch's method, 4-s windows at 100 Hz). The recordings were z-scored, so the relative powers can be
followed exactly and the total power only relative to the night's own median.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from core.errors import StudyError
from core.psg.simulate.noise import BIN_SECONDS

BANDS = ((0.5, 4.0), (4.0, 8.0), (8.0, 12.0), (12.0, 16.0), (16.0, 30.0))
"""Hz: delta, theta, alpha, sigma, beta."""
_EPOCH = 30
_STRONGEST = 6.0  # largest factor on an amplitude in one band


@dataclass(frozen=True)
class Track:
    """Stages and band powers of a real night."""

    stages: NDArray[np.int8]
    """0 W, 1 N1, 2 N2, 3 N3, 4 R, shape (epochs,); unscored epochs are left out."""
    log_power: NDArray[np.float32]
    """Natural log of band power, channels Fpz-Cz, Pz-Oz, EOG, shape (epochs, 3, 5)."""


def read_track(path: Path) -> Track:
    """Read a track of the Sleep-EDF band-power collection.

    Parameters
    ----------
    path : Path
        ``SS__N.npz`` with ``features`` and ``labels``.

    Returns
    -------
    Track
        Scored epochs only.

    Raises
    ------
    StudyError
        When the file is not such a track.
    """
    try:
        with np.load(path) as data:
            features, labels = np.asarray(data["features"]), np.asarray(data["labels"])
    except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
        raise StudyError(
            f"{path.name} is not a band-power track.", "Give an .npz file with the arrays features and labels."
        ) from error
    if features.ndim != 3 or features.shape[1:] != (3, 10) or len(features) != len(labels):
        raise StudyError(f"{path.name} holds features of shape {features.shape}, not (epochs, 3, 10).")
    scored = (labels >= 0) & np.isfinite(features).all(axis=(1, 2))
    return Track(labels[scored].astype(np.int8), features[scored, :, :5].astype(np.float32))


def target_powers(track: Track, name: str) -> NDArray[np.float32]:
    """Give the log powers that a derivation is to follow.

    Parameters
    ----------
    track : Track
        From `read_track`.
    name : str
        Channel name; Fpz-Cz and Pz-Oz follow their own course, central derivations the mean of the two, frontal and
        occipital ones lie nearer to one of them.

    Returns
    -------
    numpy.ndarray
        Natural log of band power, shape (epochs, 5); the scale is the track's.
    """
    front = {"EEG_FPZ_CZ": 1.0, "EEG_PZ_OZ": 0.0, "EEG_F3": 0.8, "EEG_F4": 0.8, "EEG_O1": 0.1, "EEG_O2": 0.1}.get(
        name, 0.5
    )
    return np.asarray(front * track.log_power[:, 0] + (1 - front) * track.log_power[:, 1])


def band_powers(trace: NDArray[np.float32], rate: float) -> NDArray[np.float64]:
    """Measure band powers as the tracks were made: Welch, 4-s Hann windows with half overlap, by epoch.

    Parameters
    ----------
    trace : numpy.ndarray
        Shape (samples,).
    rate : float
        Samples a second.

    Returns
    -------
    numpy.ndarray
        Power in each of ``BANDS``, shape (epochs, 5).
    """
    width, hop = round(4 * rate), round(2 * rate)
    n_epochs = len(trace) // round(_EPOCH * rate)
    window = np.hanning(width).astype(np.float32)
    freq = np.fft.rfftfreq(width, 1 / rate)
    inside = np.stack([(freq >= low) & (freq < high) for low, high in BANDS]).astype(np.float32)
    out = np.zeros((n_epochs, 5))
    length = round(_EPOCH * rate)
    for epoch in range(n_epochs):
        part = trace[epoch * length : (epoch + 1) * length]
        rows = np.lib.stride_tricks.sliding_window_view(part, width)[::hop]
        power = np.abs(fft.rfft((rows - rows.mean(axis=1, keepdims=True)) * window, axis=1)) ** 2
        out[epoch] = power.mean(axis=0) @ inside.T
    return np.asarray(out * (2 * (freq[1] - freq[0]) / (rate * float((window**2).sum()))))


def _gained(trace: NDArray[np.float32], gains: NDArray[np.float32], rate: float) -> NDArray[np.float32]:
    """Multiply five bands by factors that change from bin to bin; gains have shape (bins, 5)."""
    hop = round(BIN_SECONDS * rate)
    freq = np.fft.rfftfreq(2 * hop, 1 / rate)
    centres = np.array([2.0, 6.0, 10.0, 14.0, 21.0])
    position = np.interp(freq, centres, np.arange(5.0))  # between two bands the factor changes smoothly
    mix = np.clip(1.4 * (1 - np.abs(position[None, :] - np.arange(5)[:, None])) - 0.2, 0, 1)
    mix = (mix / mix.sum(axis=0)).astype(np.float32)
    window = np.sin(np.pi * (np.arange(2 * hop) + 0.5) / (2 * hop)).astype(np.float32)
    n_bins = len(gains)
    padded = np.concatenate([np.zeros(hop, np.float32), trace[: n_bins * hop], np.zeros(hop, np.float32)])
    logs = np.log(np.concatenate([gains[:1], gains, gains[-1:]]))
    logs = 0.5 * (logs[:-1] + logs[1:])
    out = np.zeros_like(padded)
    for first in range(0, n_bins + 1, 1024):
        last = min(first + 1024, n_bins + 1)
        halves = padded[first * hop : (last + 1) * hop].reshape(-1, hop)
        rows = np.concatenate([halves[:-1], halves[1:]], axis=1) * window
        shaped = fft.irfft(fft.rfft(rows, axis=1) * np.exp(logs[first:last] @ mix), n=2 * hop, axis=1) * window
        target = out[first * hop : (last + 1) * hop].reshape(-1, hop)
        target[:-1] += shaped[:, :hop]
        target[1:] += shaped[:, hop:]
    return out[hop:-hop]


def follow(trace: NDArray[np.float32], target: NDArray[np.float32], rate: float) -> NDArray[np.float32]:
    """Reshape an EEG so that its band powers take a track's course.

    Parameters
    ----------
    trace : numpy.ndarray
        µV, shape (epochs * 30 * rate,).
    target : numpy.ndarray
        Natural log of band power, from `target_powers`, shape (epochs, 5).
    rate : float
        Samples a second.

    Returns
    -------
    numpy.ndarray
        µV, same shape; the night's median total power is kept.
    """
    goal = np.exp(target.astype(np.float64))
    bins = round(_EPOCH / BIN_SECONDS)
    out = trace
    scale = np.median(band_powers(trace, rate).sum(axis=1)) / np.median(goal.sum(axis=1))
    total = np.ones((len(target), 5))
    for _ in range(3):
        total = np.clip(total * np.sqrt(goal * scale / band_powers(out, rate)), 1 / _STRONGEST, _STRONGEST)
        out = _gained(trace, np.repeat(total, bins, axis=0).astype(np.float32), rate)
    return out
