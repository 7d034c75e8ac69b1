"""Figures of merit against values worked out by hand."""

import numpy as np
import pytest

from core.inference.figures import best_temperature, interval_by_subject, retrieval_figures, staging_figures


def test_kappa_of_a_two_stage_night():
    truth = np.array([0] * 20 + [2] * 30)
    given = np.array([0] * 15 + [2] * 5 + [2] * 20 + [0] * 10)
    found = staging_figures(truth, given)  # observed 0.7, expected 0.5: the textbook example has kappa 0.4
    assert found.accuracy == pytest.approx(0.7)
    assert found.kappa == pytest.approx(0.4)
    assert found.balanced_accuracy == pytest.approx((15 / 20 + 20 / 30) / 2)
    assert found.confusion.sum() == 50


def test_an_epoch_without_an_answer_is_wrong_and_one_without_truth_does_not_count():
    found = staging_figures(np.array([0, 1, -1]), np.array([0, -1, 3]))
    assert found.accuracy == 0.5
    assert found.confusion[1, 5] == 1
    assert np.isnan(staging_figures(np.array([-1]), np.array([0])).kappa)


def test_ranks_count_the_items_before_the_best_right_one_and_ties_against_the_query():
    queries = np.array([[1.0, 0.0], [0.0, 1.0]])
    items = np.array([[0.6, 0.8], [0.8, 0.6], [1.0, 0.0], [1.0, 0.0]])
    found = retrieval_figures(queries, items[[2, 1, 0, 3]])
    assert found.pool == 4
    assert found.recall[1] == 0.0  # item 3 ties with item 0; item 2 comes before item 1
    assert found.recall[5] == 1.0
    assert found.median_rank == 2.0
    any_of = np.array([[True, False, False, True], [False, False, False, False]])
    assert retrieval_figures(queries, items[[2, 1, 0, 3]], any_of).recall[1] == 1.0


def test_the_temperature_is_found_again():
    rng = np.random.default_rng(0)
    cosines = rng.uniform(-1, 1, (20_000, 5))
    chance = np.exp(8.0 * cosines)
    chance /= chance.sum(axis=1, keepdims=True)
    truth = (chance.cumsum(axis=1) < rng.random((20_000, 1))).sum(axis=1)
    assert best_temperature(cosines, truth, np.zeros(5)) == pytest.approx(8.0, rel=0.1)


def test_the_interval_draws_subjects_not_rows():
    values = np.array([0.0] * 50 + [1.0] * 50)
    low, high = interval_by_subject(["a"] * 50 + ["b"] * 50, lambda rows: float(values[rows].mean()))
    assert (low, high) == (0.0, 1.0)
    assert np.isnan(interval_by_subject(["a"] * 3, lambda rows: 1.0)[0])
