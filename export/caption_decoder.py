"""The caption decoder as two ONNX graphs: the caches of new captions, and some tokens more.

Keys and values lie in buffers longer than the text, `[B, heads, rows, d]` a layer; a step writes those of its tokens
into them and masks what lies beyond. A buffer that is bound as input and as output is written in place.

Networks whose steps wait for memory can keep keys and values in int8: a quarter of what attention reads. Each channel
has one scale for all texts, so that what a text says does not depend on the others; a step then takes one token.
"""

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from export.builder import GraphBuilder
from export.layers import NEVER, Layers
from training.config import PREFIX_ROWS, ModelConfig
from training.model import SleepLM

Cache = tuple[ir.Value, ir.Value]
"""Keys and values."""
CacheScales = Mapping[str, NDArray[np.float32]]
"""Of each growing cache in int8, by its name: the step of its numbers, `[1, heads, 1, d]`."""
ROWS = {"text": "text_rows", "self": "decoder_rows"}
"""Names of the axes along which the buffers of the text tower and of the decoder reach."""


def cache_names(config: ModelConfig, caches: tuple[str, ...] = ("text", "self", "cross")) -> tuple[str, ...]:
    """Give the names of a decoder's caches in order: `<cache>_<k or v>_<layer>`."""
    counts = {"text": config.text_layers, "self": config.decoder_layers, "cross": config.decoder_layers}
    return tuple(f"{cache}_{part}_{layer}" for cache in caches for layer in range(counts[cache]) for part in "kv")


def prefill(model: SleepLM, scales: CacheScales | None = None) -> ir.Model:
    """Build the graph of new captions: epochs' signal tokens, then domain and epoch of each caption → its caches.

    The signal's keys and values are computed once an epoch, however many captions it has. The decoder's own caches
    hold the prefix's rows only; in int8 where there are `scales`.
    """
    config, graph = model.config, GraphBuilder("decoder_prefill", model)
    layers, op = Layers(graph, config), graph.op
    tokens = layers.flat(graph.input("decoder_tokens", ["epochs", config.memory_rows, config.width]))
    domain, epoch = graph.input("domain", ["batch"], "int64"), graph.input("epoch", ["batch"], "int64")
    x = _prefix(layers, domain, config)
    made: dict[str, ir.Value] = {}
    for index in range(config.decoder_layers):
        x, *own = layers.block(x, f"decoder.blocks.{index}", PREFIX_ROWS)
        name = f"decoder.cross_blocks.{index}"
        context = layers.layer_norm(tokens, f"{name}.context_norm")
        kept = layers.keys_values(context, f"{name}.attention", config.memory_rows)
        crossed = [op("Gather", part, epoch, axis=0) for part in kept]
        if index + 1 < config.decoder_layers:  # what comes after the last layer's keys and values is of no use
            x = layers.cross_block(x, name, PREFIX_ROWS, (crossed[0], crossed[1]))
        for part, of_self, of_cross in zip("kv", own, crossed, strict=True):
            made[f"self_{part}_{index}"], made[f"cross_{part}_{index}"] = of_self, of_cross
    for name in cache_names(config, ("self", "cross")):
        rows = PREFIX_ROWS if name.startswith("self") else config.memory_rows
        shape: list[int | str] = ["batch", config.heads, rows, config.head_width]
        if scales is not None and name in scales:
            graph.output(name, _in_int8(graph, made[name], scales[name]), shape, "int8")
        else:
            graph.output(name, made[name], shape)
    return graph.model()


def _in_int8(graph: GraphBuilder, value: ir.Value, scale: NDArray[np.float32]) -> ir.Value:
    """Round keys or values as ONNX Runtime rounds those that it appends to a cache."""
    op, constant = graph.op, graph.constant
    steps = op("Round", op("Div", value, constant(scale)))
    return op("Cast", op("Clip", steps, constant(-128.0), constant(127.0)), to=int(ir.DataType.INT8))


def _prefix(layers: Layers, domain: ir.Value, config: ModelConfig) -> ir.Value:
    """Give the rows `[2 B, W]` that stand before a text: the domain's vector and the padding vector."""
    graph = layers.graph
    padding = graph.stored("decoder.padding_row", graph.array("decoder.padding_embedding")[None])
    shape = graph.op("Concat", graph.op("Shape", domain), graph.constant([config.width]), axis=0)
    of_domain = graph.op("Gather", graph.weight("decoder.domain_embedding"), domain)
    return layers.flat(graph.op("Concat", of_domain, graph.op("Expand", padding, shape), axis=1))


def step(model: SleepLM, scales: CacheScales | None = None) -> ir.Model:
    """Build the graph of some tokens more of each caption, or with int8 caches of one token; see `_Step`."""
    return (_Step(model) if scales is None else _Int8Step(model, scales)).build()


