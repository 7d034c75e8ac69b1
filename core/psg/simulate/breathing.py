"""Breaths, one by one, with the events in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.psg.simulate.hypnogram import N1, R, W
from core.psg.simulate.noise import BIN_SECONDS, slow_course
from core.psg.simulate.subject import Subject
from core.psg.simulate.truth import Span

RATE = 32.0
"""Samples a second of airflow and effort."""
_VARIABILITY = (0.20, 0.12, 0.075, 0.05, 0.15)  # coefficient of variation of the breath interval by stage
_DEPTH_VARIABILITY = (0.28, 0.16, 0.085, 0.06, 0.19)
_RATE = (1.06, 1.02, 1.0, 1.02, 1.08)  # breath rate by stage against N2
_DEPTH = (1.12, 1.0, 1.0, 1.03, 0.88)  # tidal volume by stage against N2
PAUSE = "pause"
"""A reduction of breathing while awake, which nobody scores."""
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
    thorax: NDArray[np.float64]
    """How much of the effort the chest shows; 1 is its usual part."""


def _paced(
    rng: np.random.Generator, subject: Subject, states: NDArray[np.int8], silent: Sequence[Span]
) -> NDArray[np.float64]:
    """Onsets and durations of all efforts, none inside the silent spans; shape (n, 2)."""
    total = len(states) * BIN_SECONDS
    noise = rng.standard_normal(round(total))
    drift = slow_course(len(states), 60.0, rng, 0.04)
    uneven = min(subject.unevenness, 1.6)
    rows: list[tuple[float, float]] = []
    at, memory, k, quiet = 0.5, 0.0, 0, 0
    while at < total - 8:
        while quiet < len(silent) and silent[quiet].end <= at:
            quiet += 1
        if quiet < len(silent) and silent[quiet].onset <= at:
            at = silent[quiet].end
        here = int(at / BIN_SECONDS)
        stage = states[min(here, len(states) - 1)]
        memory = 0.3 * memory + 0.95 * noise[k % len(noise)]
        k += 1
        mean = 60.0 / (subject.breath_rate * _RATE[stage])
        duration = float(
            np.clip(mean * np.exp(uneven * _VARIABILITY[stage] * memory + drift[min(here, len(drift) - 1)]), 1.7, 9.5)
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


def _shape_event(rng: np.random.Generator, subject: Subject, kind: str, part: slice, breaths: Breaths) -> None:
    """Change the breaths of one event in place."""
    n = part.stop - part.start
    rise = np.linspace(0.0, 1.0, n)
    if kind in ("obstructive_apnea", "mixed_apnea"):
        breaths.flow[part] = rng.uniform(0.0, 0.07, n)
        breaths.effort[part] = rng.uniform(0.4, 0.9) + rng.uniform(0.1, 0.8) * rise
        breaths.lag[part] = np.clip(rng.normal(0.46, 0.05) + rng.normal(0, 0.03, n), 0.33, 0.55)
        breaths.thorax[part] = rng.uniform(0.5, 1.15)
    elif kind in ("hypopnea", PAUSE):
        obstructive = rng.random() < 0.8
        low = rng.uniform(*subject.hypopnea_flow)
        breaths.flow[part] = np.clip(_dip(rng, low, rise) + rng.normal(0, 0.04, n), 0.11, 0.75)
        start = rng.uniform(0.5, 0.95)
        breaths.effort[part] = start + rng.uniform(0.0, 0.6) * rise if obstructive else breaths.flow[part]
        breaths.lag[part] = np.clip(rng.normal(0.22, 0.08) + 0.08 * rise, 0.04, 0.45) if obstructive else 0.03
        breaths.flat[part] = rng.uniform(0.5, 1.0) if obstructive else 0.1
        breaths.thorax[part] = rng.uniform(0.6, 1.1)
    elif kind == "rera":
        breaths.flow[part] = np.clip(0.84 - 0.06 * rise + rng.normal(0, 0.03, n), 0.73, 0.92)
        breaths.effort[part] = 1.0 + 0.7 * rise
        breaths.lag[part] = 0.1 + 0.08 * rise
        breaths.flat[part] = 0.75 + 0.25 * rise


def _dip(rng: np.random.Generator, low: float, rise: NDArray[np.float64]) -> NDArray[np.float64]:
    """Flow over a hypopnea: a plateau, a gradual fall that an arousal ends, or a fall and a return."""
    form = rng.random()
    if form < 0.5:
        return np.asarray(low + 0.12 * low * np.cos(np.pi * (2 * rise - 1)))
    if form < 0.8:
        return np.asarray(low + (0.7 - low) * (1 - rise) ** 2)
    return np.asarray(low + (0.7 - low) * np.abs(2 * rise - 1) ** 2.5)


def _recover(rng: np.random.Generator, subject: Subject, kind: str, first: int, breaths: Breaths, free: int) -> None:
    """Deep breaths after an event; between central apneas in series the breaths wax and wane."""
    if kind == "central_apnea" and 5 <= free <= 16:
        swell = 0.72 + rng.uniform(0.5, 0.95) * np.sin(np.pi * (np.arange(free) + 0.5) / free)
        breaths.flow[first : first + free] *= swell
        breaths.effort[first : first + free] *= swell
        return
    n = min(int(rng.integers(2, 6)), free, len(breaths.onset) - first)
    if n > 0 and kind not in ("rera", PAUSE):
        boost = 1.0 + subject.hyperpnea * rng.uniform(0.5, 1.5) * np.linspace(1.0, 0.15, n)
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
    spread = np.asarray(_DEPTH_VARIABILITY)[stage] * min(subject.unevenness, 1.6)
    depth = np.asarray(_DEPTH)[stage] * np.exp(spread * slow_course(n, 0.85, rng))  # next breath: r 0.3
    depth *= _waxing(rng, subject, stage, onset)
    sigh = np.flatnonzero(rng.random(n) < subject.sighs * duration / 3600)
    depth[sigh] *= rng.uniform(1.7, 2.8, len(sigh))
    depth[np.minimum(sigh + 1, n - 1)] *= 0.8
    snoring = np.clip(slow_course(n, 150.0, rng, 0.3), 0, 0.7) * (stage != W)
    lag = 0.03 + 0.02 * (stage == R) + rng.normal(0, 0.008, n)
    return Breaths(onset, duration, depth.copy(), depth.copy(), lag, snoring, np.ones(n))


def _waxing(
    rng: np.random.Generator, subject: Subject, stage: NDArray[np.int8], onset: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Waxing and waning of the depth of breathing while falling asleep: none of it is an event."""
    drowsy = np.convolve(stage == N1, np.ones(25) / 25, "same")[: len(stage)]
    cycle = rng.uniform(25, 60)
    return np.asarray(1 + subject.onset_waxing * np.sqrt(drowsy) * np.sin(2 * np.pi * onset / cycle) * (stage != R))


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
        that is whole again; those that came out shorter than 10 s, and the pauses of wake, are not among them.
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
            _shape_event(rng, subject, event.type, slice(first, last), breaths)
        _recover(rng, subject, event.type, last, breaths, int(np.searchsorted(onset, starts[k + 1])) - last)
        if event.type != PAUSE:
            events.append(Span(event.type, round(float(begin), 2), round(float(end - begin), 2)))
    return breaths, events


