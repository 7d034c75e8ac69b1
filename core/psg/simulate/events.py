"""When things happen: apneas, hypopneas, RERAs, arousals, limb movements and body positions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from core.psg.simulate.breathing import PAUSE
from core.psg.simulate.hypnogram import N1, N2, R, W
from core.psg.simulate.noise import BIN_SECONDS, slow_course
from core.psg.simulate.subject import Subject
from core.psg.simulate.truth import Span

RESPIRATORY = ("obstructive_apnea", "central_apnea", "mixed_apnea", "hypopnea")
POSITIONS = ("right", "left", "supine", "prone", "upright")
_STAGE_HAZARD = np.array([0.0, 1.3, 1.0, 0.45, 1.0])
_AROUSAL_HAZARD = np.array([0.0, 1.4, 1.2, 0.35, 0.8])
_AFTER_EVENT = {"obstructive_apnea": 0.8, "central_apnea": 0.45, "mixed_apnea": 0.75, "hypopnea": 0.55, "rera": 1.0}


def draw_positions(rng: np.random.Generator, subject: Subject, states: NDArray[np.int8]) -> tuple[Span, ...]:
    """Draw body positions; a sleeper turns 6 to 20 times a night, mostly out of light sleep.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    subject : Subject
        Gives the share of the night on the back.
    states : numpy.ndarray
        State of each two-second bin, shape (bins,).

    Returns
    -------
    tuple of Span
        Cover the night without gap; whole seconds.
    """
    total = len(states) * BIN_SECONDS
    side = 1.0 - subject.supine_share
    odds = np.array([0.5 * side, 0.42 * side, subject.supine_share, 0.08 * side, 0.0])
    changes = [0.0]
    while changes[-1] < total:
        changes.append(changes[-1] + float(np.round(np.clip(rng.exponential(2400), 240, 9000))))
    spans, name = [], 2
    for onset, end in pairwise(changes):
        end = min(end, total)
        spans.append(Span(POSITIONS[name], onset, end - onset))
        rest = odds.copy()
        rest[name] = 0.0
        name = int(rng.choice(5, p=rest / rest.sum()))
    return tuple(spans)


def position_codes(positions: Sequence[Span], seconds: int) -> NDArray[np.int8]:
    """Give the position code of each second.

    Parameters
    ----------
    positions : sequence of Span
        From `draw_positions`.
    seconds : int
        Length of the night.

    Returns
    -------
    numpy.ndarray
        0 right, 1 left, 2 supine, 3 prone, 4 upright, shape (seconds,).
    """
    codes = np.zeros(seconds, dtype=np.int8)
    for span in positions:
        codes[round(span.onset) : round(span.end)] = POSITIONS.index(span.type)
    return codes


def _asleep(states: NDArray[np.int8], onset: float, end: float) -> bool:
    """Whether every bin from onset to end is sleep."""
    part = states[int(onset / BIN_SECONDS) : int(end / BIN_SECONDS) + 1]
    return len(part) > 0 and bool((part != W).all())


def _hazard(
    rng: np.random.Generator, subject: Subject, states: NDArray[np.int8], codes: NDArray[np.int8]
) -> NDArray[np.float64]:
    """Respiratory events a second in each bin; mean over sleep is the wanted index."""
    n = len(states)
    supine = np.where(codes[:: round(BIN_SECONDS)][:n] == 2, subject.supine_factor, 1.0)
    tide = np.exp(subject.clustering * slow_course(n, 450.0, rng))
    hazard = _STAGE_HAZARD[states] * np.where(states == R, subject.rem_factor, 1.0) * supine * tide
    asleep = states != W
    if not asleep.any():
        return np.zeros(n)
    wanted = 1.2 * (subject.ahi + subject.rera_index) / 3600.0  # some come out too short or unconfirmed
    return np.asarray(hazard * wanted / hazard[asleep].mean())


def plan_respiratory(
    rng: np.random.Generator, subject: Subject, states: NDArray[np.int8], codes: NDArray[np.int8]
) -> list[Span]:
    """Plan apneas, hypopneas and RERAs; the breaths later move the edges to whole breaths.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    subject : Subject
        Gives index and mixture.
    states : numpy.ndarray
        State of each bin, shape (bins,).
    codes : numpy.ndarray
        Position of each second, shape (seconds,).

    Returns
    -------
    list of Span
        In order, not overlapping, at least 9 s of breathing between two.
    """
    hazard = _hazard(rng, subject, states, codes)
    total = len(states) * BIN_SECONDS
    share = subject.rera_index / max(subject.ahi + subject.rera_index, 1e-9)
    periodic = subject.heart == "heart_failure"
    cycle = float(rng.uniform(50, 85))
    rest = float(rng.uniform(14, 34))
    planned: list[Span] = []
    at, busy = 40.0, 0.0
    while at < total - 90:
        rate = hazard[int(at / BIN_SECONDS)] / max(1.0 - busy, 0.2)
        at += 1.0
        if rng.random() > rate:
            continue
        rem = states[int(at / BIN_SECONDS)] == R
        kind = "rera" if rng.random() < share else str(rng.choice(RESPIRATORY, p=subject.apnea_mix))
        typical = subject.event_seconds * (1.25 if rem else 1.0)
        duration = float(np.clip(rng.lognormal(np.log(typical), 0.36), 11.0, 110))
        if not _asleep(states, at - 6, at + duration):
            continue
        planned.append(Span(kind, at, duration))
        gap = cycle - duration if periodic and kind == "central_apnea" else float(rest * rng.lognormal(0.0, 0.35))
        at += duration + max(gap, 9.0)
        busy = 0.9 * busy + 0.1 * (duration + 18) * hazard[min(int(at / BIN_SECONDS), len(hazard) - 1)]
    return planned


def plan_pauses(rng: np.random.Generator, subject: Subject, states: NDArray[np.int8]) -> list[Span]:
    """Plan the reductions of breathing while awake, which are no events: swallowing, speech, falling asleep.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    subject : Subject
        The more events asleep, the more of them awake.
    states : numpy.ndarray
        State of each bin, shape (bins,).

    Returns
    -------
    list of Span
        In order; each wholly awake.
    """
    spans: list[Span] = []
    rate = (4.0 + 0.4 * subject.ahi) / 3600 * BIN_SECONDS
    for place in np.flatnonzero((states == W) & (rng.random(len(states)) < rate)):
        at, length = float(place * BIN_SECONDS), float(rng.uniform(10.0, 22.0))
        if not 30 < at < len(states) * BIN_SECONDS - 60 or (spans and at < spans[-1].end + 15):
            continue
        if (states[place : place + int(length / BIN_SECONDS) + 3] == W).all():
            spans.append(Span(PAUSE, at, length))
    return spans


def plan_arousals(
    rng: np.random.Generator, subject: Subject, states: NDArray[np.int8], respiratory: Sequence[Span]
) -> list[Span]:
    """Plan arousals: at the ends of respiratory events, and by themselves.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    subject : Subject
        Gives the index of spontaneous arousals.
    states : numpy.ndarray
        State of each bin, shape (bins,).
    respiratory : sequence of Span
        Final respiratory events; one of amplitude −1 needs its arousal (a hypopnea without desaturation).

    Returns
    -------
    list of Span
        In order; each 3 to 15 s, after at least 10 s of sleep and of no arousal.
    """
    wanted: list[Span] = []
    for event in respiratory:
        if rng.random() < (1.0 if event.amplitude < 0 else _AFTER_EVENT[event.type]):
            wanted.append(Span("arousal", event.end + float(rng.uniform(-1.0, 1.0)), float(rng.uniform(3.5, 11))))
    hazard = _AROUSAL_HAZARD[states] * subject.arousal_index / 3600.0
    seconds = np.flatnonzero(rng.random(len(states) * 2) < np.repeat(hazard, 2))
    length = rng.lognormal(np.log(6.0), 0.4, len(seconds))
    wanted += [
        Span("arousal", float(s) + float(rng.random()), float(np.clip(d, 3.2, 14.5)))
        for s, d in zip(seconds, length, strict=True)
    ]
    ends = np.array([event.end for event in respiratory] or [-1e9])
    wanted.sort(key=lambda span: span.onset)
    chosen: list[Span] = []
    for span in wanted:
        bound = bool(np.abs(ends - span.onset).min() <= 1.0)
        free = not chosen or span.onset - chosen[-1].end >= 10.0
        if free and (bound or _asleep(states, span.onset - 10, span.onset)):
            chosen.append(Span("arousal", round(span.onset, 2), round(span.duration, 2)))
    return chosen


def plan_limb_movements(rng: np.random.Generator, subject: Subject, states: NDArray[np.int8]) -> list[Span]:
    """Plan limb movements: series of four or more, 15 to 45 s apart (AASM: 5 to 90 s), in N1 and N2, or single ones.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    subject : Subject
        Gives the index.
    states : numpy.ndarray
        State of each bin, shape (bins,).

    Returns
    -------
    list of Span
        In order; 0.5 to 8 s each.
    """
    light = (states == N1) | (states == N2)
    hours = float((states != W).sum()) * BIN_SECONDS / 3600
    wanted = rng.poisson(subject.limb_index * hours)
    spans: list[Span] = []
    tries = 0
    while len(spans) < wanted and tries < 500:
        tries += 1
        at = float(rng.uniform(60, len(states) * BIN_SECONDS - 60))
        interval = float(rng.uniform(15, 45))
        count = int(rng.integers(4, 30)) if subject.limb_index > 8 else 1
        for _ in range(count):
            if at > len(states) * BIN_SECONDS - 30 or not light[int(at / BIN_SECONDS)] or len(spans) >= wanted:
                break
            spans.append(Span("limb_movement", round(at, 2), round(float(np.clip(rng.lognormal(0.5, 0.5), 0.5, 8)), 2)))
            at += float(np.clip(interval * rng.lognormal(0, 0.12), 6, 88))
    spans.sort(key=lambda span: span.onset)
    return [s for i, s in enumerate(spans) if i == 0 or s.onset - spans[i - 1].end > 5.0]
