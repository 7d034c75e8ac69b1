"""The objective: a network's losses on one batch, term by term."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from training import events, losses
from training.dataset import Batch
from training.model import SleepLM
from training.run import Run

LENGTH_PARTS = 4
"""Parts of like length that the texts of a batch are split into."""


def loss_terms(run: Run, batch: Batch, hidden_patches: float = 0.0) -> dict[str, Tensor]:
    """Give each loss term that has a weight, for one batch on the run's device."""
    model, weights = run.model, run.options.weights
    terms: dict[str, Tensor] = {}
    with torch.autocast(run.device.type, torch.bfloat16, enabled=run.bf16):
        present, hidden = hide(batch, model.config.patches, hidden_patches, run.options.seed + run.step)
        embedding, tokens = model.encode_signal(batch.signals, present)
        if weights.contrastive:
            text = embed_texts(model, batch.statements)
            terms["contrastive"] = losses.contrastive(embedding, text, model.logit_scale, batch.truths, batch.keys)
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
        if run.event_head is not None:
            terms["events"] = events.head_loss(run.event_head, embedding, batch.events)
        if weights.event_prompts:
            pairs = run.event_anchors.embed(model, run.step if torch.is_grad_enabled() else None)
            terms["event_prompts"] = events.prompt_loss(embedding, pairs, batch.events, model.logit_scale)
    return terms


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
