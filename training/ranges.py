"""What the numbers of a run's options may be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from core.errors import UsageError


def check_numbers(options: Any, least: Mapping[str, float], place: str = "") -> None:
    """Refuse numbers that no run can use, in options and the tables within them.

    Parameters
    ----------
    options
        A dataclass of options; every number in it must be finite.
    least
        The least value by name, `table.entry` within a table; 0 for every other one.
    place
        Of `options` among others, such as `stages.`.

    Raises
    ------
    UsageError
        The first number that is too small, infinite or none at all.
    """
    for field in fields(options):
        name, value = place + field.name, getattr(options, field.name)
        if is_dataclass(value):
            check_numbers(value, least, f"{name}.")
            continue
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, bool) or not isinstance(number, int | float):
                continue
            lowest = least.get(name, 0)
            if not math.isfinite(number) or number < lowest:
                raise UsageError(f"A run with {name} = {number} cannot be.", f"Give a number from {lowest:g} on.")
