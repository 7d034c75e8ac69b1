"""Weights, gradients and optimizer state spread over the processes of a run (FSDP, torch's `fully_shard`).

Every process keeps a part of every matrix and gathers a block's whole weights while the block works, so that a
network, its gradients, its moments and its average need a part of the memory that they need in one process. What
is written to the disk is whole: a run may go on with or without sharding, on any number of processes.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor

from training.layers import Block, CrossBlock, SignalBlock
from training.model import SleepLM
from training.ranks import Ranks


def shard(model: SleepLM, heads: Iterable[nn.Module], ranks: Ranks) -> None:
    """Spread a network's and its heads' weights over the processes, in place; the temperature stays whole in each.

    Parameters
    ----------
    model
        The network, with the same weights in every process.
    heads
        Layers beside it that learn too.
    ranks
        The processes.
    """
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module")  # of writing in place, which no layer here does
    mesh = init_device_mesh(ranks.device.type, (ranks.world,))
    towers = [model.signal, model.text, model.decoder, model.reconstruction]
    for part in (*(tower for tower in towers if tower is not None), *heads):
        for module in part.modules():
            if isinstance(module, CrossBlock):
                fully_shard(module, mesh=mesh, reshard_after_forward=True)
                register_fsdp_forward_method(module, "keys_values")
            elif isinstance(module, Block | SignalBlock):
                fully_shard(module, mesh=mesh, reshard_after_forward=True)
        fully_shard(part, mesh=mesh, reshard_after_forward=True)


def whole(tensor: Tensor) -> Tensor:
    """Give the whole of a tensor, on the CPU where it is spread: then every process must ask for it."""
    return tensor.detach().full_tensor().cpu() if isinstance(tensor, DTensor) else tensor


def local(tensor: Tensor) -> Tensor:
    """Give this process's part of a tensor."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def spread_as(tensor: Tensor, model: Tensor) -> Tensor:
    """Spread a whole tensor that every process has as another one of its shape is spread."""
    if not isinstance(model, DTensor) or tensor.shape != model.shape:
        return tensor
    return distribute_tensor(tensor.to(model.device), model.device_mesh, model.placements)


def all_whole(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give named tensors whole; see `whole`."""
    return {name: whole(value) for name, value in tensors.items()}


def average_the_rest(model: nn.Module, ranks: Ranks) -> None:
    """Average the gradients of what every process has whole; of what is spread, backward does it."""
    for parameter in model.parameters():
        if parameter.grad is not None and not isinstance(parameter, DTensor):
            parameter.grad = ranks.mean(parameter.grad)


def all_finite(parameters: Iterable[Tensor], ranks: Ranks) -> bool:
    """Tell whether every weight is a number, in every process."""
    mine = [part for parameter in parameters if (part := local(parameter.detach())).numel()]  # a process may have none
    largest = torch.stack([value.float() for value in torch._foreach_norm(mine, float("inf"))])
    return not ranks.mean((~torch.isfinite(largest)).any().float()).item()


def clip_gradients(parameters: Iterable[Tensor], largest: float) -> None:
    """Scale the gradients so that their norm over all processes is `largest` at most."""
    known = [parameter for parameter in parameters if parameter.grad is not None]
    kinds = [[p for p in known if isinstance(p.grad, DTensor) is spread] for spread in (True, False)]
    norms = []
    for some in kinds:
        if some:
            norm = nn.utils.get_total_norm([p.grad for p in some if p.grad is not None])
            norms.append(norm.full_tensor() if isinstance(norm, DTensor) else norm)
    total = torch.linalg.vector_norm(torch.stack(norms))
    for some in kinds:
        if some:
            nn.utils.clip_grads_with_norm_(some, largest, total)
