"""The processes of a distributed run: one a GPU, started by `torchrun`, each with its share of every batch.

Every loss is that of the global batch: the contrastive loss sees all ranks' epochs and texts, gradients included;
the other terms are weighted by what each rank had to count, so that the average of the ranks' gradients is the
gradient of the single process. Rank 0 alone writes and decides.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from core.errors import SleepcliError, UsageError
from training.losses import IGNORE

if TYPE_CHECKING:
    from training.run import Run

TIMEOUT = timedelta(minutes=30)
"""How long a rank waits for another; a validation takes less."""
LOST = ("gloo", "nccl", "connection", "peer", "timed out", "socket", "broken pipe")
"""Words of torch's errors when another rank has gone."""


@dataclass(frozen=True)
class Ranks:
    """Where this process stands among those of a run."""

    rank: int = 0
    world: int = 1
    local: int = 0
    """Place on this machine: the GPU that it takes."""

    @property
    def first(self) -> bool:
        """Whether this process writes and decides."""
        return self.rank == 0

    def rows(self, rows: Sequence[tuple[int, int]]) -> Sequence[tuple[int, int]]:
        """Give this rank's share of a global batch."""
        return rows if self.world == 1 else rows[self.rank :: self.world]

    def gather(self, mine: Tensor) -> Tensor:
        """Join a tensor [B, ...] with the other ranks' along its first axis, gradients included.

        Rows of whole numbers may differ in width: they are filled up with `IGNORE`.
        """
        if self.world == 1:
            return mine
        if not mine.is_floating_point() and mine.ndim == 2:
            width = torch.tensor(mine.shape[1], device=mine.device)
            dist.all_reduce(width, op=dist.ReduceOp.MAX)
            mine = torch.nn.functional.pad(mine, (0, int(width) - mine.shape[1]), value=IGNORE)
        joined: Tensor = _Gather.apply(mine, self)
        return joined

    def shares(self, counts: Tensor) -> Tensor:
        """Give what this rank's means weigh in the global ones, for counts [n]: 1 for each in a single process."""
        if self.world == 1:
            return torch.ones_like(counts)
        total = counts.clone()
        dist.all_reduce(total)
        return counts * self.world / total.clamp(min=1)

    def mean(self, values: Tensor) -> Tensor:
        """Average a tensor over the ranks, without gradients."""
        if self.world == 1:
            return values
        total = values.detach().clone()
        dist.all_reduce(total)
        return total / self.world

    def in_order(self, drawn: Sequence[tuple[int, int]], mine: Tensor) -> list[tuple[tuple[int, int], float]]:
        """Pair all drawn epochs with their values, of which this rank has its own [B]."""
        values = self.gather(mine.detach().float())
        by_rank = values.reshape(self.world, -1).T.reshape(-1)  # as the epochs were drawn
        return list(zip(drawn, by_rank.tolist(), strict=True))

    def decided(self, values: Sequence[float]) -> list[float]:
        """Give the first rank's numbers to every rank."""
        if self.world == 1:
            return list(values)
        told = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.broadcast(told, src=0)
        return [float(value) for value in told]

    def wait(self) -> None:
        """Wait until every rank is here."""
        if self.world > 1:
            dist.barrier()

    @property
    def device(self) -> torch.device:
        """Where tensors must lie to be exchanged."""
        return torch.device("cuda", self.local) if dist.get_backend() == "nccl" else torch.device("cpu")


ALONE = Ranks()
"""A run of one process."""


def wrapped(objective: nn.Module, run: Run) -> Any:
    """Give a module whose backward averages the gradients over the ranks.

    It is the module itself in a process alone, and where weights are spread: their gradients average by themselves.
    """
    if run.ranks.world == 1 or run.options.sharded:
        return objective
    weights = run.options.weights
    rebuilt = weights.reconstruction or run.model.reconstruction is None
    every = weights.contrastive and weights.caption and weights.head and rebuilt
    return nn.parallel.DistributedDataParallel(
        objective,
        device_ids=[run.ranks.local] if run.device.type == "cuda" else None,
        find_unused_parameters=not every,
    )


class _Gather(torch.autograd.Function):
    """All ranks' rows; a row's gradient is the sum of what every rank's loss says of it."""

    @staticmethod
    def forward(context: Any, mine: Tensor, ranks: Ranks) -> Tensor:
        context.ranks, context.rows = ranks, len(mine)
        parts = [torch.empty_like(mine) for _ in range(ranks.world)]
        dist.all_gather(parts, mine.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        start = context.ranks.rank * context.rows
        return total[start : start + context.rows], None


@contextmanager
def joined_ranks(device: torch.device, batch_size: int) -> Iterator[Ranks]:
    """Join the processes that `torchrun` started, and leave them at the end; a process alone stays alone.

    Parameters
    ----------
    device
        CPUs talk by gloo, GPUs by NCCL.
    batch_size
        Epochs in a global batch.

    Raises
    ------
    UsageError
        When the batch does not divide, or there are fewer GPUs than processes.
    SleepcliError
        When another process of the run has ended.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield ALONE
        return
    ranks = Ranks(int(os.environ["RANK"]), world, int(os.environ.get("LOCAL_RANK", "0")))
    if batch_size % world or batch_size // world < 1:
        raise UsageError(f"A batch of {batch_size} epochs does not divide among {world} processes.")
    if device.type == "cuda":
        if ranks.local >= torch.cuda.device_count():
            raise UsageError(
                f"Process {ranks.local} has no GPU: there are {torch.cuda.device_count()}.",
                "Give torchrun that many processes at most with --nproc-per-node.",
            )
        torch.cuda.set_device(ranks.local)
    with _one_sentence(ranks):
        gpu = torch.device("cuda", ranks.local) if device.type == "cuda" else None
        dist.init_process_group("nccl" if gpu else "gloo", timeout=TIMEOUT, device_id=gpu)
        try:
            yield ranks
        finally:
            dist.destroy_process_group()


@contextmanager
def _one_sentence(ranks: Ranks) -> Iterator[None]:
    """Say it in one sentence when another process has gone, and name the process that failed by itself."""
    try:
        yield
    except SleepcliError as error:
        error.message = f"Process {ranks.rank} of {ranks.world}: {error.message}"
        raise
    except RuntimeError as error:
        if not any(word in str(error).lower() for word in LOST):
            raise
        raise SleepcliError(
            f"Process {ranks.rank} of {ranks.world} lost the others: one of them has ended or cannot be reached.",
            "Its own message says why; the same command goes on from the last checkpoint.",
        ) from error
