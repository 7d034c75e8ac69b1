"""The prepared studies of a run: found, opened, indexed by stage and event, and split by subject."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import StudyError, UsageError
from core.inference.event_figures import event_flags
from core.language.facts import EpochFacts, epoch_facts, of_the_ecg
from core.language.measure import EpochMeasurements
from core.psg.scoring import STAGES
from core.psg.store import PreparedStudy, is_store, open_store, subject_of

STAGE_INDEX = {stage: index for index, stage in enumerate(STAGES)}
UNKNOWN = -1
"""Index of an epoch without a stage."""
OPEN_STUDIES = 256
"""Prepared studies that are open at the same time."""


@dataclass(frozen=True)
class TrainingStudy:
    """One prepared study: an index of it in memory, all else opened when it is asked for.

    The last `OPEN_STUDIES` that were asked for stay open: two memory-mapped files and about 0.8 MB of measurements
    each for a night, whatever the number of studies.
    """

    path: Path
    """The store's folder."""
    study: str
    subject: str
    """Studies of one subject stand on one side of the split."""
    source_hash: str
    stamp: int
    """When the store was written: another store in its place is opened anew."""
    stages: NDArray[np.int8] = field(repr=False)
    """[N] index in `STAGES`, `UNKNOWN` where not scored."""
    event_bits: NDArray[np.uint8] = field(repr=False)
    """[N] a bit for each of `EVENT_TYPES`, the first the highest: whether an event of the type overlaps the epoch."""

    @property
    def prepared(self) -> PreparedStudy:
        """Its arrays, memory-mapped."""
        return _opened(self.path, self.stamp)[0]

    @property
    def measurements(self) -> EpochMeasurements:
        """What was measured at native rates."""
        return _opened(self.path, self.stamp)[1]

    @property
    def events(self) -> NDArray[np.bool_]:
        """[N, 8] whether an event of each of `EVENT_TYPES` overlaps the epoch."""
        return np.unpackbits(self.event_bits[:, None], axis=1).astype(np.bool_)

    def facts(self, epoch: int) -> EpochFacts:
        """Give the facts of one epoch that a model can see, all its channels counted."""
        prepared, measurements = _opened(self.path, self.stamp)
        facts = epoch_facts(epoch, measurements, prepared.states, prepared.scoring)
        return replace(of_the_ecg(facts), looked_for=())


@lru_cache(maxsize=OPEN_STUDIES)
def _opened(path: Path, stamp: int) -> tuple[PreparedStudy, EpochMeasurements]:
    """Open a store with its measurements; the least recently used are let go."""
    prepared = open_store(path)
    if not prepared.tables and not prepared.notes:
        raise StudyError(f"The prepared study {path} holds no measurements.", "Prepare it again from its EDF.")
    try:
        return prepared, EpochMeasurements.from_tables(prepared.tables, prepared.notes)
    except (KeyError, ValueError, TypeError) as error:
        raise StudyError(f"The measurements of {path} are damaged.", "Prepare it again from its EDF.") from error


