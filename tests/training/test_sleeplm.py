"""Parity with the published network, against the numbers in ../shared/parity."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from core.errors import ModelError
from training.config import preset
from training.model import SleepLM
from training.sleeplm import config_of, confirm, from_published, read_checkpoint, to_published

PARITY = Path(__file__).resolve().parents[2].parent / "shared" / "parity"
TINY = PARITY / "sleeplm_tiny_a"
START, END, LENGTH, MIN_LENGTH = 298, 299, 16, 4
Published = dict[str, Tensor]

needs_parity = pytest.mark.skipif(not TINY.is_dir(), reason="../shared/parity is not here")


@pytest.fixture(scope="module")
def model() -> SleepLM:
    return from_published(read_checkpoint(TINY / "model_checkpoint.pt"))


@pytest.fixture(scope="module")
def expected() -> Published:
    return load_file(TINY / "expected.safetensors")


@pytest.fixture
def published() -> Published:
    """A published checkpoint's tensors at toy size, made from nothing."""
    torch.manual_seed(0)
    sizes = {
        "width": 16, "heads": 2, "conv_width": 8, "patch_size": 96, "signal_blocks": 1, "text_layers": 1,
        "decoder_layers": 1, "embed_dim": 8, "decoder_tokens": 3, "context_length": 12, "vocab_size": 40,
    }  # fmt: skip
    config = preset("sleeplm-base")
    return {k: v.clone() for k, v in to_published(SleepLM(type(config)(**(vars(config) | sizes)))).items()}


def test_the_preset_has_exactly_the_published_tensors() -> None:
    table = PARITY / "sleeplm_base_state_dict.tsv"
    if not table.is_file():
        pytest.skip("../shared/parity is not here")
    listed = dict(line.split("\t")[:2] for line in table.read_text().splitlines())
    with torch.device("meta"):
        model = SleepLM(preset("sleeplm-base"))
    ours = {name: str(tuple(tensor.shape)) for name, tensor in to_published(model).items()}
    assert len(listed) == 585
    assert ours == listed
    assert config_of(to_published(model)) == preset("sleeplm-base")


@needs_parity
def test_features_and_reconstruction_are_the_published_ones(model: SleepLM, expected: Published) -> None:
    with torch.no_grad():
        embedding, tokens = model.encode_signal(expected["signals"])
        text_embedding, _ = model.encode_text(expected["token_ids"])
        reconstructed = model.reconstruct(tokens)
    for ours, name in (
        (embedding, "signal_features"),
        (tokens, "decoder_tokens"),
        (text_embedding, "text_features"),
        (reconstructed, "reconstructed"),
        (model.logit_scale.exp()[None], "logit_scale"),
    ):
        torch.testing.assert_close(ours, expected[name], atol=1e-4, rtol=0)


@needs_parity
@pytest.mark.parametrize("domain", range(5))
def test_logits_are_the_published_ones(model: SleepLM, expected: Published, domain: int) -> None:
    with torch.no_grad():
        _, rows = model.encode_text(expected["token_ids"])
        logits = model.decode(rows, expected["decoder_tokens"], torch.full((4,), domain))
    torch.testing.assert_close(logits[:, :-1], expected[f"logits.{domain}"], atol=1e-4, rtol=0)


def greedy(next_logits: Callable[[Tensor], Tensor], batch: int) -> Tensor:
    """Decode as DESIGN.md says that the fixture was decoded."""
    ids = torch.full((batch, 1), START)
    while ids.shape[1] < LENGTH:
        logits = next_logits(ids).clone()
        if ids.shape[1] < MIN_LENGTH:
            logits[:, END] = -torch.inf
        token = logits.argmax(dim=-1)
        if ids.shape[1] == LENGTH - 1:
            token[:] = END
        token[((ids[:, 1:] == END) | (ids[:, 1:] == 0)).any(dim=1)] = 0
        ids = torch.cat((ids, token[:, None]), dim=1)
    return ids


