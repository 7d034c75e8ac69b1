"""The graphs of a bundle: flat signatures around the network, with examples and the axes that vary."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from core.language.context import COURSE_STEPS
from export.caption_decoder import cache_names
from training.config import PREFIX_ROWS, ModelConfig
from training.model import SleepLM

TOKENS = 3
"""Tokens that an example of a step takes at once."""
ROW_STEP = 32
"""The runtime's caches grow by so many rows."""


class SignalEncoder(nn.Module):
    """`signals [B, C, S]`, then what else the network takes → `embedding [B, D]`, `decoder_tokens [B, Q + R, W]`."""

    def __init__(self, model: SleepLM) -> None:
        super().__init__()
        self.model = model

    def forward(self, signals: Tensor, *more: Tensor) -> tuple[Tensor, Tensor]:
        """Encode epochs; `more`: `present [B, C]`, `values [B, K]` and `courses [B, E, 60]`, each where it is taken."""
        config = self.model.config
        present = more[0] if config.missing_token else None
        context = (more[-2], more[-1]) if config.measured else None
        return self.model.encode_signal(signals, present, context)


class TextEncoder(nn.Module):
    """`token_ids [B, T]` → `embedding [B, D]`; `T` may be anything up to the context."""

    def __init__(self, model: SleepLM) -> None:
        super().__init__()
        self.model = model

    def forward(self, token_ids: Tensor) -> Tensor:
        """Encode texts."""
        return self.model.encode_text(token_ids)[0]


class DecoderPrefill(nn.Module):
    """`decoder_tokens [E, Q, W]`, `domain [B]`, `epoch [B]` → the prefix's keys and values, then the signal's."""

    def __init__(self, model: SleepLM) -> None:
        super().__init__()
        self.model = model

    def forward(self, decoder_tokens: Tensor, domain: Tensor, epoch: Tensor) -> tuple[Tensor, ...]:
        """Start captions."""
        decoder = self.model.decoder
        x, own, crossed = decoder.prefix(domain), [], []
        for block, cross in zip(decoder.blocks, decoder.cross_blocks, strict=True):
            x, key, value = block(x)
            kept = [part[epoch] for part in cross.keys_values(decoder_tokens)]
            x = cross(x, *kept)
            own += [key, value]
            crossed += kept
        return (*own, *crossed)


class DecoderStep(nn.Module):
    """`token_ids [U, T]`, `position [U]`, `text [B]`, `token_bias [1, V]`, caches → logits, token, chance, caches.

    Text by text, then caption by caption, each with just the keys and values that it has.
    """

    def __init__(self, model: SleepLM) -> None:
        super().__init__()
        self.model = model
        self.names = cache_names(model.config)

    def forward(
        self, token_ids: Tensor, position: Tensor, text: Tensor, token_bias: Tensor, *caches: Tensor
    ) -> tuple[Tensor, ...]:
        """Go on with some tokens."""
        kept = {name: cache.clone() for name, cache in zip(self.names, caches, strict=True)}
        before = [int(place) for place in position]
        read = [self._read(row, ids[None], before[row], kept) for row, ids in enumerate(token_ids)]
        rows = [self._written(row, read[of], before[of], kept) for row, of in enumerate(text.tolist())]
        logits = torch.cat(rows) + token_bias[:, None]
        chance, token = logits.softmax(dim=-1).max(dim=-1)
        return (
            logits.flatten(0, 1),
            token,
            chance,
            *(kept[name] for name in self.names if not name.startswith("cross")),
        )

    def _read(self, row: int, ids: Tensor, position: int, caches: dict[str, Tensor]) -> Tensor:
        """Give what the text tower makes `[1, T, W]` of one text's tokens, and write to its caches."""
        text = self.model.text
        x = text.token_embedding(ids) + text.position_embedding[position : position + ids.shape[1]]
        for layer, block in enumerate(text.blocks):
            kept = (caches[f"text_k_{layer}"][row : row + 1], caches[f"text_v_{layer}"][row : row + 1])
            x = self._through(block, x, position, kept)
        return x

    def _written(self, row: int, x: Tensor, position: int, caches: dict[str, Tensor]) -> Tensor:
        """Give the logits `[1, T, V]` of one caption and write to its caches."""
        decoder = self.model.decoder
        own = {name: cache[row : row + 1] for name, cache in caches.items() if not name.startswith("text")}
        for layer, (block, cross) in enumerate(zip(decoder.blocks, decoder.cross_blocks, strict=True)):
            kept = (own[f"self_k_{layer}"], own[f"self_v_{layer}"])
            x = self._through(block, x, position + PREFIX_ROWS, kept)
            x = cross(x, own[f"cross_k_{layer}"], own[f"cross_v_{layer}"])
        logits: Tensor = decoder.vocabulary(decoder.norm(x))
        return logits

    @staticmethod
    def _through(block: nn.Module, x: Tensor, before: int, kept: tuple[Tensor, Tensor]) -> Tensor:
        order = torch.arange(before + x.shape[1])
        mask = order[before:, None] >= order
        x, key, value = block(x, mask, (kept[0][:, :, :before], kept[1][:, :, :before]))
        for cache, part in zip(kept, (key, value), strict=True):
            cache[:, :, : len(order)] = part
        return x


