"""Each loss against a plain numpy computation or a value worked out by hand."""

import math

import numpy as np
import pytest
import torch

from training import losses


def unit(rng: np.random.Generator, *shape: int) -> np.ndarray:
    rows = rng.standard_normal(shape)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def log_softmax(rows: np.ndarray) -> np.ndarray:
    return rows - np.log(np.exp(rows).sum(axis=1, keepdims=True))


def test_contrastive_is_infonce_both_ways():
    rng = np.random.default_rng(0)
    signal, text, scale = unit(rng, 6, 8), unit(rng, 6, 8), math.log(5.0)
    logits = 5.0 * signal @ text.T
    wanted = -(np.diag(log_softmax(logits)).mean() + np.diag(log_softmax(logits.T)).mean()) / 2
    found = losses.contrastive(torch.tensor(signal), torch.tensor(text), torch.tensor(scale))
    assert found.item() == pytest.approx(wanted, rel=1e-5)


def test_the_temperature_starts_at_0_07_and_is_bounded():
    assert losses.scale_of(torch.tensor(losses.INITIAL_LOGIT_SCALE)).item() == pytest.approx(1 / 0.07)
    assert losses.scale_of(torch.tensor(50.0)).item() == pytest.approx(100.0)


def test_texts_of_equal_facts_are_positives_of_every_epoch_they_hold_for():
    truths = torch.tensor([[7, 9], [7, -1], [8, -1]])
    keys = torch.tensor([7, 8, 9, -1])
    wanted = [[True, False, True, False], [True, False, False, False], [False, True, False, False]]
    assert losses.positives_of(truths, keys).tolist() == wanted


def test_several_positives_share_the_probability_and_a_row_without_any_does_not_count():
    rng = np.random.default_rng(1)
    signal, text = unit(rng, 3, 4), unit(rng, 2, 4)
    truths, keys = torch.tensor([[1, 2], [1, -1], [5, -1]]), torch.tensor([1, 2])
    rows = log_softmax(signal @ text.T)
    columns = log_softmax((signal @ text.T).T)
    by_epoch = -((rows[0, 0] + rows[0, 1]) / 2 + rows[1, 0]) / 2
    by_text = -((columns[0, 0] + columns[0, 1]) / 2 + columns[1, 0]) / 2
    found = losses.contrastive(torch.tensor(signal), torch.tensor(text), torch.tensor(0.0), truths, keys)
    assert found.item() == pytest.approx((by_epoch + by_text) / 2, rel=1e-5)


def test_two_ranks_that_gather_get_the_loss_of_the_global_batch():
    rng = np.random.default_rng(2)
    signal, text = (torch.tensor(unit(rng, 8, 5)) for _ in range(2))
    scale = torch.tensor(1.0)

    def gather(mine: torch.Tensor) -> torch.Tensor:
        whole = signal if torch.equal(mine, signal[:4]) else text
        return torch.cat((mine, whole[4:]))

    halved = losses.contrastive(signal[:4], text[:4], scale, gather=gather)
    assert halved.item() == pytest.approx(losses.contrastive(signal, text, scale).item())


def test_unequal_numbers_without_keys_are_refused():
    with pytest.raises(ValueError, match="paired"):
        losses.contrastive(torch.ones(2, 3), torch.ones(3, 3), torch.tensor(0.0))


def test_caption_averages_over_the_next_tokens_that_are_not_padding():
    rng = np.random.default_rng(3)
    logits = rng.standard_normal((2, 4, 6))
    ids = np.array([[1, 3, 4, 2], [1, 5, 2, 0]])
    expected = [-log_softmax(logits[b])[t, ids[b, t + 1]] for b, t in ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1))]
    found = losses.caption(torch.tensor(logits), torch.tensor(ids))
    assert found.item() == pytest.approx(np.mean(expected), rel=1e-5)


def test_reconstruction_counts_present_channels_only():
    target = torch.zeros(1, 2, 4)
    predicted = torch.stack((torch.full((4,), 2.0), torch.full((4,), 9.0)))[None]
    assert losses.reconstruction(predicted, target, torch.tensor([[1.0, 0.0]])).item() == pytest.approx(4.0)


def test_masked_reconstruction_counts_hidden_patches_only():
    target = torch.zeros(1, 1, 4)
    predicted = torch.tensor([[[1.0, 1.0, 3.0, 3.0]]])
    hidden = torch.tensor([[[0.0, 1.0]]])
    assert losses.reconstruction(predicted, target, None, hidden).item() == pytest.approx(9.0)


def test_prompt_classes_ignore_epochs_without_a_stage():
    rng = np.random.default_rng(4)
    signal, prompts = unit(rng, 3, 4), unit(rng, 5, 4)
    rows = log_softmax(2.0 * signal @ prompts.T)
    found = losses.prompt_classes(
        torch.tensor(signal), torch.tensor(prompts), torch.tensor([4, -1, 0]), torch.tensor(math.log(2.0))
    )
    assert found.item() == pytest.approx(-(rows[0, 4] + rows[2, 0]) / 2, rel=1e-5)
    nothing = losses.prompt_classes(torch.ones(1, 2), torch.ones(5, 2), torch.tensor([-1]), torch.tensor(0.0))
    assert nothing.item() == 0.0
