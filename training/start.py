"""What a run begins with: all of another run, or of a bundle, its signal tower alone, or a start from its own data."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from core.errors import UsageError
from core.language.context import context_of
from core.language.facts import EpochFacts
from core.language.tokenizer import Tokenizer
from training.checkpoint import read_weights
from training.config import ModelConfig, preset
from training.model import SleepLM
from training.options import TrainOptions


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


TOWER = ("channels", "patch_size", "conv_width", "width", "heads", "signal_blocks", "mlp_ratio_signal",
         "decoder_tokens", "samples", "missing_token", "spectrum")  # fmt: skip
"""Sizes that a signal tower fixes."""
LEARNING = ("context", "embedding_attention", "embedding")
"""Parts of the signal tower that learn where the rest of it is taken over: what comes after the pooled vectors."""


@dataclass(frozen=True)
class Source:
    """What a run's network is made from."""

    sizes: ModelConfig
    """Of the network, but for the vocabulary, which follows the tokenizer."""
    start: Start | None
    """What all its weights come from."""
    tower: Start | None
    """What its signal tower comes from."""


def source_of(options: TrainOptions) -> Source:
    """Read what a run begins with; the sizes of a start or a tower go before those of a preset.

    Raises
    ------
    UsageError
        What it is to begin with is not there, or both a start and a tower are given.
    """
    if options.start is not None and options.tower is not None:
        raise UsageError("A run begins with a start or with a tower, not with both.", "Give --start or --tower.")
    start = read_start(options.start) if options.start is not None else None
    tower = read_start(options.tower) if options.tower is not None else None
    sizes = start.config if start is not None else options.model or preset(options.preset)
    if tower is not None:
        sizes = replace(sizes, **{name: getattr(tower.config, name) for name in TOWER})
    return Source(sizes, start, tower)


def begin(source: Source, tokenizer: Tokenizer, facts: Sequence[EpochFacts]) -> SleepLM:
    """Make a run's network.

    Parameters
    ----------
    source
        What it is made from.
    tokenizer
        The run's.
    facts
        Of some epochs of its data, for the scale of what a new network is shown beside the signals.
    """
    model = SleepLM(replace(source.sizes, vocab_size=tokenizer.vocab_size))
    if source.start is not None:
        model.load_state_dict(source.start.weights)
        return model
    scale_values(model, facts)
    place_numbers(model, tokenizer)
    if source.tower is not None:
        take_tower(model, source.tower)
    return model


def take_tower(model: SleepLM, tower: Start) -> None:
    """Take over a signal tower up to its pooled vectors, which stay as they are, and what reconstructs from them.

    Parameters
    ----------
    model
        A network with the sizes of that tower; changed in place.
    tower
        What it comes from.
    """
    for name, parameter in [*model.named_parameters(), *model.named_buffers()]:
        part, _, inside = name.partition(".")
        stays = part == "signal" and inside.partition(".")[0] not in LEARNING
        if (stays or part == "reconstruction") and name in tower.weights:  # a buffer that is computed is in no file
            parameter.data.copy_(tower.weights[name])
        if stays:
            parameter.requires_grad_(False)


@torch.no_grad()
def scale_values(model: SleepLM, facts: Sequence[EpochFacts]) -> None:
    """Set the middle and the spread of each measured value that a network is shown, from some epochs of its data."""
    context = model.signal.context
    if context is None:
        return
    values = context_of(facts, model.config.measured, model.config.courses).values.astype(np.float64)
    for column, known in enumerate(~np.isnan(values).T):
        some = values[known, column]
        if len(some):
            low, middle, high = np.percentile(some, [10, 50, 90])
            context.middle[column] = float(middle)
            context.spread[column] = max(float(high - low) / 2, LEAST_SPREAD * max(abs(float(middle)), 1.0))


LEAST_SPREAD = 0.01
"""Of a measured value, over its middle: one that hardly varies is not blown up."""
NUMBER_PERIODS = tuple(2.0 * 2.0**k for k in range(10))
"""Periods of the waves that tell the place of a number among the whole numbers: 2 to 1024."""
NUMBER_SIZE = 0.02
"""Standard deviation of a token's start, as of every other token."""


@torch.no_grad()
def place_numbers(model: SleepLM, tokenizer: Tokenizer) -> None:
    """Let the tokens of whole numbers start near to those of their neighbours.

    At random starts 71 is no nearer to 72 than to 7, and a small network spends thousands of steps on learning what
    numbers are. The waves are those of transformer positions (arXiv 1706.03762), turned by a random matrix.
    """
    numbers = tokenizer.whole_numbers()
    if not numbers:
        return
    values = torch.tensor(list(numbers.values()), dtype=torch.float32)
    waves = [wave(2 * math.pi * values / period) for period in NUMBER_PERIODS for wave in (torch.sin, torch.cos)]
    table = model.text.token_embedding.weight
    turned = torch.stack(waves, dim=1) @ torch.randn(len(waves), table.shape[1]) / len(NUMBER_PERIODS) ** 0.5
    table[list(numbers)] = NUMBER_SIZE * turned
