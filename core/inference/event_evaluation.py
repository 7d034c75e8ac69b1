"""How well a model knows events: by words, by a few examples, and by where they begin and end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.inference.engine import Engine
from core.inference.event_figures import NOTHING, EventFigures, event_figures, event_flags
from core.inference.figures import interval_by_subject
from core.inference.judged import EvaluationOptions, Judged, Pool, Row
from core.inference.probes import prototype
from core.inference.ranking import auroc, average_precision, best_f1, f1_at
from core.language.prompts import event_prompts
from core.psg.preprocess import EPOCH_SECONDS
from core.psg.scoring import EVENT_TYPES, Event

OVERLAPS = (0.3, 0.5)
EXAMPLES = 10
"""Epochs behind a prototype."""
REPEATS = 5
"""Draws of those examples; of the turns that chance is taken over."""
LEAST = 20
"""Epochs that have an event type, under which nothing is said of it."""
BREATHING = ("obstructive_apnea", "central_apnea", "mixed_apnea", "hypopnea")
HELD_OUT = " (held out of training)"


def named(kind: str, engine: Engine) -> str:
    """Name an event type, and say when no epoch that has it was trained on."""
    without = engine.bundle.description.get("training", {}).get("without_events", ())
    return kind + HELD_OUT if kind in without else kind


def event_scores(pool: Pool, engine: Engine) -> dict[str, NDArray[np.float32]]:
    """Score every epoch, [N], for each event type that enough of them have.

    The score is the cosine to sentences that name the event, minus that to sentences that rule it out.
    """
    scores = {}
    for column, kind in enumerate(EVENT_TYPES):
        if (pool.events[:, column] & pool.events_known).sum() >= LEAST:
            present, absent = (engine.embed_texts(texts).mean(axis=0) for texts in event_prompts()[kind])
            scores[kind] = pool.embeddings @ (present - absent)
    return scores


def judge_events(judged: Sequence[Judged], pool: Pool, engine: Engine, options: EvaluationOptions) -> list[Row]:
    """Zero-shot detection by epoch: AUROC, AUPRC, and F1 at a threshold from other subjects.

    Beside it F1 by epoch of the events that the model finds with their times, which are not zero-shot.
    """
    rows = []
    known, halves = pool.events_known, pool.halves()
    found = np.concatenate([event_flags(one.night.events, one.study.n_epochs) for one in judged])
    for kind, scores in event_scores(pool, engine).items():
        positive = pool.events[:, EVENT_TYPES.index(kind)] & known
        what = named(kind, engine)
        share = float(positive[known].mean())
        for name, measure, chance in (("AUROC", auroc, 0.5), ("AUPRC", average_precision, share)):

            def taken(some: NDArray[np.intp], measure: Any = measure, s: Any = scores, p: Any = positive) -> float:
                kept = some[known[some]]
                return float(measure(s[kept], p[kept]))

            row = Row("events", what, name, 0.0, chance=chance, n=int(known.sum()))
            rows.append(pool.ranked(row, taken, options.draws))
        threshold, _ = best_f1(scores[known & halves], positive[known & halves])
        rest = known & ~halves

        def at(
            some: NDArray[np.intp], s: Any = scores, p: Any = positive, t: float = threshold, r: Any = rest
        ) -> float:
            kept = some[r[some]]
            return f1_at(s[kept], p[kept], t)

        always = 2 * share / (1 + share)  # F1 of calling every epoch positive
        name = "F1 by epoch, threshold from other subjects"
        rows.append(pool.ranked(Row("events", what, name, 0.0, chance=always, n=int(rest.sum())), at, options.draws))
        told = found[:, EVENT_TYPES.index(kind)].astype(np.float32)

        def of_found(some: NDArray[np.intp], t: Any = told, p: Any = positive) -> float:
            kept = some[known[some]]
            return f1_at(t[kept], p[kept], 0.5)

        row = Row("events", what, "F1 by epoch, of the events found", 0.0, chance=always, n=int(known.sum()))
        rows.append(pool.ranked(row, of_found, options.draws))
    return rows


def judge_concepts(judged: Sequence[Judged], pool: Pool, engine: Engine, options: EvaluationOptions) -> list[Row]:
    """Event types as if they were unknown: a prototype of ten epochs of some subjects ranks the others' epochs."""
    learn = pool.halves() & pool.events_known
    rest = ~pool.halves() & pool.events_known
    rows = []
    for column, kind in enumerate(EVENT_TYPES):
        positive = pool.events[:, column]
        if (positive & learn).sum() < EXAMPLES or (positive & rest).sum() < LEAST:
            continue
        scores = []
        for repeat in range(REPEATS):
            rng = np.random.default_rng([options.seed, column, repeat])
            examples = rng.permutation(np.flatnonzero(positive & learn))[:EXAMPLES]
            scores.append(pool.embeddings @ prototype(pool.embeddings[examples], pool.embeddings[learn]))

        def mean(some: NDArray[np.intp], scores: Any = scores, positive: Any = positive) -> float:
            kept = some[rest[some]]
            return float(np.mean([auroc(s[kept], positive[kept]) for s in scores]))

        label = f"AUROC from {EXAMPLES} epochs, mean of {REPEATS} draws"
        row = Row("concepts", named(kind, engine), label, 0.0, chance=0.5, n=int(rest.sum()))
        rows.append(pool.ranked(row, mean, options.draws))
    return rows


