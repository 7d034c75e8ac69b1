import json
import re
from dataclasses import dataclass, replace

import numpy as np

from core.inference.captioning import CaptionOptions, caption_rows, caption_study
from core.inference.engine import Engine
from core.inference.night import read_night
from core.language.facts import DOMAINS
from core.language.measure import EpochMeasurements
from core.language.read_back import read_back
from core.psg.scoring import STAGES, Event, Scoring


@dataclass(frozen=True)
class Unusable:
    """A draft of which nothing may stand."""

    text: str


def test_rows_are_those_of_the_contract(engine: Engine, make_study) -> None:
    rows = [row.to_json() for row in caption_study(make_study(), engine)]
    assert [row["epoch"] for row in rows] == list(range(12))
    assert [row["onset"] for row in rows] == [30.0 * k for k in range(12)]
    for row in rows:
        assert list(row) == [
            "study", "epoch", "onset", "duration", "stage", "stage_probabilities", "captions", "events",
            "measurements", "channels",
        ]  # fmt: skip
        assert tuple(row["captions"]) == DOMAINS
        assert tuple(row["channels"]) == engine.bundle.channels
        assert row["stage"] == max(row["stage_probabilities"], key=row["stage_probabilities"].get)
        json.dumps(row, allow_nan=False)


def test_every_caption_reads_back_to_its_row(engine: Engine, make_study) -> None:
    for row in caption_study(make_study(20, seed=3), engine):
        told = read_back(row.captions["stage_event"], "stage_event")
        assert told.stage == row.stage
        assert len(told.events) == len(row.events)
        for domain in DOMAINS[:4]:
            read = read_back(row.captions[domain], domain)
            assert not read.slots
            assert "<" not in row.captions[domain]
            for name, value in read.values.items():
                assert value == row.measurements[name]


def test_the_model_writes_where_it_may(engine: Engine, make_study) -> None:
    rows = list(caption_study(make_study(20, seed=3), engine))
    assert any(row.events and row.events[0].confidence for row in rows)
    assert all(re.search(r"C3 delta \d", row.captions["brain"]) for row in rows)  # the fake model's own wording


def test_batch_changes_no_caption(engine: Engine, make_study) -> None:
    study = make_study(13, seed=4)
    once = [row.to_json() for row in caption_study(study, engine)]
    other = Engine(engine.bundle, "cpu", batch=64, threads=2)
    assert [row.to_json() for row in caption_study(study, other)] == once


def test_missing_channels_are_said_and_nothing_is_told_of_them(engine: Engine, make_study) -> None:
    study = make_study(absent=("ECG", "ABD", "THX", "AF", "SPO2"))
    for row in caption_study(study, engine):
        cardiac, respiration = row.captions["cardiac"], row.captions["respiration"]
        assert set(read_back(cardiac, "cardiac").missing) == {"ECG", "SPO2"}
        assert set(read_back(respiration, "respiration").missing) == {"ABD", "THX", "AF"}
        assert not re.search(r"\d", cardiac + respiration)
        assert row.channels["ECG"] == "missing"
        assert not {event.type for event in row.events} & {"hypopnea", "obstructive_apnea", "desaturation"}
        assert "heart_rate_mean" not in row.measurements


def test_a_gap_has_no_stage_and_no_figures(engine: Engine, make_study) -> None:
    rows = list(caption_study(make_study(gap=(4, 5)), engine))
    assert [row.epoch for row in rows if row.stage == "?"] == [4, 5]
    assert rows[4].stage_probabilities == {}
    assert rows[4].measurements == {}
    assert not read_back(rows[4].captions["stage_event"], "stage_event").stage


def test_a_scoring_gives_stages_and_events(engine: Engine, make_study) -> None:
    stages = ("W", "N1", "N2", "N2", "N3", "N3", "R", "R", "?", "W", "W", "W")
    apnea = Event("central_apnea", 100.0, 40.0)
    study = replace(make_study(absent=("EEG_C3", "EEG_C4")), scoring=Scoring(stages, (apnea,)))
    rows = list(caption_study(study, engine))
    assert tuple(row.stage for row in rows) == stages
    assert all(row.stage_probabilities == {} for row in rows)
    assert [row.epoch for row in rows if apnea in row.events] == [3, 4]
    told = read_back(rows[3].captions["stage_event"], "stage_event").events
    assert [(event.type, event.onset, event.duration) for event in told] == [("central_apnea", 10.0, 20.0)]


