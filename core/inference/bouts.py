"""Bouts across the night: stretches of neighbouring epochs that answer a question."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.inference.conditions import quoted
from core.inference.search import Asked, best
from core.inference.store import HIT_COLUMNS, Store
from core.psg.preprocess import EPOCH_SECONDS

PAUSE = 1
"""Epochs that may be missing inside a bout."""
STUDIES_LOOKED_AT = 50
"""Studies of the best epochs whose nights are gone through."""


@dataclass(frozen=True)
class Bout:
    """A stretch of epochs that answer a question."""

    study: str
    """Name of the study."""
    epoch: int
    """First epoch."""
    epochs: int
    """Epochs that answer, of those from the first to the last."""
    onset: float
    """Seconds from the start of the recording."""
    duration: float
    """Seconds from the first epoch's start to the last one's end."""
    clock: str | None
    """Clock time at the onset."""
    score: float | None
    """Of the best epoch; None where nothing ranks."""
    caption: str
    """Of the best epoch."""
    spans: tuple[Mapping[str, Any], ...]
    """Events of the types that the question names, each once."""

    @property
    def evidence(self) -> str:
        """What its times rest on: `events`, whose onsets and ends are in `spans`, or `epochs`, 30 s each.

        An embedding tells which epoch is meant and not which seconds of it (tests/benchmarks/localise_by_meaning.py).
        """
        return "events" if self.spans else "epochs"

    def to_json(self) -> dict[str, Any]:
        """Give the bout as JSON values."""
        row = {name: getattr(self, name) for name in self.__dataclass_fields__}
        row["spans"] = [dict(span) for span in self.spans]
        return {**row, "evidence": self.evidence}


def bouts_of(asked: Asked, store: Store) -> tuple[Bout, ...]:
    """Find the best bouts of the studies that the best epochs are of.

    With conditions (or an expression), a bout is a run of epochs that meet them, one epoch's pause allowed. Where the
    sentence sets none, an epoch answers when its score lies nearer to the night's highest than to its median.
    Best first: by the score of the best epoch, then the longer one.
    """
    studies = list(dict.fromkeys(row.place[0] for _, row in best(asked, store)))[:STUDIES_LOOKED_AT]
    bouts = [bout for study in studies for bout in _of_study(study, asked, store)]
    ranked = sorted(bouts, key=lambda bout: (-(bout.score or 0.0), -bout.epochs, bout.study, bout.epoch))
    return tuple(ranked[: asked.limit])


def _of_study(study: str, asked: Asked, store: Store) -> list[Bout]:
    where = " AND ".join(part for part in (f"study = {quoted(study)}", asked.where) if part)
    rows = store.read((*HIT_COLUMNS, *asked.clarity.columns), where)
    if not rows["epoch"]:
        return []
    scores = asked.scores(rows, store.embeddings(study)[np.array(rows["epoch"])])
    answers = np.ones(len(scores), bool)
    if not asked.where and asked.vector is not None:
        answers = scores > (scores.max() + np.median(scores)) / 2
    picked = np.flatnonzero(answers).tolist()
    return [_bout(run, rows, scores, asked) for run in _runs(picked, rows["epoch"])]


def _runs(picked: Sequence[int], epochs: Sequence[int]) -> list[list[int]]:
    runs: list[list[int]] = []
    for number in picked:
        if runs and epochs[number] - epochs[runs[-1][-1]] <= 1 + PAUSE:
            runs[-1].append(number)
        else:
            runs.append([number])
    return runs


def _bout(run: Sequence[int], rows: Mapping[str, Sequence[Any]], scores: NDArray[np.float64], asked: Asked) -> Bout:
    first, last = run[0], run[-1]
    top = max(run, key=lambda number: (scores[number], -number))
    events = {
        (event["onset"], event["type"]): event
        for number in run
        for event in json.loads(rows["events"][number] or "[]")
        if event["type"] in asked.question.events
    }
    return Bout(
        study=rows["study"][first],
        epoch=rows["epoch"][first],
        epochs=len(run),
        onset=float(rows["onset"][first]),
        duration=float((rows["epoch"][last] - rows["epoch"][first] + 1) * EPOCH_SECONDS),
        clock=rows["clock"][first],
        score=None if asked.vector is None else float(scores[top]),
        caption=rows["caption_stage_event"][top] or "",
        spans=tuple(events[key] for key in sorted(events)),
    )
