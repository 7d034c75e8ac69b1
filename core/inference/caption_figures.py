"""Captions judged by what they state: each is read back into facts, and these are compared with the true ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from core.inference.captioning import EpochCaption, caption_rows
from core.inference.figures import interval_by_subject
from core.inference.night import Night
from core.inference.text_overlap import BLEU, Scorers, overlap_figures
from core.language.describe import describe
from core.language.facts import EpochFacts
from core.language.read_back import CaptionFacts, read_back
from core.psg.store import PreparedStudy

Atom = tuple[str, str]
"""A fact: its kind, and what it says."""
KINDS = ("all facts", "stage", "event", "trend", "value", "slot", "missing")
WRITTEN, PRINTED = "as the decoder writes it", "as it is printed"
TIME_TOLERANCE = 2.0
"""Seconds within which the end of an event is right. An event of which less lies in an epoch, and which the caption of
that epoch alone tells or alone leaves out, has its end a little to one side or the other of the border: it does not
count."""
TEXTS_FOR_OVERLAP = 1000
"""Captions that texts are compared on, at most."""


@dataclass(frozen=True)
class Read:
    """A study, and what the model made of it."""

    subject: str
    study: PreparedStudy
    night: Night
    facts: Sequence[EpochFacts]
    """The true facts of its epochs."""


@dataclass(frozen=True)
class Line:
    """One figure of captions."""

    domain: str
    figure: str
    value: float
    low: float = float("nan")
    high: float = float("nan")
    """95 % bootstrap interval by subject."""
    chance: float = float("nan")
    """The same texts against the facts of other epochs: what a decoder that does not see its epoch would reach."""
    n: int = 0
    """Facts, figures or texts behind it."""


@dataclass(frozen=True)
class _Text:
    """One caption beside the true one."""

    subject: str
    text: str
    reference: str
    stated: CaptionFacts
    true: CaptionFacts


def atoms_of(found: CaptionFacts) -> set[Atom]:
    """List what a caption states: an event by its type, a value by its printed figure, a slot by its name."""
    atoms: set[Atom] = {("value", f"{name} {value:g}") for name, value in found.values.items()}
    atoms |= {("slot", name) for name in found.slots}
    atoms |= {("event", event.type) for event in found.events}
    atoms |= {("trend", f"{trend.quantity} {trend.direction}") for trend in found.trends}
    atoms |= {("missing", name) for name in found.missing}
    if found.stage is not None:
        atoms.add(("stage", found.stage))
    if found.no_events:
        atoms.add(("event", "none"))
    return atoms


def without_touches(side: CaptionFacts, other: CaptionFacts) -> CaptionFacts:
    """Leave out the events that one side alone tells and that touch the epoch for less than `TIME_TOLERANCE`.

    Where no event is left, the side says that there is none.
    """
    lengths: dict[str, float] = {}
    for event in side.events:
        lengths[event.type] = lengths.get(event.type, 0.0) + event.duration
    shared = {event.type for event in other.events}
    kept = tuple(event for event in side.events if event.type in shared or lengths[event.type] >= TIME_TOLERANCE)
    return replace(side, events=kept, no_events=side.no_events or (bool(side.events) and not kept))


def caption_table(read: Sequence[Read], slots: bool, scorers: Scorers, draws: int = 500) -> list[Line]:
    """Judge the captions of some studies.

    Parameters
    ----------
    read
        The studies.
    slots
        Whether the model leaves slots for measured figures; else it writes figures of its own.
    scorers
        What texts are compared with.
    draws
        Bootstrap samples behind an interval.

    Returns
    -------
    list
        Precision and recall by domain and kind of fact, of what the decoder wrote and of what is printed after
        measurements and events were settled; the error of figures; BLEU, ROUGE-L and BERTScore of printed texts.
    """
    lines: list[Line] = []
    rows = [list(caption_rows(one.study, one.night)) for one in read]
    for domain in read[0].night.domains if read else ():
        written, printed = list(_written(read, domain, slots)), list(_printed(read, rows, domain))
        for name, texts in ((WRITTEN, written), (PRINTED, printed)):
            lines += _fact_lines(domain, name, texts, draws)
            lines += _error_lines(domain, name, texts, draws)
        lines += _overlap_lines(domain, printed, scorers, draws)
    return lines


def _written(read: Sequence[Read], domain: str, slots: bool) -> Iterator[_Text]:
    """What the decoder wrote beside what a perfect decoder would write."""
    for one in read:
        for epoch, drafts in sorted(one.night.drafts.items()):
            if domain in drafts:
                ideal = describe(one.facts[epoch], domain, 0, "slots" if slots else "numbers")
                yield _text(one.subject, drafts[domain].text, ideal, domain)


def _printed(read: Sequence[Read], rows: Sequence[Sequence[EpochCaption]], domain: str) -> Iterator[_Text]:
    """What is printed beside what is true."""
    for one, captions in zip(read, rows, strict=True):
        for row, known in zip(captions, one.facts, strict=True):
            yield _text(one.subject, row.captions[domain], describe(known, domain, 0, "numbers"), domain)


def _text(subject: str, text: str, reference: str, domain: str) -> _Text:
    return _Text(subject, text, reference, read_back(text, domain), read_back(reference, domain))


def _fact_lines(domain: str, name: str, texts: Sequence[_Text], draws: int) -> list[Line]:
    """Precision and recall of each kind of fact, against the epoch's own facts and, for chance, another's."""
    subjects = [text.subject for text in texts]
    order = np.random.default_rng(0).permutation(len(texts))
    stated, true = _sides(texts)
    every, counts = _counts(subjects, stated, true)
    _, others = _counts(subjects, stated, [true[place] for place in order])
    lines: list[Line] = []
    for column, kind in enumerate(KINDS):
        for word, part in (("precision", 0), ("recall", 1)):

            def share(some: NDArray[np.intp], c: int = column, p: int = part) -> float:
                return _share(counts[some].sum(axis=0)[c], p)

            total = counts.sum(axis=0)[column]
            if total[0] or total[1]:
                low, high = interval_by_subject(every, share, draws)
                chance = _share(others.sum(axis=0)[column], part)
                label = f"{name}: {word} of {kind}"
                lines.append(Line(domain, label, _share(total, part), low, high, chance, int(total[part])))
    return lines


def _sides(texts: Sequence[_Text]) -> tuple[list[CaptionFacts], list[CaptionFacts]]:
    return [text.stated for text in texts], [text.true for text in texts]


def _share(counts: NDArray[np.int64], part: int) -> float:
    """Share of the stated facts (part 0) or the true ones (part 1) that are both; NaN where there is none."""
    return float(counts[2] / counts[part]) if counts[part] else float("nan")


def _counts(
    subjects: Sequence[str], stated: Sequence[CaptionFacts], true: Sequence[CaptionFacts]
) -> tuple[list[str], NDArray[np.int64]]:
    """Count facts by subject and kind, [S, 7, 3]: stated, true, both."""
    every = sorted(set(subjects))
    place = {name: index for index, name in enumerate(every)}
    table = np.zeros((len(every), len(KINDS), 3), np.int64)
    for subject, mine, theirs in zip(subjects, stated, true, strict=True):
        told, right = atoms_of(without_touches(mine, theirs)), atoms_of(without_touches(theirs, mine))
        for column, atoms in enumerate((told, right, told & right)):
            table[place[subject], 0, column] += len(atoms)
            for kind, _ in atoms:
                table[place[subject], KINDS.index(kind), column] += 1
    return every, table


def _error_lines(domain: str, name: str, texts: Sequence[_Text], draws: int) -> list[Line]:
    """How far figures are from the true ones, in standard deviations of the true figures of their kind."""
    pairs = [
        (text.subject, quantity, value, text.true.values[quantity])
        for text in texts
        for quantity, value in text.stated.values.items()
        if quantity in text.true.values
    ]
    if not pairs:
        return []
    kinds, right = np.array([pair[1] for pair in pairs]), np.array([pair[3] for pair in pairs])
    given = np.array([pair[2] for pair in pairs])
    spread = np.ones(len(pairs))
    other = right.copy()
    rng = np.random.default_rng(0)
    for kind in np.unique(kinds):
        own = np.flatnonzero(kinds == kind)
        spread[own] = max(float(right[own].std()), 1e-9)
        other[own] = rng.permutation(right[own])
    errors = np.abs(given - right) / spread
    low, high = interval_by_subject([pair[0] for pair in pairs], lambda some: float(errors[some].mean()), draws)
    chance = float((np.abs(given - other) / spread).mean())
    label = f"{name}: mean error of figures, SD"
    return [Line(domain, label, float(errors.mean()), low, high, chance, len(pairs))]


def _overlap_lines(domain: str, texts: Sequence[_Text], scorers: Scorers, draws: int) -> list[Line]:
    """Text measures of printed captions against the true ones, and for chance against those of other epochs.

    BLEU, which is taken of all texts together at a second each time, has no interval.
    """
    some = texts[:: max(1, -(-len(texts) // TEXTS_FOR_OVERLAP))]
    if not some:
        return []
    said, right = [text.text for text in some], [text.reference for text in some]
    order = np.random.default_rng(0).permutation(len(some))
    own = overlap_figures(scorers, said, right)
    other = overlap_figures(scorers, said, [right[place] for place in order])
    every = np.arange(len(some))
    lines = []
    for (name, figure), (_, by_chance) in zip(own, other, strict=True):
        samples = 0 if name == BLEU else draws
        low, high = interval_by_subject([text.subject for text in some], figure, samples)
        lines.append(Line(domain, f"{PRINTED}: {name}", figure(every), low, high, by_chance(every), len(some)))
    return lines
