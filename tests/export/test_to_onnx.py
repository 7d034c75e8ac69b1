"""Graphs of networks of several kinds: the same numbers as torch, the runtime's signature, rows that stand alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from numpy.typing import NDArray

from export.caption_decoder import cache_names
from export.graphs import Graph, graphs
from export.publish import BundleFacts, ExportEvent, ExportOptions, publish
from export.quantize import quantize
from export.to_onnx import save_graphs, to_onnx
from export.verify import verify
from training.config import preset
from training.model import SleepLM

Exported = tuple[Path, list[ExportEvent]]
KINDS = {
    "spectrum": replace(preset("tiny"), spectrum=True),
    "as published": replace(preset("tiny"), missing_token=False, channels=preset("tiny").channels[:10]),
    "several layers": replace(
        preset("tiny"), signal_blocks=2, text_layers=3, decoder_layers=2, heads=4, decoder_tokens=1, context_length=20
    ),
    "wide heads": replace(preset("tiny"), text_layers=2, decoder_layers=2, context_length=24),
    "shown more than signals": replace(
        preset("tiny"), measured=("heart_rate_mean", "spo2_min", "position"), courses=("arousal", "spo2_decreasing")
    ),
    "no reconstruction": replace(preset("tiny"), reconstruction=False, patch_size=384, mlp_ratio_text=1.5),
}


def network(kind: str) -> SleepLM:
    """A network whose learned vectors and norms are all off their first values."""
    torch.manual_seed(3)
    model = SleepLM(KINDS[kind]).eval().requires_grad_(False)
    for parameter in model.parameters():
        parameter += 0.05 * torch.randn_like(parameter)
    return model


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_network_gives_what_torch_gives(kind: str, tmp_path: Path) -> None:
    model = network(kind)
    found = graphs(model)
    save_graphs({graph.name: to_onnx(graph.name, model) for graph in found}, tmp_path)
    assert {path.stem for path in tmp_path.glob("*.onnx")} == {graph.name for graph in found}
    assert len(found) == 5 - (kind == "no reconstruction")
    for graph in found:
        assert verify(graph, tmp_path / f"{graph.name}.onnx", model.config.context_length) < 5e-5


def signature(values: list[ort.NodeArg]) -> dict[str, tuple[str, list[int | str]]]:
    return {value.name: (value.type.removeprefix("tensor(").removesuffix(")"), value.shape) for value in values}


def test_the_signature_is_the_one_that_the_runtime_binds(exported: Exported) -> None:
    sessions = {path.stem: ort.InferenceSession(path) for path in exported[0].glob("*.onnx")}
    inputs = {name: signature(session.get_inputs()) for name, session in sessions.items()}
    outputs = {name: signature(session.get_outputs()) for name, session in sessions.items()}
    assert inputs["signal_encoder"] == {"signals": ("float", ["batch", 11, 1920]), "present": ("float", ["batch", 11])}
    assert inputs["text_encoder"] == {"token_ids": ("int64", ["batch", "length"])}
    assert inputs["decoder_prefill"] == {
        "decoder_tokens": ("float", ["epochs", 4, 32]),
        "domain": ("int64", ["batch"]),
        "epoch": ("int64", ["batch"]),
    }
    rows = {"text": "text_rows", "self": "decoder_rows", "cross": 4}
    owners = {"text": "texts", "self": "batch", "cross": "batch"}
    caches = {f"{name}_{part}_0": ("float", [owners[name], 2, rows[name], 16]) for name in rows for part in "kv"}
    assert inputs["decoder_step"] == {
        "token_ids": ("int64", ["texts", "tokens"]),
        "position": ("int64", ["texts"]),
        "text": ("int64", ["batch"]),
        "token_bias": ("float", [1, 512]),
        **caches,
    }
    assert list(outputs["decoder_prefill"]) == ["self_k_0", "self_v_0", "cross_k_0", "cross_v_0"]
    growing = [f"next_{name}" for name in caches if not name.startswith("cross")]
    assert list(outputs["decoder_step"]) == ["logits", "token", "chance", *growing]
    assert outputs["decoder_step"]["token"] == ("int64", ["batch", "tokens"])
    assert outputs["signal_encoder"] == {
        "embedding": ("float", ["batch", 32]),
        "decoder_tokens": ("float", ["batch", 4, 32]),
    }
    assert outputs["reconstruction"] == {"signals": ("float", ["batch", 11, 1920])}


def state_of(model: SleepLM, folder: Path, captions: int, rows: int) -> dict[str, NDArray[np.float32]]:
    """The caches of captions that have begun, beside the graph of a step in `folder`."""
    save_graphs({name: to_onnx(name, model) for name in ("decoder_prefill", "decoder_step")}, folder)
    graph = next(graph for graph in graphs(model) if graph.name == "decoder_prefill")
    session = ort.InferenceSession(folder / "decoder_prefill.onnx")
    made = session.run(None, {name: tensor.numpy() for name, tensor in graph.inputs(captions, 1).items()})
    caches = {value.name: array for value, array in zip(session.get_outputs(), made, strict=True)}
    for name in cache_names(model.config, ("text", "self")):
        whole = np.zeros((captions, model.config.heads, rows, model.config.head_width), np.float32)
        if name in caches:
            whole[:, :, :2] = caches[name]
        caches[name] = whole
    return {name: caches[name] for name in cache_names(model.config)}


def test_no_bit_depends_on_how_many_tokens_a_step_takes_or_on_the_room_in_its_caches(tmp_path: Path) -> None:
    model = network("several layers")
    ids = np.random.default_rng(1).integers(3, model.config.vocab_size, (5, 17))
    results = []
    for widths, rows in (((17,), 32), ((1,) * 17, 64), ((4, 1, 9, 3), 32), ((2, 15), 96)):
        caches = state_of(model, tmp_path, 5, rows)
        session = ort.InferenceSession(tmp_path / "decoder_step.onnx")
        names = [value.name for value in session.get_outputs()]
        position, logits = np.zeros(5, np.int64), []
        bias = np.zeros((1, model.config.vocab_size), np.float32)
        for width in widths:
            some = ids[:, position[0] : position[0] + width]
            feeds = {"token_ids": some, "position": position, "text": np.arange(5), "token_bias": bias, **caches}
            made = dict(zip(names, session.run(None, feeds), strict=True))
            caches |= {name.removeprefix("next_"): made[name] for name in names if name.startswith("next_")}
            logits.append(made["logits"].reshape(5, width, -1))
            position = position + width
        results.append(np.concatenate(logits, axis=1))
    assert all(np.array_equal(results[0], other) for other in results[1:])


def test_captions_at_different_positions_share_a_step(tmp_path: Path) -> None:
    model = network("several layers")
    caches = state_of(model, tmp_path, 3, 32)
    session = ort.InferenceSession(tmp_path / "decoder_step.onnx")
    feeds = {
        "token_ids": np.array([[7, 8, 9]] * 3),
        "position": np.array([0, 0, 0]),
        "text": np.arange(3),
        "token_bias": np.zeros((1, model.config.vocab_size), np.float32),
        **caches,
    }
    names = [value.name for value in session.get_outputs()]
    first = dict(zip(names, session.run(None, feeds), strict=True))
    held = {name.removeprefix("next_"): first[name] for name in names if name.startswith("next_")}
    again = {**feeds, **held, "token_ids": np.array([[7], [8], [9]]), "position": np.array([0, 1, 2])}
    logits = session.run(["logits"], again)[0]  # each caption goes on from another of its tokens
    for row, before in enumerate(first["logits"].reshape(3, 3, -1)):
        np.testing.assert_allclose(logits[row], before[row], atol=1e-6)


def test_no_bit_depends_on_whether_captions_share_a_text(tmp_path: Path) -> None:
    model = network("several layers")
    caches = state_of(model, tmp_path, 4, 32)
    session = ort.InferenceSession(tmp_path / "decoder_step.onnx")
    names = [value.name for value in session.get_outputs()]
    of = np.array([1, 0, 1, 1])  # four captions of two texts
    ids = np.array([[7, 8, 9], [11, 12, 13]])
    bias = np.zeros((1, model.config.vocab_size), np.float32)
    apart = {"token_ids": ids[of], "position": np.zeros(4, np.int64), "text": np.arange(4), "token_bias": bias}
    alone = dict(zip(names, session.run(None, apart | caches), strict=True))
    held = {name: cache[:2] if name.startswith("text") else cache for name, cache in caches.items()}
    shared = {"token_ids": ids, "position": np.zeros(2, np.int64), "text": of, "token_bias": bias}
    together = dict(zip(names, session.run(None, shared | held), strict=True))
    for name, array in together.items():
        np.testing.assert_array_equal(array[of] if name.startswith("next_text") else array, alone[name])


def taken(graph: Graph, feeds: dict[str, NDArray[np.generic]], rows: list[int]) -> dict[str, NDArray[np.generic]]:
    axes = {name: next((axis for axis, label in graph.axes[name].items() if label == "batch"), None) for name in feeds}
    return {k: x if axes[k] is None else np.take(x, rows, axis=axes[k]) for k, x in feeds.items()}


@pytest.mark.parametrize(
    "name", ["signal_encoder", "text_encoder", "decoder_prefill", "decoder_step", "reconstruction"]
)
def test_no_bit_of_a_row_depends_on_its_batch_or_on_threads(name: str, tmp_path: Path) -> None:
    model = network("spectrum")
    graph = next(graph for graph in graphs(model) if graph.name == name)
    save_graphs({name: to_onnx(name, model)}, tmp_path)
    feeds = {key: tensor.numpy() for key, tensor in graph.inputs(9, 12).items()}
    results = []
    for threads, rows in ((1, list(range(9))), (2, list(range(9))), (1, [4]), (2, [8, 4, 0])):
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        session = ort.InferenceSession(tmp_path / f"{name}.onnx", options)
        outputs = session.run(None, taken(graph, feeds, rows))
        shapes = [value.shape for value in session.get_outputs()]  # what belongs to a text is the same for all
        of_batch = [(x, shape.index("batch")) for x, shape in zip(outputs, shapes, strict=True) if "batch" in shape]
        results.append([np.take(x, rows.index(4), axis) for x, axis in of_batch])
    for others in results[1:]:
        assert all(np.array_equal(one, other) for one, other in zip(results[0], others, strict=True))


def test_padding_columns_change_nothing(exported: Exported) -> None:
    session = ort.InferenceSession(exported[0] / "text_encoder.onnx")
    ids = np.array([[1, 7, 9, 2], [1, 2, 0, 0]])
    (short,) = session.run(None, {"token_ids": ids})
    (long,) = session.run(None, {"token_ids": np.pad(ids, ((0, 0), (0, 30)))})
    np.testing.assert_allclose(long, short, atol=1e-6)


def test_float16_and_int8_keep_the_spectrum_exact(tmp_path: Path) -> None:
    model = network("spectrum")
    facts = BundleFacts("sleepcli", True, ("a",) * 5, None)
    for event in publish(model, facts, tmp_path / "half", ExportOptions(precision="fp16")):
        assert event.difference is None or event.difference < 5e-5
    graph = to_onnx("signal_encoder", model)
    quantize(graph)
    products = [node.inputs[1] for node in graph.graph if node.op_type in ("MatMul", "Gemm")]
    kept = {value.name for value in products if value is not None and value.is_initializer()}
    assert kept == {"signal.fourier.cosine", "signal.fourier.sine"}


def test_the_same_network_makes_the_same_bytes(tmp_path: Path) -> None:
    written = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        model = network("several layers")
        save_graphs({graph.name: to_onnx(graph.name, model) for graph in graphs(model)}, folder)
        written.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert written[0] == written[1]
