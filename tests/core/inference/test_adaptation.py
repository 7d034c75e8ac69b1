"""Adapting the fake model to a lab whose stages it cannot name."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.errors import ModelError, StudyError, UsageError
from core.inference.adaptation import AdaptOptions, LabelledStudy, adapt, labelled
from core.inference.bundle import load_bundle
from core.inference.engine import Engine
from core.inference.staging import HEAD_FILE, StagingOptions, stage_study
from core.psg.channels import MODEL_CHANNELS
from core.psg.preprocess import prepared_from_array
from core.psg.scoring import STAGES, Scoring
from core.psg.store import PreparedStudy
from tests.core.inference.conftest import MakeStudy

N = 80


def study_of(seed: int) -> PreparedStudy:
    """A study whose loudness tells the stage, one stage for eight epochs at a time."""
    rng = np.random.default_rng(seed)
    stages = np.repeat(rng.permutation([0, 1, 2, 3, 4, 0, 2, 4, 3, 1]), N // 10)
    array = rng.standard_normal((N, len(MODEL_CHANNELS), 1920)).astype(np.float32)
    array *= (0.1 * 2.0**stages)[:, None, None].astype(np.float32)
    array[:, MODEL_CHANNELS.index("POS")] = 2.0
    study = prepared_from_array(array, f"p{seed}_1")
    return replace(study, scoring=Scoring(tuple(STAGES[k] for k in stages), (), source="test"))


@pytest.fixture(scope="module")
def learned(engine: Engine) -> list[LabelledStudy]:
    return [labelled(study_of(seed), engine, "_") for seed in (1, 2, 3)]


def accuracy(engine: Engine, study: PreparedStudy) -> float:
    staging = stage_study(study, engine, StagingOptions(use_scoring=False))
    assert study.scoring is not None
    return float(np.mean([a == b for a, b in zip(staging.stages, study.scoring.stages, strict=True)]))


def test_an_adapted_model_stages_the_labs_other_subjects(
    learned: list[LabelledStudy], engine: Engine, tmp_path: Path
) -> None:
    figures = adapt(learned, engine.bundle, tmp_path / "ours", AdaptOptions())
    adapted = Engine(load_bundle(tmp_path / "ours"), "cpu", batch=5, threads=1)
    other = study_of(9)
    assert accuracy(adapted, other) > accuracy(engine, other) + 0.3
    assert figures["kappa"] > 0.4
    assert figures["epochs"] == 3 * N


def test_shots_bound_what_is_learned_from_and_the_seed_settles_it(
    learned: list[LabelledStudy], engine: Engine, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        assert adapt(learned, engine.bundle, tmp_path / name, AdaptOptions(shots=4, seed=3))["epochs"] == 20
    assert load_bundle(tmp_path / "a").content_hash == load_bundle(tmp_path / "b").content_hash


def test_a_changed_head_is_refused(learned: list[LabelledStudy], engine: Engine, tmp_path: Path) -> None:
    adapt(learned, engine.bundle, tmp_path / "ours", AdaptOptions(shots=1))
    with (tmp_path / "ours" / HEAD_FILE).open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(ModelError, match="damaged"):
        load_bundle(tmp_path / "ours")


def test_nothing_to_learn_from_is_one_sentence(
    learned: list[LabelledStudy], engine: Engine, make_study: MakeStudy, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="too little"):
        adapt([replace(learned[0], stages=np.zeros(N, np.int64))], engine.bundle, tmp_path / "x", AdaptOptions())
    with pytest.raises(StudyError, match="no scored stages"):
        labelled(make_study(), engine)
