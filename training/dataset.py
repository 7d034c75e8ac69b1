"""Batches of a training run: the signals, texts and labels of some epochs of prepared studies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.language.context import Context, context_of
from core.language.facts import EPOCH_SECONDS, EpochFacts
from core.language.tokenizer import Tokenizer
from core.psg.scoring import EVENT_TYPES, STAGES, Event
from training.events import event_shares
from training.losses import IGNORE
from training.montages import WHOLE, draw, further, restrict
from training.studies import TrainingStudy
from training.texts import EpochTexts, TextOptions, draw_texts

POSITION = "POS"
POSITION_MISSING = -1.0
"""What an absent position holds; every other absent channel holds zeros."""
BLOCK_SAMPLES = (64, 640)
"""A block that is lost lasts 1 to 10 s at 64 Hz."""
CLIP = 6.0
"""Prepared signals are clipped to this many scale units, and stay so after augmentation."""


@dataclass(frozen=True)
class Augmentation:
    """How the signals of a training epoch are varied; 0 switches a part off."""

    dropout: float = 1.0
    """Chance that an epoch's channels are drawn from `MONTAGES`."""
    gain: float = 0.2
    """Spread of each channel's gain, standard deviation of its natural logarithm."""
    noise: float = 0.1
    """Largest standard deviation of added white noise, in scale units."""
    shift: int = 16
    """Largest shift in samples, either way."""
    blocks: float = 0.0
    """Chance that a channel of an epoch loses a block of 1 to 10 s, as a loose electrode does: it is level there."""
    unmeasured: float = 0.05
    """Chance that a measured value is not shown."""
    missed: float = 0.06
    """Chance that an event is not shown to a network that is shown events: who finds them misses some."""
    mistaken: float = 0.04
    """Chance that an epoch shows an event that is none."""
    jitter: float = 0.7
    """Standard deviation in seconds of the ends of the events shown."""


@dataclass(frozen=True)
class Batch:
    """One batch; B epochs, K captions each, M statements."""

    signals: Tensor
    """float32 [B, C, S]."""
    present: Tensor
    """float32 [B, C]."""
    captions: Tensor
    """int64 [B * K, T], the captions of an epoch side by side."""
    domains: Tensor
    """int64 [B * K]."""
    statements: Tensor
    """int64 [M, T']."""
    keys: Tensor
    """int64 [M]."""
    truths: Tensor
    """int64 [B, S], filled with `IGNORE`."""
    stages: Tensor
    """int64 [B], `IGNORE` where unknown."""
    events: Tensor
    """float32 [B, 8], the share of the epoch that each of `EVENT_TYPES` fills, `IGNORE` where unknown."""
    values: Tensor
    """float32 [B, K], measured values, NaN where unknown."""
    courses: Tensor
    """float32 [B, E, 60], the course of events and trends."""
    figures: Tensor
    """int64 [B * F, T''], captions with figures, those of an epoch side by side."""
    figure_keys: Tensor
    """int64 [B], what these say."""

    @property
    def context(self) -> tuple[Tensor, Tensor]:
        """What a network is shown beside the signals."""
        return self.values, self.courses

    def to(self, device: torch.device) -> Batch:
        """Return the batch on another device."""
        moved = {name: value.to(device, non_blocking=True) for name, value in vars(self).items()}
        return Batch(**moved)


