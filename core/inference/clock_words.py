"""Clock times and parts of the night in a sentence: `between 2 and 4 am`, `after midnight`, `in the first hour`."""

import re
from collections.abc import Iterator

from core.inference.conditions import Clause, Condition
from core.inference.vocabulary import COMPARED, FILLERS, NIGHT_PARTS, NUMBER, NUMBER_WORDS, PART_NUMBERS, UNIT, UNITS

DAY = 24 * 60  # minutes
NOON = 12 * 60
AROUND = 30  # minutes on either side of "around 3 am"
_HALF = (
    r"a\.?m\.?|p\.?m\.?|(?:o'?clock )?(?:in the (?:morning|evening)|at night)|o'?clock|"
    r"h(?![a-z])|hrs?(?![a-z])|hours(?= )"
)
_DIGITS = r"\d{1,2}:\d{2}(?::\d{2})?"
_CLOCK = rf"(?:midnight|noon|midday|\d{{1,2}}(?:[:.]\d{{2}})?(?::\d{{2}})?\s*(?:{_HALF})|{_DIGITS})"
_BARE = rf"(?:{_CLOCK}|\d{{1,2}}(?:[:.]\d{{2}})?)"
_TO = r"\s*(?:and|to|until|till|through|-|–|—)\s*"
_SPAN = re.compile(rf"(?P<not>not |outside )?\b(?:between|from)?\s*(?P<from>{_BARE}){_TO}(?P<to>{_BARE})(?![\d%])")
_BEFORE = re.compile(rf"\b(?:before|until|till|up to|earlier than|by)\s+(?P<at>{_CLOCK})")
_AFTER = re.compile(rf"\b(?:after|since|from|past|later than)\s+(?P<at>{_CLOCK})(?:\s+(?:on|onwards?))?")
_AROUND = re.compile(rf"\b(?:around|about|near|close to|approximately|roughly|circa)\s+(?P<at>{_CLOCK})")
_AT = re.compile(rf"\bat\s+(?:exactly\s+)?(?P<at>{_CLOCK})")

_NIGHT = r"(?:\s+of\s+(?:the |each |every |their |his |her )?(?:night|recording|study|sleep|time in bed))"
_LENGTH = rf"(?:(?P<count>{NUMBER})\s*)?(?P<unit>{UNIT})"
_FIRST = re.compile(
    rf"\b(?:in |during |within |for )?(?:the )?(?P<which>first|last|final|opening)\s+{_LENGTH}{_NIGHT}?"
)
_START = r"after (?:the )?(?:start|beginning)(?: of the (?:night|recording|study))?|after recording start"
_INTO = re.compile(
    rf"\b(?:more than |over |at least |after )?(?P<count>{NUMBER})\s*(?P<unit>{UNIT})\s+"
    rf"(?:into the (?:night|recording|study)|{_START})"
)
_AFTER_FIRST = re.compile(rf"\bafter\s+(?:the )?first\s+{_LENGTH}{_NIGHT}?")
_PART = re.compile(
    rf"\b(?:in |during )?(?:the )?(?P<which>{'|'.join(PART_NUMBERS)})\s+(?P<part>{'|'.join(NIGHT_PARTS)})"
    rf"(?!\w| an? | hour){_NIGHT}?"
)
_BEGAN = r"(?:(?:has |had )?(?:begun|begins?|began|start(?:s|ed)?))"
_ASLEEP = rf"(?:the )?(?:first )?(?:sleep(?: onset| {_BEGAN})|(?:having )?(?:falling|fallen|fell) asleep)"
_SLEPT = re.compile(
    rf"\b(?:(?P<after>(?:after|since|following) {_ASLEEP})|"
    rf"(?P<before>(?:before|until|prior to) (?:{_ASLEEP}|(?:the )?first sleep)))\b"
    rf"(?!\s*(?:(?:{FILLERS})\s+)*(?:{COMPARED})\s*{NUMBER})"
)
_HOURS = re.compile(
    r"\b(?:in |during )?(?:the )?(?:(?P<small>(?:small|wee) hours)|(?P<early>early (?:in the )?mornings?(?: hours)?)|"
    r"(?P<late>late (?:in the )?evenings?(?: hours)?))\b"
)
_NAMED_HOURS = {"small": (0, 4 * 60), "early": (4 * 60, 8 * 60), "late": (21 * 60, DAY)}
"""Minutes after midnight that a name of some hours means."""
Found = Iterator[tuple[int, int, Clause]]


