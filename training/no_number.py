"""Losses and weights that are no numbers: what led there, and what the run has on the disk."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from core.errors import SleepcliError, StudyError
from training.resume import whats_kept
from training.run import Run
from training.studies import TrainingStudy


def check_loss(loss: float, signals: Tensor, rows: Sequence[tuple[int, int]], studies: Sequence[TrainingStudy]) -> bool:
    """Tell whether a loss is a number.

    Parameters
    ----------
    loss
        Of a batch.
    signals
        Its signals, [B, C, S].
    rows
        Study and epoch of each of its epochs.
    studies
        Which the rows count.

    Raises
    ------
    StudyError
        It is none because a study's signals are none: damaged after it was prepared, or made elsewhere.
    """
    if math.isfinite(loss):
        return True
    sound = torch.isfinite(signals).flatten(1).all(dim=1).tolist()
    for is_sound, (study, epoch) in zip(sound, rows, strict=True):
        if not is_sound:
            raise StudyError(
                f"The prepared study {studies[study].path} has signals that are not numbers, in epoch {epoch}.",
                "Prepare it again from its EDF, or leave it out.",
            )
    return False


def no_number(what: str, run: Run, ruined: int | None = None) -> SleepcliError:
    """Give the error of a run that came to a loss or a weight that is no number.

    Parameters
    ----------
    what
        Such as `The loss`.
    run
        Where it came to.
    ruined
        The step whose weights led there, where they did.
    """
    return SleepcliError(
        f"{what} is not a number at step {run.step + 1}.",
        f"Resume with a lower --learning-rate, or look at the data; {whats_kept(run.options.out, ruined)}",
    )
