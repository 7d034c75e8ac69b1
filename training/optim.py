"""The optimizer's parts: parameter groups, the learning-rate curve, and the average of the weights."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from training.sharding import local


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Split the parameters: matrices decay; biases, norms, embeddings, queries and temperatures do not.

    Parameters
    ----------
    model
        The network.
    weight_decay
        Decay of the first group.

    Returns
    -------
    list of dict
        Groups for `torch.optim.AdamW`, shared tensors once: what decays, the scalars, which are never spread over
        processes, and the others.
    """
    keep: list[Tensor] = []
    decay: list[Tensor] = []
    scalars: list[Tensor] = []
    seen: set[int] = set()
    for module in model.modules():
        is_matrix_module = isinstance(module, nn.Linear | nn.Conv1d | nn.MultiheadAttention)
        for name, parameter in module.named_parameters(recurse=False):
            if id(parameter) in seen or not parameter.requires_grad:
                continue
            seen.add(id(parameter))
            decays = is_matrix_module and parameter.ndim >= 2 and not name.startswith("bias")
            (decay if decays else keep if parameter.ndim else scalars).append(parameter)
    return [
        {"params": decay, "weight_decay": weight_decay},
        {"params": scalars, "weight_decay": 0.0},
        {"params": keep, "weight_decay": 0.0},
    ]


def optimizer_of(model: nn.Module, learning_rate: float, weight_decay: float) -> torch.optim.AdamW:
    """Return AdamW (β 0.9 and 0.98, as CLIP) over `parameter_groups`, one fused kernel a step."""
    groups = parameter_groups(model, weight_decay)
    return torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.98), eps=1e-8, fused=True)


def learning_rate(peak: float, progress: float, warmup: float, floor: float = 0.02) -> float:
    """Return the rate at a point of the run: a linear rise, then half a cosine.

    Parameters
    ----------
    peak
        Highest rate.
    progress
        Part of the run that is done, 0 to 1 (beyond 1 the floor holds).
    warmup
        Part of the run that rises, below 1.
    floor
        Rate at the end, as a part of the peak.

    Returns
    -------
    float
        The rate.
    """
    if progress < warmup:
        return peak * max(progress / warmup, 1e-3)
    done = min((progress - warmup) / (1 - warmup), 1.0)
    return peak * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done)))


class Average:
    """Exponential moving average of a model's weights.

    Early on the average follows faster (`(1 + n) / (10 + n)` after n updates), so that a short run is not
    held back by its random start.

    Parameters
    ----------
    model
        The network that is followed; its state is copied.
    decay
        Part of the average that one update keeps, below 1.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.state: dict[str, Tensor] = {name: value.detach().clone() for name, value in _entries(model)}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move the average towards the model's present weights."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        mine, theirs = [], []
        for name, value in _entries(model):
            if value.is_floating_point():
                mine.append(local(self.state[name]))
                theirs.append(local(value.detach()))
            else:
                self.state[name].copy_(value)
        torch._foreach_lerp_(mine, theirs, 1 - decay)

    def swap(self, model: nn.Module) -> None:
        """Exchange the model's weights and the average; a second call undoes it."""
        with torch.no_grad():
            for name, value in _entries(model):
                held = value.detach().clone()
                value.copy_(self.state[name])
                self.state[name].copy_(held)


def _entries(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from model.state_dict().items()
