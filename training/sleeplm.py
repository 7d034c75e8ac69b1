"""The published SleepLM checkpoint: its tensors, by name and shape, and ours.

One table says where each published tensor stands in our network; reading, checking and writing all follow it.
"""

import pickle
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.errors import ModelError
from core.psg.channels import MODEL_CHANNELS
from training.config import PREFIX_ROWS, RECONSTRUCTION_LAYERS, ModelConfig
from training.model import SleepLM

DEFAULT_SAMPLES = 1920
_WRAPPERS = ("module.", "_orig_mod.")  # what data-parallel training and torch.compile put before every name
_HEAD = "signal_decoder."


@dataclass(frozen=True)
class Place:
    """Where a published tensor stands in our network: rows of our tensors, one below the other."""

    names: tuple[str, ...]
    """Our tensors; the published one is all of them along the first axis."""
    transposed: bool = False
    """Whether the published tensor is the transpose of ours."""
    unit_axis: int | None = None
    """An axis of length 1 that only the published tensor has."""


def _linear(published: str, ours: str, bias: bool = True) -> Iterator[tuple[str, Place]]:
    yield f"{published}.weight", Place((f"{ours}.weight",))
    if bias:
        yield f"{published}.bias", Place((f"{ours}.bias",))


def _attention(published: str, ours: str) -> Iterator[tuple[str, Place]]:
    for kind in ("weight", "bias"):
        names = tuple(f"{ours}.{part}.{kind}" for part in ("query", "key", "value"))
        yield f"{published}.in_proj_{kind}", Place(names)
    yield from _linear(f"{published}.out_proj", f"{ours}.output")


def _text_block(published: str, ours: str) -> Iterator[tuple[str, Place]]:
    yield from _linear(f"{published}.ln_1", f"{ours}.norm")
    yield from _attention(f"{published}.attn", f"{ours}.attention")
    yield from _linear(f"{published}.ln_2", f"{ours}.mlp_norm")
    yield from _linear(f"{published}.mlp.c_fc", f"{ours}.mlp.0")
    yield from _linear(f"{published}.mlp.c_proj", f"{ours}.mlp.2")


def _signal_half(published: tuple[str, str, str, str], ours: str, frequencies: str) -> Iterator[tuple[str, Place]]:
    """One attention and one SwiGLU layer; `published` names attention, its norm, the MLP, its norm."""
    attention, norm, mlp, mlp_norm = published
    yield from _linear(f"{attention}.q_proj", f"{ours}_attention.query", bias=False)
    yield from _linear(f"{attention}.k_proj", f"{ours}_attention.key", bias=False)
    yield from _linear(f"{attention}.v_proj", f"{ours}_attention.value", bias=False)
    yield from _linear(f"{attention}.out_proj", f"{ours}_attention.output")
    yield f"{attention}.rotary_emb.freqs", Place((frequencies,))
    yield from _linear(norm, f"{ours}_norm", bias=False)
    yield from _linear(f"{mlp}.gate_proj.w1", f"{ours}_mlp.gate", bias=False)
    yield from _linear(f"{mlp}.gate_proj.w2", f"{ours}_mlp.up", bias=False)
    yield from _linear(f"{mlp}.down_proj", f"{ours}_mlp.down", bias=False)
    yield from _linear(mlp_norm, f"{ours}_mlp_norm", bias=False)


def _signal_tower(blocks: int) -> Iterator[tuple[str, Place]]:
    tower = "biosignals"
    yield f"{tower}.patching.conv_patching.weight", Place(("signal.patch.weight",), unit_axis=1)
    yield f"{tower}.patching.conv_patching.bias", Place(("signal.patch.bias",))
    yield from _linear(f"{tower}.embed_projection", "signal.project")
    yield f"{tower}.channel_id_embed.weight", Place(("signal.channel_embedding",))
    yield f"{tower}.shared_channel_rope.freqs", Place(("signal.channel_frequencies",))
    for index in range(blocks):
        block, ours = f"{tower}.transformer_blocks.{index}", f"signal.blocks.{index}"
        kinds = ("attention", "norm", "mlp", "mlp_norm")
        channel = tuple(f"{block}.channel_{kind}" for kind in kinds)
        yield from _signal_half(channel, f"{ours}.channel", "signal.channel_frequencies")
        kinds = ("attention_layers", "norms", "mlps", "mlp_norms")
        temporal = tuple(f"{block}.temporal_{kind}.0" for kind in kinds)
        yield from _signal_half(temporal, f"{ours}.temporal", "signal.temporal_frequencies")
    yield from _linear(f"{tower}.ln_final", "signal.norm", bias=False)
    for pooler in ("contrastive_pooler", "decoder_pooler"):
        yield f"{tower}.{pooler}.query_tokens", Place((f"signal.{pooler}.queries",), unit_axis=0)
        yield from _attention(f"{tower}.{pooler}.attn", f"signal.{pooler}.attention")
    yield from _attention(f"{tower}.attn_pool", "signal.embedding_attention")
    yield from _linear(f"{tower}.proj_to_embed", "signal.embedding")


