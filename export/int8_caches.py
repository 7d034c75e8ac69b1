"""Keys and values of the decoder in int8: for which networks, the scale of each channel, and what torch makes of them.

Attention reads every row of a caption's caches for each token. Of a large network these are more bytes than a
processor's caches hold, and reading them takes as long as the products with its weights do in int8.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from export.caption_decoder import CacheScales, cache_names
from export.graphs import Graph, buffer_rows
from training.config import ModelConfig
from training.model import SleepLM

LARGE = 128 << 20
"""Bytes of float32 weights beyond which captions wait for memory; smaller networks gain more by drafts."""
HEAD_STEP = 8
"""Of head widths that `GroupQueryAttention` takes."""
LEVELS = 127
TOKENS, CAPTIONS, SEED = 2000, 32, 0
"""By which the scales are set: tokens of texts, captions that are begun."""
MARGIN = 1.25
"""Scales reach so far beyond the largest number that was seen; what lies further out is clipped."""
REPEATED = 50
"""Different tokens of those texts that repeat themselves."""


def worth_it(model: SleepLM) -> bool:
    """Say whether captions of a network gain by int8 caches, and ONNX Runtime's attention takes its heads."""
    large = sum(parameter.numel() * 4 for parameter in model.parameters()) > LARGE
    return large and model.config.head_width % HEAD_STEP == 0


@torch.no_grad()
def cache_scales(model: SleepLM, found: Sequence[Graph]) -> CacheScales:
    """Set the scales of a network's growing caches: one a channel, for all texts and rows.

    The numbers come from texts of random tokens about random signals, half of them of few tokens that come again and
    again. What the scales change in stages and captions of a night is judged afterwards, with the weights' int8.

    Parameters
    ----------
    model
        In evaluation mode.
    found
        Its graphs, from `export.graphs.graphs`.

    Returns
    -------
    dict
        For each growing cache the step of its numbers, `[1, heads, 1, d]` float32.
    """
    config, named = model.config, {graph.name: graph for graph in found}
    generator = torch.Generator().manual_seed(SEED)
    length = config.context_length - 1
    texts = min(-(-TOKENS // length), CAPTIONS)
    tokens = named["signal_encoder"].module(*named["signal_encoder"].inputs(CAPTIONS, 1).values())[1]
    rows = torch.arange(CAPTIONS)
    started = named["decoder_prefill"].module(tokens, rows % config.domains, rows)
    begun = dict(zip(cache_names(config, ("self", "cross")), started, strict=True))
    ids = torch.randint(1, config.vocab_size, (texts, length), generator=generator)
    ids[1::2] = ids[1::2, torch.randint(min(REPEATED, length), (length,), generator=generator)]
    room = _room(config, {name: cache[:texts] for name, cache in begun.items()}, length)
    bias = torch.zeros(1, config.vocab_size)
    made = named["decoder_step"].module(ids, torch.zeros_like(rows[:texts]), rows[:texts], bias, *room)
    scales = {}
    for name, cache in zip(cache_names(config, ("text", "self")), made[3:], strict=True):
        seen = [part.abs().amax(dim=(0, 2), keepdim=True) for part in (cache, begun.get(name, cache))]
        scales[name] = (torch.maximum(*seen).clamp(min=1e-6) * (MARGIN / LEVELS)).numpy()
    return scales


def _room(config: ModelConfig, begun: dict[str, Tensor], length: int) -> list[Tensor]:
    """Give the caches of begun captions, in order, with room for `length` tokens."""
    caches, count = [], len(begun["cross_k_0"])
    for name in cache_names(config):
        if name.startswith("cross"):
            caches.append(begun[name])
            continue
        caches.append(torch.zeros(count, config.heads, buffer_rows(length), config.head_width))
        if name in begun:
            caches[-1][:, :, : begun[name].shape[2]] = begun[name]
    return caches


def with_int8_caches(model: SleepLM, found: Sequence[Graph], scales: CacheScales) -> list[Graph]:
    """Give the graphs of a network whose growing caches are in int8: a step takes one token."""
    steps = {name: torch.from_numpy(scale) for name, scale in scales.items()}
    names = cache_names(model.config)

    def inputs(graph: Graph, batch: int, length: int) -> dict[str, Tensor]:
        given = graph.inputs(batch, length)
        return {
            name: in_int8(x, steps[name]) if name in steps else x[:, :1] if name == "token_ids" else x
            for name, x in given.items()
        }

    changed = []
    for graph in found:
        if graph.name == "decoder_prefill":
            changed.append(replace(graph, module=_Int8(graph.module, (), graph.outputs, steps)))
        elif graph.name == "decoder_step":
            axes = graph.axes | {"token_ids": {0: "texts"}}
            module = _Int8(graph.module, ("token_ids", "position", "text", "token_bias", *names), graph.outputs, steps)
            changed.append(
                replace(graph, module=module, inputs=lambda b, n, graph=graph: inputs(graph, b, n), axes=axes)
            )
        else:
            changed.append(graph)
    return changed


def in_int8(cache: Tensor, step: Tensor) -> Tensor:
    """Round keys or values to multiples of their channels' steps."""
    return torch.clamp(torch.round(cache / step), -128, 127).to(torch.int8)


class _Int8(nn.Module):
    """A graph's module whose caches go in and out in int8."""

    def __init__(
        self, module: nn.Module, inputs: tuple[str, ...], outputs: tuple[str, ...], steps: dict[str, Tensor]
    ) -> None:
        super().__init__()
        self.module, self.inputs, self.outputs, self.steps = module, inputs, outputs, steps

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        """Compute in float32."""
        names = self.inputs or ("",) * len(given)
        whole = [x * self.steps[name] if name in self.steps else x for name, x in zip(names, given, strict=True)]
        made = zip(self.outputs, self.module(*whole), strict=True)
        own = [(name.removeprefix("next_"), x) for name, x in made]
        return tuple(in_int8(x, self.steps[name]) if name in self.steps else x for name, x in own)
