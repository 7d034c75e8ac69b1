"""Evaluation of a network on prepared studies: zero-shot stages, retrieval both ways, captions read back.

The figures work on arrays and texts alone, so that the outputs of a bundle are scored by the same code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from core.inference.figures import (
    RetrievalFigures,
    StagingFigures,
    interval_by_subject,
    retrieval_figures,
    staging_figures,
)
from core.language.describe import DOMAINS, EpochFacts, describe
from core.language.read_back import read_back
from core.language.tokenizer import Tokenizer
from training.model import SleepLM
from training.run import Anchors
from training.studies import TrainingStudy, find_stores, open_study

EVALUATION_BATCH = 64


@dataclass(frozen=True)
class Evaluation:
    """The figures of a model on scored studies."""

    staging: StagingFigures
    kappa_interval: tuple[float, float]
    """95 % bootstrap by subject; NaN with one subject."""
    text_to_signal: RetrievalFigures
    """Captions with figures, all domains of an epoch averaged, as queries for their epoch."""
    signal_to_text: RetrievalFigures
    studies: int
    epochs: int


@dataclass(frozen=True)
class Embedded:
    """A model's view of some studies."""

    embeddings: NDArray[np.float32]
    """[N, D] of epochs."""
    texts: NDArray[np.float32]
    """[N, D] of the epochs' captions."""
    stages: NDArray[np.int64]
    """[N] scored stage, negative where none."""
    subjects: tuple[str, ...]
    """[N]."""


def evaluate(
    model: SleepLM, tokenizer: Tokenizer, stores: Sequence[Path], staging: Mapping[str, object], epochs: int = 1000
) -> Evaluation:
    """Score a model on prepared studies.

    Parameters
    ----------
    model
        The network, on its device.
    tokenizer
        Of its run.
    stores
        Prepared studies or folders of them, none of which it was trained on.
    staging
        The run's constants: `temperature` and `prior`.
    epochs
        Size of the retrieval pool and number of staged epochs; drawn with a fixed seed.

    Raises
    ------
    SleepcliError
        When a study is damaged or nothing is found.
    """
    studies = [open_study(path) for path in find_stores(stores)]
    rows = [(s, e) for s, study in enumerate(studies) for e in range(len(study.stages))]
    chosen = np.random.default_rng(0).permutation(len(rows))[:epochs]
    found = embed(model, tokenizer, studies, [rows[i] for i in sorted(chosen)])
    with torch.no_grad():
        anchors = Anchors(tokenizer, next(model.parameters()).device).embed(model).cpu().numpy()
    bias = np.log(np.asarray(staging["prior"], np.float64))
    given = (float(str(staging["temperature"])) * found.embeddings @ anchors.T + bias).argmax(axis=1)
    return Evaluation(
        staging=staging_figures(found.stages, given),
        kappa_interval=interval_by_subject(found.subjects, lambda i: staging_figures(found.stages[i], given[i]).kappa),
        text_to_signal=retrieval_figures(found.texts, found.embeddings),
        signal_to_text=retrieval_figures(found.embeddings, found.texts),
        studies=len(studies),
        epochs=len(found.stages),
    )


def embed(
    model: SleepLM, tokenizer: Tokenizer, studies: Sequence[TrainingStudy], rows: Sequence[tuple[int, int]]
) -> Embedded:
    """Embed epochs and their captions (the mean over the five domains), a batch at a time."""
    device = next(model.parameters()).device
    channels = model.config.channels
    signals, texts = [], []
    was_training = model.training
    model.eval()
    with torch.no_grad():
        for start in range(0, len(rows), EVALUATION_BATCH):
            part = rows[start : start + EVALUATION_BATCH]
            stacks = [studies[s].prepared.stack(channels, np.array([e])) for s, e in part]
            present = [studies[s].prepared.present(channels, np.array([e])) for s, e in part]
            embedding, _ = model.encode_signal(
                torch.from_numpy(np.concatenate(stacks)).to(device),
                torch.from_numpy(np.concatenate(present)).to(device),
            )
            captions = [describe(studies[s].facts(e), d, 0, "numbers") for s, e in part for d in DOMAINS]
            text, _ = model.encode_text(torch.from_numpy(tokenizer.encode(captions)).to(device))
            signals.append(embedding.cpu().numpy())
            texts.append(text.cpu().numpy().reshape(len(part), len(DOMAINS), -1).mean(axis=1))
    model.train(was_training)
    mean = np.concatenate(texts)
    return Embedded(
        embeddings=np.concatenate(signals),
        texts=mean / np.linalg.norm(mean, axis=1, keepdims=True),
        stages=np.array([studies[s].stages[e] for s, e in rows], np.int64),
        subjects=tuple(studies[s].subject for s, _ in rows),
    )


@dataclass(frozen=True)
class CaptionFigures:
    """How many of the facts in captions are true, and how many true facts are in captions."""

    precision: float
    recall: float
    stated: int
    true: int


def caption_figures(captions: Sequence[str], facts: Sequence[EpochFacts], domain: str) -> CaptionFigures:
    """Read captions back and compare what they state with what the template states of the same facts.

    Parameters
    ----------
    captions
        As a decoder wrote them, slots filled in.
    facts
        Of the same epochs.
    domain
        One of `DOMAINS`.

    Returns
    -------
    CaptionFigures
        Over all epochs; NaN where nothing is stated or true. A stage, a value's name with its printed figure,
        an event's type and a missing channel are one fact each.
    """
    stated = hits = true = 0
    for caption, known in zip(captions, facts, strict=True):
        mine = atoms_of(caption, domain)
        theirs = atoms_of(describe(known, domain, 0, "numbers"), domain)
        stated, true, hits = stated + len(mine), true + len(theirs), hits + len(mine & theirs)
    return CaptionFigures(
        precision=hits / stated if stated else float("nan"),
        recall=hits / true if true else float("nan"),
        stated=stated,
        true=true,
    )


def atoms_of(caption: str, domain: str) -> set[tuple[str, str]]:
    """List the facts that a caption states, each as a kind and its content."""
    found = read_back(caption, domain)
    atoms = {("value", f"{name} {value:g}") for name, value in found.values.items()}
    atoms |= {("event", event.type) for event in found.events}
    atoms |= {("missing", name) for name in found.missing}
    if found.stage is not None:
        atoms.add(("stage", found.stage))
    return atoms
