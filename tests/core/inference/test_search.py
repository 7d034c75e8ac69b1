"""Questions over studies in memory, against oracles made by hand."""

from dataclasses import replace

import numpy as np
import pytest

from core.errors import UsageError
from core.inference.answers import answer
from core.inference.bouts import bouts_of
from core.inference.caption_words import asked_words, coverage, tokens_of
from core.inference.engine import Engine
from core.inference.epoch_table import StudyTable
from core.inference.night import NightOptions, read_night
from core.inference.patients import studies_of
from core.inference.search import WORDS_SHARE, Wishes, ask, hits_of, index_night, index_study, search
from core.inference.store import MemoryStore
from core.language.measure import EpochMeasurements
from core.psg.scoring import Event, Scoring

STAGES = ("W", "W", "N2", "N2", "N2", "N3", "N3", "R", "R", "R", "W", "W")
APNEA = Event("obstructive_apnea", 225.0, 30.0)
AROUSAL = Event("arousal", 255.0, 5.0)


@pytest.fixture(scope="module")
def scored(engine: Engine, make_study) -> StudyTable:
    return index_study(replace(make_study(), scoring=Scoring(STAGES, (APNEA, AROUSAL))), engine)


def test_hits_are_the_best_scores_in_order(engine: Engine, make_study) -> None:
    studies = [index_study(make_study(15, seed=seed), engine) for seed in (1, 2)]
    answer = search("a zebra in the laboratory", studies, engine, limit=7)  # no word of it is said by a caption
    asked = engine.embed_texts(["zebra in the laboratory"])[0]
    expected = sorted(
        ((float(row @ asked), study.study, epoch) for study in studies for epoch, row in enumerate(study.embeddings)),
        reverse=True,
    )
    assert [(hit.study, hit.epoch) for hit in answer.hits] == [(name, epoch) for _, name, epoch in expected[:7]]
    np.testing.assert_allclose([hit.score for hit in answer.hits], [score for score, *_ in expected[:7]], atol=1e-4)
    assert all(hit.onset == hit.epoch * 30.0 for hit in answer.hits)
    assert answer.matching == 30


def test_words_of_the_captions_count_a_quarter(engine: Engine, scored: StudyTable) -> None:
    store = MemoryStore([scored])
    asked = ask("zebra with something obstructed", store, engine, Wishes(limit=12))
    hits = {hit.epoch: hit.score for hit in hits_of(asked, store)}
    said = {7, 8}
    for epoch, score in hits.items():
        cosine = float(scored.embeddings[epoch] @ asked.vector)
        share = coverage(asked.words, scored.columns["words"][epoch])
        assert score == pytest.approx((1 - WORDS_SHARE) * cosine + WORDS_SHARE * share, abs=2e-4)
        assert (share == 1.0) == (epoch in said)


def test_words_are_compared_without_case_number_and_empty_words() -> None:
    assert tokens_of("Loss of the Chin TONES, and apnoeas") == ("without", "chin", "tone", "apnea")
    assert asked_words("zebra with chin tone") == ("chin", "tone")
    assert coverage(("chin", "tone"), "chin tone usual") == 1.0
    assert 0.0 < coverage(("chin", "tone", "without"), "chin tone usual") < 1.0
    assert coverage((), "chin") == 0.0


def test_stages_and_named_events_filter_and_events_are_spans(engine: Engine, scored: StudyTable) -> None:
    answer = search("REM sleep with an obstructive apnea", [scored], engine)
    assert {hit.epoch for hit in answer.hits} == {7, 8}
    span = {"type": "obstructive_apnea", "onset": 225.0, "duration": 30.0, "confidence": None}
    assert all(hit.spans == (span,) for hit in answer.hits)
    assert answer.hits[0].to_json()["caption"]
    assert {hit.epoch for hit in search("REM sleep without an apnea", [scored], engine).hits} == {9}
    assert {hit.epoch for hit in search("arousal or apnea", [scored], engine).hits} == {7, 8}
    assert {hit.epoch for hit in search("apnea longer than 25 s", [scored], engine).hits} == {7, 8}
    assert search("apnea longer than 30 s", [scored], engine).matching == 0
    assert {hit.epoch for hit in search("more than 10 s of apnea", [scored], engine).hits} == {7, 8}
    assert {hit.epoch for hit in search("more than 20 s of apnea", [scored], engine).hits} == set()


