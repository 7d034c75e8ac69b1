"""A bundle of a published SleepLM checkpoint."""

import importlib.util
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.errors import ModelError, UsageError
from core.language.describe import DOMAINS
from core.language.tokenizer import Tokenizer, clip_tokenizer
from export.publish import BundleFacts, ExportEvent, ExportOptions, publish
from training.config import ModelConfig
from training.sleeplm import confirm, from_published, read_checkpoint

MERGES_NAME = "bpe_simple_vocab_16e6.txt.gz"
PAD_ID = 0


@dataclass(frozen=True)
class ImportOptions:
    """What a caller may give beside the checkpoint."""

    config: Path | None = None
    """A JSON file of sizes; it only confirms what the tensors say."""
    merges: Path | None = None
    """CLIP's merge table; None: that of an installed open_clip, and without one the bundle refuses text."""
    export: ExportOptions = field(default_factory=ExportOptions)
    """Name, precision and tolerance of the bundle."""


def import_checkpoint(checkpoint: Path, out: Path, options: ImportOptions | None = None) -> Iterator[ExportEvent]:
    """Make a bundle of a published checkpoint: read, check, export, verify.

    Parameters
    ----------
    checkpoint
        `model_checkpoint.pt` as published; nothing in it is executed.
    out
        Folder of the bundle.
    options
        Sizes to confirm, the merge table, the export's options.

    Yields
    ------
    ExportEvent
        As `export.publish.export_run`.

    Raises
    ------
    ModelError
        The checkpoint is not a whole SleepLM, or a file beside it does not fit it.
    UsageError
        A file does not exist.
    """
    options = options or ImportOptions()
    stated = _read_sizes(options.config)
    model = from_published(read_checkpoint(checkpoint))
    confirm(model.config, stated)
    start, end = _control_tokens(model.config, stated)
    with tempfile.TemporaryDirectory(prefix=".sleepcli-") as scratch:
        facts = BundleFacts(
            kind="sleeplm",
            slots=False,
            domains=DOMAINS,
            tokenizer=_tokenizer(model.config, options.merges, Path(scratch) / "tokenizer.json"),
            tokens={"start": start, "end": end, "pad": PAD_ID},
            staging={"temperature": float(model.logit_scale.exp())},
            training={"source": "a published SleepLM checkpoint"},
        )
        yield from publish(model, facts, out, options.export)


def _read_sizes(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    if not path.is_file():
        raise UsageError(f"There is no configuration file {path}.")
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} is not a JSON file.", "Give the checkpoint's configuration, or none.") from error
    if not isinstance(stated, dict):
        raise ModelError(f"{path} holds no sizes.", "Give the checkpoint's configuration, or none.")
    return stated


def _control_tokens(config: ModelConfig, stated: dict[str, Any]) -> tuple[int, int]:
    """Give the ids of start and end: the last two of the vocabulary, as CLIP has them, unless said otherwise."""
    found = []
    for name, usual in (("sot", config.vocab_size - 2), ("eot", config.vocab_size - 1)):
        token = stated.get(name, usual)
        if not isinstance(token, int) or not 0 < token < config.vocab_size:
            raise ModelError(f"The configuration's {name} is no token of the {config.vocab_size} in the checkpoint.")
        found.append(token)
    return found[0], found[1]


def installed_merges() -> Path | None:
    """Find CLIP's merge table in an installed open_clip, without importing it."""
    found = importlib.util.find_spec("open_clip")
    if found is None or found.origin is None:
        return None
    path = Path(found.origin).parent / MERGES_NAME
    return path if path.is_file() else None


def _tokenizer(config: ModelConfig, merges: Path | None, path: Path) -> Path | None:
    """Write the tokenizer that fits the checkpoint; None where there is none to be had."""
    table = merges or installed_merges()
    if table is None:
        return None
    if not table.is_file():
        raise UsageError(f"There is no merge table {table}.")
    tokenizer: Tokenizer = clip_tokenizer(table)
    if tokenizer.vocab_size != config.vocab_size:
        if merges is None:
            return None
        raise ModelError(
            f"The merge table {table.name} makes {tokenizer.vocab_size} tokens, but the checkpoint has "
            f"{config.vocab_size}.",
            f"Give the {MERGES_NAME} of open_clip.",
        )
    tokenizer.context_length = config.context_length
    tokenizer.save(path)
    return path
