"""Concepts of a lab's own: a name, phrasings, and epochs that show it, for things that no model was trained on."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import UsageError
from core.inference.engine import Engine
from core.inference.probes import prototype
from core.inference.search import Asked, place_of
from core.inference.store import Store

KEYS = ("name", "phrasings", "examples")


@dataclass(frozen=True)
class Concept:
    """Something to look for."""

    name: str
    """What a question calls it."""
    phrasings: tuple[str, ...] = ()
    """Sentences that mean it; the name where there is none."""
    examples: tuple[str, ...] = ()
    """`STUDY:EPOCH` of epochs that show it, in the studies or the library that are searched."""


def read_concepts(path: Path) -> tuple[Concept, ...]:
    """Read a concepts file: `[[concept]]` tables with `name`, `phrasings` and `examples`.

    Raises
    ------
    UsageError
        The file is missing, no TOML, or has other entries.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"There is no concepts file {path}.") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is not readable TOML ({error}).", "Give [[concept]] tables.") from error
    tables = content.get("concept")
    if not isinstance(tables, list) or len(content) != 1 or not tables:
        raise UsageError(f"{path} has no [[concept]] tables, or something beside them.", "Give name and phrasings.")
    return tuple(_concept(path, table) for table in tables)


def _concept(path: Path, table: dict[str, Any]) -> Concept:
    unknown = [key for key in table if key not in KEYS]
    if unknown:
        raise UsageError(f"{path}: a concept has no entry {unknown[0]!r}.", f"It has {', '.join(KEYS)}.")
    name, lists = table.get("name"), [table.get(key, []) for key in KEYS[1:]]
    fits = all(isinstance(some, list) and all(isinstance(text, str) for text in some) for some in lists)
    if not isinstance(name, str) or not name.strip() or not fits:
        raise UsageError(
            f"{path}: a concept needs a name, and lists of texts.", 'Such as phrasings = ["sawtooth waves"].'
        )
    return Concept(name.strip(), tuple(lists[0]), tuple(lists[1]))


def named(text: str, concepts: Sequence[Concept]) -> Concept | None:
    """Find the concept that a question names; the longest name where several do."""
    lowered = text.casefold()
    found = [concept for concept in concepts if concept.name.casefold() in lowered]
    return max(found, key=lambda concept: len(concept.name), default=None)


def ranked_by(asked: Asked, concept: Concept, store: Store, engine: Engine) -> Asked:
    """Let a concept rank the epochs in the place of the question's words; its conditions still filter.

    Raises
    ------
    UsageError
        An example is no epoch of what is searched.
    """
    vector = concept_vector(concept, store, engine).astype(np.float32)
    return replace(asked, vector=vector, words=(), question=replace(asked.question, rest=concept.name))


def concept_vector(concept: Concept, store: Store, engine: Engine) -> NDArray[np.float64]:
    """Direction of a concept, [D] of unit length: its phrasings, and its examples against their nights."""
    texts = engine.embed_texts(concept.phrasings or (concept.name,)).mean(axis=0).astype(np.float64)
    direction = texts / np.linalg.norm(texts)
    if concept.examples:
        shown, around = [], []
        for example in concept.examples:
            study, epoch = place_of(example, "The example")
            rows = store.embeddings(study)
            if epoch >= len(rows):
                raise UsageError(f"The example {example} of {concept.name!r} is no epoch here.", "Epochs count from 0.")
            shown.append(rows[epoch])
            around.append(rows)
        direction = direction + prototype(np.stack(shown), np.concatenate(around))
    return np.asarray(direction / np.linalg.norm(direction), np.float64)