class _Step:
    """The graph of some tokens more.

    `token_ids [U, T]`, `position [U]` (tokens before them), `text [B]` (the row of `token_ids` that each caption goes
    on with), `token_bias [1, V]` and the caches → for each token the `logits [B T, V]` of what follows, the likeliest
    `token [B, T]` and its `chance`; and the caches written. The text tower sees nothing but tokens, so that captions
    that say the same so far share its work and its caches.

    Each token's query is a product of its own, of one row: ONNX Runtime computes such products from the caches as they
    lie, at the speed of memory, and copies the caches before products of more rows. A token's numbers are the same
    alone and among others, since sums of one row are added up in one order.
    """

    tokens: int | str = "tokens"
    """T"""
    kind = "float32"
    """Type of the growing caches."""

    def __init__(self, model: SleepLM) -> None:
        self.config: ModelConfig = model.config
        self.graph = GraphBuilder("decoder_step", model)
        self.layers = Layers(self.graph, model.config)

    def build(self) -> ir.Model:
        """Add everything and give the model."""
        config, graph, op, constant = self.config, self.graph, self.graph.op, self.graph.constant
        ids = graph.input("token_ids", ["texts", self.tokens], "int64")
        position = graph.input("position", ["texts"], "int64")
        text = graph.input("text", ["batch"], "int64")
        bias = graph.input("token_bias", [1, config.vocab_size])
        caches = {name: graph.input(name, self._shape(name), self._kind(name)) for name in cache_names(config)}
        offsets = op("Range", constant(np.array(0)), self._scalar(op("Shape", ids, start=1)), constant(np.array(1)))
        places = op("Add", op("Unsqueeze", position, constant([1])), offsets)  # (text, token)
        inside = op("Min", places, constant([config.context_length - 1]))  # padding may lie beyond the context
        embedded = op("Gather", graph.weight("text.token_embedding.weight"), ids)
        x = self.layers.flat(op("Add", embedded, op("Gather", graph.weight("text.position_embedding"), inside)))
        made: dict[str, ir.Value] = {}
        self._aim("text", caches, places)
        for index in range(config.text_layers):
            x = self._block(x, f"text.blocks.{index}", f"text_{{}}_{index}", caches, made)
        read = graph.reshape(x, op("Concat", self.shape, constant([config.width]), axis=0))
        x = self.layers.flat(op("Gather", read, text, axis=0))
        self._aim("self", caches, op("Add", op("Gather", places, text, axis=0), constant([PREFIX_ROWS])))
        for index in range(config.decoder_layers):
            x = self._block(x, f"decoder.blocks.{index}", f"self_{{}}_{index}", caches, made)
            kept = (caches[f"cross_k_{index}"], caches[f"cross_v_{index}"])
            x = self._cross_block(x, f"decoder.cross_blocks.{index}", kept)
        self._score(x, bias)
        for name, value in made.items():
            graph.output(f"next_{name}", value, self._shape(name), self._kind(name))
        return graph.model()

    def _kind(self, cache: str) -> str:
        return "float32" if cache.startswith("cross") else self.kind

    def _shape(self, cache: str) -> list[int | str]:
        kind, config = cache.partition("_")[0], self.config
        owner = "texts" if kind == "text" else "batch"
        return [owner, config.heads, ROWS.get(kind, config.memory_rows), config.head_width]

    def _scalar(self, value: ir.Value) -> ir.Value:
        return self.graph.op("Squeeze", value, self.graph.constant([0]))

    def _aim(self, cache: str, caches: dict[str, ir.Value], places: ir.Value) -> None:
        """Prepare, for one kind of cache, where the tokens' rows are written and which rows each token sees.

        `places [n, T]` are the rows of the caches that belong to the tokens.
        """
        op, constant = self.graph.op, self.graph.constant
        self.shape = op("Shape", places)
        self.split_shape = op("Concat", self.shape, constant([self.config.heads, self.config.head_width]), axis=0)
        self.query_shape = op("Concat", self.shape, constant([self.config.heads, 1, self.config.head_width]), axis=0)
        batch = op("Shape", places, start=0, end=1)
        numbers = op("Range", constant(np.array(0)), self._scalar(batch), constant(np.array(1)))
        parts = (
            op("Unsqueeze", numbers, constant([1, 2])),
            constant(np.arange(self.config.heads)[None, None, :]),
            op("Unsqueeze", places, constant([2])),
        )
        full = op("Concat", self.shape, constant([self.config.heads]), axis=0)
        whole = [op("Unsqueeze", op("Expand", part, full), constant([3])) for part in parts]
        self.targets = op("Concat", *whole, axis=3)  # (batch, token, head, 3)
        reach = self._scalar(op("Shape", caches[f"{cache}_k_0"], start=2, end=3))
        rows = op("Range", constant(np.array(0)), reach, constant(np.array(1)))
        seen = op("LessOrEqual", rows, op("Unsqueeze", places, constant([2, 3, 4])))
        self.mask = op("Where", seen, constant(0.0), constant(NEVER))  # (batch, token, 1, 1, row)

    def _block(
        self, x: ir.Value, name: str, cache: str, caches: dict[str, ir.Value], made: dict[str, ir.Value]
    ) -> ir.Value:
        """A layer that writes the tokens' keys and values to its cache and looks at all of it."""
        normed = self.layers.layer_norm(x, f"{name}.norm")
        for part, layer in (("k", "key"), ("v", "value")):
            kept = cache.format(part)
            new = self.graph.reshape(self.layers.linear(normed, f"{name}.attention.{layer}"), self.split_shape)
            made[kept] = self.graph.op("ScatterND", caches[kept], self.targets, new)
        seen = self._seen(normed, name, (made[cache.format("k")], made[cache.format("v")]), self.mask)
        return self.layers.joined(x, seen, name)

    def _cross_block(self, x: ir.Value, name: str, kept: Cache) -> ir.Value:
        return self.layers.joined(x, self._seen(self.layers.layer_norm(x, f"{name}.norm"), name, kept), name)

    def _seen(self, normed: ir.Value, name: str, kept: Cache, mask: ir.Value | None = None) -> ir.Value:
        """Let the tokens' rows `[B T, W]` look at kept keys and values: `[B T, W]`."""
        op, constant = self.graph.op, self.graph.constant
        query = self.layers.scaled(self.layers.linear(normed, f"{name}.attention.query"))
        key, value = (op("Unsqueeze", part, constant([1])) for part in kept)  # (batch, 1, head, row, d): of all tokens
        scores = op("MatMul", self.graph.reshape(query, self.query_shape), op("Transpose", key, perm=[0, 1, 2, 4, 3]))
        if mask is not None:
            scores = op("Add", scores, mask)  # (batch, token, head, 1, row)
        return self.layers.flat(self.layers.weighed(scores, value))

    def _score(self, x: ir.Value, bias: ir.Value) -> None:
        """Score what follows each of the rows `x [B T, W]`."""
        op, constant, vocabulary = self.graph.op, self.graph.constant, self.config.vocab_size
        normed = self.layers.layer_norm(x, "decoder.norm")
        logits = op("Gemm", normed, self.graph.weight("decoder.vocabulary.weight"), bias, transB=1)
        chance = op("ReduceMax", op("Softmax", logits, axis=-1), constant([-1]), keepdims=0)
        token = op("ArgMax", logits, axis=-1, keepdims=0)
        self.graph.output("logits", logits, ["rows", vocabulary])  # in another shape they would be copied
        self.graph.output("token", self.graph.reshape(token, self.shape), ["batch", self.tokens], "int64")
        self.graph.output("chance", self.graph.reshape(chance, self.shape), ["batch", self.tokens])


