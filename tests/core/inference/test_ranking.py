"""Ranking figures against sklearn's definitions worked out by hand, and a probe against separable classes."""

import numpy as np
import pytest

from core.inference.probes import draw_shots, fit_head, prototype
from core.inference.ranking import auroc, average_precision, best_f1, f1_at, precision_recall


def test_auroc_is_the_share_of_pairs_in_the_right_order() -> None:
    rng = np.random.default_rng(0)
    scores, positive = rng.integers(0, 8, 60).astype(float), rng.random(60) < 0.3
    pairs = [1.0 if p > n else 0.5 if p == n else 0.0 for p in scores[positive] for n in scores[~positive]]
    assert auroc(scores, positive) == pytest.approx(np.mean(pairs))
    assert np.isnan(auroc(scores, np.ones(60, bool)))


def test_average_precision_counts_ties_against_it() -> None:
    positive = np.array([True, False, True, False])
    assert average_precision(np.array([4.0, 3.0, 2.0, 1.0]), positive) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision(np.ones(4), positive) == pytest.approx((1 / 3 + 2 / 4) / 2)
    assert np.isnan(average_precision(np.ones(4), np.zeros(4, bool)))


def test_the_best_threshold_is_one_of_the_scores() -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.7, 0.1])
    positive = np.array([True, True, True, False, False])
    threshold, f1 = best_f1(scores, positive)
    assert (threshold, f1) == (0.7, pytest.approx(6 / 7))
    assert f1_at(scores, positive, threshold) == pytest.approx(f1)
    assert np.isnan(f1_at(scores, np.zeros(5, bool), 2.0))


def clouds(seed: int, count: int = 200) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(9).standard_normal((5, 32))
    labels = rng.integers(0, 5, count)
    rows = centres[labels] + 2.0 * rng.standard_normal((count, 32))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), labels


def test_more_shots_make_a_better_head_and_ten_are_enough_for_clouds_apart() -> None:
    rows, labels = clouds(0, 2000)
    others, truth = clouds(1)
    right = {}
    for shots in (1, 10, 100):
        chosen = draw_shots(labels, 5, shots, np.random.default_rng(0))
        assert np.bincount(labels[chosen]).tolist() == [shots] * 5
        head = fit_head(rows[chosen], labels[chosen], 5)
        right[shots] = (head.scores(others).argmax(axis=1) == truth).mean()
    assert right[1] < right[10] <= right[100] + 0.02
    assert right[10] > 0.6


def test_a_class_without_an_example_is_never_chosen_and_unknown_labels_are_never_drawn() -> None:
    rows, labels = clouds(2)
    labels = np.where(labels == 3, -1, labels)
    chosen = draw_shots(labels, 5, 20, np.random.default_rng(0))
    assert (labels[chosen] >= 0).all()
    assert 3 not in fit_head(rows[chosen], labels[chosen], 5).scores(rows).argmax(axis=1)


def test_a_prototype_ranks_its_kind_first() -> None:
    rows, labels = clouds(3, 500)
    direction = prototype(rows[labels == 2][:5], rows)
    assert auroc(rows @ direction, labels == 2) > 0.8


def test_a_prototype_is_not_led_by_what_parts_all_epochs() -> None:
    """Stages part embeddings widely, a rare event a little: a few examples of it lie in some stage by chance."""
    rng = np.random.default_rng(7)
    rows = rng.normal(0.0, 0.05, (2000, 12))
    event = rng.random(2000) < 0.1
    rows[:, 0] += rng.choice([-1.0, 1.0], 2000)
    rows[event, 1] += 0.3
    examples = np.concatenate([rows[event & (rows[:, 0] > 0)][:7], rows[event & (rows[:, 0] < 0)][:3]])
    assert auroc(rows @ prototype(examples, rows), event) > 0.9
    assert auroc(rows @ (examples.mean(axis=0) - rows.mean(axis=0)), event) < 0.85


def test_the_curve_of_precision_over_recall_by_hand():
    scores, positive = np.array([0.9, 0.8, 0.8, 0.1]), np.array([True, True, False, True])
    assert precision_recall(scores, positive).tolist() == [[1 / 3, 1.0], [2 / 3, 2 / 3], [1.0, 0.75]]
    assert precision_recall(scores, np.zeros(4, bool)).shape == (0, 2)
    many = precision_recall(np.arange(5000.0), np.arange(5000) % 3 == 0)
    assert len(many) <= 200
    assert many[-1, 0] == 1.0
