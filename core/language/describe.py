"""Facts of an epoch as captions: five domains, three levels, three forms.

The levels are the statistics of a channel, the events and trends with their times inside the epoch, and the stage. The
forms are figures, special tokens that the runtime fills in, and clinical words without digits. What is written
follows the facts alone: the seed chooses among wordings that say the same.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from itertools import groupby
from random import Random

import numpy as np
from numpy.typing import NDArray

from core.errors import UsageError
from core.language.describe_night import describe_night
from core.language.facts import DOMAINS, FORMS, LEVELS, SLOTS, TIME_TOKENS, EpochFacts, epoch_facts, of_the_ecg
from core.language.grammar import Told, choose_wording, joined, read_sentence, render, sentence, sentences, value_texts
from core.language.measurements import MEASUREMENTS
from core.language.missing import CHANNELS_OF_DOMAIN, missing_sentence, read_missing
from core.language.phrases import (
    EVENTS_UNSCORED,
    GROUPS,
    NO_EVENTS,
    NONE_BY_RULE,
    OTHERS_UNSCORED,
    RULE_NOUNS,
    STAGE_NAMES,
    STAGE_UNKNOWN,
    STAGE_WORDINGS,
    UNRELIABLE,
)
from core.language.read_back import is_unreliable
from core.language.sites import hide_sites, show_sites
from core.language.timeline import event_sentence, fill_times, read_event, read_trends, trend_sentence
from core.language.trends import Trend
from core.language.values import POSITIONS, value_text
from core.language.words import describe_in_words

__all__ = [
    "DOMAINS",
    "FORMS",
    "LEVELS",
    "SLOTS",
    "TIME_TOKENS",
    "EpochFacts",
    "describe",
    "describe_night",
    "epoch_facts",
    "fill_slots",
    "sayable",
    "sayable_columns",
]

_SAID_IN = {"spindle": ("N1", "N2", "N3"), "slow_wave": ("N2", "N3")}
"""Stages in which a detection bears its name: AASM defines N2 by spindles (which the end of an N1 epoch may hold) and
N3 by slow waves, and asks for the absence of spindles in R; elsewhere the detectors find alpha, artefact and sweat."""

_NEEDS_ALL = ("effort_phase",)
_TREND_CHANNEL = {"heart_rate": "ECG", "spo2": "SPO2"}


@lru_cache(maxsize=4096)
def _lost_names(unusable: frozenset[str]) -> frozenset[str]:
    """The measurements that cannot be taken without these channels."""
    names = set()
    for name, measurement in MEASUREMENTS.items():
        gone = [channel in unusable for channel in measurement.channels]
        if any(gone) if name in _NEEDS_ALL else gone and all(gone):
            names.add(name)
    return frozenset(names)


@cache
def _foreign_names(stage: str | None) -> frozenset[str]:
    """The measurements of graphoelements that are not said in a stage."""
    return frozenset(
        name
        for name in MEASUREMENTS
        for kind, stages in _SAID_IN.items()
        if name.startswith(kind) and stage not in stages
    )


def sayable(facts: EpochFacts) -> EpochFacts:
    """The facts that may be told.

    Without the values and trends of channels that cannot be used, without unknown positions, and without spindles and
    slow waves outside the stages that they belong to (in an unscored epoch nothing is claimed of either).
    """
    unusable = frozenset(facts.unusable)
    lost = _lost_names(unusable - {"ECG"} if "ECG" in facts.sites else unusable) | _foreign_names(facts.stage)
    values = {name: value for name, value in facts.values.items() if name in MEASUREMENTS and name not in lost}
    if not 0 <= round(values.get("position", -1.0)) < len(POSITIONS):
        values.pop("position", None)
    trends = tuple(trend for trend in facts.trends if not _is_lost(trend, facts))
    return replace(facts, values=values, trends=trends)


def sayable_columns(values: Mapping[str, NDArray[np.float32]], stages: Sequence[str]) -> dict[str, NDArray[np.float32]]:
    """A night's measurements as captions tell them: NaN in the epochs whose caption does not say the value.

    Parameters
    ----------
    values
        Measurement name to values, shape (epochs,), NaN where there is none.
    stages
        One an epoch; `?` where not known.
    """
    foreign = [_foreign_names(stage if stage in STAGE_NAMES else None) for stage in stages]
    columns = {}
    for name, column in values.items():
        silent = np.array([name in names for names in foreign], dtype=bool)
        if name == "position":
            silent |= ~((column >= 0) & (column < len(POSITIONS)))
        columns[name] = np.where(silent, np.float32(np.nan), column)
    return columns


def _is_lost(trend: Trend, facts: EpochFacts) -> bool:
    channel = _TREND_CHANNEL[trend.quantity]
    return channel in facts.unusable and channel not in facts.sites


def describe(facts: EpochFacts, domain: str, seed: int, form: str = "numbers", levels: Collection[str] = LEVELS) -> str:
    """Write the caption of one epoch and domain.

    Parameters
    ----------
    facts
        What is known of the epoch.
    domain
        One of `DOMAINS`.
    seed
        Chooses the wording; the same seed, facts, domain and form give the same text in every process.
    form
        `numbers`, `slots` or `words`.
    levels
        The kinds of sentences to write, of `LEVELS`; a level left out leaves its sentences out.

    Raises
    ------
    UsageError
        The domain or the form does not exist.
    """
    if domain not in DOMAINS:
        raise UsageError(f"There is no caption domain '{domain}'.", f"Choose one of {', '.join(DOMAINS)}.")
    if form not in FORMS:
        raise UsageError(f"There is no caption form '{form}'.", f"Choose one of {', '.join(FORMS)}.")
    rng = Random(f"{seed}/{domain}/{form}")
    known = sayable(of_the_ecg(facts) if form == "slots" else facts)
    if form == "words":
        return describe_in_words(known, domain, rng, levels)
    slots = form == "slots"
    if domain == "stage_event":
        return " ".join(_stage_and_events(known, rng, slots, levels))
    return " ".join(_channel_sentences(known, domain, rng, slots, levels))


def _stage_and_events(facts: EpochFacts, rng: Random, slots: bool, levels: Collection[str]) -> list[str]:
    told = []
    if "stage" in levels:
        if facts.stage is None:
            told.append(sentence(STAGE_UNKNOWN[0] if slots else rng.choice(STAGE_UNKNOWN)))
        else:
            wording = rng.choice(STAGE_WORDINGS[:2] if slots else STAGE_WORDINGS)
            told.append(sentence(wording.format(STAGE_NAMES[facts.stage])))
    if "event" in levels:
        told += [event_sentence(event, rng, slots) for event in facts.events]
        if not facts.events_scored:
            absent = () if slots else facts.not_found
            if absent:
                nouns = [noun for kind in absent for noun in RULE_NOUNS[kind]]
                told.append(sentence(rng.choice(NONE_BY_RULE).format(joined(nouns, "or"))))
            bank = OTHERS_UNSCORED if facts.events or absent else EVENTS_UNSCORED
            told.append(sentence(bank[0] if slots else rng.choice(bank)))
        elif not facts.events:
            told.append(sentence(NO_EVENTS[0] if slots else rng.choice(NO_EVENTS)))
    return told


def _channel_sentences(facts: EpochFacts, domain: str, rng: Random, slots: bool, levels: Collection[str]) -> list[str]:
    told = []
    if "channel" in levels:
        for group in GROUPS:
            texts = value_texts(group, facts.values, slots) if group.domain == domain else {}
            if texts:
                wording = choose_wording(group, tuple(texts), rng, slots)
                sites = {} if slots else facts.sites
                told.append(render(group, wording, texts, slots or rng.random() < 0.5, sites))
    if "event" in levels and domain == "cardiac":
        told += [trend_sentence(trends, rng, slots) for trends in _by_quantity(facts.trends)]
    return told + _absences(facts, domain, bool(told), None if slots else rng, slots)


def _by_quantity(trends: Iterable[Trend]) -> list[list[Trend]]:
    ordered = sorted(trends, key=lambda trend: (trend.quantity, trend.start))
    return [list(group) for _, group in groupby(ordered, key=lambda trend: trend.quantity)]


def _absences(facts: EpochFacts, domain: str, told: bool, rng: Random | None, slots: bool = False) -> list[str]:
    """What is missing, and that nothing is reliable where a channel is there and yet nothing was told."""
    missing = missing_sentence(replace(facts, sites={}) if slots else facts, domain, rng)
    lost = all(channel in facts.unusable for channel in CHANNELS_OF_DOMAIN[domain])
    unreliable = [] if told or lost else [sentence(UNRELIABLE[0] if rng is None else rng.choice(UNRELIABLE))]
    return unreliable + ([missing] if missing else [])


def fill_slots(text: str, facts: EpochFacts, domain: str | None = None) -> str:
    """Write the measured values into a caption with slots.

    A sentence of the bank is written anew with those of its values that are known, whatever figure stood there; time
    tokens become seconds, and a signal that stands in for a channel is named. A sentence with a slot without a value is
    dropped where it cannot be rephrased, and so is one that is told twice. What the text says about missing channels is
    replaced by what is missing in the facts.

    Parameters
    ----------
    text
        A caption in slot form, such as a decoder's output; lower case and broken sentences are allowed.
    facts
        The epoch's facts.
    domain
        The caption's domain; by default the one that its sentences belong to.
    """
    return " ".join(part for part, _ in filled_sentences(text, sayable(facts), domain))


def filled_sentences(text: str, known: EpochFacts, domain: str | None = None) -> list[tuple[str, bool]]:
    """Write the measured values into a caption with slots; see `fill_slots`.

    Parameters
    ----------
    text
        A caption in slot form.
    known
        What may be told of the epoch, as `sayable` gives it.
    domain
        As of `fill_slots`.

    Returns
    -------
    list
        Each sentence, and whether it is one of the bank's with measured values and no other figure.
    """
    told: dict[str, tuple[str, bool]] = {}
    domains: list[str] = []
    for raw, about, found in _slot_sentences(text, domain):
        domains += about
        if found is None and not raw:
            continue
        key, filled = (
            (f"group {found.group.key}", _fill_told(found, known)) if found else (raw, _fill_other(raw, known))
        )
        if filled:
            told.setdefault(key, (filled, found is not None))
    chosen = domain or (domains[0] if domains else "stage_event")
    return [*told.values(), *((part, False) for part in _absences(known, chosen, bool(told), None))]


@lru_cache(maxsize=1024)
def _slot_sentences(text: str, domain: str | None) -> tuple[tuple[str, tuple[str, ...], Told | None], ...]:
    """Give each sentence (empty where it says what is missing), the domains it is about, and how the bank reads it.

    A night's texts are few, each written many times.
    """
    parts: list[tuple[str, tuple[str, ...], Told | None]] = []
    for written in sentences(text):
        raw, _ = hide_sites(written)
        missing = read_missing(raw)
        found = None
        if missing or is_unreliable(raw):
            raw, about = "", _domains_of_channels(missing)
        elif (found := read_sentence(raw, domain)) is not None:
            about = [found.group.domain]
        else:
            about = [MEASUREMENTS[name].domain for name in MEASUREMENTS if f"<{name}>" in raw]
        parts.append((raw, tuple(about), found))
    return tuple(parts)


def _domains_of_channels(channels: Iterable[str]) -> list[str]:
    return [domain for domain, names in CHANNELS_OF_DOMAIN.items() if any(name in names for name in channels)]


def _fill_told(told: Told, facts: EpochFacts) -> str:
    texts = {name: value_text(name, facts.values[name]) for name in told.values if name in facts.values}
    return render(told.group, told.wording, texts, sites=facts.sites) if texts else ""


def _fill_other(raw: str, facts: EpochFacts) -> str:
    """A sentence that is not about a channel's statistics: trends, events, the stage, or unknown to the bank."""
    event = read_event(raw)
    if event is not None:
        return event_sentence(event, None, slots=False)
    trends = read_trends(raw)
    if trends and _is_lost(trends[0], facts):
        return ""
    if trends:
        return trend_sentence(trends, None, slots=False)
    for name in MEASUREMENTS:
        slot = f"<{name}>"
        if slot in raw:
            if name not in facts.values:
                return ""
            raw = raw.replace(slot, value_text(name, facts.values[name]))
    return sentence(fill_times(show_sites(_cased(raw), facts.sites)))


def _cased(raw: str) -> str:
    for name in STAGE_NAMES.values():
        start = raw.lower().find(name.lower())
        if start >= 0:
            return raw[:start] + name + raw[start + len(name) :]
    return raw
