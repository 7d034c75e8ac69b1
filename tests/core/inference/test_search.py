from dataclasses import replace

import numpy as np

from core.inference.engine import Engine
from core.inference.search import index_study, search
from core.language.measure import EpochMeasurements
from core.psg.scoring import Event, Scoring


def test_hits_are_the_best_cosines_in_order(engine: Engine, make_study) -> None:
    studies = [index_study(make_study(15, seed=seed), engine) for seed in (1, 2)]
    answer = search("a quiet epoch", studies, engine, limit=7)
    asked = engine.embed_texts(["a quiet epoch"])[0]
    expected = sorted(
        ((float(row @ asked), study.study, epoch) for study in studies for epoch, row in enumerate(study.embeddings)),
        reverse=True,
    )
    assert [(hit.study, hit.epoch) for hit in answer.hits] == [(name, epoch) for _, name, epoch in expected[:7]]
    np.testing.assert_allclose([hit.score for hit in answer.hits], [score for score, *_ in expected[:7]], atol=1e-4)
    assert all(hit.onset == hit.epoch * 30.0 for hit in answer.hits)
    assert answer.matching == 30


def test_stages_and_named_events_filter_and_events_are_spans(engine: Engine, make_study) -> None:
    stages = ("W", "W", "N2", "N2", "N2", "N3", "N3", "R", "R", "R", "W", "W")
    apnea = Event("obstructive_apnea", 225.0, 30.0)
    study = replace(make_study(), scoring=Scoring(stages, (apnea, Event("arousal", 255.0, 5.0))))
    answer = search("REM sleep with an obstructive apnea", [index_study(study, engine)], engine)
    assert {hit.epoch for hit in answer.hits} == {7, 8}
    assert all(hit.spans == (apnea,) for hit in answer.hits)
    assert answer.hits[0].to_json()["caption"]
    without = search("REM sleep without an apnea", [index_study(study, engine)], engine)
    assert {hit.epoch for hit in without.hits} == {9}
    either = search("arousal or apnea", [index_study(study, engine)], engine)
    assert {hit.epoch for hit in either.hits} == {7, 8}


def test_no_epoch_meets_an_impossible_condition(engine: Engine, make_study) -> None:
    answer = search("SpO2 below 88", [index_study(make_study(), engine)], engine)
    assert answer.hits == ()
    assert answer.matching == 0


def test_a_study_is_indexed_without_its_signals(engine: Engine, make_study) -> None:
    indexed = index_study(make_study(15), engine)
    assert not hasattr(indexed, "signals")
    assert len(indexed.captions) == len(indexed.stages) == len(indexed.embeddings) == 15


def test_spindles_and_slow_waves_count_where_captions_tell_them(engine: Engine, make_study) -> None:
    study = make_study()
    tables, notes = EpochMeasurements.from_tables(study.tables, study.notes).to_tables()
    values = tables["measured_values"].copy()
    for name in ("spindle_count", "slow_wave_count"):
        values[notes["measured_names"].index(name)] = 5.0
    stages = ("W", "N1", "N2", "N3", "R", "?") * 2
    study = replace(study, tables={**tables, "measured_values": values}, scoring=Scoring(stages, ()))
    index = [index_study(study, engine)]
    for text, wanted in (("more than 3 spindles", {"N1", "N2", "N3"}), ("at least 2 slow waves", {"N2", "N3"})):
        hits = search(text, index, engine, limit=20).hits
        assert {stages[hit.epoch] for hit in hits} == wanted
