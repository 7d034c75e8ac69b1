"""Graphs of networks of several kinds: the same numbers as torch, the runtime's signature, rows that stand alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from numpy.typing import NDArray

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
        "decoder_tokens": ("float", ["batch", 4, 32]),
        "domain": ("int64", ["batch"]),
        "token_ids": ("int64", ["batch", 1]),
    }
    text, own, cross = (("float", [1, "batch", 2, rows, 16]) for rows in ("text_rows", "decoder_rows", 4))
    caches = {"text_k": text, "text_v": text, "self_k": own, "self_v": own, "cross_k": cross, "cross_v": cross}
    assert inputs["decoder_step"] == {"token_ids": ("int64", ["batch", 1]), "position": ("int64", []), **caches}
    assert list(outputs["decoder_prefill"]) == ["logits", *caches]
    assert list(outputs["decoder_step"]) == ["logits", "next_text_k", "next_text_v", "next_self_k", "next_self_v"]
    assert outputs["signal_encoder"] == {
        "embedding": ("float", ["batch", 32]),
        "decoder_tokens": ("float", ["batch", 4, 32]),
    }
    assert outputs["reconstruction"] == {"signals": ("float", ["batch", 11, 1920])}


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
        axes = [value.shape.index("batch") for value in session.get_outputs()]
        results.append([np.take(x, rows.index(4), axis) for x, axis in zip(outputs, axes, strict=True)])
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