class Reconstruction(nn.Module):
    """`decoder_tokens [B, Q, W]` → `signals [B, C, S]`."""

    def __init__(self, model: SleepLM) -> None:
        super().__init__()
        self.model = model

    def forward(self, decoder_tokens: Tensor) -> Tensor:
        """Reconstruct signals."""
        return self.model.reconstruct(decoder_tokens)


@dataclass(frozen=True)
class Graph:
    """One graph of a bundle."""

    name: str
    """Its file's stem and its key in bundle.json."""
    module: nn.Module
    """The network behind a flat signature."""
    inputs: Callable[[int, int], dict[str, Tensor]]
    """Makes example inputs of a batch size and a length, in the order of the signature."""
    outputs: tuple[str, ...]
    """Names of the outputs."""
    axes: dict[str, dict[int, str]]
    """The axes of inputs that vary, by name: `batch`, `epochs`, `texts`, `length`, `tokens`, `text_rows`,
    `decoder_rows`."""


def _signal_inputs(config: ModelConfig, batch: int, _: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(batch)
    channels = len(config.channels)
    inputs = {"signals": torch.randn(batch, channels, config.samples, generator=generator)}
    if config.missing_token:
        inputs["present"] = (torch.rand(batch, channels, generator=generator) < 0.8).float()
    if config.measured:
        known = torch.rand(batch, len(config.measured), generator=generator) < 0.8
        values = 20 * torch.randn(batch, len(config.measured), generator=generator)
        inputs["values"] = values.masked_fill(~known, torch.nan)
        inputs["courses"] = torch.rand(batch, len(config.courses), COURSE_STEPS, generator=generator).round()
    return inputs


def _token_ids(config: ModelConfig, batch: int, length: int) -> Tensor:
    generator = torch.Generator().manual_seed(batch * 1009 + length)
    return torch.randint(1, config.vocab_size, (batch, length), generator=generator)


def _text_inputs(config: ModelConfig, batch: int, length: int) -> dict[str, Tensor]:
    ids = _token_ids(config, batch, length)
    ends = torch.arange(batch) % length + 1  # texts of different lengths, padded
    return {"token_ids": torch.where(torch.arange(length) < ends[:, None], ids, 0)}


def _decoder_tokens(config: ModelConfig, batch: int, rows: int) -> Tensor:
    generator = torch.Generator().manual_seed(batch)
    return torch.randn(batch, rows, config.width, generator=generator)


def _prefill_inputs(config: ModelConfig, batch: int, _: int) -> dict[str, Tensor]:
    epochs = batch // 2 + 1  # some epochs have several captions
    return {
        "decoder_tokens": _decoder_tokens(config, epochs, config.memory_rows),
        "domain": torch.arange(batch) % config.domains,
        "epoch": torch.arange(batch) % epochs,
    }


@torch.no_grad()
def _step_inputs(model: SleepLM, batch: int, length: int) -> dict[str, Tensor]:
    """Give the inputs of a step of captions of up to `length` tokens, some of them shorter, some of one text.

    Of the state the prefix's and the signal's part is the network's own; the text's rows are drawn at random, the
    spread of the prefix's, which spares the many steps to a long text. Rows beyond a caption's end hold numbers too.
    """
    config = model.config
    generator = torch.Generator().manual_seed(batch * 1009 + length)
    tokens = min(TOKENS, config.context_length - length)
    texts = batch // 2 + 1
    started = DecoderPrefill(model)(*_prefill_inputs(config, batch, 1).values())
    kept = dict(zip(cache_names(config, ("self", "cross")), started, strict=True))
    caches = {}
    for name in cache_names(config):
        if name.startswith("cross"):
            caches[name] = kept[name]
            continue
        own = kept[name.replace("text", "self")] if name.replace("text", "self") in kept else kept["self_k_0"]
        owners = texts if name.startswith("text") else batch
        shape = (owners, config.heads, buffer_rows(length + tokens), config.head_width)
        caches[name] = torch.randn(shape, generator=generator) * own.std()
        if name.startswith("self"):
            caches[name][:, :, :PREFIX_ROWS] = own
    return {
        "token_ids": _token_ids(config, texts, length + tokens)[:, length:],
        "position": torch.clamp(length - 2 * torch.arange(texts), min=0),
        "text": torch.arange(batch) % texts,
        "token_bias": torch.randn(1, config.vocab_size, generator=generator),
        **caches,
    }


def buffer_rows(tokens: int) -> int:
    """Give the rows of a buffer that holds so many tokens and the prefix: a multiple of 32."""
    return -(-(tokens + PREFIX_ROWS) // ROW_STEP) * ROW_STEP


def graphs(model: SleepLM) -> list[Graph]:
    """Give the graphs that a network has; `model` is in evaluation mode."""
    config = model.config
    batch = {0: "batch"}
    signal_axes = dict.fromkeys(_signal_inputs(config, 1, 1), batch)
    growing = cache_names(config, ("text", "self"))
    caches: dict[str, dict[int, str]] = {name: {0: "batch"} for name in cache_names(config)}
    for name in growing:
        of_text = name.startswith("text")
        caches[name] = {0: "texts" if of_text else "batch", 2: "text_rows" if of_text else "decoder_rows"}
    step_axes = {"token_ids": {0: "texts", 1: "tokens"}, "position": {0: "texts"}, "text": batch, "token_bias": {}}
    found = [
        Graph(
            "signal_encoder",
            SignalEncoder(model).eval(),
            lambda b, n: _signal_inputs(config, b, n),
            ("embedding", "decoder_tokens"),
            signal_axes,
        ),
        Graph(
            "text_encoder",
            TextEncoder(model).eval(),
            lambda b, n: _text_inputs(config, b, n),
            ("embedding",),
            {"token_ids": {0: "batch", 1: "length"}},
        ),
        Graph(
            "decoder_prefill",
            DecoderPrefill(model).eval(),
            lambda b, n: _prefill_inputs(config, b, n),
            cache_names(config, ("self", "cross")),
            {"decoder_tokens": {0: "epochs"}, "domain": batch, "epoch": batch},
        ),
        Graph(
            "decoder_step",
            DecoderStep(model).eval(),
            lambda b, n: _step_inputs(model, b, n),
            ("logits", "token", "chance", *(f"next_{name}" for name in growing)),
            step_axes | caches,
        ),
    ]
    if model.reconstruction is not None:
        inputs = {"decoder_tokens": batch}
        found.append(
            Graph(
                "reconstruction",
                Reconstruction(model).eval(),
                lambda b, n: {"decoder_tokens": _decoder_tokens(config, b, config.decoder_tokens)},
                ("signals",),
                inputs,
            )
        )
    return found
