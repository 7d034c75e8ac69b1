"""What the oximeter shows: saturation and desaturations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isnan

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from core.language.epochs import LEAST_VALID, usable_epochs
from core.language.trends import Trend, trends
from core.psg.preprocess import EPOCH_SECONDS, Trace
from core.psg.scoring import Event

POSSIBLE = (40.0, 100.5)  # %; outside, the oximeter says that it has no reading
LONGEST_SLIP = 60  # s of reading after a leap down that a return declares wrong
FASTEST = 4.0  # points a second; blood cannot change faster (Magalang et al. 2003), a slipping probe can
BASELINE_SECONDS = 120  # before the fall, in which the baseline is looked for (AASM: pre-event baseline)
LONGEST = 180  # s; a slower change is a new baseline, not a desaturation
LONGEST_PLATEAU = 60  # s at the nadir
SHORTEST = 3  # s
SMOOTHING = 7  # s
AT_BASELINE = 0.5  # points below the height that still count as the height
TURN = 2.0  # points of rise that end the search for the nadir
TREND_CHANGE = 2.0  # points
TREND_NOISE = 0.5  # points: the oximeter's own step is one
WHOLE = 0.05  # points from a whole per cent that the file's scaling may add to a whole reading
LEAST_WHOLE = 0.99  # of the readings have to be whole for the oximeter to be one of whole per cents


@dataclass(frozen=True)
class OxygenMeasurements:
    """Saturation by epoch, and the desaturations."""

    values: dict[str, NDArray[np.float64]]
    """``spo2_min``, ``spo2_mean`` and ``spo2_max`` in %, each (epochs,)."""
    trends: list[tuple[Trend, ...]]
    """One tuple an epoch."""
    events: tuple[Event, ...]
    """Desaturations of at least 3 points."""
    depths: tuple[float, ...]
    """Points from baseline to nadir, one an event."""
    below_90: NDArray[np.float64]
    """Shape (epochs,), seconds below 90 %; NaN where the saturation is not measured."""


def oxygen_course(traces: Mapping[str, Trace], states: NDArray[np.uint8], n_epochs: int) -> NDArray[np.float64]:
    """Bring the saturation to one believable value a second.

    Parameters
    ----------
    traces
        Channel name to trace; SPO2 in %.
    states
        Shape (epochs, channels), state codes.
    n_epochs
        Number of epochs.

    Returns
    -------
    NDArray[np.float64]
        Shape (epochs × 30,), %, the mean of the second; NaN without a reading, outside 40 to 100 %, in epochs whose
        state forbids measuring, within 2 s of a change of more than 4 points a second, and from such a fall to the
        return within a minute.
    """
    size = n_epochs * EPOCH_SECONDS
    course = np.full(size, np.nan)
    trace = traces.get("SPO2")
    if trace is None:
        return course
    samples = np.asarray(trace.samples, dtype=np.float64)
    possible = (samples >= POSSIBLE[0]) & (samples <= POSSIBLE[1])
    if trace.rate < 1:
        places = np.floor(np.arange(size) * trace.rate).astype(np.int64)
        inside = places < len(samples)
        course[inside] = np.where(possible, samples, np.nan)[places[inside]]
    else:
        rows = np.floor(np.arange(len(samples)) / trace.rate + 1e-9).astype(np.int64)
        kept = possible & (rows < size)
        counts = np.bincount(rows[kept], minlength=size)
        sums = np.bincount(rows[kept], weights=samples[kept], minlength=size)
        course = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    course[~np.repeat(usable_epochs(states, "SPO2", n_epochs), EPOCH_SECONDS)] = np.nan
    return np.asarray(np.minimum(_without_leaps(course), 100.0), dtype=np.float64)


def desaturations(course: NDArray[np.float64], drop: float = 3.0) -> tuple[Event, ...]:
    """Find the desaturations of a saturation course.

    AASM manual 2.6, section VIII: a fall of at least 3 % from the pre-event baseline. The baseline is the highest
    reading of the two minutes before the fall and since the last event; the event runs from the last second at that
    height to the first second that has regained two thirds of the fall, or to the top of the recovery when another fall
    of that size comes first. Readings are averaged over seven seconds first: a digit that flickers at the edge of the
    oximeter's step is no fall.

    Parameters
    ----------
    course
        Shape (seconds,), %; NaN where there is no reading.
    drop
        Points that the saturation has to fall.

    Returns
    -------
    tuple[Event, ...]
        Type ``desaturation``, in order of time.
    """
    course = smoothed(course)
    events: list[Event] = []
    start, told = 0, course.tolist()  # one by one, Python's own numbers are faster
    while (found := _next_fall(course, told, start, drop)) is not None:
        onset, nadir = found
        end = _recovery(course, onset, nadir, drop)
        if end - onset >= SHORTEST:
            events.append(Event("desaturation", float(onset), float(end - onset)))
        start = max(end, nadir + 1)
    return tuple(events)


def measure_oxygen(traces: Mapping[str, Trace], states: NDArray[np.uint8], n_epochs: int) -> OxygenMeasurements:
    """Measure the saturation of every epoch and find the desaturations of 3 %.

    Parameters
    ----------
    traces
        Channel name to trace.
    states
        Shape (epochs, channels), state codes.
    n_epochs
        Number of epochs.

    Returns
    -------
    OxygenMeasurements
        NaN where less than half of the epoch has a believable reading. The extremes of an oximeter that reads whole per
        cents are whole, rounded outwards where a second holds two readings.
    """
    course = oxygen_course(traces, states, n_epochs)
    seconds = course.reshape(n_epochs, EPOCH_SECONDS)
    read = np.isfinite(seconds)
    enough = read.mean(axis=1) >= LEAST_VALID
    lowest, highest = np.min(np.where(read, seconds, np.inf), axis=1), np.max(np.where(read, seconds, -np.inf), axis=1)
    if reads_whole(traces.get("SPO2")):
        lowest, highest = np.floor(lowest + WHOLE), np.ceil(highest - WHOLE)
    values = {
        "spo2_min": np.where(enough, lowest, np.nan),
        "spo2_mean": np.where(enough, np.where(read, seconds, 0).sum(axis=1) / np.maximum(read.sum(axis=1), 1), np.nan),
        "spo2_max": np.where(enough, highest, np.nan),
    }
    events = desaturations(course)
    return OxygenMeasurements(
        values=values,
        trends=trends("spo2", seconds, TREND_CHANGE, TREND_NOISE),
        events=events,
        depths=tuple(depth(course, event) for event in events),
        below_90=np.where(enough, (np.where(read, seconds, np.inf) < 90.0).sum(axis=1), np.nan),
    )


def reads_whole(trace: Trace | None) -> bool:
    """Tell whether an oximeter reads whole per cents, as most do.

    Parameters
    ----------
    trace
        Saturation in %, or None.

    Returns
    -------
    bool
        True where 99 % of the possible readings lie within 0.05 of a whole number.
    """
    if trace is None:
        return False
    samples = np.asarray(trace.samples, dtype=np.float64)
    readings = samples[(samples >= POSSIBLE[0]) & (samples <= POSSIBLE[1])]
    return bool(len(readings)) and bool(np.mean(np.abs(readings - np.round(readings)) <= WHOLE) >= LEAST_WHOLE)


def smoothed(course: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average the readings of seven seconds; NaN stays."""
    known = np.isfinite(course)
    total = ndimage.uniform_filter1d(np.where(known, course, 0.0), SMOOTHING, mode="nearest")
    share = ndimage.uniform_filter1d(known.astype(np.float64), SMOOTHING, mode="nearest")
    return np.where(known, total / np.maximum(share, 1e-9), np.nan)


