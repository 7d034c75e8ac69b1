"""The objective: a network's losses on one batch, term by term."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from training import events, losses
from training.dataset import Batch
from training.model import SleepLM
from training.ranks import ALONE, Ranks
from training.run import Run

LENGTH_PARTS = 4
"""Parts of like length that the texts of a batch are split into."""


@dataclass(frozen=True)
class Losses:
    """The losses of one batch."""

    terms: dict[str, Tensor]
    """Each term that has a weight; their mean over the ranks is the global batch's."""
    rows: Tensor | None
    """float [B], nats: how hard each epoch of this rank was, NaN where nothing is known of it; None when the run keeps
    no memory of it."""


class Objective(nn.Module):
    """What a distributed run wraps: every parameter that learns, from a batch to its losses.

    Parameters
    ----------
    run
        Its network and heads.
    """

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.learned = run.learned
        self._run = run

    def forward(self, batch: Batch, hidden_patches: float, ranks: Ranks) -> tuple[dict[str, Tensor], Tensor | None]:
        """Give the terms and the rows of `Losses`."""
        found = losses_of(self._run, batch, hidden_patches, ranks)
        return found.terms, found.rows


def losses_of(run: Run, batch: Batch, hidden_patches: float = 0.0, ranks: Ranks = ALONE) -> Losses:
    """Give the losses of one batch on the run's device.

    Parameters
    ----------
    run
        Its network, heads and weights of the terms.
    batch
        This rank's part of the batch.
    hidden_patches
        Share of the patches that the encoder does not see.
    ranks
        Who shares the global batch.
    """
    model, weights = run.model, run.options.weights
    terms: dict[str, Tensor] = {}
    rows: list[Tensor] = []
    with torch.autocast(run.device.type, torch.bfloat16, enabled=run.bf16):
        present, hidden = hide(batch, model.config.patches, hidden_patches, run.options.seed + run.step)
        shares = dict(zip(COUNTED, ranks.shares(_counts(batch, hidden)), strict=True)) if ranks.world > 1 else {}
        embedding, tokens = model.encode_signal(batch.signals, present, batch.context)
        if weights.contrastive:
            gather = ranks.gather if ranks.world > 1 else None
            text = embed_texts(model, batch.statements)
            found = losses.contrastive(embedding, text, model.logit_scale, batch.truths, batch.keys, gather)
            terms["contrastive"] = found
        if weights.figures and len(batch.figures):
            gather = ranks.gather if ranks.world > 1 else None
            told = embed_figures(model, batch)
            keys = batch.figure_keys
            terms["figures"] = losses.contrastive(embedding, told, model.logit_scale, keys[:, None], keys, gather)
        if weights.caption:
            terms["caption"] = caption_loss(model, batch, tokens)
        if weights.reconstruction and model.reconstruction is not None:
            rebuilt = model.reconstruct(tokens)
            terms["reconstruction"] = losses.reconstruction(rebuilt, batch.signals, batch.present, hidden)
        if weights.head:
            terms["head"] = losses.stage_head(run.head, embedding, batch.stages)
        if weights.prompts:
            anchors = run.anchors.embed(model)
            terms["prompts"] = losses.prompt_classes(embedding, anchors, batch.stages, model.logit_scale)
        if run.sampler.hardness is not None:
            rows.append(hardness_of_stages(run, embedding, batch))
        if run.event_head is not None:
            terms["events"] = events.head_loss(run.event_head, embedding, batch.events)
        if weights.event_prompts:
            pairs = run.event_anchors.embed(model, run.step if torch.is_grad_enabled() else None)
            terms["event_prompts"] = events.prompt_loss(embedding, pairs, batch.events, model.logit_scale)
    terms = {name: term * shares[name] if name in shares else term for name, term in terms.items()}
    return Losses(terms, rows[0] if rows else None)


def loss_terms(run: Run, batch: Batch) -> dict[str, Tensor]:
    """Give each loss term of a batch that no other rank shares."""
    return losses_of(run, batch).terms


COUNTED = ("caption", "reconstruction", "head", "prompts", "events", "event_prompts")
"""Terms that are means over something of which the ranks may have different numbers."""


def _counts(batch: Batch, hidden: Tensor | None) -> Tensor:
    """Count what each of `COUNTED` is a mean over, float [6]."""
    tokens = (batch.captions[:, 1:] != 0).sum()
    rebuilt = batch.present.sum() if hidden is None else (batch.present[:, :, None] * hidden).sum()
    staged, known = (batch.stages != losses.IGNORE).sum(), (batch.events >= 0).sum()
    return torch.stack([count.float() for count in (tokens, rebuilt, staged, staged, known, known)])


@torch.no_grad()
def hardness_of_stages(run: Run, embedding: Tensor, batch: Batch) -> Tensor:
    """Give the cross-entropy of each epoch's stage, [B] nats: against the prompts, or by the head without them."""
    if run.options.weights.prompts:
        logits = losses.scale_of(run.model.logit_scale) * embedding @ run.anchors.embed(run.model).T
    else:
        logits = run.head(embedding * math.sqrt(embedding.shape[1]))
    known = batch.stages != losses.IGNORE
    rows = functional.cross_entropy(logits.float(), batch.stages.clamp(min=0), reduction="none")
    return torch.where(known, rows, torch.full_like(rows, math.nan))


def by_length(ids: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Split texts [B, T] into parts of like length, without the columns that are padding in a whole part.

    Yields
    ------
    tuple
        Row numbers [n] and their tokens [n, t]. Half the work on captions is padding otherwise.
    """
    lengths = (ids != 0).sum(dim=1)
    for rows in torch.argsort(lengths, stable=True).chunk(LENGTH_PARTS):
        yield rows, ids[rows, : int(lengths[rows].max())]


def embed_texts(model: SleepLM, ids: Tensor) -> Tensor:
    """Embed texts [B, T] part by part: equal to `encode_text(ids)[0]`."""
    parts = [(rows, model.encode_text(part)[0]) for rows, part in by_length(ids)]
    return torch.cat([found for _, found in parts])[torch.argsort(torch.cat([rows for rows, _ in parts]))]


def embed_figures(model: SleepLM, batch: Batch) -> Tensor:
    """Embed what an epoch's captions with figures say together, [B, D]: the mean of their embeddings, L2-normalised."""
    each = embed_texts(model, batch.figures)
    return functional.normalize(each.unflatten(0, (len(batch.signals), -1)).mean(dim=1), dim=-1)


def caption_loss(model: SleepLM, batch: Batch, tokens: Tensor) -> Tensor:
    """Give the caption loss of a batch whose epochs have decoder tokens [B, Q, W], part by part."""
    each = len(batch.captions) // len(tokens)
    terms, counts = [], []
    for rows, ids in by_length(batch.captions):
        _, text = model.encode_text(ids)
        logits = model.decode(text, tokens[rows // each], batch.domains[rows])
        terms.append(losses.caption(logits, ids))
        counts.append((ids[:, 1:] != 0).sum())
    weights = torch.stack(counts).to(terms[0].dtype)
    return (torch.stack(terms) * weights).sum() / weights.sum().clamp(min=1)


def hide(batch: Batch, patches: int, share: float, seed: int) -> tuple[Tensor, Tensor | None]:
    """Hide a share of the patches from the encoder.

    Returns
    -------
    tuple
        What is present, [B, C] or patch by patch [B, C, P]; and what is hidden, [B, C, P], or None.
    """
    if not share:
        return batch.present, None
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.rand((*batch.present.shape, patches), generator=generator).to(batch.present.device)
    hidden = (drawn < share).float()
    return batch.present[:, :, None] * (1 - hidden), hidden
