"""Evaluation of the fake model, whose faults are known, and of captions whose facts are known."""

import json
from dataclasses import replace

import numpy as np
import pytest

from core.errors import StudyError, UsageError
from core.inference.caption_figures import PRINTED, SHUFFLED, WRITTEN, caption_table
from core.inference.engine import Engine
from core.inference.evaluation import Evaluation, EvaluationOptions, Judged, Row, evaluate, judge
from core.inference.figures import stage_indices, staging_figures
from core.psg.scoring import STAGES, Event, Scoring
from core.psg.store import PreparedStudy
from tests.core.inference.conftest import MakeStudy

N = 60
OPTIONS = EvaluationOptions(pool=40, draws=20)


def scored(make_study: MakeStudy, seed: int) -> PreparedStudy:
    study = make_study(n=N, seed=seed)
    stages = tuple(STAGES[k] for k in np.random.default_rng(seed).integers(0, 5, N))
    events = tuple(Event("hypopnea", 30.0 * k + 4, 20.0) for k in range(0, N, 3))
    return replace(study, scoring=Scoring(stages, events, source="test"))


@pytest.fixture(scope="module")
def judged(make_study: MakeStudy, engine: Engine) -> list[Judged]:
    return [judge(scored(make_study, seed), engine, OPTIONS) for seed in (1, 2, 3)]


@pytest.fixture(scope="module")
def found(judged: list[Judged], engine: Engine) -> Evaluation:
    return evaluate(judged, engine, OPTIONS)


def rows(found: Evaluation, task: str, figure: str) -> dict[str, Row]:
    return {row.what: row for row in found.rows if row.task == task and row.figure == figure}


def test_every_task_has_its_figures(found: Evaluation) -> None:
    assert {row.task for row in found.rows} == set(OPTIONS.tasks)
    assert found.about["studies"] == found.about["subjects"] == 3
    assert json.dumps(found.to_json())


def test_staging_is_that_of_the_pooled_epochs_with_an_interval_around_it(
    found: Evaluation, judged: list[Judged]
) -> None:
    truth = np.concatenate([stage_indices(one.scoring.stages) for one in judged])
    given = np.concatenate([one.by_prompts for one in judged])
    row = rows(found, "staging", "kappa")["zero-shot, by prompts"]
    assert row.value == pytest.approx(staging_figures(truth, given).kappa)
    assert row.low <= row.value <= row.high
    assert row.n == 3 * N


def test_the_scoring_never_helps_the_model(judged: list[Judged]) -> None:
    for one in judged:
        assert one.night.staging.source == "model"
        assert one.night.events_from != "scoring"


def test_chance_is_chance(found: Evaluation) -> None:
    """Stages and events were drawn at random: nothing that the fake model says can be right more often."""
    assert abs(rows(found, "staging", "kappa")["zero-shot, by prompts"].value) < 0.2
    assert abs(rows(found, "few-shot", "kappa, mean and range")["30 epochs a stage"].value) < 0.3
    assert 0.3 < rows(found, "events", "AUROC")["hypopnea"].value < 0.7
    assert rows(found, "retrieval", "R@10")["captions to epochs"].value < 0.6


def test_captions_are_judged_as_written_as_printed_and_against_other_epochs(judged: list[Judged]) -> None:
    lines = {(d, name): value for d, name, value, _ in caption_table([(o.study, o.night, o.facts) for o in judged])}
    printed = lines["brain", f"{PRINTED}: precision of value"]
    assert printed == pytest.approx(1.0)  # the slots are filled with what was measured
    assert lines["stage_event", f"{WRITTEN}: precision of stage"] < 0.5
    for name in (WRITTEN, SHUFFLED):
        assert 0 <= lines["stage_event", f"{name}: precision of all facts"] <= 1


def test_a_perfect_text_has_every_fact(judged: list[Judged]) -> None:
    one = judged[0]
    perfect = replace(
        one.night,
        staging=replace(one.night.staging, stages=one.scoring.stages, probabilities=None),
        events=one.scoring.events,
        events_from="scoring",
        drafts={},
    )
    lines = {(d, name): value for d, name, value, _ in caption_table([(one.study, perfect, one.facts)])}
    assert lines["stage_event", f"{PRINTED}: precision of stage"] == 1.0
    assert lines["stage_event", f"{PRINTED}: recall of event"] == 1.0


def test_what_cannot_be_judged_is_one_sentence(make_study: MakeStudy, engine: Engine) -> None:
    with pytest.raises(StudyError, match="no scored stages"):
        judge(make_study(), engine, OPTIONS)
    with pytest.raises(UsageError, match="no task 'stagin'"):
        EvaluationOptions(("stagin",)).check()
    with pytest.raises(UsageError, match="no scored study"):
        evaluate([], engine, OPTIONS)
