"""The heart: beat times from a rate that breathes, wakes and falls with apneas, and the ECG that they draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

from core.psg.simulate.breathing import Breaths, respiratory_phase
from core.psg.simulate.lab import Lab
from core.psg.simulate.noise import BIN_SECONDS, hum, slow_course
from core.psg.simulate.subject import Subject
from core.psg.simulate.truth import Span

RATE = 256.0
"""Samples a second of the ECG."""
_GRID = 8.0  # samples a second of the rate curve
_STAGE_RATE = (7.0, 3.0, 0.0, -1.0, 3.5)  # beats a minute against N2
_STAGE_RSA = (0.7, 0.9, 1.0, 1.15, 0.75)
_STAGE_WANDER = (3.4, 2.4, 1.8, 1.2, 3.0)  # beats a minute, slow fluctuation
# Bumps of the normal beat: amplitude (mV), centre (s from the R peak at 60 beats a minute), width (s), whether it moves
# with the QT interval.
_BUMPS = (
    (0.11, -0.165, 0.022, False),
    (-0.09, -0.030, 0.008, False),
    (1.05, 0.0, 0.0105, False),
    (-0.20, 0.028, 0.010, False),
    (0.26, 0.265, 0.045, True),
    (0.08, 0.330, 0.030, True),
)
_PREMATURE = (
    (-0.15, -0.06, 0.02, False),
    (1.30, 0.0, 0.030, False),
    (-0.65, 0.085, 0.040, False),
    (-0.40, 0.28, 0.060, True),
)


@dataclass(frozen=True)
class Beats:
    """Heartbeats, arrays of shape (n,)."""

    time: NDArray[np.float64]
    """Seconds of the R peaks."""
    ectopic: NDArray[np.bool_]
    """Premature ventricular beats."""


def _response(events: Sequence[Span], n: int, shape: str) -> NDArray[np.float64]:
    """Rate change of unit size around events on the rate grid."""
    curve = np.zeros(n)
    for event in events:
        at = round(event.onset * _GRID)
        if shape == "arousal":
            length = round((event.duration + 18) * _GRID)
            t = np.arange(length) / _GRID
            piece = np.clip(t / 3.0, 0, 1) * np.exp(-np.clip(t - event.duration, 0, None) / 5.0)
        else:
            length = round((event.duration + 6) * _GRID)
            t = np.arange(length) / _GRID
            piece = -(np.clip(t / event.duration, 0, 1) ** 1.3) * np.exp(-np.clip(t - event.duration, 0, None) / 2.0)
        room = min(length, n - at)
        if room > 0:
            curve[at : at + room] += piece[:room]
    return curve


def _rate(
    rng: np.random.Generator,
    subject: Subject,
    states: NDArray[np.int8],
    breaths: Breaths,
    events: Sequence[Span],
) -> NDArray[np.float64]:
    """Instantaneous heart rate in beats a minute on the rate grid."""
    per_bin = round(_GRID * BIN_SECONDS)
    n = len(states) * per_bin
    time = np.arange(n) / _GRID
    stage = np.repeat(states, per_bin)
    smooth = ndimage.uniform_filter1d
    mean = subject.heart_rate + smooth(np.asarray(_STAGE_RATE)[stage], round(30 * _GRID))
    mean = mean + np.interp(time, [0, time[-1]], [2.5, -1.5])
    lively = 1.25 - 0.75 * (subject.age - 20) / 60
    wander = smooth(np.asarray(_STAGE_WANDER)[stage], round(30 * _GRID)) * lively
    slow = slow_course(len(states), 8.0, rng)
    tone = signal.sosfilt(signal.butter(1, [0.06, 0.13], "band", fs=_GRID, output="sos"), rng.standard_normal(n)) * 5.5
    rsa = subject.rsa * smooth(np.asarray(_STAGE_RSA)[stage], round(20 * _GRID))
    rate = mean + wander * (np.repeat(slow, per_bin) + 0.5 * tone) + rsa * respiratory_phase(breaths, time)
    arousals = [event for event in events if event.type == "arousal"]
    apneas = [event for event in events if event.type.endswith(("apnea", "hypopnea"))]
    rate = rate + (6.0 + 10.0 * lively) * smooth(_response(arousals, n, "arousal"), 9)
    rate = rate + (4.0 + 7.0 * lively) * smooth(_response(apneas, n, "apnea"), 9)
    return np.asarray(np.clip(rate, 34, 165))


def beat(
    rng: np.random.Generator,
    subject: Subject,
    states: NDArray[np.int8],
    breaths: Breaths,
    events: Sequence[Span],
) -> Beats:
    """Draw the beats of the night.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    subject : Subject
        Gives rate, respiratory sinus arrhythmia and heart condition.
    states : numpy.ndarray
        State of each bin, shape (bins,).
    breaths : Breaths
        Move the rate.
    events : sequence of Span
        Apneas slow the heart, arousals speed it up.

    Returns
    -------
    Beats
        No two beats closer than 0.3 s.
    """
    rate = _rate(rng, subject, states, breaths, events)
    phase = np.concatenate([[0.0], np.cumsum(rate / 60.0 / _GRID)])
    count = int(phase[-1])
    marks = np.arange(count) + 0.5
    if subject.heart == "atrial_fibrillation":
        steps = np.clip(rng.lognormal(-0.03, 0.19, round(count * 1.2)), 0.55, 2.0)
        marks = np.cumsum(steps * 0.85)
        marks = marks[marks < phase[-1]]
    times = np.interp(marks, phase, np.arange(len(phase)) / _GRID)
    times = times + rng.normal(0, 0.0025, len(times))
    share = {"ectopy": float(rng.uniform(0.004, 0.05)), "heart_failure": float(rng.uniform(0.002, 0.02))}
    ectopic = rng.random(len(times)) < share.get(subject.heart, 0.0003)
    ectopic[[0, -1]] = False
    ectopic[1:] &= ~ectopic[:-1]
    before = np.diff(times, prepend=times[0] - 1.0)
    times = np.where(ectopic, times - before * rng.uniform(0.28, 0.42, len(times)), times)
    keep = np.diff(times, prepend=-1.0) >= 0.3
    keep &= (times > 0.4) & (times < len(states) * BIN_SECONDS - 0.6)
    return Beats(np.round(times[keep], 4), ectopic[keep])


def _draw(
    out: NDArray[np.float64],
    times: NDArray[np.float64],
    scale: NDArray[np.float64],
    stretch: NDArray[np.float64],
    bumps: Sequence[tuple[float, float, float, bool]],
) -> None:
    """Add the bumps of many beats to a trace in place."""
    half = round(0.75 * RATE)
    window = np.arange(-round(0.3 * RATE), half)
    for first in range(0, len(times), 4000):
        part = slice(first, first + 4000)
        centre = np.round(times[part] * RATE).astype(np.int64)
        offset = (window[None, :] + (centre - times[part] * RATE)[:, None]) / RATE  # (beats, window) seconds from R
        wave = np.zeros_like(offset)
        for height, at, width, repolarises in bumps:
            factor = stretch[part, None] if repolarises else 1.0
            wave += height * np.exp(-0.5 * ((offset - at * factor) / (width * factor)) ** 2)
        index = centre[:, None] + window[None, :]
        inside = (index >= 0) & (index < len(out))
        out += np.bincount(index[inside], weights=(wave * scale[part, None])[inside], minlength=len(out))


def electrocardiogram(
    beats: Beats, subject: Subject, lab: Lab, breaths: Breaths, rng: np.random.Generator, seconds: int
) -> NDArray[np.float32]:
    """Draw the ECG of the whole night.

    Parameters
    ----------
    beats : Beats
        From `beat`.
    subject : Subject
        Heart condition: no P wave in atrial fibrillation.
    lab : Lab
        Lead gain and mains.
    breaths : Breaths
        Move the axis and the baseline.
    rng : numpy.random.Generator
        Source of chance; its first draws give the shape of this subject's beat.
    seconds : int
        Length of the night.

    Returns
    -------
    numpy.ndarray
        mV, shape (seconds * RATE,).
    """
    n = round(seconds * RATE)
    out = np.zeros(n)
    personal = rng.uniform(0.7, 1.35, len(_BUMPS))
    bumps = tuple((h * personal[i], at, width, late) for i, (h, at, width, late) in enumerate(_BUMPS))
    if subject.heart == "atrial_fibrillation":
        bumps = bumps[1:]
    interval = np.clip(np.diff(beats.time, prepend=beats.time[0] - 1.0), 0.35, 1.8)
    stretch = np.sqrt(interval) * 0.97
    scale = 1.0 + 0.07 * respiratory_phase(breaths, beats.time)
    normal = ~beats.ectopic
    _draw(out, beats.time[normal], scale[normal], stretch[normal], bumps)
    if beats.ectopic.any():
        _draw(out, beats.time[~normal], scale[~normal], stretch[~normal], _PREMATURE)
    coarse = np.arange(0, seconds, 1 / 8)
    sway = 0.05 * respiratory_phase(breaths, coarse) + slow_course(len(coarse), 160.0, rng, 0.04)
    time = np.arange(n) / RATE
    out += np.interp(time, coarse, sway)
    if subject.heart == "atrial_fibrillation":
        tremor = signal.sosfilt(signal.butter(2, [4, 8], "band", fs=RATE, output="sos"), rng.standard_normal(n))
        out += 0.12 * tremor
    out *= lab.ecg_lead
    out += 0.008 * rng.standard_normal(n) + 0.002 * lab.mains_level * hum(n, RATE, lab.mains, 0.0)
    corner = signal.butter(1, 0.3, "high", fs=RATE, output="sos")
    return np.asarray(signal.sosfilt(corner, out), dtype=np.float32)
