import pytest

from core.inference.wording import checked, tells_anything, tells_the_same
from core.language.describe import describe, sayable
from core.language.facts import DOMAINS, EpochFacts
from core.language.grammar import sentence, sentences
from core.language.trends import Trend
from core.psg.scoring import Event
from tests.core.language.conftest import random_facts

RISING = Trend("heart_rate", "increasing", 0.0, 30.0)
FACTS = EpochFacts(
    stage="N2",
    values={"heart_rate_mean": 61.0, "heart_rate_min": 55.0, "heart_rate_max": 70.0},
    trends=(RISING,),
    events=(Event("arousal", 3.0, 6.5),),
    unusable={"SPO2": "missing"},
)


def checked_text(text: str, facts: EpochFacts, domain: str) -> str:
    return checked(text, sayable(facts), domain)[0]


def test_slots_become_the_measured_figures() -> None:
    text = checked_text("Heart rate <heart_rate_min> to <heart_rate_max>, mean <heart_rate_mean>.", FACTS, "cardiac")
    assert text.startswith("Heart rate 55 bpm to 70 bpm, mean 61 bpm.")


def test_an_invented_figure_becomes_the_measured_one() -> None:
    text = checked_text("heart rate 99 bpm to 120 bpm, mean 105 bpm.", FACTS, "cardiac")
    assert "99" not in text
    assert "61 bpm" in text


def test_what_the_model_cannot_see_is_not_told() -> None:
    text = checked_text("SpO2 93.5%, from 90.0% to 97.0%. Heart rate mean <heart_rate_mean>.", FACTS, "cardiac")
    assert "93" not in text
    assert "61 bpm" in text


@pytest.mark.parametrize("told", ["The moon is 44.5 high.", "Blood pressure 120 over 80."])
def test_a_figure_that_nobody_understands_is_left_out(told: str) -> None:
    assert "4" not in checked_text(told, FACTS, "cardiac")
    assert "120" not in checked_text(told, FACTS, "cardiac")


def test_a_trend_is_told_as_it_was_measured() -> None:
    wrong = checked_text("Heart rate falls from <t_0.0> to <t_30.0>.", FACTS, "cardiac")
    assert "falls" not in wrong
    assert "0.0 to 30.0 s" in wrong
    unknown = EpochFacts(stage=None, values={})
    assert "falls" not in checked_text("Heart rate falls from <t_0.0> to <t_30.0>.", unknown, "cardiac")


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("The stage is Stable Light Sleep (N2). An arousal occurs from 3.0 to 9.5 s.", True),
        ("The stage is Stable Light Sleep (N2). An arousal occurs from 3.4 to 9.1 s.", True),
        ("The stage is Stable Light Sleep (N2). An arousal occurs from 5.0 to 9.5 s.", False),
        ("The stage is Stable Light Sleep (N2). A hypopnea occurs from 3.0 to 9.5 s.", False),
        ("The stage is REM Sleep. An arousal occurs from 3.0 to 9.5 s.", False),
        ("The stage is Stable Light Sleep (N2). No events are present.", False),
    ],
)
def test_agreement_with_what_is_settled(text: str, same: bool) -> None:
    assert tells_the_same(text, FACTS) is same


@pytest.mark.parametrize("seed", range(20))
def test_a_description_tells_the_same_as_its_facts(seed: int) -> None:
    assert tells_the_same(describe(FACTS, "stage_event", seed), FACTS)
    assert checked_text(describe(FACTS, "cardiac", seed), FACTS, "cardiac").count("61") >= 1


@pytest.mark.parametrize(
    ("text", "tells"),
    [
        ("No reliable measurement in this epoch.", False),
        ("", False),
        ("The oximeter is missing, so oxygen saturation is not reported.", False),
        ("Heart rate mean 61 bpm.", True),
        ("Heart rate rises from 0.0 s to 30.0 s.", True),
    ],
)
def test_what_a_text_tells_is_told_from_what_it_excuses(text: str, tells: bool) -> None:
    assert tells_anything(text, "cardiac") is tells


def test_a_text_that_keeps_silent_on_a_search_in_vain_is_not_the_same() -> None:
    facts = EpochFacts("N2", {}, events_scored=False, looked_for=("breathing",))
    assert tells_the_same(describe(facts, "stage_event", 0), facts)
    assert not tells_the_same("Stable Light Sleep (N2). Events are not scored.", facts)


@pytest.mark.parametrize("seed", range(40))
def test_a_text_with_a_measured_sentence_tells_something_and_is_written_as_it_reads(seed: int) -> None:
    facts = random_facts(seed)
    for domain in DOMAINS[:-1]:
        text, measured = checked(describe(facts, domain, seed, "slots"), sayable(facts), domain)
        assert not measured or tells_anything(text, domain)
        assert text == " ".join(sentence(part) for part in sentences(text))