def find_stores(paths: Iterable[Path]) -> list[Path]:
    """List prepared studies: the paths themselves, or what lies anywhere below them, sorted.

    Raises
    ------
    UsageError
        When a path does not exist or holds no prepared study.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if not path.exists():
            raise UsageError(f"{path} does not exist.", "Give prepared studies (`sleepcli prepare`).")
        below = [path] if is_store(path) else sorted(p for p in path.rglob("*.psg") if is_store(p))
        if not below:
            raise UsageError(f"{path} holds no prepared study.", "Make them with `sleepcli prepare`.")
        found.update(dict.fromkeys(below))
    return list(found)


def open_study(path: Path, subject: str | None = None, separator: str = "") -> TrainingStudy:
    """Open a prepared study for training or evaluation.

    Parameters
    ----------
    path
        The store's folder.
    subject
        Its subject; None: the study's name, up to the first `separator` where one is given.
    separator
        Such as `_` for studies named `<subject>_<night>`.

    Raises
    ------
    StudyError
        When the store is damaged or was prepared without measurements.
    """
    try:
        stamp = (path / "study.json").stat().st_mtime_ns
    except OSError as error:
        raise StudyError(f"The prepared study {path} cannot be read.", "Prepare it again from its EDF.") from error
    prepared, _ = _opened(path, stamp)
    events = prepared.scoring.events if prepared.scoring is not None else ()
    return TrainingStudy(
        path=path,
        study=prepared.study,
        subject=subject or subject_of(prepared.study, separator),
        source_hash=prepared.source_hash,
        stamp=stamp,
        stages=_stage_indices(prepared),
        event_bits=np.packbits(event_flags(events, prepared.n_epochs), axis=1)[:, 0],
    )


def _stage_indices(prepared: PreparedStudy) -> NDArray[np.int8]:
    indices = np.full(prepared.n_epochs, UNKNOWN, np.int8)
    if prepared.scoring is not None:
        for epoch, stage in enumerate(prepared.scoring.stages[: prepared.n_epochs]):
            indices[epoch] = STAGE_INDEX.get(stage, UNKNOWN)
    return indices


@dataclass(frozen=True)
class Split:
    """Which subjects are trained on and which are held out."""

    training: tuple[str, ...]
    validation: tuple[str, ...]

    def to_json(self) -> dict[str, list[str]]:
        """Give the split as it stands in `meta.json`."""
        return {"training": list(self.training), "validation": list(self.validation)}


def split_subjects(subjects: Sequence[str], fraction: float, seed: int) -> Split:
    """Hold out a share of the subjects, the same for a seed whatever the order of the studies.

    A subject's side is drawn from the hash of its name, so that studies added later move few subjects.

    Parameters
    ----------
    subjects
        One a study; repeats are one subject.
    fraction
        Share held out, 0 to below 1; at least one subject where it is above 0 and there are two.
    seed
        Another seed holds out others.

    Raises
    ------
    UsageError
        When no subject would be left to train on.
    """
    unique = sorted(set(subjects), key=lambda name: hashlib.sha256(f"{seed}/{name}".encode()).digest())
    count = 0 if fraction <= 0 else max(1, round(fraction * len(unique)))
    if len(unique) - count < 1:
        raise UsageError(
            f"{len(unique)} subject(s) cannot be split with {fraction:.0%} held out.",
            "Give studies of more subjects, or hold out none.",
        )
    return Split(training=tuple(sorted(unique[count:])), validation=tuple(sorted(unique[:count])))


def transition_matrix(studies: Sequence[TrainingStudy], smoothing: float = 1.0) -> NDArray[np.float64]:
    """Give the chance of each next stage, `[5, 5]`, rows sum to one.

    Parameters
    ----------
    studies
        Scored studies.
    smoothing
        Count added to every pair, so that no transition is impossible.
    """
    counts: NDArray[np.float64] = np.full((len(STAGES), len(STAGES)), smoothing)
    for study in studies:
        now, after = study.stages[:-1], study.stages[1:]
        known = (now != UNKNOWN) & (after != UNKNOWN)
        np.add.at(counts, (now[known], after[known]), 1)
    shares: NDArray[np.float64] = counts / counts.sum(axis=1, keepdims=True)
    return shares


def stage_shares(studies: Sequence[TrainingStudy]) -> NDArray[np.float64]:
    """Give the share of each stage among the scored epochs, `[5]`, one count added to each."""
    counts: NDArray[np.float64] = np.ones(len(STAGES))
    for study in studies:
        counts += np.bincount(study.stages[study.stages != UNKNOWN], minlength=len(STAGES))
    shares: NDArray[np.float64] = counts / counts.sum()
    return shares


def data_hashes(studies: Sequence[TrainingStudy]) -> Mapping[str, str]:
    """Give the hash of each study's source file, by study name; by folder and name where two studies share theirs."""
    names = Counter(study.study for study in studies)
    return {
        study.study if names[study.study] == 1 else f"{study.path.parent.name}/{study.path.name}": study.source_hash
        for study in studies
    }
