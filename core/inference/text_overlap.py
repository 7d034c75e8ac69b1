"""Captions beside the true ones as texts: BLEU and ROUGE, and BERTScore where its model is on the disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import UsageError

LIBRARIES = "BLEU and ROUGE are left out: sacrebleu or rouge-score is missing. pip install 'sleepcli[evaluate]'"
DEFAULT_MODEL = "roberta-large"
"""The model of the BERTScore paper (arXiv 1904.09675) for English."""
BLEU = "BLEU-4"
DEPTH = 0.7
"""Part of a model's layers that is taken where bert-score knows of no best layer."""


@dataclass(frozen=True)
class Scorers:
    """What texts are compared with, and why something is left out."""

    overlaps: bool
    """Whether BLEU and ROUGE can be taken."""
    bert: Any
    """A `bert_score.BERTScorer`, or None."""
    notes: tuple[str, ...]
    """A sentence for each measure that is left out."""


def open_scorers(model: str = DEFAULT_MODEL) -> Scorers:
    """Open what is there; nothing is downloaded.

    Parameters
    ----------
    model
        Of BERTScore: a name in Hugging Face's cache, or a folder in its form.

    Raises
    ------
    UsageError
        A folder was named that holds no such model.
    """
    overlaps = find_spec("sacrebleu") is not None and find_spec("rouge_score") is not None
    bert, missing = _bert(model)
    return Scorers(overlaps, bert, (*(() if overlaps else (LIBRARIES,)), *missing))


def _bert(model: str) -> tuple[Any, tuple[str, ...]]:
    folder = Path(model)
    is_place = folder.is_absolute() or folder.is_dir()
    if is_place and not (folder / "config.json").is_file():
        raise UsageError(f"{model} is no folder of a BERT model.", "It has config.json, weights and a tokenizer.")
    if find_spec("bert_score") is None:
        return None, ("BERTScore is left out: bert-score is not installed.",)
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        os.environ[name] = "1"
    try:
        if not is_place:
            found = import_module("huggingface_hub").snapshot_download(model, local_files_only=True)
            model = str(found)
        library = import_module("bert_score")
        layers = import_module("bert_score.utils").model2layers.get(folder.name)
        if layers is None:
            config = import_module("transformers").AutoConfig.from_pretrained(model, local_files_only=True)
            layers = max(1, round(DEPTH * config.num_hidden_layers))
        return library.BERTScorer(model_type=model, num_layers=layers, device="cpu"), ()
    except (OSError, ValueError):
        return None, (f"BERTScore is left out: its model {model} is not on this disk, and nothing is downloaded.",)


def overlap_figures(
    scorers: Scorers, texts: Sequence[str], references: Sequence[str]
) -> list[tuple[str, Callable[[NDArray[np.intp]], float]]]:
    """Compare texts with references, pair by pair.

    Returns
    -------
    list
        Name of each measure, and how it is taken over some of the pairs, by their numbers.
    """
    found: list[tuple[str, Callable[[NDArray[np.intp]], float]]] = []
    if scorers.overlaps:
        scorer = import_module("sacrebleu.metrics").BLEU()
        rouge = import_module("rouge_score.rouge_scorer").RougeScorer(["rougeL"])
        pairs = zip(references, texts, strict=True)
        each = np.array([rouge.score(right, text)["rougeL"].fmeasure for right, text in pairs])

        def corpus(some: NDArray[np.intp]) -> float:
            return float(scorer.corpus_score([texts[k] for k in some], [[references[k] for k in some]]).score)

        found += [(BLEU, corpus), ("ROUGE-L", lambda some: float(each[some].mean()))]
    if scorers.bert is not None:
        f1 = np.asarray(scorers.bert.score(list(texts), list(references))[2], np.float64)
        found.append(("BERTScore F1", lambda some: float(f1[some].mean())))
    return found
