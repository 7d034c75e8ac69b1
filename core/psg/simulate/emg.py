"""Chin EMG: tone by stage, atonia with twitches in REM sleep, bursts with arousals and movements."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

from core.psg.simulate.hypnogram import R, W
from core.psg.simulate.lab import Lab
from core.psg.simulate.noise import BIN_SECONDS, frequencies, gaussian_rows, hum, shaped_noise, slow_course
from core.psg.simulate.subject import Subject
from core.psg.simulate.truth import Span

RATE = 256.0
"""Samples a second."""
_GRID = 16.0  # samples a second of the burst envelope


def tone(rng: np.random.Generator, subject: Subject, states: NDArray[np.int8]) -> NDArray[np.float32]:
    """Give the tonic level of the chin muscles.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    subject : Subject
        Gives the level in quiet wakefulness.
    states : numpy.ndarray
        State of each bin, shape (bins,).

    Returns
    -------
    numpy.ndarray
        µV rms, shape (bins,).
    """
    sleep = float(np.clip(rng.normal(0.42, 0.14), 0.18, 0.8))
    atonia = float(np.clip(rng.lognormal(np.log(0.16), 0.35), 0.06, 0.5))
    level = np.log(np.array([1.0, 0.25 + 0.7 * sleep, sleep, sleep * 0.85, min(atonia, sleep * 0.9)]))
    course = ndimage.gaussian_filter1d(level[states], 1.0)
    drift = slow_course(len(states), 500.0, rng, 0.22) + slow_course(len(states), 12.0, rng, 0.15)
    drift = drift + slow_course(len(states), 5.0, rng, 0.35) * (states == W)
    return np.asarray(np.maximum(subject.emg_tone * np.exp(course + drift), 0.7), dtype=np.float32)


def _bursts(
    rng: np.random.Generator, states: NDArray[np.int8], events: Sequence[Span], rapid: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Factor on the tone from arousals, movements and REM twitches, on the burst grid."""
    n = round(len(states) * BIN_SECONDS * _GRID)
    factor = np.ones(n, dtype=np.float32)
    for event in events:
        at = round(event.onset * _GRID)
        length = max(round(event.duration * _GRID), 3)
        in_rem = states[min(int(event.onset / BIN_SECONDS), len(states) - 1)] == R
        if event.type == "arousal":
            height = rng.uniform(4.0, 10.0) if in_rem else rng.lognormal(np.log(1.9), 0.45)
        elif event.type == "limb_movement":
            height = rng.lognormal(np.log(1.2), 0.3)
        elif event.type == "movement":
            height = rng.uniform(3.0, 9.0)
        else:
            continue
        piece = 1 + max(height - 1, 0.0) * np.sin(np.pi * (np.arange(length) + 0.5) / length) ** 0.6
        stop = min(at + length, n)
        factor[at:stop] = np.maximum(factor[at:stop], piece[: stop - at])
    for time in rapid[rng.random(len(rapid)) < 0.15]:
        at = round((time + rng.normal(0, 0.5)) * _GRID)
        length = int(rng.integers(2, 6))
        if 0 <= at < n - length:
            factor[at : at + length] *= rng.uniform(2.5, 7.0)
    return factor


def muscle_spectrum() -> NDArray[np.float32]:
    """Give the spectrum of a surface EMG of unit power: 1/Hz, shape (frequencies,)."""
    freq = frequencies(RATE)
    body = (freq / 30.0) ** 2 / (1 + (freq / 30.0) ** 2) / (1 + (freq / 75.0) ** 2)
    return np.asarray(body / (body.sum() * (freq[1] - freq[0])), dtype=np.float32)


def electromyogram(
    rng: np.random.Generator,
    level: NDArray[np.float32],
    states: NDArray[np.int8],
    events: Sequence[Span],
    rapid: NDArray[np.float64],
    lab: Lab,
) -> NDArray[np.float32]:
    """Draw the chin EMG of the whole night.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    level : numpy.ndarray
        From `tone`, µV rms, shape (bins,).
    states : numpy.ndarray
        State of each bin, shape (bins,).
    events : sequence of Span
        Arousals, limb movements and movements.
    rapid : numpy.ndarray
        Seconds of the rapid eye movements of REM sleep, shape (n,).
    lab : Lab
        Gives corner, mains and noise.

    Returns
    -------
    numpy.ndarray
        µV, shape (bins * BIN_SECONDS * RATE,).
    """
    rows = gaussian_rows(len(level), RATE, rng)
    out = shaped_noise((level**2)[:, None], muscle_spectrum()[None, :], rows, RATE)
    factor = ndimage.gaussian_filter1d(_bursts(rng, states, events, rapid), 0.8)
    time = np.arange(len(out)) / RATE
    out = out * np.interp(time, (np.arange(len(factor)) + 0.5) / _GRID, factor)
    out = (
        out
        + 0.4 * rng.standard_normal(len(out), dtype=np.float32)
        + lab.mains_level * hum(len(out), RATE, lab.mains, 0.0)
    )
    corner = signal.butter(1, lab.emg_high_pass, "high", fs=RATE, output="sos")
    return np.asarray(signal.sosfilt(corner, out), dtype=np.float32)
