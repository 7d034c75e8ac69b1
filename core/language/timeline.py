"""Sentences with times inside the epoch: events and trends, written and read."""

import re
from collections.abc import Sequence
from functools import cache
from random import Random

from core.language.facts import EPOCH_SECONDS, time_token
from core.language.grammar import SEPARATOR, joined, sentence
from core.language.phrases import EVENT_NAMES, EVENT_WORDINGS, TREND_LEADS, TREND_VERBS
from core.language.trends import Trend
from core.psg.scoring import Event

_TIME = r"(?:<t_\d+(?:\.\d+)?>|\d+(?:\.\d+)?)"
_SPAN = rf"(?P<start>{_TIME})\s*(?:s\s*)?(?:to|-)\s*(?P<end>{_TIME})(?:\s*s\b)?"
_TOKEN_SPAN = re.compile(r"<t_(\d+\.\d)>\s*to\s*<t_(\d+\.\d)>(\s*s\b)?")
_TOKEN = re.compile(r"<t_(\d+\.\d)>(\s*s\b)?")


def span_text(start: float, end: float, slots: bool) -> str:
    """A span of seconds: `12.5 to 24.0 s`, or two time tokens."""
    if slots:
        return f"{time_token(start)} to {time_token(end)}"
    return f"{start:.1f} to {end:.1f} s"


def fill_times(text: str) -> str:
    """Replace time tokens by seconds: `from <t_12.5> to <t_24.0>` gives `from 12.5 to 24.0 s`."""
    return _TOKEN.sub(r"\1 s", _TOKEN_SPAN.sub(r"\1 to \2 s", text))


def _seconds(text: str) -> float:
    value = float(text[3:-1] if text.startswith("<") else text)
    return min(max(value, 0.0), EPOCH_SECONDS)


def _read_span(found: re.Match[str]) -> tuple[float, float] | None:
    start, end = _seconds(found["start"]), _seconds(found["end"])
    return (start, end) if end >= start else None


def event_sentence(event: Event, rng: Random | None, slots: bool) -> str:
    """One sentence about one event, its times relative to the epoch; the plainest wording without `rng`."""
    article, noun = EVENT_NAMES[event.type]
    bank = EVENT_WORDINGS[:2] if slots else EVENT_WORDINGS
    wording = bank[0] if rng is None else rng.choice(bank)
    span = span_text(event.onset, event.onset + event.duration, slots)
    return sentence(wording.format(article=article, noun=noun, span=span))


@cache
def _event_pattern() -> re.Pattern[str]:
    nouns = "|".join(re.escape(noun) for _, noun in sorted(EVENT_NAMES.values(), key=lambda entry: -len(entry[1])))
    return re.compile(
        rf"(?:there is )?(?:from {_SPAN.replace('start', 'first').replace('end', 'last')} there is )?"
        rf"(?:an? )?(?P<noun>{nouns})(?: occurs| lasts)?(?: from)?(?: {_SPAN})?",
        re.IGNORECASE,
    )


_TYPES = {noun: kind for kind, (_, noun) in EVENT_NAMES.items()}


def read_event(text: str) -> Event | None:
    """The event that a sentence tells, onset and duration in seconds of the epoch; None where it tells none.

    An event whose times are absent or run backwards is not an event that can be placed: None.
    """
    found = _event_pattern().fullmatch(text)
    if found is None:
        return None
    before = found["first"] is not None
    if before == (found["start"] is not None):
        return None
    start, end = _seconds(found["first" if before else "start"]), _seconds(found["last" if before else "end"])
    return Event(_TYPES[found["noun"].lower()], start, end - start) if end >= start else None