def _text_tower(layers: int) -> Iterator[tuple[str, Place]]:
    yield "text.cls_emb", Place(("text.class_token",))
    yield "text.positional_embedding", Place(("text.position_embedding",))
    yield "text.token_embedding.weight", Place(("text.token_embedding.weight",))
    for index in range(layers):
        yield from _text_block(f"text.transformer.resblocks.{index}", f"text.blocks.{index}")
    yield from _linear("text.ln_final", "text.norm")
    yield "text.text_projection", Place(("text.embedding.weight",), transposed=True)


def _decoder(layers: int) -> Iterator[tuple[str, Place]]:
    yield "channel_embeddings", Place(("decoder.domain_embedding",))
    yield "padding_embedding", Place(("decoder.padding_embedding",))
    for index in range(layers):
        cross, ours = f"text_decoder.cross_attn.{index}", f"decoder.cross_blocks.{index}"
        yield from _text_block(f"text_decoder.resblocks.{index}", f"decoder.blocks.{index}")
        yield from _text_block(cross, ours)
        yield from _linear(f"{cross}.ln_1_kv", f"{ours}.context_norm")
    yield from _linear("text_decoder.ln_final", "decoder.norm")
    yield "text_decoder.text_projection", Place(("decoder.vocabulary.weight",), transposed=True)


def _reconstruction_head() -> Iterator[tuple[str, Place]]:
    for index in range(RECONSTRUCTION_LAYERS):
        layer, ours = f"{_HEAD}transformer.layers.{index}", f"reconstruction.blocks.{index}"
        yield from _linear(f"{layer}.norm1", f"{ours}.norm")
        yield from _attention(f"{layer}.self_attn", f"{ours}.attention")
        yield from _linear(f"{layer}.norm2", f"{ours}.mlp_norm")
        yield from _linear(f"{layer}.linear1", f"{ours}.mlp.0")
        yield from _linear(f"{layer}.linear2", f"{ours}.mlp.2")
    for index in (0, 2):
        yield from _linear(f"{_HEAD}to_signal.{index}", f"reconstruction.to_signals.{index}")


def places(config: ModelConfig) -> dict[str, Place]:
    """Say for each tensor of a published checkpoint where it stands in our network of the same sizes."""
    table = {"logit_scale": Place(("logit_scale",))}
    table.update(_signal_tower(config.signal_blocks))
    table.update(_text_tower(config.text_layers))
    table.update(_decoder(config.decoder_layers))
    if config.reconstruction:
        table.update(_reconstruction_head())
    return table


def to_published(model: SleepLM) -> dict[str, Tensor]:
    """Give a network's tensors under the published names and in the published shapes."""
    ours = model.state_dict()
    published = {}
    for name, place in places(model.config).items():
        tensor = torch.cat([ours[part] for part in place.names]) if place.names[1:] else ours[place.names[0]]
        tensor = tensor.T if place.transposed else tensor
        published[name] = tensor if place.unit_axis is None else tensor.unsqueeze(place.unit_axis)
    return published


def from_published(published: Mapping[str, Tensor]) -> SleepLM:
    """Build the network that published tensors describe.

    Parameters
    ----------
    published
        Tensors by their published names, without a wrapper's prefix.

    Returns
    -------
    SleepLM
        In evaluation mode, float32.

    Raises
    ------
    ModelError
        A tensor is missing, unknown, of another shape, or differs from its other copy.
    """
    config = config_of(published)
    with torch.device("meta"):
        skeleton = SleepLM(config)
    _check_shapes(published, {name: tuple(x.shape) for name, x in to_published(skeleton).items()})
    rows = {name: tensor.shape[0] for name, tensor in skeleton.state_dict().items() if tensor.ndim}
    ours: dict[str, Tensor] = {}
    for name, place in places(config).items():
        tensor = published[name].float()
        tensor = tensor if place.unit_axis is None else tensor.squeeze(place.unit_axis)
        tensor = tensor.T.contiguous() if place.transposed else tensor
        pieces = tensor.split([rows[part] for part in place.names]) if place.names[1:] else (tensor,)
        for part, piece in zip(place.names, pieces, strict=True):
            if not torch.equal(ours.setdefault(part, piece), piece):
                raise ModelError(f"The checkpoint's tensor {name} differs from the copy that it should share.")
    skeleton.load_state_dict(ours, assign=True)
    return skeleton.eval().requires_grad_(False)


