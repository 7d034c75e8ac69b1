"""Event supervision: what an epoch shows of each event type, as labels, as a head, and as pairs of prompts.

Stage losses alone leave short events invisible: an arousal of 5 s changes few of an epoch's patches, and the
contrastive loss sees it only in the statements that happen to name it. Here every epoch says of every type
whether it is there and how much of the epoch it fills.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from torch import Tensor, nn

from core.language.facts import EPOCH_SECONDS, EpochFacts
from core.language.prompts import event_prompts
from core.language.tokenizer import Tokenizer
from core.psg.scoring import EVENT_TYPES
from training.losses import IGNORE, scale_of
from training.model import SleepLM
from training.montages import visible_events

PROMPTS_A_STEP = 3
"""Sentences a type and side that one step embeds, drawn anew at each step."""


def event_shares(facts: EpochFacts, shown: EpochFacts, beside: frozenset[str] = frozenset()) -> NDArray[np.float32]:
    """Say how much of an epoch each event type fills.

    Parameters
    ----------
    facts
        Facts with all the study's channels.
    shown
        The same, restricted to the montage that is shown.
    beside
        Channels beside the eleven that are shown and usable.

    Returns
    -------
    array
        float32 [8] in the order of `EVENT_TYPES`: 0 to 1, `IGNORE` where nobody scored events or no shown channel
        could show the type.
    """
    shares = np.zeros(len(EVENT_TYPES), np.float32)
    for event in shown.events:
        shares[EVENT_TYPES.index(event.type)] += event.duration / EPOCH_SECONDS
    can_be_seen = visible_events(shown.unusable, beside)
    for index, kind in enumerate(EVENT_TYPES):
        if not (facts.events_scored and kind in can_be_seen):
            shares[index] = IGNORE
    return np.minimum(shares, 1.0)


class EventHead(nn.Module):
    """Presence and share of each event type from the embedding; used in training alone.

    Parameters
    ----------
    embed_dim
        Width of the embedding.
    """

    def __init__(self, embed_dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(embed_dim, 2 * len(EVENT_TYPES))

    def forward(self, signal: Tensor) -> tuple[Tensor, Tensor]:
        """Give the logits of presence and of the share, [B, 8] each, of `signal [B, D]`, L2-normalised."""
        presence, share = self.linear(signal * math.sqrt(signal.shape[1])).float().chunk(2, dim=1)
        return presence, share


def head_loss(head: EventHead, signal: Tensor, shares: Tensor) -> Tensor:
    """Cross-entropy of presence plus that of the share of the epoch.

    Parameters
    ----------
    head
        From the embedding to the event types.
    signal
        float [B, D], L2-normalised.
    shares
        float [B, 8], `IGNORE` where unknown.

    Returns
    -------
    Tensor
        Scalar, nats a type; 0 when nothing is known.
    """
    presence, share = head(signal)
    known = shares >= 0
    filled = shares.clamp(min=0.0)
    loss = functional.binary_cross_entropy_with_logits(presence, (filled > 0).float(), reduction="none")
    loss = loss + functional.binary_cross_entropy_with_logits(share, filled, reduction="none")
    return (loss * known).sum() / known.sum().clamp(min=1)


def prompt_loss(signal: Tensor, anchors: Tensor, shares: Tensor, logit_scale: Tensor) -> Tensor:
    """Cross-entropy of "there is an X" against "there is no X", a pair of texts an event type.

    Parameters
    ----------
    signal
        float [B, D], L2-normalised.
    anchors
        float [8, 2, D], L2-normalised: the text with and the text without the event.
    shares
        float [B, 8], `IGNORE` where unknown.
    logit_scale
        Scalar, natural logarithm of the factor on the cosines.

    Returns
    -------
    Tensor
        Scalar, nats a type; 0 when nothing is known.
    """
    cosines = torch.einsum("bd,ksd->bks", signal, anchors).float()
    evidence = scale_of(logit_scale) * (cosines[..., 0] - cosines[..., 1])  # (epoch, type)
    known = shares >= 0
    loss = functional.binary_cross_entropy_with_logits(evidence, (shares > 0).float(), reduction="none")
    return (loss * known).sum() / known.sum().clamp(min=1)


class EventAnchors:
    """The event prompts as tokens; means of their embeddings are the two classes of each event type."""

    def __init__(self, tokenizer: Tokenizer, device: torch.device) -> None:
        self.sides = [side for pair in event_prompts().values() for side in pair]  # with, without, with, ...
        ids = tokenizer.encode([text for side in self.sides for text in side])
        longest = int((ids != tokenizer.pad_id).sum(axis=1).max())
        self.ids = torch.from_numpy(np.ascontiguousarray(ids[:, :longest])).to(device)
        self.starts = np.cumsum([0] + [len(side) for side in self.sides])[:-1]

    def embed(self, model: SleepLM, step: int | None = None) -> Tensor:
        """Give the anchors [8, 2, D], L2-normalised: of a few sentences by the step, of all where it is None."""
        rows, sizes = self._rows(step)
        embeddings, _ = model.encode_text(self.ids[torch.from_numpy(rows).to(self.ids.device)])
        means = torch.stack([part.mean(dim=0) for part in embeddings.split(sizes)])
        return functional.normalize(means, dim=-1).unflatten(0, (len(EVENT_TYPES), 2))

    def _rows(self, step: int | None) -> tuple[NDArray[np.int64], list[int]]:
        if step is None:
            chosen = [np.arange(len(side)) for side in self.sides]
        else:
            rng = np.random.default_rng([6, step])
            chosen = [rng.permutation(len(side))[:PROMPTS_A_STEP] for side in self.sides]
        rows = np.concatenate([start + part for start, part in zip(self.starts, chosen, strict=True)])
        return rows, [len(part) for part in chosen]
