"""Apneas and hypopneas by rule, from airflow, effort and saturation; no EEG is needed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from core.language.measure_breathing import ENVELOPE_SECONDS, breathing_channel, envelope
from core.language.measure_oxygen import desaturations, oxygen_course
from core.language.settled import ends_in_arousal
from core.psg.preprocess import Trace
from core.psg.runs import runs
from core.psg.scoring import Event

APNEAS = ("obstructive_apnea", "central_apnea", "mixed_apnea")
BASELINE_SECONDS = 120  # before, in which breathing is called usual (AASM: stable breathing of two minutes)
AFTER_SECONDS = 60  # in which breathing has to come back to four fifths of it: a sensor that slipped stays small
COMES_BACK = 0.8
BASELINE_PERCENTILE = 80  # AASM takes the three largest breaths where breathing is not stable
CESSATION = 0.2  # of the baseline: breathing has all but ceased, whatever the saturation does
CESSATION_EDGE = 0.5  # of the baseline, where such an event begins and ends
APNEA = 0.15  # of the baseline: AASM's drop of 90 %, and what heartbeat, noise and a slow sensor add to it
APNEA_SHARE = 30  # per cent of an apnea that has to lie below it
HYPOPNEA = 0.7  # of the baseline: AASM's drop of 30 %
HYPOPNEA_ALONE = 0.5  # where no saturation can confirm it
HYPOPNEA_DEEP = 0.4  # of the baseline: so deep that an arousal nearly always ends it, where no desaturation does
SHORTEST = 10.0  # s (AASM)
LONGEST = 120.0  # s; a longer change of amplitude is a change of sensor or posture
JOINED = 2  # s of recovery that do not end an event
DESATURATION_LAG = 45.0  # s from the end of an event to the onset of the desaturation that it caused
DESATURATION_LEAD = 4.0  # s at least from the onset of an event to that of its desaturation: lung, blood, finger
CONFIRMING_FALL = 2.5  # points that the averaged readings fall where an oximeter falls by AASM's 3
NO_EFFORT = 0.25  # of the effort's baseline
SOME_EFFORT = 0.4  # of the effort's baseline
LEAST_SEEN = 0.5  # of an apnea's seconds that a belt has to show for the apnea to be typed


@dataclass(frozen=True)
class _Course:
    """Breathing against its baseline, second by second."""

    relative: NDArray[np.float64]
    """Shape (seconds,); 1 is usual, NaN unknown."""


@dataclass(frozen=True)
class BreathingEvents:
    """What airflow shows."""

    events: tuple[Event, ...]
    """Apneas, and hypopneas that the saturation (or, without one, their depth) confirms; in order of onset."""
    reductions: tuple[Event, ...]
    """Reductions by 30 % that nothing confirms yet: an arousal at their end makes them hypopneas."""


def respiratory_events(
    traces: Mapping[str, Trace], states: NDArray[np.uint8], arousals: Sequence[Event] = ()
) -> tuple[Event, ...]:
    """Find apneas and hypopneas (AASM manual 2.6, section VIII).

    Airflow, nasal pressure or thermistor in any unit, is followed as the excursion of four seconds against the
    80th percentile of the two minutes before, or less where breathing stays small in the minute after. An apnea falls
    by 90 % for a third of its length, a hypopnea by at least 30 % with a desaturation of 3 % that begins between 4 s
    after its onset and 45 s after its end; both last 10 s or more. A desaturation confirms one event, the last that
    began before it. A fall by 60 % is a hypopnea even without its desaturation. An apnea is central without effort,
    mixed when effort comes back before its end, obstructive otherwise. Without a saturation, a hypopnea has to fall by
    half.
    Arousals, where they are known, confirm a hypopnea as a desaturation does. Wake is not told from sleep here: the
    caller keeps the events of sleep.

    Parameters
    ----------
    traces
        Channel name to trace.
    states
        Shape (epochs, channels), state codes.
    arousals
        Arousals that are known from elsewhere (a scoring, a model); empty for a home test.

    Returns
    -------
    tuple[Event, ...]
        In order of onset, with a confidence: 0.9 for an apnea (0.6 without an effort to type it), 0.8 for a hypopnea
        with its desaturation or arousal, 0.5 for one of 60 % without either, 0.4 for one that only airflow can show;
        none without a usable airflow.
    """
    found = breathing_events(traces, states)
    confirmed = [
        Event("hypopnea", event.onset, event.duration, 0.8)
        for event in found.reductions
        if any(ends_in_arousal(event, arousal) for arousal in arousals)
    ]
    return tuple(sorted((*found.events, *confirmed), key=lambda event: event.onset))


def breathing_events(traces: Mapping[str, Trace], states: NDArray[np.uint8]) -> BreathingEvents:
    """Find apneas, hypopneas and reductions of breathing that only an arousal could make a hypopnea.

    Parameters
    ----------
    traces
        Channel name to trace.
    states
        Shape (epochs, channels), state codes.

    Returns
    -------
    BreathingEvents
        Nothing without a usable airflow.
    """
    n_epochs = len(states)
    airflow = _course(traces, states, "AF")
    if airflow is None:
        return BreathingEvents((), ())
    efforts = _efforts(traces, states)
    saturation = oxygen_course(traces, states, n_epochs)
    cessations = _spans(airflow.relative, CESSATION, CESSATION_EDGE)
    shallow = [
        (start, end)
        for start, end in _spans(airflow.relative, HYPOPNEA, HYPOPNEA)
        if not any(start < other_end and end > other_start for other_start, other_end in cessations)
    ]
    linked = _confirmed([*cessations, *shallow], desaturations(saturation, CONFIRMING_FALL))
    events, reductions = [], []
    for start, end in cessations:
        if np.percentile(_inner(airflow, start, end), APNEA_SHARE) <= APNEA:
            events.append(_apnea(start, end, efforts))
        else:
            events.append(Event("hypopnea", start, end - start, 0.8 if (start, end) in linked else 0.5))
    for start, end in shallow:
        known = np.isfinite(saturation[int(start) : int(end + DESATURATION_LAG)]).mean() > 0.5
        depth = float(np.median(_inner(airflow, start, end)))
        if (start, end) in linked:
            events.append(Event("hypopnea", start, end - start, 0.8))
        elif depth <= (HYPOPNEA_DEEP if known else HYPOPNEA_ALONE):
            events.append(Event("hypopnea", start, end - start, 0.5 if known else 0.4))
        else:
            reductions.append(Event("hypopnea", start, end - start, 0.2))
    return BreathingEvents(tuple(sorted(events, key=lambda event: event.onset)), tuple(reductions))


def _confirmed(spans: Sequence[tuple[float, float]], falls: Sequence[Event]) -> set[tuple[float, float]]:
    """Give the spans that a desaturation confirms: each confirms the last span that began before it."""
    confirmed = set()
    for fall in falls:
        causes = [
            (start, end) for start, end in spans if start + DESATURATION_LEAD <= fall.onset <= end + DESATURATION_LAG
        ]
        if causes:
            confirmed.add(max(causes))
    return confirmed


def _inner(course: _Course, start: float, end: float) -> NDArray[np.float64]:
    """The seconds of an event that the envelope's reach does not mix with the breaths around it."""
    inside = course.relative[int(start) + 2 : max(int(end) - 2, int(start) + 3)]
    return np.nan_to_num(inside, nan=1.0)