def depth(course: NDArray[np.float64], event: Event) -> float:
    """Measure how far a desaturation falls, in points from its first second to its lowest reading."""
    first = int(event.onset)
    inside = course[first : int(event.onset + event.duration) + 1]
    return float(np.nanmax(course[max(0, first - 1) : first + 2]) - np.nanmin(inside))


def _without_leaps(course: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take out what a slipping probe reads: around a leap, and between a leap down and the return."""
    step = np.diff(course, prepend=course[:1])
    leaps = np.abs(step) > FASTEST
    if not leaps.any():
        return course
    bad = ndimage.binary_dilation(leaps, iterations=2)
    for second in np.flatnonzero(step < -FASTEST):
        after = course[second : second + LONGEST_SLIP]
        back = np.flatnonzero(after >= course[second - 1] - FASTEST)
        if len(back):
            bad[second : second + back[0]] = True
    return np.where(bad, np.nan, course)


def _next_fall(course: NDArray[np.float64], told: Sequence[float], start: int, drop: float) -> tuple[int, int] | None:
    """Find the next second that lies ``drop`` below the height before it; returns the fall's onset and nadir.

    ``told`` is the course as a list.
    """
    height, peak, edge = -inf, start, start
    for second in range(start, len(told)):
        value = told[second]
        if isnan(value):
            continue
        if second - peak > BASELINE_SECONDS:
            recent = np.nan_to_num(course[max(start, second - BASELINE_SECONDS) : second + 1], nan=-np.inf)
            height = float(recent.max())
            peak = second + 1 - len(recent) + int(recent.argmax())
            edge = second + 1 - len(recent) + int(np.flatnonzero(recent >= height - AT_BASELINE)[-1])
        if value >= height:
            height, peak = value, second
        if value >= height - AT_BASELINE:
            edge = second
        elif value <= height - drop:
            return edge, _nadir(course, second)
    return None


def _nadir(course: NDArray[np.float64], second: int) -> int:
    """Go down to the lowest second before the saturation turns up by two points."""
    lowest = second
    for place in range(second, min(second + LONGEST, len(course))):
        if course[place] < course[lowest]:
            lowest = place
        elif course[place] >= course[lowest] + TURN or place - lowest > LONGEST_PLATEAU:
            break
    return lowest


def _recovery(course: NDArray[np.float64], onset: int, nadir: int, drop: float) -> int:
    """Find the second in which a desaturation is over."""
    goal = course[nadir] + (course[onset] - course[nadir]) * 2 / 3
    top = nadir
    for place in range(nadir, min(onset + LONGEST, len(course))):
        value = course[place]
        if value >= goal:
            return place
        if value > course[top]:
            top = place
        elif value <= course[top] - drop:
            return top
    return max(top, nadir + 1)
