"""Eye movements and the two EOG channels.

Positions follow the AASM manual: E1 below the left outer canthus, E2 above the right one, both against the right
mastoid, so that every conjugate movement deflects the two in opposite directions and brain activity in the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from core.psg.runs import runs
from core.psg.simulate.hypnogram import N1, N2, R, W
from core.psg.simulate.noise import BIN_SECONDS
from core.psg.simulate.truth import Span

RATE = 256.0
"""Samples a second."""


@dataclass(frozen=True)
class Gaze:
    """What the eyes do."""

    horizontal: NDArray[np.float32]
    """µV at E2, gaze to the right, shape (samples,)."""
    vertical: NDArray[np.float32]
    """µV at E2, gaze upwards and blinks, shape (samples,)."""
    movements: tuple[Span, ...]
    """``slow_eye_movement``, ``rapid_eye_movement`` (REM sleep), ``saccade`` (wake) and ``blink``."""

    @property
    def rapid(self) -> NDArray[np.float64]:
        """Seconds of the rapid eye movements of REM sleep, shape (n,)."""
        return np.array([m.onset for m in self.movements if m.type == "rapid_eye_movement"])


def _saccades(rng: np.random.Generator, start: float, end: float, pace: float) -> NDArray[np.float64]:
    """Times between start and end, on average `pace` seconds apart, in clusters."""
    gaps = rng.exponential(pace, int((end - start) / pace * 2.5) + 4) + 0.22
    times = start + rng.random() * pace + np.cumsum(gaps)
    return times[times < end - 0.3]


def _runs(mask: NDArray[np.bool_]) -> list[tuple[float, float]]:
    """Seconds of start and end of each run of true bins."""
    return [(a * BIN_SECONDS, b * BIN_SECONDS) for a, b in runs(mask)]


def _phasic(rng: np.random.Generator, states: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Bins of phasic REM sleep: bouts of 4 to 20 s, a third of the time."""
    mask = np.zeros(len(states), dtype=bool)
    for start, end in _runs(states == R):
        at = start + rng.exponential(10)
        while at < end:
            length = rng.uniform(3, 18)
            mask[int(at / BIN_SECONDS) : int(min(at + length, end) / BIN_SECONDS)] = True
            at += length + rng.exponential(22)
    return mask


def gaze(rng: np.random.Generator, states: NDArray[np.int8], open_eyes: NDArray[np.bool_], gain: float) -> Gaze:
    """Draw the eye movements of the night.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    states : numpy.ndarray
        State of each bin, shape (bins,).
    open_eyes : numpy.ndarray
        Bins of wake with open eyes, shape (bins,).
    gain : float
        Factor on every amplitude.

    Returns
    -------
    Gaze
        No rapid eye movement lies outside REM sleep, no saccade or blink outside wake.
    """
    knots: list[tuple[float, float, float, float, str]] = []  # time, duration, horizontal, vertical, type
    for start, end in _runs(open_eyes):
        for time in _saccades(rng, start, end, 1.3):
            knots.append((time, rng.uniform(0.03, 0.06), rng.normal(0, 65), rng.normal(0, 28), "saccade"))
    for start, end in _runs(_phasic(rng, states)):
        for time in _saccades(rng, start, end, 1.1):
            knots.append((time, rng.uniform(0.035, 0.075), rng.normal(0, 56), rng.normal(0, 20), "rapid_eye_movement"))
    slow = ((states == W) & ~open_eyes) | (states == N1)
    for start, end in _runs(slow):
        drowsy = rng.uniform(9, 28)
        at = start + rng.exponential(2.0)
        side = 1.0
        while at < end - 2.5:
            length = rng.uniform(0.9, 2.0)
            here = states[int(at / BIN_SECONDS)]
            size = drowsy * (1.0 if here == N1 else 0.6)
            knots.append((at, length, side * rng.uniform(0.4, 1.5) * size, rng.normal(0, 6), "slow_eye_movement"))
            side = -side
            at += length + (rng.exponential(0.5) if rng.random() < 0.85 else rng.exponential(7.0))
    for start, end in _runs((states == N2) | (states == N1)):
        for time in _saccades(rng, start, end, 90.0):
            knots.append((time, rng.uniform(0.8, 1.8), rng.normal(0, 22), 0.0, "slow_eye_movement"))
    knots.sort()
    return _trace(rng, knots, states, open_eyes, gain)


def _trace(
    rng: np.random.Generator,
    knots: list[tuple[float, float, float, float, str]],
    states: NDArray[np.int8],
    open_eyes: NDArray[np.bool_],
    gain: float,
) -> Gaze:
    """Turn targets into positions of the eyes."""
    n = round(len(states) * BIN_SECONDS * RATE)
    movements: list[Span] = []
    times, right, up = [0.0], [0.0], [0.0]
    for k, (time, length, h, v, kind) in enumerate(knots):
        if k + 1 < len(knots):
            length = min(length, max(knots[k + 1][0] - time - 0.01, 0.02))
        if time <= times[-1]:
            continue
        times += [time, time + length]
        right += [right[-1], h * gain]
        up += [up[-1], v * gain]
        size = float(np.hypot(right[-1] - right[-2], up[-1] - up[-2]))
        if size > 12 * gain:
            movements.append(Span(kind, round(time, 3), round(length, 3), round(size, 1)))
    grid = np.arange(n, dtype=np.float64) / RATE
    horizontal = ndimage.uniform_filter1d(np.interp(grid, times, right).astype(np.float32), 9)
    vertical = ndimage.uniform_filter1d(np.interp(grid, times, up).astype(np.float32), 9)
    lid = np.sin(np.pi * np.arange(round(0.26 * RATE)) / round(0.26 * RATE)) ** 1.7
    for start, end in _runs(open_eyes):
        for time in _saccades(rng, start, end, 4.0):
            at = round(time * RATE)
            height = gain * rng.lognormal(np.log(120), 0.3)
            vertical[at : at + len(lid)] += (height * lid)[: max(n - at, 0)].astype(np.float32)
            movements.append(Span("blink", round(time, 3), 0.26, round(height, 1)))
    movements.sort(key=lambda span: span.onset)
    return Gaze(horizontal, vertical, tuple(movements))