def _course(traces: Mapping[str, Trace], states: NDArray[np.uint8], name: str) -> _Course | None:
    channel = breathing_channel(traces, states, name, len(states))
    if channel is None:
        return None
    size = envelope(channel)
    rows = np.flatnonzero(np.isfinite(size))
    if len(rows) < BASELINE_SECONDS:
        return None
    usual = ndimage.percentile_filter(
        size[rows], BASELINE_PERCENTILE, size=BASELINE_SECONDS, origin=BASELINE_SECONDS // 2 - 1, mode="nearest"
    )
    after = ndimage.percentile_filter(
        size[rows], BASELINE_PERCENTILE, size=AFTER_SECONDS, origin=1 - AFTER_SECONDS // 2, mode="nearest"
    )
    usual = np.minimum(usual, after / COMES_BACK)
    floor = 0.1 * np.median(usual)  # a long silence must not become the measure of all breathing
    relative = np.full(len(size), np.nan)
    relative[rows] = size[rows] / np.maximum(usual, max(floor, 1e-12))
    return _Course(relative)


def _spans(relative: NDArray[np.float64], depth: float, edge: float) -> list[tuple[float, float]]:
    """Find stretches of 10 to 120 s below ``edge`` with 10 s below ``depth``, the envelope's reach given back.

    A stretch whose begin or end is not seen, at the border of the recording or of a gap, is none.
    """
    reach = ENVELOPE_SECONDS / 2
    low = np.nan_to_num(relative, nan=1.0) < edge
    low = ndimage.binary_closing(low, iterations=JOINED) | low
    deep = np.nan_to_num(relative, nan=1.0) < depth
    spans = []
    for start, end in runs(low):
        begin, finish = max(start - reach, 0.0), min(end + reach, float(len(relative)))
        if start < ENVELOPE_SECONDS or not np.isfinite(relative[max(start - 2, 0) : end + ENVELOPE_SECONDS]).all():
            continue
        if end + ENVELOPE_SECONDS > len(relative):
            continue
        if SHORTEST <= finish - begin <= LONGEST and deep[start:end].sum() + 2 * reach >= SHORTEST:
            spans.append((float(begin), float(finish)))
    return spans


