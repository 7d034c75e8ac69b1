"""Questions in plain language over studies that are held in memory."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import ModelError
from core.inference.captioning import caption_rows, event_row
from core.inference.engine import Engine
from core.inference.night import Night, NightOptions, read_night
from core.inference.understanding import Question, understand
from core.language.describe import sayable_columns
from core.psg.preprocess import EPOCH_SECONDS
from core.psg.scoring import EVENT_TYPES, Event
from core.psg.store import PreparedStudy

SCORE_DIGITS = 4


@dataclass(frozen=True)
class IndexedStudy:
    """What a search needs of a study; its signals are let go."""

    study: str
    """Name."""
    embeddings: NDArray[np.float32]
    """[N, D], L2-normalised."""
    stages: tuple[str, ...]
    """One an epoch."""
    values: Mapping[str, NDArray[np.float32]]
    """Measurements by name, [N], NaN where the captions do not tell them."""
    events: tuple[Event, ...]
    """Events of the night."""
    captions: tuple[str, ...]
    """The stage-and-event caption of each epoch."""


@dataclass(frozen=True)
class Hit:
    """One epoch that answers a question."""

    study: str
    """Name of the study."""
    epoch: int
    """Index from 0."""
    onset: float
    """Seconds from the start of the recording."""
    score: float
    """Cosine between the question and the epoch, to four digits."""
    caption: str
    """The epoch's stage and events in words."""
    spans: tuple[Event, ...]
    """Events of the types that the question names, whole, where they overlap the epoch."""

    def to_json(self) -> dict[str, Any]:
        """Give the hit as JSON values."""
        row = {name: getattr(self, name) for name in self.__dataclass_fields__}
        row["spans"] = [event_row(event) for event in self.spans]
        return row


@dataclass(frozen=True)
class Answer:
    """Hits, and how the question was taken."""

    question: Question
    """Its conditions; `str(question)` says them."""
    hits: tuple[Hit, ...]
    """Best first."""
    matching: int
    """Epochs that meet the conditions."""


def index_study(
    study: PreparedStudy, engine: Engine, use_scoring: bool = True, progress: Callable[[int], object] | None = None
) -> IndexedStudy:
    """Embed, stage, measure and describe one study for searching."""
    night = read_night(study, engine, NightOptions(("stage_event",), use_scoring), progress)
    return index_night(study, night)


def index_night(study: PreparedStudy, night: Night) -> IndexedStudy:
    """Take what a search needs from a night that is read already."""
    if night.embeddings is None:
        raise ModelError(f"{study.study} was captioned without a model, so it cannot be searched.", "Name a --model.")
    captions = tuple(row.captions.get("stage_event", "") for row in caption_rows(study, night))
    stages = night.staging.stages
    values = sayable_columns(night.measurements.values, stages)
    return IndexedStudy(study.study, night.embeddings, stages, values, night.events, captions)


def search(text: str, studies: Sequence[IndexedStudy], engine: Engine, limit: int = 10) -> Answer:
    """Find the epochs that answer a question best.

    Parameters
    ----------
    text
        A sentence. Comparisons, stages and positions in it filter; the whole of it ranks.
    studies
        Where to look.
    engine
        The model that embedded the studies.
    limit
        Most hits.

    Returns
    -------
    Answer
        Hits best first; equal scores in the order of the studies and epochs.
    """
    question = understand(text)
    asked = engine.embed_texts([text])[0].astype(np.float64)
    found: list[tuple[float, int, int]] = []
    for number, study in enumerate(studies):
        scores = np.round(np.einsum("nd,d->n", study.embeddings.astype(np.float64), asked), SCORE_DIGITS)
        stages = np.array(study.stages)
        meets = np.ones(len(stages), bool)
        columns = {**study.values, **_event_columns(study)}
        for condition in question.conditions:
            meets &= condition.holds(stages, columns)
        found += [(-float(scores[epoch]), number, int(epoch)) for epoch in np.flatnonzero(meets)]
    best = sorted(found)[:limit]
    return Answer(question, tuple(_hit(question, studies[n], epoch, -score) for score, n, epoch in best), len(found))


def _event_columns(study: IndexedStudy) -> dict[str, NDArray[np.float32]]:
    """Count the events of each type that touch each epoch, [N]."""
    columns = {kind: np.zeros(len(study.stages), np.float32) for kind in EVENT_TYPES}
    for event in study.events:
        first = max(int(event.onset // EPOCH_SECONDS), 0)
        last = int(np.ceil((event.onset + event.duration) / EPOCH_SECONDS))
        columns[event.type][first:last] += 1
    return columns


def _hit(question: Question, study: IndexedStudy, epoch: int, score: float) -> Hit:
    onset = epoch * float(EPOCH_SECONDS)
    spans = tuple(
        event
        for event in study.events
        if event.type in question.events
        and event.onset < onset + EPOCH_SECONDS
        and event.onset + event.duration > onset
    )
    return Hit(study.study, epoch, onset, score, study.captions[epoch], spans)
