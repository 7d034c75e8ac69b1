"""The network behind the night model: dilated convolutions along a course, both ways in time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor, nn

from core.errors import SleepcliError
from training.optim import learning_rate

KERNEL = 3
"""Places that a convolution sees: one dilation back, its own, one dilation on."""


@dataclass(frozen=True)
class CourseConfig:
    """Sizes of a course network."""

    inputs: int
    """Features of a place."""
    outputs: int
    """Scores of a place."""
    width: int = 64
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 1, 2, 4, 8)
    """Distance between the places that each block sees; twice their sum is what a score can depend on."""
    members: int = 1
    """Networks whose scores are averaged; each starts from its own random weights."""
    dropout: float = 0.2

    def to_json(self) -> dict[str, object]:
        """Give the sizes for meta.json."""
        return asdict(self) | {"dilations": list(self.dilations)}

    @classmethod
    def from_json(cls, entry: dict[str, object]) -> CourseConfig:
        """Read what `to_json` gave."""
        known = dict(entry)
        known["dilations"] = tuple(known["dilations"])  # type: ignore[arg-type]  # a JSON list
        return cls(**known)  # type: ignore[arg-type]  # checked by the dataclass's callers


class Block(nn.Module):
    """A gated dilated convolution beside a shortcut: `[B, W, T]` → `[B, W, T]` (after WaveNet, 2016)."""

    def __init__(self, width: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(width)
        self.conv = nn.Conv1d(width, 2 * width, KERNEL, padding=dilation, dilation=dilation)
        self.out = nn.Conv1d(width, width, 1)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Go one block further."""
        value, gate = self.conv(self.norm(x)).chunk(2, dim=1)
        return x + self.drop(self.out(torch.tanh(value) * torch.sigmoid(gate)))


class Member(nn.Module):
    """One network: `features [B, F, T]` → `scores [B, K, T]`."""

    def __init__(self, config: CourseConfig) -> None:
        super().__init__()
        self.input = nn.Conv1d(config.inputs, config.width, 1)
        self.blocks = nn.ModuleList(Block(config.width, d, config.dropout) for d in config.dilations)
        self.norm = nn.BatchNorm1d(config.width)
        self.drop = nn.Dropout(config.dropout)
        self.output = nn.Conv1d(config.width, config.outputs, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Score every place."""
        x = self.drop(self.input(features))
        for block in self.blocks:
            x = block(x)
        return self.output(self.drop(torch.relu(self.norm(x))))


class CourseNet(nn.Module):
    """The members together: `features [B, T, F]` → `scores [B, T, K]`, their mean."""

    def __init__(self, config: CourseConfig) -> None:
        super().__init__()
        self.config = config
        self.members = nn.ModuleList(Member(config) for _ in range(config.members))

    def only(self, indices: Sequence[int]) -> CourseNet:
        """Give some members as a network of their own; the weights are shared."""
        net = CourseNet(replace(self.config, members=len(indices)))
        net.members = nn.ModuleList(self.members[index] for index in indices)
        return net.train(self.training)

    def networks(self) -> list[Member]:
        """Give the members."""
        return [member for member in self.members if isinstance(member, Member)]

    def forward(self, features: Tensor) -> Tensor:
        """Score every place of a course."""
        x = features.transpose(1, 2)
        scores = torch.stack([member(x) for member in self.members]).mean(0)
        return scores.transpose(1, 2)


def round_to_half(net: CourseNet) -> None:
    """Round a network's convolutions to what half precision holds, so that a graph can store them in half the bytes."""
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.Conv1d):
                module.weight.copy_(module.weight.half().float())


@dataclass(frozen=True)
class Training:
    """How one member is trained."""

    steps: int
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    warmup: float = 0.3
    """Share of the steps in which the rate rises."""


def train_member(
    member: Member,
    draw: Callable[[], tuple[Tensor, Tensor]],
    loss_of: Callable[[Tensor, Tensor], Tensor],
    how: Training,
) -> Iterator[float]:
    """Train a network.

    Parameters
    ----------
    member
        Changed in place; in evaluation mode at the end.
    draw
        Gives a batch: features [B, T, F] and targets.
    loss_of
        Scores [B, T, K] and targets to a loss.
    how
        Steps and rates.

    Yields
    ------
    float
        The loss of each step.

    Raises
    ------
    SleepcliError
        The loss is not a number.
    """
    optimizer = torch.optim.AdamW(member.parameters(), how.learning_rate, weight_decay=how.weight_decay)
    member.train()
    for step in range(how.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(how.learning_rate, step / how.steps, how.warmup)
        features, targets = draw()
        loss = loss_of(member(features.transpose(1, 2)).transpose(1, 2), targets)
        if not torch.isfinite(loss):
            raise SleepcliError(f"The loss is not a number at step {step}.", "Train with a lower learning rate.")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(member.parameters(), 1.0)
        optimizer.step()
        yield float(loss.detach())
    member.eval()
