"""Events, counted things and channels in a sentence: whether they are there, how many, how long, in what state."""

import re
from collections.abc import Iterator, Sequence

from core.inference.clock_words import number_of
from core.inference.conditions import Clause, Condition, one_of
from core.inference.epoch_table import EVENT_GROUPS, NIGHT_FIGURES
from core.inference.figure_words import (
    FLIP,
    NOT_BEFORE,
    SECOND,
    VALUE,
    Asked,
    Found,
    bounds_of,
    is_cut,
    mentions,
    naming,
    near,
    relation_of,
)
from core.inference.vocabulary import (
    CHANNELS_ASKED,
    COMPARED,
    COUNTED,
    EVENTS_ASKED,
    NOT,
    NUMBER,
    OR_LESS,
    OR_MORE,
    SEVERAL,
    STATES_ASKED,
    TIME,
    Quantity,
)

_LASTING = (
    r"(?P<lasting>(?:[\s,]+(?:(?:and|but) )?\b(?:that|which|with|is|are|was|were|lasting|lasts?|lasted|of|a|an|in|for|"
    r"durations?|going on|taking|persisting|persists?|has|have|having|length|each|whose|the|its)\b)*)[\s,]*"
)
_DURATION_TAILS = (
    re.compile(rf"{_LASTING}{FLIP}(?:{COMPARED})\s*{VALUE}(?:\s+(?:long|in duration|in length))?"),
    re.compile(rf"{_LASTING}between\s+{VALUE}\s*(?:and|to|-|–)\s*{SECOND}(?:\s+(?:long|in duration))?"),
    re.compile(rf"{_LASTING}{VALUE}\s*(?:(?P<less>{OR_LESS})|(?P<more>{OR_MORE}))(?:\s+(?:long|in duration))?"),
    re.compile(rf"\s*,?\s*(?:that |which )?(?:lasting|lasts?|lasted|for|of)\s+{VALUE}(?:\s+long)?"),
)
_AND_DURATION = re.compile(rf"\s*,?\s*(?:and|but)\s+(?:{COMPARED})\s*{VALUE}")
_SECONDS_OF = re.compile(rf"(?:{COMPARED})\s*{VALUE}\s+of\s+(?:an? |the )?$")
_COUNT_HEADS = (
    re.compile(rf"(?:{COMPARED})\s*(?P<number>{NUMBER})\s+$"),
    re.compile(rf"(?P<number>{NUMBER})\s*(?:(?P<less>{OR_LESS})|(?P<more>{OR_MORE}))\s+$"),
    re.compile(rf"(?P<number>{NUMBER})\s+$"),
)
_COUNT_BETWEEN = re.compile(rf"(?:between\s+)?(?P<number>{NUMBER})\s*(?:and|to|-|–)\s*(?P<second>{NUMBER})\s+$")
_SEVERAL = tuple((re.compile(rf"\b(?:{words})\s+$"), bound) for words, bound in SEVERAL.items())
_LENGTH = r"(?:short|brief|long|prolonged|lengthy|isolated) "
_EPISODES = r"(?:[- ](?:events?|episodes?))?"
_DURATION = Quantity("", "", "", "", TIME)
_ADJECTIVES = re.compile(
    r"(?P<not>NOT)?(?<![\w-])(?P<list>(?:(?:obstructive|central|mixed)\s*(?:,|or|and|/|,? or|,? and)\s*)+"
    r"(?:obstructive|central|mixed))\s+apneas?(?![\w-])".replace("NOT", NOT)
)


def event_clauses(words: str) -> Found:
    """Find events: that there is one or none, how many, how long."""
    left = words
    for match in _ADJECTIVES.finditer(words):
        kinds = tuple(f"{kind}_apnea" for kind in ("obstructive", "central", "mixed") if kind in match["list"])
        negated = match["not"] is not None
        parts = tuple(Condition(f"has_{kind}", "!=" if negated else "=", True) for kind in kinds)
        every = negated or " and " in match["list"]
        yield match.start(), match.end(), Asked(Clause(parts, every), negated, () if negated else kinds)
        left = left[: match.start()] + "\x00" * (match.end() - match.start()) + left[match.end() :]
    for pattern, groups in EVENTS_ASKED:
        for match in naming(rf"(?:{_LENGTH})?(?:{pattern}){_EPISODES}").finditer(left):
            found = [_event(words, match.start(), match.end(), group) for group in groups]
            start, end, asked = found[0][0], found[0][1], _either([asked for *_, asked in found])
            yield start, end, asked
            left = left[:start] + "\x00" * (end - start) + left[end:]


def _either(asked: Sequence[Asked]) -> Asked:
    """What is asked of an event that may be one of several types: any of them, or none."""
    negated = asked[0].negated
    clauses = tuple(each.clause for each in asked)
    clause = clauses[0] if len(clauses) == 1 else Clause(clauses, True) if negated else one_of(clauses)
    return Asked(clause, negated, tuple(dict.fromkeys(kind for each in asked for kind in each.events)))


def _event(words: str, start: int, end: int, group: str) -> tuple[int, int, Asked]:
    kinds = EVENT_GROUPS[group]
    long = _event_duration(words, start, end, group)
    many = None if long else _event_count(words[:start], group)
    begin, until, parts = long or (start, end, many[1] if many else (Condition(f"has_{group}", "=", True),))
    begin = min(begin, many[0]) if many else begin
    negated = NOT_BEFORE.search(words[:begin])
    clause = Clause(parts, all_of=True)
    if negated is not None:
        return negated.start(), until, Asked(clause.opposite(), True)
    wanted = () if many and parts[0].value == 0.0 else kinds
    return begin, until, Asked(clause, False, wanted)


