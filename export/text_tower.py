"""The text tower as an ONNX graph."""

import numpy as np
import onnx_ir as ir

from export.builder import GraphBuilder
from export.layers import NEVER, Layers
from training.config import ModelConfig
from training.model import SleepLM


def text_encoder(model: SleepLM) -> ir.Model:
    """Build the graph `token_ids [B, T]` → `embedding [B, D]`; `T` may be anything up to the context."""
    config, graph = model.config, GraphBuilder("text_encoder", model)
    layers, op = Layers(graph, config), graph.op
    ids = graph.input("token_ids", ["batch", "length"], "int64")
    rows = op("Add", op("Shape", ids), graph.constant([0, 2]))  # one row of padding and the class token besides
    heads = op("Concat", rows, graph.constant([config.heads, config.head_width]), axis=0)
    x = layers.flat(_embedded(graph, ids, config))
    mask = _mask(graph, ids, config.context_length)
    for index in range(config.text_layers):
        x, _, _ = layers.block(x, f"text.blocks.{index}", heads, mask)
    x = graph.reshape(x, op("Concat", rows, graph.constant([config.width]), axis=0))
    last = op("Gather", x, graph.constant(np.array(-1)), axis=1)
    embedding = layers.normalized(layers.linear(layers.layer_norm(last, "text.norm"), "text.embedding"))
    graph.output("embedding", embedding, ["batch", config.embed_dim])
    return graph.model()


def _embedded(graph: GraphBuilder, ids: ir.Value, config: ModelConfig) -> ir.Value:
    """Give the rows `[B, T + 2, W]` that enter the tower: text, a row of padding, the class token."""
    op, constant = graph.op, graph.constant
    padded = op("Pad", ids, constant([0, 0, 0, 1]), constant(np.array(0)))
    ends = op("Shape", padded, start=1, end=2)
    positions = op("Slice", graph.weight("text.position_embedding"), constant([0]), ends, constant([0]))
    text = op("Add", op("Gather", graph.weight("text.token_embedding.weight"), padded), positions)
    last = graph.array("text.class_token") + graph.array("text.position_embedding")[config.context_length]
    count = op("Concat", op("Shape", ids, start=0, end=1), constant([1, config.width]), axis=0)
    class_row = op("Expand", graph.stored("text.class_row", last[None, None]), count)
    return op("Concat", text, class_row, axis=1)


def _mask(graph: GraphBuilder, ids: ir.Value, context: int) -> ir.Value:
    """Give what is added to scores, `[B, 1, T + 2, T + 2]`, as `TextTower._mask` says which keys a row sees."""
    op, constant = graph.op, graph.constant
    before = op("Pad", ids, constant([0, 1, 0, 0]), constant(np.array(1)))  # key k is seen where token k - 1 is none
    seen = op("Greater", before, constant(np.array(0)))
    count = op("Squeeze", op("Shape", before, start=1, end=2), constant([0]))
    positions = op("Range", constant(np.array(0)), count, constant(np.array(1)))
    inside = op("Less", positions, constant(np.array(context)))
    past_context = op("Not", op("Gather", inside, constant([-1])))
    of_class = op("And", op("Gather", seen, constant([-1]), axis=1), past_context)
    keys = op("Concat", op("And", seen, inside), of_class, axis=1)
    order = op("Concat", positions, constant([context + 1]), axis=0)
    causal = op("GreaterOrEqual", op("Unsqueeze", order, constant([1])), op("Unsqueeze", order, constant([0])))
    allowed = op("And", causal, op("Unsqueeze", keys, constant([1, 2])))
    return op("Where", allowed, constant(0.0), constant(NEVER))
