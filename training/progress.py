"""What a training run tells while it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Started:
    """The data is open and the network made."""

    studies: int
    epochs: int
    """Epochs of the training side."""
    training_subjects: int
    validation_subjects: int
    parameters: int
    device: str
    step: int
    """Steps that are done already: above 0 when the run was resumed."""
    rank: int = 0
    """This process among those of a distributed run; the first one talks."""


@dataclass(frozen=True)
class TrainStep:
    """One optimizer step."""

    step: int
    losses: Mapping[str, float]
    """Each term in nats or squared units, and `total`."""
    learning_rate: float
    epochs_per_second: float
    """Over the last steps, data feed included."""
    progress: float
    """Part of the run that is done, 0 to 1."""
    eta_seconds: float
    """Expected time to the end."""


@dataclass(frozen=True)
class Validation:
    """Figures on the held-out subjects."""

    step: int
    figures: Mapping[str, float]
    best: bool
    """Whether this is the lowest loss so far; its weights are then the run's model."""


@dataclass(frozen=True)
class Saved:
    """A checkpoint is whole."""

    step: int
    path: Path


@dataclass(frozen=True)
class Done:
    """The run is over and its folder complete."""

    run: Path
    step: int
    reason: str
    """`steps`, `minutes` or `patience`."""
    figures: Mapping[str, float]


@dataclass(frozen=True)
class Stopped:
    """The run was asked to stop and has saved its state; the same options go on from there."""

    run: Path
    step: int


TrainEvent = Started | TrainStep | Validation | Saved | Stopped | Done
