"""The texts of a training epoch: captions to write, and statements to contrast, with keys by what they say.

Texts are written when an epoch is drawn, not kept: no cache grows with the hours of data, wordings never run
out, and an epoch whose channels were dropped gets texts of what is left.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from core.errors import UsageError
from core.language.describe import DOMAINS, LEVELS, EpochFacts, describe, sayable
from core.language.missing import CHANNELS_OF_DOMAIN
from core.language.phrases import STAGE_NAMES
from core.language.prompts import CONCEPT_SYNONYMS, EVENT_SYNONYMS, STAGE_SYNONYMS
from core.language.thresholds import concepts
from core.language.words import CONCEPT_WORDS, EVENT_WORDS, STAGE_WORDS

WORDINGS = 1_000_000
"""Seeds of wordings to draw from."""
STAGE_EVENT = DOMAINS.index("stage_event")
FRAMES = ("{}", "{}", "epochs with {}", "find {}", "an epoch of {}", "show me {}")
JOINTS = ("{finding} in {stage}", "{stage} with {finding}", "{finding} during {stage}")
STAGE_QUERIES, FINDING_QUERIES = 0.25, 0.5
"""Shares of queries for a stage and for a finding; the others ask for a finding in a stage."""


@dataclass(frozen=True)
class TextOptions:
    """Which texts an epoch gets."""

    captions: int = 1
    """Captions that the decoder learns to write, each of another domain."""
    stage_event_share: float = 0.4
    """Chance of the stage_event domain in a draw; the others share the rest."""
    slots: bool = True
    """Whether the decoder writes slots in place of figures."""
    query_share: float = 0.45
    """Share of the statements that are short queries: a stage, a finding, or both."""
    numbers_share: float = 0.25
    """Share of the statements that are captions with figures; the others are captions in clinical words."""
    figures: int = 0
    """Captions with figures, each of another domain, whose mean embedding is contrasted too; 0 for none."""
    levels: tuple[str, ...] = LEVELS
    """Levels of `core.language.facts.LEVELS` that captions, statements and queries tell; of a level left out nothing
    is said, also not that it is missing. The domains but stage_event are the level `channel`."""

    def __post_init__(self) -> None:
        unknown = [level for level in self.levels if level not in LEVELS]
        if unknown or not self.levels:
            what = f"There is no caption level {unknown[0]!r}." if unknown else "No caption level is left to tell."
            raise UsageError(what, f"Choose some of {', '.join(LEVELS)}.")

    def tells(self, domain: str) -> bool:
        """Say whether a domain has a sentence of the levels told."""
        return bool({"stage", "event"} & set(self.levels)) if domain == "stage_event" else "channel" in self.levels


@dataclass(frozen=True)
class EpochTexts:
    """The texts of one epoch."""

    captions: tuple[str, ...]
    domains: tuple[int, ...]
    """Index in `DOMAINS` of each caption."""
    statement: str
    """The text to contrast."""
    key: int
    """What the statement says: equal for two wordings of the same facts."""
    truths: tuple[int, ...]
    """Keys of everything that may be stated of this epoch, its own statement first."""
    figures: tuple[str, ...] = ()
    """Captions with figures, to contrast together."""
    figures_key: int = 0
    """What these say: equal for two epochs of which they say the same."""


@lru_cache(maxsize=65536)
def key_of(text: str) -> int:
    """Give a text's key: the first 63 bits of its SHA-256, never negative."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def draw_domains(rng: np.random.Generator, options: TextOptions) -> tuple[int, ...]:
    """Draw the domains of an epoch's captions, each once."""
    shares = np.full(len(DOMAINS), (1 - options.stage_event_share) / (len(DOMAINS) - 1))
    shares[STAGE_EVENT] = options.stage_event_share
    told = np.array([options.tells(domain) for domain in DOMAINS])
    if not told.all():
        shares = np.where(told, np.maximum(shares, 1e-9), 0.0)
        shares /= shares.sum()
    count = min(options.captions, int(told.sum()))
    return tuple(int(d) for d in rng.choice(len(DOMAINS), size=count, replace=False, p=shares))


def draw_figures(facts: EpochFacts, rng: np.random.Generator, options: TextOptions) -> tuple[tuple[str, ...], int]:
    """Write an epoch's captions with figures, each of another domain, and give the key of what they say."""
    told = [domain for domain in DOMAINS if options.tells(domain)]
    chosen = rng.choice(len(told), size=min(options.figures, len(told)), replace=False)
    texts = tuple(
        describe(facts, told[d], int(rng.integers(WORDINGS)), "numbers", options.levels) for d in chosen.tolist()
    )
    said = sorted(describe(facts, told[d], 0, "numbers", options.levels) for d in chosen.tolist())
    return texts, key_of(" ".join(("figures", *said)))


