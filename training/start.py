"""Fine-tuning: a run that begins with the network and the tokenizer of another one, or of a bundle."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from core.errors import UsageError
from training.checkpoint import read_weights
from training.config import ModelConfig


@dataclass(frozen=True)
class Start:
    """What a finished or stopped run gives to another."""

    config: ModelConfig
    """Sizes of its network."""
    tokenizer: Path
    """Its tokenizer's file."""
    weights: dict[str, Tensor]
    """Its model's weights."""


def read_start(run: Path) -> Start:
    """Read the run folder, or the bundle with its weights, that a run begins from.

    Raises
    ------
    UsageError
        The folder is neither, has no model yet, or is a bundle without its weights.
    """
    bundle = run / "bundle.json"
    description = bundle if bundle.is_file() else run / "meta.json"
    try:
        config = ModelConfig.from_json(json.loads(description.read_text(encoding="utf-8"))["config"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{run} is no run to start from.", "Give a folder that `sleepcli train` wrote, or a bundle with weights."
        ) from error
    weights, tokenizer = run / "model.safetensors", run / "tokenizer.json"
    if description == bundle and not weights.is_file():
        raise UsageError(
            f"The bundle {run} does not carry its weights.", "Give its run, or export it again with --with-weights."
        )
    if not weights.is_file() or not tokenizer.is_file():
        raise UsageError(f"The run {run} has no model yet.", "Let it train to its first validation.")
    return Start(config, tokenizer, read_weights(weights))
