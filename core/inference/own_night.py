"""Stages told once more by the night's own clusters: what wake or deep sleep looks like in this very sleeper."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.inference.softmax import log_softmax
from core.language.band_course import BANDS

WEIGHT = 0.2
"""Of the night's own discriminant beside the network's log-probabilities. Chosen with the other figures here by
cross-validation over the sleepers of the tracks, also under noise and as hypnograms of patients, and over 14 patients'
wake and deep sleep; 0.1 to 0.3 do nearly as well, and the others may be doubled or halved."""
ROUNDS = 3
"""Times that the clusters are measured; after the second hardly a stage changes."""
RESOLVE = 2.0
"""Exponent on the probabilities by which an epoch counts for a stage: what is in doubt counts little."""
STEADY = 60.0
"""Epochs that the scatter of a short recording is mixed with: of as many epochs, none of whose features go together."""
SCARCE = 5.0
"""Epochs that a stage is counted to have beyond its own; they lie at the night's mean."""
LEAST_LOG = -8.0
"""The least log-probability that the discriminant gives."""
_STEADY_SPREAD = 1e-6  # keeps a feature that never changes from being divided by nothing


def cluster_views(features: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    """Take what the clusters are measured in from the `night_features` of some EEGs, each with the same EOG.

    Returns
    -------
    ndarray
        [N, 10 (EEGs + 1)]: log powers and log shares of five bands against the night, of each EEG and then of the EOG.
    """
    bands = len(BANDS)
    eegs = [each[:, : 2 * bands] for each in features]
    return np.concatenate([*eegs, features[0][:, 3 * bands : 5 * bands]], axis=1).astype(np.float64)


def by_own_night(told: NDArray[np.float64], views: NDArray[np.float64], seen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Tell a night's stages once more by a linear discriminant that is fitted to nothing but this night.

    The network's own probabilities say which epochs lie in which stage; a mean for each stage, one scatter for all
    (Fisher's discriminant), and how often each stage comes are measured by them; what the discriminant says of each
    epoch is mixed in, and the measuring repeated. So a shift between labs, derivations or patients that leaves the
    stages apart is followed, and channels may take part that the network never learned from.

    Parameters
    ----------
    told
        [N, K] natural log-probabilities.
    views
        [N, F] features of any kind; constant ones are passed over.
    seen
        [N] which epochs have features; the others stay as they were told.

    Returns
    -------
    ndarray
        [N, K] natural log-probabilities.
    """
    varied = views[seen].std(axis=0) > _STEADY_SPREAD if seen.any() else np.zeros(views.shape[1], bool)
    if not varied.any():
        return told
    shown = views[seen][:, varied]
    shown = (shown - shown.mean(axis=0)) / shown.std(axis=0)
    refined = told.copy()
    for _ in range(ROUNDS):
        own = _discriminant(shown, np.exp(log_softmax(RESOLVE * refined[seen])))
        refined[seen] = log_softmax((1 - WEIGHT) * told[seen] + WEIGHT * own)
    return refined


def _discriminant(shown: NDArray[np.float64], belongs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-probabilities [N, K] of a discriminant measured on features [N, F] by how far epochs belong to stages [N, K].

    einsum sums in one order whatever the machine's threads; a matrix product may not.
    """
    counts = belongs.sum(axis=0)
    means = np.einsum("nk,nf->kf", belongs, shown, optimize=False) / (counts[:, None] + SCARCE)
    scatter = STEADY * np.eye(shown.shape[1])
    apart = []
    for stage, mean in enumerate(means):
        away = shown - mean
        apart.append(away)
        scatter += np.einsum("nf,ng->fg", away * belongs[:, stage, None], away, optimize=False)
    inverse = np.linalg.inv(scatter / (counts.sum() + STEADY))
    distances = [(np.einsum("nf,fg->ng", away, inverse, optimize=False) * away).sum(axis=1) for away in apart]
    shares = np.log((counts + SCARCE) / (counts + SCARCE).sum())
    return log_softmax(np.maximum(log_softmax(shares - 0.5 * np.stack(distances, axis=1)), LEAST_LOG))
