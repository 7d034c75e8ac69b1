"""The night model at run time: its graphs read a study, its probabilities become events."""

from dataclasses import replace

import numpy as np
import pytest

from core.inference.bundle import load_bundle
from core.inference.course_graphs import detected_events, event_probabilities, stage_log_probabilities
from core.inference.engine import Engine
from core.inference.night import NightOptions, read_night
from core.inference.staging import StagingOptions, stage_study, staging_channels
from core.psg.channels import CHANNELS, MODEL_CHANNELS
from core.psg.preprocess import prepared_from_array
from core.psg.quality import State
from core.psg.scoring import EVENT_TYPES, STAGES
from core.psg.store import PreparedStudy
from tests.core.inference.conftest import MakeStudy
from tests.core.inference.fake_bundle import write_fake_night_bundle

TONES = {"W": 20.0, "N1": 6.0, "N2": 14.0, "N3": 2.0, "R": 10.0}
N = 60
COLUMN = {channel.name: column for column, channel in enumerate(CHANNELS)}


@pytest.fixture(scope="module")
def night_engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    folder = tmp_path_factory.mktemp("models") / "night"
    return Engine(load_bundle(write_fake_night_bundle(folder)), "cpu", batch=5, threads=1)


@pytest.fixture(scope="module")
def toned() -> tuple[PreparedStudy, tuple[str, ...]]:
    """A study whose EEG hums a stage's tone, breathing that stops from 300 to 320 s, and no other channel."""
    rng = np.random.default_rng(0)
    stages = tuple(STAGES[k] for k in rng.integers(0, 5, N))
    time = np.arange(N * 1920) / 64
    array = np.zeros((N, len(MODEL_CHANNELS), 1920), np.float32)
    array[:, MODEL_CHANNELS.index("POS")] = -1
    hum = np.concatenate([np.sin(2 * np.pi * TONES[stage] * np.arange(1920) / 64) for stage in stages])
    for name in ("EEG_C3", "EEG_C4"):
        noise = 0.3 * rng.standard_normal(hum.shape)
        array[:, MODEL_CHANNELS.index(name)] = (hum + noise).reshape(N, 1920)
    flow = np.where((time >= 300) & (time < 320), 0.01, 1.0) * np.sin(2 * np.pi * 0.25 * time)
    array[:, MODEL_CHANNELS.index("AF")] = flow.reshape(N, 1920)
    return prepared_from_array(array, "toned"), stages


def test_stages_are_the_graphs(night_engine: Engine, toned: tuple[PreparedStudy, tuple[str, ...]]) -> None:
    staging = stage_study(toned[0], night_engine, StagingOptions())
    assert staging.stages == toned[1]
    assert staging.probabilities is not None
    assert staging.probabilities.sum(axis=1) == pytest.approx(1.0, abs=3e-4)


def test_an_epoch_without_an_eeg_has_no_stage_and_one_eeg_is_enough(
    night_engine: Engine, toned: tuple[PreparedStudy, tuple[str, ...]]
) -> None:
    states = toned[0].states.copy()
    states[3, COLUMN["EEG_C3"]] = states[3, COLUMN["EEG_C4"]] = int(State.DISCONNECTED)
    states[10:, COLUMN["EEG_C3"]] = int(State.FLAT)
    staging = stage_study(replace(toned[0], states=states), night_engine, StagingOptions())
    assert staging.stages[3] == "?"
    assert staging.stages[10:] == toned[1][10:]


def test_a_bundle_without_a_night_model_is_staged_by_prompts(engine: Engine, make_study: MakeStudy) -> None:
    study = make_study()
    assert stage_log_probabilities(study, engine) is None
    assert event_probabilities(study, engine) is None
    assert stage_study(study, engine).source == "model"
    assert staging_channels(engine) == engine.bundle.channels


def test_staging_reads_what_the_night_model_needs_alone(night_engine: Engine) -> None:
    assert set(staging_channels(night_engine)) == {"EEG_C3", "EEG_C4", "EOG_L", "EOG_R", "EMG_CHIN"}


