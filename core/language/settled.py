"""Whose events stand: those that somebody scored, those that a model wrote, those that were measured by rule."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from core.psg.preprocess import EPOCH_SECONDS
from core.psg.scoring import EVENT_TYPES, Event

if TYPE_CHECKING:  # the measuring code brings scipy and the heartbeat detector
    from core.language.measure import EpochMeasurements

RESPIRATORY = ("obstructive_apnea", "central_apnea", "mixed_apnea", "hypopnea")
"""Events of breathing that rules can measure as well."""

SCORING, MODEL, RULE = "scoring", "model", "measurements"
"""Who looked for an event."""

AROUSAL_LAG = 5.0  # s between the end of a reduction of breathing and the onset of the arousal that ends it
CONFIRMED = 0.6  # confidence of a hypopnea that a model's arousal confirms, at most


@dataclass(frozen=True)
class Settled:
    """The events of a night."""

    events: tuple[Event, ...]
    """By onset, in seconds of the recording."""
    found_by: Mapping[str, str] = field(default_factory=dict)
    """`scoring`, `model` or `measurements` by event type, for each type that was looked for, found or not."""


def settle_events(
    scored: Sequence[Event],
    written: Sequence[Event],
    measurements: "EpochMeasurements",
    stages: Sequence[str],
    model_sees: Collection[str] = (),
    trusted: Collection[str] = (),
) -> Settled:
    """Put together what was scored, written and measured.

    Where somebody scored events, theirs alone stand, with the measured desaturations where they scored none. Where
    nobody did, breathing that a rule has followed replaces the breathing events that a model wrote, in sleep alone (or
    wherever no stage is known), and a reduction of breathing that ends in a written arousal is a hypopnea (AASM 1A):
    unless the model is trusted with breathing, whose events then replace the rule's.

    Parameters
    ----------
    scored, written
        Events of a scoring and of a model.
    measurements
        The study's measurements, with the events that were measured by rule.
    stages
        One an epoch, `?` where not known.
    model_sees
        Event types that the model can see in this study.
    trusted
        Event types of which the model's go before the rules'.
    """
    told = [event for event in measurements.events if event.type not in trusted]
    beside = measured_beside(scored, told, stages)
    followed = tuple(kind for kind in _followed(measurements) if kind not in trusted)
    if scored:
        found_by = dict.fromkeys(EVENT_TYPES, SCORING)
        if "desaturation" in followed and not _has(scored, ("desaturation",)):
            found_by["desaturation"] = RULE
        return Settled(_ordered([*scored, *beside]), found_by)
    kept = [event for event in written if event.type not in followed and not _breathing_awake(event, stages)]
    if "hypopnea" in followed:
        beside += _confirmed(measurements.reductions, written, beside, stages)
    found_by = dict.fromkeys(model_sees, MODEL) | dict.fromkeys(followed, RULE)
    return Settled(_ordered([*kept, *beside]), found_by)


def measured_beside(scored: Sequence[Event], measured: Iterable[Event], stages: Sequence[str]) -> list[Event]:
    """The measured events that stand: all outside wake, or where events are scored the desaturations that lack."""
    if scored:
        lacking = not _has(scored, ("desaturation",))
        return [event for event in measured if lacking and event.type == "desaturation"]
    return [event for event in measured if event.type == "desaturation" or not _awake(event, stages)]


def ends_in_arousal(event: Event, arousal: Event) -> bool:
    """Whether an arousal begins within 5 s of the end of a breathing event, and so confirms a hypopnea (AASM 1A)."""
    return abs(arousal.onset - event.onset - event.duration) <= AROUSAL_LAG


def _followed(measurements: "EpochMeasurements") -> tuple[str, ...]:
    """The event types that the rules have looked for: those that a signal of this study shows."""
    airflow, saturation = (measurements.values.get(name) for name in ("airflow_amplitude", "spo2_mean"))
    kinds: tuple[str, ...] = RESPIRATORY if airflow is not None and bool(np.isfinite(airflow).any()) else ()
    if saturation is not None and bool(np.isfinite(saturation).any()):
        kinds = (*kinds, "desaturation")
    return (*kinds, "limb_movement") if measurements.legs is not None and bool(measurements.legs.any()) else kinds


def _confirmed(
    reductions: Iterable[Event], written: Iterable[Event], standing: Sequence[Event], stages: Sequence[str]
) -> list[Event]:
    arousals = [event for event in written if event.type == "arousal"]
    taken = [event for event in standing if event.type in RESPIRATORY]
    found = []
    for event in reductions:
        end = event.onset + event.duration
        sure = [1.0 if a.confidence is None else a.confidence for a in arousals if ends_in_arousal(event, a)]
        free = not any(event.onset < other.onset + other.duration and end > other.onset for other in taken)
        if sure and free and not _awake(event, stages):
            found.append(Event("hypopnea", event.onset, event.duration, round(CONFIRMED * max(sure), 3)))
    return found


def _has(events: Iterable[Event], kinds: Collection[str]) -> bool:
    return any(event.type in kinds for event in events)


def _breathing_awake(event: Event, stages: Sequence[str]) -> bool:
    return event.type in RESPIRATORY and _awake(event, stages)


def _awake(event: Event, stages: Sequence[str]) -> bool:
    """Whether every epoch that the event overlaps is wake."""
    first = int(event.onset // EPOCH_SECONDS)
    last = int((event.onset + event.duration) // EPOCH_SECONDS)
    touched = stages[first : last + 1]
    return bool(touched) and all(stage == "W" for stage in touched)


def _ordered(events: Iterable[Event]) -> tuple[Event, ...]:
    return tuple(sorted(events, key=lambda event: (event.onset, event.type)))
