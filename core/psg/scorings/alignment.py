"""Stages of a scoring on the 30-s epochs of a recording: by clock, or refused with the two lengths."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from core.errors import StudyError
from core.psg.scorings.terms import EPOCH_SECONDS, STAGES, UNSCORED, Event, Score, StageRow

ANONYMOUS_START = datetime(1985, 1, 1)
"""EDF+'s start of an anonymous recording: no clock."""
HALF_DAY = timedelta(hours=12)
SLACK_EPOCHS = 2
"""Epochs by which a scoring's length may differ from the recording's without a clock to tell why."""
MAX_CONFLICT = 1.0
"""Seconds of contradicting stages that are taken for rounding."""
MAX_SECONDS = 31 * 86400.0
"""Seconds; times beyond are damage."""
NAMES = (*STAGES, UNSCORED)


@dataclass(frozen=True)
class AlignedScore:
    """A scoring in seconds of the recording."""

    stages: tuple[str, ...]
    """One stage an epoch."""
    events: tuple[Event, ...]
    """Events that touch the epochs."""
    lights_off: float | None
    """Seconds from the recording's start."""
    lights_on: float | None
    """Seconds from the recording's start."""


def align(score: Score, start: datetime | None, n_epochs: int | None, name: str) -> AlignedScore:
    """Place a scoring on the epochs of a recording.

    Each epoch takes the stage that covers most of it, the earlier of two equal ones; `?` where most of it
    is unscored. So scorings in 20-s epochs or with a start between two epochs are placed by their clock.

    Parameters
    ----------
    score
        As read from its file.
    start
        Clock time of the recording's start; None where unknown.
    n_epochs
        Epochs of the recording; None takes as many as the scoring has.
    name
        The scoring's file name, for messages.

    Raises
    ------
    StudyError
        Two rows contradict each other, or the lengths cannot belong together.
    """
    shift = _shift(score.start, start)
    rows = _timed(score, n_epochs, name)
    rows = [replace(row, onset=row.onset + (shift or 0.0)) for row in rows]
    times = [t for row in rows for t in (row.onset, row.duration)]
    times += [t for event in score.events for t in (event.onset, event.duration)]
    backward = any(event.duration < 0 for event in score.events)
    if backward or not all(math.isfinite(t) and abs(t) < MAX_SECONDS for t in times):
        raise StudyError(f"{name} holds times that no recording has.", "Export the scoring again.")
    _refuse_conflicts(rows, name)
    scored_end = max((row.onset + row.duration for row in rows if row.stage != UNSCORED), default=0.0)
    if n_epochs is None:
        n_epochs = math.ceil(max((r.onset + r.duration for r in rows), default=0.0) / EPOCH_SECONDS - 1e-6)
        n_epochs = max(n_epochs, 0)
    elif rows:
        _refuse_lengths(rows, scored_end, shift, n_epochs, name)
    moved = (replace(event, onset=event.onset + (shift or 0.0)) for event in score.events)
    end = n_epochs * EPOCH_SECONDS if rows else math.inf
    events = sorted((e for e in moved if e.onset + e.duration >= 0 and e.onset < end), key=_event_order)
    off, on = (None if t is None else t + (shift or 0.0) for t in (score.lights_off, score.lights_on))
    return AlignedScore(_majority(rows, n_epochs), tuple(events), off, on)


def _event_order(event: Event) -> tuple[float, float, str]:
    return event.onset, event.duration, event.type


def _shift(scored: datetime | None, recorded: datetime | None) -> float | None:
    """Return the scoring's start in seconds of the recording; None where either has no clock.

    Dates more than half a day apart were changed (de-identified): then the time of day decides.
    """
    if scored is None or recorded is None or scored == ANONYMOUS_START or recorded == ANONYMOUS_START:
        return None
    difference = scored.replace(tzinfo=None) - recorded.replace(tzinfo=None)
    if abs(difference) > HALF_DAY:
        difference = (difference + HALF_DAY) % timedelta(days=1) - HALF_DAY
    return difference.total_seconds()


