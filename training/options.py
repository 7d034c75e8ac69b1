"""The wishes of a training run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

from core.errors import UsageError
from core.psg.scoring import EVENT_TYPES
from training.config import ModelConfig
from training.dataset import Augmentation
from training.ranges import check_numbers
from training.sampling import SamplerOptions
from training.texts import TextOptions

LEAST = {"accumulate": 1, "keep": 1, "clip": 1e-6, "workers": -1, "validation_epochs": 1, "texts.captions": 1}
"""What numbers may be at least, where that is not 0."""


@dataclass(frozen=True)
class LossWeights:
    """The weight of each loss term; 0 leaves it out."""

    contrastive: float = 1.0
    """Epochs against statements."""
    figures: float = 1.0
    """Epochs against the mean of their captions with figures, where `[texts] figures` asks for such."""
    caption: float = 1.0
    """Next tokens of the captions."""
    reconstruction: float = 0.1
    """Signals from the decoder's tokens."""
    head: float = 1.0
    """Stages by a linear layer on the embedding, which no bundle keeps. Without it a small network with small
    batches learns for hundreds of steps only which statements are common, and its embeddings fall together."""
    prompts: float = 1.0
    """Epochs against the stage prompts of `core.language.prompts`, as classes: language supervision that
    small networks need to stage without a classifier."""
    events: float = 0.0
    """Presence and share of each event type by a linear layer on the embedding, which no bundle keeps."""
    event_prompts: float = 0.0
    """Epochs against pairs of prompts, with and without each event type."""


@dataclass(frozen=True)
class TrainOptions:
    """Everything that a run depends on besides its data."""

    stores: tuple[Path, ...]
    """Prepared studies, or folders that hold them."""
    out: Path
    """The run's folder; a run that is there is resumed."""
    preset: str = "nano"
    """Name of a network in `training.config.PRESETS`."""
    model: ModelConfig | None = None
    """Sizes of the network in place of a preset's; the vocabulary follows the tokenizer."""
    start: Path | None = None
    """Run folder whose network, weights and tokenizer this run begins with: fine-tuning; its sizes go before a
    preset's."""
    tower: Path | None = None
    """Run folder or bundle whose signal tower this run takes and leaves as it is, up to the vectors that it pools: a
    third of the work of learning it, where only texts or what is shown beside the signals change."""
    seed: int = 0
    device: str = "auto"
    """`auto`, `cpu` or `cuda`."""
    precision: str = "auto"
    """`auto` (bf16 on a GPU that has it, else fp32), `fp32` or `bf16`."""
    threads: int = 0
    """CPU threads of torch; 0: as torch chooses."""
    compiled: bool = False
    """Whether the signal tower goes through torch.compile (a minute at the start; needs a C++ compiler)."""
    sharded: bool = False
    """Whether weights and optimizer state are spread over the processes of `torchrun` (FSDP), each with a part."""
    batch_size: int = 64
    """Epochs in a batch, over all GPUs: the pool of the contrastive loss."""
    accumulate: int = 1
    """Batches in an optimizer step."""
    max_steps: int = 0
    """Optimizer steps; 0: no limit but time."""
    max_minutes: float = 0.0
    """Minutes of training, those before a resume counted in; 0: no limit but steps."""
    learning_rate: float = 1e-3
    warmup: float = 0.04
    """Part of the run in which the learning rate rises."""
    weight_decay: float = 0.05
    clip: float = 1.0
    """Largest norm of the gradient."""
    average_decay: float = 0.998
    """Decay of the weights' moving average."""
    hidden_patches: float = 0.0
    """Share of patches hidden from the encoder, which the reconstruction must then fill; 0: as published."""
    weights: LossWeights = field(default_factory=LossWeights)
    texts: TextOptions = field(default_factory=TextOptions)
    augmentation: Augmentation = field(default_factory=Augmentation)
    sampler: SamplerOptions = field(default_factory=SamplerOptions)
    without_events: tuple[str, ...] = ()
    """Event types held out of training: no epoch that has one is drawn, and nothing is learned of their absence."""
    held_out: float = 0.1
    """Share of the subjects that are held out for validation."""
    subject_separator: str = ""
    """A study's subject is its name up to this; empty: the whole name."""
    subjects: Mapping[str, str] = field(default_factory=dict)
    """Subject by study name, before the separator's rule."""
    checkpoint_minutes: float = 5.0
    keep: int = 2
    """Checkpoints that stay."""
    validate_minutes: float = 10.0
    """Minutes between validations; used without `validate_steps`."""
    validate_steps: int = 0
    """Steps between validations; 0: by minutes."""
    validation_epochs: int = 512
    patience: int = 0
    """Validations without a better one after which the run ends; 0: never."""
    tensorboard: bool = False
    workers: int = -1
    """Processes that make batches; 0: a thread; below 0: a thread beside a CPU, processes beside a GPU."""

    def __post_init__(self) -> None:
        if self.max_steps <= 0 and self.max_minutes <= 0:
            raise UsageError("A run needs an end.", "Give --max-steps or --max-minutes.")
        if self.batch_size < 2:
            raise UsageError(f"A batch of {self.batch_size} epoch(s) has nothing to contrast.", "Give 2 at least.")
        if self.precision not in ("auto", "fp32", "bf16"):
            raise UsageError(f"There is no precision {self.precision!r}.", "Choose auto, fp32 or bf16.")
        check_numbers(self, LEAST)
        for name in ("warmup", "held_out", "hidden_patches", "average_decay"):
            if getattr(self, name) >= 1:
                raise UsageError(f"{name} is a share, from 0 to below 1, not {getattr(self, name)}.")
        unknown = [name for name in self.without_events if name not in EVENT_TYPES]
        if unknown:
            raise UsageError(f"There is no event type {unknown[0]!r}.", f"Types: {', '.join(EVENT_TYPES)}.")

    def to_json(self) -> dict[str, Any]:
        """Give the options that fix the result, without places on the disk."""
        return _plain(
            {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("stores", "out", "workers")}
        )


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(entry) for entry in value]
    return str(value) if isinstance(value, Path) else value
