"""A model judged on scored studies: the paper's table of tasks, each figure with its interval by subject."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.batch import Outcome, StudyInput
from core.errors import StudyError, UsageError
from core.inference.caption_figures import caption_table
from core.inference.engine import Engine
from core.inference.event_figures import NOTHING, event_figures, event_flags
from core.inference.figures import interval_by_subject, retrieval_figures, stage_indices, staging_figures
from core.inference.night import Night, NightOptions, read_night
from core.inference.probes import draw_shots, fit_head, prototype
from core.inference.ranking import auroc, average_precision, best_f1, f1_at
from core.inference.staging import stage_embeddings
from core.inference.studies import measurements_of
from core.inference.tasks import ModelChoice, Reading, ReadsStudies
from core.language.describe import describe
from core.language.facts import DOMAINS, EpochFacts, epoch_facts
from core.language.prompts import event_prompts
from core.psg.scoring import EVENT_TYPES, STAGES, Scoring
from core.psg.store import PreparedStudy, subject_of

TASKS = ("staging", "events", "retrieval", "few-shot", "captions", "localisation", "concepts")
SHOTS = (1, 3, 10, 30, 100)
REPEATS = 5
"""Draws of the labelled epochs behind each point of a few-shot curve."""
OVERLAPS = (0.3, 0.5)
EXAMPLES = 10
"""Epochs behind a prototype."""
LEAST = 20
"""Epochs that have an event type, under which nothing is said of it."""
BREATHING = ("obstructive_apnea", "central_apnea", "mixed_apnea", "hypopnea")


@dataclass(frozen=True)
class EvaluationOptions:
    """Wishes of a caller."""

    tasks: tuple[str, ...] = TASKS
    pool: int = 1000
    """Epochs that retrieval looks among."""
    separator: str = ""
    """A study's subject is its name up to this; empty: the name."""
    draws: int = 500
    """Bootstrap samples behind an interval."""
    seed: int = 0

    def check(self) -> None:
        """Raise UsageError for a task that is not known."""
        unknown = [task for task in self.tasks if task not in TASKS]
        if unknown:
            raise UsageError(f"There is no task {unknown[0]!r}.", f"Choose of {', '.join(TASKS)}.")


@dataclass(frozen=True)
class Judged:
    """One study: what the model says, and what is true."""

    subject: str
    study: PreparedStudy
    scoring: Scoring
    night: Night
    """Read without the scoring."""
    by_prompts: NDArray[np.int64]
    """[N] zero-shot stage, −1 where none."""
    facts: tuple[EpochFacts, ...]
    """What is true of each epoch: the measurements and the scoring."""


@dataclass(frozen=True)
class JudgeTask(ReadsStudies):
    """Reads a scored study and keeps what the model says of it in this process."""

    choice: ModelChoice
    reading: Reading
    options: EvaluationOptions
    found: list[Judged]

    def __call__(self, item: StudyInput) -> Outcome:
        """Read one study."""
        study = self.reading.open(item)
        self.found.append(judge(study, self.choice.engine(), self.options))
        return Outcome(figures={"epochs": study.n_epochs}, warnings=study.repairs)


@dataclass(frozen=True)
class Row:
    """One figure."""

    task: str
    what: str
    figure: str
    value: float
    low: float = float("nan")
    high: float = float("nan")
    """95 % bootstrap interval by subject; NaN with fewer than two subjects."""
    n: int = 0
    """Epochs, events or captions behind it."""


