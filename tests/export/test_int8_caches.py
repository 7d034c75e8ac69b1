"""Keys and values in int8: what they change, that no bit depends on the batch, and the bundles that have them."""

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from core.inference.beams import beam_search
from core.inference.bundle import load_bundle
from core.inference.decoding import DecodeOptions, greedy
from core.inference.engine import Engine
from export.caption_decoder import cache_names, prefill, step
from export.graphs import graphs
from export.int8_caches import cache_scales, with_int8_caches
from export.publish import ExportOptions, export_run
from export.to_onnx import save_graphs
from export.verify import effect
from tests.export.test_to_onnx import network, state_of
from training.model import SleepLM


@pytest.fixture(scope="module")
def model() -> SleepLM:
    return network("wide heads")


@pytest.fixture(scope="module")
def folder(model: SleepLM, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The decoder's graphs over int8 caches, with float32 weights."""
    out = tmp_path_factory.mktemp("caches")
    scales = cache_scales(model, graphs(model))
    save_graphs({"decoder_prefill": prefill(model, scales), "decoder_step": step(model, scales)}, out)
    return out


def test_every_growing_cache_has_a_scale_that_its_numbers_need(model: SleepLM) -> None:
    scales = cache_scales(model, graphs(model))
    assert list(scales) == list(cache_names(model.config, ("text", "self")))
    shape = (1, model.config.heads, 1, model.config.head_width)
    assert all(scale.shape == shape and (scale > 0).all() for scale in scales.values())
    spread = model.text.blocks[0].attention.key.weight.norm(dim=1)  # of keys of rows with variance 1
    assert (scales["text_k_0"].ravel() * 127 > 0.5 * spread.numpy()).all()


def test_a_step_computes_what_torch_computes_over_rounded_caches(model: SleepLM, folder: Path) -> None:
    found = with_int8_caches(model, graphs(model), cache_scales(model, graphs(model)))
    for graph in found:
        if graph.name.startswith("decoder"):  # torch rounds a token's own keys and values after the step
            assert effect(graph, folder / f"{graph.name}.onnx") < 0.03


def test_token_by_token_comes_to_what_float_caches_give(model: SleepLM, folder: Path, tmp_path: Path) -> None:
    floats = state_of(model, tmp_path, 3, 32)
    scales = cache_scales(model, graphs(model))
    rounded = {
        name: np.round(cache / scales[name]).astype(np.int8) if name in scales else cache
        for name, cache in floats.items()
    }
    ids = np.random.default_rng(5).integers(3, model.config.vocab_size, (3, 15))
    shared = {"text": np.arange(3), "token_bias": np.zeros((1, model.config.vocab_size), np.float32)}
    feeds = {"token_ids": ids, "position": np.zeros(3, np.int64), **shared, **floats}
    (expected,) = ort.InferenceSession(tmp_path / "decoder_step.onnx").run(["logits"], feeds)
    session = ort.InferenceSession(folder / "decoder_step.onnx")
    names = [value.name for value in session.get_outputs()]
    for place in range(15):
        feeds = {"token_ids": ids[:, place : place + 1], "position": np.full(3, place), **shared, **rounded}
        made = dict(zip(names, session.run(None, feeds), strict=True))
        rounded |= {name.removeprefix("next_"): made[name] for name in names if name.startswith("next_")}
        wanted = expected.reshape(3, 15, -1)[:, place]
        assert np.sqrt(np.square(made["logits"] - wanted).mean() / np.square(wanted).mean()) < 0.03


def test_no_bit_depends_on_the_batch_or_on_the_room_in_the_caches(model: SleepLM, folder: Path) -> None:
    scales = cache_scales(model, graphs(model))
    graph = next(one for one in with_int8_caches(model, graphs(model), scales) if one.name == "decoder_step")
    feeds = {name: tensor.numpy() for name, tensor in graph.inputs(6, 9).items()}
    feeds["text"] = np.arange(6) % len(feeds["token_ids"])
    session = ort.InferenceSession(folder / "decoder_step.onnx")
    names = [value.name for value in session.get_outputs()]
    together = dict(zip(names, session.run(None, feeds), strict=True))
    for row in range(6):
        some = dict(feeds) | {"text": feeds["text"][row : row + 1]}
        for name, value in feeds.items():
            if name.startswith(("self", "cross")):
                some[name] = value[row : row + 1]
            if name.startswith(("self", "text_")):
                some[name] = np.pad(some[name], ((0, 0), (0, 0), (0, 32), (0, 0)), constant_values=77)
        alone = session.run(["logits", "chance"], some)
        np.testing.assert_array_equal(alone[0][0], together["logits"][row])
        np.testing.assert_array_equal(alone[1][0], together["chance"][row])


@pytest.fixture(scope="module")
def bundles(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One run in float32 and in int8, its network taken for a large one."""
    out = tmp_path_factory.mktemp("bundles")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("export.int8_caches.LARGE", 0)
        for precision in ("fp32", "int8"):
            list(export_run(run_folder, out / precision, ExportOptions(precision=precision, least_agreement=0)))
    return out / "fp32", out / "int8"


def test_a_large_network_in_int8_keeps_a_quarter_of_the_bytes_of_its_captions(bundles: tuple[Path, Path]) -> None:
    engines = [Engine(load_bundle(folder), "cpu", threads=1) for folder in bundles]
    assert [engine.bundle.description.get("caches") for engine in engines] == [None, "int8"]
    tokens = np.random.default_rng(0).standard_normal((2, engines[0].bundle.decoder_tokens, 32)).astype(np.float32)
    states = [engine.decoder.start(tokens, np.array([0, 1]), np.array([0, 4]), 12) for engine in engines]
    sizes = [sum(value.numpy().nbytes for key, value in state.caches.items() if "cross" not in key) for state in states]
    assert sizes[0] == 4 * sizes[1]


def test_its_texts_are_the_same_in_any_batch_and_begin_as_in_float32(bundles: tuple[Path, Path]) -> None:
    float32, int8 = (Engine(load_bundle(folder), "cpu", threads=1) for folder in bundles)
    tokens = np.random.default_rng(1).standard_normal((7, int8.bundle.decoder_tokens, 32)).astype(np.float32)
    domains = np.arange(7) % 5
    whole = greedy(int8, tokens, domains)
    for rows in (1, 3):
        for one, other in zip(whole, greedy(int8, tokens, domains, DecodeOptions(rows=rows)), strict=True):
            assert one.ids.tobytes() == other.ids.tobytes()
            assert one.probabilities.tobytes() == other.probabilities.tobytes()
    full = greedy(float32, tokens, domains)
    assert sum(ours.ids[:1].tolist() == theirs.ids[:1].tolist() for ours, theirs in zip(whole, full, strict=True)) >= 5
    assert any(len(text.ids) > 1 for text in whole)


def test_beams_go_over_int8_caches_and_a_single_one_is_greedy(bundles: tuple[Path, Path]) -> None:
    engine = Engine(load_bundle(bundles[1]), "cpu", threads=1)
    tokens = np.random.default_rng(2).standard_normal((4, engine.bundle.decoder_tokens, 32)).astype(np.float32)
    plain = greedy(engine, tokens, np.arange(4))
    single = beam_search(engine, tokens, np.arange(4), 1)
    assert [text.ids.tolist() for text in single] == [text.ids.tolist() for text in plain]
    three = beam_search(engine, tokens, np.arange(4), 3)
    alone = [beam_search(engine, tokens[row : row + 1], [row], 3)[0] for row in range(4)]
    assert [text.ids.tolist() for text in three] == [text.ids.tolist() for text in alone]
