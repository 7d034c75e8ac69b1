"""The training loop: `train(options)` yields what happens and leaves a run folder.

A run folder holds `model.safetensors` (averaged weights of the best validation), `meta.json` (network, options,
split, data hashes, figures, staging constants), `tokenizer.json`, `checkpoints/` and `log.jsonl`. Training on a
folder with checkpoints goes on from the last one: batches depend on the seed and the step alone, so that the
curve is the one of an uninterrupted run.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from core.batching.lock import sole_run
from core.errors import SleepcliError
from training import checkpoint
from training.centring import centre
from training.dataset import Batch
from training.feed import Drawn, Feed, workers_of
from training.no_number import check_loss, no_number
from training.objective import Objective
from training.optim import learning_rate
from training.options import TrainOptions
from training.progress import Done, Saved, Started, Stopped, TrainEvent, TrainStep, Validation
from training.ranks import joined_ranks, wrapped
from training.resume import whats_kept
from training.run import Run, device_of, open_run, publish, staging_facts
from training.sharding import all_finite, average_the_rest, clip_gradients
from training.validation import validate

STOPPED = "stopped"
REASONS = ("", "steps", "minutes", "patience", STOPPED)
RATE_STEPS = 20
"""Steps over which the speed is averaged."""


def train(options: TrainOptions, stop: Callable[[], bool] = bool) -> Iterator[TrainEvent]:
    """Train a network on prepared studies, or go on with a run.

    Parameters
    ----------
    options
        What to train, on what, how long.
    stop
        Asked after each step, in the first process: whether the run shall save its state and end there.

    Yields
    ------
    TrainEvent
        `Started`, then `TrainStep`, `Validation` and `Saved` as they come, last `Done` or `Stopped`.

    Raises
    ------
    SleepcliError
        Bad options or data, a loss that is not a number, no memory, no room on the disk: one sentence each,
        and the last checkpoint is whole.
    """
    device = device_of(options.device)
    with (
        _one_sentence(options),
        joined_ranks(device, options.batch_size) as ranks,
        sole_run(options.out) if ranks.first else nullcontext(),
    ):
        run = open_run(options, ranks)
        yield Started(
            studies=len(run.training) + len(run.validation),
            epochs=len(run.sampler),
            training_subjects=len(run.split.training),
            validation_subjects=len(run.split.validation),
            parameters=sum(p.numel() for p in run.model.parameters()),
            device=str(run.device),
            step=run.step,
            rank=ranks.rank,
        )
        yield from _steps(run, _Clock(run, options, stop))


@dataclass
class _Clock:
    """When to save, validate and end; the first rank's clock counts for all."""

    run: Run
    options: TrainOptions
    stop: Callable[[], bool] = bool
    reason: str = ""
    """Why the run is over; empty while it is not."""
    must_validate: bool = False
    must_save: bool = False

    def __post_init__(self) -> None:
        self.begun = time.monotonic() - self.run.seconds
        self.saved = self.validated = time.monotonic()
        self.seconds = self.run.seconds

    def tick(self) -> None:
        """Look at the clock once, on the first rank, and decide what comes next."""
        now = time.monotonic()
        self.seconds = now - self.begun
        options = self.options
        due = now - self.validated >= 60 * options.validate_minutes
        if options.validate_steps:
            due = self.run.step % options.validate_steps == 0
        save = now - self.saved >= 60 * options.checkpoint_minutes
        told = self.run.ranks.decided([self.seconds, due, save, REASONS.index(self._ending())])
        self.seconds, self.must_validate, self.must_save = told[0], bool(told[1]), bool(told[2])
        self.reason = REASONS[int(told[3])]

    def progress(self) -> float:
        parts = [0.0]
        if self.options.max_steps:
            parts.append(self.run.step / self.options.max_steps)
        if self.options.max_minutes:
            parts.append(self.seconds / 60 / self.options.max_minutes)
        return min(max(parts), 1.0)

    def _ending(self) -> str:
        if self.options.max_steps and self.run.step >= self.options.max_steps:
            return "steps"
        if self.options.max_minutes and self.seconds >= 60 * self.options.max_minutes:
            return "minutes"
        if 0 < self.options.patience <= self.run.since_best:
            return "patience"
        return STOPPED if self.stop() else ""


def _steps(run: Run, clock: _Clock) -> Iterator[TrainEvent]:
    options = run.options
    objective = wrapped(Objective(run), run)
    workers = workers_of(options.workers, run.device, run.ranks)
    feed = Feed(run.reader, run.sampler, options.batch_size, run.ranks, workers)
    batches = feed.batches(run.step * options.accumulate)
    times: deque[float] = deque([time.monotonic()], maxlen=RATE_STEPS + 1)
    clock.tick()
    with closing(batches):
        while not clock.reason:
            event = _step(run, objective, batches, clock, times)
            _log(run, event)
            yield event
            clock.tick()
            if clock.must_validate and not clock.reason:
                yield _validate(run, clock)
            if clock.must_save:
                yield _save(run, clock)
            if clock.must_validate or clock.must_save:
                clock.tick()
    yield from _ending(run, clock)