def judge_places(judged: Sequence[Judged], pool: Pool, engine: Engine, options: EvaluationOptions) -> list[Row]:
    """Events with their times, found against scored; breathing is also taken together."""
    scored = [one for one in judged if one.scoring.events]
    groups: Mapping[str, tuple[str, ...]] = {"apneas and hypopneas": BREATHING} | {k: (k,) for k in EVENT_TYPES}
    rows = []
    for what, kinds in groups.items():
        if sum(event.type in kinds for one in scored for event in one.scoring.events) < LEAST:
            continue
        for least in OVERLAPS:
            rows += _places(scored, (what, kinds), least, options)
    return rows


def _places(
    scored: Sequence[Judged], group: tuple[str, tuple[str, ...]], least: float, options: EvaluationOptions
) -> list[Row]:
    what, kinds = group
    each = [_compared(one, kinds, least) for one in scored]
    turned = sum((_compared(one, kinds, least, turn) for one in scored for turn in _turns(options.seed)), NOTHING)
    total = sum(each, NOTHING)
    subjects = [one.subject for one in scored]
    rows = []
    for name, label in (("f1", "F1"), ("precision", "precision"), ("recall", "recall")):

        def pooled(some: NDArray[np.intp], name: str = name) -> float:
            return float(getattr(sum((each[k] for k in some), NOTHING), name))

        low, high = interval_by_subject(subjects, pooled, options.draws)
        chance = float(getattr(turned, name))
        rows.append(
            Row("localisation", what, f"{label} at IoU {least}", getattr(total, name), low, high, chance, total.true)
        )
    if least == OVERLAPS[0] and total.hits:
        error = float(np.median(np.abs(total.onset_errors)))
        rows.append(Row("localisation", what, "median onset error, s", error, n=total.hits))
    return rows


def _turns(seed: int) -> NDArray[np.float64]:
    """Parts of a night by which found events are moved around its clock, for what chance alone would hit."""
    return np.random.default_rng([seed, 8]).uniform(0.1, 0.9, REPEATS)


def _compared(one: Judged, kinds: tuple[str, ...], least: float, turn: float = 0.0) -> EventFigures:
    true, found = (
        [event for event in events if event.type in kinds] for events in (one.scoring.events, one.night.events)
    )
    return event_figures(true, _moved(found, turn, one.study.n_epochs * EPOCH_SECONDS), least)


def _moved(events: Sequence[Event], turn: float, seconds: float) -> list[Event]:
    return (
        [replace(event, onset=(event.onset + turn * seconds) % seconds) for event in events] if turn else list(events)
    )
