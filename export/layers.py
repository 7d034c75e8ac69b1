"""The network's layers as ONNX operations; activations are matrices `[rows, W]`, so that products are plain ones."""

import onnx_ir as ir

from export.builder import GraphBuilder
from training.config import ModelConfig
from training.layers import LAYER_NORM_EPS, RMS_EPS

NEVER = -1e30
"""Added to the score of a key that may not be seen: its weight is exactly zero."""
Rows = int | ir.Value
"""Rows of a batch's element: their number, or the computed shape `[B, n, heads, d]`."""


class Layers:
    """Layers of one network, added to a graph by the names of their weights.

    Parameters
    ----------
    graph
        The graph under construction.
    config
        Sizes of the network.
    """

    def __init__(self, graph: GraphBuilder, config: ModelConfig) -> None:
        self.graph = graph
        self.heads, self.head_width, self.width = config.heads, config.head_width, config.width

    def linear(self, x: ir.Value, name: str) -> ir.Value:
        """Transform `x [rows, in]` to `[rows, out]`."""
        bias = [self.graph.weight(f"{name}.bias")] if self.graph.has(f"{name}.bias") else []
        return self.graph.op("Gemm", x, self.graph.weight(f"{name}.weight"), *bias, transB=1)

    def layer_norm(self, x: ir.Value, name: str) -> ir.Value:
        """Give rows of mean 0 and variance 1, then scaled and shifted."""
        scale, shift = self.graph.weight(f"{name}.weight"), self.graph.weight(f"{name}.bias")
        return self.graph.op("LayerNormalization", x, scale, shift, axis=-1, epsilon=LAYER_NORM_EPS)

    def rms_norm(self, x: ir.Value, name: str) -> ir.Value:
        """Give rows of mean square 1, then scaled."""
        op, constant = self.graph.op, self.graph.constant
        mean = op("ReduceMean", op("Pow", x, constant(2.0)), constant([-1]), keepdims=1)
        root = op("Sqrt", op("Add", mean, constant(RMS_EPS)))
        return op("Mul", op("Div", x, root), self.graph.weight(f"{name}.weight"))

    def mlp(self, x: ir.Value, name: str, activation: str = "Gelu") -> ir.Value:
        """Two linear layers with an activation between them."""
        return self.linear(self.graph.op(activation, self.linear(x, f"{name}.0")), f"{name}.2")

    def swiglu(self, x: ir.Value, name: str) -> ir.Value:
        """The gated layer without biases."""
        gate = self.linear(x, f"{name}.gate")
        gate = self.graph.op("Mul", gate, self.graph.op("Sigmoid", gate))
        return self.linear(self.graph.op("Mul", gate, self.linear(x, f"{name}.up")), f"{name}.down")

    def split(self, x: ir.Value, rows: Rows) -> ir.Value:
        """Turn `x [B n, W]` into `[B, heads, n, d]`."""
        if rows == 1:
            return self.graph.reshape(x, [-1, self.heads, 1, self.head_width])
        shape = rows if isinstance(rows, ir.Value) else [-1, rows, self.heads, self.head_width]
        return self.graph.op("Transpose", self.graph.reshape(x, shape), perm=[0, 2, 1, 3])

    def merge(self, x: ir.Value, rows: Rows) -> ir.Value:
        """Turn `x [B, heads, n, d]` back into `[B n, W]`."""
        return self.flat(x if rows == 1 else self.graph.op("Transpose", x, perm=[0, 2, 1, 3]))

    def flat(self, x: ir.Value) -> ir.Value:
        """Turn `x [..., W]` or `[..., heads, d]` into `[rows, W]`."""
        return self.graph.reshape(x, [-1, self.width])

    def query(self, x: ir.Value, name: str, rows: Rows) -> ir.Value:
        """Give the queries `[B, heads, n, d]` of an attention layer."""
        return self.split(self.linear(x, f"{name}.query"), rows)

    def keys_values(self, x: ir.Value, name: str, rows: Rows) -> tuple[ir.Value, ir.Value]:
        """Give keys and values `[B, heads, n, d]` of an attention layer."""
        return self.split(self.linear(x, f"{name}.key"), rows), self.split(self.linear(x, f"{name}.value"), rows)

    def scores(self, query: ir.Value, key: ir.Value, rank: int = 4) -> ir.Value:
        """Give how well queries `[..., m, d]` fit keys `[..., n, d]`: `[..., m, n]`."""
        swapped = self.graph.op("Transpose", key, perm=[*range(rank - 2), rank - 1, rank - 2])
        return self.graph.op("MatMul", self.scaled(query), swapped)

    def scaled(self, query: ir.Value) -> ir.Value:
        """Give queries whose products with keys have a variance of about one."""
        return self.graph.op("Mul", query, self.graph.constant(float(self.head_width) ** -0.5))

    def attend(
        self, query: ir.Value, key: ir.Value, value: ir.Value, mask: ir.Value | None = None, rank: int = 4
    ) -> ir.Value:
        """Let queries `[..., m, d]` look at keys and values `[..., n, d]`; `mask` is added to the scores."""
        scores = self.scores(query, key, rank)
        if mask is not None:
            scores = self.graph.op("Add", scores, mask)
        return self.weighed(scores, value)

    def weighed(self, scores: ir.Value, value: ir.Value) -> ir.Value:
        """Give the sum of values `[..., n, d]` that scores `[..., m, n]` weigh: `[..., m, d]`."""
        return self.graph.op("MatMul", self.graph.op("Softmax", scores, axis=-1), value)

    def block(
        self, x: ir.Value, name: str, rows: Rows, mask: ir.Value | None = None, activation: str = "Gelu"
    ) -> tuple[ir.Value, ir.Value, ir.Value]:
        """A pre-norm transformer layer; give its rows, then their keys and values."""
        normed = self.layer_norm(x, f"{name}.norm")
        query = self.query(normed, f"{name}.attention", rows)
        key, value = self.keys_values(normed, f"{name}.attention", rows)
        seen = self.merge(self.attend(query, key, value, mask), rows)
        return self.joined(x, seen, name, activation), key, value

    def cross_block(self, x: ir.Value, name: str, rows: Rows, kept: tuple[ir.Value, ir.Value]) -> ir.Value:
        """A pre-norm layer that looks at the signal's tokens through `kept` keys and values."""
        query = self.query(self.layer_norm(x, f"{name}.norm"), f"{name}.attention", rows)
        return self.joined(x, self.merge(self.attend(query, *kept), rows), name)

    def joined(self, x: ir.Value, seen: ir.Value, name: str, activation: str = "Gelu") -> ir.Value:
        """Add what a layer's attention saw, `[rows, W]`, then what its MLP makes of it."""
        x = self.graph.op("Add", x, self.linear(seen, f"{name}.attention.output"))
        return self.graph.op("Add", x, self.mlp(self.layer_norm(x, f"{name}.mlp_norm"), f"{name}.mlp", activation))

    def normalized(self, x: ir.Value) -> ir.Value:
        """Give rows of length 1."""
        op, constant = self.graph.op, self.graph.constant
        length = op("ReduceL2", x, constant([-1]), keepdims=1)
        return op("Div", x, op("Max", length, constant(1e-12)))
