"""The words that full-text search knows of an epoch: what captions say of it, in every wording, without figures."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from math import log

from core.language.describe import sayable
from core.language.facts import DOMAINS, EpochFacts
from core.language.phrases import STAGE_NAMES
from core.language.thresholds import searched_concepts
from core.language.words import CONCEPT_WORDS, EVENT_WORDS, STAGE_WORDS

_EMPTY = (
    "a an and any are as at be been but by during each epoch epochs every find for from give had has have he her his "
    "i in into is it its list look me moment moments my night nights of on or our part parts patient patients period "
    "periods please recording recordings section sections segment segments show she some study studies subject "
    "subjects than that the their them there they this those time times to was we were what when where which while "
    "who whose with within you"
)
STOP_WORDS = frozenset(_EMPTY.split())
"""Words that say nothing of an epoch: neither stored nor searched for."""

SYNONYMS: Mapping[str, str] = {
    **dict.fromkeys(("loss", "lost", "absence", "lack", "lacking", "absent", "missing", "no"), "without"),
    **dict.fromkeys(("hypotonia", "flaccid"), "atonia"),
    **dict.fromkeys(("saturation", "spo2", "o2"), "oxygen"),
    **dict.fromkeys(("apnoea",), "apnea"),
    **dict.fromkeys(("hypopnoea",), "hypopnea"),
    **dict.fromkeys(("respiration", "respiratory", "breath"), "breathing"),
    **dict.fromkeys(("cardiac", "pulse", "beat"), "heart"),
    **dict.fromkeys(("rem", "saccade", "saccadic"), "rapid"),
    **dict.fromkeys(("awake", "wakefulness"), "wake"),
    **dict.fromkeys(("elevated", "increased", "high"), "raised"),
    **dict.fromkeys(("reduced", "decreased", "diminished"), "low"),
    **dict.fromkeys(("hypoxemia", "hypoxia", "hypoxic"), "hypoxaemia"),
    **dict.fromkeys(("irregular", "unsteady", "variable"), "uneven"),
}
"""Words that are searched for, and stored, as another."""


def tokens_of(text: str) -> tuple[str, ...]:
    """The words of a text that a search compares: lower case, singular, without stop words, each once."""
    found = (SYNONYMS.get(stem, stem) for word in re.findall(r"[a-z0-9]+", text.lower()) if (stem := _stem(word)))
    return tuple(dict.fromkeys(word for word in found if word not in STOP_WORDS))


def _stem(word: str) -> str:
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def words_of(facts: EpochFacts) -> str:
    """The words of an epoch's stage, events and clinical concepts in all their wordings, sorted, a space between."""
    known = sayable(facts)
    words = set(_stage_words().get(known.stage or "", ()))
    for domain in DOMAINS:
        for concept in searched_concepts(known, domain):
            words.update(_vocabulary().get(concept, ()))
    return " ".join(sorted(words))


@cache
def _stage_words() -> dict[str, frozenset[str]]:
    return {stage: frozenset(tokens_of(" ".join((name, *STAGE_WORDS[stage])))) for stage, name in STAGE_NAMES.items()}


@cache
def _vocabulary() -> dict[str, frozenset[str]]:
    """Words by concept and by event type."""
    concepts = {concept: frozenset(tokens_of(" ".join(phrases))) for concept, phrases in CONCEPT_WORDS.items()}
    events = {
        kind: frozenset(tokens_of(" ".join((kind.replace("_", " "), *(noun for _, noun in nouns)))))
        for kind, nouns in EVENT_WORDS.items()
    }
    return {**concepts, **events}


@cache
def word_weights() -> dict[str, float]:
    """How much a word tells, by the share of stages, concepts and events that it is said of."""
    rows = [*_vocabulary().values(), *_stage_words().values()]
    words = {word for row in rows for word in row}
    return {word: log(1.0 + len(rows) / sum(word in row for row in rows)) for word in sorted(words)}


def coverage(asked: Sequence[str], words: str) -> float:
    """How much of what is asked an epoch's words say, 0 to 1; a word counts by what it tells.

    Parameters
    ----------
    asked
        Words as `asked_words` gives them.
    words
        An epoch's words, as `words_of` gives them.
    """
    weights = word_weights()
    said = frozenset(words.split())
    total = sum(weights[word] for word in asked)
    return round(sum(weights[word] for word in asked if word in said) / total, 6) if total else 0.0


def asked_words(text: str) -> tuple[str, ...]:
    """The words of a question that captions can say, sorted."""
    known = word_weights()
    return tuple(sorted(word for word in tokens_of(text) if word in known))