class _Int8Step(_Step):
    """The same with caches in int8 and one token at a time, as ONNX Runtime's attention over such caches takes it.

    It reads no row beyond a text's end, and writes the new keys and values itself.
    """

    tokens = 1
    kind = "int8"

    def __init__(self, model: SleepLM, scales: CacheScales) -> None:
        super().__init__(model)
        self.scales = scales

    def _aim(self, cache: str, caches: dict[str, ir.Value], places: ir.Value) -> None:
        op, constant = self.graph.op, self.graph.constant
        self.shape = op("Shape", places)
        self.query_shape = op("Concat", self.shape, constant([self.config.heads, 1, self.config.head_width]), axis=0)
        self.last = op("Cast", self.graph.reshape(places, [-1]), to=int(ir.DataType.INT32))
        longest = op("Add", op("ReduceMax", places, keepdims=0), constant(np.array(1)))
        self.longest = op("Cast", longest, to=int(ir.DataType.INT32))

    def _block(
        self, x: ir.Value, name: str, cache: str, caches: dict[str, ir.Value], made: dict[str, ir.Value]
    ) -> ir.Value:
        normed = self.layers.layer_norm(x, f"{name}.norm")
        rows = [
            self.graph.reshape(self.layers.linear(normed, f"{name}.attention.{part}"), [-1, 1, self.config.width])
            for part in ("query", "key", "value")
        ]
        kept = [cache.format(part) for part in "kv"]
        scales = [self.graph.constant(self.scales[one]) for one in kept]
        inputs = [*rows, *(caches[one] for one in kept), self.last, self.longest, *[None] * 5, *scales]
        attributes = {
            "num_heads": self.config.heads,
            "kv_num_heads": self.config.heads,
            "k_quant_type": "PER_CHANNEL",
            "v_quant_type": "PER_CHANNEL",
            "kv_cache_bit_width": 8,
        }
        seen, made[kept[0]], made[kept[1]] = self.graph.runtime_op("GroupQueryAttention", inputs, attributes, 3)
        return self.layers.joined(x, self.layers.flat(seen), name)
