"""Event supervision: labels from scored events, and both losses against plain numpy."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core.language.prompts import event_prompts
from core.language.tokenizer import train_tokenizer
from core.psg.scoring import EVENT_TYPES
from training import losses
from training.config import preset
from training.events import EventAnchors, EventHead, event_shares, head_loss, prompt_loss
from training.loop import train
from training.model import SleepLM
from training.montages import WHOLE, restrict
from training.options import LossWeights, TrainOptions
from training.progress import TrainStep
from training.studies import open_study

APNEA = EVENT_TYPES.index("obstructive_apnea")
AROUSAL = EVENT_TYPES.index("arousal")


def entropy(logit: float, target: float) -> float:
    chance = 1 / (1 + np.exp(-logit))
    return float(-target * np.log(chance) - (1 - target) * np.log(1 - chance))


def test_an_apnea_of_15_s_fills_half_its_epoch_and_what_no_channel_shows_is_unknown(stores: tuple[Path, ...]):
    study = open_study(stores[0])
    facts = study.facts(8)
    whole = event_shares(facts, restrict(facts, WHOLE))
    assert whole[APNEA] == pytest.approx(0.5)
    assert whole[AROUSAL] == 0.0
    eeg = event_shares(facts, restrict(facts, frozenset({"EEG_C3"})))
    assert eeg[APNEA] == losses.IGNORE
    assert eeg[AROUSAL] == 0.0
    unscored = replace(facts, events=(), events_scored=False)
    assert (event_shares(unscored, unscored) == losses.IGNORE).all()


def test_the_head_learns_presence_and_share_and_skips_the_unknown():
    torch.manual_seed(0)
    head = EventHead(4)
    signal = torch.nn.functional.normalize(torch.randn(2, 4), dim=1)
    shares = torch.full((2, len(EVENT_TYPES)), float(losses.IGNORE))
    shares[0, APNEA], shares[1, AROUSAL] = 0.25, 0.0
    presence, share = (x.detach().numpy() for x in head(signal))
    wanted = [
        entropy(presence[0, APNEA], 1.0) + entropy(share[0, APNEA], 0.25),
        entropy(presence[1, AROUSAL], 0.0) + entropy(share[1, AROUSAL], 0.0),
    ]
    assert head_loss(head, signal, shares).item() == pytest.approx(np.mean(wanted), rel=1e-5)
    assert head_loss(head, signal, torch.full_like(shares, losses.IGNORE)).item() == 0.0


def test_prompts_with_and_without_an_event_are_two_classes():
    rng = np.random.default_rng(0)
    signal = rng.standard_normal((2, 5))
    anchors = rng.standard_normal((len(EVENT_TYPES), 2, 5))
    shares = np.full((2, len(EVENT_TYPES)), float(losses.IGNORE))
    shares[0, APNEA], shares[1, APNEA] = 0.3, 0.0
    evidence = 2.0 * (signal @ anchors[APNEA, 0] - signal @ anchors[APNEA, 1])
    wanted = (entropy(evidence[0], 1.0) + entropy(evidence[1], 0.0)) / 2
    found = prompt_loss(torch.tensor(signal), torch.tensor(anchors), torch.tensor(shares), torch.tensor(np.log(2.0)))
    assert found.item() == pytest.approx(wanted, rel=1e-6)


def test_anchors_of_a_step_are_a_few_sentences_and_all_of_them_without_one():
    config = preset("tiny")
    texts = [text for pair in event_prompts().values() for side in pair for text in side]
    tokenizer = train_tokenizer(texts, config.vocab_size, config.context_length)
    anchors = EventAnchors(tokenizer, torch.device("cpu"))
    assert len(anchors.ids) == len(texts)
    torch.manual_seed(0)
    model = SleepLM(replace(config, vocab_size=tokenizer.vocab_size))
    with torch.no_grad():
        every, some, again = anchors.embed(model), anchors.embed(model, 3), anchors.embed(model, 3)
        first = model.encode_text(anchors.ids[: len(anchors.sides[0])])[0].mean(dim=0)
    assert every.shape == (len(EVENT_TYPES), 2, config.embed_dim)
    assert torch.allclose(every[0, 0], torch.nn.functional.normalize(first, dim=0), atol=1e-6)
    assert torch.equal(some, again)
    assert not torch.equal(some, every)


def test_a_run_with_event_terms_learns_and_resumes(stores: tuple[Path, ...], tmp_path: Path):
    options = TrainOptions(
        stores=stores,
        out=tmp_path / "run",
        preset="tiny",
        device="cpu",
        threads=1,
        batch_size=8,
        max_steps=6,
        held_out=0.3,
        validate_steps=1000,
        validation_epochs=8,
        checkpoint_minutes=0.0,
        weights=LossWeights(caption=0.0, reconstruction=0.0, events=1.0, event_prompts=1.0),
    )
    whole = [e.losses for e in train(options) if isinstance(e, TrainStep)]
    assert {"events", "event_prompts"} < set(whole[0])
    other = replace(options, out=tmp_path / "other")
    running = train(other)
    for event in running:
        if isinstance(event, TrainStep) and event.step == 4:
            break
    running.close()
    assert [e.losses for e in train(other) if isinstance(e, TrainStep)] == whole[3:]
