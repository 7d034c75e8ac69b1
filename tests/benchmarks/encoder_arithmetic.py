"""Embeddings of the published network at full size: seconds an epoch by every way, the arithmetic, and int8's effect.

    python tests/benchmarks/encoder_arithmetic.py --threads 2

Weights are random (figures of speed do not depend on them; the cosine and the ranks are those of such a network). The
published way runs both towers, one epoch at a time, in plain PyTorch; ours runs the signal tower alone. Beside each
ratio stand the products that each way computes and the rate of this machine's matrix products at the encoder's
largest shape, in float32 and with bytes: their quotient bounds what any program can gain on this machine.

The arithmetic of one epoch at width W = 768, 1,200 tokens, two multiplications and additions counted as 2:
a block holds two attentions (4 W² a token each, and 2 x 120 W or 2 x 10 W for scores and sums) and two gated layers
(3 x 2304 W each); three blocks: 2 x 1200 x 3 x (2 x 4 W² + 2 x 6912 W + 260 W) = 111 GFLOP, with projection and pooling
(keys and values of all tokens, twice: 4 W²) about 118. The text tower reads 257 rows: 2 x 257 x 12 x 12 W² = 44 GFLOP.
So the published way computes 1.4 times as much; the rest of any gain has to come from the rate.
"""

import argparse
import json
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
from numpy.typing import NDArray

from export.graphs import graphs
from export.quantize import quantize
from export.to_onnx import save_graphs, to_onnx
from tests.benchmarks.decode_vs_published import seconds
from training.config import preset
from training.model import SleepLM

SHAPE = (1200, 768, 2304)
"""Rows, inputs and outputs of the encoder's largest product, for one epoch."""


def arithmetic(model: SleepLM) -> dict[str, float]:
    """Count the operations of one epoch's signal tower and of one text, in 10^9."""
    config = model.config
    width, tokens = config.width, config.patches * len(config.channels)
    hidden = int(width * config.mlp_ratio_signal)
    attention = 2 * 4 * width**2 + 2 * (config.patches + len(config.channels)) * width
    tower = 2 * tokens * config.signal_blocks * (attention + 2 * 3 * hidden * width)
    inputs = 2 * tokens * config.conv_width * (config.patch_size + width)
    pooling = 2 * tokens * (4 * width**2 + 2 * (config.decoder_tokens + 1) * width)
    rows = config.context_length + 1
    layer = (4 + 2 * config.mlp_ratio_text) * width**2 + 2 * rows * width
    return {"signal": (tower + inputs + pooling) / 1e9, "text": 2 * rows * config.text_layers * layer / 1e9}


def session(path: Path, threads: int) -> ort.InferenceSession:
    """Open a graph on the CPU."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def product(kind: str, epochs: int, threads: int, folder: Path) -> dict[str, float]:
    """Time the largest product alone, `float32` or `int8`: 10^9 operations a second."""
    rows, inputs, outputs = SHAPE[0] * epochs, *SHAPE[1:]
    generator = np.random.default_rng(0)
    if kind == "float32":
        weights: NDArray[np.generic] = generator.standard_normal((inputs, outputs), dtype=np.float32)
        feed: NDArray[np.generic] = generator.standard_normal((rows, inputs), dtype=np.float32)
        node = onnx.helper.make_node("MatMul", ["x", "w"], ["y"])
        types = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT)
    else:
        weights = generator.integers(-63, 64, (inputs, outputs)).astype(np.int8)
        feed = generator.integers(0, 256, (rows, inputs)).astype(np.uint8)
        node = onnx.helper.make_node("MatMulInteger", ["x", "w"], ["y"])
        types = (onnx.TensorProto.UINT8, onnx.TensorProto.INT32)
    graph = onnx.helper.make_graph(
        [node],
        "product",
        [onnx.helper.make_tensor_value_info("x", types[0], [rows, inputs])],
        [onnx.helper.make_tensor_value_info("y", types[1], [rows, outputs])],
        [onnx.numpy_helper.from_array(weights, "w")],
    )
    path = folder / f"{kind}.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8), path)
    opened = session(path, threads)
    wall, cpu = seconds(lambda: opened.run(None, {"x": feed}), 3)
    operations = 2 * rows * inputs * outputs / 1e9
    return {"a wall second": operations / wall, "a CPU second": operations / cpu}


def likeness(one: NDArray[np.float32], other: NDArray[np.float32]) -> dict[str, float]:
    """Compare embeddings of the same epochs: their cosines, and how the other epochs are ranked."""
    cosines = (one * other).sum(axis=1)
    ranks = []
    for a, b in zip(one @ one.T, other @ other.T, strict=True):
        ranks.append(np.corrcoef(np.argsort(np.argsort(a)), np.argsort(np.argsort(b)))[0, 1])
    return {"mean cosine": float(cosines.mean()), "least": float(cosines.min()), "rank correlation": float(min(ranks))}


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=4, help="epochs at a time")
    parser.add_argument("--times", type=int, default=2)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(0)
    small = {"decoder_layers": 1, "vocab_size": 512, "reconstruction": False}  # of no use to an embedding
    model = SleepLM(replace(preset("sleeplm-base"), **small)).eval()
    signals = np.random.default_rng(0).standard_normal((chosen.epochs, 10, 1920)).astype(np.float32)
    ids = torch.randint(1, 500, (1, model.config.context_length))

    @torch.no_grad()
    def published() -> None:
        model.encode_signal(torch.from_numpy(signals[:1]))
        model.encode_text(ids)

    count = arithmetic(model)
    told: dict[str, object] = {"10^9 operations an epoch": count, "epochs at a time": chosen.epochs}
    base = seconds(published, chosen.times)
    told["published"] = {"wall s an epoch": base[0], "CPU s": base[1]}
    found = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (graph,) = (one for one in graphs(model) if one.name == "signal_encoder")
        for kind in ("float32", "int8"):
            told[f"{kind} products, 10^9"] = product(kind, chosen.epochs, chosen.threads, folder)
            built = to_onnx(graph.name, model)
            if kind == "int8":
                quantize(built)
            place = folder / kind
            place.mkdir()
            save_graphs({graph.name: built}, place)
            opened = session(place / f"{graph.name}.onnx", chosen.threads)
            found[kind] = opened.run(["embedding"], {"signals": signals})[0]
            wall, cpu = seconds(partial(opened.run, None, {"signals": signals}), chosen.times)
            told[kind] = {
                "wall s an epoch": wall / chosen.epochs,
                "CPU s": cpu / chosen.epochs,
                "10^9 operations a CPU second": count["signal"] * chosen.epochs / cpu,
                "ratio by the clock": base[0] * chosen.epochs / wall,
                "ratio by CPU seconds": base[1] * chosen.epochs / cpu,
            }
    told["int8 against float32"] = likeness(found["float32"], found["int8"])
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
