"""Figures in a sentence: measured quantities, counts and durations compared with a number and its unit."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from core.inference.clock_words import number_of
from core.inference.conditions import Clause, Condition
from core.inference.vocabulary import (
    COMPARED,
    COUNTED,
    EVENTS_ASKED,
    FALLS,
    FILLERS,
    NOT,
    NUMBER,
    OR_LESS,
    OR_MORE,
    QUANTITIES,
    RELATION_OF_GROUP,
    RISES,
    UNIT,
    UNITS,
    Quantity,
)


@dataclass(frozen=True)
class Asked:
    """What one stretch of a sentence asks for."""

    clause: Clause
    """As a condition on columns."""
    negated: bool = False
    """Whether a `not` is part of the stretch; the clause is the opposite already."""
    events: tuple[str, ...] = ()
    """Event types that it wants or shows itself in."""


Found = Iterator[tuple[int, int, Asked]]

_FILL = rf"(?P<fill>(?:[\s,]+(?:{FILLERS}))*)[\s,]*"
_CLOSE = rf"(?P<fill>(?:\s+(?:{FILLERS}))*)\s*"
VALUE = rf"(?P<number>{NUMBER})(?:\s*(?P<unit>{UNIT}))?"
SECOND = rf"(?P<second>{NUMBER})(?:\s*(?P<unit2>{UNIT}))?"
FLIP = r"(?P<flip>not |never |n't )?"
_THEN = rf"(?:\s*\b(?:{FILLERS})\b)*\s*"
_FLIPPED = rf"(?:(?P<flip>not |never |n't ){_THEN})?"
_TAIL_COMPARED = re.compile(rf"{_FILL}{_FLIPPED}(?:{COMPARED})\s*{VALUE}")
_TAIL_BETWEEN = re.compile(
    rf"{_FILL}(?P<flip>not |outside )?(?:between|from|in the range of|in the range|ranging from|range)?\s*{VALUE}"
    rf"\s*(?:and|to|-|–)\s*{SECOND}"
)
_DECADES = {"sixties": 60, "seventies": 70, "eighties": 80, "nineties": 90, "forties": 40, "fifties": 50}
_TAIL_DECADE = re.compile(
    rf"{_FILL}(?:\s*\b(?:in|into|down to|to)\b) the (?:(?P<number>\d0)'?s|(?P<decade>{'|'.join(_DECADES)}))\b"
)
_TAIL_OR = re.compile(rf"{_FILL}{VALUE}\s*(?:(?P<less>{OR_LESS})|(?P<more>{OR_MORE}))")
_TAIL_PLAIN = re.compile(rf"{_CLOSE}{VALUE}")
_DESATURATES = "|".join(f"(?<=desaturat{end})" for end in ("ion", "ions", "es", "ed", "ing"))
_TAIL_DOWN_TO = re.compile(rf"(?P<fill>(?:{_DESATURATES})\s+(?:down )?)(?P<to>to)\s+{VALUE}")
_AGAIN = re.compile(rf"\s*,?\s*(?P<join>and|but|or)(?:\s+(?:{FILLERS}))*\s+(?:{COMPARED})\s*{VALUE}")
_HEAD_COMPARED = re.compile(rf"(?:{COMPARED})\s*(?:the |an? )?{VALUE}\s*(?:of |in )?(?:the |an? )?$")
_HEAD_BETWEEN = re.compile(rf"between\s+{VALUE}\s*(?:and|to)\s*{SECOND}\s*(?:of |in )?(?:the )?$")
_HEAD_OR = re.compile(rf"{VALUE}\s*(?:(?P<less>{OR_LESS})|(?P<more>{OR_MORE}))\s*(?:of |in )?(?:the )?$")
_ADJECTIVE = re.compile(
    r"\b(?:an? )?(?:(?:rapid|fast|slow|high|low|raised|elevated|increased|reduced|decreased|normal|resting)\s+)+$"
)
_STATISTIC = re.compile(
    r"\b(?:(?P<low>minimum|minimal|min|lowest|nadir(?: of)?(?: the)?|smallest)|"
    r"(?P<high>maximum|maximal|max|highest|peak|largest)|(?P<mean>mean|average|avg|median))\s+$"
)
_AFTER_STATISTIC = re.compile(r"\s+(?:(?P<low>nadir|minimum|min)|(?P<high>maximum|peak|max)|(?P<mean>mean|average))\b")
_A_UNIT = re.compile(UNIT)
_FILLED = re.compile(_CLOSE)
NOT_BEFORE = re.compile(rf"{NOT}$")
_STAYS = re.compile(r"\b(?:stays?|staying|remain\w*|kept|always)\b")
_NEVER = re.compile(r"\bnever\b")
_MOVES = re.compile(rf"\b(?:(?P<falls>{FALLS})|(?P<rises>{RISES}))\b")


def figure_clauses(words: str) -> Found:
    """Find measured quantities that are compared with a figure of a unit that fits them."""
    loose = 0
    for start, end, quantity in mentions(words):
        found = _figure(words, start, end, quantity)
        if found is None:
            loose = end
        elif not (_A_UNIT.fullmatch(words[start:end]) and loose and _FILLED.fullmatch(words[loose : found[0]])):
            yield found  # a unit names its quantity, but not in `SpO2 below 88 bpm`


def mentions(words: str) -> list[tuple[int, int, Quantity]]:
    """Where quantities are named: start, end, quantity; the longest name wins."""
    left, found = words, []
    for quantity in QUANTITIES:
        for match in naming(quantity.words).finditer(left):
            found.append((match.start(), match.end(), quantity))
            left = left[: match.start()] + "\x00" * (match.end() - match.start()) + left[match.end() :]
    return sorted(found, key=lambda row: row[0])


@cache
def naming(pattern: str) -> re.Pattern[str]:
    """A pattern for whole words."""
    return re.compile(rf"(?:(?<![\w-])|(?<=\bnon-))(?:{pattern})(?![\w-])")


@dataclass(frozen=True)
class _Read:
    """A comparison beside a quantity, before its column is chosen."""

    start: int
    end: int
    bounds: tuple[tuple[str, float], ...]
    """Relation and figure; two for a stretch."""
    flipped: bool
    courses: tuple[str, ...] = ("",)
    """Of each bound: `stays`, `ever`, `falls`, `rises`: what it is said to do; empty for plain `below` and `above`."""
    joined_by: str = "and"
    stretch: bool = False
    """Whether the bounds are the two ends of a stretch: `between 60 and 80`."""


def _figure(words: str, start: int, end: int, quantity: Quantity) -> tuple[int, int, Asked] | None:
    before, column = words[:start], ""
    if statistic := _STATISTIC.search(before):
        column, start = _column_of(statistic, quantity), statistic.start()
        before = words[:start]
    elif statistic := _AFTER_STATISTIC.match(words, end):
        column, end = _column_of(statistic, quantity), statistic.end()
    read = _tail(words, start, end, quantity) or _head(words, start, end, quantity)
    if read is None:
        return None
    begin = min(start, read.start)
    if adjective := _ADJECTIVE.search(words[:begin]):
        begin = adjective.start()
    negated = NOT_BEFORE.search(words[:begin])
    flipped = read.flipped != (negated is not None)
    parts = _conditions(read, quantity, column)
    if parts is None:
        return None
    clause = Clause(parts, all_of=read.joined_by != "or")
    events = (quantity.points_at,) if quantity.points_at and not flipped and read.bounds[0][0] in ("<", "<=") else ()
    asked = Asked(clause.opposite() if flipped else clause, False, events)
    return negated.start() if negated else begin, read.end, asked


def _column_of(statistic: re.Match[str], quantity: Quantity) -> str:
    named = statistic.groupdict()
    return quantity.low if named["low"] else quantity.high if named["high"] else quantity.mean


def _conditions(read: _Read, quantity: Quantity, column: str) -> tuple[Condition, ...] | None:
    """The conditions, or None where the figure cannot be one of this quantity."""
    low, high = quantity.plausible
    if not all(low <= value <= high for _, value in read.bounds):
        return None
    parts: list[Condition] = []
    for (relation, value), course in zip(read.bounds, read.courses, strict=True):
        asked = read.bounds[0][0] if read.joined_by == "and" else relation
        chosen = column or (quantity.mean if read.stretch else _statistic(asked, course, quantity))
        parts += near(chosen, value) if relation == "=" else [Condition(chosen, relation, value)]
    return tuple(parts)


def _statistic(relation: str, course: str, quantity: Quantity) -> str:
    """The column that a relation is about: what dips below is about the lowest value, what stays below the highest.

    Plain `below` and `above` mean the statistic that the field judges the quantity by.
    """
    below = relation in ("<", "<=")
    if relation == "=":
        return quantity.mean
    if course == "stays":
        return quantity.high if below else quantity.low
    if course in ("ever", "falls" if below else "rises"):
        return quantity.low if below else quantity.high
    return quantity.usual or quantity.mean


def _course(words: str) -> str:
    """What the words between a quantity and its figure say that it does."""
    if _STAYS.search(words):
        return "stays"
    if _NEVER.search(words):
        return "ever"
    moves = _MOVES.search(words)
    return "" if moves is None else "falls" if moves["falls"] else "rises"


def near(column: str, value: float) -> list[Condition]:
    """What rounds to a figure, as it is written."""
    half = 0.5 if value == round(value) else 0.05
    return [Condition(column, ">=", value - half), Condition(column, "<", value + half)]


def _tail(words: str, start: int, end: int, quantity: Quantity) -> _Read | None:
    for pattern in (_TAIL_COMPARED, _TAIL_BETWEEN, _TAIL_OR, _TAIL_DOWN_TO, _TAIL_PLAIN):
        match = pattern.match(words, end)
        if match is None or is_cut(words, match):
            continue
        bounds = bounds_of(match, quantity)
        if bounds is None:
            continue
        flip = match.groupdict().get("flip")
        course = _course(words[start : match.start("number")])
        courses = (course,) * len(bounds)
        read = _Read(start, match.end(), bounds, flip is not None, courses, stretch=len(bounds) > 1)
        return _again(words, read, quantity) if len(bounds) == 1 else read
    return _decade(words, start, end, quantity)


def _decade(words: str, start: int, end: int, quantity: Quantity) -> _Read | None:
    """Read `in the 80s` as 80 to below 90, of the statistic that the field means."""
    match = _TAIL_DECADE.match(words, end)
    if match is None:
        return None
    low = float(_DECADES[match["decade"]] if match["decade"] else match["number"])
    if quantity.unit not in ("%", "/min"):
        return None
    return _Read(start, match.end(), ((">=", low), ("<", low + 10.0)), False, ("", ""))


def is_cut(words: str, match: re.Match[str]) -> bool:
    """Whether the figure is cut short: `88` of `88.5.1`, `2` of `2nd` or of `2:30`."""
    after = words[match.end() : match.end() + 1]
    return bool(after) and (after.isalnum() or after in ":_")


def _again(words: str, read: _Read, quantity: Quantity) -> _Read:
    """A second bound on the same quantity: `below 90 % and above 80 %`."""
    match = _AGAIN.match(words, read.end)
    if match is None or is_cut(words, match):
        return read
    more = bounds_of(match, quantity)
    if more is None or _opens_another(words, match.end()):
        return read
    joined = "or" if match["join"] == "or" else "and"
    course = _course(match[0][: match.start("number") - match.start()]) or read.courses[0]
    return _Read(read.start, match.end(), (*read.bounds, *more), read.flipped, (*read.courses, course), joined)


def _opens_another(words: str, end: int) -> bool:
    """Whether the figure belongs to what follows: `below 90 % and more than 3 spindles`."""
    after = words[end:].lstrip()
    tables = (pattern for pattern, _ in (*EVENTS_ASKED, *COUNTED))
    return any(re.match(rf"(?:of )?(?:{pattern})\b", after) for pattern in tables) or any(
        re.match(rf"(?:of )?(?:{quantity.words})(?!\w)", after) for quantity in QUANTITIES
    )


def _head(words: str, start: int, end: int, quantity: Quantity) -> _Read | None:
    before = words[:start]
    for pattern in (_HEAD_BETWEEN, _HEAD_COMPARED, _HEAD_OR):
        match = pattern.search(before)
        if match is None:
            continue
        bounds = bounds_of(match, quantity)
        if bounds is not None:
            return _Read(match.start(), end, bounds, False, ("",) * len(bounds), stretch=len(bounds) > 1)
    return None


def bounds_of(match: re.Match[str], quantity: Quantity) -> tuple[tuple[str, float], ...] | None:
    """Relation and figure in the column's unit; None where the unit is of another dimension."""
    groups = match.groupdict()
    first = _in_unit(groups["number"], groups["unit"] or groups.get("unit2"), quantity)
    if first is None:
        return None
    if groups.get("second") is not None:
        second = _in_unit(groups["second"], groups["unit2"] or groups["unit"], quantity)
        return None if second is None else ((">=", min(first, second)), ("<=", max(first, second)))
    return ((relation_of(groups), first),)


def relation_of(groups: dict[str, str | None]) -> str:
    """The relation that the words beside a figure say; `=` where they say none."""
    for name, relation in RELATION_OF_GROUP.items():
        if groups.get(name):
            return relation
    if groups.get("less"):
        return "<="
    if groups.get("more"):
        return ">="
    fill = groups.get("fill") or ""
    if re.search(rf"\b(?:{FALLS})\b.*\bto\b", fill) or groups.get("to"):
        return "<="
    if re.search(rf"\b(?:{RISES})\b.*\bto\b", fill):
        return ">="
    return "="


def _in_unit(number: str, unit: str | None, quantity: Quantity) -> float | None:
    value = number_of(number)
    if unit is None:
        return None if quantity.per_minute else value
    dimension, factor = next((d, f) for pattern, d, f in UNITS if re.fullmatch(pattern, unit))
    if dimension != quantity.unit:
        return None
    return round(value * factor / quantity.scale, 6)
