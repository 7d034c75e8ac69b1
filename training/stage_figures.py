"""How well the night model's stages are told: each fold of the subjects by the members that left it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.inference.figures import best_temperature, calibration_error, interval_by_subject, staging_figures
from core.psg.scoring import STAGES
from training.course import CourseNet
from training.night_stages import StageOptions, stage_scores
from training.partial_nights import anchored, completed, recall_of_kept
from training.scored_courses import ScoredCourse

Judged = tuple[ScoredCourse, NDArray[np.float32]]
"""A scored night and its log-probabilities [N, 5]."""


@dataclass(frozen=True)
class Material:
    """What stages are learned and judged on."""

    learned: Sequence[ScoredCourse]
    partial: Sequence[ScoredCourse]
    held: Sequence[ScoredCourse]


def leaving(fold: int, options: StageOptions) -> list[int]:
    """Tell which members leave a fold out."""
    return list(range(fold, options.members, options.folds))


def told_unseen(
    net: CourseNet, learned: Sequence[ScoredCourse], options: StageOptions, without: Mapping[str, int]
) -> dict[str, list[Judged]]:
    """Stage each fold by the members that left it out: each EEG of a track alone, and all there is."""
    networks = [net.only(leaving(fold, options)) for fold in range(options.folds)]
    told: dict[str, list[Judged]] = {}
    for course in learned:
        network = networks[without[course.subject]]
        every = range(len(course.eegs))
        kind = "tracks" if course.share == 1.0 else "studies"
        views = {f"{kind}, EEG {index + 1} alone": ([index], False) for index in every}
        for name, (eegs, eog) in (views | {f"{kind}, all EEGs and EOG": (list(every), True)}).items():
            told.setdefault(name, []).append((course, stage_scores(network, course, eegs, eog)))
    return told


def fitting_sharpness(told: Mapping[str, Sequence[Judged]]) -> float:
    """The factor that fits nights not learned from best, by likelihood; real nights alone where there are."""
    real = [rows for name, rows in told.items() if name.startswith("tracks")] or list(told.values())
    rows = [row for part in real for row in part]
    truth = np.concatenate([course.stages for course, _ in rows])
    return best_temperature(np.concatenate([scores for _, scores in rows]), truth, np.zeros(len(STAGES)))


def stage_row(rows: Sequence[Judged]) -> dict[str, Any]:
    """Figures of staging over nights: κ with its interval by subject, accuracy, expected calibration error."""
    truth = np.concatenate([np.where(course.stages < 0, -1, course.stages) for course, _ in rows])
    scores = np.concatenate([scores for _, scores in rows])
    subjects = np.concatenate([np.full(len(course.stages), course.subject) for course, _ in rows])
    given = scores.argmax(axis=1)
    figures = staging_figures(truth, given)
    low, high = interval_by_subject(
        list(subjects), lambda chosen: staging_figures(truth[chosen], given[chosen]).kappa, draws=200
    )
    chance = np.exp(scores.max(axis=1))[truth >= 0]
    right = (given == truth)[truth >= 0]
    return {
        "kappa": round(figures.kappa, 4),
        "interval": [round(low, 4), round(high, 4)] if np.isfinite(low) else None,
        "accuracy": round(figures.accuracy, 4),
        "macro_f1": round(figures.macro_f1, 4),
        "calibration_error": round(calibration_error(chance, right), 4),
        "epochs": int((truth >= 0).sum()),
        "subjects": len({course.subject for course, _ in rows}),
    }


def kept_row(
    net: CourseNet, material: Material, options: StageOptions, without: Mapping[str, int]
) -> dict[str, float | int]:
    """Judge on each fold's partial nights the members that left them out; donors are of the fold too."""
    rng = np.random.default_rng(options.seed)
    scores, nights = [], []
    for night in material.partial:
        fold = without[night.subject]
        donors = [course for course in material.learned if without[course.subject] == fold and anchored(course)]
        if donors:
            whole = completed(night, donors[int(rng.integers(len(donors)))], rng)
            scores.append(stage_scores(net.only(leaving(fold, options)), whole, [0], with_eog=False))
            nights.append(night)
    return recall_of_kept(scores, nights)
