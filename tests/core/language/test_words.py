"""Clinical words follow the thresholds, have no digits, and can be read back."""

import re
from collections.abc import Callable

import pytest

from core.language.describe import describe, sayable
from core.language.facts import DOMAINS, EpochFacts
from core.language.measurements import MEASUREMENTS
from core.language.missing import CHANNELS_OF_DOMAIN
from core.language.read_back import read_back
from core.language.thresholds import CONCEPTS_OF_DOMAIN, THRESHOLDS, concepts, searched_concepts
from core.language.trends import Trend
from core.language.words import CONCEPT_WORDS, EVENT_WORDS, STAGE_WORDS, plural
from core.psg.scoring import EVENT_TYPES, STAGES, Event

FactsOf = Callable[[int], EpochFacts]


@pytest.mark.parametrize("domain", DOMAINS)
def test_words_are_read_back_and_have_no_digits(facts_of: FactsOf, domain: str) -> None:
    for seed in range(500):
        facts = facts_of(seed)
        text = describe(facts, domain, seed, "words")
        assert not re.search(r"\d", text), text
        read = read_back(text if seed % 2 else text.lower(), domain)
        assert read.unparsed == (), text
        assert read.words == set(concepts(sayable(facts), domain)), text
        assert read.values == {}
        if domain == "stage_event":
            assert read.stage == facts.stage
            assert read.no_events == (facts.events_scored and not facts.events)
        else:
            assert read.missing.keys() == facts.unusable.keys() & set(CHANNELS_OF_DOMAIN[domain])


@pytest.mark.parametrize(
    ("values", "concept"),
    [
        ({"heart_rate_mean": 49.0}, "bradycardia"),
        ({"heart_rate_mean": 101.0}, "tachycardia"),
        ({"heart_rate_mean": 72.0}, "normal_heart_rate"),
        ({"spo2_min": 89.0}, "hypoxaemia"),
        ({"spo2_min": 97.0}, "normal_oxygen"),
        ({"airflow_rate": 25.0}, "tachypnoea"),
        ({"thoracic_rate": 9.0}, "bradypnoea"),
        ({"airflow_rate": 15.0, "abdominal_rate": 30.0}, "normal_breath_rate"),
        ({"airflow_amplitude": 0.05}, "absent_airflow"),
        ({"airflow_amplitude": 0.6}, "reduced_airflow"),
        ({"effort_phase": 170.0}, "paradoxical_effort"),
        ({"c3_delta": 70.0, "c4_delta": 90.0}, "delta_dominant"),
        ({"chin_tone": 0.2}, "atonia"),
        ({"position": 2.0}, "supine"),
        ({"slow_wave_count": 9.0}, "many_slow_waves"),
        ({"spindle_count": 0.0}, "no_spindles"),
    ],
)
def test_a_concept_follows_its_threshold(values: dict[str, float], concept: str) -> None:
    facts = EpochFacts("N2", values)
    domain = MEASUREMENTS[next(iter(values))].domain
    assert concept in concepts(facts, domain)


def test_a_value_on_a_limit_has_one_concept() -> None:
    assert concepts(EpochFacts(None, {"heart_rate_mean": 50.0}), "cardiac") == ()
    assert concepts(EpochFacts(None, {"heart_rate_mean": 40.0}), "cardiac") == ("bradycardia",)
    assert concepts(EpochFacts(None, {"spo2_min": 90.0}), "cardiac") == ()
    assert concepts(EpochFacts(None, {"spo2_min": 80.0}), "cardiac") == ("hypoxaemia",)


def test_a_search_for_the_weaker_finds_the_stronger() -> None:
    severe = EpochFacts(None, {"spo2_min": 70.0})
    assert concepts(severe, "cardiac") == ("severe_hypoxaemia",)
    assert searched_concepts(severe, "cardiac") == ("severe_hypoxaemia", "hypoxaemia")


def test_trends_become_words() -> None:
    facts = EpochFacts(None, {}, (Trend("spo2", "decreasing", 0.0, 20.0), Trend("heart_rate", "stable", 0.0, 30.0)))
    assert concepts(facts, "cardiac") == ("oxygen_falling",)


def test_slow_waves_in_the_eog_are_no_eye_movements() -> None:
    leaking = {"eog_left_rapid": 60.0, "eog_right_rapid": 60.0, "c3_delta": 80.0}
    assert "rapid_eye_movements" not in concepts(EpochFacts("R", leaking), "brain")
    assert "rapid_eye_movements" in concepts(EpochFacts("R", {**leaking, "c3_delta": 30.0}), "brain")


def test_eye_movements_are_named_in_their_stages_alone() -> None:
    for kind, stages in (("rapid", ("R",)), ("slow", ("W", "N1"))):
        values = {f"eog_left_{kind}": 90.0, f"eog_right_{kind}": 90.0, "c3_delta": 30.0}
        said = [s for s in (*STAGES, None) if f"{kind}_eye_movements" in concepts(EpochFacts(s, values), "brain")]
        assert set(said) == set(stages)


def test_every_threshold_has_a_source_and_words() -> None:
    for limit in THRESHOLDS:
        assert limit.low < limit.high
        assert len(limit.source) > 10
    told = {concept for names in CONCEPTS_OF_DOMAIN.values() for concept in names}
    assert told == set(CONCEPT_WORDS)


def test_thresholds_of_one_quantity_exclude_each_other() -> None:
    for one in THRESHOLDS:
        for other in THRESHOLDS:
            if one is not other and one.quantity == other.quantity:
                assert one.high <= other.low or other.high <= one.low


def test_no_phrase_stands_for_two_concepts() -> None:
    phrases = [phrase for words in CONCEPT_WORDS.values() for phrase in words]
    phrases += [noun for nouns in EVENT_WORDS.values() for _, noun in nouns]
    phrases += [phrase for words in STAGE_WORDS.values() for phrase in words]
    assert len(phrases) == len({phrase.lower() for phrase in phrases})
    assert set(EVENT_WORDS) == set(EVENT_TYPES)
    assert set(STAGE_WORDS) == set(STAGES)


def test_plurals() -> None:
    assert plural("arousal") == "arousals"
    assert plural("breathing pause without effort") == "breathing pauses without effort"
    several = EpochFacts("N2", {}, events=(Event("arousal", 1.0, 4.0), Event("arousal", 20.0, 4.0)))
    for seed in range(20):
        assert re.search(r"arousals|awakenings", describe(several, "stage_event", seed, "words"))
