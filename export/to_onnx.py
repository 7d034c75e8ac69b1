"""From graphs to ONNX files that share one file of weights."""

import hashlib
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx_ir as ir
import torch

from export.graphs import Graph
from training.config import ModelConfig

OPSET = 18
WEIGHTS_FILE = "weights.bin"
EXAMPLE_BATCH, EXAMPLE_LENGTH = 3, 7  # neither 0 nor 1, which the exporter would take for constants
_SHARED_BYTES = 1024  # smaller tensors (shapes, scalars, biases of a tiny network) stay inside the graph
_ALIGNMENT = 64  # bytes between the starts of tensors in the weights file
_EXPORTER_LOG = "torch.onnx._internal.exporter._registration"  # it says at every export that torchvision is absent


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter from warning about itself: deprecations inside torch and packages that are not needed."""
    logger = logging.getLogger(_EXPORTER_LOG)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for category in (DeprecationWarning, FutureWarning):
                warnings.simplefilter("ignore", category)
            warnings.filterwarnings("ignore", message="# The axis name: .* will not be used")
            yield
    finally:
        logger.setLevel(level)


def to_onnx(graph: Graph, config: ModelConfig) -> ir.Model:
    """Trace one graph.

    Parameters
    ----------
    graph
        From `export.graphs.graphs`.
    config
        Sizes of its network.

    Returns
    -------
    onnx_ir.Model
        The graph with its weights in memory, at opset 18.
    """
    dims = {"length": torch.export.Dim("length", max=config.context_length)}
    shapes = {
        name: {axis: dims.setdefault(label, torch.export.Dim(label)) for axis, label in axes.items()}
        for name, axes in graph.axes.items()
    }
    inputs = graph.inputs(EXAMPLE_BATCH, EXAMPLE_LENGTH)
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            graph.module,
            tuple(inputs.values()),
            input_names=list(inputs),
            output_names=list(graph.outputs),
            dynamic_shapes=shapes,
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    return _cleaned(program.model)


def _cleaned(model: ir.Model) -> ir.Model:
    """Leave out what tells of the exporting machine, and name inner values so that none meets an output's name."""
    graph = model.graph
    for item in (model, graph, *graph.all_nodes(), *graph.initializers.values()):
        item.metadata_props.clear()
        item.doc_string = None
    inner = (value for node in graph.all_nodes() for value in node.outputs if not value.is_graph_output())
    for number, value in enumerate(inner):
        value.name = f"v{number}"
        value.metadata_props.clear()
    return model


def save_graphs(models: Mapping[str, ir.Model], folder: Path) -> None:
    """Write graphs into a folder, each equal tensor of them once in `weights.bin`.

    Parameters
    ----------
    models
        Graphs by name; each becomes `<name>.onnx`.
    folder
        Exists; the graphs refer to the weights beside them.
    """
    offsets: dict[tuple[str, str], int] = {}
    with (folder / WEIGHTS_FILE).open("wb") as stream:
        for model in models.values():
            for value in model.graph.initializers.values():
                tensor = value.const_value
                if tensor is None or tensor.nbytes < _SHARED_BYTES:
                    continue
                content = np.ascontiguousarray(tensor.numpy()).tobytes()
                key = (str(tensor.dtype), hashlib.sha256(content).hexdigest())
                if key not in offsets:
                    stream.write(b"\0" * (-stream.tell() % _ALIGNMENT))
                    offsets[key] = stream.tell()
                    stream.write(content)
                value.const_value = ir.ExternalTensor(
                    WEIGHTS_FILE,
                    offsets[key],
                    len(content),
                    tensor.dtype,
                    shape=tensor.shape,
                    name=value.name or "",
                    base_dir=folder,
                )
    for name, model in models.items():
        ir.save(model, folder / f"{name}.onnx")
