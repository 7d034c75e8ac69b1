"""Which epochs a step draws: rare stages and events more often, hard epochs more as the run goes on.

Arithmetic at 100,000 hours (12,500 nights of 8 h, 12 million epochs). In memory, for each epoch: 1 byte of stage,
1 of event flags, 8 of cumulated weight, and 3 of hardness where that is asked for: 10 to 13 bytes, 120 to 156 MB in
all; twice to three times that for a moment, while they are summed up. For each study: its name, path, hash and arrays,
1.25 kB, 16 MB in all (`tests/benchmarks/train_index.py` measures it). Of `OPEN_STUDIES` = 256 studies at most their
measurements, 0.8 MB a night, 205 MB, and two open files. Signals and scorings stay on disk: a batch touches only its
own rows, 11 channels x 1920 samples x 4 bytes = 84 kB an epoch. Where there are more than `WINDOW` studies, a step
draws from a window of that many, which moves by one study a step, so that a step opens one study (13 ms) instead of
one an epoch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import UsageError
from core.psg.scoring import EVENT_TYPES, STAGES
from training.studies import OPEN_STUDIES, UNKNOWN, TrainingStudy

WINDOW = OPEN_STUDIES - 16
"""Studies that a step draws from; below `OPEN_STUDIES`, as some steps are made ahead."""
REFRESH = 64
"""Batches between two looks at what is hard."""
AHEAD = 16
"""Batches that may be drawn before the losses of earlier ones are known."""
HARDNESS_UNIT = 16.0
"""Hardness is kept in a byte, this many steps to a nat: up to 15.9 nats."""
HARDNESS_KEEP = 0.5
"""Part of the old loss that an epoch's memory keeps when the epoch is seen again."""


@dataclass(frozen=True)
class SamplerOptions:
    """How epochs are drawn."""

    rare: float = 0.7
    """0: as they come; 1: every stage as often as the others."""
    events: float = 1.0
    """How much more often an epoch with events is drawn: the weight grows by this for the rarest type."""
    hard: float = 0.0
    """How much more often a hard epoch is drawn at the end of the run: its weight is multiplied by its last loss
    over the mean of all seen, to this power; the power grows from 0 with the run. 0 keeps no memory of losses."""


