"""Night statistics against a night whose figures can be counted on fingers."""

from dataclasses import replace

import numpy as np
import pytest

from core.language.measure import EpochMeasurements
from core.language.night import night_statistics
from core.psg.scoring import Event, Scoring

# 10 min W | 10 N1, 40 N2, 30 N3, 10 W, 20 R | 20 N2, 20 R | 10 min W after lights on
MINUTES = [("W", 10), ("N1", 10), ("N2", 40), ("N3", 30), ("W", 10), ("R", 20), ("N2", 20), ("R", 20), ("W", 10)]
STAGES = tuple(stage for stage, minutes in MINUTES for _ in range(2 * minutes))
DURATION = 30.0 * len(STAGES)
EVENTS = (
    Event("obstructive_apnea", 1300.0, 20.0),  # N2
    Event("hypopnea", 1500.0, 20.0),  # N2, desaturation of 3.5
    Event("hypopnea", 1700.0, 20.0),  # N2, desaturation of 5
    Event("hypopnea", 1900.0, 20.0),  # N2, arousal only
    Event("hypopnea", 2100.0, 20.0),  # N2, nothing
    Event("central_apnea", 6100.0, 15.0),  # R
    Event("hypopnea", 100.0, 15.0),  # awake
    Event("arousal", 1918.0, 5.0),
    Event("arousal", 3000.0, 5.0),
)