def draw_texts(facts: EpochFacts, rng: np.random.Generator, options: TextOptions) -> EpochTexts:
    """Write an epoch's texts.

    Parameters
    ----------
    facts
        What may be said of it.
    rng
        Chooses domains, forms and wordings.
    options
        The shares.
    """
    known = sayable(facts)
    domains = draw_domains(rng, options)
    form, levels = "slots" if options.slots else "numbers", options.levels
    seeds = rng.integers(WORDINGS, size=len(domains))
    captions = tuple(
        describe(facts, DOMAINS[d], int(seed), form, levels) for d, seed in zip(domains, seeds, strict=True)
    )
    held = {domain: _held(known, domain, options) for domain in DOMAINS}
    stage = f"stage {facts.stage}" if facts.stage is not None and "stage" in levels else ""
    atoms = [name for names in held.values() for name in names]
    said = facts if stage else replace(facts, stage=None)
    told = {domain: key_of(words_key(said, domain, held[domain])) for domain in DOMAINS if options.tells(domain)}
    pairs = [key_of(f"{stage} {atom}") for atom in atoms] if stage else []
    truths = [*told.values(), *map(key_of, atoms), *pairs, *([key_of(stage)] if stage else [])]
    kind = rng.random()
    spoken = draw_domains(rng, options)[0]
    seed = int(rng.integers(WORDINGS))
    if kind < options.query_share and (atoms or stage):
        statement, name = _query(atoms, stage, rng)
        key = key_of(name)
    elif kind < options.query_share + options.numbers_share:
        statement = describe(facts, DOMAINS[spoken], seed, "numbers", levels)
        key = key_of("numbers " + describe(facts, DOMAINS[spoken], 0, "numbers", levels))
    else:
        statement = describe(facts, DOMAINS[spoken], seed, "words", levels)
        key = told[DOMAINS[spoken]]
    figures, figures_key = draw_figures(facts, rng, options) if options.figures else ((), 0)
    return EpochTexts(captions, domains, statement, key, (key, *truths), figures, figures_key)


def _held(known: EpochFacts, domain: str, options: TextOptions) -> tuple[str, ...]:
    """Give the concepts of a domain that the levels told allow."""
    level = "event" if domain == "stage_event" else "channel"
    return concepts(known, domain) if level in options.levels else ()


def words_key(facts: EpochFacts, domain: str, held: Sequence[str]) -> str:
    """Say canonically what a caption in words says: domain, concepts, stage, and what cannot be told."""
    if domain == "stage_event":
        return f"{domain} {facts.stage} {sorted(held)} {facts.events_scored}"
    lost = [name for name in CHANNELS_OF_DOMAIN[domain] if name in facts.unusable]
    return f"{domain} {sorted(held)} {lost}"


def _query(atoms: Sequence[str], stage: str, rng: np.random.Generator) -> tuple[str, str]:
    """Write a short query and its key: a finding, the stage, or a finding in the stage."""
    what = rng.random()
    atom = atoms[int(rng.integers(len(atoms)))] if atoms else ""
    if not atom or (stage and what < STAGE_QUERIES):
        return _framed(_stage_phrase(stage, rng), rng), stage
    if not stage or what < STAGE_QUERIES + FINDING_QUERIES:
        return _framed(_phrase(atom, rng), rng), atom
    joint = JOINTS[int(rng.integers(len(JOINTS)))]
    return joint.format(finding=_phrase(atom, rng), stage=_stage_phrase(stage, rng)), f"{stage} {atom}"


def _framed(phrase: str, rng: np.random.Generator) -> str:
    return FRAMES[int(rng.integers(len(FRAMES)))].format(phrase)


def _phrase(atom: str, rng: np.random.Generator) -> str:
    if atom in EVENT_WORDS:
        names = (*EVENT_SYNONYMS[atom], *(f"{article} {noun}" for article, noun in EVENT_WORDS[atom]))
    else:
        names = (*CONCEPT_WORDS[atom], *CONCEPT_SYNONYMS.get(atom, ()))
    return names[int(rng.integers(len(names)))]


def _stage_phrase(stage: str, rng: np.random.Generator) -> str:
    code = stage.removeprefix("stage ")
    names = (*STAGE_WORDS[code], *STAGE_SYNONYMS[code], STAGE_NAMES[code])
    return names[int(rng.integers(len(names)))]