def _check_shapes(published: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]]) -> None:
    missing = [name for name in expected if name not in published]
    unknown = [name for name in published if name not in expected]
    shaped = [
        f"{name} {tuple(published[name].shape)} instead of {shape}"
        for name, shape in expected.items()
        if name in published and tuple(published[name].shape) != shape
    ]
    for what, names in (("lacks", missing), ("has of another shape", shaped), ("has besides", unknown)):
        if names:
            raise ModelError(
                f"The checkpoint is not a whole SleepLM: it {what} {', '.join(names[:3])}"
                f"{f' and {len(names) - 3} more' if len(names) > 3 else ''}.",
                "Give the file as it was published.",
            )


def _count(published: Mapping[str, Tensor], stem: str) -> int:
    """Count the layers whose names are `stem` and a number."""
    pattern = re.compile(re.escape(stem) + r"\.(\d+)\.")
    return max((int(found[1]) + 1 for name in published if (found := pattern.match(name))), default=0)


def config_of(published: Mapping[str, Tensor]) -> ModelConfig:
    """Read every size of a published network from its tensors' shapes.

    Raises
    ------
    ModelError
        A tensor that tells a size is missing or has another number of axes, or the channels are not the ten.
    """

    def size(name: str, axis: int) -> int:
        if name not in published or not -published[name].ndim <= axis < published[name].ndim:
            raise ModelError(f"The checkpoint is not a SleepLM: it lacks {name}.", "Give the file as it was published.")
        return int(published[name].shape[axis])

    channels, width = size("biosignals.channel_id_embed.weight", 0), size("biosignals.channel_id_embed.weight", 1)
    if channels != len(MODEL_CHANNELS):
        raise ModelError(f"The checkpoint takes {channels} channels, but SleepLM takes {len(MODEL_CHANNELS)}.")
    reconstruction = any(name.startswith(_HEAD) for name in published)
    block, conv = "biosignals.transformer_blocks", "biosignals.patching.conv_patching.weight"
    text = "text.transformer.resblocks"
    return ModelConfig(
        channels=MODEL_CHANNELS,
        samples=size(f"{_HEAD}to_signal.2.weight", 0) // channels if reconstruction else DEFAULT_SAMPLES,
        patch_size=size(conv, 2),
        conv_width=size(conv, 0),
        width=width,
        heads=width // (2 * size("biosignals.shared_channel_rope.freqs", 0)),
        signal_blocks=_count(published, block),
        mlp_ratio_signal=size(f"{block}.0.channel_mlp.gate_proj.w1.weight", 0) / width,
        text_layers=_count(published, text),
        decoder_layers=_count(published, "text_decoder.resblocks"),
        mlp_ratio_text=size(f"{text}.0.mlp.c_fc.weight", 0) / width,
        embed_dim=size("biosignals.proj_to_embed.weight", 0),
        decoder_tokens=size("biosignals.decoder_pooler.query_tokens", 1),
        context_length=size("text.positional_embedding", 0) - 1,
        vocab_size=size("text.token_embedding.weight", 0),
        domains=size("channel_embeddings", 0),
        reconstruction=reconstruction,
        missing_token=False,
    )


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a published checkpoint file without running any code in it.

    Parameters
    ----------
    path
        A pickled dictionary with the tensors under `state_dict` (or the tensors themselves).

    Returns
    -------
    dict
        Tensors by name, without the prefix of a wrapper.

    Raises
    ------
    ModelError
        The file does not exist, is damaged, or holds anything but plain tensors.
    """
    if not path.is_file():
        raise ModelError(f"There is no checkpoint {path}.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise ModelError(
            f"{path} cannot be read as a checkpoint of plain tensors.", "It may be damaged or of another kind."
        ) from error
    state = content.get("state_dict", content) if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping):
        raise ModelError(f"{path} holds no state_dict.", "Give the file as it was published.")
    tensors = {_unwrapped(str(name)): value for name, value in state.items() if isinstance(value, Tensor)}
    if not tensors:
        raise ModelError(f"{path} holds no tensors.", "Give the file as it was published.")
    return tensors


def _unwrapped(name: str) -> str:
    while name.startswith(_WRAPPERS):
        name = name.split(".", 1)[1]
    return name


def confirm(config: ModelConfig, stated: Mapping[str, Any]) -> None:
    """Compare sizes that a JSON file states with those that the tensors have.

    Parameters
    ----------
    config
        What the tensors say.
    stated
        Entries such as `{"width": 768, "caption_domains": 5}`; those with other names are not looked at.

    Raises
    ------
    ModelError
        An entry says something else than the tensors.
    """
    actual = config.to_json() | {
        "channels": len(config.channels),
        "conv_embed_dim": config.conv_width,
        "prefix_length": PREFIX_ROWS,
        "caption_domains": config.domains,
    }
    for name, value in stated.items():
        if name in actual and isinstance(value, (int, float)) and value != actual[name]:
            raise ModelError(
                f"The configuration says {name} is {value}, but the checkpoint's tensors say {actual[name]}.",
                "Give the configuration of this checkpoint, or none.",
            )
