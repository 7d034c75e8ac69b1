"""Whose events stand, where several have looked."""

import numpy as np

from core.language.measure import EpochMeasurements
from core.language.settled import settle_events
from core.psg.scoring import Event

STAGES = ("W", "W", "N2", "N2", "N2", "R")
APNEA_AWAKE = Event("obstructive_apnea", 5.0, 20.0, 0.9)
APNEA = Event("obstructive_apnea", 70.0, 20.0, 0.9)
FALL = Event("desaturation", 95.0, 30.0)
REDUCTION = Event("hypopnea", 125.0, 15.0, 0.2)
WRITTEN = (Event("hypopnea", 62.0, 20.0, 0.7), Event("arousal", 141.0, 5.0, 0.5), Event("rera", 150.0, 12.0, 0.4))
SEES = ("hypopnea", "arousal", "rera")


def measured(airflow: bool = True, saturation: bool = True) -> EpochMeasurements:
    values = {
        "airflow_amplitude": np.full(6, 1.0 if airflow else np.nan, np.float32),
        "spo2_mean": np.full(6, 95.0 if saturation else np.nan, np.float32),
    }
    events = ((APNEA_AWAKE, APNEA) if airflow else ()) + ((FALL,) if saturation else ())
    return EpochMeasurements(values, ((),) * 6, events, reductions=(REDUCTION,) if airflow else ())


def test_where_events_are_scored_they_stand_alone() -> None:
    scored = (Event("hypopnea", 60.0, 20.0), Event("arousal", 80.0, 4.0))
    settled = settle_events(scored, WRITTEN, measured(), STAGES, SEES)
    assert settled.events == (*scored, FALL)
    assert settled.found_by["hypopnea"] == "scoring"
    assert settled.found_by["desaturation"] == "measurements"
    own = (*scored, Event("desaturation", 99.0, 20.0))
    settled = settle_events(own, WRITTEN, measured(), STAGES, SEES)
    assert settled.events == own
    assert set(settled.found_by.values()) == {"scoring"}


def test_followed_breathing_replaces_the_models_and_wake_has_none() -> None:
    settled = settle_events((), WRITTEN, measured(), STAGES, SEES)
    kinds = [(event.type, event.onset) for event in settled.events]
    assert kinds == [
        ("obstructive_apnea", 70.0),
        ("desaturation", 95.0),
        ("hypopnea", 125.0),  # a reduction that the written arousal at 141 s ends
        ("arousal", 141.0),
        ("rera", 150.0),
    ]
    assert settled.events[2].confidence == 0.3
    assert settled.found_by == {
        "hypopnea": "measurements",
        "obstructive_apnea": "measurements",
        "central_apnea": "measurements",
        "mixed_apnea": "measurements",
        "desaturation": "measurements",
        "arousal": "model",
        "rera": "model",
    }


def test_without_airflow_the_model_is_believed() -> None:
    settled = settle_events((), WRITTEN, measured(airflow=False), STAGES, SEES)
    assert settled.events == tuple(sorted((*WRITTEN, FALL), key=lambda event: event.onset))
    assert settled.found_by["hypopnea"] == "model"


def test_a_home_test_keeps_the_whole_recording() -> None:
    settled = settle_events((), (), measured(), ("?",) * 6)
    assert settled.events == (APNEA_AWAKE, APNEA, FALL)


def test_nobody_looked_for_what_no_channel_shows() -> None:
    settled = settle_events((), (), measured(False, False), STAGES)
    assert settled.events == ()
    assert settled.found_by == {}
