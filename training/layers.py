"""The layers that the towers are built of: attention, rotary positions, SwiGLU, transformer blocks."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own name for it)

RMS_EPS = 1e-6
LAYER_NORM_EPS = 1e-5


def rotary_frequencies(head_width: int, theta: float = 10_000.0) -> Tensor:
    """Give the frequencies of the rotary position code, in radians per position: `[head_width / 2]`."""
    return theta ** -(torch.arange(0, head_width, 2, dtype=torch.float32) / head_width)


def rotate(x: Tensor, frequencies: Tensor) -> Tensor:
    """Turn each interleaved pair of features by its position times its frequency.

    Parameters
    ----------
    x
        Queries or keys, `[..., n, d]`; positions count from 0 along `n`.
    frequencies
        `[d / 2]`, radians per position.
    """
    positions = torch.arange(x.shape[-2], device=x.device, dtype=frequencies.dtype)
    angles = positions[:, None] * frequencies  # (n, d/2)
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    even, odd = x.unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack((even * cos - odd * sin, odd * cos + even * sin), dim=-1).flatten(-2)


class Attention(nn.Module):
    """Multi-head attention in two halves, so that keys and values can be kept between steps.

    Parameters
    ----------
    width
        Features of queries, keys, values and output.
    heads
        Number of heads.
    bias
        Whether the query, key and value projections have a bias; the output projection always does.
    """

    def __init__(self, width: int, heads: int, bias: bool = True) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width, bias=bias)
        self.key = nn.Linear(width, width, bias=bias)
        self.value = nn.Linear(width, width, bias=bias)
        self.output = nn.Linear(width, width)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(-3, -2)  # (..., heads, n, d)

    def keys_values(self, context: Tensor, frequencies: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Project `context [B, n, W]` to keys and values, each `[B, heads, n, d]`."""
        key = self._split(self.key(context))
        return (key if frequencies is None else rotate(key, frequencies)), self._split(self.value(context))

    def attend(
        self, x: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, frequencies: Tensor | None = None
    ) -> Tensor:
        """Let `x [B, m, W]` look at `key` and `value [B, heads, n, d]`; `mask` is true where it may."""
        query = self._split(self.query(x))
        if frequencies is not None:
            query = rotate(query, frequencies)
        seen = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.output(seen.transpose(-3, -2).flatten(-2))

    def forward(self, x: Tensor, frequencies: Tensor | None = None) -> Tensor:
        """Self-attention of `x [B, n, W]` without a mask."""
        key, value = self.keys_values(x, frequencies)
        return self.attend(x, key, value, frequencies=frequencies)


class SwiGLU(nn.Module):
    """A gated layer without biases: `down(silu(gate(x)) * up(x))`."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate = nn.Linear(width, hidden, bias=False)
        self.up = nn.Linear(width, hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Transform `x [..., W]`."""
        return self.down(F.silu(self.gate(x)) * self.up(x))


def mlp(width: int, hidden: int, activation: nn.Module, out: int | None = None) -> nn.Sequential:
    """Two linear layers with an activation between them; `out` features, by default `width`."""
    return nn.Sequential(nn.Linear(width, hidden), activation, nn.Linear(hidden, out or width))


class SignalBlock(nn.Module):
    """Attention across channels, then across time, each followed by SwiGLU; RMS norm after every sum."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.channel_attention = Attention(width, heads, bias=False)
        self.channel_norm = nn.RMSNorm(width, eps=RMS_EPS)
        self.channel_mlp = SwiGLU(width, hidden)
        self.channel_mlp_norm = nn.RMSNorm(width, eps=RMS_EPS)
        self.temporal_attention = Attention(width, heads, bias=False)
        self.temporal_norm = nn.RMSNorm(width, eps=RMS_EPS)
        self.temporal_mlp = SwiGLU(width, hidden)
        self.temporal_mlp_norm = nn.RMSNorm(width, eps=RMS_EPS)

    def forward(self, x: Tensor, channel_frequencies: Tensor, temporal_frequencies: Tensor) -> Tensor:
        """Transform `x [B, C, P, W]`."""
        batch, channels, patches, width = x.shape
        x = x.transpose(1, 2).reshape(batch * patches, channels, width)
        x = self.channel_norm(x + self.channel_attention(x, channel_frequencies))
        x = self.channel_mlp_norm(x + self.channel_mlp(x))
        x = x.unflatten(0, (batch, patches)).transpose(1, 2).reshape(batch * channels, patches, width)
        x = self.temporal_norm(x + self.temporal_attention(x, temporal_frequencies))
        x = self.temporal_mlp_norm(x + self.temporal_mlp(x))
        return x.unflatten(0, (batch, channels))  # (batch, channel, patch, width)


class Block(nn.Module):
    """A pre-norm transformer layer, by default with the exact GELU, that can go on from kept keys and values."""

    def __init__(self, width: int, heads: int, hidden: int, activation: nn.Module | None = None) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.attention = Attention(width, heads)
        self.mlp_norm = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.mlp = mlp(width, hidden, activation or nn.GELU())

    def forward(
        self, x: Tensor, mask: Tensor | None = None, past: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Transform the rows `x [B, n, W]`.

        Parameters
        ----------
        x
            New rows.
        mask
            True where a row may look, broadcast to `[B, heads, n, all]`; None: everywhere.
        past
            Keys and values of the rows before, `[B, heads, m, d]` each.

        Returns
        -------
        tuple
            The rows, then keys and values of all rows so far.
        """
        normed = self.norm(x)
        key, value = self.attention.keys_values(normed)
        if past is not None:
            key, value = torch.cat((past[0], key), dim=2), torch.cat((past[1], value), dim=2)
        x = x + self.attention.attend(normed, key, value, mask)
        return x + self.mlp(self.mlp_norm(x)), key, value


class CrossBlock(nn.Module):
    """A pre-norm layer that looks at the signal's tokens."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.context_norm = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.attention = Attention(width, heads)
        self.mlp_norm = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.mlp = mlp(width, hidden, nn.GELU())

    def keys_values(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """Project the signal's tokens `[B, Q, W]`, once an epoch."""
        return self.attention.keys_values(self.context_norm(context))

    def forward(self, x: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Transform the rows `x [B, n, W]` with what `keys_values` gave."""
        x = x + self.attention.attend(self.norm(x), key, value)
        return x + self.mlp(self.mlp_norm(x))


class Pooler(nn.Module):
    """Learned queries that gather a set of tokens into a few."""

    def __init__(self, width: int, heads: int, queries: int) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(queries, width) * width**-0.5)
        self.attention = Attention(width, heads)

    def forward(self, tokens: Tensor) -> Tensor:
        """Pool `tokens [B, n, W]` to `[B, queries, W]`."""
        key, value = self.attention.keys_values(tokens)
        return self.attention.attend(self.queries.expand(tokens.shape[0], -1, -1), key, value)
