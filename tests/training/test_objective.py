"""The fast paths of the objective equal the plain ones."""

from pathlib import Path

import pytest
import torch

from core.language.prompts import stage_prompts
from core.language.tokenizer import train_tokenizer
from training import losses
from training.centring import centre
from training.config import preset
from training.dataset import Augmentation, Batch, Reader
from training.model import SleepLM
from training.objective import caption_loss, embed_texts, hide
from training.studies import open_study
from training.texts import TextOptions


@pytest.fixture
def batch(stores: tuple[Path, ...]) -> Batch:
    texts = [text for prompts in stage_prompts().values() for text in prompts]
    config = preset("tiny")
    tokenizer = train_tokenizer(texts, config.vocab_size, config.context_length)
    reader = Reader([open_study(stores[0])], config.channels, tokenizer, TextOptions(captions=2), Augmentation())
    return reader.batch([(0, epoch) for epoch in range(9)], (1, 2))


def test_texts_by_length_give_what_the_padded_batch_gives(batch: Batch):
    torch.manual_seed(0)
    model = SleepLM(preset("tiny"))
    with torch.no_grad():
        plain, rows = model.encode_text(batch.captions)
        _, tokens = model.encode_signal(batch.signals, batch.present)
        logits = model.decode(rows, tokens.repeat_interleave(2, dim=0), batch.domains)
        assert torch.allclose(embed_texts(model, batch.captions), plain, atol=1e-5)
        wanted = losses.caption(logits, batch.captions)
        assert caption_loss(model, batch, tokens).item() == pytest.approx(wanted.item(), rel=1e-5)


def test_hidden_patches_are_taken_from_what_is_present(batch: Batch):
    present, hidden = hide(batch, 20, 0.5, seed=1)
    assert hidden is not None
    assert present.shape == hidden.shape == (9, 11, 20)
    assert torch.equal(present, batch.present[:, :, None] * (1 - hidden))
    assert 0.4 < hidden.mean().item() < 0.6
    whole, none = hide(batch, 20, 0.0, seed=1)
    assert none is None
    assert torch.equal(whole, batch.present)


def test_centred_towers_tell_epochs_and_texts_apart(batch: Batch):
    torch.manual_seed(0)
    model = SleepLM(preset("tiny"))

    def common_part() -> tuple[float, float]:
        with torch.no_grad():
            signals = model.encode_signal(batch.signals, batch.present)[0]
            texts = model.encode_text(batch.statements)[0]
        return float(signals.mean(dim=0).norm()), float(texts.mean(dim=0).norm())

    assert min(common_part()) > 0.8
    centre(model, batch)
    assert max(common_part()) < 0.5


def test_stage_head_ignores_epochs_without_a_stage():
    head = torch.nn.Linear(4, 5)
    signal = torch.nn.functional.normalize(torch.randn(3, 4), dim=1)
    labels = torch.tensor([2, losses.IGNORE, 4])
    each = [losses.stage_head(head, signal[k : k + 1], labels[k : k + 1]) for k in (0, 2)]
    mean = sum(loss.item() for loss in each) / 2
    assert losses.stage_head(head, signal, labels).item() == pytest.approx(mean, rel=1e-5)
    assert losses.stage_head(head, signal[1:2], labels[1:2]).item() == 0
