"""A model as it stands on disk: graphs and a JSON file beside them, checked before anything is loaded."""

import difflib
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import core
from core.errors import ModelError

FORMAT = 2
KINDS = ("sleepcli", "sleeplm")
REQUIRED_GRAPHS = ("signal_encoder",)
STAGE_COUNT = 5
DESCRIPTION_FILE = "bundle.json"
_CHUNK = 1 << 20  # bytes read at a time while hashing


@dataclass(frozen=True)
class BundleFile:
    """One checked file of a bundle."""

    path: Path
    """Absolute path inside the bundle's folder."""
    sha256: str
    """Hex digest that the description promises."""


@dataclass(frozen=True)
class StagingFacts:
    """How cosines become stages: fitted when the bundle was made."""

    temperature: float
    """Multiplies the cosine between an epoch and a stage's prompts."""
    prior: tuple[float, ...]
    """Weight of each stage, in the order of `core.psg.scoring.STAGES`."""
    transitions: tuple[tuple[float, ...], ...]
    """Probability of the next epoch's stage (column) given this one's (row)."""


@dataclass(frozen=True)
class Bundle:
    """The frozen facts of a model."""

    name: str
    """Name that the model was published under."""
    kind: str
    """`sleepcli` for our own models, `sleeplm` for an imported published checkpoint."""
    folder: Path
    """Where it lies."""
    channels: tuple[str, ...]
    """Input channels, in order, named as in `core.psg.channels`."""
    samples: int
    """Samples of an epoch."""
    rate: int
    """Sampling rate in Hz."""
    embed_dim: int
    """Width of the shared embedding space."""
    decoder_tokens: int
    """Vectors of an epoch that the text decoder sees."""
    context_length: int
    """Most text tokens, start and end included."""
    domains: tuple[str, ...]
    """Caption domains in the order of their condition index."""
    slots: bool
    """True where the decoder writes slot tokens that measured values replace."""
    has_present_input: bool
    """True where the signal encoder takes a mask of the channels that are there."""
    measured: tuple[str, ...]
    """Measurements that the signal encoder is shown beside the signals; empty for none."""
    courses: tuple[str, ...]
    """Events and trends of `core.language.context.COURSES` whose course it is shown; empty for none."""
    tokenizer: BundleFile | None
    """The text tokenizer; None where the model embeds signals only."""
    graphs: Mapping[str, BundleFile]
    """ONNX graphs by name."""
    precision: str
    """Number format of the weights."""
    staging: StagingFacts
    """Constants of zero-shot staging."""
    stage_head: BundleFile | None
    """Linear head of an adapted model (`core.inference.adaptation`), which stages in the prompts' place."""
    event_thresholds: Mapping[str, float]
    """Probability at which the night model's event is one, by type; empty where the bundle has no event graph."""
    content_hash: str
    """Sha256 of the description, which holds the digest of every other file."""
    description: Mapping[str, Any]
    """The whole of bundle.json, for `models` and the run report."""

    @property
    def weight_bytes(self) -> int:
        """Bytes of the weights that the graphs share."""
        return int((self.description.get("weights") or {}).get("bytes", 0))


def user_models_folder() -> Path:
    """Folder of the user's own models: SLEEPCLI_MODELS, or the platform's data folder."""
    if chosen := os.environ.get("SLEEPCLI_MODELS"):
        return Path(chosen)
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "sleepcli" / "models"


def installed_models() -> dict[str, Path]:
    """Find the models that can be asked for by name.

    Returns
    -------
    dict
        Name to folder; a model that ships with the program wins over one of the user's of the same name.
    """
    found: dict[str, Path] = {}
    for root in (Path(core.__file__).parent / "models", user_models_folder()):
        if root.is_dir():
            for folder in sorted(root.iterdir()):
                if (folder / DESCRIPTION_FILE).is_file() and not folder.name.startswith("."):
                    found.setdefault(folder.name, folder)
    return found


def load_bundle(name_or_path: str | Path) -> Bundle:
    """Read a bundle and check every file of it.

    Parameters
    ----------
    name_or_path
        A folder with a bundle.json, or the name of an installed model.

    Returns
    -------
    Bundle
        The facts; graphs are loaded later, by the engine.

    Raises
    ------
    ModelError
        Missing, damaged, or of a format that this program does not read.
    """
    folder = _locate(name_or_path)
    try:
        raw = (folder / DESCRIPTION_FILE).read_bytes()
        description = json.loads(raw)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"The model in {folder} has no readable {DESCRIPTION_FILE}.", "Export or import the model again."
        ) from error
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        found = description.get("format") if isinstance(description, dict) else None
        raise ModelError(
            f"The model in {folder} has bundle format {found!r}; this program reads format {FORMAT}.",
            "Export it again with this version of sleepcli.",
        )
    try:
        return _parse(folder.resolve(), description, hashlib.sha256(raw).hexdigest())
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"The {DESCRIPTION_FILE} in {folder} is incomplete or wrong ({error!r}).",
            "Export or import the model again.",
        ) from error