def test_a_chin_with_tone_speaks_against_rem_and_a_quiet_one_does_not(
    night_engine: Engine, toned: tuple[PreparedStudy, tuple[str, ...]]
) -> None:
    study, stages = toned
    awake = np.array([stage == "R" for stage in stages]) & (np.arange(N) % 2 == 0)
    chin = np.random.default_rng(1).standard_normal((N, 1920)).astype(np.float32) * np.where(awake, 4.0, 0.5)[:, None]
    signals = study.signals.copy()
    signals[:, MODEL_CHANNELS.index("EMG_CHIN")] = chin
    states = study.states.copy()
    states[:, COLUMN["EMG_CHIN"]] = int(State.OK)
    plain = stage_log_probabilities(study, night_engine)
    told = stage_log_probabilities(replace(study, signals=signals.astype(np.float32), states=states), night_engine)
    assert plain is not None
    assert told is not None
    rem = STAGES.index("R")
    assert told[~awake] == pytest.approx(plain[~awake])
    odds = (told[awake, rem] - told[awake, 0]) - (plain[awake, rem] - plain[awake, 0])
    assert odds == pytest.approx(-4.0)


def test_a_night_holds_the_graphs_events(night_engine: Engine, toned: tuple[PreparedStudy, tuple[str, ...]]) -> None:
    night = read_night(toned[0], night_engine, NightOptions(domains=("stage_event",)))
    apneas = [event for event in night.events if event.type == "central_apnea"]
    assert len(apneas) == 1
    assert apneas[0].onset == pytest.approx(300, abs=4)
    assert apneas[0].duration == pytest.approx(20, abs=6)
    assert night.found_by["central_apnea"] == "model"


def test_an_event_ends_where_nothing_would_show_it(
    night_engine: Engine, toned: tuple[PreparedStudy, tuple[str, ...]]
) -> None:
    study = toned[0]
    flow = study.signals.copy()
    flow[9:20, MODEL_CHANNELS.index("AF")] = 0  # from 270 s on nothing was recorded, for five minutes and a half
    states = study.states.copy()
    states[9:20, COLUMN["AF"]] = int(State.GAP)
    told = event_probabilities(replace(study, signals=flow, states=states), night_engine)
    assert told is not None
    breathing = [EVENT_TYPES.index(kind) for kind in ("obstructive_apnea", "central_apnea", "mixed_apnea", "hypopnea")]
    assert (told[270:600, breathing] == 0).all()
    assert (told[:270, breathing] > 0).all()


def test_a_long_night_is_read_in_blocks_without_a_seam(
    night_engine: Engine, toned: tuple[PreparedStudy, tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = event_probabilities(toned[0], night_engine)
    monkeypatch.setattr("core.inference.course_graphs.BLOCK", 700)
    assert whole is not None
    assert event_probabilities(toned[0], night_engine) == pytest.approx(whole)


def probabilities(**spans: tuple[int, int, float]) -> np.ndarray:
    told = np.full((600, len(EVENT_TYPES)), 0.02)
    for kind, (start, end, chance) in spans.items():
        told[start:end, EVENT_TYPES.index(kind)] = chance
    return told


def test_breathing_is_one_event_typed_as_a_whole() -> None:
    told = probabilities(central_apnea=(100, 112, 0.9), obstructive_apnea=(112, 117, 0.9), hypopnea=(300, 330, 0.7))
    events = detected_events(told, {"breathing": 0.5})
    assert [(event.type, event.onset, event.duration) for event in events] == [
        ("central_apnea", 100.0, 17.0),
        ("hypopnea", 300.0, 30.0),
    ]
    assert events[1].confidence == pytest.approx(0.76, abs=0.01)


def test_short_events_and_types_without_a_threshold_are_left_out() -> None:
    told = probabilities(hypopnea=(100, 107, 0.9), arousal=(50, 55, 0.9), rera=(200, 230, 0.9))
    assert [event.type for event in detected_events(told, {"breathing": 0.5, "arousal": 0.5})] == ["arousal"]


def test_an_event_may_be_a_second_shorter_than_the_manual_has_it_and_no_more() -> None:
    told = probabilities(hypopnea=(100, 109, 0.9), arousal=(50, 52, 0.9), rera=(200, 209, 0.9))
    told[300, EVENT_TYPES.index("arousal")] = 0.9
    told[400:408, EVENT_TYPES.index("hypopnea")] = 0.9
    events = detected_events(told, {"breathing": 0.5, "arousal": 0.5, "rera": 0.5})
    assert [(event.type, event.onset, event.duration) for event in events] == [
        ("arousal", 50.0, 3.0),
        ("hypopnea", 100.0, 10.0),
        ("rera", 200.0, 10.0),
    ]


def test_a_dip_of_two_seconds_does_not_end_an_event() -> None:
    told = probabilities(hypopnea=(100, 130, 0.9))
    told[110:112] = 0.02
    told[120:128] = 0.02
    spans = [(event.onset, event.duration) for event in detected_events(told, {"breathing": 0.5})]
    assert spans == [(100.0, 20.0)]