@dataclass(frozen=True)
class Reader:
    """Turns drawn epochs into batches."""

    studies: Sequence[TrainingStudy]
    channels: tuple[str, ...]
    tokenizer: Tokenizer
    texts: TextOptions
    augmentation: Augmentation | None
    """None: signals as they are, all channels (validation)."""
    without: tuple[str, ...] = ()
    """Event types of which nothing is learned."""
    measured: tuple[str, ...] = ()
    """Measurements that the network is shown."""
    courses: tuple[str, ...] = ()
    """Events and trends whose course it is shown."""

    def batch(self, rows: Sequence[tuple[int, int]], seed: Sequence[int]) -> Batch:
        """Make the batch of some epochs.

        Parameters
        ----------
        rows
            Pairs (study, epoch).
        seed
            Numbers that fix every random choice.
        """
        rng = np.random.default_rng(list(seed))
        signals, present = self._signals(rows)
        texts: list[EpochTexts] = []
        stages = np.full(len(rows), IGNORE, np.int64)
        events = np.full((len(rows), len(EVENT_TYPES)), IGNORE, np.float32)
        silent = [EVENT_TYPES.index(name) for name in self.without]
        shown_facts: list[EpochFacts] = []
        for i, (study, epoch) in enumerate(rows):
            known = self.studies[study].facts(epoch)
            shown = WHOLE if self.augmentation is None else draw(rng, self.augmentation.dropout)
            drawn = further(rng, self.channels, shown)
            for c, name in enumerate(self.channels):
                if name not in WHOLE and name not in drawn:
                    present[i, c] = 0.0
            beside = frozenset(name for c, name in enumerate(self.channels) if name in drawn and present[i, c])
            facts = restrict(known, shown, beside)
            events[i] = event_shares(known, facts, beside)
            events[i, silent] = IGNORE
            for c, name in enumerate(self.channels):
                if name in facts.unusable:
                    present[i, c] = 0.0
            texts.append(draw_texts(facts, rng, self.texts))
            shown_facts.append(facts if self.augmentation is None else mistake(facts, self.augmentation, rng))
            if facts.stage is not None:
                stages[i] = STAGES.index(facts.stage)
        if self.augmentation is not None:
            vary(signals, self.channels, self.augmentation, rng)
        blank(signals, present, self.channels)
        context = context_of(shown_facts, self.measured, self.courses)
        return self._tensors((signals, present), context, texts, (stages, events))

    def _signals(self, rows: Sequence[tuple[int, int]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        signals = np.empty((len(rows), len(self.channels), 1920), np.float32)
        present = np.empty((len(rows), len(self.channels)), np.float32)
        by_study: dict[int, list[int]] = {}
        for i, (study, _) in enumerate(rows):
            by_study.setdefault(study, []).append(i)
        for study, places in by_study.items():
            epochs = np.array([rows[i][1] for i in places])
            prepared = self.studies[study].prepared
            signals[places] = prepared.stack(self.channels, epochs)
            present[places] = prepared.present(self.channels, epochs)
        return signals, present

    def _tensors(
        self,
        seen: tuple[NDArray[np.float32], NDArray[np.float32]],
        context: Context,
        texts: Sequence[EpochTexts],
        labels: tuple[NDArray[np.int64], NDArray[np.float32]],
    ) -> Batch:
        truths = np.full((len(texts), max(len(t.truths) for t in texts)), IGNORE, np.int64)
        for i, text in enumerate(texts):
            truths[i, : len(text.truths)] = text.truths
        return Batch(
            signals=torch.from_numpy(seen[0]),
            present=torch.from_numpy(seen[1]),
            captions=self.ids([caption for text in texts for caption in text.captions]),
            domains=torch.tensor([domain for text in texts for domain in text.domains]),
            statements=self.ids([text.statement for text in texts]),
            keys=torch.tensor([text.key for text in texts]),
            truths=torch.from_numpy(truths),
            stages=torch.from_numpy(labels[0]),
            events=torch.from_numpy(labels[1]),
            values=torch.from_numpy(context.values),
            courses=torch.from_numpy(context.courses),
            figures=self.ids([caption for text in texts for caption in text.figures]),
            figure_keys=torch.tensor([text.figures_key for text in texts]),
        )

    def ids(self, texts: Sequence[str]) -> Tensor:
        """Give the tokens of texts, int64 [B, T], without the columns that are padding in every row."""
        if not texts:
            return torch.zeros((0, 1), dtype=torch.int64)
        ids = self.tokenizer.encode(texts)
        longest = int((ids != self.tokenizer.pad_id).sum(axis=1).max(initial=1))
        return torch.from_numpy(np.ascontiguousarray(ids[:, :longest]))


def vary(
    signals: NDArray[np.float32], channels: Sequence[str], augmentation: Augmentation, rng: np.random.Generator
) -> None:
    """Change gain, noise and place of signals `[B, C, S]` in place; the position is only shifted."""
    batch, count = signals.shape[:2]
    waves = np.array([name != POSITION for name in channels])
    gain = np.exp(rng.normal(0.0, augmentation.gain, (batch, count, 1))).astype(np.float32)
    level = rng.uniform(0.0, augmentation.noise, (batch, count, 1)).astype(np.float32)
    level *= rng.random((batch, count, 1)) < 0.5
    varied = signals * gain
    if augmentation.noise > 0:
        varied += level * rng.standard_normal(signals.shape, dtype=np.float32)
    np.clip(varied, -CLIP, CLIP, out=varied)
    signals[:, waves] = varied[:, waves]
    if augmentation.blocks > 0:
        _lose_blocks(signals, np.flatnonzero(waves), augmentation.blocks, rng)
    for i, shift in enumerate(rng.integers(-augmentation.shift, augmentation.shift + 1, batch)):
        if shift > 0:
            signals[i, :, shift:] = signals[i, :, :-shift].copy()
        elif shift < 0:
            signals[i, :, :shift] = signals[i, :, -shift:].copy()


FALSE_EVENTS = ("obstructive_apnea", "central_apnea", "mixed_apnea", "hypopnea", "rera", "desaturation", "arousal")
FALSE_SECONDS = (3.0, 25.0)
"""How long an event lasts that is none."""


def mistake(facts: EpochFacts, augmentation: Augmentation, rng: np.random.Generator) -> EpochFacts:
    """Give the facts as they may be shown: with values not measured, and events missed, mistaken or misplaced.

    What finds events in a night is right in most of them, not in all; a network that learned from true events
    alone would believe whatever it is shown.
    """
    values = {name: value for name, value in facts.values.items() if rng.random() >= augmentation.unmeasured}
    events = []
    for event in facts.events:
        if rng.random() < augmentation.missed:
            continue
        start, end = event.onset, event.onset + event.duration
        if start > 0:
            start += rng.normal(0.0, augmentation.jitter)
        if end < EPOCH_SECONDS:
            end += rng.normal(0.0, augmentation.jitter)
        if end - start >= 1.0:
            events.append(Event(event.type, start, end - start, event.confidence))
    if rng.random() < augmentation.mistaken and facts.stage != "W":
        kind = FALSE_EVENTS[int(rng.integers(len(FALSE_EVENTS)))]
        events.append(Event(kind, float(rng.uniform(-10.0, EPOCH_SECONDS - 3.0)), float(rng.uniform(*FALSE_SECONDS))))
    return replace(facts, values=values, events=tuple(events))


def _lose_blocks(
    signals: NDArray[np.float32], waves: NDArray[np.int64], chance: float, rng: np.random.Generator
) -> None:
    samples = signals.shape[2]
    for epoch, channel in zip(*np.nonzero(rng.random((len(signals), len(waves))) < chance), strict=True):
        length = min(int(rng.integers(*BLOCK_SAMPLES)), samples)
        start = int(rng.integers(samples - length + 1))
        signals[epoch, waves[channel], start : start + length] = 0.0


def blank(signals: NDArray[np.float32], present: NDArray[np.float32], channels: Sequence[str]) -> None:
    """Write what a missing channel holds into every channel of `[B, C, S]` that is not present, in place."""
    for c, name in enumerate(channels):
        signals[present[:, c] < 0.5, c] = POSITION_MISSING if name == POSITION else 0.0
