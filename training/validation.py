"""Validation of a run on its held-out subjects: losses, retrieval by statements, zero-shot stages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from core.inference.figures import best_temperature, retrieval_figures, staging_figures
from training.dataset import Batch
from training.losses import positives_of
from training.no_number import check_loss
from training.objective import loss_terms
from training.run import Run
from training.sampling import shows
from training.studies import TrainingStudy, stage_shares


def validate(run: Run) -> tuple[dict[str, float], float]:
    """Measure the averaged weights on whole montages of the held-out subjects.

    Parameters
    ----------
    run
        Its weights are exchanged for the average meanwhile.

    Returns
    -------
    tuple
        Figures: each loss term, `loss` (weighted), `retrieval_r1`, `retrieval_r10` (statements as queries, every
        epoch that they are true of counts), `staging_accuracy`, `staging_kappa`; and the factor on the cosines
        that fits the scored stages best. Without held-out subjects no figures and the learned factor.
    """
    if not run.validation:
        return {}, float(run.model.logit_scale.detach().exp())
    options = run.options
    reader = replace(run.reader, studies=run.validation, augmentation=None)
    rows = validation_rows(run.validation, options.validation_epochs, options.seed, options.without_events)
    size = run.options.batch_size
    sums: dict[str, float] = {}
    kept: list[tuple[torch.Tensor, ...]] = []
    run.average.swap(run.model)
    run.model.eval()
    try:
        with torch.no_grad():
            for start in range(0, len(rows), size):
                part = rows[start : start + size]
                batch = reader.batch(part, (run.options.seed, 4, start)).to(run.device)
                terms = {name: float(term) for name, term in loss_terms(run, batch).items()}
                check_loss(sum(terms.values()), batch.signals, part, run.validation)
                for name, term in terms.items():
                    sums[name] = sums.get(name, 0.0) + term * len(part) / len(rows)
                kept.append(_embed(run, batch))
            anchors = run.anchors.embed(run.model).float().cpu().numpy()
    finally:
        run.average.swap(run.model)
        run.model.train()
    figures = {**sums, "loss": sum(getattr(run.options.weights, name) * value for name, value in sums.items())}
    return _figures(run, kept, anchors, figures)


def _embed(run: Run, batch: Batch) -> tuple[torch.Tensor, ...]:
    embedding, _ = run.model.encode_signal(batch.signals, batch.present, batch.context)
    text, _ = run.model.encode_text(batch.statements)
    return embedding.cpu(), text.cpu(), batch.keys.cpu(), batch.truths.cpu(), batch.stages.cpu()


def _figures(
    run: Run, kept: list[tuple[torch.Tensor, ...]], anchors: NDArray[np.float32], figures: dict[str, float]
) -> tuple[dict[str, float], float]:
    width = max(part[3].shape[1] for part in kept)
    truths = torch.cat([torch.nn.functional.pad(p[3], (0, width - p[3].shape[1]), value=-1) for p in kept])
    epochs, texts, keys, stages = (torch.cat([part[i] for part in kept]) for i in (0, 1, 2, 4))
    right = positives_of(truths, keys).T.numpy()
    found = retrieval_figures(texts.numpy(), epochs.numpy(), right)
    cosines = epochs.numpy() @ anchors.T
    shares = stage_shares(run.validation)
    bias = np.log(shares / run.sampler.stage_shares)
    temperature = best_temperature(cosines, stages.numpy(), bias)
    staged = staging_figures(stages.numpy(), (temperature * cosines + bias).argmax(axis=1))
    judged = {
        "retrieval_r1": found.recall[1],
        "retrieval_r10": found.recall[10],
        "staging_accuracy": staged.accuracy,
        "staging_kappa": staged.kappa,
    }
    return figures | {name: value for name, value in judged.items() if math.isfinite(value)}, temperature


def validation_rows(
    studies: Sequence[TrainingStudy], count: int, seed: int, without: Sequence[str] = ()
) -> list[tuple[int, int]]:
    """Choose epochs of the held-out studies, as they come, the same at every validation; scored ones first.

    Epochs with an event of the types `without` are left out.
    """
    offsets = np.cumsum([0] + [len(study.stages) for study in studies])
    order = np.random.default_rng([seed, 5]).permutation(offsets[-1])
    scored = np.concatenate([study.stages for study in studies])[order] >= 0
    allowed = ~np.concatenate([shows(study.events, without) for study in studies])
    chosen = np.concatenate((order[scored], order[~scored]))
    chosen = chosen[allowed[chosen]][:count]
    which = np.searchsorted(offsets, chosen, side="right") - 1
    return [(int(s), int(place - offsets[s])) for s, place in zip(which, chosen, strict=True)]
