"""Agreement of the model's stages with a human scoring, over the night and epoch by epoch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.inference.figures import StagingFigures, stage_indices, staging_figures
from core.psg.scoring import STAGES


@dataclass(frozen=True)
class Agreement:
    """Two scorings of one night."""

    figures: StagingFigures
    """Kappa, accuracy and confusion over the epochs that the person scored."""
    differs: NDArray[np.bool_]
    """[N] True where both gave a stage and not the same one."""
    compared: int
    """Epochs that the person scored."""


def agreement_of(human: Sequence[str], model: Sequence[str]) -> Agreement:
    """Compare the stages of a person with those of the model.

    Parameters
    ----------
    human, model
        One stage an epoch, `?` where there is none; an epoch that the model left open counts as wrong.
    """
    truth, given = stage_indices(human), stage_indices(model)
    differs = (truth >= 0) & (given >= 0) & (truth != given)
    return Agreement(staging_figures(truth, given), differs, int((truth >= 0).sum()))


def recall(agreement: Agreement) -> dict[str, float]:
    """Share of each scored stage that the model found, for the stages that occur."""
    confusion = agreement.figures.confusion
    totals = confusion.sum(axis=1)
    return {stage: float(confusion[k, k] / totals[k]) for k, stage in enumerate(STAGES) if totals[k]}
