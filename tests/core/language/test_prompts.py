"""Prompts say one stage or event each; search sentences ask for nothing that is not so."""

from collections.abc import Callable

import pytest

from core.language.describe import sayable
from core.language.facts import EpochFacts
from core.language.prompts import (
    CLASS_SYNONYMS,
    CONCEPT_SYNONYMS,
    EVENT_SYNONYMS,
    STAGE_SYNONYMS,
    event_prompts,
    query_texts,
    stage_prompts,
)
from core.language.read_back import read_back
from core.language.words import CONCEPT_WORDS
from core.psg.scoring import EVENT_TYPES, STAGES, Event

FactsOf = Callable[[int], EpochFacts]


def test_stage_prompts_name_their_stage_only() -> None:
    prompts = stage_prompts()
    assert tuple(prompts) == STAGES
    for stage, texts in prompts.items():
        assert len(texts) >= 6
        assert len(set(texts)) == len(texts)
        assert {read_back(text, "stage_event").stage for text in texts} == {stage}


def test_event_prompts_are_of_their_event() -> None:
    prompts = event_prompts()
    assert set(prompts) == set(EVENT_TYPES)
    for kind, (present, absent) in prompts.items():
        assert len(present) >= 6
        assert all(read_back(text, "stage_event").words == {kind} for text in present)
        assert not set(present) & set(absent)


def test_queries_vary_with_the_seed_and_only_with_it() -> None:
    facts = EpochFacts("N3", {"heart_rate_mean": 45.0, "position": 2.0}, events=(Event("hypopnea", 3.0, 12.0),))
    assert query_texts(facts, 5) == query_texts(facts, 5)
    assert len({query_texts(facts, seed) for seed in range(300)}) > 100


def test_queries_ask_for_what_the_epoch_shows() -> None:
    facts = EpochFacts("N3", {"heart_rate_mean": 45.0}, events=(Event("hypopnea", 3.0, 12.0),))
    phrases = (*STAGE_SYNONYMS["N3"], *EVENT_SYNONYMS["hypopnea"], *CLASS_SYNONYMS["respiratory event"])
    phrases += ("NREM sleep", "sleep")
    phrases += (*CONCEPT_WORDS["bradycardia"], *CONCEPT_SYNONYMS["bradycardia"])
    bare = [phrase.removeprefix("a ").lower() for phrase in phrases]
    for seed in range(300):
        assert any(phrase in query_texts(facts, seed).lower() for phrase in bare)


@pytest.mark.parametrize("start", [0, 100])
def test_queries_never_name_another_stage(facts_of: FactsOf, start: int) -> None:
    for seed in range(start, start + 100):
        facts = sayable(facts_of(seed))
        named = read_back(query_texts(facts, seed), "stage_event").stage
        assert named in (None, facts.stage)


def test_an_absence_is_asked_for_only_where_events_are_scored() -> None:
    unscored = EpochFacts("N2", {}, events_scored=False)
    scored = EpochFacts("N2", {})
    assert not any("without" in query_texts(unscored, seed) for seed in range(200))
    assert any("without" in query_texts(scored, seed) for seed in range(200))


def test_nothing_known_gives_no_query() -> None:
    assert query_texts(EpochFacts(None, {}), 0) == ""