def test_what_nobody_looked_for_is_neither_there_nor_absent(engine: Engine, make_study) -> None:
    blind = index_study(replace(make_study(seed=4, absent=("ABD", "THX", "AF")), scoring=None), engine)
    assert set(blind.columns["has_hypopnea"]) == {None}
    store = MemoryStore([blind])
    assert store.count("has_hypopnea = TRUE") == store.count("has_hypopnea = FALSE") == 0
    told = answer(ask("without hypopneas", store, engine), store)
    assert "has_hypopnea is not known in 12 of 12 epochs" in told.sentence


def test_no_epoch_meets_an_impossible_condition(engine: Engine, make_study) -> None:
    answer = search("SpO2 below 88", [index_study(make_study(), engine)], engine)
    assert answer.hits == ()
    assert answer.matching == 0


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


def test_an_expression_filters_and_nothing_else_passes(engine: Engine, scored: StudyTable) -> None:
    store = MemoryStore([scored])
    asked = ask("", store, engine, Wishes(where="Stage = 'R' AND NOT has_apnea OR stage in ('N3')"))
    assert [(hit.epoch, hit.score) for hit in hits_of(asked, store)] == [(5, None), (6, None), (9, None)]
    assert store.count(ask("deep sleep", store, engine, Wishes(where="epoch > 5")).where) == 1
    injected = ("stage = 'R'; DROP TABLE epochs", "1 = 1 -- x", "epoch IN (SELECT 1)", "load_extension('x')")
    for wrong in (*injected, "nope > 3", "(stage = 'R'", 'stage = "R"', "random() > 0", "'a' = 'a"):
        with pytest.raises(UsageError, match="--where"):
            ask("", store, engine, Wishes(where=wrong))


def test_likes_of_an_epoch_leave_it_out(engine: Engine, scored: StudyTable) -> None:
    store = MemoryStore([scored])
    hits = hits_of(ask("", store, engine, Wishes(3, like=f"{scored.study}:5")), store)
    cosines = scored.embeddings.astype(np.float64) @ scored.embeddings[5].astype(np.float64)
    expected = [int(n) for n in np.argsort(-cosines, kind="stable") if n != 5][:3]
    assert [hit.epoch for hit in hits] == expected
    for wrong in ("nobody:3", f"{scored.study}:12", "night", f"{scored.study}:x"):
        with pytest.raises(UsageError):
            ask("", store, engine, Wishes(like=wrong))
    with pytest.raises(UsageError, match="Nothing is asked"):
        ask("", store, engine)


def test_a_caption_finds_the_epoch_that_it_tells_of(engine: Engine, make_study) -> None:
    study = make_study()
    table = index_night(study, read_night(study, engine, NightOptions(("cardiac", "brain"))))
    store = MemoryStore([table])
    told = [" ".join(filter(None, (table.columns[f"caption_{d}"][n] for d in ("brain", "cardiac")))) for n in range(12)]
    asked = ask(told[4], store, engine)
    assert asked.caption is not None
    assert asked.where == ""
    hits = hits_of(asked, store)
    alike = {n for n in range(12) if told[n] == told[4]}
    assert hits[0].epoch in alike
    assert "like an epoch of" in str(asked)


def test_the_table_knows_sleep_onset_and_how_sure_events_are(engine: Engine, scored: StudyTable, make_study) -> None:
    assert scored.columns["since_sleep"] == [30.0 * (epoch - 2) for epoch in range(12)]
    sure = (Event("arousal", 255.0, 5.0, 0.5), Event("arousal", 262.0, 4.0, 0.75))
    scoring = Scoring(("W",) * 12, sure)
    awake = index_study(replace(make_study(), scoring=scoring), engine)
    assert awake.columns["since_sleep"] == [None] * 12
    assert awake.columns["arousal_confidence"] == [None] * 8 + [0.75] + [None] * 3
    assert scored.columns["arousal_confidence"] == [None] * 12
    assert {hit.epoch for hit in search("wake after sleep onset", [scored], engine, 20).hits} == {10, 11}
    assert {hit.epoch for hit in search("awake before sleep onset", [scored], engine, 20).hits} == {0, 1}


