"""Batches made ahead of the network: in a thread, or in processes where a GPU would wait for them."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from core.errors import SleepcliError
from training.dataset import Batch, Reader
from training.ranks import ALONE, Ranks
from training.sampling import AHEAD, Sampler

THREAD_AHEAD = 2
"""Batches that the thread makes ahead."""
LARGEST_WORKERS = AHEAD // 2
"""Processes at most: each holds two batches, and no more than `AHEAD` may be drawn early."""

Drawn = tuple[int, Sequence[tuple[int, int]]]
"""A batch's number, and its pairs (study, epoch)."""


@dataclass(frozen=True)
class Feed:
    """Where batches come from."""

    reader: Reader
    sampler: Sampler
    size: int
    """Epochs in a batch, over all ranks."""
    ranks: Ranks = ALONE
    workers: int = 0
    """Processes that make batches; 0: a thread."""

    def batches(self, first: int) -> Generator[tuple[Drawn, Batch], None, None]:
        """Yield batches without end from a number on, each with all ranks' rows and this rank's batch.

        Raises
        ------
        SleepcliError
            When a study cannot be read.
        """
        return self._by_processes(first) if self.workers else self._by_thread(first)

    def make(self, drawn: Drawn) -> Batch:
        """Make this rank's part of a batch."""
        number, rows = drawn
        return self.reader.batch(self.ranks.rows(rows), seed_of(self.sampler.seed, number, self.ranks))

    def _by_thread(self, first: int) -> Generator[tuple[Drawn, Batch], None, None]:
        def start(number: int) -> tuple[Drawn, Any]:
            drawn = (number, self.sampler.draw(number, self.size))
            return drawn, pool.submit(self.make, drawn)

        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="feed") as pool:
            waiting = [start(number) for number in range(first, first + THREAD_AHEAD)]
            try:
                while True:
                    drawn, future = waiting.pop(0)
                    batch = future.result()
                    waiting.append(start(drawn[0] + THREAD_AHEAD))
                    yield drawn, batch
            finally:
                for _, future in waiting:
                    future.cancel()

    def _by_processes(self, first: int) -> Generator[tuple[Drawn, Batch], None, None]:
        source = _Source(self)
        loader: Any = DataLoader(
            source,
            batch_size=None,
            sampler=_Draws(self, first),
            num_workers=self.workers,
            prefetch_factor=2,
            collate_fn=_as_it_is,
            multiprocessing_context="spawn",
            pin_memory=torch.cuda.is_available(),
        )
        for drawn, made in loader:
            if isinstance(made, SleepcliError):
                raise made
            yield drawn, Batch(**made)


def seed_of(seed: int, number: int, ranks: Ranks) -> tuple[int, ...]:
    """Give the numbers that fix every choice in a rank's part of a batch."""
    return (seed, 2, number, *((ranks.rank,) if ranks.world > 1 else ()))


def workers_of(wanted: int, device: torch.device, ranks: Ranks) -> int:
    """Give the number of processes for the feed: as wanted, or by the device and the cores where it is below 0."""
    if wanted >= 0:
        return min(wanted, LARGEST_WORKERS)
    if device.type == "cpu":
        return 0
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if ranks.world > 1 else 1
    return max(1, min(LARGEST_WORKERS, (os.cpu_count() or 1) // here - 1))


class _Draws:
    """Draws of a run, one a batch, made in the run's own process."""

    def __init__(self, feed: Feed, first: int) -> None:
        self.feed, self.first = feed, first

    def __iter__(self) -> Iterator[Drawn]:
        number = self.first
        while True:
            yield number, self.feed.sampler.draw(number, self.feed.size)
            number += 1


class _Source(Dataset[Any]):
    """What a process of the feed runs; an expected failure travels as a value, so that it stays one sentence."""

    def __init__(self, feed: Feed) -> None:
        self.reader, self.ranks, self.seed = feed.reader, feed.ranks, feed.sampler.seed

    def __getitem__(self, drawn: Drawn) -> tuple[Drawn, Any]:
        number, rows = drawn
        try:
            return drawn, vars(self.reader.batch(self.ranks.rows(rows), seed_of(self.seed, number, self.ranks)))
        except SleepcliError as error:
            return drawn, error


def _as_it_is(made: Any) -> Any:
    return made
