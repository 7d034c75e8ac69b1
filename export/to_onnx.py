"""From a network to ONNX files that share one file of weights."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx_ir as ir

from export import caption_decoder, signal_tower, text_tower
from training.model import SleepLM

WEIGHTS_FILE = "weights.bin"
_SHARED_BYTES = 1024  # smaller tensors (shapes, scalars, biases of a tiny network) stay inside the graph
_ALIGNMENT = 64  # bytes between the starts of tensors in the weights file
_BUILDERS = {
    "signal_encoder": signal_tower.signal_encoder,
    "text_encoder": text_tower.text_encoder,
    "decoder_prefill": caption_decoder.prefill,
    "decoder_step": caption_decoder.step,
    "reconstruction": signal_tower.reconstruction,
}


def to_onnx(name: str, model: SleepLM) -> ir.Model:
    """Build one graph.

    Parameters
    ----------
    name
        One of the names that `export.graphs.graphs` gives.
    model
        The network, in evaluation mode; its weights are referred to, not copied.

    Returns
    -------
    onnx_ir.Model
        The graph with its weights in memory.
    """
    return _BUILDERS[name](model)


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
                content = np.ascontiguousarray(tensor.numpy()).data.cast("B")
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