def _locate(name_or_path: str | Path) -> Path:
    path = Path(name_or_path)
    if (path / DESCRIPTION_FILE).is_file():
        return path
    name = str(name_or_path)
    models = installed_models()
    if name in models:
        return models[name]
    if path.exists():
        raise ModelError(
            f"{path} is not a model: there is no {DESCRIPTION_FILE} in it.",
            "Give a bundle's folder or the name of an installed model.",
        )
    close = difflib.get_close_matches(name, list(models), n=1, cutoff=0.5)
    known = ", ".join(sorted(models)) or "none"
    hint = f"Did you mean {close[0]}?" if close else f"Installed models: {known}; or give a bundle's folder."
    raise ModelError(f"There is no model named {name!r}.", hint)


def _parse(folder: Path, description: dict[str, Any], content_hash: str) -> Bundle:
    kind = description["kind"]
    if kind not in KINDS:
        raise ValueError(f"kind {kind!r} is none of {', '.join(KINDS)}")
    graphs = {name: _checked(folder, entry) for name, entry in description["graphs"].items()}
    for needed in REQUIRED_GRAPHS:
        if needed not in graphs:
            raise KeyError(f"graphs.{needed}")
    tokenizer, weights = description.get("tokenizer"), description.get("weights")
    if weights:
        _checked(folder, weights)  # ONNX Runtime reads it through the graphs
    return Bundle(
        name=str(description["name"]),
        kind=kind,
        folder=folder,
        channels=tuple(description["channels"]),
        samples=int(description["samples"]),
        rate=int(description["rate"]),
        embed_dim=int(description["embed_dim"]),
        decoder_tokens=int(description["decoder_tokens"]),
        context_length=int(description["context_length"]),
        domains=tuple(description["domains"]),
        slots=bool(description["slots"]),
        has_present_input=bool(description["has_present_input"]),
        measured=tuple(description.get("measured") or ()),
        courses=tuple(description.get("courses") or ()),
        tokenizer=_checked(folder, tokenizer) if tokenizer else None,
        graphs=graphs,
        precision=str(description["precision"]),
        staging=_staging(description.get("staging") or {}),
        stage_head=_checked(folder, description["stage_head"]) if description.get("stage_head") else None,
        event_thresholds={str(kind): float(p) for kind, p in (description.get("event_thresholds") or {}).items()},
        content_hash=content_hash,
        description=description,
    )


def _staging(entry: Mapping[str, Any]) -> StagingFacts:
    """Constants of staging; without them uniform weights and no smoothing."""
    uniform = [1.0 / STAGE_COUNT] * STAGE_COUNT
    prior = tuple(float(p) for p in entry.get("prior") or uniform)
    transitions = tuple(tuple(float(p) for p in row) for row in entry.get("transitions") or [uniform] * STAGE_COUNT)
    if len(prior) != STAGE_COUNT or [len(row) for row in transitions] != [STAGE_COUNT] * STAGE_COUNT:
        raise ValueError("staging.prior and staging.transitions must be for five stages")
    if min(prior) <= 0 or min(min(row) for row in transitions) < 0:
        raise ValueError("staging.prior must be positive, staging.transitions not negative")
    return StagingFacts(float(entry.get("temperature", 1.0)), prior, transitions)


def _checked(folder: Path, entry: Mapping[str, Any]) -> BundleFile:
    """Resolve one file inside the folder and compare its digest."""
    path = (folder / str(entry["file"])).resolve()
    if not path.is_relative_to(folder):
        raise ModelError(
            f"The model in {folder} names a file outside its folder.", "It is not safe to load; get it again."
        )
    expected = str(entry["sha256"])
    if not path.is_file():
        raise ModelError(f"The model in {folder} is incomplete: {path.name} is missing.", "Export or import it again.")
    if _sha256(path) != expected:
        raise ModelError(
            f"The model in {folder} is damaged: {path.name} is not the file that bundle.json describes.",
            "Copy, export or import it again.",
        )
    return BundleFile(path, expected)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while block := stream.read(_CHUNK):
                digest.update(block)
    except OSError as error:
        raise ModelError(f"{path} cannot be read.", "Check its permissions.") from error
    return digest.hexdigest()
