"""Scored studies as a model reads them without their scorings: what every figure of an evaluation is taken from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.batch import Outcome, StudyInput
from core.errors import StudyError, UsageError
from core.inference.engine import Engine
from core.inference.event_figures import event_flags
from core.inference.figures import interval_by_subject, stage_indices
from core.inference.night import Night, NightOptions, read_night
from core.inference.staging import stage_embeddings
from core.inference.studies import measurements_of
from core.inference.tasks import ModelChoice, Reading, ReadsStudies
from core.inference.text_overlap import DEFAULT_MODEL, Scorers, open_scorers
from core.language.facts import DOMAINS, EpochFacts, epoch_facts
from core.psg.scoring import STAGES, Scoring
from core.psg.store import PreparedStudy, subject_of

TASKS = ("staging", "events", "retrieval", "few-shot", "captions", "localisation", "concepts")


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
    bert_model: str = DEFAULT_MODEL
    """Model of BERTScore: a name in Hugging Face's cache, or a folder."""

    @cached_property
    def scorers(self) -> Scorers:
        """What captions are compared with as texts."""
        return open_scorers(self.bert_model)

    def check(self) -> None:
        """Raise UsageError for a task that is not known."""
        unknown = [task for task in self.tasks if task not in TASKS]
        if unknown:
            raise UsageError(f"There is no task {unknown[0]!r}.", f"Choose of {', '.join(TASKS)}.")


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
    chance: float = float("nan")
    """What a model that knows nothing of the epochs would reach; NaN where the figure has no such level."""
    n: int = 0
    """Epochs, events, captions or facts behind it."""


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
    """Reads a scored study, and gives what the model says of it as a `Judged`."""

    choice: ModelChoice
    reading: Reading
    options: EvaluationOptions

    def __call__(self, item: StudyInput) -> Outcome:
        """Read one study."""
        study = self.reading.open(item)
        judged = judge(study, self.choice.engine(), self.options)
        return Outcome(figures={"epochs": study.n_epochs}, warnings=study.repairs, found=judged)


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
    facts = tuple(epoch_facts(epoch, measured, study.states, study.scoring, {}) for epoch in range(study.n_epochs))
    subject = subject_of(study.study, options.separator)
    return Judged(subject, study, study.scoring, night, stage_indices(prompts.stages), facts)


@dataclass(frozen=True)
class Pool:
    """All epochs of all studies, side by side."""

    subjects: tuple[str, ...]
    truth: NDArray[np.int64]
    """[N] scored stage, −1 where none."""
    stagers: Mapping[str, NDArray[np.int64]]
    """[N] given stages, by who gives them."""
    embeddings: NDArray[np.float32]
    """[N, D]."""
    events: NDArray[np.bool_]
    """[N, 8] whether an event of each type overlaps the epoch."""
    events_known: NDArray[np.bool_]
    """[N] whether the study's events were scored."""

    @classmethod
    def of(cls, judged: Sequence[Judged]) -> Pool:
        """Put studies side by side."""

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

    def ranked(self, row: Row, figure: Callable[[NDArray[np.intp]], float], draws: int) -> Row:
        """Fill in a figure of epochs, from their numbers, with its interval."""
        low, high = interval_by_subject(self.subjects, figure, draws)
        value = figure(np.arange(len(self.truth)))
        return Row(row.task, row.what, row.figure, value, low, high, row.chance, row.n or len(self.truth))

    def halves(self) -> NDArray[np.bool_]:
        """True for the epochs of every other subject, [N]: to choose on one half and judge on the other."""
        names = sorted(set(self.subjects))
        return np.array([names.index(subject) % 2 == 0 for subject in self.subjects])
