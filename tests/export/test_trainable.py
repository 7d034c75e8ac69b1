"""A bundle that carries its weights, from which a run can begin."""

import json
from pathlib import Path

import pytest
import torch

from core.errors import UsageError
from core.inference.bundle import load_bundle
from core.language.tokenizer import train_tokenizer
from export.publish import ExportOptions, export_run
from training.checkpoint import write_weights
from training.config import preset
from training.model import SleepLM
from training.start import read_start


@pytest.fixture
def run(tmp_path: Path) -> Path:
    config = preset("tiny")
    folder = tmp_path / "run"
    folder.mkdir()
    torch.manual_seed(0)
    write_weights(folder / "model.safetensors", SleepLM(config).state_dict())
    train_tokenizer(["The stage is Wake."], config.vocab_size, config.context_length).save(folder / "tokenizer.json")
    (folder / "meta.json").write_text(json.dumps({"config": config.to_json(), "slots": True}), encoding="utf-8")
    return folder


def test_a_run_begins_from_a_bundle_with_its_weights_as_from_the_run(run: Path, tmp_path: Path):
    list(export_run(run, tmp_path / "bundle", ExportOptions(trainable=True)))
    described = load_bundle(tmp_path / "bundle").description["trainable"]
    assert described["bytes"] == (tmp_path / "bundle" / "model.safetensors").stat().st_size
    mine, theirs = read_start(tmp_path / "bundle"), read_start(run)
    assert mine.config == theirs.config
    assert mine.tokenizer.read_bytes() == theirs.tokenizer.read_bytes()
    assert all(torch.equal(mine.weights[name], value) for name, value in theirs.weights.items())


def test_a_bundle_without_its_weights_is_refused_in_a_sentence(run: Path, tmp_path: Path):
    list(export_run(run, tmp_path / "bundle"))
    with pytest.raises(UsageError, match="does not carry its weights"):
        read_start(tmp_path / "bundle")
