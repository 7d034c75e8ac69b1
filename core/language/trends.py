"""Rising, falling and stable stretches inside an epoch."""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_SEGMENTS = 3
"""A 30-s epoch is told in at most three stretches."""
SHORTEST = 5
"""Fewest seconds of a stretch."""
MOST_MISSING = 6
"""Seconds of an epoch that may be bridged."""
GAIN = 0.35
"""A further stretch has to take away this share of the squared error, or the simpler story is told."""


@dataclass(frozen=True)
class Trend:
    """A stretch of an epoch in which a quantity goes one way."""

    quantity: str
    """``heart_rate`` or ``spo2``."""
    direction: str
    """``increasing``, ``decreasing`` or ``stable``."""
    start: float
    """Seconds from the start of the epoch."""
    end: float
    """Seconds from the start of the epoch."""


def trends(quantity: str, series: NDArray[np.float64], smallest: float, noise: float) -> list[tuple[Trend, ...]]:
    """Tell each epoch's course as at most three straight stretches.

    The stretches are the least-squares broken line (each stretch with a line of its own) of one, two or three
    pieces of at least five seconds; a further piece has to remove a third of the remaining squared error, and that
    error has to be above ``noise``. A stretch is stable unless its line rises or falls by ``smallest``; neighbours of
    one direction are joined.

    Parameters
    ----------
    quantity
        Name for the trends.
    series
        Shape (epochs, 30), one value a second; an epoch with more than six NaN gets no trends.
    smallest
        Change over a stretch that counts, in the quantity's unit.
    noise
        Root mean square error below which a line is good enough, in the quantity's unit.

    Returns
    -------
    list[tuple[Trend, ...]]
        One tuple an epoch, in order of time.
    """
    answers: list[tuple[Trend, ...]] = [() for _ in series]
    rows = np.flatnonzero(np.isnan(series).sum(axis=1) <= MOST_MISSING)
    if not len(rows):
        return answers
    error, change = _lines(np.stack([_whole(series[row]) for row in rows]))
    cuts = _best_cuts(error, series.shape[1], noise)
    for place, row in enumerate(rows):
        answers[row] = _told(quantity, cuts[place], change[place], smallest)
    return answers


def _whole(row: NDArray[np.float64]) -> NDArray[np.float64]:
    missing = np.isnan(row)
    if not missing.any():
        return row
    places = np.arange(len(row))
    return np.asarray(np.interp(places, places[~missing], row[~missing]), dtype=np.float64)


def _lines(series: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit a line to each stretch [i, j) of each row; returns squared error and change, (rows, n + 1, n + 1)."""
    rows, size = series.shape
    seconds = np.arange(size, dtype=np.float64)
    centred = series - series.mean(axis=1, keepdims=True)

    def running(values: NDArray[np.float64]) -> NDArray[np.float64]:
        total = np.concatenate([np.zeros((rows, 1)), np.cumsum(values, axis=1)], axis=1)
        return np.asarray(total[:, None, :] - total[:, :, None])

    count = np.subtract.outer(np.arange(size + 1), np.arange(size + 1)).T.astype(np.float64)
    count = np.maximum(count, 1.0)
    everywhere = np.ones((rows, size))
    sum_t, sum_tt = running(everywhere * seconds), running(everywhere * seconds**2)
    sum_y, sum_yy, sum_ty = running(centred), running(centred**2), running(centred * seconds)
    spread = np.maximum(sum_tt - sum_t**2 / count, 1e-9)
    slope = (sum_ty - sum_t * sum_y / count) / spread
    error = np.maximum(sum_yy - sum_y**2 / count - slope**2 * spread, 0.0)
    return error, slope * (count - 1)


def _best_cuts(error: NDArray[np.float64], size: int, noise: float) -> list[tuple[int, ...]]:
    """Choose the cuts of each row, ends included."""
    one = error[:, 0, size]
    places = np.arange(SHORTEST, size - SHORTEST + 1)
    pairs = [(a, b) for a in places for b in range(a + SHORTEST, size - SHORTEST + 1)]
    two_all = error[:, 0, places] + error[:, places, size]
    first, second = np.array(pairs).T
    three_all = error[:, 0, first] + error[:, first, second] + error[:, second, size]
    two, three = two_all.min(axis=1), three_all.min(axis=1)
    enough = noise**2 * size
    chosen: list[tuple[int, ...]] = []
    for row in range(len(error)):
        if one[row] <= enough or (two[row] > (1 - GAIN) * one[row] and three[row] > (1 - GAIN) ** 2 * one[row]):
            chosen.append((0, size))
        elif two[row] <= enough or three[row] > (1 - GAIN) * two[row]:
            chosen.append((0, int(places[two_all[row].argmin()]), size))
        else:
            best = int(three_all[row].argmin())
            chosen.append((0, int(first[best]), int(second[best]), size))
    return chosen


def _told(quantity: str, cuts: tuple[int, ...], change: NDArray[np.float64], smallest: float) -> tuple[Trend, ...]:
    told: list[Trend] = []
    for start, end in itertools.pairwise(cuts):
        move = change[start, end]
        direction = "stable" if abs(move) < smallest else ("increasing" if move > 0 else "decreasing")
        if told and told[-1].direction == direction:
            start = round(told.pop().start)
        told.append(Trend(quantity, direction, float(start), float(end)))
    return tuple(told)
