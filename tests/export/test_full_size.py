"""The published network at its full size, with random weights in the published form: `pytest -m slow tests/export`."""

import json
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch

from core.inference.bundle import load_bundle
from core.inference.engine import Engine
from export.import_checkpoint import import_checkpoint
from training.config import preset
from training.model import SleepLM
from training.sleeplm import to_published


@pytest.mark.slow
def test_all_585_tensors_import_export_and_write(tmp_path: Path) -> None:
    torch.manual_seed(0)
    published = to_published(SleepLM(preset("sleeplm-base")))
    assert len(published) == 585
    checkpoint = tmp_path / "model_checkpoint.pt"
    torch.save({"epoch": 1, "state_dict": {f"module.{k}": x.contiguous() for k, x in published.items()}}, checkpoint)
    del published
    out = tmp_path / "sleeplm-base"
    events = list(import_checkpoint(checkpoint, out))
    checkpoint.unlink()
    assert events[-1].folder == out
    description = json.loads((out / "bundle.json").read_text())
    assert description["config"]["vocab_size"] == 49408
    assert 4 * 400e6 < description["weights"]["bytes"] < 4 * 403e6
    signals = np.random.default_rng(0).standard_normal((1, 10, 1920)).astype(np.float32)
    embedding, tokens = ort.InferenceSession(out / "signal_encoder.onnx").run(None, {"signals": signals})
    assert embedding.shape == (1, 512)
    engine = Engine(load_bundle(out), "cpu")
    state = engine.decoder.start(tokens, np.array([0]), np.array([4]), 12)
    ids = np.array([[49406]])
    for position in range(12):
        scores = engine.decoder.step(state, ids, np.array([position]), logits=True)
        assert scores.logits is not None
        assert np.isfinite(scores.logits).all()
        ids = scores.token
