"""The objective: a network's losses on one batch, term by term."""

from __future__ import annotations

import torch
from torch import Tensor

from training import losses
from training.dataset import Batch
from training.run import Run


def loss_terms(run: Run, batch: Batch, hidden_patches: float = 0.0) -> dict[str, Tensor]:
    """Give each loss term that has a weight, for one batch on the run's device."""
    model, weights = run.model, run.options.weights
    terms: dict[str, Tensor] = {}
    with torch.autocast(run.device.type, torch.bfloat16, enabled=run.bf16):
        present, hidden = hide(batch, model.config.patches, hidden_patches, run.options.seed + run.step)
        embedding, tokens = model.encode_signal(batch.signals, present)
        if weights.contrastive:
            text, _ = model.encode_text(batch.statements)
            terms["contrastive"] = losses.contrastive(embedding, text, model.logit_scale, batch.truths, batch.keys)
        if weights.caption:
            _, rows = model.encode_text(batch.captions)
            repeated = tokens.repeat_interleave(len(batch.captions) // len(tokens), dim=0)
            logits = model.decode(rows, repeated, batch.domains)
            terms["caption"] = losses.caption(logits, batch.captions)
        if weights.reconstruction and model.reconstruction is not None:
            rebuilt = model.reconstruct(tokens)
            terms["reconstruction"] = losses.reconstruction(rebuilt, batch.signals, batch.present, hidden)
        if weights.prompts:
            anchors = run.anchors.embed(model)
            terms["prompts"] = losses.prompt_classes(embedding, anchors, batch.stages, model.logit_scale)
    return terms


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
