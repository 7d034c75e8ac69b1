"""Numbers compared: each graph in ONNX Runtime against the network in torch, on several sizes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from core.errors import ModelError
from core.inference.onnx_runtime import ort
from export.graphs import Graph

TOLERANCE = 1e-4
"""Largest difference in float32, for outputs whose largest value is below one; beyond, in proportion to it."""
BATCHES = (1, 2, 5)
EFFECT_SIZE = (4, 8)
"""Batch and length at which the effect of a lower precision is measured."""
_SILENT = 4  # ONNX Runtime's severity "fatal"


def lengths(context: int) -> tuple[int, ...]:
    """Give the text lengths that are tried: the shortest, some between, and the longest that still has a next."""
    return tuple(sorted({1, min(8, context - 1), context // 2, context - 1}))


def _session(path: Path) -> Any:  # an ort.InferenceSession, which has no type stubs
    options = ort.SessionOptions()
    options.log_severity_level = _SILENT
    options.intra_op_num_threads = torch.get_num_threads()
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def verify(graph: Graph, path: Path, context: int, tolerance: float = TOLERANCE) -> float:
    """Compare one graph file with its network on several batch sizes and lengths.

    Parameters
    ----------
    graph
        What the file was made from.
    path
        The ONNX file.
    context
        Longest text of the network.
    tolerance
        Largest difference that is let pass, over the larger of 1 and the largest expected value.

    Returns
    -------
    float
        The worst absolute difference of any output.

    Raises
    ------
    ModelError
        An output has another shape, is not finite, or differs by more than the tolerance.
    """
    worst = 0.0
    session = _session(path)
    for inputs in _cases(graph, context):
        for name, ours, reference in _both(graph, session, inputs):
            difference = _difference(graph.name, name, ours, reference)
            if np.issubdtype(reference.dtype, np.integer):
                continue  # a choice among scores, which are compared themselves
            if not difference <= tolerance * max(1.0, float(np.abs(reference).max())):
                raise ModelError(
                    f"The exported {graph.name} differs from the network: {name} by {difference:.2g}, "
                    f"more than {tolerance:.2g}.",
                    "Nothing was published.",
                )
            worst = max(worst, difference)
    return worst


def effect(graph: Graph, path: Path) -> float:
    """Measure what a lower precision changes.

    Parameters
    ----------
    graph
        The network in full precision.
    path
        The ONNX file in lower precision.

    Returns
    -------
    float
        The largest root mean square difference of an output, over that output's root mean square.

    Raises
    ------
    ModelError
        An output has another shape or is not finite.
    """
    worst = 0.0
    for name, ours, reference in _both(graph, _session(path), graph.inputs(*EFFECT_SIZE)):
        _difference(graph.name, name, ours, reference)
        if np.issubdtype(reference.dtype, np.integer):
            continue  # a choice among scores, or what later steps' scores are made of
        size = max(float(np.sqrt(np.square(reference).mean())), float(np.finfo(np.float32).tiny))
        worst = max(worst, float(np.sqrt(np.square(ours - reference).mean())) / size)
    return worst


def _both(
    graph: Graph, session: Any, inputs: dict[str, torch.Tensor]
) -> Iterator[tuple[str, NDArray[Any], NDArray[Any]]]:
    """Give each output's name, its value in ONNX Runtime and its value in torch."""
    names = [value.name for value in session.get_outputs()]
    if names != list(graph.outputs):
        raise ModelError(
            f"The exported {graph.name} gives {', '.join(names)} instead of {', '.join(graph.outputs)}.",
            "Nothing was published.",
        )
    with torch.no_grad():
        expected = graph.module(*inputs.values())
    expected = (expected,) if isinstance(expected, torch.Tensor) else expected
    outputs = session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})
    for name, ours, theirs in zip(graph.outputs, outputs, expected, strict=True):
        yield name, ours, theirs.numpy()


def _difference(graph: str, name: str, ours: NDArray[Any], reference: NDArray[Any]) -> float:
    if ours.shape != reference.shape or not np.isfinite(ours).all():
        raise ModelError(
            f"The exported {graph} gives {name} of shape {ours.shape} instead of {reference.shape}, or not finite.",
            "Nothing was published.",
        )
    return float(np.abs(ours.astype(np.float64) - reference).max(initial=0.0))


def _cases(graph: Graph, context: int) -> Iterator[dict[str, torch.Tensor]]:
    """Every batch size at one length, then every length at one batch size."""
    tried = lengths(context)
    for batch in BATCHES:
        yield graph.inputs(batch, tried[1])
    if any({"length", "tokens"} & set(axes.values()) for axes in graph.axes.values()):
        for length in (*tried[:1], *tried[2:]):
            yield graph.inputs(2, length)
        if "length" in {label for axes in graph.axes.values() for label in axes.values()}:
            yield graph.inputs(2, context)
