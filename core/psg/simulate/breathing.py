"""Breaths, one by one, and what nasal pressure, thermistor and belts make of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from core.psg.simulate.hypnogram import R, W
from core.psg.simulate.lab import Lab
from core.psg.simulate.noise import BIN_SECONDS, slow_course
from core.psg.simulate.subject import Subject
from core.psg.simulate.truth import Span

RATE = 32.0
"""Samples a second of airflow and effort."""
_VARIABILITY = (0.20, 0.11, 0.06, 0.035, 0.15)  # coefficient of variation of the breath interval by stage
_RATE = (1.06, 1.02, 1.0, 1.02, 1.08)  # breath rate by stage against N2
_DEPTH = (1.12, 1.0, 1.0, 1.03, 0.88)  # tidal volume by stage against N2
CENTRAL_PART = 0.45
"""Share of a mixed apnea without effort, at its beginning."""


@dataclass(frozen=True)
class Breaths:
    """Breaths of a night, arrays of shape (n,)."""

    onset: NDArray[np.float64]
    """Seconds, start of inspiration (of effort, where the airway is closed)."""
    duration: NDArray[np.float64]
    """Seconds."""
    flow: NDArray[np.float64]
    """Airflow amplitude, 1 is quiet breathing in N2."""
    effort: NDArray[np.float64]
    """Effort amplitude, 1 is quiet breathing in N2."""
    lag: NDArray[np.float64]
    """Thorax behind abdomen, share of the cycle: 0 together, 0.5 paradox."""
    flat: NDArray[np.float64]
    """Flow limitation: 0 round inspiration, 1 a plateau."""


def _paced(
    rng: np.random.Generator, subject: Subject, states: NDArray[np.int8], silent: Sequence[Span]
) -> NDArray[np.float64]:
    """Onsets and durations of all efforts, none inside the silent spans; shape (n, 2)."""
    total = len(states) * BIN_SECONDS
    noise = rng.standard_normal(round(total))
    drift = slow_course(len(states), 60.0, rng, 0.04)
    rows: list[tuple[float, float]] = []
    at, memory, k, quiet = 0.5, 0.0, 0, 0
    while at < total - 8:
        while quiet < len(silent) and silent[quiet].end <= at:
            quiet += 1
        if quiet < len(silent) and silent[quiet].onset <= at:
            at = silent[quiet].end
        here = int(at / BIN_SECONDS)
        stage = states[min(here, len(states) - 1)]
        memory = 0.45 * memory + 0.89 * noise[k % len(noise)]
        k += 1
        mean = 60.0 / (subject.breath_rate * _RATE[stage])
        duration = float(
            np.clip(mean * np.exp(_VARIABILITY[stage] * memory + drift[min(here, len(drift) - 1)]), 1.7, 9.5)
        )
        rows.append((at, duration))
        at += duration
    return np.array(rows)


def _silent(planned: Sequence[Span]) -> list[Span]:
    """Spans in which nobody tries to breathe."""
    spans = []
    for event in planned:
        if event.type == "central_apnea":
            spans.append(Span("", event.onset, event.duration))
        elif event.type == "mixed_apnea":
            spans.append(Span("", event.onset, max(CENTRAL_PART * event.duration, 5.0)))
    return spans


def _shape_event(rng: np.random.Generator, kind: str, part: slice, breaths: Breaths) -> None:
    """Change the breaths of one event in place."""
    n = part.stop - part.start
    rise = np.linspace(0.0, 1.0, n)
    if kind in ("obstructive_apnea", "mixed_apnea"):
        breaths.flow[part] = rng.uniform(0.0, 0.07, n)
        breaths.effort[part] = 0.75 + (0.5 + 0.5 * rng.random()) * rise
        breaths.lag[part] = np.clip(rng.normal(0.46, 0.05) + rng.normal(0, 0.03, n), 0.33, 0.55)
    elif kind == "hypopnea":
        obstructive = rng.random() < 0.8
        low = rng.uniform(0.2, 0.6)
        dip = low + 0.12 * np.cos(np.pi * (2 * rise - 1)) * -1 * low
        breaths.flow[part] = np.clip(dip + rng.normal(0, 0.03, n), 0.12, 0.66)
        breaths.effort[part] = 0.85 + 0.4 * rise if obstructive else breaths.flow[part]
        breaths.lag[part] = np.clip(rng.normal(0.22, 0.08) + 0.08 * rise, 0.04, 0.45) if obstructive else 0.03
        breaths.flat[part] = rng.uniform(0.5, 1.0) if obstructive else 0.1
    elif kind == "rera":
        breaths.flow[part] = np.clip(0.84 - 0.06 * rise + rng.normal(0, 0.03, n), 0.73, 0.92)
        breaths.effort[part] = 1.0 + 0.7 * rise
        breaths.lag[part] = 0.1 + 0.08 * rise
        breaths.flat[part] = 0.75 + 0.25 * rise


def _recover(rng: np.random.Generator, kind: str, first: int, breaths: Breaths, free: int) -> None:
    """Deep breaths after an event; between central apneas in series the breaths wax and wane."""
    if kind == "central_apnea" and 5 <= free <= 16:
        swell = 0.72 + rng.uniform(0.5, 0.95) * np.sin(np.pi * (np.arange(free) + 0.5) / free)
        breaths.flow[first : first + free] *= swell
        breaths.effort[first : first + free] *= swell
        return
    n = min(int(rng.integers(3, 6)), free, len(breaths.onset) - first)
    if n > 0 and kind != "rera":
        boost = 1.0 + rng.uniform(0.25, 0.8) * np.linspace(1.0, 0.15, n)
        breaths.flow[first : first + n] *= boost
        breaths.effort[first : first + n] *= boost


def _undisturbed(
    rng: np.random.Generator, subject: Subject, states: NDArray[np.int8], planned: Sequence[Span]
) -> Breaths:
    """All breaths at their times, as deep as without any event."""
    rows = _paced(rng, subject, states, _silent(planned))
    onset, duration = rows[:, 0], rows[:, 1]
    n = len(onset)
    stage = states[np.minimum((onset / BIN_SECONDS).astype(int), len(states) - 1)]
    depth = np.asarray(_DEPTH)[stage] * np.exp(
        np.asarray([0.22, 0.12, 0.06, 0.04, 0.16])[stage] * rng.standard_normal(n)
    )
    snoring = np.clip(slow_course(n, 150.0, rng, 0.3), 0, 0.7) * (stage != W)
    lag = 0.03 + 0.02 * (stage == R) + rng.normal(0, 0.008, n)
    return Breaths(onset, duration, depth.copy(), depth.copy(), lag, snoring)


def breathe(
    rng: np.random.Generator, subject: Subject, states: NDArray[np.int8], planned: Sequence[Span]
) -> tuple[Breaths, list[Span]]:
    """Draw every breath of the night, with the planned events in it.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    subject : Subject
        Gives the rate.
    states : numpy.ndarray
        State of each bin, shape (bins,).
    planned : sequence of Span
        Respiratory events in order.

    Returns
    -------
    breaths : Breaths
        All efforts.
    events : list of Span
        The events with their edges on breaths: from the end of the last whole breath to the start of the first one
        that is whole again; those that came out shorter than 10 s are gone.
    """
    breaths = _undisturbed(rng, subject, states, planned)
    onset, duration, n = breaths.onset, breaths.duration, len(breaths.onset)
    events: list[Span] = []
    edges = np.append(onset, onset[-1] + duration[-1])
    starts = np.array([e.onset for e in planned] + [np.inf])
    for k, event in enumerate(planned):
        first = int(np.searchsorted(edges, event.onset - 1e-6))
        last = int(np.searchsorted(onset, event.end - 1e-6))
        if event.type in ("central_apnea", "mixed_apnea"):
            begin = onset[first - 1] + duration[first - 1] if first else event.onset
        else:
            begin = onset[min(first, n - 1)]
        end = onset[min(last, n - 1)]
        if end - begin < 10.0 or last >= n:
            continue
        if last > first:
            _shape_event(rng, event.type, slice(first, last), breaths)
        _recover(rng, event.type, last, breaths, int(np.searchsorted(onset, starts[k + 1])) - last)
        events.append(Span(event.type, round(float(begin), 2), round(float(end - begin), 2)))
    return breaths, events


def _phase(breaths: Breaths, time: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Index of the breath and position in it (beyond 1: rest) at each moment."""
    index = np.clip(np.searchsorted(breaths.onset, time, side="right") - 1, 0, len(breaths.onset) - 1)
    return index, np.maximum((time - breaths.onset[index]) / breaths.duration[index], 0.0)