def measurements(n_epochs: int) -> EpochMeasurements:
    values = {
        "spo2_mean": np.full(n_epochs, 95.0, np.float32),
        "spo2_min": np.full(n_epochs, 93.0, np.float32),
        "heart_rate_mean": np.where(np.array(STAGES) == "R", 70, 60).astype(np.float32),
        "position": np.where(np.arange(n_epochs) < n_epochs // 2, 2, 0).astype(np.float32),
    }
    values["spo2_min"][60] = 86.0
    values["heart_rate_mean"][30] = np.nan
    below = np.zeros(n_epochs, np.float32)
    below[60:62] = 15.0
    falls = (Event("desaturation", 1525.0, 30.0), Event("desaturation", 1730.0, 30.0))
    return EpochMeasurements(values, tuple(() for _ in range(n_epochs)), falls, (3.5, 5.0), below)


def test_sleep_is_counted_between_the_lights() -> None:
    night = night_statistics(Scoring(STAGES, (), lights_off=120.0, lights_on=DURATION - 600), None, DURATION)
    assert night.lights_known
    assert night.time_in_bed == 158
    assert night.total_sleep_time == 140
    assert night.sleep_efficiency == pytest.approx(100 * 140 / 158)
    assert night.sleep_latency == 8
    assert night.rem_latency == 90
    assert night.wake_after_sleep_onset == 10
    assert night.stage_minutes == {"W": 18, "N1": 10, "N2": 60, "N3": 30, "R": 40}
    assert night.stage_shares["R"] == pytest.approx(100 * 40 / 140)
    assert night.cycles == 2
    assert night.ahi is None
    assert night.arousal_index is None
    assert night.spo2_mean is None


def test_without_lights_the_recording_is_the_night_and_says_so() -> None:
    night = night_statistics(Scoring(STAGES, ()), None, DURATION)
    assert not night.lights_known
    assert night.time_in_bed == 170
    assert night.wake_after_sleep_onset == 20


def test_rapid_eye_movements_count_in_rem_sleep_alone() -> None:
    stages = ("W", "N2", "R", "R", "R", "W")
    nothing = dict.fromkeys(
        ("spo2_mean", "spo2_min", "heart_rate_mean", "position"), np.full(6, np.nan, dtype=np.float32)
    )
    silent = EpochMeasurements(nothing, ((),) * 6, ())
    counted = replace(silent, rapid_eyes=np.array([40.0, 5.0, 3.0, np.nan, 6.0, 40.0], dtype=np.float32))
    assert night_statistics(Scoring(stages, ()), counted, 180.0).rem_density == pytest.approx(9.0)
    assert night_statistics(Scoring(("N2",) * 6, ()), counted, 180.0).rem_density is None
    assert night_statistics(Scoring(stages, ()), silent, 180.0).rem_density is None


def test_events_are_counted_in_sleep_by_each_rule() -> None:
    night = night_statistics(Scoring(STAGES, EVENTS), measurements(len(STAGES)), DURATION)
    hours = 140 / 60
    assert night.ahi == pytest.approx(6 / hours)
    assert night.ahi3 == pytest.approx(5 / hours)
    assert night.ahi4 == pytest.approx(3 / hours)
    assert night.ahi_rem == pytest.approx(1 / (40 / 60))
    assert night.ahi_nrem == pytest.approx(5 / (100 / 60))
    assert night.arousal_index == pytest.approx(2 / hours)
    assert night.limb_movement_index is None
    assert night.event_counts == {"arousal": 2, "central_apnea": 1, "hypopnea": 4, "obstructive_apnea": 1}
    assert night.odi3 == pytest.approx(2 / hours)
    assert night.odi4 == pytest.approx(1 / hours)
    assert night.ahi_by_position["supine"] == pytest.approx(5 / (75 / 60))
    assert night.rei is None


def test_oxygen_heart_and_position() -> None:
    night = night_statistics(Scoring(STAGES, EVENTS), measurements(len(STAGES)), DURATION)
    assert night.spo2_mean == pytest.approx(95)
    assert night.spo2_min == 86
    assert night.below_90 == pytest.approx(0.5)
    assert night.heart_rate_by_stage == {"W": 60, "N1": 60, "N2": 60, "N3": 60, "R": 70}
    assert night.position_shares["supine"] == pytest.approx(100 * 75 / 140)
    assert sum(night.position_shares.values()) == pytest.approx(100)


def test_a_home_test_has_an_index_of_recording_time_and_no_sleep() -> None:
    night = night_statistics(Scoring(("?",) * len(STAGES), EVENTS), measurements(len(STAGES)), DURATION)
    assert night.rei == pytest.approx(7 / (170 / 60))
    assert night.total_sleep_time is None
    assert night.sleep_efficiency is None
    assert night.ahi is None
    assert night.stage_minutes == {}
    assert night.odi3 == pytest.approx(2 / (170 / 60))


def test_a_night_awake_has_no_latency_and_no_index() -> None:
    night = night_statistics(Scoring(("W",) * 100, EVENTS), None, 3000.0)
    assert night.total_sleep_time == 0
    assert night.sleep_efficiency == 0
    assert night.sleep_latency is None
    assert night.ahi is None


def test_scored_desaturations_serve_where_nothing_is_measured() -> None:
    events = (*EVENTS, Event("desaturation", 1520.0, 30.0))
    night = night_statistics(Scoring(STAGES, events), None, DURATION)
    assert night.ahi3 == pytest.approx(4 / (140 / 60))
    assert night.ahi4 is None
    assert night.odi3 == pytest.approx(1 / (140 / 60))


def test_unscored_epochs_shorten_the_scored_time() -> None:
    night = night_statistics(Scoring(("N2",) * 60 + ("?",) * 20, ()), None, 40 * 60.0)
    assert night.scored_minutes == 30
    assert night.total_sleep_time == 30
    assert night.time_in_bed == 40


def test_who_looked_decides_what_is_known() -> None:
    fall = (Event("desaturation", 1525.0, 30.0),)
    alone = night_statistics(Scoring(STAGES, fall), measurements(len(STAGES)), DURATION)
    assert alone.ahi is None  # nobody looked for apneas
    assert alone.odi3 == pytest.approx(2 / (140 / 60))
    looked = {"hypopnea": "measurements", "desaturation": "measurements"}
    found = night_statistics(Scoring(STAGES, fall), measurements(len(STAGES)), DURATION, looked)
    assert found.ahi == 0
    assert found.found_by == looked
    assert found.arousal_index is None
    scored = night_statistics(Scoring(STAGES, EVENTS), None, DURATION)
    assert set(scored.found_by.values()) == {"scoring"}
    assert night_statistics(Scoring(STAGES, ()), None, DURATION).found_by == {}
