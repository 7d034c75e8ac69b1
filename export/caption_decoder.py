"""The caption decoder as two ONNX graphs: the start of a caption, and one token more."""

import numpy as np
import onnx_ir as ir

from export.builder import Dim, GraphBuilder
from export.layers import Layers, additive
from training.config import PREFIX_ROWS, ModelConfig
from training.model import SleepLM

Cache = tuple[ir.Value, ir.Value]
"""Keys and values."""


def prefill(model: SleepLM) -> ir.Model:
    """Build the graph of a caption's start: signal tokens, domain and start token → logits and the whole state."""
    config, graph = model.config, GraphBuilder("decoder_prefill", model)
    layers, op = Layers(graph, config), graph.op
    tokens = layers.flat(graph.input("decoder_tokens", ["batch", config.decoder_tokens, config.width]))
    domain = graph.input("domain", ["batch"], "int64")
    ids = graph.input("token_ids", ["batch", 1], "int64")
    first = graph.stored("text.first_position", graph.array("text.position_embedding")[:1])
    row = layers.flat(op("Add", op("Gather", graph.weight("text.token_embedding.weight"), ids), first))
    row, text = _through_text(layers, row, config, None)
    crossed = [_crossed(layers, tokens, index, config) for index in range(config.decoder_layers)]
    x, kept = _through_decoder(layers, _prefixed(graph, domain, row, config), config, None, crossed)
    x = graph.reshape(x, [-1, PREFIX_ROWS + 1, config.width])
    last = op("Gather", x, graph.constant(np.array(PREFIX_ROWS)), axis=1)
    _output_logits(layers, last, config)
    cross = [layers.stack(values) for values in zip(*crossed, strict=True)]
    caches = (("text", text, 1), ("self", kept, PREFIX_ROWS + 1), ("cross", cross, config.decoder_tokens))
    for name, cache, rows in caches:
        for part, value in zip("kv", cache, strict=True):
            graph.output(f"{name}_{part}", value, _cache_shape(config, name, rows))
    return graph.model()


def step(model: SleepLM) -> ir.Model:
    """Build the graph of one token more: the token, its position and the state → logits and the grown state."""
    config, graph = model.config, GraphBuilder("decoder_step", model)
    layers, op = Layers(graph, config), graph.op
    ids = graph.input("token_ids", ["batch", 1], "int64")
    position = graph.input("position", [], "int64")
    lengths: dict[str, Dim] = {"text": "text_rows", "self": "decoder_rows", "cross": config.decoder_tokens}
    past = {
        name: tuple(graph.input(f"{name}_{part}", _cache_shape(config, name, rows)) for part in "kv")
        for name, rows in lengths.items()
    }
    place = op("Gather", graph.weight("text.position_embedding"), position)
    row = layers.flat(op("Add", op("Gather", graph.weight("text.token_embedding.weight"), ids), place))
    row, text = _through_text(layers, row, config, past["text"])
    crossed = [_layer_of(graph, past["cross"], index) for index in range(config.decoder_layers)]
    x, kept = _through_decoder(layers, row, config, past["self"], crossed)
    _output_logits(layers, x, config)
    for name, new in (("text", text), ("self", kept)):
        for part, old, value in zip("kv", past[name], new, strict=True):
            rows = f"next_{lengths[name]}"
            graph.output(f"next_{name}_{part}", op("Concat", old, value, axis=3), _cache_shape(config, name, rows))
    return graph.model()


def _cache_shape(config: ModelConfig, name: str, rows: Dim) -> list[Dim]:
    count = config.text_layers if name == "text" else config.decoder_layers
    return [count, "batch", config.heads, rows, config.head_width]


def _layer_of(graph: GraphBuilder, cache: tuple[ir.Value, ...], index: int) -> Cache:
    """Give one layer's keys and values `[B, heads, n, d]` of a cache of all layers."""
    layer = graph.constant(np.array(index))
    return graph.op("Gather", cache[0], layer), graph.op("Gather", cache[1], layer)


def _through_text(
    layers: Layers, x: ir.Value, config: ModelConfig, past: tuple[ir.Value, ...] | None
) -> tuple[ir.Value, list[ir.Value]]:
    """Send one row a text through the text tower; give it, and its keys and values in all layers."""
    made = []
    for index in range(config.text_layers):
        before = None if past is None else _layer_of(layers.graph, past, index)
        x, key, value = layers.block(x, f"text.blocks.{index}", 1, past=before)
        made.append((key, value))
    return x, [layers.stack(values) for values in zip(*made, strict=True)]


def _through_decoder(
    layers: Layers, x: ir.Value, config: ModelConfig, past: tuple[ir.Value, ...] | None, crossed: list[Cache]
) -> tuple[ir.Value, list[ir.Value]]:
    """Send prefix and start (no `past`) or one row through the decoder; give also their keys and values."""
    rows = PREFIX_ROWS + 1 if past is None else 1
    order = np.arange(PREFIX_ROWS + 1)
    mask = layers.graph.constant(additive((order[:, None] >= order) | (order < PREFIX_ROWS))) if past is None else None
    made = []
    for index in range(config.decoder_layers):
        before = None if past is None else _layer_of(layers.graph, past, index)
        x, key, value = layers.block(x, f"decoder.blocks.{index}", rows, mask, before)
        x = layers.cross_block(x, f"decoder.cross_blocks.{index}", rows, crossed[index])
        made.append((key, value))
    return x, [layers.stack(values) for values in zip(*made, strict=True)]


def _crossed(layers: Layers, tokens: ir.Value, index: int, config: ModelConfig) -> Cache:
    """Give a layer's keys and values of the signal's tokens."""
    name = f"decoder.cross_blocks.{index}"
    normed = layers.layer_norm(tokens, f"{name}.context_norm")
    return layers.keys_values(normed, f"{name}.attention", config.decoder_tokens)


def _prefixed(graph: GraphBuilder, domain: ir.Value, row: ir.Value, config: ModelConfig) -> ir.Value:
    """Put the domain's vector and the padding vector before a row `[B, W]`: `[3 B, W]`."""
    padding = graph.stored("decoder.padding_row", graph.array("decoder.padding_embedding")[None])
    shape = graph.op("Concat", graph.op("Shape", domain), graph.constant([config.width]), axis=0)
    parts = (
        graph.op("Gather", graph.weight("decoder.domain_embedding"), domain),
        graph.op("Expand", padding, shape),
        row,
    )
    return graph.reshape(graph.op("Concat", *parts, axis=1), [-1, config.width])


def _output_logits(layers: Layers, x: ir.Value, config: ModelConfig) -> None:
    """Score the next token from the rows `x [B, W]`."""
    logits = layers.linear(layers.layer_norm(x, "decoder.norm"), "decoder.vocabulary")
    layers.graph.output("logits", logits, ["batch", config.vocab_size])
