"""The facts of an epoch: what is gathered, clipped and left out."""

import math

import numpy as np
import pytest

from core.language.facts import SLOTS, TIME_TOKENS, epoch_facts, of_the_ecg, time_token
from core.language.measure import EpochMeasurements
from core.language.measurements import MEASUREMENTS
from core.language.trends import Trend
from core.psg.channels import CHANNELS
from core.psg.quality import State
from core.psg.scoring import Event, Scoring


def measurements(events: tuple[Event, ...] = ()) -> EpochMeasurements:
    values = {name: np.full(3, np.nan, np.float32) for name in MEASUREMENTS}
    values["rmssd"][:] = (10, 20, 30)
    trend = Trend("spo2", "stable", 0.0, 30.0)
    return EpochMeasurements(values, ((), (trend,), ()), events)


def clean_states() -> np.ndarray:
    return np.zeros((3, len(CHANNELS)), np.uint8)


def test_values_that_are_nan_are_absent() -> None:
    facts = epoch_facts(1, measurements(), clean_states(), None)
    assert facts.values == {"rmssd": 20.0}
    assert facts.trends == (Trend("spo2", "stable", 0.0, 30.0),)
    assert facts.stage is None
    assert facts.unusable == {}
    assert not facts.events_scored


def test_events_are_clipped_to_the_epoch() -> None:
    events = (
        Event("hypopnea", 25.0, 10.0),
        Event("arousal", 36.5, 4.0),
        Event("central_apnea", 55.0, 15.0),
        Event("limb_movement", 60.0, 2.0),
        Event("rera", 10.0, 20.0),
    )
    facts = epoch_facts(1, measurements(), clean_states(), Scoring(("W", "N2", "?"), events))
    assert facts.stage == "N2"
    assert facts.events_scored
    assert [(event.type, event.onset, event.duration) for event in facts.events] == [
        ("hypopnea", 0.0, 5.0),
        ("arousal", 6.5, 4.0),
        ("central_apnea", 25.0, 5.0),
    ]


def test_an_unscored_stage_is_none() -> None:
    scoring = Scoring(("W", "N2", "?"), ())
    assert epoch_facts(2, measurements(), clean_states(), scoring).stage is None


def test_measured_desaturations_stand_in_for_scored_ones() -> None:
    measured = measurements((Event("desaturation", 5.0, 10.0),))
    arousal, scored = Event("arousal", 1.0, 3.0), Event("desaturation", 8.0, 10.0)
    alone = epoch_facts(0, measured, clean_states(), None)
    beside = epoch_facts(0, measured, clean_states(), Scoring(("N2",) * 3, (arousal,)))
    instead = epoch_facts(0, measured, clean_states(), Scoring(("N2",) * 3, (arousal, scored)))
    assert [event.type for event in alone.events] == ["desaturation"]
    assert [event.onset for event in beside.events] == [1.0, 5.0]
    assert [event.onset for event in instead.events] == [1.0, 8.0]


def test_measured_breathing_stands_where_nobody_scored_events_and_outside_wake() -> None:
    apneas = (Event("central_apnea", 3.0, 15.0, 0.9), Event("central_apnea", 33.0, 15.0, 0.9))
    stages_alone = Scoring(("W", "N2", "N2"), ())
    with_events = Scoring(("W", "N2", "N2"), (Event("arousal", 80.0, 3.0),))
    for epoch, scoring, told in ((0, stages_alone, 0), (1, stages_alone, 1), (1, with_events, 0), (0, None, 1)):
        facts = epoch_facts(epoch, measurements(apneas), clean_states(), scoring)
        assert len(facts.events) == told
        assert facts.events_scored == (scoring is with_events)


def test_unusable_channels_are_named_with_their_state() -> None:
    states = clean_states()
    names = [channel.name for channel in CHANNELS]
    states[0, names.index("ECG")] = State.MISSING
    states[0, names.index("AF")] = State.FLAT
    assert epoch_facts(0, measurements(), states, None).unusable == {"ECG": "missing", "AF": "flat"}
    assert epoch_facts(1, measurements(), states, None).unusable == {}


@pytest.mark.parametrize(
    ("seconds", "token"), [(0.2, "<t_0.0>"), (12.3, "<t_12.5>"), (30.0, "<t_30.0>"), (44.0, "<t_30.0>")]
)
def test_time_tokens(seconds: float, token: str) -> None:
    assert time_token(seconds) == token


def test_special_tokens() -> None:
    assert len(TIME_TOKENS) == 61
    assert math.isclose(float(TIME_TOKENS[-1][3:-1]), 30.0)
    assert {slot[1:-1] for slot in SLOTS} == set(MEASUREMENTS)


def with_rates(beats: float) -> EpochMeasurements:
    values = measurements().values | {name: np.full(3, 60, np.float32) for name in ("heart_rate_mean", "spo2_mean")}
    values["beat_rate"] = np.full(3, beats, np.float32)
    values["airflow_amplitude"] = np.array([1, 1, np.nan], np.float32)
    return EpochMeasurements(values, ((Trend("heart_rate", "stable", 0.0, 30.0),), (), ()), ())


def test_a_heart_rate_without_a_beat_rate_is_the_oximeters() -> None:
    by_pulse = epoch_facts(0, with_rates(math.nan), clean_states(), None)
    assert by_pulse.sites == {"ECG": "the oximeter's pulse"}
    assert "heart_rate_mean" not in of_the_ecg(by_pulse).values
    assert of_the_ecg(by_pulse).trends == ()
    by_ecg = epoch_facts(0, with_rates(60), clean_states(), None)
    assert by_ecg.sites == {}
    assert of_the_ecg(by_ecg) == by_ecg


def test_rules_look_for_breathing_outside_wake_and_where_airflow_is_seen() -> None:
    scoring = Scoring(("W", "N2", "N2"), ())
    looked = [epoch_facts(epoch, with_rates(60), clean_states(), scoring).looked_for for epoch in range(3)]
    assert looked == [("desaturation",), ("breathing", "desaturation"), ("desaturation",)]