class Sampler:
    """Draws epochs with replacement, each batch from the seed, its number and the hardness so far alone.

    Parameters
    ----------
    studies
        The training side.
    options
        How much more often rare stages, events and hard epochs are drawn.
    seed
        Of the run.
    without
        Event types whose epochs are never drawn.

    Raises
    ------
    UsageError
        When no epoch is left to draw.
    """

    def __init__(
        self, studies: Sequence[TrainingStudy], options: SamplerOptions, seed: int, without: Sequence[str] = ()
    ) -> None:
        self.seed = seed
        self.options = options
        self.without = tuple(without)
        self.offsets = np.cumsum([0] + [len(study.stages) for study in studies])
        self._studies = studies
        self._rules = WeightRules.of(((study.stages, study.events) for study in studies), options)
        weights = self._base()
        if not weights.any():
            raise UsageError("Every epoch has an event that is held out.", "Hold out fewer types, or add studies.")
        stages = np.concatenate([study.stages for study in studies])
        self.stage_shares = np.array([weights[stages == stage].sum() + 1e-9 for stage in range(len(STAGES))])
        self.stage_shares /= self.stage_shares.sum()
        self._cumulated = _cumulated(weights)
        self._order = np.random.default_rng([seed, 7]).permutation(len(studies))
        self.hardness = Hardness(len(self)) if options.hard else None
        self._taken = -1  # the look at what is hard that `_cumulated` holds

    def __len__(self) -> int:
        return int(self.offsets[-1])

    def draw(self, number: int, count: int) -> list[tuple[int, int]]:
        """Give `count` pairs (study, epoch) for the batch of a number, counted from 0, all ranks' epochs together."""
        self._look(number)
        rng = np.random.default_rng([self.seed, 1, number, 0])
        chances = rng.random(count)
        if len(self._studies) > WINDOW:
            places = self._in_window(number, chances)
        else:
            places = np.searchsorted(self._cumulated[1:], chances * self._cumulated[-1], side="right")
        places = np.minimum(places, len(self) - 1)
        study = np.searchsorted(self.offsets, places, side="right") - 1
        return [(int(s), int(p - self.offsets[s])) for s, p in zip(study, places, strict=True)]

    def remember(self, number: int, losses: Sequence[tuple[tuple[int, int], float]], progress: float) -> None:
        """Keep the losses of a batch's epochs where the run keeps them.

        Parameters
        ----------
        number
            Of the batch.
        losses
            Pair (study, epoch) and nats; NaN is left out.
        progress
            Part of the run that is done.
        """
        if self.hardness is None:
            return
        known = [(self.offsets[study] + epoch, loss) for (study, epoch), loss in losses if np.isfinite(loss)]
        places = np.array([place for place, _ in known], np.int64)
        self.hardness.remember(number, places, np.array([loss for _, loss in known]), progress)

    def _in_window(self, number: int, chances: NDArray[np.float64]) -> NDArray[np.int64]:
        """Turn chances [n] into places among the epochs of the studies that this batch may draw from."""
        window = self._order[(number + np.arange(WINDOW)) % len(self._order)]
        before = self._cumulated[self.offsets[window]]
        totals = np.cumsum(self._cumulated[self.offsets[window + 1]] - before)
        aims = chances * totals[-1]
        which = np.minimum(np.searchsorted(totals, aims, side="right"), len(window) - 1)
        within = aims - np.concatenate(([0.0], totals))[which] + before[which]
        places = np.searchsorted(self._cumulated[1:], within, side="right")
        bounded: NDArray[np.int64] = np.clip(places, self.offsets[window[which]], self.offsets[window[which] + 1] - 1)
        return bounded

    def _base(self) -> NDArray[np.float64]:
        """Weigh every epoch, [N], study by study: what lies between is not held for all of them."""
        weights: NDArray[np.float64] = np.empty(len(self))
        for study, start in zip(self._studies, self.offsets[:-1], strict=True):
            mine = weights[start : start + len(study.stages)]
            np.multiply(self._rules.weigh(study.stages, study.events), ~shows(study.events, self.without), out=mine)
        return weights

    def _look(self, number: int) -> None:
        """Take a new look at what is hard where one is due; the same batches see the same look after a resume."""
        if self.hardness is None:
            return
        due = max(number - AHEAD, 0) // REFRESH
        if due != self._taken:
            factor = self.hardness.factor(due, self.options.hard)
            self._cumulated = _cumulated(self._base() * factor)
            self._taken = due


def shows(events: NDArray[np.bool_], types: Sequence[str]) -> NDArray[np.bool_]:
    """Say which epochs, [N], have an event of some types, of `events` [N, 8]."""
    found: NDArray[np.bool_] = events[:, [EVENT_TYPES.index(name) for name in types]].any(axis=1)
    return found


