"""Figures of merit in plain numpy: staging, retrieval, calibration, and intervals by subject."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.psg.scoring import STAGES


@dataclass(frozen=True)
class StagingFigures:
    """Agreement of stages with a scoring; epochs that the scoring leaves out do not count."""

    accuracy: float
    balanced_accuracy: float
    """Mean recall of the stages that occur."""
    macro_f1: float
    """Mean F1 of the stages that occur."""
    kappa: float
    """Cohen's κ."""
    confusion: NDArray[np.int64]
    """[5, 6]: scored stage (row) by given stage (column), the last column is `?`."""


def stage_indices(stages: Sequence[str]) -> NDArray[np.int64]:
    """Turn stage labels into indices in `STAGES`, [N]; −1 for `?`."""
    return np.array([STAGES.index(stage) if stage in STAGES else -1 for stage in stages], np.int64)


def staging_figures(truth: NDArray[np.integer], given: NDArray[np.integer]) -> StagingFigures:
    """Compare stages.

    Parameters
    ----------
    truth
        [N] index in `STAGES`, negative where not scored.
    given
        [N] index, negative where the stager gave none: that counts as wrong.

    Returns
    -------
    StagingFigures
        NaN throughout when nothing is scored.
    """
    kinds = len(STAGES)
    scored = truth >= 0
    confusion = np.zeros((kinds, kinds + 1), np.int64)
    np.add.at(confusion, (truth[scored], np.where(given[scored] >= 0, given[scored], kinds)), 1)
    return figures_of_confusion(confusion)


def figures_of_confusion(confusion: NDArray[np.int64]) -> StagingFigures:
    """Compare stages by their table, [5, 6]: scored stage (row) by given stage (column), the last column is `?`."""
    total = confusion.sum()
    if total == 0:
        unknown = float("nan")
        return StagingFigures(unknown, unknown, unknown, unknown, confusion)
    hits = np.diag(confusion).astype(float)
    rows, columns = confusion.sum(axis=1), confusion.sum(axis=0)[: len(STAGES)]
    occurs = rows > 0
    observed = hits.sum() / total
    expected = float((rows * columns).sum()) / total**2
    return StagingFigures(
        accuracy=float(observed),
        balanced_accuracy=float(np.mean(hits[occurs] / rows[occurs])),
        macro_f1=float(np.mean(2 * hits[occurs] / (rows + columns)[occurs])),
        kappa=float((observed - expected) / (1 - expected)) if expected < 1 else float("nan"),
        confusion=confusion,
    )


def confusion_by_subject(
    subjects: Sequence[str], truth: NDArray[np.integer], given: NDArray[np.integer]
) -> tuple[list[str], NDArray[np.int64]]:
    """Count stages by subject: the subjects, and their tables [S, 5, 6]; see `staging_figures`."""
    names = np.asarray(subjects)
    every = sorted(set(subjects))
    return every, np.stack([staging_figures(truth[names == name], given[names == name]).confusion for name in every])


@dataclass(frozen=True)
class RetrievalFigures:
    """How often the right item is among the first, for every query in a pool."""

    recall: dict[int, float]
    """Share of queries with a right item among the first 1, 5 and 10."""
    median_rank: float
    """Of the best right item, 1 is first."""
    pool: int


def retrieval_figures(
    queries: NDArray[np.floating], items: NDArray[np.floating], right: NDArray[np.bool_] | None = None
) -> RetrievalFigures:
    """Rank items by cosine for each query; ties count against the query.

    Parameters
    ----------
    queries
        [Q, D], L2-normalised.
    items
        [M, D], L2-normalised.
    right
        [Q, M] which items answer a query; None: item i answers query i. Queries without one are left out.
    """
    ranks = retrieval_ranks(queries, items, right)
    if len(ranks) == 0:
        return RetrievalFigures(dict.fromkeys((1, 5, 10), float("nan")), float("nan"), len(items))
    recall = {k: float(np.mean(ranks <= k)) for k in (1, 5, 10)}
    return RetrievalFigures(recall, float(np.median(ranks)), len(items))


def retrieval_ranks(
    queries: NDArray[np.floating], items: NDArray[np.floating], right: NDArray[np.bool_] | None = None
) -> NDArray[np.int64]:
    """Rank the best right item of each query that has one, 1 is first; see `retrieval_figures`."""
    scores = queries @ items.T
    if right is None:
        right = np.eye(len(queries), len(items), dtype=bool)
    asked = right.any(axis=1)
    scores, right = scores[asked], right[asked]
    best = np.where(right, scores, -np.inf).max(axis=1, initial=-np.inf)
    return np.asarray(1 + ((scores >= best[:, None]) & ~right).sum(axis=1), np.int64)


def softmax(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Give probabilities, rows sum to one."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True), np.float64)


def best_temperature(cosines: NDArray[np.floating], truth: NDArray[np.integer], bias: NDArray[np.floating]) -> float:
    """Find the factor on the cosines under which `softmax(factor * cosine + bias)` fits the scoring best.

    Parameters
    ----------
    cosines
        [N, K].
    truth
        [N] class, negative where unknown.
    bias
        [K] log of how much more often a class occurs than the cosines were trained to expect.

    Returns
    -------
    float
        From 1 to 200, by likelihood; 14 (the start of the learned one) when nothing is scored.
    """
    known = truth >= 0
    if not known.any():
        return 14.0
    factors = np.geomspace(1.0, 200.0, 80)
    rows = np.arange(int(known.sum()))

    def surprise(factor: float) -> float:
        chance = softmax(factor * cosines[known] + bias)[rows, truth[known]]
        return float(-np.log(np.maximum(chance, 1e-12)).mean())

    return float(min(factors, key=surprise))


def calibration_error(chances: NDArray[np.floating], right: NDArray[np.bool_]) -> float:
    """Expected calibration error over 15 bins: mean distance between probability, [N], and share that is right, [N]."""
    bins = np.minimum((chances * 15).astype(int), 14)
    gaps = [abs(chances[bins == b].sum() - right[bins == b].sum()) for b in range(15)]
    return float(sum(gaps)) / max(len(chances), 1)


def interval_by_subject(
    subjects: Sequence[str],
    figure: Callable[[NDArray[np.intp]], float],
    draws: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """Give the 95 % bootstrap interval of a figure when subjects are drawn with replacement.

    Parameters
    ----------
    subjects
        [N] subject of each row.
    figure
        From row numbers, which may repeat, to the figure.
    draws
        Bootstrap samples.
    seed
        Of the draws.

    Returns
    -------
    tuple
        2.5 and 97.5 percentile; NaN with fewer than two subjects, or where no sample has the figure.
    """
    names = np.asarray(subjects)
    rows = [np.flatnonzero(names == name) for name in np.unique(names)]
    if len(rows) < 2:
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(draws):
        chosen = rng.integers(len(rows), size=len(rows))
        values.append(figure(np.concatenate([rows[i] for i in chosen])))
    known = [value for value in values if np.isfinite(value)]
    if not known:
        return float("nan"), float("nan")
    low, high = np.percentile(known, (2.5, 97.5))
    return float(low), float(high)
