"""The network's own promises, on a tiny one with random weights."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from core.errors import UsageError
from training.config import ModelConfig, preset
from training.layers import rotary_frequencies, rotate
from training.model import SleepLM

CONFIG = preset("tiny")


@pytest.fixture(scope="module")
def model() -> SleepLM:
    torch.manual_seed(3)
    return SleepLM(CONFIG).eval().requires_grad_(False)


def signals(batch: int, config: ModelConfig = CONFIG) -> Tensor:
    return torch.randn(batch, len(config.channels), config.samples, generator=torch.Generator().manual_seed(5))


def texts(lengths: list[int], context: int = CONFIG.context_length) -> Tensor:
    ids = torch.zeros(len(lengths), context, dtype=torch.long)
    for row, length in enumerate(lengths):
        ids[row, :length] = torch.randint(3, CONFIG.vocab_size, (length,))
        ids[row, 0], ids[row, length - 1] = 1, 2
    return ids


def test_shapes_and_norms(model: SleepLM) -> None:
    embedding, tokens = model.encode_signal(signals(3))
    text_embedding, rows = model.encode_text(texts([5, 64, 9]))
    assert embedding.shape == text_embedding.shape == (3, CONFIG.embed_dim)
    assert tokens.shape == (3, CONFIG.decoder_tokens, CONFIG.width)
    assert rows.shape == (3, CONFIG.context_length, CONFIG.width)
    torch.testing.assert_close(embedding.norm(dim=-1), torch.ones(3))
    torch.testing.assert_close(text_embedding.norm(dim=-1), torch.ones(3))
    logits = model.decode(rows, tokens, torch.tensor([0, 1, 4]))
    assert logits.shape == (3, CONFIG.context_length, CONFIG.vocab_size)
    assert model.reconstruct(tokens).shape == (3, len(CONFIG.channels), CONFIG.samples)
    assert model.logit_scale.exp().item() == pytest.approx(1 / 0.07, rel=1e-6)


def test_an_absent_channel_has_no_influence(model: SleepLM) -> None:
    x = signals(2)
    present = torch.ones(2, len(CONFIG.channels))
    present[:, 4] = 0
    other = x.clone()
    other[:, 4] = 7.0
    expected, _ = model.encode_signal(x, present)
    assert torch.equal(model.encode_signal(other, present)[0], expected)
    assert not torch.allclose(model.encode_signal(x)[0], expected, atol=1e-4)


def test_a_mask_of_patches_hides_those_patches_only(model: SleepLM) -> None:
    x = signals(1)
    present = torch.ones(1, len(CONFIG.channels), CONFIG.patches)
    present[0, 2, 3] = 0
    expected, _ = model.encode_signal(x, present)
    hidden, shown = x.clone(), x.clone()
    hidden[0, 2, 3 * CONFIG.patch_size : 4 * CONFIG.patch_size] += 3
    shown[0, 2, 4 * CONFIG.patch_size : 5 * CONFIG.patch_size] += 3
    assert torch.equal(model.encode_signal(hidden, present)[0], expected)
    assert not torch.allclose(model.encode_signal(shown, present)[0], expected, atol=1e-4)


@pytest.mark.parametrize("width", [10, 11, 32, 63])
def test_padding_left_out_changes_nothing(model: SleepLM, width: int) -> None:
    ids = texts([5, 10, 8])
    embedding, rows = model.encode_text(ids)
    short_embedding, short_rows = model.encode_text(ids[:, :width])
    torch.testing.assert_close(short_embedding, embedding, atol=1e-6, rtol=0)
    torch.testing.assert_close(short_rows, rows[:, :width], atol=1e-5, rtol=0)


def test_text_is_causal_and_sees_its_domain_and_signal(model: SleepLM) -> None:
    _, tokens = model.encode_signal(signals(1))
    ids = texts([12])
    changed = ids.clone()
    changed[0, 8] = (ids[0, 8] + 1) % CONFIG.vocab_size

    def logits(ids: Tensor, tokens: Tensor, domain: int) -> Tensor:
        return model.decode(model.encode_text(ids)[1], tokens, torch.tensor([domain]))[0]

    before = logits(ids, tokens, 0)
    torch.testing.assert_close(logits(changed, tokens, 0)[:8], before[:8])
    assert not torch.allclose(logits(changed, tokens, 0)[8], before[8], atol=1e-4)
    assert not torch.allclose(logits(ids, tokens, 1)[0], before[0], atol=1e-4)
    assert not torch.allclose(logits(ids, tokens.roll(1, dims=-1), 0)[0], before[0], atol=1e-4)


def test_the_cached_path_equals_the_whole_one(model: SleepLM) -> None:
    ids = texts([20, 20, 20])[:, :20]
    _, tokens = model.encode_signal(signals(3))
    domain = torch.tensor([0, 3, 4])
    whole = model.decode(model.encode_text(ids)[1], tokens, domain)
    logits, state = model.prefill(tokens, domain, ids[:, :1])
    steps = [logits]
    for position in range(1, ids.shape[1]):
        logits, state = model.step(ids[:, position : position + 1], torch.tensor(position), state)
        steps.append(logits)
    torch.testing.assert_close(torch.stack(steps, dim=1), whole, atol=1e-5, rtol=0)
    assert state.self_k.shape[3] == 22
    assert state.text_k.shape[3] == 20


def test_rotation_depends_on_distance_only() -> None:
    frequencies = rotary_frequencies(8)
    query, key = torch.randn(1, 1, 8).expand(1, 30, 8), torch.randn(1, 1, 8).expand(1, 30, 8)
    scores = (rotate(query, frequencies) @ rotate(key, frequencies).mT)[0]
    for distance in (0, 3, 11):
        diagonal = scores.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-4, rtol=0)


def test_every_parameter_learns() -> None:
    torch.manual_seed(1)
    model = SleepLM(CONFIG)
    present = torch.ones(2, len(CONFIG.channels))
    present[:, 0] = 0
    embedding, tokens = model.encode_signal(signals(2), present)
    text_embedding, rows = model.encode_text(texts([9, 30]))
    logits = model.decode(rows, tokens, torch.tensor([0, 1]))
    loss = (embedding * text_embedding).sum() * model.logit_scale.exp() + logits.logsumexp(-1).mean()
    (loss + model.reconstruct(tokens).square().mean()).backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    # the bias of a key shifts all scores of a query alike, so softmax takes it out again
    assert [name for name in silent if not name.endswith("attention.key.bias")] == []


def test_a_network_without_reconstruction_says_so() -> None:
    model = SleepLM(replace(CONFIG, reconstruction=False))
    with pytest.raises(ValueError, match="no reconstruction head"):
        model.reconstruct(torch.zeros(1, CONFIG.decoder_tokens, CONFIG.width))


BESIDE = replace(CONFIG, measured=("heart_rate_mean", "spo2_min"), courses=("arousal", "hypopnea", "rera"))


def test_what_is_shown_beside_the_signals_reaches_embedding_and_decoder() -> None:
    torch.manual_seed(3)
    model = SleepLM(BESIDE).eval().requires_grad_(False)
    x = signals(1, BESIDE)
    values, courses = torch.tensor([[60.0, torch.nan]]), torch.zeros(1, 3, 60)
    embedding, memory = model.encode_signal(x, None, (values, courses))
    assert memory.shape == (1, BESIDE.memory_rows, BESIDE.width)
    nothing, bare = model.encode_signal(x)
    assert torch.equal(memory[:, : BESIDE.decoder_tokens], bare[:, : BESIDE.decoder_tokens])
    assert not torch.allclose(embedding, nothing, atol=1e-4)
    unknown, _ = model.encode_signal(x, None, (torch.full((1, 2), torch.nan), courses))
    assert torch.equal(unknown, nothing)
    courses[0, 1, 10:20] = 1
    told, _ = model.encode_signal(x, None, (values, courses))
    assert not torch.allclose(told, embedding, atol=1e-4)
    assert torch.equal(model.reconstruct(memory), model.reconstruct(bare))


def test_a_missing_value_is_not_the_middle_value() -> None:
    torch.manual_seed(3)
    model = SleepLM(BESIDE).eval().requires_grad_(False)
    middle = model.signal.context.middle.expand(1, -1)
    courses = torch.zeros(1, 3, 60)
    known, _ = model.encode_signal(signals(1), None, (middle, courses))
    assert not torch.allclose(known, model.encode_signal(signals(1))[0], atol=1e-4)


def test_a_network_is_shown_what_exists_and_both_kinds_or_neither() -> None:
    with pytest.raises(UsageError, match="'pulse'"):
        replace(CONFIG, measured=("pulse",), courses=("arousal",))
    with pytest.raises(UsageError, match="or neither"):
        replace(CONFIG, measured=("spo2_min",))