def test_the_scoring_can_be_left_alone(engine: Engine, make_study) -> None:
    study = replace(make_study(), scoring=Scoring(("W",) * 12, (Event("central_apnea", 100.0, 40.0),)))
    rows = list(caption_study(study, engine, CaptionOptions(use_scoring=False)))
    assert all(set(row.stage_probabilities) == set(STAGES) for row in rows)
    assert not any(event.type == "central_apnea" for row in rows for event in row.events)


def test_without_eeg_and_scoring_there_are_captions_and_no_stages(engine: Engine, make_study) -> None:
    for row in caption_study(make_study(absent=("EEG_C3", "EEG_C4")), engine):
        assert row.stage == "?"
        assert row.stage_probabilities == {}
        assert read_back(row.captions["stage_event"], "stage_event").stage_unscored
        assert not any(event.type == "arousal" for event in row.events)


def test_captions_from_facts_alone_need_no_model(make_study) -> None:
    study = make_study(absent=("EEG_C3", "EEG_C4"))
    rows = list(caption_study(study, None, CaptionOptions(measured_only=True)))
    assert {row.stage for row in rows} == {"?"}
    assert all(set(row.captions) == set(DOMAINS) for row in rows)
    assert all(read_back(row.captions["stage_event"], "stage_event").events_unscored for row in rows)


def test_the_name_of_a_study_changes_its_name_alone(engine: Engine, make_study) -> None:
    study = make_study()
    one = [row.to_json() | {"study": ""} for row in caption_study(study, engine)]
    other = [row.to_json() | {"study": ""} for row in caption_study(replace(study, study="folder-b"), engine)]
    assert one == other


def test_chosen_domains_alone_are_captioned(engine: Engine, make_study) -> None:
    rows = list(caption_study(make_study(), engine, CaptionOptions(domains=("cardiac",))))
    assert all(set(row.captions) == {"cardiac"} for row in rows)
    full = list(caption_study(make_study(), engine))
    assert [row.events for row in rows] == [row.events for row in full]


def test_progress_counts_every_epoch(engine: Engine, make_study) -> None:
    done: list[int] = []
    list(caption_study(make_study(13), engine, progress=done.append))
    assert sum(done) == 13
    assert max(done) <= engine.batch


def test_probabilities_are_rounded_to_four_digits(engine: Engine, make_study) -> None:
    for row in caption_study(make_study(), engine):
        figures = np.array(list(row.stage_probabilities.values()))
        assert np.array_equal(figures, np.round(figures, 4))


def test_what_was_measured_is_told_where_nothing_of_a_draft_may_stand(engine: Engine, make_study) -> None:
    study = make_study()
    night = read_night(study, engine)
    useless = {domain: Unusable("The moon is 44.5 high.") for domain in DOMAINS}
    silent = replace(night, drafts=dict.fromkeys(range(study.n_epochs), useless))
    measured = caption_rows(study, replace(night, drafts={}))
    for row, wanted in zip(caption_rows(study, silent), measured, strict=True):
        assert row.captions == wanted.captions
        assert read_back(row.captions["brain"], "brain").values


def test_a_pulse_is_told_though_the_model_does_not_see_it(engine: Engine, make_study) -> None:
    study = make_study()
    tables, notes = EpochMeasurements.from_tables(study.tables, study.notes).to_tables()
    values = tables["measured_values"].copy()
    for name in ("beat_rate", "rmssd", "heart_rate_min", "heart_rate_mean", "heart_rate_max"):
        values[notes["measured_names"].index(name)] = 64.0 if name.startswith("heart") else np.nan
    study = replace(study, tables={**tables, "measured_values": values})
    for row in caption_study(study, engine):
        read = read_back(row.captions["cardiac"], "cardiac")
        assert read.values["heart_rate_mean"] == 64
        assert read.sites == {"ECG": "the oximeter's pulse"}
