"""Captions back into facts: what a caption claims, whoever wrote it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from core.language.grammar import read_sentence, sentences
from core.language.missing import read_missing
from core.language.phrases import (
    EVENTS_UNSCORED,
    NO_EVENTS,
    NONE_BY_RULE,
    NOTHING_NOTABLE,
    OTHERS_UNSCORED,
    RULE_NOUNS,
    STAGE_NAMES,
    STAGE_UNKNOWN,
    STAGE_WORDINGS,
    UNRELIABLE,
)
from core.language.sites import hide_sites
from core.language.timeline import find_events, read_event, read_trends
from core.language.trends import Trend
from core.language.words import read_words
from core.psg.scoring import Event


@dataclass(frozen=True)
class CaptionFacts:
    """What one caption claims."""

    stage: str | None = None
    """`W N1 N2 N3 R`, or None where the caption names none."""
    values: dict[str, float] = field(default_factory=dict)
    """Figures by measurement name, in the unit of `MEASUREMENTS`."""
    slots: tuple[str, ...] = ()
    """Measurement names that stand as slots that are not filled in."""
    events: tuple[Event, ...] = ()
    """Events, onset and duration in seconds of the epoch."""
    trends: tuple[Trend, ...] = ()
    """Heart-rate and oxygen trends, seconds of the epoch."""
    missing: dict[str, str] = field(default_factory=dict)
    """Channels that the caption calls unusable, with their state."""
    sites: dict[str, str] = field(default_factory=dict)
    """Channels that another signal stands in for, with its name."""
    words: frozenset[str] = frozenset()
    """Clinical concepts that the caption names without figures."""
    no_events: bool = False
    """The caption says that the epoch has no event."""
    events_unscored: bool = False
    """The caption says that (other) events are not scored."""
    none_found: tuple[str, ...] = ()
    """What rules looked for and did not find: `breathing`, `desaturation`."""
    stage_unscored: bool = False
    """The caption says that the stage is not scored."""
    unreliable: bool = False
    """The caption says that nothing could be measured reliably."""
    nothing_notable: bool = False
    """The caption says in words that no value has a clinical name."""
    unparsed: tuple[str, ...] = ()
    """Sentences, or parts of lists, that were not understood."""


def _one_of(bank: tuple[str, ...], text: str) -> bool:
    return text.lower() in (wording.lower() for wording in bank)


def is_unreliable(text: str) -> bool:
    """Whether a sentence says that nothing could be measured reliably."""
    return _one_of(UNRELIABLE, text)


_RULED_OUT = re.compile("|".join(wording.format("(.+)") for wording in NONE_BY_RULE), re.IGNORECASE)


def _ruled_out(text: str) -> tuple[str, ...]:
    """What a sentence says that rules looked for in vain; empty where it says nothing of the kind."""
    found = _RULED_OUT.fullmatch(text)
    named = set(re.split(r", | or ", next(part for part in found.groups() if part).lower())) if found else set()
    kinds = tuple(kind for kind, nouns in RULE_NOUNS.items() if named.issuperset(nouns))
    return kinds if named == {noun for kind in kinds for noun in RULE_NOUNS[kind]} else ()


_STAGES = {name.lower(): stage for stage, name in STAGE_NAMES.items()}
_STAGE_SENTENCE = re.compile(
    "|".join(
        re.escape(wording).replace(re.escape("{}"), f"({'|'.join(re.escape(name) for name in _STAGES)})")
        for wording in STAGE_WORDINGS
    ),
    re.IGNORECASE,
)


def read_stage(text: str) -> str | None:
    """The stage that a sentence states in the published wording; None where it states none."""
    found = _STAGE_SENTENCE.fullmatch(text)
    if found is None:
        return None
    return next(_STAGES[name.lower()] for name in found.groups() if name)


def find_stage(text: str) -> str | None:
    """The stage whose published wording stands anywhere in a text; None where none or several do."""
    lowered = text.lower()
    found = []
    for name in sorted(_STAGES, key=len, reverse=True):
        if re.search(rf"\b{re.escape(name)}(?!\w)", lowered):
            lowered = lowered.replace(name, "")
            found.append(_STAGES[name])
    return found[0] if len(found) == 1 else None


_NEGATED = re.compile(r"\b(?:no|without(?! effort)|absence of)\b.*?(?=\bbut\b|;|$)", re.IGNORECASE)


class _Reading:
    """Gathers what the sentences of one caption claim; the first claim of a kind holds."""

    def __init__(self, domain: str) -> None:
        self.domain = domain
        self.stage: str | None = None
        self.values: dict[str, float] = {}
        self.slots: list[str] = []
        self.events: list[Event] = []
        self.trends: list[Trend] = []
        self.missing: dict[str, str] = {}
        self.sites: dict[str, str] = {}
        self.words: set[str] = set()
        self.unparsed: list[str] = []
        self.none_found: tuple[str, ...] = ()
        self.said = dict.fromkeys(
            ("no_events", "events_unscored", "stage_unscored", "unreliable", "nothing_notable"), False
        )

    def take(self, text: str) -> None:
        """Understand one sentence, or note that it was not understood."""
        text, sites = hide_sites(text)
        self.sites |= sites
        whole = self.domain == "stage_event"
        if self._take_stage_event(text) if whole else self._take_channel(text):
            return
        stage, words = read_words(_NEGATED.sub("", text) if whole else text, self.domain)
        events = find_events(text) if whole else ()
        if whole:
            stage = stage or find_stage(text)
        self.words |= words - {event.type for event in events}
        self.stage = self.stage or stage
        self._add(events)
        if whole and not words and not events and re.search(r"\bno\b.*\bevents?\b", text, re.IGNORECASE):
            self.said["no_events"] = True
        elif not words and stage is None and not events:
            self.unparsed.append(text)

    def _add(self, events: Iterable[Event]) -> None:
        self.events += [event for event in events if event not in self.events]

    def _take_stage_event(self, text: str) -> bool:
        stage = read_stage(text)
        event = read_event(text)
        ruled_out = _ruled_out(text)
        if ruled_out:
            self.none_found = ruled_out
            return True
        for key, bank in (
            ("stage_unscored", STAGE_UNKNOWN),
            ("no_events", NO_EVENTS),
            ("events_unscored", EVENTS_UNSCORED + OTHERS_UNSCORED),
        ):
            if _one_of(bank, text):
                self.said[key] = True
                return True
        if stage is not None:
            self.stage = self.stage or stage
        elif event is not None:
            self._add((event,))
        return stage is not None or event is not None

    def _take_channel(self, text: str) -> bool:
        missing = read_missing(text)
        if missing:
            self.missing |= missing
            return True
        for key, bank in (("unreliable", UNRELIABLE), ("nothing_notable", NOTHING_NOTABLE)):
            if _one_of(bank, text):
                self.said[key] = True
                return True
        trends = read_trends(text) if self.domain == "cardiac" else ()
        if trends:
            self.trends += trends
            return True
        told = read_sentence(text, self.domain)
        if told is None:
            return False
        for name, value in told.values.items():
            if value is None:
                self.slots.append(name)
            else:
                self.values.setdefault(name, value)
        for part in told.rest:
            _, words = read_words(part, self.domain)
            self.words |= words
            if not words:
                self.unparsed.append(part)
        return True


def read_back(caption: str, domain: str) -> CaptionFacts:
    """Read the facts that a caption claims.

    Understands the numbers, slots and words forms, in any letter case, from the templates or from a model. What is not
    understood is listed in `unparsed`; nothing is ever refused.

    Parameters
    ----------
    caption
        The text.
    domain
        The caption's domain.
    """
    reading = _Reading(domain)
    for text in sentences(caption):
        reading.take(text)
    return CaptionFacts(
        stage=reading.stage,
        values=reading.values,
        slots=tuple(dict.fromkeys(reading.slots)),
        events=tuple(reading.events),
        trends=tuple(reading.trends),
        missing=reading.missing,
        sites=reading.sites,
        none_found=reading.none_found,
        words=frozenset(reading.words),
        unparsed=tuple(reading.unparsed),
        **reading.said,
    )
