"""The signal tower and the reconstruction head as ONNX graphs."""

import numpy as np
import onnx_ir as ir
import torch
from numpy.typing import NDArray

from core.language.context import COURSE_STEPS
from export.builder import GraphBuilder
from export.layers import Layers
from training.config import FIGURE_TOKENS, RECONSTRUCTION_LAYERS, ModelConfig
from training.model import FURTHEST_VALUE, POWER_FLOOR, POWER_SCALE, VALUE_FEATURES, VALUE_TURNS, SleepLM

FOURIER = "signal.fourier"
"""Name of the Fourier basis."""
_AXES = {"channel": [0, 2, 3, 1, 4], "temporal": [0, 1, 3, 2, 4]}
"""From `[B, C, P, heads, d]` to heads that attend along the axis: `[B, P, heads, C, d]`, `[B, C, heads, P, d]`."""
_BACK = {"channel": [0, 3, 1, 2, 4], "temporal": [0, 1, 3, 2, 4]}


class _SignalGraph:
    """The signal tower under construction.

    Parameters
    ----------
    model
        The network, in evaluation mode.
    """

    def __init__(self, model: SleepLM) -> None:
        self.config: ModelConfig = model.config
        self.graph = GraphBuilder("signal_encoder", model)
        self.layers = Layers(self.graph, model.config)

    def build(self) -> ir.Model:
        """Add everything and give the model."""
        config, graph = self.config, self.graph
        x = self._tokens()
        for index in range(config.signal_blocks):
            x = self._block(x, f"signal.blocks.{index}")
        tokens = self.layers.rms_norm(x, "signal.norm")
        memory = self._pooled(tokens, "signal.decoder_pooler")
        query = self.layers.query(self._pooled(tokens, "signal.contrastive_pooler"), "signal.embedding_attention", 1)
        memory = graph.reshape(memory, [-1, config.decoder_tokens, config.width])
        beside = self._context() if config.measured else None
        if beside is not None:
            memory = graph.op("Concat", memory, beside, axis=1)
        rows = self.layers.flat(memory)
        kept = self.layers.keys_values(rows, "signal.embedding_attention", config.memory_rows)
        pooled = self.layers.merge(self.layers.attend(query, *kept), 1)
        pooled = self.layers.linear(pooled, "signal.embedding_attention.output")
        embedding = self.layers.linear(pooled, "signal.embedding")
        if beside is not None:
            flat = graph.reshape(beside, [-1, config.context_rows * config.width])
            embedding = graph.op("Add", embedding, self.layers.linear(flat, "signal.context.embedding"))
        graph.output("embedding", self.layers.normalized(embedding), ["batch", config.embed_dim])
        graph.output("decoder_tokens", memory, ["batch", config.memory_rows, config.width])
        return graph.model()

    def _context(self) -> ir.Value:
        """Give the vectors `[B, R, W]` of what is shown beside the signals."""
        config, graph, op, constant = self.config, self.graph, self.graph.op, self.graph.constant
        count, width = len(config.measured), config.width
        values = graph.input("values", ["batch", count])
        courses = graph.input("courses", ["batch", len(config.courses), COURSE_STEPS])
        unknown = op("IsNaN", values)
        place = op("Where", unknown, constant(0.0), values)
        place = op("Sub", place, graph.weight("signal.context.middle"))
        place = op("Div", place, graph.weight("signal.context.spread"))
        place = op("Clip", place, constant(-FURTHEST_VALUE), constant(FURTHEST_VALUE))
        place = graph.reshape(place, [-1, count, 1])
        turned = op("Mul", place, constant(np.array(VALUE_TURNS, np.float32)))
        waves = graph.reshape(op("Sin", turned), [-1, count, len(VALUE_TURNS), 1])
        waves = op("Concat", waves, graph.reshape(op("Cos", turned), [-1, count, len(VALUE_TURNS), 1]), axis=3)
        waves = graph.reshape(waves, [-1, count, 2 * len(VALUE_TURNS)])
        one = op("Add", op("Mul", place, constant(0.0)), constant(1.0))
        features = op("Concat", one, place, waves, axis=2)
        unknown = graph.reshape(unknown, [-1, count, 1])
        features = op("Where", unknown, constant(0.0), features)
        features = graph.reshape(features, [-1, count * VALUE_FEATURES])
        figures = graph.reshape(self.layers.mlp(features, "signal.context.figures"), [-1, FIGURE_TOKENS, width])
        rows = self.layers.linear(graph.reshape(courses, [-1, COURSE_STEPS]), "signal.context.course")
        rows = graph.reshape(rows, [-1, len(config.courses), width])
        return op("Concat", figures, op("Add", rows, graph.weight("signal.context.names")), axis=1)

    def _tokens(self) -> ir.Value:
        """Give the tokens `[B C P, W]` of the signals, with their channels' embedding."""
        config, graph = self.config, self.graph
        channels = len(config.channels)
        signals = graph.input("signals", ["batch", channels, config.samples])
        patches = graph.reshape(signals, [-1, config.patch_size])
        x = self.layers.linear(self.layers.linear(patches, "signal.patch"), "signal.project")
        if config.spectrum:
            x = graph.op("Add", x, self._spectrum(patches))
        x = graph.reshape(x, [-1, channels, config.patches, config.width])
        if config.missing_token:
            present = graph.reshape(graph.input("present", ["batch", channels]), [-1, channels, 1, 1])
            there = graph.op("Greater", present, graph.constant(0.5))
            x = graph.op("Where", there, x, graph.weight("signal.missing"))
        embedding = graph.array("signal.channel_embedding")[:, None]
        return self.layers.flat(graph.op("Add", x, graph.stored("signal.channel_embedding", embedding)))

    def _spectrum(self, patches: ir.Value) -> ir.Value:
        """Give what the log power spectra of the patches add to their tokens."""
        op, constant, half = self.graph.op, self.graph.constant, self.config.patch_size // 2
        basis = self.graph.array(FOURIER)
        parts = [np.ascontiguousarray(part) for part in (basis[:, :half], basis[:, half:])]
        waves = [
            op("MatMul", patches, self.graph.stored(f"{FOURIER}.{name}", part))
            for name, part in zip(("cosine", "sine"), parts, strict=True)
        ]
        power = op("Add", *(op("Mul", wave, wave) for wave in waves))
        power = op("Log", op("Add", power, constant(POWER_FLOOR)))
        return self.layers.linear(op("Add", op("Mul", power, constant(POWER_SCALE)), constant(1.0)), "signal.spectrum")

    def _block(self, x: ir.Value, name: str) -> ir.Value:
        """Attention across channels, then across time, each followed by SwiGLU; RMS norm after every sum."""
        op, layers = self.graph.op, self.layers
        for axis in ("channel", "temporal"):
            seen = self._attention(x, f"{name}.{axis}_attention", axis)
            x = layers.rms_norm(op("Add", x, seen), f"{name}.{axis}_norm")
            gated = layers.swiglu(x, f"{name}.{axis}_mlp")
            x = layers.rms_norm(op("Add", x, gated), f"{name}.{axis}_mlp_norm")
        return x

    def _attention(self, x: ir.Value, name: str, axis: str) -> ir.Value:
        query, key = (self._rotated(x, f"{name}.{part}", axis) for part in ("query", "key"))
        value = self._split(self.layers.linear(x, f"{name}.value"), axis)
        seen = self.graph.op("Transpose", self.layers.attend(query, key, value, rank=5), perm=_BACK[axis])
        return self.layers.linear(self.layers.flat(seen), f"{name}.output")

    def _split(self, x: ir.Value, axis: str) -> ir.Value:
        config = self.config
        shape = [-1, len(config.channels), config.patches, config.heads, config.head_width]
        return self.graph.op("Transpose", self.graph.reshape(x, shape), perm=_AXES[axis])

    def _rotated(self, x: ir.Value, name: str, axis: str) -> ir.Value:
        """Give queries or keys turned by their positions along the axis.

        A head's even features come first and its odd ones after them, in queries and keys alike: their products are
        the same, and a pair's other half is found by swapping halves.
        """
        config, graph = self.config, self.graph
        order = np.arange(config.width).reshape(config.heads, -1, 2).swapaxes(1, 2).ravel()
        halves = graph.stored(f"{name}.halves", graph.array(f"{name}.weight")[order])
        x = self._split(graph.op("Gemm", x, halves, transB=1), axis)
        swapped = graph.reshape(x, [0, 0, 0, 0, 2, config.head_width // 2])
        swapped = graph.op("Gather", swapped, graph.constant([1, 0]), axis=4)
        swapped = graph.reshape(swapped, [0, 0, 0, 0, config.head_width])
        cosine, sine = self._turns(axis)
        cosine_name, sine_name = f"signal.{axis}_cosine", f"signal.{axis}_sine"
        kept = graph.op("Mul", x, graph.stored(cosine_name, cosine))
        return graph.op("Add", kept, graph.op("Mul", swapped, graph.stored(sine_name, sine)))

    def _turns(self, axis: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Give what keeps each half and what mixes the other one in, by position: `[n, d]` twice."""
        frequencies = torch.from_numpy(self.graph.array(f"signal.{axis}_frequencies"))
        count = len(self.config.channels) if axis == "channel" else self.config.patches
        angles = torch.arange(count, dtype=torch.float32)[:, None] * frequencies
        cosine, sine = angles.cos().numpy(), angles.sin().numpy()
        return np.concatenate((cosine, cosine), axis=1), np.concatenate((-sine, sine), axis=1)

    def _pooled(self, tokens: ir.Value, name: str) -> ir.Value:
        """Gather all tokens into the few of learned queries: `[B queries, W]`."""
        config, graph = self.config, self.graph
        weights, bias = (graph.array(f"{name}.attention.query.{kind}") for kind in ("weight", "bias"))
        queries = graph.array(f"{name}.queries") @ weights.T + bias
        split = queries.reshape(-1, config.heads, config.head_width).swapaxes(0, 1)
        query = graph.stored(f"{name}.projected_queries", np.ascontiguousarray(split))
        kept = self.layers.keys_values(tokens, f"{name}.attention", len(config.channels) * config.patches)
        seen = self.layers.merge(self.layers.attend(query, *kept), len(queries))
        return self.layers.linear(seen, f"{name}.attention.output")


def signal_encoder(model: SleepLM) -> ir.Model:
    """Build the graph `signals [B, C, S]` (, `present`, `values`, `courses`) → `embedding [B, D]`, `decoder_tokens`."""
    return _SignalGraph(model).build()


def reconstruction(model: SleepLM) -> ir.Model:
    """Build the graph `decoder_tokens [B, Q, W]` → `signals [B, C, S]`."""
    config, graph = model.config, GraphBuilder("reconstruction", model)
    layers = Layers(graph, config)
    x = layers.flat(graph.input("decoder_tokens", ["batch", config.decoder_tokens, config.width]))
    for index in range(RECONSTRUCTION_LAYERS):
        x, _, _ = layers.block(x, f"reconstruction.blocks.{index}", config.decoder_tokens, activation="Relu")
    x = graph.reshape(x, [-1, config.decoder_tokens, config.width])
    even = np.full((1, config.decoder_tokens), 1 / config.decoder_tokens, np.float32)
    mean = layers.flat(graph.op("MatMul", graph.constant(even), x))  # ReduceMean sums otherwise in a batch of one
    shape = [len(config.channels), config.samples]
    signals = graph.reshape(layers.mlp(mean, "reconstruction.to_signals", "Relu"), [-1, *shape])
    graph.output("signals", signals, ["batch", *shape])
    return graph.model()
