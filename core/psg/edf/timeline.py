"""Where each data record lies on the clock: contiguous in EDF and EDF+C, by its own time in EDF+D."""

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from core.errors import StudyError
from core.psg.edf.annotations import record_onsets
from core.psg.edf.header import MAX_DURATION, EdfHeader

TOLERANCE = 0.05
"""Seconds between a record's stated and its expected time that are taken for rounding, not for a gap."""
MAX_TIMELINE_SAMPLES = 64_000_000
"""Samples of one signal, gaps included, beyond which gaps may not outweigh the recorded samples by far."""


@dataclass(frozen=True)
class Segment:
    """Records that follow one another without a gap."""

    first: int
    """The first record."""
    count: int
    """Records in the segment."""
    onset: float
    """Seconds from the recording's start."""


@dataclass(frozen=True)
class Timeline:
    """The records of a file on the clock."""

    offset: float
    """Seconds from the header's start to the first record (EDF+ 2.2.4: the fraction of a second)."""
    duration: float
    """Seconds from the first record's start to the last one's end, gaps included."""
    segments: tuple[Segment, ...]
    """In order of time, not overlapping."""
    repairs: tuple[str, ...]
    """What was repaired."""

    record_duration: float
    """Seconds of one record."""

    @property
    def gaps(self) -> tuple[tuple[float, float], ...]:
        """Onset and duration of each gap, in seconds from the recording's start."""
        pairs = pairwise(self.segments)
        ends = ((before.onset + before.count * self.record_duration, after.onset) for before, after in pairs)
        return tuple((end, onset - end) for end, onset in ends)


def build_timeline(header: EdfHeader, data: NDArray[np.uint8], name: str) -> Timeline:
    """Place a file's records on the clock.

    EDF+C and BDF+C files whose last record's time contradicts continuity are placed like EDF+D.

    Raises
    ------
    StudyError
        Times of records lie so far apart that the file is damaged.
    """
    record = header.record_duration
    contiguous = header.n_records * record
    whole = (Segment(0, header.n_records, 0.0),)
    last = header.n_records - 1
    ends = record_onsets(header, data, slice(0, None, max(last, 1)))
    offset, repairs = _offset(ends[0])
    if "+" not in header.format or not header.max_samples:
        return Timeline(offset, contiguous, whole, repairs, record)
    if header.format.endswith("+C"):
        drift = abs(ends[-1] - offset - last * record)
        if not drift > max(TOLERANCE, 1e-5 * contiguous):
            return Timeline(offset, contiguous, whole, repairs, record)
        repairs += ("The file is marked continuous, but its records' times are not; the times were used.",)
    onsets, ignored = _credible(record_onsets(header, data, slice(None)))
    if ignored:
        repairs += (f"The times of {ignored} data records are missing or run backwards; they follow the one before.",)
    first, segments, early = _segments(onsets, record)
    if early:
        repairs += (f"The times of {early} data records lie inside the record before; they follow its end.",)
    duration = segments[-1].onset + segments[-1].count * record
    samples = duration / record * header.max_samples
    recorded = header.n_records * header.max_samples
    if duration > MAX_DURATION or samples > max(MAX_TIMELINE_SAMPLES, 4 * recorded):
        raise StudyError(f"{name} has data records {duration / 3600:.0f} hours apart; the file is damaged.")
    offset, _ = _offset(first)
    return Timeline(offset, duration, tuple(segments), repairs, record)


def _offset(onset: float) -> tuple[float, tuple[str, ...]]:
    """Return the first record's time if it can be one, else 0 and a repair."""
    if np.isnan(onset):
        return 0.0, ()
    if abs(onset) > MAX_DURATION:
        return 0.0, ("The first data record's time is out of range; the header's start was used.",)
    return float(onset), ()


def _credible(onsets: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
    """Keep the longest run of times that never decreases; the others become NaN and are counted."""
    finite = np.flatnonzero(np.isfinite(onsets))
    if finite.size == onsets.size and not (np.diff(onsets) < 0).any():
        return onsets, 0
    tails: list[float] = []
    holders: list[int] = []
    before = np.full(onsets.size, -1)
    for index in finite.tolist():
        value = float(onsets[index])
        place = bisect_right(tails, value)
        before[index] = holders[place - 1] if place else -1
        tails[place : place + 1] = [value]
        holders[place : place + 1] = [index]
    kept = np.full(onsets.size, np.nan)
    index = holders[-1] if holders else -1
    while index >= 0:
        kept[index] = onsets[index]
        index = int(before[index])
    return kept, int(np.isnan(kept).sum())


def _segments(onsets: NDArray[np.float64], record: float) -> tuple[float, list[Segment], int]:
    """Group records; a record without a time, or with one before the end of the last, follows it.

    Returns
    -------
    tuple of float, list of Segment, and int
        The first record's time, the segments, and how many records had a time before the end of the last.
    """
    known = np.flatnonzero(np.isfinite(onsets))
    offset = float(onsets[known[0]] - known[0] * record) if known.size else 0.0
    segments: list[Segment] = []
    first, begin, early = 0, 0.0, 0
    for index in range(1, onsets.size):
        expected = begin + (index - first) * record
        onset = float(onsets[index]) - offset
        if onset > expected + TOLERANCE:
            segments.append(Segment(first, index - first, begin))
            first, begin = index, onset
        early += onset < expected - TOLERANCE
    return offset, [*segments, Segment(first, onsets.size - first, begin)], early