def _timed(score: Score, n_epochs: int | None, name: str) -> list[StageRow]:
    """Give every row its onset and duration."""
    if score.has_onsets:
        ordered = sorted(score.rows, key=lambda row: row.onset)
        ends = [row.onset for row in ordered[1:]] + [ordered[-1].onset + EPOCH_SECONDS] if ordered else []
        return [
            row if row.duration > 0 else replace(row, duration=max(end - row.onset, 0.0))
            for row, end in zip(ordered, ends, strict=True)
        ]
    count = len(score.rows)
    length = score.epoch_seconds
    if length is None:
        length = EPOCH_SECONDS
        if n_epochs is not None and abs(count - n_epochs) > SLACK_EPOCHS:
            fits = abs(count * 20.0 - n_epochs * EPOCH_SECONDS) <= EPOCH_SECONDS
            length = 20.0 if fits else EPOCH_SECONDS
    if not 0 < length < MAX_SECONDS:
        raise StudyError(f"{name} states an epoch length of {length:g} s.", "Export the scoring again.")
    if n_epochs is not None and count * length < (n_epochs - SLACK_EPOCHS) * EPOCH_SECONDS:
        raise _lengths(name, count * length, n_epochs)
    return [replace(row, onset=i * length, duration=length) for i, row in enumerate(score.rows)]


def _lengths(name: str, seconds: float, n_epochs: int) -> StudyError:
    return StudyError(
        f"{name} scores {seconds / 60:.1f} min, the recording has {n_epochs * EPOCH_SECONDS / 60:.1f} min.",
        "Name the scoring of this recording, or one that states onsets.",
    )


def _refuse_lengths(rows: Sequence[StageRow], scored_end: float, shift: float | None, n_epochs: int, name: str) -> None:
    """Refuse a scoring that outlasts the recording without a clock, or that does not touch it."""
    end = n_epochs * EPOCH_SECONDS
    if shift is None and scored_end > end + SLACK_EPOCHS * EPOCH_SECONDS:
        raise _lengths(name, scored_end, n_epochs)
    scored = [row for row in rows if row.stage != UNSCORED]
    if scored and not any(row.onset < end and row.onset + row.duration > 0 for row in scored):
        raise StudyError(
            f"{name} scores from {scored[0].onset / 60:.1f} to {scored_end / 60:.1f} min by the clock, "
            f"the recording lasts from 0 to {end / 60:.1f} min.",
            "Name the scoring of this recording.",
        )


def _refuse_conflicts(rows: Sequence[StageRow], name: str) -> None:
    """Refuse rows, sorted by onset, that score the same time differently."""
    conflict, end, stage = 0.0, -math.inf, UNSCORED
    for row in (row for row in rows if row.stage != UNSCORED):
        if row.stage != stage:
            conflict += max(0.0, min(end, row.onset + row.duration) - row.onset)
        if conflict > MAX_CONFLICT:
            raise StudyError(
                f"{name} has rows that overlap and contradict each other from {row.onset:g} s on.",
                "Export the scoring again, one row an epoch.",
            )
        if row.onset + row.duration > end:
            end, stage = row.onset + row.duration, row.stage


def _majority(rows: Sequence[StageRow], n_epochs: int) -> tuple[str, ...]:
    """Return the stage that covers most of each epoch."""
    cover: NDArray[np.float64] = np.zeros((n_epochs, len(NAMES)))  # (epoch, stage), seconds
    for row in rows:
        column = NAMES.index(row.stage)
        first = max(0, math.floor(row.onset / EPOCH_SECONDS))
        stop = min(n_epochs, math.ceil((row.onset + row.duration) / EPOCH_SECONDS))
        begins = np.arange(first, stop) * EPOCH_SECONDS
        inside = np.minimum(begins + EPOCH_SECONDS, row.onset + row.duration) - np.maximum(begins, row.onset)
        cover[first : max(first, stop), column] += np.maximum(inside, 0.0)
    scored = cover[:, : len(STAGES)].sum(axis=1)
    cover[:, -1] = np.maximum(EPOCH_SECONDS - scored, 0.0)
    best = np.argmax(np.round(cover, 3), axis=1)
    best[scored < EPOCH_SECONDS / 2 - 1e-3] = len(STAGES)
    return tuple(NAMES[i] for i in best)
