"""Scored nights as courses of band powers: what the night model's stages are learned from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import UsageError
from core.language.band_course import EEGS, band_course
from core.psg.preprocess import traces_of
from core.psg.simulate.tracks import read_track
from core.psg.store import PreparedStudy

UNSCORED = -100
"""Target of an epoch without a stage; the loss passes over it."""


@dataclass(frozen=True)
class ScoredCourse:
    """A scored night as the night model reads it."""

    name: str
    subject: str
    """Nights of one subject stand on one side of a split."""
    eegs: NDArray[np.float32]
    """[derivations, N, 5] log band powers, NaN where unseen; any mixture of them may be shown."""
    eog: NDArray[np.float32]
    """[N, 5] likewise."""
    stages: NDArray[np.int64]
    """[N] index in `STAGES`, or `UNSCORED`."""
    share: float = 1.0
    """How often the night is drawn, against others."""


def of_track(path: Path) -> ScoredCourse:
    """Read one night of band-power tracks (`SS__N.npz`: features [epochs, 3, 10], labels)."""
    track = read_track(path)
    powers = track.log_power.transpose(1, 0, 2)  # (channel, epoch, band)
    subject = f"track{path.stem.split('__')[0]}"  # as simulated nights that follow the track name it
    return ScoredCourse(path.stem, subject, powers[:2], powers[2], track.stages.astype(np.int64))


def of_study(prepared: PreparedStudy, subject: str, stages: NDArray[np.integer], share: float = 1.0) -> ScoredCourse:
    """Measure one prepared study; `stages` are indices in `STAGES`, negative where not scored.

    Raises
    ------
    UsageError
        It has no EEG.
    """
    course = band_course(traces_of(prepared), prepared.states, prepared.n_epochs)
    known = np.where(stages < 0, UNSCORED, stages).astype(np.int64)
    eegs = course[:, : len(EEGS)].transpose(1, 0, 2)
    there = [eeg for eeg in eegs if np.isfinite(eeg).any()]
    if not there:
        raise UsageError(f"{prepared.study} has no EEG, so no stages can be learned from it.", "Leave it out.")
    return ScoredCourse(prepared.study, subject, np.stack(there), course[:, -1], known, share)