@dataclass(frozen=True)
class Evaluation:
    """Every figure of a model on some studies."""

    rows: tuple[Row, ...]
    confusion: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    """[5, 6] by stager: scored stage (row) by given stage (column), the last column is `?`."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """Model, hash, studies, subjects, epochs."""

    def to_json(self) -> dict[str, Any]:
        """Give everything as JSON values; what is not known is null."""
        rows = [
            {name: _finite(getattr(row, name)) for name in ("task", "what", "figure", "value", "low", "high", "n")}
            for row in self.rows
        ]
        return {
            **self.about,
            "figures": rows,
            "confusion": {name: table.tolist() for name, table in self.confusion.items()},
        }


def _finite(value: Any) -> Any:
    """Round a number to five digits after the point; None where it is not known."""
    if not isinstance(value, float):
        return value
    return round(value, 5) if np.isfinite(value) else None


def judge(study: PreparedStudy, engine: Engine, options: EvaluationOptions) -> Judged:
    """Let a model read one scored study without its scoring.

    Raises
    ------
    StudyError
        The study has no scoring.
    """
    if study.scoring is None or not any(stage in STAGES for stage in study.scoring.stages):
        raise StudyError(f"{study.study} has no scored stages to compare with.", "Put its scoring beside it.")
    domains = DOMAINS if "captions" in options.tasks else ()
    night = read_night(study, engine, NightOptions(domains, use_scoring=False))
    assert night.embeddings is not None  # a model read it
    prompts = stage_embeddings(night.embeddings, study, engine)
    measured = measurements_of(study)
    facts = tuple(epoch_facts(epoch, measured, study.states, study.scoring) for epoch in range(study.n_epochs))
    subject = subject_of(study.study, options.separator)
    return Judged(subject, study, study.scoring, night, stage_indices(prompts.stages), facts)


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
    pool = _Pool.of(judged)
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
    return Evaluation(tuple(rows), confusion, about)


@dataclass(frozen=True)
class _Pool:
    """All epochs of all studies, side by side."""

    subjects: tuple[str, ...]
    truth: NDArray[np.int64]
    stagers: Mapping[str, NDArray[np.int64]]
    embeddings: NDArray[np.float32]
    events: NDArray[np.bool_]
    """[N, 8] whether an event of each type overlaps the epoch."""
    events_known: NDArray[np.bool_]
    """[N] whether the study's events were scored."""

    @classmethod
    def of(cls, judged: Sequence[Judged]) -> _Pool:
        def joined(part: Callable[[Judged], Any]) -> Any:
            return np.concatenate([part(one) for one in judged])

        stagers = {"zero-shot, by prompts": joined(lambda one: one.by_prompts)}
        own = joined(lambda one: stage_indices(one.night.staging.stages))
        if not np.array_equal(own, stagers["zero-shot, by prompts"]):
            stagers["as `stage` gives them"] = own
        return cls(
            subjects=tuple(one.subject for one in judged for _ in range(one.study.n_epochs)),
            truth=joined(lambda one: stage_indices(one.scoring.stages)),
            stagers=stagers,
            embeddings=joined(lambda one: one.night.embeddings),
            events=joined(lambda one: event_flags(one.scoring.events, one.study.n_epochs)),
            events_known=joined(lambda one: np.full(one.study.n_epochs, bool(one.scoring.events))),
        )

    def row(self, task: str, what: str, name: str, figure: Callable[[NDArray[np.intp]], float], draws: int) -> Row:
        """One figure over all epochs with its interval."""
        every = np.arange(len(self.truth))
        low, high = interval_by_subject(self.subjects, figure, draws)
        return Row(task, what, name, figure(every), low, high, len(every))


def _staging(judged: Sequence[Judged], pool: _Pool, engine: Engine, options: EvaluationOptions) -> list[Row]:
    rows = []
    for stager, given in pool.stagers.items():
        for name in ("accuracy", "balanced_accuracy", "macro_f1", "kappa"):

            def figure(some: NDArray[np.intp], name: str = name, given: NDArray[np.int64] = given) -> float:
                return float(getattr(staging_figures(pool.truth[some], given[some]), name))

            rows.append(pool.row("staging", stager, name.replace("_", " "), figure, options.draws))
    return rows


def _events(judged: Sequence[Judged], pool: _Pool, engine: Engine, options: EvaluationOptions) -> list[Row]:
    """Zero-shot: the cosine to sentences that name an event, minus that to sentences that rule it out."""
    rows = []
    known = pool.events_known
    for column, kind in enumerate(EVENT_TYPES):
        positive = pool.events[:, column] & known
        if positive.sum() < LEAST:
            continue
        with_it, without = event_prompts()[kind]
        present, absent = (engine.embed_texts(texts).mean(axis=0) for texts in (with_it, without))
        scores = pool.embeddings @ (present - absent)
        halves = _subject_halves(pool.subjects)
        threshold, _ = best_f1(scores[known & halves], positive[known & halves])
        for name, figure in (("AUROC", auroc), ("AUPRC", average_precision)):

            def taken(some: NDArray[np.intp], figure: Any = figure, s: Any = scores, p: Any = positive) -> float:
                kept = some[known[some]]
                return float(figure(s[kept], p[kept]))

            rows.append(pool.row("events", kind, name, taken, options.draws))
        rest = known & ~halves
        value = f1_at(scores[rest], positive[rest], threshold)
        rows.append(Row("events", kind, "F1 by epoch, threshold from other subjects", value, n=int(rest.sum())))
    return rows


def _subject_halves(subjects: Sequence[str]) -> NDArray[np.bool_]:
    """True for the epochs of every other subject."""
    names = sorted(set(subjects))
    return np.array([names.index(subject) % 2 == 0 for subject in subjects])


