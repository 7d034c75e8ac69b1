"""Questions in plain language over epochs: conditions filter; how clearly they hold, meaning and words rank."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import UsageError
from core.inference.caption_query import ToldFacts, read_caption
from core.inference.caption_words import asked_words, coverage
from core.inference.clarity import Clarity
from core.inference.conditions import Question, quoted_name
from core.inference.engine import Engine
from core.inference.epoch_table import StudyTable, table_of_night, table_of_study
from core.inference.expression import checked_expression
from core.inference.night import NightOptions
from core.inference.store import HIT_COLUMNS, Candidate, MemoryStore, Store
from core.inference.understanding import understand
from core.psg.store import PreparedStudy

SCORE_DIGITS = 4
WORDS_SHARE = 0.25
"""Weight of the words beside the meaning in a score. Scores are added, not ranks: captions say the same of thousands of
epochs, so that a rank among them would be an accident."""
CLEAR_SHARE, CLEAR_SHARE_BESIDE = 0.9, 0.5
"""Weight of how clearly the conditions hold: where they are all that is asked, and beside something that is not
understood as a condition."""
COMPARED = 20_000
"""Epochs whose clarity is compared: of more, an even share of each night, so that a million epochs answer in time."""
CANDIDATES = 50
"""Epochs of each kind of retrieval that are scored exactly."""


@dataclass(frozen=True)
class Wishes:
    """What a caller asks besides the sentence."""

    limit: int = 10
    """Most hits."""
    where: str = ""
    """SQL expression over `core.inference.epoch_table.COLUMNS`."""
    like: str = ""
    """`STUDY:EPOCH` whose likes are wanted."""


@dataclass(frozen=True)
class Hit:
    """One epoch that answers a question."""

    study: str
    """Name of the study."""
    epoch: int
    """Index from 0."""
    onset: float
    """Seconds from the start of the recording."""
    score: float | None
    """To four digits: how clearly the conditions hold, 0 to 1, and the cosine between question and epoch with a quarter
    for the words that its captions share, by `CLEAR_SHARE`; None where an expression alone was asked for."""
    caption: str
    """The epoch's stage and events in words."""
    spans: tuple[Mapping[str, Any], ...]
    """Events of the types that the question names, whole, where they overlap the epoch."""

    def to_json(self) -> dict[str, Any]:
        """Give the hit as JSON values."""
        row = {name: getattr(self, name) for name in self.__dataclass_fields__}
        row["spans"] = [dict(span) for span in self.spans]
        return row


@dataclass(frozen=True)
class Asked:
    """A question ready to be put to a store."""

    question: Question
    """What was understood."""
    where: str
    """All that filters, as SQL; empty for nothing."""
    vector: NDArray[np.float32] | None
    """[D] what ranks by meaning; None where nothing does."""
    words: tuple[str, ...] = ()
    """What ranks by words."""
    limit: int = 10
    """Most hits."""
    like: tuple[str, int] | None = None
    """Study and epoch whose likes are wanted; it is not its own hit."""
    expression: str = ""
    """The part of `where` that the caller wrote."""
    caption: ToldFacts | None = None
    """What the question claims, where it is a caption: it filters nothing; the epoch that it tells of is looked for."""

    @property
    def clarity(self) -> Clarity | ToldFacts:
        """What tells how clearly the conditions hold, or a caption agrees; nothing where likeness to an epoch ranks."""
        return self.caption or Clarity(self.question.clauses if self.like is None else ())

    def scores(self, rows: Mapping[str, Sequence[Any]], embeddings: NDArray[np.float32]) -> NDArray[np.float64]:
        """Score epochs, [N], to `SCORE_DIGITS`.

        Parameters
        ----------
        rows
            Their `words`, and the columns of `clarity`.
        embeddings
            [N, D].
        """
        if self.vector is None:
            return np.zeros(len(embeddings))
        scores = np.einsum("nd,d->n", embeddings.astype(np.float64), self.vector.astype(np.float64))
        if self.words:
            said = np.array([coverage(self.words, words or "") for words in rows["words"]], np.float64)
            scores = (1.0 - WORDS_SHARE) * scores + WORDS_SHARE * said
        if self.clarity.columns:
            share = CLEAR_SHARE_BESIDE if self.question.rest else CLEAR_SHARE
            scores = (1.0 - share) * scores + share * self.clarity.of(rows, len(scores))
        return np.asarray(np.round(scores, SCORE_DIGITS), np.float64)

    def __str__(self) -> str:
        joined = " and " if self.question.clauses else ", "
        asked = str(self.caption or self.question)
        parts = [joined.join(text for text in (self.expression, asked) if text)]
        if self.like is not None:
            parts.append(f"ranked by likeness to epoch {self.like[1]} of {self.like[0]}")
        return ", ".join(part for part in parts if part) or "all epochs"


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
) -> StudyTable:
    """Embed, stage, measure and describe one study for searching; captions tell its stage and events alone."""
    return table_of_study(study, engine, NightOptions(("stage_event",), use_scoring), progress)


index_night = table_of_night


