"""Events that the model wrote epoch by epoch, made into events of the night."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.psg.preprocess import EPOCH_SECONDS
from core.psg.scoring import Event
from core.psg.store import PreparedStudy

BREATHING = ("ABD", "THX", "AF")
EEG = ("EEG_C3", "EEG_C4")

NEEDED_CHANNELS: Mapping[str, tuple[str, ...]] = {
    "obstructive_apnea": BREATHING,
    "central_apnea": BREATHING,
    "mixed_apnea": BREATHING,
    "hypopnea": BREATHING,
    "rera": BREATHING,
    "arousal": EEG,
    "limb_movement": ("EMG_CHIN",),
}
"""One of these channels must be usable where an event is; a desaturation is measured, never decoded."""

SHORTEST: Mapping[str, float] = {
    "obstructive_apnea": 10.0,
    "central_apnea": 10.0,
    "mixed_apnea": 10.0,
    "hypopnea": 10.0,
    "rera": 10.0,
    "arousal": 3.0,
    "limb_movement": 0.5,
}
"""Least duration in seconds, from the AASM manual for the scoring of sleep."""

TOLERANCE = 0.5  # seconds: the resolution of the time tokens


@dataclass(frozen=True)
class DraftEvent:
    """An event as it was read in one epoch's text."""

    epoch: int
    """Epoch that it was read in."""
    type: str
    """One of `core.psg.scoring.EVENT_TYPES`."""
    onset: float
    """Seconds from the epoch's start."""
    duration: float
    """Seconds, inside the epoch."""
    confidence: float
    """Mean token probability of its sentence."""


def seen(study: PreparedStudy, channels: tuple[str, ...]) -> NDArray[np.bool_]:
    """Tell for each epoch, [N], whether a model may see one of the channels."""
    return np.asarray((study.present(channels) > 0).any(axis=1), bool)


def events_by_epoch(events: Sequence[Event], count: int) -> list[list[Event]]:
    """Give the events that overlap each of `count` epochs, in their order."""
    found: list[list[Event]] = [[] for _ in range(count)]
    for event in events:
        end = event.onset + event.duration
        first, last = (int(when // EPOCH_SECONDS) for when in (event.onset, end))
        for epoch in range(max(first, 0), min(last + 1, count)):
            if event.onset < (epoch + 1) * EPOCH_SECONDS and end > epoch * EPOCH_SECONDS:
                found[epoch].append(event)
    return found


def merge_drafts(drafts: Iterable[DraftEvent], visible: Mapping[str, NDArray[np.bool_]]) -> tuple[Event, ...]:
    """Join what continues across epoch borders and drop what cannot be.

    Parameters
    ----------
    drafts
        Events by epoch.
    visible
        For each event type [N], whether a channel that shows it is usable in the epoch.

    Returns
    -------
    tuple
        Events of the night by onset, in seconds of the recording, 0.1-s resolution, none shorter than
        its type's rule allows. Confidence is the duration-weighted mean of the parts.
    """
    seen = [draft for draft in drafts if draft.type in visible and visible[draft.type][draft.epoch]]
    events: list[Event] = []
    for kind in sorted({draft.type for draft in seen}):
        parts = sorted(
            (_absolute(draft) for draft in seen if draft.type == kind), key=lambda part: (part.onset, part.duration)
        )
        events.extend(event for event in _joined(parts) if event.duration >= SHORTEST[kind] - TOLERANCE)
    return tuple(sorted(events, key=lambda event: (event.onset, event.type)))


def _absolute(draft: DraftEvent) -> Event:
    onset = draft.epoch * EPOCH_SECONDS + min(max(draft.onset, 0.0), EPOCH_SECONDS)
    longest = (draft.epoch + 1) * EPOCH_SECONDS - onset
    return Event(draft.type, onset, min(max(draft.duration, 0.0), longest), draft.confidence)


def _joined(parts: list[Event]) -> list[Event]:
    """Join parts of one type that overlap or meet at an epoch's border."""
    groups: list[list[Event]] = []
    reach = -1.0
    for part in parts:
        border = round(part.onset / EPOCH_SECONDS) * EPOCH_SECONDS
        meets = abs(reach - border) <= TOLERANCE / 2 and abs(part.onset - border) <= TOLERANCE / 2
        if groups and (part.onset < reach or meets):
            groups[-1].append(part)
        else:
            groups.append([part])
        reach = max(reach, part.onset + part.duration)
    return [_union(group) for group in groups]


def _union(group: list[Event]) -> Event:
    onset = round(group[0].onset, 1)
    end = round(max(part.onset + part.duration for part in group), 1)
    weights = [max(part.duration, 0.1) for part in group]
    mean = sum(weight * (part.confidence or 0.0) for weight, part in zip(weights, group, strict=True)) / sum(weights)
    return Event(group[0].type, onset, round(end - onset, 1), round(mean, 3))
