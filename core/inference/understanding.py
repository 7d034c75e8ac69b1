"""A question's plain conditions, found in its words by the tables of `vocabulary`; what is left ranks."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from core.inference.clock_words import clock_clauses, night_part_clauses
from core.inference.conditions import Clause, Condition, Question, one_of
from core.inference.event_words import channel_clauses, counted_figures, event_clauses
from core.inference.figure_words import Asked, figure_clauses
from core.inference.spelling import spelled
from core.inference.vocabulary import LEFT_OVER, NOT, POSITIONS_ASKED, STAGES_ASKED

TAKEN = "\x00"
"""Stands for a letter that is understood."""
HIDDEN = "\x01"
"""Stands for a letter that no further rule may read, and that is left to the ranking."""

LONGEST = 1000
"""Letters of a sentence from which nothing is looked for in it: it ranks whole."""

_JOIN = re.compile(
    r"[\s,;]*(?P<join>and/or|or|nor|and|&|/|plus|but|as well as|together with)?[\s,;]*"
    r"(?:(?:either|both|also|then|an?|any|the|other|further|of|with|have|having|has|in|on|at|during|while|is|are|being|"
    r"lying|that|which|where|stage|sleep|episodes? of|periods? of|it|its)\s+)*"
)
"""What may stand between two things of one list."""
_CARRIES = re.compile(r"[\s,;]*(?:and/or|or|nor|and|&|/)?[\s,;]*(?:(?:an?|any|the|other|in|on|of)\s+)*")
"""What may stand between two things that one `no` is said of."""


Rule = Callable[[str], Iterator[tuple[int, int, Asked]]]
"""Finds things of one kind in what is left of a sentence: start, end, and what is asked."""


@dataclass(frozen=True)
class Item:
    """One thing understood."""

    start: int
    end: int
    kind: str
    """`stage`, `position`, `event`, `figure`, `clock`, `night` or `channel`."""
    clause: Clause
    """What it asks of an epoch."""
    negated: bool = False
    """Whether a `not` stands before it; the clause is the opposite already."""
    events: tuple[str, ...] = ()
    """Event types that it wants or shows itself in."""


def understand(text: str) -> Question:
    """Find the conditions in a sentence; what is not understood is left to the ranking.

    `REM sleep with desaturation below 88 % and loss of chin tone` gives `stage = R and spo2_min < 88`, and
    `loss of chin tone` is left.
    """
    words = normalised(text)
    if len(words) > LONGEST:
        return Question(text.strip(), (), words)
    items, left = _items(words)
    merged = _merged(_with_carried_negations(items, words), words)
    events = [kind for item in merged for kind in item.events]
    clauses = tuple(dict.fromkeys(item.clause for item in merged))
    return Question(text.strip(), clauses, _rest(words, left), tuple(dict.fromkeys(events)))


def normalised(text: str) -> str:
    """Lower case, one space between words, plain signs, one spelling."""
    for sign, plain in (("₂", "2"), ("’", "'"), ("‘", "'"), ("“", '"'), ("”", '"'), ("μ", "µ"), ("％", "%")):
        text = text.replace(sign, plain)
    for sign in '()[]"':
        text = text.replace(sign, " ")
    return spelled(" ".join(text.lower().split()).rstrip(" ?!."))


def _items(words: str) -> tuple[list[Item], str]:
    """Take one kind of thing after another out of the sentence; each sees what the others left."""
    found: list[Item] = []
    left = words

    def take(start: int, end: int, asked: Asked, kind: str) -> None:
        nonlocal left
        if any(letter in (TAKEN, HIDDEN) for letter in left[start:end]):
            return
        found.append(Item(start, end, kind, asked.clause, asked.negated, asked.events))
        left = left[:start] + TAKEN * (end - start) + left[end:]

    for start, end, clause in (*clock_clauses(left), *night_part_clauses(left)):
        take(start, end, Asked(clause), "clock")
    for start, end, asked in figure_clauses(left):
        take(start, end, asked, "figure")
    for start, end in counted_figures.masked(left):
        left = left[:start] + left[start:end].translate(_Hide()) + left[end:]
    for kind, rule in _RULES:
        for start, end, asked in sorted(rule(left), key=lambda row: (row[0] - row[1], row[0])):
            take(start, end, asked, kind)
    return sorted(found, key=lambda item: item.start), left


class _Hide(dict[int, str]):
    """Translates every letter that is not taken into `HIDDEN`."""

    def __missing__(self, key: int) -> str:
        return TAKEN if chr(key) == TAKEN else HIDDEN


def _named(table: Sequence[tuple[str, tuple[str, ...]]], column: str) -> Rule:
    """A rule for names of values of a text column."""

    def rule(words: str) -> Iterator[tuple[int, int, Asked]]:
        left = words
        for pattern, values in table:
            for match in _naming(pattern).finditer(left):
                negated = match["not"] is not None
                parts = tuple(Condition(column, "!=" if negated else "=", value) for value in values)
                yield match.start(), match.end(), Asked(Clause(parts, all_of=negated), negated)
                left = left[: match.start()] + TAKEN * (match.end() - match.start()) + left[match.end() :]

    return rule


@cache
def _naming(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?:(?P<not>{NOT})|(?<![\w-]))(?:{pattern})(?![\w-])")


_RULES: tuple[tuple[str, Rule], ...] = (
    ("channel", channel_clauses),
    ("stage", _named(STAGES_ASKED, "stage")),
    ("position", _named(POSITIONS_ASKED, "position")),
    ("event", event_clauses),
    ("figure", counted_figures),
)


def _with_carried_negations(items: Sequence[Item], words: str) -> list[Item]:
    """Let `no` be said of the whole of a list: `without apneas or hypopneas`, `not N2 or N3`."""
    carried: list[Item] = []
    for item in items:
        before = carried[-1] if carried else None
        if before is not None and before.negated and not item.negated and before.kind == item.kind != "figure":
            between = words[before.end : item.start]
            if between.strip() and _CARRIES.fullmatch(between):
                item = Item(item.start, item.end, item.kind, item.clause.opposite(), True)
        carried.append(item)
    return carried


def _merged(items: Sequence[Item], words: str) -> list[Item]:
    """Join what an `or` stands between, and values that exclude each other: an epoch has one stage and one position."""
    merged: list[Item] = []
    for item in items:
        before = merged[-1] if merged else None
        if before is not None and not (before.negated and item.negated):
            between = _JOIN.fullmatch(words[before.end : item.start])
            if between is not None and between["join"] in ("or", "and/or", "/"):
                merged[-1] = _joined(before, item)
                continue
        exclusive = [n for n, other in enumerate(merged) if _excludes(other, item)]
        if exclusive:
            merged[exclusive[0]] = _narrowed(merged[exclusive[0]], item)
            continue
        merged.append(item)
    return merged


def _excludes(one: Item, other: Item) -> bool:
    return one.kind == other.kind in ("stage", "position") and not one.negated and not other.negated


def _narrowed(one: Item, other: Item) -> Item:
    """Two names of a stage or position: either; of `sleep, N1 or N2`, where one holds the other in it, the narrower."""
    first, second = (set(item.clause.parts) for item in (one, other))
    if first >= second or second >= first:
        narrow = one if second >= first else other
        return Item(one.start, max(one.end, other.end), one.kind, narrow.clause)
    return _joined(one, other)


def _joined(one: Item, other: Item) -> Item:
    kind = one.kind if one.kind == other.kind else "mixed"
    clause = one_of((one.clause, other.clause))
    events = tuple(dict.fromkeys((*one.events, *other.events)))
    return Item(one.start, max(one.end, other.end), kind, clause, one.negated and other.negated, events)


def _rest(words: str, left: str) -> str:
    """What no rule took, piece by piece, without empty words at the ends of a piece."""
    pieces = []
    for match in re.finditer(rf"[^{TAKEN}]+", left):
        piece = words[match.start() : match.end()].strip(" ,;:.")
        tokens = piece.split()
        while tokens and _is_empty(tokens[0]):
            tokens.pop(0)
        while tokens and (_is_empty(tokens[-1]) or re.fullmatch(r"no|not|without|nor|neither", tokens[-1])):
            tokens.pop()
        if any(len(re.findall("[a-z]", token)) > 1 for token in tokens) or re.search(r"[<>≤≥]\s*\d", piece):
            pieces.append(" ".join(tokens).strip(" ,;:."))
    return ", ".join(pieces)


def _is_empty(token: str) -> bool:
    bare = token.strip(",;:.()\"'-&/")
    return not bare or bare in LEFT_OVER
