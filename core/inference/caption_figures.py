"""Captions judged by what they state: each is read back into facts, and these are compared with the true ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.util import find_spec

import numpy as np

from core.inference.captioning import caption_rows
from core.inference.night import Night
from core.language.describe import describe
from core.language.facts import EpochFacts
from core.language.read_back import CaptionFacts, read_back
from core.psg.store import PreparedStudy

Atom = tuple[str, str]
"""A fact: its kind (`stage`, `event`, `trend`, `value`, `slot`, `missing`) and what it says."""
WRITTEN, PRINTED, SHUFFLED = "as the decoder writes it", "as it is printed", "of another epoch (control)"
TEXTS_FOR_OVERLAP = 2000
"""Captions that BLEU and ROUGE are taken on, at most."""
Read = tuple[PreparedStudy, Night, Sequence[EpochFacts]]
"""A study, the night as the model read it, and the true facts of its epochs."""
Line = tuple[str, str, float, int]
"""Domain, name, figure, and how many facts or texts stand behind it."""


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


def caption_table(read: Sequence[Read]) -> list[Line]:
    """Judge the captions of some studies.

    Returns
    -------
    list
        Precision and recall by domain and kind of fact: of what the decoder wrote, of the same texts against another
        epoch's facts (which has to collapse), and of what is printed after measurements and events were settled; the
        mean error of printed figures; BLEU and ROUGE-L where sacrebleu and rouge-score are installed.
    """
    lines: list[Line] = []
    domains = read[0][1].domains if read else ()
    for domain in domains:
        written, printed = list(_written(read, domain)), list(_printed(read, domain))
        lines += _fact_lines(domain, WRITTEN, written)
        lines += _fact_lines(domain, SHUFFLED, _shifted(written))
        lines += _fact_lines(domain, PRINTED, [(atoms_of(read_back(t, domain)), true) for t, _, true in printed])
        lines += _overlap_lines(domain, [(text, reference) for text, reference, _ in printed])
    return lines


def _written(read: Sequence[Read], domain: str) -> Iterator[tuple[set[Atom], set[Atom]]]:
    """What the decoder wrote, with open slots, beside what a perfect decoder would write."""
    for _, night, facts in read:
        for epoch, drafts in sorted(night.drafts.items()):
            if domain in drafts:
                ideal = read_back(describe(facts[epoch], domain, 0, "slots"), domain)
                yield atoms_of(read_back(drafts[domain].text, domain)), atoms_of(ideal)


def _printed(read: Sequence[Read], domain: str) -> Iterator[tuple[str, str, set[Atom]]]:
    """The text that is printed, the true one, and its facts."""
    for study, night, facts in read:
        for row, known in zip(caption_rows(study, night), facts, strict=True):
            reference = describe(known, domain, 0, "numbers")
            yield row.captions[domain], reference, atoms_of(read_back(reference, domain))


def _shifted(pairs: list[tuple[set[Atom], set[Atom]]]) -> list[tuple[set[Atom], set[Atom]]]:
    """The same texts beside the facts of epochs drawn anew."""
    order = np.random.default_rng(0).permutation(len(pairs))
    return [(stated, pairs[place][1]) for (stated, _), place in zip(pairs, order, strict=True)]


def _fact_lines(domain: str, name: str, pairs: Sequence[tuple[set[Atom], set[Atom]]]) -> list[Line]:
    stated: Counter[str] = Counter()
    true: Counter[str] = Counter()
    hits: Counter[str] = Counter()
    for mine, theirs in pairs:
        for count, atoms in ((stated, mine), (true, theirs), (hits, mine & theirs)):
            kinds = [kind for kind, _ in atoms]
            count.update(kinds)
            count["all facts"] += len(kinds)
    lines: list[Line] = []
    for kind in ("all facts", "stage", "event", "trend", "value", "slot", "missing"):
        if stated[kind] or true[kind]:
            precision = hits[kind] / stated[kind] if stated[kind] else float("nan")
            recall = hits[kind] / true[kind] if true[kind] else float("nan")
            lines.append((domain, f"{name}: precision of {kind}", precision, stated[kind]))
            lines.append((domain, f"{name}: recall of {kind}", recall, true[kind]))
    return lines


def _overlap_lines(domain: str, pairs: Sequence[tuple[str, str]]) -> list[Line]:
    """BLEU-4 and ROUGE-L of printed texts against the true ones."""
    if not pairs or find_spec("sacrebleu") is None or find_spec("rouge_score") is None:
        return []
    from rouge_score.rouge_scorer import RougeScorer
    from sacrebleu.metrics import BLEU

    some = pairs[:: max(1, len(pairs) // TEXTS_FOR_OVERLAP)]
    bleu = BLEU().corpus_score([text for text, _ in some], [[reference for _, reference in some]])
    scorer = RougeScorer(["rougeL"])
    rouge = float(np.mean([scorer.score(reference, text)["rougeL"].fmeasure for text, reference in some]))
    return [(domain, "BLEU-4", float(bleu.score), len(some)), (domain, "ROUGE-L", rouge, len(some))]
