"""Smaller weights: how much they save, what they change, and that no row depends on its batch."""

from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import pytest
import torch
from numpy.typing import NDArray

from export.graphs import Graph, graphs
from export.publish import ExportEvent, load_model
from export.quantize import mix, quantize, rounded, store_half
from export.to_onnx import save_graphs
from export.verify import effect, verify
from training.config import preset
from training.model import SleepLM

NAMES = ("signal_encoder", "decoder_step")
Exported = tuple[Path, list[ExportEvent]]


@pytest.fixture(scope="module")
def model(run_folder: Path) -> SleepLM:
    return load_model(run_folder / "model.safetensors", preset("tiny"))


def by_name(model: SleepLM) -> dict[str, Graph]:
    return {graph.name: graph for graph in graphs(model) if graph.name in NAMES}


@pytest.fixture(scope="module")
def int8(exported: Exported, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("int8")
    models = {name: ir.load(exported[0] / f"{name}.onnx") for name in NAMES}
    for graph in models.values():
        quantize(graph)
    save_graphs(models, folder)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_int8_changes_a_few_percent(model: SleepLM, int8: Path, name: str) -> None:
    assert effect(by_name(model)[name], int8 / f"{name}.onnx") < 0.06


def test_int8_keeps_no_float_weights_of_products(int8: Path) -> None:
    graph = ir.load(int8 / "decoder_step.onnx").graph
    assert sum(node.op_type == "MatMulIntegerToFloat" for node in graph) > 10
    products = [node for node in graph if node.op_type in ("MatMul", "Gemm")]
    assert not any(node.inputs[1] is not None and node.inputs[1].is_initializer() for node in products)


@pytest.mark.parametrize("name", NAMES)
def test_mixed_keeps_weights_in_float16_and_three_digits(
    model: SleepLM, exported: Exported, tmp_path: Path, name: str
) -> None:
    graph = ir.load(exported[0] / f"{name}.onnx")
    mix(graph)
    kinds = {
        value.dtype
        for node in graph.graph
        if node.op_type in ("MatMul", "Gemm")
        for value in node.inputs
        if value is not None and value.is_initializer() and not str(value.name).startswith("signal.fourier")
        if value.const_value is not None and value.const_value.shape.rank() == 2
    }
    assert kinds == {ir.DataType.FLOAT16}
    save_graphs({name: graph}, tmp_path)
    assert effect(by_name(model)[name], tmp_path / f"{name}.onnx") < 0.002


def run(path: Path, feeds: dict[str, NDArray[np.generic]]) -> list[NDArray[np.generic]]:
    return ort.InferenceSession(path).run(None, feeds)


@pytest.mark.parametrize("name", NAMES)
def test_in_int8_a_row_is_the_same_in_any_batch(model: SleepLM, int8: Path, name: str) -> None:
    graph = by_name(model)[name]
    feeds = {key: tensor.numpy() for key, tensor in graph.inputs(6, 9).items()}
    axes = {key: next((axis for axis, label in graph.axes[key].items() if label == "batch"), None) for key in feeds}
    together = run(int8 / f"{name}.onnx", feeds)[0].reshape(6, -1)
    for row in (0, 4):
        some = {k: x if axes[k] is None else np.take(x, [row], axis=axes[k]) for k, x in feeds.items()}
        np.testing.assert_allclose(run(int8 / f"{name}.onnx", some)[0].ravel(), together[row], atol=1e-5)
    feeds["token_ids" if name == "decoder_step" else "signals"][1:] *= 1 if name == "decoder_step" else 100
    np.testing.assert_allclose(run(int8 / f"{name}.onnx", feeds)[0].reshape(6, -1)[0], together[0], atol=1e-5)


def test_float16_storage_computes_what_the_rounded_network_does(
    model: SleepLM, exported: Exported, tmp_path: Path
) -> None:
    half = by_name(rounded(model))["signal_encoder"]
    graph = ir.load(exported[0] / "signal_encoder.onnx")
    for value in graph.graph.initializers.values():  # the weights as `rounded` has them
        array = value.const_value.numpy() if value.const_value is not None else np.empty(0)
        if array.dtype == np.float32 and array.size > 1:
            value.const_value = ir.tensor(array.astype(np.float16).astype(np.float32), name=value.name)
    before = sum(value.const_value.nbytes for value in graph.graph.initializers.values() if value.const_value)
    store_half(graph)
    save_graphs({"signal_encoder": graph}, tmp_path)
    assert verify(half, tmp_path / "signal_encoder.onnx", model.config.context_length) < 1e-4
    assert (tmp_path / "weights.bin").stat().st_size < 0.56 * before


def test_rounding_leaves_the_network_alone(model: SleepLM) -> None:
    weights = model.signal.project.weight.clone()
    assert not torch.equal(rounded(model).signal.project.weight, weights)
    assert torch.equal(model.signal.project.weight, weights)
