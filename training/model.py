"""SleepLM: a signal tower, a text tower, a caption decoder and a reconstruction head.

The network is that of arXiv 2602.23605 (DESIGN.md, section 3); `training.sleeplm` loads the published weights
into it.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own name for it)

from core.language.context import COURSE_STEPS
from training.config import FIGURE_TOKENS, PREFIX_ROWS, RECONSTRUCTION_LAYERS, ModelConfig
from training.layers import (
    LAYER_NORM_EPS,
    RMS_EPS,
    Attention,
    Block,
    CrossBlock,
    Pooler,
    SignalBlock,
    mlp,
    rotary_frequencies,
)

INITIAL_LOGIT_SCALE = math.log(1 / 0.07)


class DecoderState(NamedTuple):
    """Keys and values kept between the steps of a caption, `[layers, B, heads, rows, d]` each."""

    text_k: Tensor
    text_v: Tensor
    self_k: Tensor
    self_v: Tensor
    cross_k: Tensor
    cross_v: Tensor


POWER_FLOOR = 1e-4  # stored units squared: below the noise of any channel
POWER_SCALE = 0.3  # brings the logarithms to a spread of about one


def fourier_basis(samples: int) -> Tensor:
    """Give the windowed cosines, then sines, of 1 to `samples / 2` periods a patch: `[samples, samples]`."""
    window = torch.hann_window(samples, periodic=False)
    turns = torch.outer(torch.arange(samples), torch.arange(1, samples // 2 + 1)) / samples
    waves = torch.cat((torch.cos(2 * torch.pi * turns), torch.sin(2 * torch.pi * turns)), dim=1)
    return window[:, None] * waves * (2 / samples)


VALUE_TURNS = tuple(2 * math.pi / period for period in (8.0, 4.0, 2.0, 1.0, 0.5))
"""Angular frequencies, in spreads of a value, at which its place is told."""
FURTHEST_VALUE = 6.0
"""A measured value further from the middle, in spreads, is shown as if it were so far."""
VALUE_FEATURES = 2 + 2 * len(VALUE_TURNS)


class ContextTower(nn.Module):
    """From what is shown of an epoch beside its signals to vectors beside theirs.

    `middle [K]` and `spread [K]` of the measured values are buffers that a run sets from its data.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        count, width = len(config.measured), config.width
        self.register_buffer("middle", torch.zeros(count))
        self.register_buffer("spread", torch.ones(count))
        self.figures = mlp(count * VALUE_FEATURES, 2 * width, nn.GELU(), FIGURE_TOKENS * width)
        self.course = nn.Linear(COURSE_STEPS, width)
        self.names = nn.Parameter(torch.randn(len(config.courses), width) * 0.02)
        self.embedding = nn.Linear(config.context_rows * width, config.embed_dim)

    def forward(self, values: Tensor, courses: Tensor) -> Tensor:
        """Give the vectors `[B, R, W]` of `values [B, K]`, NaN where unknown, and `courses [B, E, 60]`."""
        known = ~values.isnan()
        place = ((values.nan_to_num() - self.middle) / self.spread).clamp(-FURTHEST_VALUE, FURTHEST_VALUE)
        turned = [wave(turn * place) for turn in VALUE_TURNS for wave in (torch.sin, torch.cos)]
        features = torch.stack((torch.ones_like(place), place, *turned), dim=-1) * known[..., None]
        figures = self.figures(features.flatten(1)).unflatten(-1, (FIGURE_TOKENS, -1))
        return torch.cat((figures, self.course(courses) + self.names), dim=1)


