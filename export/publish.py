"""A bundle: graphs, their weights, a tokenizer and bundle.json in a folder that appears whole or not at all."""

import hashlib
import importlib.metadata
import json
import shutil
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import onnx_ir as ir
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from core.errors import ModelError, UsageError
from core.files import whole_folder, write_text
from core.inference.kept import FOLDER
from core.language.describe import DOMAINS
from core.psg.preprocess import MODEL_RATE
from export.agreement import LEAST, Agreement, agreement, refuse_below
from export.builder import OPSET
from export.caption_decoder import prefill, step
from export.graphs import Graph, graphs
from export.int8_caches import cache_scales, with_int8_caches, worth_it
from export.quantize import LOWERED, PRECISIONS, rounded, store_half
from export.to_onnx import WEIGHTS_FILE, save_graphs, to_onnx
from export.verify import TOLERANCE, effect, verify
from training.checkpoint import write_weights
from training.config import ModelConfig
from training.model import SleepLM

FORMAT = 2
BUNDLE_FILE, TOKENIZER_FILE = "bundle.json", "tokenizer.json"
WEIGHTS, META = "model.safetensors", "meta.json"
TOLD = ("preset", "seed", "step", "finished", "figures", "auxiliary", "without_events", "training")
"""Entries of meta.json that the bundle repeats; its split names subjects and stays behind."""


@dataclass(frozen=True)
class ExportOptions:
    """What a caller may wish of an export."""

    name: str = ""
    """Name of the bundle; empty: that of its folder."""
    precision: str = "fp32"
    """`fp32`, `fp16` (weights stored in half the space, computed in float32), `mixed` (products of weights in float16,
    for GPUs) or `int8` (dynamic, for CPUs)."""
    tolerance: float = TOLERANCE
    """Largest difference between torch and ONNX Runtime that is let pass."""
    least_agreement: float = LEAST
    """Least agreement of stages and captions' facts between float32 and int8 or mixed."""
    trainable: bool = False
    """Whether the network's own weights go along, from which others can train on."""


@dataclass(frozen=True)
class BundleFacts:
    """What bundle.json says beyond the network's sizes."""

    kind: str
    """`sleepcli` for our own networks, `sleeplm` for a published checkpoint."""
    slots: bool
    """Whether captions hold slots that the runtime fills with measured values."""
    domains: tuple[str, ...]
    """Caption domains in the order of the condition index."""
    tokenizer: Path | None
    """The tokenizer's file; None: the bundle refuses text."""
    tokens: dict[str, int] = field(default_factory=dict)
    """Ids of `start`, `end` and `pad`."""
    staging: dict[str, Any] = field(default_factory=dict)
    """`temperature`, `prior` and `transitions` of zero-shot staging."""
    training: dict[str, Any] = field(default_factory=dict)
    """Where the weights come from."""


@dataclass(frozen=True)
class ExportEvent:
    """One step of an export that is done."""

    step: str
    """`built` or `verified` for a graph, `compared` for the effect of a lower precision, `published` at the end."""
    graph: str = ""
    """Name of the graph."""
    difference: float | None = None
    """Worst absolute difference between torch and ONNX Runtime, once verified."""
    agreement: Agreement | None = None
    """What a lower precision changes in stages and captions, once compared."""
    folder: Path | None = None
    """The bundle, once published."""


