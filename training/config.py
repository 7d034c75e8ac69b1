"""The sizes of a network, and the presets that a user names."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from core.errors import UsageError
from core.language.context import COURSES
from core.language.measurements import MEASUREMENTS
from core.psg.channels import EXTRA_CHANNELS, MODEL_CHANNELS

PREFIX_ROWS = 2  # the domain's vector, then the padding vector, before the text in the decoder
RECONSTRUCTION_LAYERS = 2
FIGURE_TOKENS = 4
"""Vectors that stand for all measured values of an epoch."""


@dataclass(frozen=True)
class ModelConfig:
    """Everything that fixes the shapes of a SleepLM network."""

    channels: tuple[str, ...]
    """Names of the input channels, in input order."""
    patch_size: int
    """Samples in a patch: kernel and stride of the convolution."""
    conv_width: int
    """Output features of the convolution."""
    width: int
    """Width of every transformer in the network."""
    heads: int
    """Attention heads of every transformer in the network."""
    signal_blocks: int
    """Blocks of the signal tower, each with channel and temporal attention."""
    mlp_ratio_signal: float
    """Hidden width of the signal tower's SwiGLU layers, over `width`."""
    text_layers: int
    """Layers of the text tower."""
    decoder_layers: int
    """Self-attention layers of the text decoder; as many cross-attention layers stand between them."""
    mlp_ratio_text: float
    """Hidden width of the text tower's and decoder's GELU layers, over `width`."""
    embed_dim: int
    """Dimensions of the space that signals and texts share."""
    decoder_tokens: int
    """Vectors that the decoder sees of an epoch's signals."""
    context_length: int
    """Longest text in tokens, start and end included."""
    vocab_size: int
    """Tokens of the tokenizer."""
    samples: int = 1920
    """Samples of an epoch and channel: 30 s at 64 Hz."""
    domains: int = 5
    """Caption domains, each with a vector in the decoder's prefix."""
    reconstruction: bool = True
    """Whether the head that reconstructs the signals is there."""
    missing_token: bool = True
    """Whether a learned vector replaces the patches of absent channels (the published network has none)."""
    spectrum: bool = False
    """Whether a patch shows its log power spectrum beside its samples (the published network does not)."""
    measured: tuple[str, ...] = ()
    """Measurements that the network is shown beside the signals (the published network: none)."""
    courses: tuple[str, ...] = ()
    """Events and trends of `core.language.context.COURSES` whose course through the epoch it is shown; named where
    `measured` is, and only there."""

    def __post_init__(self) -> None:
        for name in ("channels", "measured", "courses"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type in ("int", int, "float", float) and not value > 0:
                raise UsageError(f"The model's {field.name} is {value}, but must be above zero.")
        if not self.channels or len(set(self.channels)) != len(self.channels):
            raise UsageError("The model's channels must be named, each once.")
        for known, names in ((MEASUREMENTS, self.measured), (COURSES, self.courses)):
            unknown = [name for name in names if name not in known]
            if unknown:
                raise UsageError(f"The model is to be shown {unknown[0]!r}, which nothing gives.")
        if bool(self.measured) != bool(self.courses):
            raise UsageError("A model is shown measured values and courses, or neither.")
        if self.samples % self.patch_size:
            raise UsageError(f"An epoch of {self.samples} samples does not divide into patches of {self.patch_size}.")
        if self.width % (2 * self.heads):
            raise UsageError(f"A width of {self.width} does not divide into {self.heads} heads of even width.")

    @property
    def patches(self) -> int:
        """Patches of one channel in an epoch."""
        return self.samples // self.patch_size

    @property
    def context_rows(self) -> int:
        """Vectors that stand for what the network is shown beside the signals."""
        return (FIGURE_TOKENS if self.measured else 0) + len(self.courses)

    @property
    def memory_rows(self) -> int:
        """Vectors that the decoder sees of an epoch: those of its signals, then those of what stands beside them."""
        return self.decoder_tokens + self.context_rows

    @property
    def head_width(self) -> int:
        """Width of one attention head."""
        return self.width // self.heads

    def to_json(self) -> dict[str, Any]:
        """Give the configuration as values that JSON holds."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "ModelConfig":
        """Read what `to_json` (or `dataclasses.asdict`) gave.

        Raises
        ------
        UsageError
            A value is missing or unknown.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise UsageError(f"The model configuration has an unknown entry {unknown[0]!r}.")
        try:
            return cls(**values)
        except TypeError as error:
            raise UsageError("The model configuration is incomplete.", "It needs every size.") from error


_OURS = MODEL_CHANNELS + EXTRA_CHANNELS
_MEASURED = tuple(MEASUREMENTS)

PRESETS: dict[str, ModelConfig] = {
    "tiny": ModelConfig(
        channels=_OURS,
        patch_size=96,
        conv_width=16,
        width=32,
        heads=2,
        signal_blocks=1,
        mlp_ratio_signal=2,
        text_layers=1,
        decoder_layers=1,
        mlp_ratio_text=2,
        embed_dim=32,
        decoder_tokens=4,
        context_length=64,
        vocab_size=512,
    ),
    "nano": ModelConfig(
        channels=_OURS,
        patch_size=128,
        conv_width=128,
        width=96,
        heads=4,
        signal_blocks=2,
        mlp_ratio_signal=3,
        text_layers=3,
        decoder_layers=3,
        mlp_ratio_text=3,
        embed_dim=128,
        decoder_tokens=16,
        context_length=128,
        vocab_size=2048,
        spectrum=True,
        measured=_MEASURED,
        courses=COURSES,
    ),
    "small": ModelConfig(
        channels=_OURS,
        patch_size=32,
        conv_width=128,
        width=256,
        heads=8,
        signal_blocks=3,
        mlp_ratio_signal=3,
        text_layers=4,
        decoder_layers=4,
        mlp_ratio_text=4,
        embed_dim=256,
        decoder_tokens=24,
        context_length=128,
        vocab_size=4096,
        spectrum=True,
        measured=_MEASURED,
        courses=COURSES,
    ),
    "base": ModelConfig(
        channels=_OURS,
        patch_size=16,
        conv_width=256,
        width=512,
        heads=8,
        signal_blocks=3,
        mlp_ratio_signal=3,
        text_layers=8,
        decoder_layers=8,
        mlp_ratio_text=4,
        embed_dim=512,
        decoder_tokens=32,
        context_length=192,
        vocab_size=8192,
        spectrum=True,
        measured=_MEASURED,
        courses=COURSES,
    ),
    "sleeplm-base": ModelConfig(
        channels=MODEL_CHANNELS,
        patch_size=16,
        conv_width=256,
        width=768,
        heads=12,
        signal_blocks=3,
        mlp_ratio_signal=3,
        text_layers=12,
        decoder_layers=12,
        mlp_ratio_text=4,
        embed_dim=512,
        decoder_tokens=32,
        context_length=256,
        vocab_size=49408,
        missing_token=False,
    ),
}
"""Networks by name: `tiny` is for tests; `sleeplm-base` has exactly the published sizes."""


def preset(name: str) -> ModelConfig:
    """Give the configuration of a named preset.

    Raises
    ------
    UsageError
        There is no such preset.
    """
    if name not in PRESETS:
        raise UsageError(f"There is no preset {name!r}.", f"Presets: {', '.join(PRESETS)}.")
    return PRESETS[name]
