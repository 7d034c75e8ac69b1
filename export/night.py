"""The night model's graphs: a course network as ONNX, compared with torch."""

from __future__ import annotations

import onnx_ir as ir
import torch

from export.builder import GraphBuilder
from export.graphs import Graph
from training.course import KERNEL, CourseNet

LENGTHS = (1, 37, 960)
"""Places of a course that are tried."""


def course_graph(name: str, net: CourseNet) -> ir.Model:
    """Build the graph `features [B, T, F]` → `scores [B, T, K]`."""
    config, graph = net.config, GraphBuilder(name, net)
    features = graph.input("features", ["batch", "length", config.inputs])
    x = graph.op("Transpose", features, perm=[0, 2, 1])
    scores = [_member(graph, f"members.{index}", x, config.dilations) for index in range(config.members)]
    total = scores[0] if len(scores) == 1 else graph.op("Sum", *scores)
    mean = graph.op("Div", total, graph.constant(float(len(scores))))
    graph.output("scores", graph.op("Transpose", mean, perm=[0, 2, 1]), ["batch", "length", config.outputs])
    return graph.model()


def _member(graph: GraphBuilder, prefix: str, features: ir.Value, dilations: tuple[int, ...]) -> ir.Value:
    x = _conv(graph, f"{prefix}.input", features)
    for index, dilation in enumerate(dilations):
        block = f"{prefix}.blocks.{index}"
        both = _conv(graph, f"{block}.conv", _norm(graph, f"{block}.norm", x), dilation)
        value, gate = graph.halves(both, 1)
        gated = graph.op("Mul", graph.op("Tanh", value), graph.op("Sigmoid", gate))
        x = graph.op("Add", x, _conv(graph, f"{block}.out", gated))
    return _conv(graph, f"{prefix}.output", graph.op("Relu", _norm(graph, f"{prefix}.norm", x)))


def _conv(graph: GraphBuilder, name: str, x: ir.Value, dilation: int = 0) -> ir.Value:
    """A convolution that keeps the length; `dilation` 0: one place alone."""
    kernel = KERNEL if dilation else 1
    return graph.op(
        "Conv",
        x,
        graph.weight(f"{name}.weight"),
        graph.weight(f"{name}.bias"),
        kernel_shape=[kernel],
        dilations=[max(dilation, 1)],
        pads=[dilation, dilation],
    )


def _norm(graph: GraphBuilder, name: str, x: ir.Value) -> ir.Value:
    parts = ("weight", "bias", "running_mean", "running_var")
    return graph.op("BatchNormalization", x, *(graph.weight(f"{name}.{part}") for part in parts), epsilon=1e-5)


def course_example(name: str, net: CourseNet) -> Graph:
    """Describe the graph with inputs to try it on."""

    def inputs(batch: int, length: int) -> dict[str, torch.Tensor]:
        generator = torch.Generator().manual_seed(batch * 1000 + length)
        return {"features": torch.randn(batch, length, net.config.inputs, generator=generator)}

    axes = {"features": {0: "batch", 1: "length"}, "scores": {0: "batch", 1: "length"}}
    return Graph(name, net, inputs, ("scores",), axes)