class SignalTower(nn.Module):
    """From the channels of an epoch to an embedding and to the tokens that the decoder sees."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width, heads = config.width, config.heads
        self.patch_size = config.patch_size
        self.patch = nn.Linear(config.patch_size, config.conv_width)  # a convolution whose stride is its kernel
        self.project = nn.Linear(config.conv_width, width)
        if config.spectrum:
            self.register_buffer("fourier", fourier_basis(config.patch_size), persistent=False)
        self.spectrum = nn.Linear(config.patch_size // 2, width) if config.spectrum else None
        self.channel_embedding = nn.Parameter(torch.randn(len(config.channels), width) * 0.02)
        self.missing = nn.Parameter(torch.randn(width) * 0.02) if config.missing_token else None
        self.channel_frequencies = nn.Parameter(rotary_frequencies(config.head_width))
        self.register_buffer("temporal_frequencies", rotary_frequencies(config.head_width))
        hidden = round(width * config.mlp_ratio_signal)
        self.blocks = nn.ModuleList(SignalBlock(width, heads, hidden) for _ in range(config.signal_blocks))
        self.norm = nn.RMSNorm(width, eps=RMS_EPS)
        self.contrastive_pooler = Pooler(width, heads, 1)
        self.decoder_pooler = Pooler(width, heads, config.decoder_tokens)
        self.embedding_attention = Attention(width, heads)
        self.embedding = nn.Linear(width, config.embed_dim)
        self.context = ContextTower(config) if config.measured else None

    def tokens(self, signals: Tensor, present: Tensor | None) -> Tensor:
        """Give the tokens `[B, C, P, W]` of `signals [B, C, S]`."""
        patches = signals.unflatten(-1, (-1, self.patch_size))  # (batch, channel, patch, sample)
        x = self.project(self.patch(patches))
        if self.spectrum is not None:
            cosine, sine = (patches @ self.fourier).chunk(2, dim=-1)
            power = torch.log(cosine.square() + sine.square() + POWER_FLOOR)
            x = x + self.spectrum(POWER_SCALE * power + 1)
        if self.missing is not None and present is not None:
            there = present[:, :, None, None] if present.ndim == 2 else present[..., None]
            x = torch.where(there > 0.5, x, self.missing)
        x = x + self.channel_embedding[:, None]
        for block in self.blocks:
            x = block(x, self.channel_frequencies, self.temporal_frequencies)
        return self.norm(x)

    def forward(
        self, signals: Tensor, present: Tensor | None = None, context: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Give the L2-normalised embedding `[B, D]` and the decoder's tokens `[B, Q + R, W]`."""
        tokens = self.tokens(signals, present).flatten(1, 2)
        memory, query = self.decoder_pooler(tokens), self.contrastive_pooler(tokens)
        if self.context is not None:
            beside = self.context(*(_nothing(self.context, len(signals)) if context is None else context))
            memory = torch.cat((memory, beside), dim=1)
        pooled = self.embedding_attention.attend(query, *self.embedding_attention.keys_values(memory))
        embedding = self.embedding(pooled[:, 0])
        if self.context is not None:
            embedding = embedding + self.context.embedding(beside.flatten(1))
        return F.normalize(embedding, dim=-1), memory


def _nothing(tower: ContextTower, count: int) -> tuple[Tensor, Tensor]:
    """Give values and courses of epochs of which nothing is known beside their signals."""
    values = tower.middle.new_full((count, len(tower.middle)), math.nan)
    return values, values.new_zeros((count, len(tower.names), COURSE_STEPS))


