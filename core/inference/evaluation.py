"""A model judged on scored studies: the paper's table of tasks, each figure with its interval by subject and chance."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import UsageError
from core.inference.caption_figures import Read, caption_table
from core.inference.engine import Engine
from core.inference.event_evaluation import (
    EXAMPLES,
    LEAST,
    event_scores,
    judge_concepts,
    judge_events,
    judge_places,
    named,
)
from core.inference.figures import (
    confusion_by_subject,
    figures_of_confusion,
    interval_by_subject,
    retrieval_ranks,
    staging_figures,
)
from core.inference.judged import TASKS, EvaluationOptions, Judged, Pool, Row
from core.inference.probes import draw_shots, fit_head
from core.inference.ranking import precision_recall
from core.language.describe import describe
from core.psg.scoring import EVENT_TYPES, STAGES

SHOTS = (1, 3, 10, 30, 100)
REPEATS = 5
"""Draws of the labelled epochs behind each point of a few-shot curve."""
STAGING_FIGURES = ("accuracy", "balanced_accuracy", "macro_f1", "kappa")
RANKS = (1, 5, 10)


@dataclass(frozen=True)
class Evaluation:
    """Every figure of a model on some studies."""

    rows: tuple[Row, ...]
    confusion: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    """[5, 6] by stager: scored stage (row) by given stage (column), the last column is `?`."""
    curves: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    """[n, 2] recall and precision of zero-shot detection, by event type."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """Model, hash, studies, subjects, epochs."""
    notes: tuple[str, ...] = ()
    """What is left out, and why."""

    def to_json(self) -> dict[str, Any]:
        """Give everything as JSON values; what is not known is null."""
        names = ("task", "what", "figure", "value", "low", "high", "chance", "n")
        return {
            **self.about,
            "figures": [{name: _finite(getattr(row, name)) for name in names} for row in self.rows],
            "confusion": {name: table.tolist() for name, table in self.confusion.items()},
            "precision_recall": {name: np.round(curve, 4).tolist() for name, curve in self.curves.items()},
        }


NEEDS = {
    "staging": "it takes scored stages",
    "events": f"it takes {LEAST} scored epochs with events of one type",
    "retrieval": "it takes epochs with captions",
    "few-shot": "it takes scored stages of two subjects",
    "captions": "it takes captions",
    "localisation": f"it takes {LEAST} scored events of one type",
    "concepts": f"it takes events of one type in {EXAMPLES} epochs of some subjects and in {LEAST} of others",
}
"""What a task cannot be judged without."""


def _finite(value: Any) -> Any:
    """Round a number to five digits after the point; None where it is not known."""
    if not isinstance(value, float):
        return value
    return round(value, 5) if np.isfinite(value) else None


def evaluate(judged: Sequence[Judged], engine: Engine, options: EvaluationOptions) -> Evaluation:
    """Take every figure that was asked for.

    Raises
    ------
    UsageError
        A task that is not known, or no study.
    """
    options.check()
    if not judged:
        raise UsageError("There is no scored study to evaluate on.", "Give studies with their scorings beside them.")
    pool = Pool.of(judged)
    rows: list[Row] = []
    for task in TASKS:
        if task in options.tasks:
            rows += _TASKS[task](judged, pool, engine, options)
    confusion = {name: staging_figures(pool.truth, given).confusion for name, given in pool.stagers.items()}
    about = {
        "model": engine.bundle.name,
        "model_hash": engine.bundle.content_hash,
        "studies": len(judged),
        "subjects": len(set(pool.subjects)),
        "epochs": len(pool.truth),
    }
    curves = _curves(pool, engine) if "events" in options.tasks else {}
    notes = options.scorers.notes if "captions" in options.tasks else ()
    told = {row.task for row in rows}
    missing = [f"The task {task} is left out: {NEEDS[task]}." for task in options.tasks if task not in told]
    return Evaluation(tuple(rows), confusion, curves, about, (*notes, *missing))


def _curves(pool: Pool, engine: Engine) -> dict[str, NDArray[np.float64]]:
    known = pool.events_known
    return {
        named(kind, engine): precision_recall(scores[known], pool.events[known, EVENT_TYPES.index(kind)])
        for kind, scores in event_scores(pool, engine).items()
    }


def _staging(judged: Sequence[Judged], pool: Pool, engine: Engine, options: EvaluationOptions) -> list[Row]:
    """Stages against the scoring; chance is the commonest stage for every epoch."""
    counts = np.bincount(pool.truth[pool.truth >= 0], minlength=len(STAGES))
    guess = staging_figures(pool.truth, np.full(len(pool.truth), int(counts.argmax())))
    rows = []
    for stager, given in pool.stagers.items():
        for name in STAGING_FIGURES:
            row = Row("staging", stager, name.replace("_", " "), 0.0, chance=float(getattr(guess, name)))
            rows.append(_agreement(row, pool, given, (name, options.draws)))
    return rows


def _agreement(row: Row, pool: Pool, given: NDArray[np.int64], wanted: tuple[str, int]) -> Row:
    """Fill in a figure of stages with its interval, from confusion tables by subject."""
    name, draws = wanted
    subjects, tables = confusion_by_subject(pool.subjects, pool.truth, given)

    def pooled(some: NDArray[np.intp]) -> float:
        return float(getattr(figures_of_confusion(tables[some].sum(axis=0)), name))

    low, high = interval_by_subject(subjects, pooled, draws)
    value = pooled(np.arange(len(subjects)))
    return Row(row.task, row.what, row.figure, value, low, high, row.chance, row.n or int((pool.truth >= 0).sum()))


def _retrieval(judged: Sequence[Judged], pool: Pool, engine: Engine, options: EvaluationOptions) -> list[Row]:
    """Both ways between epochs and their captions with figures, the mean over the domains."""
    rng = np.random.default_rng(options.seed)
    places = [(index, epoch) for index, one in enumerate(judged) for epoch in range(one.study.n_epochs)]
    chosen = np.sort(rng.permutation(len(places))[: options.pool])
    texts = []
    for place in chosen:
        index, epoch = places[place]
        told = [describe(judged[index].facts[epoch], domain, 0, "numbers") for domain in engine.bundle.domains]
        texts.append(engine.embed_texts(told).mean(axis=0))
    captions = np.stack(texts)
    captions /= np.linalg.norm(captions, axis=1, keepdims=True)
    epochs = pool.embeddings[chosen]
    subjects = [pool.subjects[place] for place in chosen]
    rows = []
    for what, ranks in (
        ("captions to epochs", retrieval_ranks(captions, epochs)),
        ("epochs to captions", retrieval_ranks(epochs, captions)),
    ):
        for k in RANKS:
            rows.append(_ranked(f"R@{k}", what, (subjects, (ranks <= k).astype(float)), min(1.0, k / len(ranks))))
        rows.append(_ranked("median rank", what, (subjects, ranks.astype(float)), (len(ranks) + 1) / 2))
    return rows


def _ranked(name: str, what: str, values: tuple[Sequence[str], NDArray[np.float64]], chance: float) -> Row:
    """One figure of retrieval: the mean of what each query reached, or the median of its ranks."""
    subjects, reached = values
    middle = np.median if name == "median rank" else np.mean
    low, high = interval_by_subject(subjects, lambda some: float(middle(reached[some])))
    return Row("retrieval", what, name, float(middle(reached)), low, high, chance, len(reached))


def _few_shot(judged: Sequence[Judged], pool: Pool, engine: Engine, options: EvaluationOptions) -> list[Row]:
    """Stages by a linear head, from epochs of every other subject, judged on the rest; the mean of five draws."""
    learn = pool.halves() & (pool.truth >= 0)
    judge_on = ~pool.halves() & (pool.truth >= 0)
    if not judge_on.any():
        return []
    names = [name for name, use in zip(pool.subjects, judge_on, strict=True) if use]
    rows = []
    for shots in SHOTS:
        tables: list[NDArray[np.int64]] = []
        subjects: list[str] = []
        for repeat in range(REPEATS):
            rng = np.random.default_rng([options.seed, shots, repeat])
            drawn = draw_shots(pool.truth[learn], len(STAGES), shots, rng)
            head = fit_head(pool.embeddings[learn][drawn], pool.truth[learn][drawn], len(STAGES))
            given = head.scores(pool.embeddings[judge_on]).argmax(axis=1)
            subjects, table = confusion_by_subject(names, pool.truth[judge_on], given)
            tables.append(table)

        def mean(some: NDArray[np.intp], tables: list[NDArray[np.int64]] = tables) -> float:
            return float(np.mean([figures_of_confusion(table[some].sum(axis=0)).kappa for table in tables]))

        low, high = interval_by_subject(subjects, mean, options.draws)
        value = mean(np.arange(len(subjects)))
        what = f"{shots} epoch{'s' if shots > 1 else ''} a stage"
        rows.append(
            Row("few-shot", what, f"kappa, mean of {REPEATS} draws", value, low, high, 0.0, int(judge_on.sum()))
        )
    return rows


def _captions(judged: Sequence[Judged], pool: Pool, engine: Engine, options: EvaluationOptions) -> list[Row]:
    read = [Read(one.subject, one.study, one.night, one.facts) for one in judged]
    lines = caption_table(read, engine.bundle.slots, options.scorers, options.draws)
    return [
        Row("captions", line.domain, line.figure, line.value, line.low, line.high, line.chance, line.n)
        for line in lines
    ]


_TASKS: Mapping[str, Callable[[Sequence[Judged], Pool, Engine, EvaluationOptions], list[Row]]] = {
    "staging": _staging,
    "events": judge_events,
    "retrieval": _retrieval,
    "few-shot": _few_shot,
    "captions": _captions,
    "localisation": judge_places,
    "concepts": judge_concepts,
}
