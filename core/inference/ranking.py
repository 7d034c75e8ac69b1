"""How well a score ranks the epochs that have something above those that have not."""

import numpy as np
from numpy.typing import NDArray


def auroc(scores: NDArray[np.floating], positive: NDArray[np.bool_]) -> float:
    """Area under the receiver operating characteristic: the chance that a positive outranks a negative, ties half.

    Parameters
    ----------
    scores, positive
        [N] each.

    Returns
    -------
    float
        NaN without both a positive and a negative.
    """
    count = int(positive.sum())
    if count in (0, len(positive)):
        return float("nan")
    _, places, repeats = np.unique(scores, return_inverse=True, return_counts=True)
    ends = np.cumsum(repeats)
    ranks = (ends - (repeats - 1) / 2)[places]  # ties share their mean rank
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * (len(positive) - count)))


def average_precision(scores: NDArray[np.floating], positive: NDArray[np.bool_]) -> float:
    """Area under precision and recall, as the mean precision at each positive; ties count against it.

    Returns
    -------
    float
        NaN without a positive.
    """
    if not positive.any():
        return float("nan")
    order = np.lexsort((positive, -scores))  # among equal scores the negatives first
    hits = positive[order]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float(precision[hits].mean())


def best_f1(scores: NDArray[np.floating], positive: NDArray[np.bool_]) -> tuple[float, float]:
    """Give the threshold with the best F1, and that F1; for choosing on some subjects and judging on others."""
    if not positive.any():
        return float("inf"), float("nan")
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(positive[order])
    last = np.append(ranked[1:] != ranked[:-1], True)  # a threshold stands between different scores
    f1 = np.where(last, 2 * hits / (np.arange(1, len(hits) + 1) + positive.sum()), 0)
    place = int(f1.argmax())
    return float(ranked[place]), float(f1[place])


def f1_at(scores: NDArray[np.floating], positive: NDArray[np.bool_], threshold: float) -> float:
    """F1 of the epochs that reach a threshold; NaN where nothing is there and nothing found."""
    found = scores >= threshold
    total = int(found.sum()) + int(positive.sum())
    return float(2 * int((found & positive).sum()) / total) if total else float("nan")


def precision_recall(
    scores: NDArray[np.floating], positive: NDArray[np.bool_], points: int = 200
) -> NDArray[np.float64]:
    """Give the curve of precision over recall, [n, 2] recall and precision, n at most `points` and one.

    Each point is a threshold between different scores, from the highest on; empty without a positive.
    """
    if not positive.any():
        return np.zeros((0, 2))
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(positive[order])
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    curve = np.stack((hits[ends] / positive.sum(), hits[ends] / (ends + 1)), axis=1)
    kept = np.unique(np.linspace(0, len(curve) - 1, min(points, len(curve))).round().astype(int))
    return np.asarray(curve[kept], np.float64)