def _cumulated(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum up weights [N] as [N + 1], from 0."""
    sums = np.zeros(len(weights) + 1)
    np.cumsum(weights, out=sums[1:])
    return sums


class Hardness:
    """The last losses of the epochs, a byte each, and the two looks at them that batches are drawn by.

    Parameters
    ----------
    epochs
        Of the training side.
    """

    def __init__(self, epochs: int) -> None:
        self.losses = np.zeros(epochs, np.uint8)
        """0: not seen; else 1 + the loss in `HARDNESS_UNIT`ths of a nat."""
        self.looks: dict[int, tuple[float, NDArray[np.uint8]]] = {0: (0.0, self.losses.copy())}

    def remember(self, number: int, places: NDArray[np.int64], losses: NDArray[np.float64], progress: float) -> None:
        """Keep the losses of a batch's epochs; the end of every `REFRESH` batches becomes a look.

        Parameters
        ----------
        number
            Of the batch.
        places
            int [B] among all epochs of the training side.
        losses
            float [B], nats.
        progress
            Part of the run that is done.
        """
        old = (self.losses[places].astype(np.float64) - 1) / HARDNESS_UNIT
        new = np.where(self.losses[places] > 0, HARDNESS_KEEP * old + (1 - HARDNESS_KEEP) * losses, losses)
        self.losses[places] = 1 + np.clip(np.rint(new * HARDNESS_UNIT), 0, 254).astype(np.uint8)
        if (number + 1) % REFRESH == 0:
            look = (number + 1) // REFRESH
            self.looks = {key: value for key, value in self.looks.items() if key == look - 1}
            self.looks[look] = (progress, self.losses.copy())

    def state(self) -> tuple[dict[str, NDArray[np.uint8]], dict[str, float]]:
        """Give the arrays of a checkpoint, and the progress of each look by its number."""
        arrays = {f"look.{key}": losses for key, (_, losses) in self.looks.items()}
        return {"losses": self.losses, **arrays}, {str(key): value for key, (value, _) in self.looks.items()}

    def restore(self, arrays: Mapping[str, NDArray[np.uint8]], progress: Mapping[str, float]) -> None:
        """Take over what `state` gave.

        Raises
        ------
        ValueError
            When it is the memory of other studies.
        """
        if len(arrays["losses"]) != len(self.losses):
            raise ValueError(f"a memory of {len(arrays['losses'])} epochs for {len(self.losses)}")
        self.losses = np.array(arrays["losses"])
        self.looks = {int(key): (value, np.array(arrays[f"look.{key}"])) for key, value in progress.items()}

    def factor(self, look: int, power: float) -> NDArray[np.float64]:
        """Give what each epoch's weight is multiplied by, [N]; 1 where it was never seen."""
        progress, losses = self.looks[look]
        seen = losses > 0
        if not seen.any():
            return np.ones(len(losses))
        table = (np.arange(256) - 0.5) / HARDNESS_UNIT  # half a step above the loss that the byte holds
        mean = table[losses[seen]].mean()
        powers = (np.maximum(table, 0.5 / HARDNESS_UNIT) / mean) ** (power * progress)
        return np.where(seen, powers[losses], 1.0)


@dataclass(frozen=True)
class WeightRules:
    """The weight of an epoch from its stage and events."""

    by_stage: NDArray[np.float64]
    """[5]."""
    boosts: NDArray[np.float64]
    """[8], what an event of each type adds to 1; the largest counts."""

    @classmethod
    def of(cls, indexes: Iterable[tuple[NDArray[np.int8], NDArray[np.bool_]]], options: SamplerOptions) -> WeightRules:
        """Count the stages [n] and events [n, 8] of the studies."""
        stages, events, epochs = np.zeros(len(STAGES), np.int64), np.zeros(len(EVENT_TYPES), np.int64), 0
        for own_stages, own_events in indexes:
            stages += np.bincount(own_stages[own_stages != UNKNOWN], minlength=len(STAGES))
            events += own_events.sum(axis=0)
            epochs += len(own_stages)
        counts = np.maximum(stages, 1)
        share = np.maximum(events / max(epochs, 1), 1e-4)
        boosts = options.events * np.minimum(np.sqrt(0.02 / share), 4.0)  # an event in 2 % of epochs: + options.events
        return cls((counts.sum() / (len(STAGES) * counts)) ** options.rare, boosts)

    def weigh(self, stages: NDArray[np.int8], events: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Give the weights [n]; epochs without a stage weigh half."""
        weights = np.where(stages == UNKNOWN, 0.5, self.by_stage[stages])
        boosted: NDArray[np.float64] = weights * (1.0 + (events * self.boosts).max(axis=1, initial=0.0))
        return boosted


def epoch_weights(stages: NDArray[np.int8], events: NDArray[np.bool_], options: SamplerOptions) -> NDArray[np.float64]:
    """Give the sampling weight of every epoch of one study, `[N]`."""
    return WeightRules.of([(stages, events)], options).weigh(stages, events)
