"""Evaluation of the fake model, whose faults are known, and of captions whose facts are known."""

import json
import pickle
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from core.errors import StudyError, UsageError
from core.inference.caption_figures import PRINTED, WRITTEN, Line, Read, caption_table, without_touches
from core.inference.engine import Engine
from core.inference.evaluation import Evaluation, evaluate
from core.inference.evaluation_figures import write_pictures
from core.inference.event_evaluation import named
from core.inference.figures import stage_indices, staging_figures
from core.inference.judged import EvaluationOptions, Judged, Row, judge
from core.inference.text_overlap import open_scorers
from core.language.read_back import read_back
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


def test_a_task_that_cannot_be_judged_is_said_with_what_it_takes(judged: list[Judged], engine: Engine) -> None:
    alone = [replace(judged[0], scoring=replace(judged[0].scoring, events=()))]
    found = evaluate(alone, engine, replace(OPTIONS, tasks=("staging", "events", "few-shot", "localisation")))
    assert {row.task for row in found.rows} == {"staging"}
    assert [note.split()[2] for note in found.notes] == ["events", "few-shot", "localisation"]
    assert "two subjects" in found.notes[1]


def test_events_are_also_judged_by_epoch_as_they_are_found(judged: list[Judged], engine: Engine) -> None:
    name, wishes = "F1 by epoch, of the events found", replace(OPTIONS, tasks=("events",))
    perfect = [replace(one, night=replace(one.night, events=one.scoring.events)) for one in judged]
    assert rows(evaluate(perfect, engine, wishes), "events", name)["hypopnea"].value == 1.0
    late = [
        replace(one, night=replace(one.night, events=tuple(replace(e, onset=e.onset + 30) for e in one.scoring.events)))
        for one in judged
    ]
    row = rows(evaluate(late, engine, wishes), "events", name)["hypopnea"]
    assert (row.value, row.n) == (0.0, 3 * N)
    assert row.chance == pytest.approx(0.5)  # a third of the epochs has one


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
    assert abs(rows(found, "few-shot", "kappa, mean of 5 draws")["30 epochs a stage"].value) < 0.3
    assert 0.3 < rows(found, "events", "AUROC")["hypopnea"].value < 0.7
    assert rows(found, "retrieval", "R@10")["captions to epochs"].value < 0.6


def caption_lines(judged: list[Judged], **other: object) -> dict[tuple[str, str], Line]:
    read = [Read(one.subject, one.study, one.night, one.facts) for one in judged]
    read = [replace(one, **other) for one in read]  # type: ignore[arg-type]
    return {(line.domain, line.figure): line for line in caption_table(read, True, OPTIONS.scorers, 20)}


def test_captions_are_judged_as_written_as_printed_and_against_other_epochs(judged: list[Judged]) -> None:
    lines = caption_lines(judged)
    printed = lines["brain", f"{PRINTED}: precision of value"]
    assert printed.value == pytest.approx(1.0)  # the slots are filled with what was measured
    assert printed.chance < 0.5
    assert lines["brain", f"{PRINTED}: mean error of figures, SD"].value == 0.0
    assert lines["brain", f"{PRINTED}: mean error of figures, SD"].chance > 0.5
    staged = lines["stage_event", f"{WRITTEN}: precision of stage"]
    assert staged.value < 0.5  # the fake model's stages are as good as drawn
    assert staged.low <= staged.value <= staged.high


def test_a_perfect_text_has_every_fact(judged: list[Judged]) -> None:
    one = judged[0]
    perfect = replace(
        one.night,
        staging=replace(one.night.staging, stages=one.scoring.stages, probabilities=None),
        events=one.scoring.events,
        events_from="scoring",
        drafts={},
    )
    lines = caption_lines([one], night=perfect)
    assert lines["stage_event", f"{PRINTED}: precision of stage"].value == 1.0
    assert lines["stage_event", f"{PRINTED}: recall of event"].value == 1.0


def test_texts_are_compared_as_texts_and_what_cannot_be_is_said(judged: list[Judged], tmp_path: Path) -> None:
    figures = {name for _, name in caption_lines(judged)}
    if OPTIONS.scorers.overlaps:
        assert {f"{PRINTED}: BLEU-4", f"{PRINTED}: ROUGE-L"} <= figures
    assert f"{PRINTED}: BERTScore F1" in figures or any("BERTScore" in note for note in OPTIONS.scorers.notes)
    with pytest.raises(UsageError, match="no folder of a BERT model"):
        open_scorers(str(tmp_path))


def test_what_cannot_be_judged_is_one_sentence(make_study: MakeStudy, engine: Engine) -> None:
    with pytest.raises(StudyError, match="no scored stages"):
        judge(make_study(), engine, OPTIONS)
    with pytest.raises(UsageError, match="no task 'stagin'"):
        EvaluationOptions(("stagin",)).check()
    with pytest.raises(UsageError, match="no scored study"):
        evaluate([], engine, OPTIONS)


def test_each_task_has_its_level_of_chance(found: Evaluation) -> None:
    assert rows(found, "staging", "kappa")["zero-shot, by prompts"].chance == 0.0
    assert rows(found, "events", "AUROC")["hypopnea"].chance == 0.5
    assert rows(found, "events", "AUPRC")["hypopnea"].chance == pytest.approx(1 / 3)
    retrieval = rows(found, "retrieval", "R@10")["captions to epochs"]
    assert retrieval.chance == pytest.approx(10 / retrieval.n)
    placed = rows(found, "localisation", "F1 at IoU 0.3")["hypopnea"]
    assert 0 <= placed.chance <= 1
    assert np.isfinite([placed.low, placed.high]).all()


def test_an_event_type_that_was_held_out_of_training_is_called_so(engine: Engine) -> None:
    description = {**engine.bundle.description, "training": {"without_events": ["hypopnea"]}}
    other = SimpleNamespace(bundle=SimpleNamespace(description=description))
    assert named("hypopnea", other) == "hypopnea (held out of training)"  # type: ignore[arg-type]
    assert named("arousal", other) == "arousal"  # type: ignore[arg-type]


@pytest.mark.parametrize("form", ["png", "svg", "pdf"])
def test_pictures_are_of_their_kind_and_the_same_again(found: Evaluation, tmp_path: Path, form: str) -> None:
    paths = write_pictures(found, tmp_path, form)
    assert [path.name for path in paths] == [f"{name}.{form}" for name in ("confusion", "precision_recall", "few_shot")]
    begin = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[form]
    first = [path.read_bytes() for path in paths]
    assert all(data.startswith(begin) for data in first)
    write_pictures(found, tmp_path, form)
    assert [path.read_bytes() for path in paths] == first


def test_a_picture_of_another_format_is_refused(found: Evaluation, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no format 'gif'"):
        write_pictures(found, tmp_path, "gif")


def test_what_a_worker_judged_comes_back_whole(judged: list[Judged]) -> None:
    back = pickle.loads(pickle.dumps(judged[0]))
    assert back.facts == judged[0].facts
    assert back.subject == judged[0].subject


def test_an_event_that_only_touches_the_epoch_counts_neither_way() -> None:
    end = read_back("N2. An arousal from 28.5 to 30.0 s.", "stage_event")
    whole = read_back("N2. An arousal from 27.0 to 30.0 s.", "stage_event")
    none = read_back("N2. No events.", "stage_event")
    assert without_touches(end, none).no_events
    assert not without_touches(end, none).events
    assert without_touches(whole, none).events == whole.events  # 3 s
    assert without_touches(end, whole).events == end.events  # both tell it
    assert without_touches(none, end) == none
