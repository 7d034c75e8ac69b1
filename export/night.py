"""The night model's graphs: a course network as ONNX, compared with torch."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx_ir as ir
import torch

from core.files import whole_folder, write_text
from core.inference.bundle import load_bundle
from core.inference.course_graphs import EVENTS_GRAPH, STAGES_GRAPH
from export.builder import GraphBuilder
from export.graphs import Graph
from export.publish import BUNDLE_FILE, ExportEvent, described_file
from export.verify import TOLERANCE, verify
from training.course import KERNEL, CourseNet
from training.night import load_part

LONGEST = 960
"""Places of the longest course that is tried: a night of epochs."""
PARTS = {"stages": STAGES_GRAPH, "events": EVENTS_GRAPH}
"""Networks of a night run, and their graphs in a bundle."""


def add_night(bundle: Path, run: Path, out: Path, tolerance: float = TOLERANCE) -> Iterator[ExportEvent]:
    """Put a night model into a bundle.

    Parameters
    ----------
    bundle
        The bundle's folder; its other graphs stay as they are.
    run
        Run folder of `train --night`.
    out
        Folder of the new bundle; `bundle` itself to replace it once the new one is whole.
    tolerance
        Largest difference between torch and ONNX Runtime that is let pass.

    Yields
    ------
    ExportEvent
        Each step when it is done; the last one names the bundle's folder.

    Raises
    ------
    ModelError
        The bundle is damaged, or a graph differs from its network by more than the tolerance.
    UsageError
        `run` is no night run.
    """
    old = load_bundle(bundle)
    description: dict[str, Any] = dict(old.description)
    with whole_folder(out) as folder:
        shutil.copytree(old.folder, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*"))
        for part, name in PARTS.items():
            if (loaded := load_part(run, part)) is None:
                continue
            net, meta = loaded
            path = folder / f"{name}.onnx"
            ir.save(course_graph(name, net.requires_grad_(False)), path)
            yield ExportEvent("built", name)
            difference = verify(course_example(name, net), path, LONGEST, tolerance)
            yield ExportEvent("verified", name, difference)
            description["graphs"] = dict(description["graphs"]) | {name: described_file(path)}
            description["verification"] = dict(description.get("verification") or {}) | {name: difference}
            description["night"] = {"figures": meta["figures"], "data": meta["data"], "tracks": meta["tracks"]}
            if "thresholds" in meta[part]:
                description["event_thresholds"] = meta[part]["thresholds"]
        write_text(folder / BUNDLE_FILE, json.dumps(description, indent=1) + "\n")
    yield ExportEvent("published", folder=out)


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
        graph.halved(f"{name}.weight"),
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
