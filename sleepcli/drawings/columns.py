"""A night in columns: the epochs that share a column of a strip, and small bars of a height."""

import itertools
from collections.abc import Callable, Sequence
from typing import TypeVar

LEVELS = "▁▂▃▄▅▆▇█"
"""Bars of rising height."""

Value = TypeVar("Value")


def stretches(values: Sequence[Value], columns: int) -> list[list[Value]]:
    """Share the values of a night among columns, the lengths differing by one at most."""
    edges = [len(values) * n // columns for n in range(columns + 1)]
    return [list(values[a:b]) for a, b in itertools.pairwise(edges)]


def commonest(values: Sequence[str]) -> str:
    """Give the commonest of some labels; the first of equally common ones."""
    return max(dict.fromkeys(values), key=values.count)


def bars(
    values: Sequence[float | None], columns: int, limits: tuple[float, float], pick: Callable[[list[float]], float]
) -> str:
    """Draw a course as a row of small bars.

    Parameters
    ----------
    values
        One an epoch; None is left blank.
    columns
        Width of the row.
    limits
        Values of the lowest and the highest bar; beyond them the bar stays.
    pick
        What a column shows of its values, such as `min`.
    """
    low, high = limits
    row = ""
    for part in stretches(values, columns):
        known = [value for value in part if value is not None]
        place = (pick(known) - low) / (high - low) * (len(LEVELS) - 1) if known else 0.0
        row += LEVELS[max(0, min(len(LEVELS) - 1, round(place)))] if known else " "
    return row
