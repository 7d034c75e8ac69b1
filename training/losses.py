"""The training losses, each a pure function of tensors; sizes of batches may differ between signals and texts.

Sources: InfoNCE with a learned temperature (CLIP, arXiv 2103.00020), several positives a row (SupCon,
arXiv 2004.11362, the sum outside the logarithm), captioning beside contrast (CoCa, arXiv 2205.01917).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

INITIAL_LOGIT_SCALE = math.log(1 / 0.07)
"""Start of the learned temperature: the natural logarithm of the factor on the cosines."""
LARGEST_SCALE = 100.0
"""The factor on the cosines never grows beyond this (as in CLIP)."""
IGNORE = -1
"""A label that takes no part in a loss; also the filler of key sets."""

Gather = Callable[[Tensor], Tensor]
"""Joins a tensor of this rank with the other ranks' along its first axis, gradients included."""


def scale_of(logit_scale: Tensor) -> Tensor:
    """Return the factor on the cosines for a learned logarithm, held below `LARGEST_SCALE`."""
    return logit_scale.clamp(max=math.log(LARGEST_SCALE)).exp()


def positives_of(truths: Tensor, keys: Tensor) -> Tensor:
    """Say which texts are true of which epochs.

    Parameters
    ----------
    truths
        int64 [B, S]: the keys of the statements that hold for each epoch, filled up with `IGNORE`.
    keys
        int64 [M]: the key of each text.

    Returns
    -------
    Tensor
        bool [B, M].
    """
    return (truths[:, :, None] == keys[None, None, :]).any(dim=1) & (keys != IGNORE)[None, :]


def _one_way(logits: Tensor, positives: Tensor) -> Tensor:
    """Cross-entropy of rows against the mean over their positives; rows without one take no part."""
    count = positives.sum(dim=1)
    log_probability = functional.log_softmax(logits.float(), dim=1)
    loss = -(log_probability * positives).sum(dim=1) / count.clamp(min=1)
    rows = (count > 0).float()
    return (loss * rows).sum() / rows.sum().clamp(min=1)


def contrastive(
    signal: Tensor,
    text: Tensor,
    logit_scale: Tensor,
    truths: Tensor | None = None,
    keys: Tensor | None = None,
    gather: Gather | None = None,
) -> Tensor:
    """Symmetric InfoNCE between epochs and texts.

    Without `truths` text i belongs to epoch i alone (B = M). With them every text whose key is among an
    epoch's truths is a positive of it, so that two epochs of equal facts are not pushed apart.

    Parameters
    ----------
    signal
        float [B, D], L2-normalised.
    text
        float [M, D], L2-normalised.
    logit_scale
        Scalar, natural logarithm of the factor on the cosines.
    truths
        int64 [B, S], see `positives_of`.
    keys
        int64 [M], see `positives_of`.
    gather
        Joins the ranks of a distributed run; every rank then computes the loss of the global batch.

    Returns
    -------
    Tensor
        Scalar, nats.

    Raises
    ------
    ValueError
        Without keys, when the numbers of epochs and texts differ.
    """
    if gather is not None:
        signal, text = gather(signal), gather(text)
        truths = None if truths is None else gather(truths)
        keys = None if keys is None else gather(keys)
    logits = scale_of(logit_scale) * signal @ text.T  # (epoch, text)
    if truths is None or keys is None:
        if len(signal) != len(text):
            raise ValueError(f"{len(signal)} epochs and {len(text)} texts cannot be paired without keys.")
        positives = torch.eye(len(signal), dtype=torch.bool, device=signal.device)
    else:
        positives = positives_of(truths, keys)
    return (_one_way(logits, positives) + _one_way(logits.T, positives.T)) / 2


def caption(logits: Tensor, ids: Tensor, pad_id: int = 0) -> Tensor:
    """Cross-entropy of the next token, averaged over the tokens that are not padding.

    Parameters
    ----------
    logits
        float [B, T, V]; row t predicts token t + 1.
    ids
        int64 [B, T], start token first.
    pad_id
        The token that takes no part.

    Returns
    -------
    Tensor
        Scalar, nats a token; 0 when there is no token to predict.
    """
    targets = ids[:, 1:].reshape(-1)
    predicted = logits[:, :-1].reshape(-1, logits.shape[-1])
    keep = targets != pad_id
    if not bool(keep.any()):
        return logits.sum() * 0.0
    return functional.cross_entropy(predicted[keep].float(), targets[keep])


def reconstruction(
    predicted: Tensor, target: Tensor, present: Tensor | None = None, hidden: Tensor | None = None
) -> Tensor:
    """Mean squared error over the channels that are there.

    Parameters
    ----------
    predicted, target
        float [B, C, S].
    present
        float [B, C], 1 where the channel can be used; None: all.
    hidden
        float [B, C, P], 1 where a patch was hidden from the encoder: only those then count (masked
        reconstruction); P divides S. None: every sample counts, as in the published model.

    Returns
    -------
    Tensor
        Scalar, squared stored units; 0 when nothing counts.
    """
    error = (predicted.float() - target.float()).square()
    weight = torch.ones_like(error[:, :, :1])
    if hidden is not None:
        batch, channels, patches = hidden.shape
        error = error.reshape(batch, channels, patches, -1).mean(dim=-1)
        weight = hidden.to(error.dtype)
    else:
        error = error.mean(dim=-1, keepdim=True)
    if present is not None:
        weight = weight * present[:, :, None].to(error.dtype)
    return (error * weight).sum() / weight.sum().clamp(min=1e-6)


def prompt_classes(
    signal: Tensor, prompts: Tensor, labels: Tensor, logit_scale: Tensor, weight: Tensor | None = None
) -> Tensor:
    """Cross-entropy of epochs against the texts of a closed set of classes.

    The classes are sentences through the text tower (such as one stage prompt a stage), so this is the
    contrastive loss with a fixed set of texts: language supervision, no classifier is added to the network.

    Parameters
    ----------
    signal
        float [B, D], L2-normalised.
    prompts
        float [K, D], L2-normalised, one text a class.
    labels
        int64 [B], class of each epoch, `IGNORE` where unknown.
    logit_scale
        Scalar, natural logarithm of the factor on the cosines.
    weight
        float [K], a weight for each class.

    Returns
    -------
    Tensor
        Scalar, nats; 0 when no epoch has a label.
    """
    logits = scale_of(logit_scale) * signal @ prompts.T  # (epoch, class)
    if not bool((labels != IGNORE).any()):
        return logits.float().sum() * 0.0
    return functional.cross_entropy(logits.float(), labels, weight=weight, ignore_index=IGNORE)


def stage_head(head: nn.Linear, signal: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of stages by a linear layer on the embedding.

    Parameters
    ----------
    head
        From the embedding to the classes.
    signal
        float [B, D], L2-normalised; scaled here to a mean square of 1.
    labels
        int64 [B], class of each epoch, `IGNORE` where unknown.

    Returns
    -------
    Tensor
        Scalar, nats; 0 when no epoch has a label.
    """
    logits = head(signal * math.sqrt(signal.shape[1]))
    if not bool((labels != IGNORE).any()):
        return logits.float().sum() * 0.0
    return functional.cross_entropy(logits.float(), labels, ignore_index=IGNORE)
