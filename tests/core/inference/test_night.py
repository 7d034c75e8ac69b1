"""Whose events a night keeps: on a study whose breathing stops four times and whose sleep may be scored."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import lfilter

from core.inference.captioning import CaptionOptions, caption_rows, caption_study
from core.inference.engine import Engine
from core.inference.night import measured_night, read_night
from core.inference.results import night_summary
from core.language.measure import EpochMeasurements, measure
from core.language.read_back import read_back
from core.psg.channels import MODEL_CHANNELS
from core.psg.preprocess import prepared_from_array, traces_of
from core.psg.scoring import Event, Scoring
from core.psg.store import PreparedStudy, open_store, write_store

N = 40
PAUSES = (200.0, 400.0, 600.0, 800.0)
STAGES = ("W",) * 10 + ("N2",) * 30  # the first pause lies in wake


@pytest.fixture(scope="module")
def study() -> PreparedStudy:
    rng = np.random.default_rng(5)
    array = rng.standard_normal((N, len(MODEL_CHANNELS), 1920)).astype(np.float32)
    time = np.arange(N * 1920) / 64
    breath = np.sin(2 * np.pi * 0.25 * time)
    size = np.ones(len(time))
    for onset in PAUSES:
        size[(time >= onset) & (time < onset + 20)] = 0.02
    for name, course in (("AF", size * breath), ("THX", breath), ("ABD", breath)):
        noisy = course + 0.01 * rng.standard_normal(len(time))
        array[:, MODEL_CHANNELS.index(name)] = 1.4 * noisy.reshape(N, -1)
    for name in ("EEG_C3", "EEG_C4"):  # slow, as a brain's is; white noise is a detached electrode's
        slow = lfilter([0.3], [1.0, -0.95], rng.standard_normal(N * 1920))
        array[:, MODEL_CHANNELS.index(name)] = slow.reshape(N, -1)
    array[:, MODEL_CHANNELS.index("POS")] = 2.0
    prepared = prepared_from_array(array, "pauses")
    tables, notes = measure(traces_of(prepared), prepared.states, N).to_tables()
    return replace(prepared, tables=tables, notes=notes)


def onsets(events: tuple[Event, ...]) -> list[float]:
    return [round(event.onset / 100) * 100 for event in events if event.type == "obstructive_apnea"]


def test_a_home_test_keeps_every_event_and_counts_by_recording_time(study: PreparedStudy) -> None:
    night = measured_night(study)
    assert onsets(night.events) == [200, 400, 600, 800]
    summary = night_summary(study, night.staging, night)
    assert summary["statistics"]["rei"] == pytest.approx(4 / (N / 120))
    assert summary["statistics"]["ahi"] is None
    assert "by recording time, not sleep time" in summary["text"]
    assert "By rule, the measured signals show 4 obstructive apneas." in summary["text"]
    assert "Hypopneas that only an arousal would confirm are not among them." in summary["text"]
    told = [read_back(row.captions["stage_event"], "stage_event") for row in caption_rows(study, night)]
    assert sum(bool(facts.events) for facts in told) == 8  # each lies on two epochs
    assert all(facts.events_unscored and not facts.no_events for facts in told)


def test_events_of_wake_are_left_out(study: PreparedStudy) -> None:
    night = measured_night(replace(study, scoring=Scoring(STAGES, ())))
    assert onsets(night.events) == [400, 600, 800]
    assert night.events_from == "measurements"
    text = night_summary(study, night.staging, night)["text"]
    assert "12.0/h" in text
    assert "Scored" not in text


def test_scored_events_stand_alone(study: PreparedStudy, engine: Engine) -> None:
    hypopnea = Event("hypopnea", 500.0, 20.0)
    scored = replace(study, scoring=Scoring(STAGES, (hypopnea,)))
    for night in (measured_night(scored), read_night(scored, engine)):
        assert night.events == (hypopnea,)
        assert night.events_from == "scoring"
    assert "The scoring lists 1 hypopnea." in night_summary(scored, night.staging, night)["text"]


def test_the_models_breathing_events_give_way_to_the_measured(study: PreparedStudy, engine: Engine) -> None:
    night = read_night(study, engine)
    measured = EpochMeasurements.from_tables(study.tables, study.notes).events
    breathing = [event for event in night.events if event.type.endswith("apnea") or event.type == "hypopnea"]
    assert {event for event in breathing if event.type.endswith("apnea")} <= set(measured)
    assert night.found_by["obstructive_apnea"] == "measurements"
    assert night.found_by["arousal"] == "model"


def test_a_store_says_the_same(study: PreparedStudy, tmp_path) -> None:
    write_store(study, tmp_path / "pauses.psg")
    options = CaptionOptions(measured_only=True)
    again = caption_study(open_store(tmp_path / "pauses.psg"), None, options)
    assert [row.to_json() for row in again] == [row.to_json() for row in caption_study(study, None, options)]
