"""The night model: stages from the course of band powers over a whole night, in both directions of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from torch import Tensor, nn

from core.language.band_course import BANDS, N_FEATURES, night_features
from core.psg.scoring import STAGES

UNSCORED = -100
"""Label of an epoch without a stage; the loss passes over it."""


@dataclass(frozen=True)
class NightConfig:
    """Sizes of a night model."""

    hidden: int = 64
    """Width of each direction."""
    layers: int = 2
    """Recurrent layers."""
    members: int = 4
    """Networks whose log-probabilities are averaged; they differ in seed."""
    dropout: float = 0.3
    """Between the layers and before the output, in training."""


@dataclass(frozen=True)
class NightOptions:
    """Wishes of a caller about training."""

    passes: int = 20
    """Times that the material is gone over by each member."""
    batch: int = 32
    """Sequences in a step."""
    lengths: tuple[int, ...] = (60, 120, 200, 200)
    """Epochs of a sequence, one drawn a step: half an hour and more."""
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    smoothing: float = 0.05
    """Label smoothing: human scorers agree with each other on about four epochs in five."""
    seed: int = 0


@dataclass(frozen=True)
class ScoredCourse:
    """A scored night as the night model reads it."""

    name: str
    subject: str
    """Nights of one subject stand on one side of a split."""
    eegs: NDArray[np.float32]
    """[derivations, N, 5] log band powers, NaN where unseen; any mixture of them may be shown."""
    eog: NDArray[np.float32]
    """[N, 5] likewise."""
    stages: NDArray[np.int64]
    """[N] index in `STAGES`, or `UNSCORED`."""


class Member(nn.Module):
    """One bidirectional recurrent network: `features [B, T, F]` → `logits [B, T, 5]`."""

    def __init__(self, config: NightConfig) -> None:
        super().__init__()
        width = config.hidden
        self.input = nn.Linear(N_FEATURES, width)
        self.drop = nn.Dropout(config.dropout)
        self.course = nn.GRU(
            width, width, config.layers, batch_first=True, bidirectional=True, dropout=config.dropout
        )
        self.output = nn.Linear(2 * width, len(STAGES))

    def forward(self, features: Tensor) -> Tensor:
        """Read nights."""
        hidden = self.drop(functional.gelu(self.input(features)))
        return self.output(self.drop(self.course(hidden)[0]))  # (batch, epoch, stage)


class NightModel(nn.Module):
    """The members together: `features [B, T, F]` → `log_probabilities [B, T, 5]`, normalised."""

    def __init__(self, config: NightConfig) -> None:
        super().__init__()
        self.config = config
        self.members = nn.ModuleList(Member(config) for _ in range(config.members))
        self.register_buffer("temperature", torch.ones(()))

    def forward(self, features: Tensor) -> Tensor:
        """Read nights."""
        told = torch.stack([functional.log_softmax(member(features), dim=-1) for member in self.members])
        return functional.log_softmax(told.mean(0) / self.temperature, dim=-1)

    def to_json(self) -> dict[str, object]:
        """Give the sizes for meta.json."""
        return asdict(self.config)