def breath_phase(breaths: Breaths, time: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Give the breath that is going on at each moment.

    Parameters
    ----------
    breaths : Breaths
        From `breathe`.
    time : numpy.ndarray
        Seconds.

    Returns
    -------
    index, phase : numpy.ndarray
        Number of the breath and position in it (beyond 1: rest); same shape as `time`.
    """
    index = np.clip(np.searchsorted(breaths.onset, time, side="right") - 1, 0, len(breaths.onset) - 1)
    return index, np.maximum((time - breaths.onset[index]) / breaths.duration[index], 0.0)


def volume(phase: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the lung volume over one breath, 0 to 1 and back; 40 % inspiration.

    Parameters
    ----------
    phase : numpy.ndarray
        Position in the breath.

    Returns
    -------
    numpy.ndarray
        Same shape.
    """
    rise = 0.5 - 0.5 * np.cos(np.pi * np.clip(phase / 0.4, 0, 1))
    fall = 0.5 + 0.5 * np.cos(np.pi * np.clip((phase - 0.4) / 0.6, 0, 1) ** 0.75)
    return np.where(phase < 0.4, rise, fall)


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
    index, phase = breath_phase(breaths, np.arange(seconds, dtype=np.float64) + 0.5)
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
    index, phase = breath_phase(breaths, time)
    return np.where(phase < 1.0, 2 * volume(phase) - 1, -1.0) * np.clip(breaths.effort[index], 0, 1.6)
