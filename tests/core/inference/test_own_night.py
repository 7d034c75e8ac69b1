"""A night told once more by its own clusters: what the network half knew comes out, what it knew stays."""

import numpy as np
import pytest
from numpy.typing import NDArray

from core.inference.own_night import by_own_night, cluster_views
from core.language.band_course import BANDS, night_features

N = 900
EVERY = np.ones(N, bool)


@pytest.fixture
def stages() -> NDArray[np.int64]:
    return np.random.default_rng(0).permutation(np.repeat(np.arange(5), N // 5))


@pytest.fixture
def views(stages: NDArray[np.int64]) -> NDArray[np.float64]:
    """Features in which the stages lie apart, in a place that no network has seen."""
    rng = np.random.default_rng(1)
    return rng.normal(40, 3, (5, 8))[stages] + rng.normal(0, 1, (N, 8))


def wrong(told: NDArray[np.float64], stages: NDArray[np.int64]) -> NDArray[np.bool_]:
    return told.argmax(axis=1) != stages


def doubtful(stages: NDArray[np.int64], astray: float, seed: int = 2) -> NDArray[np.float64]:
    """Log-probabilities that lean towards the true stage, and in some epochs towards another, each as little sure."""
    rng = np.random.default_rng(seed)
    leaning = np.where(rng.random(N) < astray, rng.integers(0, 5, N), stages)
    chances = np.full((N, 5), 0.15)
    chances[np.arange(N), leaning] = 0.4
    return np.log(chances)


def test_errors_without_a_pattern_are_set_right_by_the_clusters(stages, views) -> None:
    told = doubtful(stages, astray=0.3)
    refined = by_own_night(told, views, EVERY)
    assert wrong(refined, stages).mean() < 0.6 * wrong(told, stages).mean()
    assert np.exp(refined).sum(axis=1) == pytest.approx(1.0)


def test_gain_and_offset_of_a_feature_do_not_matter(stages, views) -> None:
    told = doubtful(stages, astray=0.3)
    other = views * [1, 10, 0.1, -1, 5, 1, 1, 100] + [0, 5, -5, 1000, 0, 0, 3, 0]
    assert by_own_night(told, other, EVERY) == pytest.approx(by_own_night(told, views, EVERY), abs=1e-6)


def test_features_that_say_nothing_change_no_sure_epoch(stages) -> None:
    sure = np.log(np.full((N, 5), 0.01))
    sure[np.arange(N), stages] = np.log(0.96)
    noise = np.random.default_rng(3).normal(size=(N, 30))
    assert np.array_equal(by_own_night(sure, noise, EVERY).argmax(axis=1), stages)


def test_a_stage_that_the_network_sees_nowhere_is_not_made_up(stages, views) -> None:
    two = np.where(stages > 2, 0, 2)
    told = np.log(np.full((N, 5), 0.001))
    told[np.arange(N), two] = np.log(0.996)
    assert set(by_own_night(told, views, EVERY).argmax(axis=1)) == {0, 2}


def test_epochs_without_features_stay_as_they_were_told(stages, views) -> None:
    told, seen = doubtful(stages, astray=0.3), np.arange(N) % 3 > 0
    views[~seen] = np.nan
    refined = by_own_night(told, views, seen)
    assert np.array_equal(refined[~seen], told[~seen])
    assert np.isfinite(refined).all()
    assert wrong(refined, stages)[seen].mean() < 0.6 * wrong(told, stages)[seen].mean()


@pytest.mark.parametrize("seen", [np.zeros(N, bool), np.arange(N) == 7])
def test_a_night_of_no_epoch_or_one_is_left_alone(stages, views, seen) -> None:
    told = doubtful(stages, astray=0.3)
    assert np.array_equal(by_own_night(told, views, seen), told)


def test_constant_features_and_twins_of_others_do_no_harm(stages, views) -> None:
    told = doubtful(stages, astray=0.3)
    odd = np.concatenate([views, views, np.full((N, 2), 7.0)], axis=1)
    assert wrong(by_own_night(told, odd, EVERY), stages).mean() < 0.6 * wrong(told, stages).mean()


def test_views_hold_each_eeg_once_and_the_eog_once() -> None:
    logs = np.random.default_rng(4).normal(size=(3, 50, len(BANDS))).astype(np.float32)
    features = [night_features(logs[0], logs[2]), night_features(logs[1], logs[2])]
    views = cluster_views(features)
    assert views.shape == (50, 30)
    spread = np.subtract(*np.percentile(logs[2], [75, 25], axis=0)) + 0.1
    assert views[:, 20:25] == pytest.approx((logs[2] - np.median(logs[2], axis=0)) / spread, abs=1e-4)
