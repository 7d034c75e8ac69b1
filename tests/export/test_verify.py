"""An export that differs from its network is found out."""

import shutil
from pathlib import Path

import onnx_ir as ir
import pytest

from core.errors import ModelError
from export.graphs import Graph, graphs
from export.publish import ExportEvent, load_model
from export.verify import effect, lengths, verify
from training.config import preset

CONTEXT = preset("tiny").context_length
Exported = tuple[Path, list[ExportEvent]]


@pytest.fixture(scope="module")
def text_encoder(run_folder: Path) -> Graph:
    found = graphs(load_model(run_folder / "model.safetensors", preset("tiny")))
    return next(graph for graph in found if graph.name == "text_encoder")


def test_the_true_graph_passes_and_its_precision_has_no_effect(text_encoder: Graph, exported: Exported) -> None:
    path = exported[0] / "text_encoder.onnx"
    assert verify(text_encoder, path, CONTEXT) < 1e-5
    assert effect(text_encoder, path) < 1e-5


def test_changed_weights_are_refused(text_encoder: Graph, exported: Exported, tmp_path: Path) -> None:
    folder = shutil.copytree(exported[0], tmp_path / "bundle")
    weights = bytearray((folder / "weights.bin").read_bytes())
    for place in range(0, len(weights), 4096):
        weights[place : place + 4] = b"\x00\x00\x80\x3f"  # 1.0
    (folder / "weights.bin").write_bytes(weights)
    with pytest.raises(ModelError, match="text_encoder differs from the network: embedding by"):
        verify(text_encoder, folder / "text_encoder.onnx", CONTEXT)


def test_a_tolerance_below_rounding_refuses(text_encoder: Graph, exported: Exported) -> None:
    with pytest.raises(ModelError, match="more than 1e-12"):
        verify(text_encoder, exported[0] / "text_encoder.onnx", CONTEXT, tolerance=1e-12)


@pytest.mark.parametrize(("name", "told"), [("embedding", "embedding of shape"), ("sum", "gives sum instead of emb")])
def test_another_graph_is_refused(
    exported: Exported, tmp_path: Path, text_encoder: Graph, name: str, told: str
) -> None:
    model = ir.load(exported[0] / "text_encoder.onnx")
    model.graph.outputs[0].name = "inner"
    node = ir.node("ReduceSum", [model.graph.outputs[0]], {"keepdims": 1})
    node.outputs[0].dtype, node.outputs[0].shape = ir.DataType.FLOAT, ir.Shape([1, 1])
    node.outputs[0].name = name
    model.graph.append(node)
    model.graph.outputs[0] = node.outputs[0]
    shutil.copy(exported[0] / "weights.bin", tmp_path)
    ir.save(model, tmp_path / "text_encoder.onnx")
    with pytest.raises(ModelError, match=told):
        verify(text_encoder, tmp_path / "text_encoder.onnx", CONTEXT)


def test_lengths_go_from_the_shortest_to_the_longest() -> None:
    assert lengths(64) == (1, 8, 32, 63)
    assert lengths(4) == (1, 2, 3)
