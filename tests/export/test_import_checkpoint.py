"""The published network through import and ONNX Runtime, against the numbers in ../shared/parity."""

import json
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file

from core.errors import ModelError, UsageError
from core.inference.bundle import load_bundle
from core.inference.engine import Engine
from export.import_checkpoint import ImportOptions, import_checkpoint

PARITY = Path(__file__).resolve().parents[2].parent / "shared" / "parity" / "sleeplm_tiny_a"
LENGTH, MIN_LENGTH = 16, 4
Arrays = dict[str, NDArray[np.generic]]

pytestmark = pytest.mark.skipif(not PARITY.is_dir(), reason="../shared/parity is not here")


@pytest.fixture(scope="module")
def expected() -> Arrays:
    return load_file(PARITY / "expected.safetensors")


@pytest.fixture(scope="module")
def sessions(imported: Path) -> dict[str, ort.InferenceSession]:
    return {path.stem: ort.InferenceSession(path) for path in imported.glob("*.onnx")}


def test_features_and_reconstruction(sessions: dict[str, ort.InferenceSession], expected: Arrays) -> None:
    embedding, tokens = sessions["signal_encoder"].run(None, {"signals": expected["signals"]})
    (text,) = sessions["text_encoder"].run(None, {"token_ids": expected["token_ids"]})
    (signals,) = sessions["reconstruction"].run(None, {"decoder_tokens": tokens})
    np.testing.assert_allclose(embedding, expected["signal_features"], atol=1e-3)
    np.testing.assert_allclose(tokens, expected["decoder_tokens"], atol=1e-3)
    np.testing.assert_allclose(text, expected["text_features"], atol=1e-3)
    np.testing.assert_allclose(signals, expected["reconstructed"], atol=1e-3)


class Decoder:
    """The cached graphs, one token at a time."""

    def __init__(self, imported: Path, tokens: NDArray[np.float32], domain: int) -> None:
        self.engine = Engine(load_bundle(imported), "cpu")
        count = len(tokens)
        self.state = self.engine.decoder.start(tokens, np.arange(count), np.full(count, domain), 8)

    def __call__(self, ids: NDArray[np.int64], position: int) -> NDArray[np.float32]:
        logits = self.engine.decoder.step(self.state, ids, np.full(len(ids), position), logits=True).logits
        assert logits is not None
        return logits[:, 0]


@pytest.mark.parametrize("domain", range(5))
def test_logits(imported: Path, expected: Arrays, domain: int) -> None:
    """Row 0 fills the context, so that the cached path, which knows no padding, covers every row of it."""
    decoder = Decoder(imported, expected["decoder_tokens"], domain)
    ids = expected["token_ids"]
    logits = np.stack([decoder(ids[:, at : at + 1], at) for at in range(ids.shape[1] - 1)], axis=1)
    for row, length in enumerate((ids != 0).sum(axis=1)):
        shown = slice(0, length)
        np.testing.assert_allclose(logits[row, shown], expected[f"logits.{domain}"][row, shown], atol=1e-3)


@pytest.mark.parametrize("domain", range(5))
def test_greedy_tokens(expected: Arrays, imported: Path, domain: int) -> None:
    tokens = json.loads((imported / "bundle.json").read_text())["tokens"]
    decoder = Decoder(imported, expected["decoder_tokens"], domain)
    ids = np.full((4, 1), tokens["start"])
    while ids.shape[1] < LENGTH:
        logits = decoder(ids[:, -1:], ids.shape[1] - 1)
        if ids.shape[1] < MIN_LENGTH:
            logits[:, tokens["end"]] = -np.inf
        chosen = logits.argmax(axis=1)
        if ids.shape[1] == LENGTH - 1:
            chosen[:] = tokens["end"]
        chosen[((ids[:, 1:] == tokens["end"]) | (ids[:, 1:] == 0)).any(axis=1)] = 0
        ids = np.concatenate((ids, chosen[:, None]), axis=1)
    assert np.array_equal(ids, expected[f"greedy.{domain}"])


def test_the_bundle_is_of_the_published_kind_and_has_no_text_without_a_merge_table(imported: Path) -> None:
    bundle = load_bundle(imported)
    assert (bundle.kind, bundle.slots, bundle.has_present_input, bundle.tokenizer) == ("sleeplm", False, False, None)
    assert bundle.context_length == 40
    assert bundle.staging.temperature == pytest.approx(14.2857, abs=1e-3)


def refused(tmp_path: Path, checkpoint: Path, options: ImportOptions) -> str:
    with pytest.raises((ModelError, UsageError)) as refusal:
        list(import_checkpoint(checkpoint, tmp_path / "out", options))
    assert not (tmp_path / "out").exists()
    return str(refusal.value)


def test_what_does_not_fit_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    checkpoint = PARITY / "model_checkpoint.pt"
    sizes = tmp_path / "sizes.json"
    sizes.write_text(json.dumps({"text_layers": 12}))
    assert "text_layers is 12" in refused(tmp_path, checkpoint, ImportOptions(config=sizes))
    sizes.write_text("{")
    assert "not a JSON file" in refused(tmp_path, checkpoint, ImportOptions(config=sizes))
    assert "no configuration file" in refused(tmp_path, checkpoint, ImportOptions(config=tmp_path / "absent"))
    assert "no merge table" in refused(tmp_path, checkpoint, ImportOptions(merges=tmp_path / "absent"))
    merges = tmp_path / "merges.txt"
    merges.write_text("#version: 0.2\ni n\nt h\n")
    assert "makes 516 tokens, but the checkpoint has 300" in refused(tmp_path, checkpoint, ImportOptions(merges=merges))
    assert "no checkpoint" in refused(tmp_path, tmp_path / "absent.pt", ImportOptions())
    state = torch.load(checkpoint, weights_only=True)["state_dict"]
    state.pop("module.text.ln_final.bias")
    torch.save({"state_dict": state}, tmp_path / "partial.pt")
    assert "lacks text.ln_final.bias" in refused(tmp_path, tmp_path / "partial.pt", ImportOptions())