def _ending(run: Run, clock: _Clock) -> Iterator[TrainEvent]:
    """Save a run that is over, and judge it where it was not merely stopped."""
    reason = clock.reason
    if reason != STOPPED:
        yield _validate(run, clock)
    yield _save(run, clock)
    figures = publish(run, finished=True) if reason != STOPPED else {}
    if run.log is not None:
        run.log.close()
    if reason == STOPPED:
        yield Stopped(run=run.options.out, step=run.step)
    else:
        yield Done(run=run.options.out, step=run.step, reason=reason, figures=figures)


def _step(
    run: Run, objective: nn.Module, batches: Iterator[tuple[Drawn, Batch]], clock: _Clock, times: deque[float]
) -> TrainStep:
    options = run.options
    rate = learning_rate(options.learning_rate, clock.progress(), options.warmup)
    for group in run.optimizer.param_groups:
        group["lr"] = rate
    sums: dict[str, float] = {}
    for part in range(options.accumulate):
        drawn, batch = next(batches)
        batch = batch.to(run.device)
        if run.step == part == 0 and options.start is None:
            centre(run.model, batch, run.ranks)
        losses = _backward(run, objective, (drawn, batch), part, clock.progress())
        if not check_loss(losses["total"], batch.signals, run.ranks.rows(drawn[1]), run.training):
            raise no_number("The loss", run, run.step)
        for name, value in losses.items():
            sums[name] = sums.get(name, 0.0) + value / options.accumulate
    if options.sharded:
        average_the_rest(run.learned, run.ranks)
    clip_gradients(run.model.parameters(), options.clip)
    run.optimizer.step()
    run.optimizer.zero_grad(set_to_none=True)
    if not all_finite(run.learned.parameters(), run.ranks):  # then nothing of it is ever saved or published
        raise no_number("Some weight", run)
    run.average.update(run.model)
    run.step += 1
    times.append(time.monotonic())
    speed = (len(times) - 1) / max(times[-1] - times[0], 1e-9)
    return TrainStep(
        step=run.step,
        losses=sums,
        learning_rate=rate,
        epochs_per_second=speed * options.batch_size * options.accumulate,
        progress=clock.progress(),
        eta_seconds=_eta(options, run.step, clock.seconds, speed),
    )


def _backward(run: Run, objective: nn.Module, fed: tuple[Drawn, Batch], part: int, progress: float) -> dict[str, float]:
    """Add a batch's gradients; give the losses of the whole batch."""
    options = run.options
    (number, drawn), batch = fed
    last = part == options.accumulate - 1
    with nullcontext() if last or not isinstance(objective, DistributedDataParallel) else objective.no_sync():
        terms, rows = objective(batch, options.hidden_patches, run.ranks)
        total = torch.stack([getattr(options.weights, name) * term for name, term in terms.items()]).sum()
        (total / options.accumulate).backward()
    values = run.ranks.mean(torch.stack([*(term.detach().float() for term in terms.values()), total.detach().float()]))
    if rows is not None and run.sampler.hardness is not None:
        run.sampler.remember(number, run.ranks.in_order(drawn, rows), progress)
    return dict(zip((*terms, "total"), values.tolist(), strict=True))


def _eta(options: TrainOptions, step: int, seconds: float, speed: float) -> float:
    ends = []
    if options.max_steps:
        ends.append((options.max_steps - step) / speed)
    if options.max_minutes:
        ends.append(60 * options.max_minutes - seconds)
    return max(min(ends), 0.0)


def _validate(run: Run, clock: _Clock) -> Validation:
    figures, temperature = validate(run)
    clock.validated = time.monotonic()
    best = not run.validation or figures["loss"] < run.best
    run.since_best = 0 if best else run.since_best + 1
    if best:
        run.best = figures.get("loss", math.inf)
        run.figures = {**figures, "step": run.step}
        run.staging = staging_facts(run, temperature)
        publish(run, finished=False)
    event = Validation(step=run.step, figures=figures, best=best)
    _log(run, event)
    return event


def _save(run: Run, clock: _Clock) -> Saved:
    clock.tick()
    run.seconds = clock.seconds
    folder = run.options.out / "checkpoints"
    state = run.snapshot() if run.ranks.first or run.options.sharded else None
    if state is not None and run.ranks.first:
        checkpoint.save(folder, state, run.options.keep)
    clock.saved = time.monotonic()
    event = Saved(step=run.step, path=checkpoint.place(folder, run.step))
    _log(run, event)
    return event


def _log(run: Run, event: TrainStep | Validation | Saved) -> None:
    if run.log is not None:
        run.log.add(event.step, type(event).__name__, _values(event))


def _values(event: TrainStep | Validation | Saved) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in vars(event).items():
        if isinstance(value, Mapping):
            values.update(value)
        elif name not in ("step", "path"):
            values[name] = value
    return values


@contextmanager
def _one_sentence(options: TrainOptions) -> Iterator[None]:
    """Turn what a machine runs out of into one sentence."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise SleepcliError(
            f"The device has too little memory for batches of {options.batch_size} epochs.",
            f"Give a smaller --batch-size or --preset in another --out; {whats_kept(options.out)}",
        ) from error
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "allocate memory" not in str(error):
            raise
        raise SleepcliError(
            f"There is too little memory for batches of {options.batch_size} epochs.",
            f"Give a smaller --batch-size or --preset in another --out; {whats_kept(options.out)}",
        ) from error
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise SleepcliError(
            f"The run {options.out} cannot be written or its data read: {reason}.",
            f"Make room or choose another --out; {whats_kept(options.out)}",
        ) from error