def clock_clauses(words: str) -> Found:
    """Find clock times; a night goes from noon to noon, so `after 3 am` ends at noon and `before 1 am` begins there."""
    for match in _SPAN.finditer(words):
        span = _minutes_of_span(match["from"], match["to"])
        if span is not None and ("between" in match[0] or "from" in match[0] or _is_clock(match["from"])):
            clause = _between(*span)
            yield match.start(), match.end(), clause.opposite() if match["not"] else clause
    for match in _HOURS.finditer(words):
        name = next(name for name in _NAMED_HOURS if match[name])
        yield match.start(), match.end(), _between(*_NAMED_HOURS[name])
    for pattern, bounds in (
        (_AROUND, lambda at: (at - AROUND, at + AROUND)),
        (_AT, lambda at: (at, at + 1)),
        (_BEFORE, lambda at: (NOON, at)),
        (_AFTER, lambda at: (at, NOON)),
    ):
        for match in pattern.finditer(words):
            at = _minutes(match["at"])
            if at is not None:
                yield match.start(), match.end(), _between(*bounds(at))


def night_part_clauses(words: str) -> Found:
    """Find parts of the night: its first or last hours, its halves and thirds, hours into it."""
    for match in _AFTER_FIRST.finditer(words):
        if seconds := _seconds(match):
            yield match.start(), match.end(), Clause((Condition("onset", ">=", seconds),))
    for match in _INTO.finditer(words):
        if seconds := _seconds(match):
            yield match.start(), match.end(), Clause((Condition("onset", ">=", seconds),))
    for match in _FIRST.finditer(words):
        seconds = _seconds(match)
        if seconds:
            first = match["which"] in ("first", "opening")
            condition = Condition("onset", "<", seconds) if first else Condition("until_end", "<=", seconds)
            yield match.start(), match.end(), Clause((condition,))
    for match in _SLEPT.finditer(words):
        part = Condition("since_sleep", ">=" if match["after"] else "<", 0.0)
        yield match.start(), match.end(), Clause((part,))
    for match in _PART.finditer(words):
        share = NIGHT_PARTS[match["part"]]
        parts = round(1 / share)
        which = PART_NUMBERS[match["which"]] % parts if PART_NUMBERS[match["which"]] < parts else None
        if which is not None:
            low = Condition("night_fraction", ">=", round(which * share, 4))
            high = Condition("night_fraction", "<", round((which + 1) * share, 4))
            ends = [part for part in (low, high) if part.value not in (0.0, 1.0)]
            yield match.start(), match.end(), Clause(tuple(ends), all_of=True)


def _seconds(match: re.Match[str]) -> float | None:
    for pattern, dimension, factor in UNITS:
        if re.fullmatch(pattern, match["unit"]):
            return number_of(match["count"] or "1") * factor if dimension == "s" else None
    return None


def number_of(text: str) -> float:
    """A number in figures or in words."""
    return NUMBER_WORDS[text] if text in NUMBER_WORDS else float(text)


def _is_clock(text: str) -> bool:
    return re.fullmatch(_CLOCK, text) is not None


def _minutes(text: str) -> int | None:
    """Minutes after midnight of a clock time; None where there is no such time."""
    if text == "midnight":
        return 0
    if text in ("noon", "midday"):
        return NOON
    found = re.match(r"(\d{1,2})(?:[:.](\d{2}))?", text)
    if found is None:
        return None
    hour, minute = int(found[1]), int(found[2] or 0)
    half = re.search(r"([ap])\.?m(?![a-z])", text)
    if "evening" in text or ("at night" in text and hour > 6):
        hour = hour % 12 + 12
    if half is not None:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half[1] == "p" else 0)
    elif hour == 24 and not minute:
        hour = 0
    return hour * 60 + minute if hour < 24 and minute < 60 else None


def _minutes_of_span(begin: str, end: str) -> tuple[int, int] | None:
    """Bounds of `2 and 4 am`: a bare hour takes the half of the day that makes the stretch shortest."""
    if not (_is_clock(begin) or _is_clock(end)):
        return None
    choices = [
        (first, last)
        for first in _choices(begin)
        for last in _choices(end)
        if first is not None and last is not None and first != last
    ]
    return min(choices, key=lambda span: (span[1] - span[0]) % DAY, default=None)


def _choices(text: str) -> list[int | None]:
    at = _minutes(text)
    if _is_clock(text) or at is None or at >= NOON + 60:
        return [at]
    return [at % NOON, at % NOON + NOON]


def _between(begin: int, end: int) -> Clause:
    low = Condition("clock", ">=", _text(begin))
    high = Condition("clock", "<", _text(end))
    wraps = begin % DAY > end % DAY
    if end % DAY == 0:
        return Clause((low,))
    if begin % DAY == 0:
        return Clause((high,))
    return Clause((low, high), all_of=not wraps)


def _text(minutes: int) -> str:
    return f"{minutes % DAY // 60:02d}:{minutes % 60:02d}:00"
