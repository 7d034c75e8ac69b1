"""The night model's graphs: a course network as ONNX, compared with torch."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import torch
from numpy.typing import NDArray

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
    """Build the graph `features [B, T, F]` → `scores [B, T, K]`.

    The members stand side by side as groups of one convolution each, so that ten of them are no more nodes to load than
    one.
    """
    config, graph = net.config, GraphBuilder(name, net)
    members = _Members(graph, config.members, config.width)
    features = graph.input("features", ["batch", "length", config.inputs])
    x = members.conv("input", graph.op("Transpose", features, perm=[0, 2, 1]), groups=1)
    for index, dilation in enumerate(config.dilations):
        seen = members.norm(f"blocks.{index}.norm", x)
        value, gate = (members.conv(f"blocks.{index}.conv", seen, dilation, half=half) for half in (0, 1))
        gated = graph.op("Mul", graph.op("Tanh", value), graph.op("Sigmoid", gate))
        x = graph.op("Add", x, members.conv(f"blocks.{index}.out", gated))
    told = members.conv("output", graph.op("Relu", members.norm("norm", x)))  # (batch, member × score, length)
    shape = [0, config.members, config.outputs, -1]
    mean = graph.op("ReduceMean", graph.reshape(told, shape), graph.constant([1]), keepdims=0)
    graph.output("scores", graph.op("Transpose", mean, perm=[0, 2, 1]), ["batch", "length", config.outputs])
    return graph.model()


class _Members:
    """The members' layers of one name, side by side."""

    def __init__(self, graph: GraphBuilder, count: int, width: int) -> None:
        self._graph, self._count, self._width = graph, count, width

    def conv(
        self, name: str, x: ir.Value, dilation: int = 0, *, groups: int | None = None, half: int | None = None
    ) -> ir.Value:
        """A convolution that keeps the length; `dilation` 0: one place alone; `half`: of its outputs, per member."""
        part = slice(None) if half is None else slice(half * self._width, (half + 1) * self._width)
        label = name if half is None else f"{name}.{half}"
        return self._graph.op(
            "Conv",
            x,
            self._graph.halved(f"{label}.weight", self._joined(f"{name}.weight", part)),
            self._graph.stored(f"{label}.bias", self._joined(f"{name}.bias", part)),
            group=groups or self._count,
            kernel_shape=[KERNEL if dilation else 1],
            dilations=[max(dilation, 1)],
            pads=[dilation, dilation],
        )

    def norm(self, name: str, x: ir.Value) -> ir.Value:
        """Batch normalisation by what was seen in training."""
        parts = (f"{name}.{part}" for part in ("weight", "bias", "running_mean", "running_var"))
        stored = (self._graph.stored(part, self._joined(part, slice(None))) for part in parts)
        return self._graph.op("BatchNormalization", x, *stored, epsilon=1e-5)

    def _joined(self, name: str, part: slice) -> NDArray[np.float32]:
        """One weight of every member, along its first axis."""
        return np.concatenate([self._graph.array(f"members.{index}.{name}")[part] for index in range(self._count)])


def course_example(name: str, net: CourseNet) -> Graph:
    """Describe the graph with inputs to try it on."""

    def inputs(batch: int, length: int) -> dict[str, torch.Tensor]:
        generator = torch.Generator().manual_seed(batch * 1000 + length)
        return {"features": torch.randn(batch, length, net.config.inputs, generator=generator)}

    axes = {"features": {0: "batch", 1: "length"}, "scores": {0: "batch", 1: "length"}}
    return Graph(name, net, inputs, ("scores",), axes)