def export_run(run: Path, out: Path, options: ExportOptions | None = None) -> Iterator[ExportEvent]:
    """Make a bundle of a training run.

    Parameters
    ----------
    run
        A run folder: model.safetensors, meta.json and tokenizer.json.
    out
        Folder of the bundle; one that holds an older bundle is replaced once the new one is whole.
    options
        Name, precision, tolerance.

    Yields
    ------
    ExportEvent
        Each step when it is done; the last one names the bundle's folder.

    Raises
    ------
    ModelError
        The run is incomplete or damaged, a graph differs from the network by more than the tolerance, or the
        precision changes stages and captions too much.
    UsageError
        `out` is a folder that holds something else than a bundle, or an option has no such value.
    """
    meta = _read_meta(run)
    config = ModelConfig.from_json(meta["config"])
    tokenizer = run / TOKENIZER_FILE
    if not tokenizer.is_file():
        raise ModelError(f"{run} has no {TOKENIZER_FILE}.", "Give the folder that `sleepcli train` wrote.")
    facts = BundleFacts(
        kind="sleepcli",
        slots=bool(meta.get("slots", False)),
        domains=tuple(meta.get("domains", DOMAINS)),
        tokenizer=tokenizer,
        tokens={"start": 1, "end": 2, "pad": 0},
        staging=meta.get("staging") or {},
        training={name: meta[name] for name in TOLD if name in meta},
    )
    yield from publish(load_model(run / WEIGHTS, config), facts, out, options)


def _read_meta(run: Path) -> dict[str, Any]:
    if not run.is_dir():
        raise UsageError(f"There is no run folder {run}.")
    try:
        meta = json.loads((run / META).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{run} has no readable {META}.", "Give the folder that `sleepcli train` wrote.") from error
    if not isinstance(meta, dict) or not isinstance(meta.get("config"), dict):
        raise ModelError(f"{run / META} does not describe a network.", "Train again.")
    return meta


def load_model(weights: Path, config: ModelConfig) -> SleepLM:
    """Build a network with the weights of a safetensors file, in evaluation mode.

    Raises
    ------
    ModelError
        The file is missing, damaged, or of another network.
    """
    try:
        state = load_file(weights)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"The weights {weights} are missing or damaged.", "Train or resume again.") from error
    model = SleepLM(config)  # on a real device: buffers that are not saved are computed here
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise ModelError(
            f"The weights {weights} are not those of the network that {META} describes.", "Train again."
        ) from error
    return model.float().eval().requires_grad_(False)


def publish(
    model: SleepLM, facts: BundleFacts, out: Path, options: ExportOptions | None = None
) -> Iterator[ExportEvent]:
    """Export, verify and describe a network, and put the bundle in its place.

    Parameters
    ----------
    model
        In evaluation mode.
    facts
        What bundle.json says beyond the sizes.
    out
        Folder of the bundle.
    options
        Name, precision, tolerance.

    Yields
    ------
    ExportEvent
        As `export_run`.
    """
    options = options or ExportOptions()
    options = replace(options, name=options.name or out.resolve().name)
    if options.precision not in PRECISIONS:
        raise UsageError(f"There is no precision {options.precision!r}.", f"Choose one of {', '.join(PRECISIONS)}.")
    if out.exists() and not (out / BUNDLE_FILE).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} exists and is not a bundle.", "Give a new folder.")
    network = rounded(model) if options.precision == "fp16" else model
    with whole_folder(out) as folder:
        full = folder / ".float" if options.precision in LOWERED else folder
        full.mkdir(exist_ok=True)
        models, differences = yield from _built(network, options, full)
        changed: dict[str, Any] = {"verification": differences}
        if options.precision in LOWERED:
            _write_description(model, facts, options, full, {"precision": "fp32"})
            changed |= _lowered(model, options.precision, models, folder)
        elif options.precision != "fp32":
            changed["precision_effect"] = _effects(graphs(model), folder)
        if options.trainable:
            write_weights(folder / WEIGHTS, model.state_dict())
            changed["trainable"] = described_file(folder / WEIGHTS)
        _write_description(model, facts, options, folder, changed)
        if options.precision in LOWERED:
            found_agreement = _judged(full, folder, options)
            yield ExportEvent("compared", agreement=found_agreement)
            changed["precision_agreement"] = found_agreement.to_json()
            _write_description(model, facts, options, folder, changed)
    yield ExportEvent("published", folder=out)


