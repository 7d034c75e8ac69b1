"""Studies ranked by a question: whose epochs answer it best, and how many there are."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from core.inference.conditions import quoted
from core.inference.search import SCORE_DIGITS, Asked, best, hit_of
from core.inference.store import Candidate, Store

BEST_OF_STUDY = 5
"""Epochs whose mean score is a study's."""
EPOCHS_LOOKED_AT = 2000
"""Best epochs that studies are ranked by where meaning ranks."""


@dataclass(frozen=True)
class StudyHit:
    """A study that answers a question."""

    study: str
    """Name."""
    score: float | None
    """Mean score of its best epochs; None where conditions alone rank."""
    matching: int
    """Its epochs that meet the conditions."""
    epochs: int
    """Its epochs in all."""
    best_epoch: int
    """Epoch that answers best."""
    onset: float
    """Seconds from the start of the recording to that epoch."""
    caption: str
    """Of that epoch."""

    @property
    def share(self) -> float:
        """Share of its epochs that meet the conditions, to four digits."""
        return round(self.matching / self.epochs, 4) if self.epochs else 0.0

    def to_json(self) -> dict[str, Any]:
        """Give the study as JSON values."""
        return {**{name: getattr(self, name) for name in self.__dataclass_fields__}, "share": self.share}


def studies_of(asked: Asked, store: Store) -> tuple[StudyHit, ...]:
    """Rank studies.

    Where the question is understood whole as conditions, by the share of the night that meets them; where something is
    left to the meaning, by the mean score of the five best epochs, and a study that has no epoch among the best two
    thousand has no place. Equal studies stand by name.
    """
    counts = Counter(store.read(("study",), asked.where)["study"])
    sizes = {row["study"]: int(row["epochs"]) for row in store.studies()}
    if asked.vector is not None and (asked.question.rest or asked.like is not None or not asked.where):
        found: dict[str, list[tuple[float, Candidate]]] = {}
        for score, row in best(asked, store, EPOCHS_LOOKED_AT):
            found.setdefault(row.place[0], []).append((score or 0.0, row))
        means = {study: _mean([score for score, _ in rows[:BEST_OF_STUDY]]) for study, rows in found.items()}
        ranked = sorted(means, key=lambda study: (-means[study], study))[: asked.limit]
        tops = {study: found[study][0][1] for study in ranked}
        return tuple(_hit(tops[study], means[study], counts, sizes, asked) for study in ranked)
    shares = {study: count / sizes.get(study, count) for study, count in counts.items()}
    ranked = sorted(shares, key=lambda study: (-shares[study], study))[: asked.limit]
    return tuple(_hit(_best_of(study, asked, store), None, counts, sizes, asked) for study in ranked)


def _mean(scores: list[float]) -> float:
    return round(sum(scores) / len(scores), SCORE_DIGITS)


def _best_of(study: str, asked: Asked, store: Store) -> Candidate:
    within = " AND ".join(part for part in (f"study = {quoted(study)}", asked.where) if part)
    return best(replace(asked, where=within, limit=1), store)[0][1]


def _hit(top: Candidate, score: float | None, counts: Counter[str], sizes: Mapping[str, int], asked: Asked) -> StudyHit:
    hit = hit_of(asked.question, top, score)
    size = sizes.get(hit.study, counts[hit.study])
    return StudyHit(hit.study, score, counts[hit.study], size, hit.epoch, hit.onset, hit.caption)
