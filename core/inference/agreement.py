"""How well two scorings of one night agree."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import UsageError
from core.psg.scoring import STAGES


@dataclass(frozen=True)
class Agreement:
    """Agreement of a staging with a reference, over the epochs where the reference has a stage."""

    epochs: int
    """Epochs compared."""
    kappa: float
    """Cohen's kappa; NaN where both know a single stage only."""
    accuracy: float
    """Share of equal stages."""
    confusion: NDArray[np.int64]
    """[5, 6]: reference stage by given stage, in the order of `STAGES`, the last column `?`."""


def agreement(reference: Sequence[str], given: Sequence[str]) -> Agreement:
    """Compare two stagings epoch by epoch.

    Parameters
    ----------
    reference
        Stages that are taken as true; epochs whose reference is `?` are left out.
    given
        Stages to judge; `?` counts as wrong.

    Returns
    -------
    Agreement
        Cohen's kappa (Cohen 1960) with `?` as a sixth answer that is never right.

    Raises
    ------
    UsageError
        When the two have different lengths, or the reference has no stage at all.
    """
    if len(reference) != len(given):
        raise UsageError(f"A scoring of {len(reference)} epochs cannot be compared with one of {len(given)}.")
    confusion = np.zeros((len(STAGES), len(STAGES) + 1), np.int64)
    for true, said in zip(reference, given, strict=True):
        if true in STAGES:
            confusion[STAGES.index(true), STAGES.index(said) if said in STAGES else len(STAGES)] += 1
    total = int(confusion.sum())
    if not total:
        raise UsageError("The reference scoring has no stage to compare with.")
    observed = float(np.trace(confusion[:, : len(STAGES)])) / total
    chance = float(confusion.sum(axis=1) @ confusion[:, : len(STAGES)].sum(axis=0)) / total**2
    kappa = (observed - chance) / (1 - chance) if chance < 1 else float("nan")
    return Agreement(total, kappa, observed, confusion)