def _volume(phase: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lung volume over one breath, 0 to 1 and back; 40 % inspiration."""
    rise = 0.5 - 0.5 * np.cos(np.pi * np.clip(phase / 0.4, 0, 1))
    fall = 0.5 + 0.5 * np.cos(np.pi * np.clip((phase - 0.4) / 0.6, 0, 1) ** 0.75)
    return np.where(phase < 0.4, rise, fall)


def _drift(rng: np.random.Generator, time: NDArray[np.float64], step: float, size: float) -> NDArray[np.float64]:
    """Slow drift of a sensor's zero, drawn every `step` seconds."""
    count = int(time[-1] / step) + 2
    return np.interp(time, np.arange(count) * step, slow_course(count, 700.0 / step, rng, size))


def airflow(breaths: Breaths, lab: Lab, seconds: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Give the airflow channel.

    Parameters
    ----------
    breaths : Breaths
        From `breathe`.
    lab : Lab
        Gives sensor, gain and coupling.
    seconds : int
        Length of the night.
    rng : numpy.random.Generator
        Source of chance (drift, noise).

    Returns
    -------
    numpy.ndarray
        Device units, inspiration upwards, shape (seconds * RATE,).
    """
    time = np.arange(round(seconds * RATE)) / RATE
    index, phase = _phase(breaths, time)
    flat = breaths.flat[index]
    inspired = np.sin(np.pi * np.clip(phase / 0.4, 0, 1))
    steep = 0.3 + 5.0 * flat
    inspired = np.tanh(steep * inspired) / np.tanh(steep)
    out = np.clip((phase - 0.4) / 0.6, 0, 1)
    expired = 2.2 * out**0.6 * (1 - out) ** 1.3
    flow = breaths.flow[index] * np.where(phase < 0.4, inspired, -0.85 * expired)
    if lab.airflow == "nasal_pressure":
        flow = np.sign(flow) * np.abs(flow) ** 1.75
    elif lab.airflow == "thermistor":
        warm = np.sign(flow) * np.abs(flow) ** 0.6
        share = 1 - np.exp(-1 / (0.45 * RATE))
        flow = signal.lfilter([share], [1, share - 1], warm) * 1.5
    flow = flow + 0.012 * rng.standard_normal(len(flow))
    drift = _drift(rng, time, 20.0, 0.12)
    flow = flow + drift
    if lab.airflow_high_pass > 0:
        flow = signal.sosfilt(signal.butter(1, lab.airflow_high_pass, "high", fs=RATE, output="sos"), flow)
    return np.asarray(lab.airflow_gain * flow, dtype=np.float32)


def effort(
    breaths: Breaths, lab: Lab, seconds: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Give the two effort belts.

    Parameters
    ----------
    breaths : Breaths
        From `breathe`.
    lab : Lab
        Gives sensor and gains.
    seconds : int
        Length of the night.
    rng : numpy.random.Generator
        Source of chance (drift, noise).

    Returns
    -------
    abdomen, thorax : numpy.ndarray
        Device units, inspiration upwards, shape (seconds * RATE,).
    """
    time = np.arange(round(seconds * RATE)) / RATE
    index, phase = _phase(breaths, time)
    resting = phase >= 1.0
    lag = breaths.lag[index]
    smooth = signal.butter(2, 3.0, fs=RATE, output="sos")
    belts = []
    for sign, gain, share in ((-0.5, lab.effort_gain[0], 1.05), (0.5, lab.effort_gain[1], 0.95)):
        moved = np.where(resting, 1.0, (phase - sign * lag) % 1.0)
        belt = breaths.effort[index] * share * (_volume(moved) - np.where(lag > 0.25, 0.4, 0.0) * ~resting)
        belt = signal.sosfilt(smooth, belt)
        belt = belt + _drift(rng, time, 30.0, 0.25)
        if lab.effort == "piezo":
            belt = 1.4 * signal.sosfilt(signal.butter(1, 0.15, "high", fs=RATE, output="sos"), belt)
        belts.append(np.asarray(gain * (belt + 0.012 * rng.standard_normal(len(belt))), dtype=np.float32))
    return belts[0], belts[1]


def ventilation(breaths: Breaths, seconds: int) -> NDArray[np.float64]:
    """Give the ventilation of each second.

    Parameters
    ----------
    breaths : Breaths
        From `breathe`.
    seconds : int
        Length of the night.

    Returns
    -------
    numpy.ndarray
        1 is quiet breathing, 0 none, shape (seconds,).
    """
    index, phase = _phase(breaths, np.arange(seconds, dtype=np.float64) + 0.5)
    return np.where(phase > 1.05, 0.0, breaths.flow[index])


def respiratory_phase(breaths: Breaths, time: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the lung's movement for respiratory sinus arrhythmia.

    Parameters
    ----------
    breaths : Breaths
        From `breathe`.
    time : numpy.ndarray
        Seconds.

    Returns
    -------
    numpy.ndarray
        −1 to 1, highest at the end of inspiration, scaled by the effort; same shape as `time`.
    """
    index, phase = _phase(breaths, time)
    return np.where(phase < 1.0, 2 * _volume(phase) - 1, -1.0) * np.clip(breaths.effort[index], 0, 1.6)
