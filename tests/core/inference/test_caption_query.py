"""A caption as a question: read back into the figures it was written of."""

import pytest

from core.inference.caption_query import read_caption
from core.inference.understanding import understand
from core.language.describe import describe
from core.language.facts import DOMAINS, EpochFacts
from core.psg.scoring import Event

VALUES = {
    "heart_rate_mean": 61.0,
    "heart_rate_min": 55.0,
    "heart_rate_max": 70.0,
    "spo2_min": 93.0,
    "airflow_rate": 14.0,
}
FACTS = EpochFacts(stage="N2", values=VALUES, events=(Event("arousal", 3.0, 6.5),))


@pytest.mark.parametrize("seed", range(10))
def test_a_caption_is_its_figures_stage_and_events(seed: int) -> None:
    told = read_caption(" ".join(describe(FACTS, domain, seed, "numbers") for domain in DOMAINS))
    assert told is not None
    assert dict(told.figures) == VALUES
    assert (told.stage, told.events, told.no_events) == ("N2", ("arousal",), False)
    assert "stage = N2 and" in str(told)


def test_the_epoch_that_it_tells_of_agrees_most() -> None:
    told = read_caption(" ".join(describe(FACTS, domain, 0, "numbers") for domain in DOMAINS))
    assert told is not None
    columns = {name: [value, value + 20.0, None] for name, value in VALUES.items()}
    agreed = told.of({**columns, "p_N2": [0.9, 0.9, None], "has_arousal": [True, False, None]}, 3).tolist()
    assert agreed[0] == pytest.approx((len(VALUES) + 0.9 + 1.0) / (len(VALUES) + 2), abs=1e-6)
    assert agreed[0] > agreed[1] > agreed[2] == 0.0


@pytest.mark.parametrize("text", ["", "REM sleep", "heart rate 61 bpm", "SpO2 below 88, heart rate above 60"])
def test_a_question_is_no_caption(text: str) -> None:
    assert read_caption(text) is None
    understand(text)
