import itertools
from dataclasses import replace

import numpy as np
import pytest

from core.errors import StudyError
from core.inference.bundle import StagingFacts
from core.inference.embedding import embed_study
from core.inference.engine import Engine
from core.inference.staging import (
    StagingOptions,
    posterior_marginals,
    stage_anchors,
    stage_embeddings,
    stage_evidence,
    stage_study,
)
from core.psg.scoring import STAGES, Scoring


def brute_force(evidence: np.ndarray, transitions: np.ndarray) -> np.ndarray:
    """Sum over every path of stages."""
    count, stages = evidence.shape
    total = np.zeros((count, stages))
    for path in itertools.product(range(stages), repeat=count):
        weight = np.exp(sum(evidence[row, stage] for row, stage in enumerate(path)))
        weight *= np.prod([transitions[a, b] for a, b in itertools.pairwise(path)])
        total[range(count), path] += weight
    return total / total.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("seed", range(4))
def test_posterior_is_the_sum_over_all_paths(seed: int) -> None:
    generator = np.random.default_rng(seed)
    evidence = generator.normal(0.0, 2.0, (5, 5))
    transitions = generator.dirichlet(np.ones(5), 5)
    np.testing.assert_allclose(
        posterior_marginals(evidence, transitions), brute_force(evidence, transitions), atol=1e-9
    )


def test_long_nights_and_hard_evidence_stay_finite() -> None:
    evidence = np.random.default_rng(1).normal(0.0, 400.0, (3000, 5))
    posterior = posterior_marginals(evidence, np.full((5, 5), 0.2))
    np.testing.assert_allclose(posterior.sum(axis=1), 1.0)
    assert np.array_equal(posterior.argmax(axis=1), evidence.argmax(axis=1))


def test_forbidden_transitions_are_improbable_not_impossible() -> None:
    evidence = np.array([[0.0, -900, -900, -900, -900], [-900, -900, -900, -900, 0.0]])
    posterior = posterior_marginals(evidence, np.eye(5))
    assert posterior.argmax(axis=1).tolist() == [0, 4]


def test_a_single_odd_epoch_is_smoothed_away() -> None:
    evidence = np.zeros((9, 5))
    evidence[:, 2] = 3.0
    evidence[4] = (0, 0, 0, 1.0, 0)
    stay = np.full((5, 5), 0.02) + 0.9 * np.eye(5)
    assert posterior_marginals(evidence, stay).argmax(axis=1).tolist() == [2] * 9


def test_evidence_is_temperature_times_cosine_and_log_prior() -> None:
    anchors = np.eye(5, 8, dtype=np.float32)
    facts = StagingFacts(10.0, (0.1, 0.1, 0.4, 0.2, 0.2), ())
    evidence = stage_evidence(anchors[[2]], anchors, facts)
    np.testing.assert_allclose(evidence[0], 10.0 * np.eye(5)[2] + np.log(facts.prior))


def test_evidence_of_an_epoch_does_not_depend_on_its_neighbours() -> None:
    generator = np.random.default_rng(2)
    rows = generator.standard_normal((257, 48)).astype(np.float32)
    anchors = generator.standard_normal((5, 48)).astype(np.float32)
    facts = StagingFacts(10.0, (0.2,) * 5, ())
    together = stage_evidence(rows, anchors, facts)
    for row in (0, 1, 100, 256):
        assert np.array_equal(stage_evidence(rows[[row]], anchors, facts)[0], together[row])


def test_the_stage_is_the_largest_printed_figure(engine: Engine, make_study) -> None:
    staging = stage_study(make_study(40, seed=8), engine)
    assert staging.source == "model"
    assert staging.probabilities is not None
    assert [STAGES[k] for k in staging.probabilities.argmax(axis=1)] == list(staging.stages)


def test_gap_epochs_are_not_scored_and_do_not_break_the_chain(engine: Engine, make_study) -> None:
    staging = stage_study(make_study(12, gap=(0, 5, 11)), engine)
    assert [k for k, stage in enumerate(staging.stages) if stage == "?"] == [0, 5, 11]
    assert staging.probabilities is not None
    assert np.isnan(staging.probabilities[[0, 5, 11]]).all()
    assert np.isfinite(np.delete(staging.probabilities, [0, 5, 11], axis=0)).all()


def test_without_smoothing_each_epoch_stands_alone(engine: Engine, make_study) -> None:
    study = make_study(12)
    embeddings = embed_study(study, engine)
    options = StagingOptions(smooth=False)
    whole = stage_embeddings(embeddings, study, engine, options)
    part = make_study(12)
    part = replace(part, signals=part.signals[3:6], states=part.states[3:6], extras={})
    alone = stage_embeddings(embeddings[3:6], part, engine, options)
    assert whole.probabilities is not None
    assert alone.probabilities is not None
    assert np.array_equal(whole.probabilities[3:6], alone.probabilities)


def test_anchors_have_unit_length(engine: Engine) -> None:
    anchors = stage_anchors(engine)
    assert anchors.shape == (5, engine.bundle.embed_dim)
    np.testing.assert_allclose(np.linalg.norm(anchors, axis=1), 1.0, rtol=1e-6)


def test_a_scoring_without_any_stage_is_no_staging(engine: Engine, make_study) -> None:
    study = replace(make_study(), scoring=Scoring(("?",) * 12, ()))
    assert stage_study(study, engine).source == "model"


def test_no_eeg_and_no_scoring_is_an_error(engine: Engine, make_study) -> None:
    with pytest.raises(StudyError, match="no usable EEG"):
        stage_study(make_study(absent=("EEG_C3", "EEG_C4")), engine)