def _event_duration(words: str, start: int, end: int, group: str) -> tuple[int, int, tuple[Condition, ...]] | None:
    head = _SECONDS_OF.search(words[:start])
    if head is not None and head["unit"]:
        bounds = bounds_of(head, _DURATION)
        if bounds is not None:
            return head.start(), end, tuple(Condition(f"{group}_seconds", *bound) for bound in bounds)
    for pattern in _DURATION_TAILS:
        match = pattern.match(words, end)
        if match is None or not (match["unit"] or match.groupdict().get("unit2")) or is_cut(words, match):
            continue
        bounds = bounds_of(match, _DURATION)
        if bounds is None:
            continue
        if (more := _AND_DURATION.match(words, match.end())) and (second := bounds_of(more, _DURATION)):
            bounds, last = (*bounds, *second), more.end()
        else:
            last = match.end()
        column = f"{group}_longest"
        parts: list[Condition] = []
        for relation, value in bounds:
            parts += near(column, value) if relation == "=" else [Condition(column, relation, value)]
        if bounds[0][0] in ("<", "<="):
            parts.insert(0, Condition(f"has_{group}", "=", True))
        if match.groupdict().get("flip"):
            return start, last, tuple(part.opposite() for part in parts)
        return start, last, tuple(parts)
    return None


def _event_count(before: str, group: str) -> tuple[int, tuple[Condition, ...]] | None:
    column = f"{group}_count"
    between = _COUNT_BETWEEN.search(before)
    if between is not None:
        return between.start(), _count_stretch(column, between)
    for pattern in _COUNT_HEADS:
        match = pattern.search(before)
        if match is None or not number_of(match["number"]).is_integer():
            continue
        relation, count = relation_of(match.groupdict()), number_of(match["number"])
        relation = ">=" if relation == "=" and pattern is _COUNT_HEADS[-1] and count else relation
        there = (Condition(f"has_{group}", "=", True),) if relation in ("<", "<=") else ()
        return match.start(), (Condition(column, relation, count), *there)
    for pattern, (relation, count) in _SEVERAL:
        match = pattern.search(before)
        if match is not None:
            return match.start(), (Condition(column, relation, count),)
    return None


def _count_stretch(column: str, match: re.Match[str]) -> tuple[Condition, ...]:
    ends = sorted((number_of(match["number"]), number_of(match["second"])))
    return Condition(column, ">=", ends[0]), Condition(column, "<=", ends[1])


class _CountedFigures:
    """Spindles and slow waves that are counted, or that there are none of."""

    def __call__(self, words: str) -> Found:
        """Find them."""
        for pattern, column in COUNTED:
            for match in naming(pattern).finditer(words):
                yield from self._one(words, match, column)

    def _one(self, words: str, match: re.Match[str], column: str) -> Found:
        before = words[: match.start()]
        if negated := NOT_BEFORE.search(before):
            yield negated.start(), match.end(), Asked(Clause((Condition(column, "=", 0.0),)))
            return
        if between := _COUNT_BETWEEN.search(before):
            yield between.start(), match.end(), Asked(Clause(_count_stretch(column, between), all_of=True))
            return
        for pattern in _COUNT_HEADS:
            head = pattern.search(before)
            if head is None or not number_of(head["number"]).is_integer():
                continue
            relation = relation_of(head.groupdict())
            relation = ">=" if relation == "=" and pattern is _COUNT_HEADS[-1] else relation
            negated = NOT_BEFORE.search(before[: head.start()])
            clause = Clause((Condition(column, relation, number_of(head["number"])),))
            start = negated.start() if negated else head.start()
            yield start, match.end(), Asked(clause.opposite() if negated else clause)
            return
        yield match.start(), match.end(), Asked(Clause((Condition(column, ">=", 1.0),)))

    def masked(self, words: str) -> Iterator[tuple[int, int]]:
        """Names of night figures and eye movements without a figure: their words are no events and no stages."""
        for start, end, quantity in mentions(words):
            if quantity.mean in NIGHT_FIGURES or quantity.mean.startswith("eye_"):
                yield start, end


counted_figures = _CountedFigures()

_CHANNEL = "|".join(f"(?P<c{n}>{pattern})" for n, (pattern, _) in enumerate(CHANNELS_ASKED))
_STATE = "|".join(f"(?P<s{n}>{pattern})" for n, (pattern, _) in enumerate(STATES_ASKED))
_NOUN = r"(?:\s+(?:signal|channel|sensor|electrode|lead|recording|belt))?"
_CHANNEL_PATTERNS = (
    re.compile(rf"(?P<not>{NOT})?\b(?:{_STATE})\s+(?:in |on )?(?:the |an? )?(?:{_CHANNEL}){_NOUN}(?![\w-])"),
    re.compile(rf"(?<![\w-])(?:{_CHANNEL}){_NOUN}\s+(?:is |was |being )?(?P<not>not )?(?:{_STATE})(?![\w-])"),
)


def channel_clauses(words: str) -> Found:
    """Find states of channels: `flat ECG`, `artefacts on C3`, `the chin EMG is missing`."""
    for pattern in _CHANNEL_PATTERNS:
        for match in pattern.finditer(words):
            groups = match.groupdict()
            column = next(f"{name}_state" for n, (_, name) in enumerate(CHANNELS_ASKED) if groups[f"c{n}"])
            state = next(name for n, (_, name) in enumerate(STATES_ASKED) if groups[f"s{n}"])
            negated = groups["not"] is not None
            clause = Clause((Condition(column, "!=" if negated else "=", state),))
            yield match.start(), match.end(), Asked(clause, negated)
