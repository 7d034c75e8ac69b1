"""Embeddings of a model that is shown measured values and found events beside the signals."""

from dataclasses import replace

import numpy as np
import pytest

from core.inference.bundle import load_bundle
from core.inference.captioning import caption_rows
from core.inference.embedding import embed_study, embedding_channels
from core.inference.engine import Engine
from core.inference.night import NightOptions, night_in_parts, read_night
from core.inference.studies import measurements_of
from core.psg.channels import MODEL_CHANNELS
from core.psg.preprocess import prepared_from_array
from core.psg.scoring import Event, Scoring
from core.psg.store import PreparedStudy
from tests.core.inference.conftest import MakeStudy
from tests.core.inference.fake_bundle import write_fake_shown_bundle

MEASURED, COURSES = ("c3_delta", "rmssd", "c4_beta"), ("central_apnea", "heart_rate_stable")


@pytest.fixture(scope="module")
def shown_engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    folder = write_fake_shown_bundle(tmp_path_factory.mktemp("shown") / "fake", MEASURED, COURSES)
    return Engine(load_bundle(folder), "cpu", batch=5, threads=1)


@pytest.fixture
def study(make_study: MakeStudy) -> PreparedStudy:
    return make_study(n=12, seed=4, gap=(3,))


def shown(embeddings: np.ndarray) -> np.ndarray:
    return embeddings / embeddings[:, -1:]


def test_what_is_measured_is_shown_and_what_is_not_measured_is_unknown(
    study: PreparedStudy, shown_engine: Engine
) -> None:
    told = shown(embed_study(study, shown_engine))
    values = measurements_of(study).values
    for column, name in enumerate(MEASURED):
        np.testing.assert_allclose(told[:, column], np.nan_to_num(values[name]), rtol=1e-4, atol=1e-4)
    assert told[3, 0] == 0.0  # a gap
    assert told[0, 0] > 0.0


def test_events_that_the_night_model_finds_are_shown(shown_engine: Engine) -> None:
    time = np.arange(20 * 1920) / 64
    array = np.zeros((20, len(MODEL_CHANNELS), 1920), np.float32)
    flow = np.where((time >= 310) & (time < 340), 0.01, 1.0) * np.sin(2 * np.pi * 0.25 * time)
    array[:, MODEL_CHANNELS.index("AF")] = flow.reshape(20, 1920)
    study = prepared_from_array(array, "paused")
    night = read_night(study, shown_engine, NightOptions(domains=(), use_scoring=False))
    (apnea,) = (event for event in night.events if event.type == "central_apnea")
    told = shown(embed_study(study, shown_engine))[:, len(MEASURED) + COURSES.index("central_apnea")] / 2
    assert told[10] == pytest.approx(330 - apnea.onset, abs=0.01)
    assert told[11] == pytest.approx(apnea.onset + apnea.duration - 330, abs=0.01)
    assert told.sum() == pytest.approx(apnea.duration, abs=0.02)


def test_a_scoring_changes_no_embedding(study: PreparedStudy, shown_engine: Engine) -> None:
    events = (Event("arousal", 2.0, 20.0), Event("hypopnea", 40.0, 30.0))
    scored = replace(study, scoring=Scoring(("W",) * 12, events))
    plain = embed_study(study, shown_engine)
    night = read_night(scored, shown_engine, NightOptions(domains=()))
    np.testing.assert_array_equal(embed_study(scored, shown_engine), plain)
    np.testing.assert_array_equal(night.embeddings, plain)
    assert night.events == events


def test_a_night_that_is_settled_first_comes_in_parts_and_says_what_the_whole_says(
    make_study: MakeStudy, shown_engine: Engine
) -> None:
    study = replace(make_study(n=12, seed=4), scoring=Scoring(("W",) * 6 + ("N2",) * 6, ()))
    whole = read_night(study, shown_engine)
    counted: list[int] = []
    rows, epochs = [], []
    for night, some in night_in_parts(study, shown_engine, progress=counted.append):
        np.testing.assert_array_equal(night.embeddings[some], whole.embeddings[some])
        epochs.append(len(some))
        rows += caption_rows(study, night, some)
    assert epochs == counted == [5, 5, 2]
    assert rows == list(caption_rows(study, whole))


def test_an_embedding_does_not_depend_on_its_batch(study: PreparedStudy, shown_engine: Engine) -> None:
    whole = embed_study(study, shown_engine)
    for batch in (1, 12):
        other = Engine(shown_engine.bundle, "cpu", batch=batch, threads=1)
        np.testing.assert_array_equal(embed_study(study, other), whole)


def test_a_model_that_is_shown_nothing_more_reads_its_own_channels_alone(engine: Engine, shown_engine: Engine) -> None:
    assert embedding_channels(engine) == engine.bundle.channels
    assert embedding_channels(shown_engine) is None  # every channel, and measured


def test_without_a_context_nothing_is_known(shown_engine: Engine) -> None:
    bundle = shown_engine.bundle
    signals = np.ones((2, len(bundle.channels), bundle.samples), np.float32)
    np.testing.assert_array_equal(shown(shown_engine.encode(signals)[0])[:, :-1], 0.0)