@needs_parity
@pytest.mark.parametrize("domain", range(5))
@torch.no_grad()
def test_greedy_tokens_are_the_published_ones_with_and_without_the_cache(
    model: SleepLM, expected: Published, domain: int
) -> None:
    tokens, domains = expected["decoder_tokens"], torch.full((4,), domain)
    states: list[Any] = []

    def uncached(ids: Tensor) -> Tensor:
        return model.decode(model.encode_text(ids)[1], tokens, domains)[:, -1]

    def cached(ids: Tensor) -> Tensor:
        position = ids.shape[1] - 1
        if position == 0:
            logits, state = model.prefill(tokens, domains, ids)
        else:
            logits, state = model.step(ids[:, -1:], torch.tensor(position), states[-1])
        states.append(state)
        return logits

    assert torch.equal(greedy(uncached, 4), expected[f"greedy.{domain}"])
    assert torch.equal(greedy(cached, 4), expected[f"greedy.{domain}"])


@needs_parity
def test_the_published_sizes_file_is_confirmed_and_a_false_one_refused(model: SleepLM) -> None:
    stated = json.loads((TINY / "config.json").read_text())
    confirm(model.config, stated)
    with pytest.raises(ModelError, match="heads is 8, but the checkpoint's tensors say 4"):
        confirm(model.config, stated | {"heads": 8})


def test_a_network_survives_the_published_form(published: Published) -> None:
    again = to_published(from_published(published))
    assert list(again) == list(published)
    assert all(torch.equal(again[name], published[name]) for name in published)


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.module."])
def test_a_file_is_read_with_any_wrapper_and_other_entries(tmp_path: Path, published: Published, prefix: str) -> None:
    path = tmp_path / "model_checkpoint.pt"
    torch.save({"epoch": 7, "state_dict": {prefix + name: x for name, x in published.items()}}, path)
    assert read_checkpoint(path).keys() == published.keys()


def test_the_reconstruction_head_may_be_absent_but_not_halved(published: Published) -> None:
    head = [name for name in published if name.startswith("signal_decoder.")]
    without = {name: x for name, x in published.items() if name not in head}
    assert from_published(without).config.reconstruction is False
    with pytest.raises(ModelError, match=r"lacks signal_decoder\.to_signal\.0\.bias"):
        from_published({name: x for name, x in published.items() if name != "signal_decoder.to_signal.0.bias"})


def test_a_partial_checkpoint_is_refused_with_the_first_differing_names(published: Published) -> None:
    lost = [name for name in published if "text_decoder.cross_attn.0.mlp" in name]
    partial = {name: x for name, x in published.items() if name not in lost}
    with pytest.raises(ModelError) as refusal:
        from_published(partial)
    assert lost[0] in str(refusal.value)
    assert "and 1 more" in str(refusal.value)
    with pytest.raises(ModelError, match=r"besides adapter\.weight"):
        from_published(published | {"adapter.weight": torch.zeros(2)})
    name = "text.transformer.resblocks.0.mlp.c_proj.weight"
    with pytest.raises(ModelError, match=r"c_proj\.weight .* instead of"):
        from_published(published | {name: torch.zeros(16, 8)})
    with pytest.raises(ModelError, match="not a SleepLM: it lacks biosignals"):
        from_published({"conv1.weight": torch.zeros(2, 2)})


def test_shared_tensors_must_agree(published: Published) -> None:
    name = "biosignals.transformer_blocks.0.channel_attention.rotary_emb.freqs"
    with pytest.raises(ModelError, match=r"rotary_emb\.freqs differs"):
        from_published(published | {name: published[name] + 1})


class _Command:
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return (Path.touch, (Path("executed"),))


def test_pickled_code_is_refused_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "evil.pt"
    torch.save({"state_dict": _Command()}, path)
    with pytest.raises(ModelError, match="cannot be read as a checkpoint of plain tensors"):
        read_checkpoint(path)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", bytes(range(256)) * 40])
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.pt"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="cannot be read"):
        read_checkpoint(path)


def test_a_cut_file_and_a_missing_file_are_refused(tmp_path: Path, published: Published) -> None:
    path = tmp_path / "cut.pt"
    torch.save({"state_dict": published}, path)
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(ModelError, match="cannot be read"):
        read_checkpoint(path)
    with pytest.raises(ModelError, match="no checkpoint"):
        read_checkpoint(tmp_path / "absent.pt")
