"""The sentences of captions in slot form, domain by domain: the language that a decoder may be held to."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import combinations, product

from core.language.facts import EpochFacts
from core.language.grammar import render, sentence
from core.language.missing import CHANNELS_OF_DOMAIN, missing_sentence
from core.language.phrases import (
    EVENT_NAMES,
    EVENT_WORDINGS,
    EVENTS_UNSCORED,
    GROUPS,
    NO_EVENTS,
    STAGE_NAMES,
    STAGE_WORDINGS,
    TREND_LEADS,
    TREND_VERBS,
    UNRELIABLE,
    Group,
)
from core.language.timeline import trend_sentence
from core.language.trends import MOST_SEGMENTS, Trend
from core.psg.quality import State

TIME = "<t_0.0>"
"""Stands for any time token; the second of a span is not earlier than the first."""
_SPAN = f"{TIME} to {TIME}"
_STAGE, _EVENT, _NONE = "stage", "event", "no events"


@dataclass(frozen=True)
class SlotSentence:
    """One sentence that may stand in a caption."""

    text: str
    """In slot form, each of its times written as `TIME`."""
    key: str
    """What it tells; of two sentences with one key a caption holds one, events excepted."""


@cache
def slot_sentences(domain: str) -> tuple[SlotSentence, ...]:
    """Every sentence of a domain; of missing channels those that are all in one state."""
    if domain == "stage_event":
        return tuple(_stage_and_events())
    told = [one for group in GROUPS if group.domain == domain for one in _statistics(group)]
    if domain == "cardiac":
        told += _trends()
    told += [SlotSentence(sentence(text), "unreliable") for text in UNRELIABLE]
    return (*told, *_missing(domain))


def keys_after(domain: str, told: frozenset[str]) -> frozenset[str]:
    """What a caption may tell next, given what it has told."""
    if domain != "stage_event":
        return frozenset(one.key for one in slot_sentences(domain)) - told
    if _STAGE not in told:
        return frozenset({_STAGE})
    if _NONE in told:
        return frozenset()
    return frozenset({_EVENT}) if _EVENT in told else frozenset({_EVENT, _NONE})


def may_end(domain: str, told: frozenset[str]) -> bool:
    """Whether a caption that has told so much is whole: the stage and its events, or anything of a channel's."""
    return bool(told) and (domain != "stage_event" or told > {_STAGE})


def _stage_and_events() -> Iterator[SlotSentence]:
    for wording, name in product(STAGE_WORDINGS[:2], STAGE_NAMES.values()):
        yield SlotSentence(sentence(wording.format(name)), _STAGE)
    for text in (*NO_EVENTS[:2], EVENTS_UNSCORED[0]):
        yield SlotSentence(sentence(text), _NONE)
    for wording, (article, noun) in product(EVENT_WORDINGS[:2], EVENT_NAMES.values()):
        yield SlotSentence(sentence(wording.format(article=article, noun=noun, span=_SPAN)), _EVENT)


def _statistics(group: Group) -> Iterator[SlotSentence]:
    for count in range(1, len(group.names) + 1):
        for names in combinations(group.names, count):
            values = {name: f"<{name}>" for name in names}
            wholes = group.wholes[: group.terse_wholes] if count == len(group.names) else ()
            for wording in (*group.lists[: group.terse_lists], *wholes):
                yield SlotSentence(render(group, wording, values), group.key)


def _trends() -> Iterator[SlotSentence]:
    for quantity in TREND_LEADS:
        for count in range(1, MOST_SEGMENTS + 1):
            for directions in product(TREND_VERBS, repeat=count):
                told = [Trend(quantity, direction, 0.0, 0.0) for direction in directions]
                yield SlotSentence(trend_sentence(told, None, slots=True), f"{quantity} trend")


def _missing(domain: str) -> Iterator[SlotSentence]:
    channels = CHANNELS_OF_DOMAIN[domain]
    states = [state.name.lower() for state in State if state not in (State.OK, State.CLIPPED)]
    for count in range(1, len(channels) + 1):
        for names, state in product(combinations(channels, count), states):
            text = missing_sentence(EpochFacts(None, {}, unusable=dict.fromkeys(names, state)), domain)
            yield SlotSentence(text, "missing")