def find_events(text: str) -> tuple[Event, ...]:
    """Every event with its times in a sentence that is none of the bank's.

    Two sentences run together, or another author's wording: "between 3.0 and 9.5 seconds", "at 3.0 s, lasting 6.5 s".
    Events and times are paired in order; several times after one event are several events of its type.
    """
    types = [_NAMES[match.lower().removesuffix("s")] for match in _names().findall(text)]
    spans = []
    for found in _FREE_SPAN.finditer(text):
        start, second = _seconds(found["start"]), _seconds(found["second"])
        end = min(start + second, EPOCH_SECONDS) if found["lasting"] else second
        if end >= start:
            spans.append((start, end))
    if len(types) == 1:
        types *= len(spans)
    if len(types) != len(spans):
        return ()
    return tuple(Event(kind, start, end - start) for kind, (start, end) in zip(types, spans, strict=True))


_UNIT = r"(?:\s*(?:seconds?|secs?|s)\b)?"
_FREE_SPAN = re.compile(
    rf"(?P<start>{_TIME}){_UNIT}\s*,?\s*(?:(?P<lasting>(?:and )?(?:lasting|lasts|for)(?: about)?)"
    rf"|to|and|until|through|–|-)\s*(?:at )?(?P<second>{_TIME}){_UNIT}",
    re.IGNORECASE,
)
_NAMES = {noun.lower(): kind for kind, (_, noun) in EVENT_NAMES.items()}
_NAMES |= {
    "obstructive apnoea": "obstructive_apnea",
    "central apnoea": "central_apnea",
    "mixed apnoea": "mixed_apnea",
    "hypopnoea": "hypopnea",
    "rera": "rera",
    "desaturation": "desaturation",
    "leg movement": "limb_movement",
}


@cache
def _names() -> re.Pattern[str]:
    nouns = "|".join(re.escape(noun) for noun in sorted(_NAMES, key=len, reverse=True))
    return re.compile(rf"\b(?:{nouns})s?\b", re.IGNORECASE)


def trend_sentence(trends: Sequence[Trend], rng: Random | None, slots: bool) -> str:
    """One sentence about the trends of one quantity, in order of time; the plainest wording without `rng`."""
    leads = TREND_LEADS[trends[0].quantity]
    lead = leads[0] if rng is None or slots else rng.choice(leads)
    parts = []
    for trend in trends:
        verbs = TREND_VERBS[trend.direction]
        verb = verbs[0] if rng is None or slots else rng.choice(verbs)
        parts.append(f"{verb} from {span_text(trend.start, trend.end, slots)}")
    then = not slots and rng is not None and rng.random() < 0.5
    told = ", ".join(parts) if slots else ", then ".join(parts) if then else joined(parts)
    return sentence(f"{lead} {told}")


@cache
def _trend_patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    leads = sorted((lead for group in TREND_LEADS.values() for lead in group), key=len, reverse=True)
    verbs = "|".join(verb for group in TREND_VERBS.values() for verb in group)
    return (
        re.compile(rf"(?P<lead>{'|'.join(leads)})\s+(?P<parts>(?:{verbs})\s+from\s.+)", re.IGNORECASE),
        re.compile(rf"(?P<verb>{verbs})\s+from\s+{_SPAN}", re.IGNORECASE),
    )


_QUANTITIES = {lead.lower(): quantity for quantity, leads in TREND_LEADS.items() for lead in leads}
_DIRECTIONS = {verb: direction for direction, verbs in TREND_VERBS.items() for verb in verbs}


def read_trends(text: str) -> tuple[Trend, ...]:
    """The trends that a sentence tells, `start` and `end` in seconds of the epoch; empty where it tells none."""
    sentence_pattern, part_pattern = _trend_patterns()
    found = sentence_pattern.fullmatch(text)
    if found is None:
        return ()
    quantity = _QUANTITIES[found["lead"].lower()]
    trends = []
    for part in SEPARATOR.split(found["parts"]):
        match = part_pattern.fullmatch(part.strip())
        span = None if match is None else _read_span(match)
        if match is not None and span is not None:
            trends.append(Trend(quantity, _DIRECTIONS[match["verb"].lower()], *span))
    return tuple(trends)
