"""Every sentence of the slot form's language is read back, and what is described in slot form is in the language."""

import re

import pytest

from core.language.caption_grammar import TIME, keys_after, may_end, slot_sentences
from core.language.describe import describe
from core.language.facts import DOMAINS, EpochFacts
from core.language.grammar import sentences
from core.language.measurements import MEASUREMENTS
from core.language.read_back import read_back
from core.language.trends import Trend
from core.psg.scoring import Event

FACTS = (
    EpochFacts("N2", dict.fromkeys(MEASUREMENTS, 2.0)),
    EpochFacts("N3", {"c3_delta": 60.0, "c3_beta": 3.0, "slow_wave_count": 4.0, "heart_rate_mean": 60.0}),
    EpochFacts("W", {}, unusable={"ECG": "missing", "EEG_C3": "flat", "EEG_C4": "flat", "AF": "gap"}),
    EpochFacts(
        "R",
        {"position": 2.0, "airflow_rate": 15.0, "spo2_mean": 95.0},
        trends=(Trend("spo2", "decreasing", 3.0, 12.5), Trend("spo2", "increasing", 12.5, 30.0)),
        events=(Event("hypopnea", 1.0, 12.0), Event("arousal", 13.0, 4.0)),
    ),
    EpochFacts("N1", {}, events_scored=False),
)


@pytest.mark.parametrize("domain", DOMAINS)
def test_every_sentence_is_read_back(domain: str) -> None:
    found = slot_sentences(domain)
    assert len({one.text for one in found}) == len(found)
    for one in found:
        read = read_back(one.text, domain)
        assert not read.unparsed, one.text
        told = (read.stage, read.slots, read.events, read.trends, read.missing, read.no_events, read.events_unscored)
        assert any(told) or read.unreliable, one.text


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("facts", FACTS)
def test_what_is_described_in_slot_form_is_in_the_language(domain: str, facts: EpochFacts) -> None:
    keys = {one.text: one.key for one in slot_sentences(domain)}
    for seed in range(12):
        told: frozenset[str] = frozenset()
        for text in sentences(describe(facts, domain, seed, "slots")):
            key = keys[f"{re.sub('<t_[0-9.]+>', TIME, text)}."]
            assert key in keys_after(domain, told), text
            told |= {key}
        assert may_end(domain, told)
