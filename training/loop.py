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
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from core.errors import SleepcliError
from training import checkpoint
from training.centring import centre
from training.dataset import Batch, batches
from training.objective import loss_terms
from training.optim import learning_rate
from training.options import TrainOptions
from training.progress import Done, Saved, Started, TrainEvent, TrainStep, Validation
from training.run import Run, open_run, publish, staging_facts
from training.validation import validate

RATE_STEPS = 20
"""Steps over which the speed is averaged."""


def train(options: TrainOptions) -> Iterator[TrainEvent]:
    """Train a network on prepared studies, or go on with a run.

    Parameters
    ----------
    options
        What to train, on what, how long.

    Yields
    ------
    TrainEvent
        `Started`, then `TrainStep`, `Validation` and `Saved` as they come, last `Done`.

    Raises
    ------
    SleepcliError
        Bad options or data, a loss that is not a number, no memory, no room on the disk: one sentence each,
        and the last checkpoint is whole.
    """
    with _one_sentence(options):
        run = open_run(options)
        yield Started(
            studies=len(run.training) + len(run.validation),
            epochs=len(run.sampler),
            training_subjects=len(run.split.training),
            validation_subjects=len(run.split.validation),
            parameters=sum(p.numel() for p in run.model.parameters()),
            device=str(run.device),
            step=run.step,
        )
        yield from _steps(run, _Clock(run, options))


@dataclass
class _Clock:
    """When to save, validate and end."""

    run: Run
    options: TrainOptions

    def __post_init__(self) -> None:
        self.begun = time.monotonic() - self.run.seconds
        self.saved = self.validated = time.monotonic()

    def seconds(self) -> float:
        return time.monotonic() - self.begun

    def progress(self) -> float:
        parts = [0.0]
        if self.options.max_steps:
            parts.append(self.run.step / self.options.max_steps)
        if self.options.max_minutes:
            parts.append(self.seconds() / 60 / self.options.max_minutes)
        return min(max(parts), 1.0)

    def ending(self) -> str:
        if self.options.max_steps and self.run.step >= self.options.max_steps:
            return "steps"
        if self.options.max_minutes and self.seconds() >= 60 * self.options.max_minutes:
            return "minutes"
        return "patience" if 0 < self.options.patience <= self.run.since_best else ""

    def must_validate(self) -> bool:
        if self.options.validate_steps:
            return self.run.step % self.options.validate_steps == 0
        return time.monotonic() - self.validated >= 60 * self.options.validate_minutes

    def must_save(self) -> bool:
        return time.monotonic() - self.saved >= 60 * self.options.checkpoint_minutes


def _steps(run: Run, clock: _Clock) -> Iterator[TrainEvent]:
    options = run.options
    feed = batches(run.reader, run.sampler, run.step * options.accumulate, options.batch_size)
    times: deque[float] = deque([time.monotonic()], maxlen=RATE_STEPS + 1)
    reason = clock.ending()
    with closing(feed):
        while not reason:
            event = _step(run, clock, feed, times)
            run.log.add(event.step, type(event).__name__, _values(event))
            yield event
            reason = clock.ending()
            if clock.must_validate() and not reason:
                yield _validate(run, clock)
            if clock.must_save():
                yield _save(run, clock)
    yield _validate(run, clock)
    yield _save(run, clock)
    figures = publish(run, finished=True)
    yield Done(run=options.out, step=run.step, reason=reason, figures=figures)


def _step(run: Run, clock: _Clock, feed: Iterator[tuple[int, Batch]], times: deque[float]) -> TrainStep:
    options = run.options
    rate = learning_rate(options.learning_rate, clock.progress(), options.warmup)
    for group in run.optimizer.param_groups:
        group["lr"] = rate
    sums: dict[str, float] = {}
    for _ in range(options.accumulate):
        _, batch = next(feed)
        batch = batch.to(run.device)
        if run.step == 0:
            centre(run.model, batch)
        terms = loss_terms(run, batch, options.hidden_patches)
        total = torch.stack([getattr(options.weights, name) * term for name, term in terms.items()]).sum()
        (total / options.accumulate).backward()
        for name, term in {**terms, "total": total}.items():
            sums[name] = sums.get(name, 0.0) + float(term.detach()) / options.accumulate
    if not math.isfinite(sums["total"]):
        raise SleepcliError(
            f"The loss is not a number at step {run.step + 1}.",
            "Resume with a lower learning rate, or look at the data; the last checkpoint is whole.",
        )
    torch.nn.utils.clip_grad_norm_(run.model.parameters(), options.clip)
    run.optimizer.step()
    run.optimizer.zero_grad(set_to_none=True)
    run.average.update(run.model)
    run.step += 1
    times.append(time.monotonic())
    speed = (len(times) - 1) / max(times[-1] - times[0], 1e-9)
    progress = clock.progress()
    return TrainStep(
        step=run.step,
        losses=sums,
        learning_rate=rate,
        epochs_per_second=speed * options.batch_size * options.accumulate,
        progress=progress,
        eta_seconds=_eta(options, run.step, clock.seconds(), speed),
    )


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
    run.log.add(event.step, type(event).__name__, _values(event))
    return event


def _save(run: Run, clock: _Clock) -> Saved:
    run.seconds = clock.seconds()
    path = checkpoint.save(run.options.out / "checkpoints", run.snapshot(), run.options.keep)
    clock.saved = time.monotonic()
    event = Saved(step=run.step, path=path)
    run.log.add(event.step, type(event).__name__, _values(event))
    return event


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
            "Give a smaller batch, or a smaller preset; the last checkpoint is whole.",
        ) from error
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "allocate memory" not in str(error):
            raise
        raise SleepcliError(
            f"There is too little memory for batches of {options.batch_size} epochs.",
            "Give a smaller batch, or a smaller preset; the last checkpoint is whole.",
        ) from error
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise SleepcliError(
            f"The run {options.out} cannot be written or its data read: {reason}.",
            "Make room or choose another --out; the last checkpoint is whole.",
        ) from error