def typed_by_effort(
    events: Sequence[Event], traces: Mapping[str, Trace], states: NDArray[np.uint8]
) -> tuple[Event, ...]:
    """Type apneas that something else found by the measured effort: the AASM manual (VIII.F) defines the types by it.

    Parameters
    ----------
    events
        Events of any type; other than apneas stay as they are.
    traces
        Channel name to trace.
    states
        Shape (epochs, channels), state codes.

    Returns
    -------
    tuple[Event, ...]
        In the same order, with their onsets, durations and confidences; an apnea of which no belt shows half keeps its
        type.
    """
    efforts = _efforts(traces, states)
    typed = []
    for event in events:
        kind = _type_by_effort(event.onset, event.onset + event.duration, efforts) if event.type in APNEAS else None
        typed.append(event if kind is None else replace(event, type=kind))
    return tuple(typed)


def _efforts(traces: Mapping[str, Trace], states: NDArray[np.uint8]) -> list[_Course]:
    return [course for name in ("THX", "ABD") if (course := _course(traces, states, name)) is not None]


def _apnea(start: float, end: float, efforts: Sequence[_Course]) -> Event:
    """An apnea with its type; obstructive and less sure where no belt shows it."""
    kind = _type_by_effort(start, end, efforts)
    return Event(kind or "obstructive_apnea", start, end - start, 0.9 if kind else 0.6)


def _type_by_effort(start: float, end: float, efforts: Sequence[_Course]) -> str | None:
    """Type an apnea by the effort in its first and second half: absent, late, or there from the start."""
    inner = slice(int(start + 2), max(int(end - 2), int(start + 2) + 2))
    belts = np.array([course.relative[inner] for course in efforts])
    seen = np.isfinite(belts).any(axis=0) if efforts else np.zeros(1, dtype=bool)
    if seen.mean() < LEAST_SEEN:
        return None
    effort = np.nanmax(belts[:, seen], axis=0)
    first, second = np.array_split(effort, 2)
    if np.median(effort) < NO_EFFORT and np.median(second) < SOME_EFFORT:
        return "central_apnea"
    if first.min() < NO_EFFORT:  # four seconds without effort on either belt: an obstructed sleeper would not wait
        return "mixed_apnea"
    return "obstructive_apnea"
