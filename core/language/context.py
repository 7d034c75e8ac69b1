"""What a network is shown of an epoch beside its signals: measured values, and the course of events and trends."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.language.facts import EPOCH_SECONDS, TIME_STEP, EpochFacts
from core.psg.scoring import EVENT_TYPES

DIRECTIONS = ("increasing", "decreasing", "stable")
"""Of a trend."""
TREND_COURSES = tuple(f"{quantity}_{way}" for quantity in ("heart_rate", "spo2") for way in DIRECTIONS)
COURSES = (*EVENT_TYPES, *TREND_COURSES)
"""What has a course inside an epoch: each event type, and each way that heart rate and saturation may go."""
COURSE_STEPS = int(EPOCH_SECONDS / TIME_STEP)
"""Steps of a course: one for each time token but the last."""


@dataclass(frozen=True)
class Context:
    """What is shown of n epochs."""

    values: NDArray[np.float32]
    """[n, K] in the units of `MEASUREMENTS`, NaN where nothing reliable was measured."""
    courses: NDArray[np.float32]
    """[n, E, 60] the share of each half second that an event or trend fills."""


def no_context(count: int, values: int, courses: int) -> Context:
    """Give the context of epochs of which nothing is known beside their signals."""
    return Context(np.full((count, values), np.nan, np.float32), np.zeros((count, courses, COURSE_STEPS), np.float32))


def context_of(facts: Sequence[EpochFacts], measured: Sequence[str], courses: Sequence[str]) -> Context:
    """Gather what a network is shown of some epochs.

    Parameters
    ----------
    facts
        What is known of each epoch, n of them.
    measured
        K names of `MEASUREMENTS`.
    courses
        E names of `COURSES`.
    """
    shown = no_context(len(facts), len(measured), len(courses))
    place = {name: index for index, name in enumerate(courses)}
    spans: list[tuple[int, int, float, float]] = []  # row, course, seconds
    for row, known in enumerate(facts):
        shown.values[row] = [known.values.get(name, np.nan) for name in measured]
        told = [(event.type, event.onset, event.onset + event.duration) for event in known.events]
        told += [(f"{trend.quantity}_{trend.direction}", trend.start, trend.end) for trend in known.trends]
        spans += [(row, place[name], start, end) for name, start, end in told if name in place]
    if spans:
        rows, columns, starts, ends = (np.array(each) for each in zip(*spans, strict=True))
        np.maximum.at(shown.courses, (rows, columns), covered(starts[:, None], ends[:, None]))
    return shown


def covered(start: ArrayLike, end: ArrayLike) -> NDArray[np.float32]:
    """Give the share of each half second of an epoch, [..., 60], that lies between two times in seconds, [..., 1]."""
    edges = np.arange(COURSE_STEPS + 1) * TIME_STEP
    inside = np.minimum(edges[1:], end) - np.maximum(edges[:-1], start)
    return np.asarray(np.clip(inside / TIME_STEP, 0.0, 1.0), np.float32)
