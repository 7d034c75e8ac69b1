"""A start from which signals and texts can part.

At random weights all embeddings of a tower share one large component, whatever the input: cosines lie above
0.99, and the contrastive gradient, which acts across that component, all but vanishes. Small batches do not
get out of there for hundreds of steps. Taking the mean of the first batch off the towers' own biases leaves
the differences; the network and its sizes stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from training.dataset import Batch
from training.model import SleepLM
from training.ranks import ALONE, Ranks
from training.sharding import spread_as


@torch.no_grad()
def centre(model: SleepLM, batch: Batch, ranks: Ranks = ALONE) -> None:
    """Shift the last bias of each tower so that the embeddings of a batch have mean zero before normalisation.

    Parameters
    ----------
    model
        A network at its start; changed in place.
    batch
        The first batch: signals [B, C, S], present [B, C], statements [M, T].
    ranks
        Who shares the batch.
    """
    beside = model.signal.context
    layers = [model.signal.embedding] if beside is None else [model.signal.embedding, beside.embedding]
    signal = _outputs(layers, lambda: model.encode_signal(batch.signals, batch.present, batch.context))
    _shift(model.signal.embedding.bias, ranks.mean(signal.mean(dim=0)))
    text = _outputs([model.text.norm], lambda: model.encode_text(batch.statements))
    _shift(model.text.norm.bias, ranks.mean(text.mean(dim=0)))


def _shift(bias: Tensor, mean: Tensor) -> None:
    bias -= spread_as(mean.to(bias.dtype), bias)


def _outputs(layers: Sequence[nn.Module], run: Callable[[], object]) -> Tensor:
    """What layers give together while the network runs once, [B, W]."""
    seen: list[Tensor] = []
    handles = [layer.register_forward_hook(lambda _, __, output: seen.append(output)) for layer in layers]
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()
    return torch.stack(seen).sum(dim=0)
