"""A model adapted to a lab: a linear head on what the model makes of an epoch, fitted to a few scored epochs."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.batch import Outcome, StudyInput
from core.errors import StudyError, UsageError
from core.files import content_hash, whole_folder, write_text
from core.inference.bundle import DESCRIPTION_FILE, Bundle
from core.inference.embedding import embed_study, embedding_channels
from core.inference.engine import Engine
from core.inference.figures import stage_indices, staging_figures
from core.inference.probes import draw_shots, fit_head
from core.inference.staging import HEAD_FILE, head_inputs
from core.inference.tasks import ModelChoice, Reading, ReadsStudies
from core.psg.scoring import STAGES
from core.psg.store import PreparedStudy, subject_of


@dataclass(frozen=True)
class AdaptOptions:
    """Wishes of a caller."""

    shots: int = 0
    """Epochs of each stage that the head is fitted to, drawn over all studies; 0 for every scored one."""
    separator: str = ""
    """A study's subject is its name up to this; empty: the name."""
    seed: int = 0


@dataclass(frozen=True)
class LabelledStudy:
    """What a head is fitted to, of one study."""

    subject: str
    source_hash: str
    inputs: NDArray[np.float64]
    """[N, D] what the model makes of each epoch; see `core.inference.staging.head_inputs`."""
    stages: NDArray[np.int64]
    """[N] index in `STAGES`, −1 where not scored."""


@dataclass(frozen=True)
class GatherTask(ReadsStudies):
    """Reads a scored study into a head's inputs and keeps them in this process."""

    choice: ModelChoice
    reading: Reading
    separator: str
    found: list[LabelledStudy]

    def __call__(self, item: StudyInput) -> Outcome:
        """Read one study."""
        engine = self.choice.engine()
        study = self.reading.open(item, embedding_channels(engine))
        self.found.append(labelled(study, engine, self.separator))
        return Outcome(figures={"epochs": study.n_epochs}, warnings=study.repairs)


def labelled(study: PreparedStudy, engine: Engine, separator: str = "") -> LabelledStudy:
    """Read one scored study.

    Raises
    ------
    StudyError
        It has no scored stages.
    """
    if study.scoring is None or not any(stage in STAGES for stage in study.scoring.stages):
        raise StudyError(f"{study.study} has no scored stages to learn from.", "Put its scoring beside it.")
    inputs = head_inputs(embed_study(study, engine), study, engine)
    subject = subject_of(study.study, separator)
    return LabelledStudy(subject, study.source_hash, inputs, stage_indices(study.scoring.stages))


def adapt(studies: Sequence[LabelledStudy], bundle: Bundle, out: Path, options: AdaptOptions) -> dict[str, Any]:
    """Fit a stage head and write a bundle that has it.

    Parameters
    ----------
    studies
        Scored studies of the lab.
    bundle
        The model; its graphs are copied as they are.
    out
        Folder of the new bundle.
    options
        Number of epochs, seed.

    Returns
    -------
    dict
        `epochs` fitted to, `studies`, and with two subjects or more `kappa`: cross-validated, each subject staged by a
        head that was fitted to the others.

    Raises
    ------
    UsageError
        No study, or fewer than two stages in all of them.
    """
    if not studies or len({int(k) for study in studies for k in np.unique(study.stages) if k >= 0}) < 2:
        raise UsageError("There is too little to learn from.", "Give scored studies with more than one stage.")
    figures: dict[str, Any] = {"studies": len(studies)}
    subjects = sorted({study.subject for study in studies})
    if len(subjects) > 1:
        figures["kappa"] = round(_cross_validated(studies, subjects, options), 4)
    inputs, stages = _chosen(studies, options)
    figures["epochs"] = len(stages)
    head = fit_head(inputs, stages, len(STAGES))
    with whole_folder(out) as folder:
        shutil.copytree(bundle.folder, folder, dirs_exist_ok=True)
        stream = io.BytesIO()
        np.savez(stream, mean=head.mean, weights=head.weights, bias=head.bias)
        (folder / HEAD_FILE).write_bytes(stream.getvalue())
        description = dict(bundle.description)
        description["stage_head"] = {"file": HEAD_FILE, "sha256": content_hash(folder / HEAD_FILE)}
        description["adaptation"] = figures | {
            "shots": options.shots,
            "seed": options.seed,
            "data": sorted(study.source_hash for study in studies),
        }
        write_text(folder / DESCRIPTION_FILE, json.dumps(description, indent=1) + "\n")
    return figures


def _chosen(studies: Sequence[LabelledStudy], options: AdaptOptions) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    inputs = np.concatenate([study.inputs for study in studies])
    stages = np.concatenate([study.stages for study in studies])
    rows = np.flatnonzero(stages >= 0)
    if options.shots:
        rows = draw_shots(stages, len(STAGES), options.shots, np.random.default_rng(options.seed))
    return inputs[rows], stages[rows]


def _cross_validated(studies: Sequence[LabelledStudy], subjects: Sequence[str], options: AdaptOptions) -> float:
    truth, given = [], []
    for subject in subjects:
        head = fit_head(*_chosen([study for study in studies if study.subject != subject], options), len(STAGES))
        for study in (study for study in studies if study.subject == subject):
            truth.append(study.stages)
            given.append(head.scores(study.inputs).argmax(axis=1))
    return staging_figures(np.concatenate(truth), np.concatenate(given)).kappa