def _retrieval(judged: Sequence[Judged], pool: _Pool, engine: Engine, options: EvaluationOptions) -> list[Row]:
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
    rows = []
    for what, found in (
        ("captions to epochs", retrieval_figures(captions, epochs)),
        ("epochs to captions", retrieval_figures(epochs, captions)),
    ):
        rows += [Row("retrieval", what, f"R@{k}", value, n=found.pool) for k, value in found.recall.items()]
        rows.append(Row("retrieval", what, "median rank", found.median_rank, n=found.pool))
    return rows


def _few_shot(judged: Sequence[Judged], pool: _Pool, engine: Engine, options: EvaluationOptions) -> list[Row]:
    """Stages by a linear head, from epochs of every other subject, judged on the rest."""
    learn = _subject_halves(pool.subjects) & (pool.truth >= 0)
    judge_on = ~_subject_halves(pool.subjects) & (pool.truth >= 0)
    if not judge_on.any():
        return []
    rows = []
    for shots in SHOTS:
        kappas = []
        for repeat in range(REPEATS):
            rng = np.random.default_rng([options.seed, shots, repeat])
            drawn = draw_shots(pool.truth[learn], len(STAGES), shots, rng)
            head = fit_head(pool.embeddings[learn][drawn], pool.truth[learn][drawn], len(STAGES))
            given = head.scores(pool.embeddings[judge_on]).argmax(axis=1)
            kappas.append(staging_figures(pool.truth[judge_on], given).kappa)
        what = f"{shots} epoch{'s' if shots > 1 else ''} a stage"
        low, high = float(min(kappas)), float(max(kappas))
        rows.append(
            Row("few-shot", what, "kappa, mean and range", float(np.mean(kappas)), low, high, int(judge_on.sum()))
        )
    return rows


def _captions(judged: Sequence[Judged], pool: _Pool, engine: Engine, options: EvaluationOptions) -> list[Row]:
    return [
        Row("captions", domain, name, value, n=count)
        for domain, name, value, count in caption_table([(one.study, one.night, one.facts) for one in judged])
    ]


def _localisation(judged: Sequence[Judged], pool: _Pool, engine: Engine, options: EvaluationOptions) -> list[Row]:
    """Events with their times, found against scored; breathing is also taken together."""
    rows = []
    groups = {"apneas and hypopneas": BREATHING} | {kind: (kind,) for kind in EVENT_TYPES}
    for what, kinds in groups.items():
        for least in OVERLAPS:
            total = NOTHING
            for one in judged:
                if one.scoring.events:
                    true, found = (
                        [event for event in events if event.type in kinds]
                        for events in (one.scoring.events, one.night.events)
                    )
                    total += event_figures(true, found, least)
            if total.true < LEAST:
                continue
            for name in ("f1", "precision", "recall"):
                label = {"f1": "F1"}.get(name, name)
                rows.append(Row("localisation", what, f"{label} at IoU {least}", getattr(total, name), n=total.true))
            if least == OVERLAPS[0] and total.hits:
                error = float(np.median(np.abs(total.onset_errors)))
                rows.append(Row("localisation", what, "median onset error, s", error, n=total.hits))
    return rows


def _concepts(judged: Sequence[Judged], pool: _Pool, engine: Engine, options: EvaluationOptions) -> list[Row]:
    """Event types as if they were unknown: a prototype of ten epochs of some subjects ranks the others' epochs."""
    learn = _subject_halves(pool.subjects) & pool.events_known
    rest = ~_subject_halves(pool.subjects) & pool.events_known
    rows = []
    for column, kind in enumerate(EVENT_TYPES):
        positive = pool.events[:, column]
        if (positive & learn).sum() < EXAMPLES or (positive & rest).sum() < LEAST:
            continue
        values = []
        for repeat in range(REPEATS):
            rng = np.random.default_rng([options.seed, column, repeat])
            examples = rng.permutation(np.flatnonzero(positive & learn))[:EXAMPLES]
            direction = prototype(pool.embeddings[examples], pool.embeddings[learn])
            values.append(auroc(pool.embeddings[rest] @ direction, positive[rest]))
        label = f"AUROC from {EXAMPLES} epochs, mean and range"
        rows.append(Row("concepts", kind, label, float(np.mean(values)), min(values), max(values), int(rest.sum())))
    return rows


_TASKS: Mapping[str, Callable[[Sequence[Judged], _Pool, Engine, EvaluationOptions], list[Row]]] = {
    "staging": _staging,
    "events": _events,
    "retrieval": _retrieval,
    "few-shot": _few_shot,
    "captions": _captions,
    "localisation": _localisation,
    "concepts": _concepts,
}
