"""Evaluation of a network, and captions scored by reading them back."""

from pathlib import Path

import pytest
import torch

from core.language.describe import DOMAINS, describe
from core.language.prompts import stage_prompts
from core.language.tokenizer import train_tokenizer
from training.config import preset
from training.evaluate import caption_figures, evaluate
from training.model import SleepLM
from training.studies import open_study


def test_the_templates_own_captions_are_perfect_and_those_of_other_epochs_are_not(stores: tuple[Path, ...]):
    study = open_study(stores[0])
    facts = [study.facts(epoch) for epoch in range(12)]
    for domain in DOMAINS:
        written = [describe(known, domain, 3, "numbers") for known in facts]
        found = caption_figures(written, facts, domain)
        assert (found.precision, found.recall) == (1.0, 1.0)
        assert found.true > 0
    stages = [describe(known, "stage_event", 3, "numbers") for known in facts]
    assert caption_figures(stages[1:] + stages[:1], facts, "stage_event").precision < 1.0


def test_a_random_network_is_near_chance_and_the_pool_is_stated(stores: tuple[Path, ...]):
    torch.manual_seed(0)
    tokenizer = train_tokenizer([t for texts in stage_prompts().values() for t in texts], 512, 64)
    model = SleepLM(preset("tiny")).train()
    found = evaluate(model, tokenizer, stores, {"temperature": 10.0, "prior": [0.2] * 5}, epochs=60)
    assert found.epochs == found.text_to_signal.pool == 60
    assert found.studies == 3
    assert abs(found.staging.kappa) < 0.4
    assert found.signal_to_text.recall[1] < 0.3
    assert found.kappa_interval[0] <= found.staging.kappa + 0.2
    assert model.training
    assert found.staging.accuracy == pytest.approx(found.staging.confusion.diagonal().sum() / 60)
