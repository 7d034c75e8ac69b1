"""Scored nights of which only some epochs' EEG was kept: their epochs, inside nights that others complete.

A collection may hold the wake and the deep sleep of its patients and none of their light sleep. Taken as they stand
such nights would teach that every patient is awake or deeply asleep, and what is normal in them could not be told. So
each is completed, every time anew: where the stage is known and the EEG is not, epochs of that stage come from a whole
night of somebody else (a donor), moved band by band so that the donor's wake and deep sleep lie where the patient's do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from core.errors import StudyError
from core.language.band_course import BANDS, EEGS, band_course
from core.psg.channels import CHANNELS
from core.psg.preprocess import EPOCH_SECONDS, Trace
from core.psg.quality import State
from core.psg.runs import equal_runs
from core.psg.scoring import STAGES
from training.scored_courses import UNSCORED, ScoredCourse

STAGE_OF_CODE = {0: "W", 1: "R", 2: "N1", 3: "N2", 4: "N3", 5: "N3"}
"""UCDDB's codes of stages: 0 wake, 1 REM, 2-5 R&K stages 1 to 4; its others are no stage."""
ANCHORS = (STAGES.index("W"), STAGES.index("N3"))
"""Stages whose medians say how a donor's bands are moved: the two ends of a night's spectrum."""
LEAST_ANCHORED = 20
"""Epochs of each anchor in the patient and in the donor."""
LEAST_STRETCH, MOST_STRETCH = 0.4, 1.6
"""Factor on a donor's distances in one band."""
_STEADY = 0.5  # squared log units: a band whose anchors lie nearer than their root is moved, hardly stretched


def of_kept_epochs(path: Path) -> ScoredCourse:
    """Read a night of kept epochs (`sig` [n, samples] × `scale`, `fs`, `epoch`, `stage`) and measure its bands.

    Raises
    ------
    StudyError
        The file is none.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            signal = np.asarray(data["sig"], np.float32) * np.float32(data["scale"])
            rate, kept, codes = float(data["fs"]), np.asarray(data["epoch"], int), np.asarray(data["stage"], int)
    except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
        raise StudyError(
            f"{path.name} is not a night of kept epochs.", "Give an .npz file with sig, scale, fs, epoch and stage."
        ) from error
    if signal.ndim != 2 or signal.shape != (len(kept), round(EPOCH_SECONDS * rate)) or not len(kept):
        raise StudyError(f"{path.name} does not hold 30 s for each kept epoch.", "Check sig, fs and epoch.")
    trace = Trace(EEGS[0], (signal - np.median(signal)).ravel(), rate)
    states = np.full((len(kept), len(CHANNELS)), State.OK, np.uint8)
    eeg = np.full((1, len(codes), len(BANDS)), np.nan, np.float32)
    eeg[0, kept] = band_course({EEGS[0]: trace}, states, len(kept))[:, 0]
    stages = np.array([STAGES.index(STAGE_OF_CODE[code]) if code in STAGE_OF_CODE else UNSCORED for code in codes])
    return ScoredCourse(path.stem, path.stem, eeg, np.full_like(eeg[0], np.nan), stages)


def anchored(course: ScoredCourse) -> bool:
    """Whether a night has enough of both anchors to complete others, or to be completed."""
    seen = np.isfinite(course.eegs).all(axis=2).any(axis=0)
    return all(((course.stages == stage) & seen).sum() >= LEAST_ANCHORED for stage in ANCHORS)


def completed(partial: ScoredCourse, donor: ScoredCourse, rng: np.random.Generator) -> ScoredCourse:
    """Complete a partial night with runs of a donor's epochs.

    Parameters
    ----------
    partial, donor
        Both `anchored`; of the donor any one EEG, or two in any mixture, is taken.
    rng
        The only source of chance.

    Returns
    -------
    ScoredCourse
        The partial night's stages and kept epochs; unscored where the donor has nothing of the stage.
    """
    first, second = donor.eegs[rng.integers(len(donor.eegs))], donor.eegs[rng.integers(len(donor.eegs))]
    weight = np.float32(rng.random())
    moved = _moved(weight * first + (1 - weight) * second, donor.stages, partial)
    eeg, stages = partial.eegs[0].copy(), partial.stages.copy()
    lacking = ~np.isfinite(eeg).all(axis=1)
    sources: dict[int, list[tuple[int, int]]] = {}
    for run in equal_runs(donor.stages.tolist()):
        sources.setdefault(int(donor.stages[run[0]]), []).append(run)
    for start, stop in equal_runs(np.where(lacking, partial.stages, -1).tolist()):
        stage = int(stages[start])
        if not lacking[start] or stage < 0:
            continue
        if stage not in sources:
            stages[start:stop] = UNSCORED
            continue
        taken: list[int] = []
        while len(taken) < stop - start:
            taken += range(*sources[stage][int(rng.integers(len(sources[stage])))])
        eeg[start:stop] = moved[taken[: stop - start]]
    return replace(partial, eegs=eeg[None], stages=stages)


def _moved(eeg: NDArray[np.float32], stages: NDArray[np.int64], onto: ScoredCourse) -> NDArray[np.float32]:
    """Move a donor's log powers [N, 5], band by band, so that its anchors lie near those of another night."""
    theirs, ours = (_medians(night, known) for night, known in ((eeg, stages), (onto.eegs[0], onto.stages)))
    apart, wanted = theirs[0] - theirs[1], ours[0] - ours[1]
    stretch = np.clip((apart * wanted + _STEADY) / (apart**2 + _STEADY), LEAST_STRETCH, MOST_STRETCH)
    return np.asarray(ours.mean(axis=0) + stretch * (eeg - theirs.mean(axis=0)), np.float32)


def _medians(eeg: NDArray[np.float32], stages: NDArray[np.int64]) -> NDArray[np.float32]:
    """Median log powers of the anchors, [2, 5]."""
    seen = np.isfinite(eeg).all(axis=1)
    return np.stack([np.median(eeg[seen & (stages == stage)], axis=0) for stage in ANCHORS])


def recall_of_kept(scores: Sequence[NDArray[np.floating]], nights: Sequence[ScoredCourse]) -> dict[str, float | int]:
    """Tell how many of the kept epochs of each anchor were found, by log-probabilities [N, 5] of completed nights."""
    told: dict[str, float | int] = {"subjects": len(nights)}
    for stage in ANCHORS:
        given = [
            score.argmax(axis=1)[np.isfinite(night.eegs[0]).all(axis=1) & (night.stages == stage)]
            for score, night in zip(scores, nights, strict=True)
        ]
        found = np.concatenate(given) if given else np.zeros(0)
        told[f"recall {STAGES[stage]}"] = round(float((found == stage).mean()), 4) if len(found) else 0.0
        told[f"epochs {STAGES[stage]}"] = len(found)
    return told
