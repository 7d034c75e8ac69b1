"""A caption put as a question: the epoch that it tells of is the one whose figures, stage and events agree with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.inference.clarity import step_of
from core.inference.epoch_table import COLUMNS, NUMBER
from core.language.facts import DOMAINS
from core.language.grammar import sentences
from core.language.read_back import CaptionFacts, read_back
from core.psg.scoring import EVENT_TYPES

LEAST_FIGURES = 2
"""Figures in the wording of captions from which a text is one: a person's question has conditions instead."""


@dataclass(frozen=True)
class ToldFacts:
    """What a caption claims, to be compared with the table's columns."""

    figures: tuple[tuple[str, float], ...]
    """Column and value."""
    stage: str | None
    """Stage, where it names one."""
    events: tuple[str, ...]
    """Types of the events that it names."""
    no_events: bool
    """Whether it says that there is none."""
    texts: tuple[str, ...]
    """Its sentences by domain: what the meaning is taken of."""

    def __str__(self) -> str:
        parts = [f"stage = {self.stage}"] if self.stage else []
        parts += [f"{name} = {value:g}" for name, value in self.figures]
        parts += [f"with {kind}" for kind in self.events] + (["no event"] if self.no_events else [])
        return f"like an epoch of {' and '.join(parts)}"

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are compared, each once."""
        stage = (f"p_{self.stage}",) if self.stage else ()
        flags = tuple(f"has_{kind}" for kind in (EVENT_TYPES if self.no_events else self.events))
        return tuple(dict.fromkeys((*(name for name, _ in self.figures), *stage, *flags)))

    def of(self, values: Mapping[str, Sequence[Any] | NDArray[Any]], count: int) -> NDArray[np.float64]:
        """How far epochs agree with it, [count], 0 to 1: the mean over its facts; what is not known does not agree."""
        known = {name: np.asarray(values[name], np.float32).astype(np.float64) for name in self.columns}
        each = [_near(known[name], value, step_of(name, value)) for name, value in self.figures]
        if self.stage:
            each.append(known[f"p_{self.stage}"])
        each += [known[f"has_{kind}"] for kind in self.events]
        if self.no_events:
            each.append(1.0 - np.max([known[f"has_{kind}"] for kind in EVENT_TYPES], axis=0))
        return np.asarray(np.round(np.mean([np.nan_to_num(one) for one in each], axis=0), 6), np.float64)


def _near(values: NDArray[np.float64], told: float, step: float) -> NDArray[np.float64]:
    return np.asarray(1.0 / (1.0 + ((values - told) / step) ** 2), np.float64)


def read_caption(text: str) -> ToldFacts | None:
    """Take a text for a caption; None where a sentence of it is none, or it tells fewer than two figures."""
    by_domain: dict[str, list[str]] = {}
    told: list[CaptionFacts] = []
    for sentence in sentences(text):
        found = _read(sentence)
        if found is None:
            return None
        by_domain.setdefault(found[0], []).append(sentence)
        told.append(found[1])
    figures = {name: value for facts in told for name, value in facts.values.items() if COLUMNS.get(name) == NUMBER}
    if len(figures) < LEAST_FIGURES:
        return None
    return ToldFacts(
        figures=tuple(figures.items()),
        stage=next((facts.stage for facts in told if facts.stage), None),
        events=tuple(dict.fromkeys(event.type for facts in told for event in facts.events)),
        no_events=any(facts.no_events for facts in told),
        texts=tuple(". ".join(by_domain[domain]) + "." for domain in DOMAINS if domain in by_domain),
    )


def _read(sentence: str) -> tuple[str, CaptionFacts] | None:
    """The domain whose wording a sentence has, and what it claims."""
    for domain in DOMAINS:
        facts = read_back(sentence, domain)
        if not facts.unparsed and facts != CaptionFacts():
            return domain, facts
    return None