def ask(text: str, store: Store, engine: Engine, wishes: Wishes | None = None) -> Asked:
    """Read a question.

    Parameters
    ----------
    text
        A sentence. Figures, stages, times, positions, events and their negations in it filter; the rest ranks, and
        where nothing is left the whole sentence does. May be empty where the wishes say enough.
    store
        Where the epoch of `like` is looked up.
    engine
        The model that embedded the epochs.
    wishes
        Expression, epoch, number of hits.

    Raises
    ------
    UsageError
        Nothing is asked, the expression is none, or there is no such epoch.
    """
    wishes = wishes or Wishes()
    caption = read_caption(text) if not wishes.like else None
    question = understand(text) if caption is None else Question(text.strip())
    expression = checked_expression(wishes.where) if wishes.where.strip() else ""
    where = " AND ".join(part for part in (question.sql, expression) if part)
    if wishes.like:
        study, epoch = place_of(wishes.like, "--like")
        rows = store.embeddings(study)
        if epoch >= len(rows):
            there = f"it has {len(rows)}" if len(rows) else "there is no such study"
            raise UsageError(f"There is no epoch {epoch} of {study}: {there}.", "Epochs count from 0.")
        question = replace(question, rest="", text="") if not question.rest else question
        return Asked(question, where, rows[epoch], asked_words(question.rest), wishes.limit, (study, epoch), expression)
    if not question.text and not expression:
        raise UsageError("Nothing is asked.", "Give a question, --where or --like.")
    vector = _meaning(caption.texts if caption else (question.rest or question.text,), engine)
    return Asked(question, where, vector, asked_words(question.rest), wishes.limit, None, expression, caption)


def _meaning(texts: Sequence[str], engine: Engine) -> NDArray[np.float32] | None:
    """The mean direction of some texts, [D]; None where there is none."""
    if not any(texts):
        return None
    mean = engine.embed_texts(texts).astype(np.float64).mean(axis=0)
    return np.asarray(mean / np.linalg.norm(mean), np.float32) if len(texts) > 1 else engine.embed_texts(texts)[0]


def place_of(text: str, what: str) -> tuple[str, int]:
    """Read `STUDY:EPOCH`; UsageError, which names `what` it was, where it is none."""
    study, colon, epoch = text.rpartition(":")
    if not colon or not study or not epoch.isdecimal():
        raise UsageError(f"{what} {text} is no epoch.", "Give STUDY:EPOCH, such as night01:120.")
    return study, int(epoch)


def best(asked: Asked, store: Store, candidates: int = CANDIDATES) -> list[tuple[float | None, Candidate]]:
    """Score the epochs that meet the conditions most clearly, lie nearest in meaning, or say the words; best first.

    Equal scores stand by study and epoch, and so do all where nothing ranks: their score is None.
    """
    count = max(candidates, asked.limit + 1)
    if asked.vector is None:
        return [(None, row) for row in store.first(asked.where, asked.limit)]
    clarity = asked.clarity
    found = {row.place: row for row in store.nearest(asked.vector, asked.where, count, clarity.columns)}
    if asked.words:
        found |= {row.place: row for row in store.saying(asked.words, asked.where, count, clarity.columns)}
    if clarity.columns:
        spread = _spread(asked.where, store)
        found |= {row.place: row for row in store.highest(clarity.of, clarity.columns, spread, count)}
    found.pop(asked.like or ("", -1), None)
    if not found:
        return []
    rows = list(found.values())
    columns = {name: [row.row[name] for row in rows] for name in (*HIT_COLUMNS, *clarity.columns)}
    scores = asked.scores(columns, np.stack([row.embedding for row in rows])).tolist()
    return sorted(zip(scores, rows, strict=True), key=lambda pair: (-pair[0], pair[1].place))


def _spread(where: str, store: Store) -> str:
    """The condition, and where it leaves more epochs than are compared, an even share of every night."""
    share = -(-store.count(where) // COMPARED)
    return " AND ".join(part for part in (where, f"epoch % {share} = 0" if share > 1 else "") if part)


def hits_of(asked: Asked, store: Store) -> tuple[Hit, ...]:
    """The best epochs, as they are shown."""
    return tuple(hit_of(asked.question, row, score) for score, row in best(asked, store)[: asked.limit])


def never_known(asked: Asked, store: Store) -> tuple[str, ...]:
    """The columns that the question sets conditions on and that are known of no epoch: nobody looked for them."""
    return tuple(name for name in asked.question.columns if not store.count(f"{quoted_name(name)} IS NOT NULL"))


def hit_of(question: Question, candidate: Candidate, score: float | None) -> Hit:
    """An epoch as it is shown: with the events that the question names."""
    row = candidate.row
    spans = tuple(event for event in json.loads(row["events"] or "[]") if event["type"] in question.events)
    return Hit(row["study"], row["epoch"], row["onset"], score, row["caption_stage_event"] or "", spans)


def search(text: str, studies: Sequence[StudyTable], engine: Engine, limit: int = 10) -> Answer:
    """Find the epochs of some studies that answer a question best; see `ask` and `hits_of`."""
    store = MemoryStore(studies)
    asked = ask(text, store, engine, Wishes(limit))
    return Answer(asked.question, hits_of(asked, store), store.count(asked.where))
