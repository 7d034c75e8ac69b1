"""What a lower precision does to what users see: stages, captions, embeddings, compared on a simulated night."""

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import ModelError
from core.inference.bundle import Bundle, load_bundle
from core.inference.decoding import Decoded, greedy
from core.inference.drafts import Draft
from core.inference.embedding import encode_rows, own_context
from core.inference.engine import Engine
from core.inference.figures import staging_figures
from core.inference.staging import stage_anchors, stage_evidence
from core.inference.studies import StudyOptions, open_study
from core.language.read_back import CaptionFacts, read_back
from core.psg.simulate.night import NightOptions, simulate_night
from core.psg.simulate.write_edf import write_night
from core.psg.store import PreparedStudy

SEED, HOURS = 20, 2.0
"""Of the simulated night: long enough for every stage."""
EVERY = 4
"""Of its epochs every fourth is compared."""
WRITTEN_WEIGHTS = 64 << 20
"""Bytes of float32 weights beyond which fewer epochs are captioned: a large network writes for minutes."""
FEW = 6
LEAST = 0.9
"""Least agreement of stages (Cohen's κ) and of the captions' facts with which a bundle is published."""


@dataclass(frozen=True)
class Agreement:
    """How far a bundle of lower precision says the same as in float32."""

    epochs: int
    """Epochs of a simulated night that were embedded and staged."""
    captions: int
    """Captions that were compared, all domains of some of these epochs; 0 without a tokenizer."""
    embedding_cosine_mean: float
    """Mean cosine between an epoch's embeddings."""
    embedding_cosine_least: float
    """The least of them."""
    neighbour_kept: float
    """Share of epochs whose nearest other epoch is the same."""
    stage_kappa: float | None
    """Cohen's κ between the stages that the prompts give, epoch by epoch, unsmoothed; None without a tokenizer."""
    captions_equal: float | None
    """Share of captions equal in every token."""
    facts_agree: float | None
    """Facts that both captions tell, twice, over the facts of both; None where neither tells any."""

    def to_json(self) -> dict[str, Any]:
        """Give the figures as bundle.json has them."""
        rounded = {name: round(x, 6) if isinstance(x, float) else x for name, x in asdict(self).items()}
        return {"simulated_night": {"seed": SEED, "hours": HOURS}, **rounded}


def agreement(full: Path, small: Path) -> Agreement:
    """Compare two bundles of one network.

    Parameters
    ----------
    full
        Folder of the bundle in float32.
    small
        Folder of the same in lower precision.

    Returns
    -------
    Agreement
        Figures on a simulated night that is the same every time.
    """
    bundles = [load_bundle(folder) for folder in (full, small)]
    study, rows = _night(bundles[0])
    read = [_read(bundle, study, rows) for bundle in bundles]
    (one, stages, texts), (other, other_stages, other_texts) = read
    cosines = np.sum(one.astype(np.float64) * other.astype(np.float64), axis=1)
    told = [(_facts(a), _facts(b)) for a, b in zip(texts, other_texts, strict=True)]
    facts = sum(len(a) + len(b) for a, b in told)
    return Agreement(
        epochs=len(rows),
        captions=len(texts),
        embedding_cosine_mean=float(cosines.mean()),
        embedding_cosine_least=float(cosines.min()),
        neighbour_kept=float(np.mean(_nearest(one) == _nearest(other))),
        stage_kappa=None if stages is None or other_stages is None else _kappa(stages, other_stages),
        captions_equal=float(np.mean([a.text == b.text for a, b in zip(texts, other_texts, strict=True)]))
        if texts
        else None,
        facts_agree=2 * sum(len(a & b) for a, b in told) / facts if facts else None,
    )


def refuse_below(found: Agreement, least: float, precision: str) -> None:
    """Refuse a bundle that says something else than the network does.

    Raises
    ------
    ModelError
        Stages or facts agree less than `least`.
    """
    for what, value in (("stages (Cohen's kappa)", found.stage_kappa), ("captions' facts", found.facts_agree)):
        if value is not None and not value >= least:
            raise ModelError(
                f"In {precision} the {what} agree with those of float32 by {value:.3f} only, less than {least:g}.",
                "Nothing was published: export in fp32 or fp16, or allow it with --least-agreement.",
            )


@dataclass(frozen=True)
class _Text(Draft):
    """A caption and its domain."""

    domain: str = ""


def _night(bundle: Bundle) -> tuple[PreparedStudy, NDArray[np.intp]]:
    """Give the simulated night, and the epochs of it that are compared, [n]."""
    with tempfile.TemporaryDirectory(prefix=".sleepcli-") as folder:
        path = write_night(simulate_night(SEED, NightOptions(hours=HOURS)), Path(folder), "night")
        study = open_study(path, StudyOptions(look_for_scoring=False, measured=bool(bundle.measured)))
        return study, np.arange(0, study.n_epochs, EVERY)


def _read(
    bundle: Bundle, study: PreparedStudy, epochs: NDArray[np.intp]
) -> tuple[NDArray[np.float32], NDArray[np.int64] | None, list[_Text]]:
    """Give embeddings, stages by the prompts, and captions."""
    engine = Engine(bundle, "cpu")
    embeddings, tokens = encode_rows(study, engine, epochs, own_context(study, engine))
    if bundle.tokenizer is None:
        return embeddings, None, []
    stages = stage_evidence(embeddings, stage_anchors(engine), bundle.staging).argmax(axis=1)
    if not engine.writes:
        return embeddings, stages, []
    large = float32_bytes(bundle) > WRITTEN_WEIGHTS
    rows = np.linspace(0, len(epochs) - 1, FEW if large else len(epochs)).round().astype(np.intp)
    asked = [(row, domain) for domain in range(len(bundle.domains)) for row in rows]
    written: list[Decoded] = greedy(engine, tokens, [d for _, d in asked], epochs=[int(row) for row, _ in asked])
    texts = [
        _Text(engine.tokenizer, text, bundle.domains[domain]) for (_, domain), text in zip(asked, written, strict=True)
    ]
    return embeddings, stages, texts


def float32_bytes(bundle: Bundle) -> int:
    """Estimate the network's size in float32 from the sizes in its description, whatever its precision."""
    config = bundle.description["config"]
    layers = int(config["text_layers"]) + int(config["decoder_layers"])
    width, vocabulary = int(config["width"]), int(config["vocab_size"])
    return 4 * (12 * layers * width * width + 2 * vocabulary * width)


def _facts(text: _Text) -> set[tuple[object, ...]]:
    read: CaptionFacts = read_back(text.text, text.domain)
    facts: set[tuple[object, ...]] = {("value", name, value) for name, value in read.values.items()}
    facts |= {("slot", name) for name in read.slots} | {("word", word) for word in read.words}
    facts |= {("event", event.type, event.onset, event.duration) for event in read.events}
    facts |= {("trend", trend.quantity, trend.direction, trend.start, trend.end) for trend in read.trends}
    facts |= {("stage", read.stage)} if read.stage is not None else set()
    return facts | ({("no events",)} if read.no_events else set())


def _kappa(one: NDArray[np.int64], other: NDArray[np.int64]) -> float:
    """Cohen's κ; where both give one and the same stage throughout, 1."""
    return 1.0 if np.array_equal(one, other) else staging_figures(one, other).kappa


def _nearest(embeddings: NDArray[np.float32]) -> NDArray[np.intp]:
    cosines = embeddings.astype(np.float64) @ embeddings.astype(np.float64).T
    np.fill_diagonal(cosines, -np.inf)
    return np.asarray(cosines.argmax(axis=1), np.intp)
