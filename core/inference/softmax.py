"""Scores as natural log-probabilities."""

import numpy as np
from numpy.typing import NDArray


def log_softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Natural log-probabilities of scores [N, K], by row."""
    shifted = scores - scores.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)), np.float64)