class TextTower(nn.Module):
    """A causal text encoder with a class token in the last position."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width, context = config.width, config.context_length
        self.context_length = context
        self.token_embedding = nn.Embedding(config.vocab_size, width)
        self.position_embedding = nn.Parameter(torch.randn(context + 1, width) * 0.01)
        self.class_token = nn.Parameter(torch.randn(width) * 0.01)
        hidden = round(width * config.mlp_ratio_text)
        self.blocks = nn.ModuleList(Block(width, config.heads, hidden) for _ in range(config.text_layers))
        self.norm = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.embedding = nn.Linear(width, config.embed_dim, bias=False)

    def _mask(self, ids: Tensor) -> Tensor:
        """Give the mask `[B, 1, T + 2, T + 2]` of the rows: text, one padding row, class token.

        The published mask of padding stands one key too far right: key `k` is seen where token `k - 1` is not
        padding. So a text shorter than the context shows one padding row, and the class token sees itself only
        where the text fills the context.
        """
        rows = ids.shape[1] + 1
        positions = torch.arange(rows, device=ids.device)
        seen = F.pad(ids != 0, (1, 0), value=True)  # (batch, T + 1)
        inside = positions < self.context_length
        keys = torch.cat((seen & inside, seen[:, -1:] & ~inside[-1:]), dim=1)
        order = torch.cat((positions, positions.new_full((1,), self.context_length + 1)))
        return (order[:, None] >= order) & keys[:, None, None]

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Give the L2-normalised embedding `[B, D]` and the rows `[B, T, W]` for the decoder.

        `ids [B, T]` is padded with 0; columns of padding left out (`T` below the context) change nothing.
        """
        length = ids.shape[1]
        text = self.token_embedding(F.pad(ids, (0, 1))) + self.position_embedding[: length + 1]
        last = self.class_token + self.position_embedding[self.context_length]
        x = torch.cat((text, last.expand(ids.shape[0], 1, -1)), dim=1)
        mask = self._mask(ids)
        for block in self.blocks:
            x, _, _ = block(x, mask)
        return F.normalize(self.embedding(self.norm(x[:, -1])), dim=-1), x[:, :length]

    def step(
        self, ids: Tensor, position: Tensor, past_k: Tensor | None, past_v: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Give the row of one more token `ids [B, 1]` at `position`, and all keys and values so far.

        Equal to `forward` as long as no token before it is padding.
        """
        x = self.token_embedding(ids) + self.position_embedding[position]
        return _through(self.blocks, x, past_k, past_v)


def _through(
    blocks: nn.ModuleList, x: Tensor, past_k: Tensor | None, past_v: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Send rows that see everything before them through layers with kept keys and values."""
    keys, values = [], []
    for layer, block in enumerate(blocks):
        past = None if past_k is None or past_v is None else (past_k[layer], past_v[layer])
        x, key, value = block(x, past=past)
        keys.append(key)
        values.append(value)
    return x, torch.stack(keys), torch.stack(values)


class CaptionDecoder(nn.Module):
    """Layers of self-attention over prefix and text, and of cross-attention over the signal, in turn."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width, heads = config.width, config.heads
        hidden = round(width * config.mlp_ratio_text)
        self.domain_embedding = nn.Parameter(torch.randn(config.domains, width) * 0.02)
        self.padding_embedding = nn.Parameter(torch.randn(width) * 0.02)
        self.blocks = nn.ModuleList(Block(width, heads, hidden) for _ in range(config.decoder_layers))
        self.cross_blocks = nn.ModuleList(CrossBlock(width, heads, hidden) for _ in range(config.decoder_layers))
        self.norm = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.vocabulary = nn.Linear(width, config.vocab_size, bias=False)

    def prefix(self, domain: Tensor) -> Tensor:
        """Give the prefix `[B, 2, W]` of the domains `[B]`."""
        padding = self.padding_embedding.expand(domain.shape[0], -1)
        return torch.stack((self.domain_embedding[domain], padding), dim=1)

    def forward(self, rows: Tensor, decoder_tokens: Tensor, domain: Tensor) -> Tensor:
        """Give the logits `[B, T, V]` of the token that follows each of `rows [B, T, W]`."""
        x = torch.cat((self.prefix(domain), rows), dim=1)
        order = torch.arange(x.shape[1], device=x.device)
        mask = (order[:, None] >= order) | (order < PREFIX_ROWS)
        for block, cross in zip(self.blocks, self.cross_blocks, strict=True):
            x, _, _ = block(x, mask)
            x = cross(x, *cross.keys_values(decoder_tokens))
        return self.vocabulary(self.norm(x[:, PREFIX_ROWS:]))

    def cross_keys_values(self, decoder_tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Project the signal's tokens for every layer: `[layers, B, heads, Q, d]` twice."""
        keys, values = zip(*(cross.keys_values(decoder_tokens) for cross in self.cross_blocks), strict=True)
        return torch.stack(keys), torch.stack(values)

    def advance(
        self, x: Tensor, past: tuple[Tensor, Tensor] | None, cross: tuple[Tensor, Tensor], mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Send new rows `[B, n, W]` through; give the last one's logits `[B, V]` and all keys and values."""
        keys, values = [], []
        for layer, (block, cross_block) in enumerate(zip(self.blocks, self.cross_blocks, strict=True)):
            x, key, value = block(x, mask, None if past is None else (past[0][layer], past[1][layer]))
            x = cross_block(x, cross[0][layer], cross[1][layer])
            keys.append(key)
            values.append(value)
        return self.vocabulary(self.norm(x[:, -1])), torch.stack(keys), torch.stack(values)


class ReconstructionHead(nn.Module):
    """From the decoder's tokens back to the signals."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.width
        self.rows = config.decoder_tokens
        self.shape = (len(config.channels), config.samples)
        self.blocks = nn.ModuleList(
            Block(width, config.heads, 2 * width, nn.ReLU()) for _ in range(RECONSTRUCTION_LAYERS)
        )
        self.to_signals = mlp(width, width // 2, nn.ReLU(), self.shape[0] * self.shape[1])

    def forward(self, decoder_tokens: Tensor) -> Tensor:
        """Give signals `[B, C, S]` from `decoder_tokens [B, Q, W]`; what stands beside the signals is not looked at."""
        x = decoder_tokens[:, : self.rows]
        for block in self.blocks:
            x, _, _ = block(x)
        return self.to_signals(x.mean(dim=1)).unflatten(-1, self.shape)


class SleepLM(nn.Module):
    """The whole network.

    Parameters
    ----------
    config
        Its sizes, kept as the attribute `config`.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.signal = SignalTower(config)
        self.text = TextTower(config)
        self.decoder = CaptionDecoder(config)
        self.reconstruction = ReconstructionHead(config) if config.reconstruction else None
        self.logit_scale = nn.Parameter(torch.tensor(INITIAL_LOGIT_SCALE))
        self._initialise()

    def _initialise(self) -> None:
        """Draw the text layers as CLIP does: widths fix the spread, depth shrinks what feeds the residual."""
        for blocks in (self.text.blocks, self.decoder.blocks, self.decoder.cross_blocks):
            width, shrink = self.config.width, (2 * len(blocks)) ** -0.5
            for block in blocks:
                for projection in (block.attention.query, block.attention.key, block.attention.value):
                    nn.init.normal_(projection.weight, std=width**-0.5)
                nn.init.normal_(block.attention.output.weight, std=width**-0.5 * shrink)
                nn.init.normal_(block.mlp[0].weight, std=(2 * width) ** -0.5)
                nn.init.normal_(block.mlp[2].weight, std=width**-0.5 * shrink)
        nn.init.normal_(self.text.token_embedding.weight, std=0.02)
        nn.init.normal_(self.text.embedding.weight, std=self.config.width**-0.5)
        nn.init.normal_(self.decoder.vocabulary.weight, std=self.config.width**-0.5)

    def encode_signal(
        self, signals: Tensor, present: Tensor | None = None, context: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Encode epochs.

        Parameters
        ----------
        signals
            `[B, C, S]`.
        present
            1 where a channel is there, else 0: `[B, C]`, or `[B, C, P]` patch by patch; None: all are. A network
            without a missing token does not look at it.
        context
            Measured values `[B, K]`, NaN where unknown, and courses `[B, E, 60]`; None: nothing is known. A network
            that is shown signals alone does not look at it.

        Returns
        -------
        tuple
            The L2-normalised embedding `[B, D]` and the decoder's tokens `[B, Q + R, W]`: Q of the signals, R of what
            stands beside them.
        """
        return self.signal(signals, present, context)

    def encode_text(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Encode texts `ids [B, T]` (start, text, end, 0 padding) to an embedding `[B, D]` and rows `[B, T, W]`.

        `T` may be anything up to the context: columns of padding left out change nothing.
        """
        return self.text(ids)

    def decode(self, rows: Tensor, decoder_tokens: Tensor, domain: Tensor) -> Tensor:
        """Give the logits `[B, T, V]`: row `t` predicts token `t + 1`."""
        return self.decoder(rows, decoder_tokens, domain)

    def reconstruct(self, decoder_tokens: Tensor) -> Tensor:
        """Give the signals `[B, C, S]` that the first Q of the decoder's tokens hold."""
        if self.reconstruction is None:
            raise ValueError("This network has no reconstruction head.")
        return self.reconstruction(decoder_tokens)

    def prefill(self, decoder_tokens: Tensor, domain: Tensor, ids: Tensor) -> tuple[Tensor, DecoderState]:
        """Start captions: logits `[B, V]` after the start token `ids [B, 1]`, and the state to go on from."""
        row, text_k, text_v = self.text.step(ids, torch.zeros_like(ids[0, 0]), None, None)
        cross = self.decoder.cross_keys_values(decoder_tokens)
        x = torch.cat((self.decoder.prefix(domain), row), dim=1)
        order = torch.arange(PREFIX_ROWS + 1, device=x.device)
        mask = (order[:, None] >= order) | (order < PREFIX_ROWS)
        logits, self_k, self_v = self.decoder.advance(x, None, cross, mask)
        return logits, DecoderState(text_k, text_v, self_k, self_v, *cross)

    def step(self, ids: Tensor, position: Tensor, state: DecoderState) -> tuple[Tensor, DecoderState]:
        """Go on with one token: logits `[B, V]` after `ids [B, 1]`, which stands at `position` (start = 0).

        Equal to `encode_text` and `decode` over all tokens so far as long as none of them is padding.
        """
        row, text_k, text_v = self.text.step(ids, position, state.text_k, state.text_v)
        cross = (state.cross_k, state.cross_v)
        logits, self_k, self_v = self.decoder.advance(row, (state.self_k, state.self_v), cross)
        return logits, DecoderState(text_k, text_v, self_k, self_v, *cross)
