"""Where another signal stands in for a channel, captions name that signal, and say so."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from core.language.describe import describe, fill_slots
from core.language.facts import DOMAINS, EpochFacts
from core.language.read_back import read_back
from core.language.sites import PULSE, hide_sites, show_sites, shown_names
from core.language.trends import Trend

FactsOf = Callable[[int], EpochFacts]
SITES = {"EEG_C3": "Fpz-Cz", "EOG_L": "EOG horizontal", "AF": "RIP Sum"}
NAMED = {"EEG_C3": r"\bC3\b", "EOG_L": r"\bleft (?:EOG|eye)", "AF": r"\bairflow (?:rate|sensor|:|amplitude)"}


def row(target: str, derivation: str, label: str, state: str = "substitute") -> dict[str, object]:
    return {"target": target, "derivation": derivation, "state": state, "labels": [label]}


def test_the_name_is_that_of_the_label() -> None:
    rows = [
        row("EEG_C3", "FPZ-CZ", "EEG Fpz-Cz"),
        row("EOG_L", "EOG horizontal", "EOG horizontal"),
        row("EEG_C4", "C4-M1", "EEG C4-A1", "ok"),
        row("AF", "", "Sum. (RIP), and more"),
    ]
    names = shown_names({"channels": rows})
    assert names == {"EEG_C3": "Fpz-Cz", "EOG_L": "EOG horizontal", "AF": "Sum RIP & more"}
    assert shown_names({}) == {}


@pytest.mark.parametrize("domain", DOMAINS[:4])
@pytest.mark.parametrize("form", ["numbers", "filled"])
def test_what_was_measured_is_named_and_read_back(facts_of: FactsOf, domain: str, form: str) -> None:
    for seed in range(300):
        plain = facts_of(seed)
        facts = replace(plain, sites=SITES)
        text = describe(facts, domain, seed, "numbers" if form == "numbers" else "slots")
        if form == "filled":
            text = fill_slots(text.lower() if seed % 2 else text, facts)
        bare = re.sub(r"\([^)]*\)", "", text)
        assert not any(re.search(pattern, bare, re.IGNORECASE) for pattern in NAMED.values()), text
        read = read_back(text, domain)
        assert read.unparsed == (), text
        unsited = read_back(describe(plain, domain, seed), domain)
        assert read.values == unsited.values
        assert read.missing == unsited.missing
        assert {name.lower() for name in read.sites.values()} <= {name.lower() for name in SITES.values()}
        assert all(read.sites[channel].lower() == SITES[channel].lower() for channel in read.sites)


def test_the_model_writes_without_knowing_the_montage(facts_of: FactsOf) -> None:
    for seed in range(50):
        for domain in DOMAINS:
            facts = facts_of(seed)
            assert describe(replace(facts, sites=SITES), domain, seed, "slots") == describe(
                facts, domain, seed, "slots"
            )


def test_words_have_no_digit_and_no_wrong_side() -> None:
    facts = EpochFacts("N2", {}, unusable={"EEG_C3": "flat", "EOG_L": "gap"}, sites={"EEG_C3": "F3-M2", "EOG_L": "EOG"})
    for seed in range(10):
        text = describe(facts, "brain", seed, "words")
        assert not re.search(r"\d|left", text)
        assert read_back(text, "brain").missing == {"EEG_C3": "flat", "EOG_L": "gap"}


def test_a_substitute_that_cannot_be_used_is_named() -> None:
    facts = EpochFacts("N2", {}, unusable={"EEG_C3": "flat", "EEG_C4": "missing"}, sites=SITES)
    text = describe(facts, "brain", 0)
    assert "Fpz-Cz EEG (in place of C3) is flat and the C4 EEG is missing" in text
    assert "the brain rhythms are not reported" in text
    assert read_back(text, "brain").missing == facts.unusable


def test_an_unknown_sentence_of_a_model_names_the_signal_too() -> None:
    facts = EpochFacts("N2", {"c3_delta": 61.0}, sites=SITES)
    assert (
        fill_slots("much delta at C3, <c3_delta>.", facts, "brain") == "Much delta at Fpz-Cz (in place of C3), 61.0%."
    )


def test_sentences_without_a_site_are_left_alone() -> None:
    text = "The C4 EEG is missing, so the right central rhythms are not reported"
    assert hide_sites(text) == (text, {})
    assert show_sites(text, SITES) == text
    shown = show_sites("the C3 EEG and left EOG are flat", SITES)
    assert shown == "the Fpz-Cz EEG (in place of C3) and EOG horizontal (in place of the left EOG) are flat"
    assert hide_sites(shown) == ("the C3 EEG and left EOG are flat", {"EEG_C3": "Fpz-Cz", "EOG_L": "EOG horizontal"})


PULSE_FACTS = EpochFacts(
    None,
    {"heart_rate_min": 58.0, "heart_rate_mean": 61.0, "heart_rate_max": 70.0, "spo2_mean": 95.0},
    trends=(Trend("heart_rate", "increasing", 0.0, 30.0),),
    unusable={"ECG": "missing"},
    sites={"ECG": PULSE},
)


@pytest.mark.parametrize(
    "draft", [None, "heart rate mean <heart_rate_mean>. heart rate rises from <t_0.0> to <t_30.0>"]
)
def test_a_pulse_that_stands_in_for_the_ecg_is_named_and_read_back(draft: str | None) -> None:
    for seed in range(60):
        text = describe(PULSE_FACTS, "cardiac", seed) if draft is None else fill_slots(draft, PULSE_FACTS)
        assert "eart rate (from the oximeter's pulse)" in text
        assert "heart rate is not reported" not in text
        assert "eart-rate variability is not reported" in text
        assert not re.search("on the ECG|ECG:|ECG beats", text, re.IGNORECASE)
        read = read_back(text.lower() if seed % 2 else text, "cardiac")
        assert read.unparsed == (), text
        assert read.values["heart_rate_mean"] == 61.0
        assert len(read.trends) == 1
        assert read.missing == {"ECG": "missing"}
        assert read.sites == {"ECG": PULSE}


def test_a_model_that_sees_no_pulse_is_taught_no_heart_rate() -> None:
    for seed in range(20):
        slots = describe(PULSE_FACTS, "cardiac", seed, "slots")
        assert "heart_rate" not in slots
        assert "rises" not in slots
        assert "heart rate is not reported" in slots
    assert not re.search(r"\d", describe(PULSE_FACTS, "cardiac", 0, "words"))
