"""Partial nights: their own epochs stay where they were, the rest comes from a night of the same stages."""

from pathlib import Path

import numpy as np
import pytest
from scipy import signal

from core.errors import StudyError
from core.language.band_course import BANDS
from core.psg.scoring import STAGES
from training.partial_nights import ANCHORS, anchored, completed, of_kept_epochs, recall_of_kept
from training.scored_courses import UNSCORED, ScoredCourse

LEVELS = np.array([0.0, 1.0, 2.0, 4.0, 1.5], np.float32)  # of a donor's delta by stage
RATE = 128


def night(stages: np.ndarray, seed: int = 0, gain: float = 1.0, offset: float = 0.0) -> ScoredCourse:
    """A night whose every band tells the stage by `gain` × its level + `offset`, a little noisy."""
    noise = np.random.default_rng(seed).normal(0, 0.01, (len(stages), len(BANDS)))
    eeg = (gain * LEVELS[stages][:, None] + offset + noise).astype(np.float32)
    return ScoredCourse(f"night{seed}", f"subject{seed}", eeg[None], np.full_like(eeg, np.nan), stages)


@pytest.fixture
def donor() -> ScoredCourse:
    return night(np.repeat([0, 1, 2, 3, 2, 4, 0], 40))


@pytest.fixture
def partial() -> ScoredCourse:
    """A patient with less contrast and another gain, of whom wake and deep sleep were kept."""
    whole = night(np.repeat([0, 1, 2, 3, 4, 2, 0], 30), seed=1, gain=0.8, offset=5.0)
    whole.eegs[0, ~np.isin(whole.stages, ANCHORS)] = np.nan
    return whole


def test_kept_epochs_stay_and_others_come_with_their_stage(donor: ScoredCourse, partial: ScoredCourse) -> None:
    whole = completed(partial, donor, np.random.default_rng(0))
    kept = np.isfinite(partial.eegs[0]).all(axis=1)
    assert np.array_equal(whole.eegs[0][kept], partial.eegs[0][kept])
    assert np.array_equal(whole.stages, partial.stages)
    assert np.isfinite(whole.eegs).all()
    for stage in (1, 2, 4):
        filled = whole.eegs[0][whole.stages == stage]
        assert filled == pytest.approx(0.8 * LEVELS[stage] + 5.0, abs=0.15)  # where the patient's own would have been


def test_nobody_is_changed_by_completing(donor: ScoredCourse, partial: ScoredCourse) -> None:
    before, theirs = partial.eegs.copy(), donor.eegs.copy()
    completed(partial, donor, np.random.default_rng(0))
    assert np.array_equal(before, partial.eegs, equal_nan=True)
    assert np.array_equal(theirs, donor.eegs)


def test_a_stage_that_the_donor_never_had_is_not_taught(partial: ScoredCourse) -> None:
    without_rem = night(np.repeat([0, 1, 2, 3], 40))
    whole = completed(partial, without_rem, np.random.default_rng(0))
    assert set(whole.stages[partial.stages == STAGES.index("R")]) == {UNSCORED}


def test_without_both_ends_a_night_is_not_anchored(donor: ScoredCourse) -> None:
    assert anchored(donor)
    assert not anchored(night(np.repeat([0, 1, 2], 40)))


def written(path: Path, epochs: np.ndarray, codes: np.ndarray, samples: int = 30 * RATE) -> Path:
    rng = np.random.default_rng(3)
    low, fast = signal.butter(4, 4, fs=RATE, output="sos"), signal.butter(4, 16, "high", fs=RATE, output="sos")
    rows = [signal.sosfilt(low if codes[epoch] in (4, 5) else fast, rng.standard_normal(samples)) for epoch in epochs]
    stored = np.round(np.array(rows) * 1000).astype(np.int16)
    np.savez(path, sig=stored, scale=1e-3, fs=RATE, epoch=epochs, stage=codes)
    return path


def test_kept_epochs_are_measured_at_their_places(tmp_path: Path) -> None:
    codes = np.array([0, 6, 2, 4, 5, 1, 3, 0])  # wake, artefact, S1, S3, S4, REM, S2, wake
    found = of_kept_epochs(written(tmp_path / "patient.npz", np.array([0, 3, 4, 7]), codes))
    assert [STAGES[s] if s >= 0 else "?" for s in found.stages] == ["W", "?", "N1", "N3", "N3", "R", "N2", "W"]
    delta, beta = found.eegs[0, :, 0], found.eegs[0, :, 4]
    assert np.isfinite(delta).tolist() == [True, False, False, True, True, False, False, True]
    assert (delta > beta)[[3, 4]].all()
    assert (delta < beta)[[0, 7]].all()


@pytest.mark.parametrize("content", [b"", b"not an archive"])
def test_another_file_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "other.npz").write_bytes(content)
    with pytest.raises(StudyError, match="not a night of kept epochs"):
        of_kept_epochs(tmp_path / "other.npz")


def test_epochs_of_another_length_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "short.npz", np.array([0, 1]), np.array([0, 0]), samples=20 * RATE)
    with pytest.raises(StudyError, match="30 s for each kept epoch"):
        of_kept_epochs(path)


def test_recall_counts_kept_epochs_alone(partial: ScoredCourse) -> None:
    scores = np.zeros((len(partial.stages), 5))
    scores[:, STAGES.index("W")] = 1.0  # everything is called wake
    told = recall_of_kept([scores], [partial])
    assert told == {"subjects": 1, "recall W": 1.0, "epochs W": 60, "recall N3": 0.0, "epochs N3": 30}