def _built(
    network: SleepLM, options: ExportOptions, folder: Path
) -> Generator[ExportEvent, None, tuple[dict[str, ir.Model], dict[str, float]]]:
    """Build, write and verify the graphs; return them with their worst differences from torch."""
    found = graphs(network)
    models: dict[str, ir.Model] = {}
    for graph in found:
        models[graph.name] = to_onnx(graph.name, network)
        if options.precision == "fp16":
            store_half(models[graph.name])
        yield ExportEvent("built", graph.name)
    save_graphs(models, folder)
    differences = {}
    for graph in found:
        path = folder / f"{graph.name}.onnx"
        differences[graph.name] = verify(graph, path, network.config.context_length, options.tolerance)
        yield ExportEvent("verified", graph.name, differences[graph.name])
    return models, differences


def _lowered(model: SleepLM, precision: str, models: dict[str, ir.Model], folder: Path) -> dict[str, Any]:
    """Write the graphs in lower precision; give what bundle.json says of them."""
    found, told = graphs(model), {}
    if precision == "int8" and worth_it(model):
        scales = cache_scales(model, found)
        models |= {"decoder_prefill": prefill(model, scales), "decoder_step": step(model, scales)}
        found = with_int8_caches(model, found, scales)
        told["caches"] = "int8"
    for built in models.values():
        LOWERED[precision](built)
    save_graphs(models, folder)
    return told | {"precision_effect": _effects(found, folder)}


def _effects(found: list[Graph], folder: Path) -> dict[str, float]:
    return {graph.name: effect(graph, folder / f"{graph.name}.onnx") for graph in found}


def _judged(full: Path, folder: Path, options: ExportOptions) -> Agreement:
    """Compare the bundle with the one in float32, which is not needed any more."""
    found = agreement(full, folder)
    refuse_below(found, options.least_agreement, options.precision)
    for scratch in (full, folder / FOLDER):
        shutil.rmtree(scratch, ignore_errors=True)
    return found


def _write_description(
    model: SleepLM, facts: BundleFacts, options: ExportOptions, folder: Path, more: dict[str, Any]
) -> None:
    """Write bundle.json beside the graphs; `more` adds to it and goes before it."""
    description = _describe(model, facts, options, folder) | more
    write_text(folder / BUNDLE_FILE, json.dumps(description, indent=1) + "\n")


def _describe(model: SleepLM, facts: BundleFacts, options: ExportOptions, folder: Path) -> dict[str, Any]:
    config = model.config
    tokenizer = None
    if facts.tokenizer is not None:
        shutil.copyfile(facts.tokenizer, folder / TOKENIZER_FILE)
        tokenizer = described_file(folder / TOKENIZER_FILE)
    return {
        "format": FORMAT,
        "name": options.name,
        "kind": facts.kind,
        "channels": list(config.channels),
        "samples": config.samples,
        "rate": MODEL_RATE,
        "embed_dim": config.embed_dim,
        "decoder_tokens": config.memory_rows,
        "measured": list(config.measured),
        "courses": list(config.courses),
        "context_length": config.context_length,
        "domains": list(facts.domains),
        "slots": facts.slots,
        "has_present_input": config.missing_token,
        "tokens": facts.tokens,
        "tokenizer": tokenizer,
        "graphs": {path.stem: described_file(path) for path in sorted(folder.glob("*.onnx"))},
        "weights": described_file(folder / WEIGHTS_FILE),
        "precision": options.precision,
        "staging": facts.staging,
        "config": config.to_json(),
        "training": facts.training,
        "versions": {
            "sleepcli": _version("sleepcli"),
            "torch": torch.__version__,
            "onnxruntime": _version("onnxruntime-gpu") or _version("onnxruntime"),
            "opset": OPSET,
        },
    }


def described_file(path: Path) -> dict[str, Any]:
    """Describe a file as bundle.json does: its name, digest and size."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return {"file": path.name, "sha256": digest.hexdigest(), "bytes": path.stat().st_size}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