def test_bouts_are_runs_of_epochs_with_a_pause_of_one(engine: Engine, make_study) -> None:
    stages = ("R", "R", "W", "R", "W", "W", "R", "N2", "N2", "N2", "N2", "R")
    study = index_study(replace(make_study(), scoring=Scoring(stages, ())), engine)
    store = MemoryStore([study])
    bouts = bouts_of(ask("REM sleep", store, engine), store)
    found = sorted((bout.epoch, bout.epochs, bout.onset, bout.duration) for bout in bouts)
    assert found == [(0, 3, 0.0, 120.0), (6, 1, 180.0, 30.0), (11, 1, 330.0, 30.0)]
    free = bouts_of(ask("a zebra", store, engine), store)
    assert free
    assert sum(bout.epochs for bout in free) < 12


def test_a_bout_says_whether_its_times_rest_on_events_or_on_whole_epochs(engine: Engine, make_study) -> None:
    events = (Event("obstructive_apnea", 225.0, 30.0),)
    study = index_study(replace(make_study(), scoring=Scoring(("N2",) * 12, events)), engine)
    store = MemoryStore([study])
    (apnea,) = (bout.to_json() for bout in bouts_of(ask("obstructive apnea", store, engine), store))
    assert apnea["evidence"] == "events"
    assert [(span["onset"], span["duration"]) for span in apnea["spans"]] == [(225.0, 30.0)]
    assert (apnea["onset"], apnea["duration"]) == (210.0, 60.0)
    for bout in bouts_of(ask("N2 sleep", store, engine), store):
        assert (bout.to_json()["evidence"], bout.spans) == ("epochs", ())


def test_studies_are_ranked_by_their_share_or_by_meaning(engine: Engine, make_study) -> None:
    nights = {1: ("R",) * 3 + ("N2",) * 9, 2: ("R",) * 6 + ("N2",) * 6, 3: ("N2",) * 12}
    tables = [
        index_study(replace(make_study(seed=seed), scoring=Scoring(stages, ())), engine)
        for seed, stages in nights.items()
    ]
    store = MemoryStore(tables)
    ranked = studies_of(ask("REM sleep", store, engine), store)
    assert [(hit.study, hit.matching, hit.share) for hit in ranked] == [("night2", 6, 0.5), ("night1", 3, 0.25)]
    asked = ask("a zebra", store, engine)
    cosines = {table.study: np.sort(table.embeddings @ asked.vector)[::-1][:5].mean() for table in tables}
    ranked = studies_of(asked, store)
    assert [hit.study for hit in ranked] == sorted(cosines, key=lambda name: -cosines[name])
    assert ranked[0].score == pytest.approx(max(cosines.values()), abs=1e-3)


def test_every_figure_of_an_answer_is_counted_from_the_table(engine: Engine, scored: StudyTable) -> None:
    store = MemoryStore([scored])
    told = answer(ask("obstructive apnea", store, engine), store)
    assert told.figures["epochs"] == 2
    assert told.figures["stages"] == {"R": 2}
    assert told.figures["position_shares"] == {"supine": 100.0}
    assert told.figures["events_that_begin"] == {"obstructive_apnea": 1}
    assert told.sentence == (
        "2 epochs (1 min, 17 % of all) in one study, 100 % in REM, mostly supine (100 %). "
        "1 obstructive apnea begins in them."
    )
    extremes = answer(ask("delta above 0.1 % in wake", store, engine), store).figures["extremes"]["delta"]
    known = {n: scored.columns["delta"][n] for n, stage in enumerate(STAGES) if stage == "W"}
    assert extremes["highest"]["value"] == max(known.values())
    assert known[int(extremes["lowest"]["onset"] // 30)] == min(known.values())
    assert "only ranks and is not counted" in answer(ask("apnea, zebra", store, engine), store).sentence
    assert "sets no condition" in answer(ask("zebra", store, engine), store).sentence
