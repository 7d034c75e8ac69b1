"""The graphs of a bundle: flat signatures around the network, with examples and the axes that vary."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from training.config import ModelConfig
from training.model import DecoderState, SleepLM

STATE = DecoderState._fields
GROWING = STATE[:4]
"""The parts of the decoder's state that each step makes longer."""
TRUE_STEPS = 8
"""Steps that an example of a state really takes."""


class SignalEncoder(nn.Module):
    """`signals [B, C, S]`, `present [B, C]` → `embedding [B, D]`, `decoder_tokens [B, Q, W]`."""

    def __init__(self, model: SleepLM) -> None:
        super().__init__()
        self.model = model

    def forward(self, signals: Tensor, present: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Encode epochs."""
        return self.model.encode_signal(signals, present)


class TextEncoder(nn.Module):
    """`token_ids [B, T]` → `embedding [B, D]`; `T` may be anything up to the context."""

    def __init__(self, model: SleepLM) -> None:
        super().__init__()
        self.model = model

    def forward(self, token_ids: Tensor) -> Tensor:
        """Encode texts."""
        return self.model.encode_text(token_ids)[0]


class DecoderPrefill(nn.Module):
    """`decoder_tokens [B, Q, W]`, `domain [B]`, `token_ids [B, 1]` → `logits [B, V]` and the whole state."""

    def __init__(self, model: SleepLM) -> None:
        super().__init__()
        self.model = model

    def forward(self, decoder_tokens: Tensor, domain: Tensor, token_ids: Tensor) -> tuple[Tensor, ...]:
        """Start captions."""
        logits, state = self.model.prefill(decoder_tokens, domain, token_ids)
        return (logits, *state)


class DecoderStep(nn.Module):
    """`token_ids [B, 1]`, `position []` and the state → `logits [B, V]` and the four growing parts."""

    def __init__(self, model: SleepLM) -> None:
        super().__init__()
        self.model = model

    def forward(  # noqa: PLR0913 - a graph's signature is flat
        self,
        token_ids: Tensor,
        position: Tensor,
        text_k: Tensor,
        text_v: Tensor,
        self_k: Tensor,
        self_v: Tensor,
        cross_k: Tensor,
        cross_v: Tensor,
    ) -> tuple[Tensor, ...]:
        """Go on with one token."""
        state = DecoderState(text_k, text_v, self_k, self_v, cross_k, cross_v)
        logits, state = self.model.step(token_ids, position, state)
        return (logits, *state[: len(GROWING)])


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
    """The axes of inputs that vary, by name: `batch`, `length`, `text_rows`, `decoder_rows`."""


def _signal_inputs(config: ModelConfig, batch: int, _: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(batch)
    channels = len(config.channels)
    inputs = {"signals": torch.randn(batch, channels, config.samples, generator=generator)}
    if config.missing_token:
        inputs["present"] = (torch.rand(batch, channels, generator=generator) < 0.8).float()
    return inputs


def _token_ids(config: ModelConfig, batch: int, length: int) -> Tensor:
    generator = torch.Generator().manual_seed(batch * 1009 + length)
    return torch.randint(1, config.vocab_size, (batch, length), generator=generator)


def _text_inputs(config: ModelConfig, batch: int, length: int) -> dict[str, Tensor]:
    ids = _token_ids(config, batch, length)
    ends = torch.arange(batch) % length + 1  # texts of different lengths, padded
    return {"token_ids": torch.where(torch.arange(length) < ends[:, None], ids, 0)}


def _decoder_tokens(config: ModelConfig, batch: int) -> Tensor:
    generator = torch.Generator().manual_seed(batch)
    return torch.randn(batch, config.decoder_tokens, config.width, generator=generator)


def _prefill_inputs(config: ModelConfig, batch: int, _: int) -> dict[str, Tensor]:
    return {
        "decoder_tokens": _decoder_tokens(config, batch),
        "domain": torch.arange(batch) % config.domains,
        "token_ids": _token_ids(config, batch, 1),
    }


@torch.no_grad()
def _step_inputs(model: SleepLM, batch: int, length: int) -> dict[str, Tensor]:
    """Give the inputs of the step after `length` tokens.

    The state is the network's own for the first tokens; beyond, their keys and values come again and again, which
    spares the many steps to a long text.
    """
    config = model.config
    ids = _token_ids(config, batch, length + 1)
    started = _prefill_inputs(config, batch, 1)
    _, state = model.prefill(started["decoder_tokens"], started["domain"], ids[:, :1])
    for position in range(1, min(length, TRUE_STEPS)):
        _, state = model.step(ids[:, position : position + 1], torch.tensor(position), state)
    kept = state._asdict()
    for name in GROWING:
        rows = kept[name].shape[3] + max(length - TRUE_STEPS, 0)
        kept[name] = kept[name][:, :, :, torch.arange(rows) % kept[name].shape[3]]
    return {"token_ids": ids[:, length:], "position": torch.tensor(length), **kept}


def graphs(model: SleepLM) -> list[Graph]:
    """Give the graphs that a network has; `model` is in evaluation mode."""
    config = model.config
    batch = {0: "batch"}
    signal_axes = {"signals": batch} | ({"present": batch} if config.missing_token else {})
    caches = {name: {1: "batch", 3: "text_rows" if name.startswith("text") else "decoder_rows"} for name in GROWING}
    caches |= {"cross_k": {1: "batch"}, "cross_v": {1: "batch"}}
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
            ("logits", *STATE),
            {"decoder_tokens": batch, "domain": batch, "token_ids": batch},
        ),
        Graph(
            "decoder_step",
            DecoderStep(model).eval(),
            lambda b, n: _step_inputs(model, b, n),
            ("logits", *(f"next_{name}" for name in GROWING)),
            {"token_ids": batch, "position": {}, **caches},
        ),
    ]
    if model.reconstruction is not None:
        inputs = {"decoder_tokens": batch}
        found.append(
            Graph(
                "reconstruction",
                Reconstruction(model).eval(),
                lambda b, n: {"decoder_tokens": _decoder_tokens(config, b)},
                ("signals",),
                inputs,
            )
        )
    return found
