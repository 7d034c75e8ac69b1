"""What a report tells of a night: everything that a page draws and nothing that it computes."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.inference.captioning import EpochCaption, caption_rows
from core.inference.engine import Engine
from core.inference.events import EEG, seen
from core.inference.night import Night, NightOptions, measured_night, read_night
from core.inference.report.agreement import Agreement, agreement_of
from core.inference.results import night_summary
from core.inference.staging import Staging, stage_embeddings
from core.psg.scoring import STAGES
from core.psg.store import PreparedStudy

PACKAGES = ("sleepcli", "numpy", "scipy", "onnxruntime", "onnxruntime-gpu")
"""Packages whose versions a report names."""


@dataclass(frozen=True)
class Contents:
    """A night that has been read."""

    study: PreparedStudy
    """Signals, channel states and channel map."""
    night: Night
    """Stages and events as they stand."""
    captions: tuple[EpochCaption, ...]
    """One an epoch."""
    summary: dict[str, Any]
    """Statistics and sentences, as in `<study>.summary.json`."""
    model: Staging | None
    """The model's own stages, also where a scoring's stand; None where no model has staged."""
    agreement: Agreement | None
    """The model against the scoring; None where one of them is absent."""
    provenance: tuple[tuple[str, str], ...]
    """What the report was made with: name and value."""

    @property
    def confidence(self) -> NDArray[np.float64]:
        """The model's probability of the stage that stands, [N]; NaN where it gave none."""
        n_epochs = self.study.n_epochs
        if self.model is None or self.model.probabilities is None:
            return np.full(n_epochs, np.nan)
        columns = np.array([STAGES.index(s) if s in STAGES else -1 for s in self.night.staging.stages], np.intp)
        given = self.model.probabilities[np.arange(n_epochs), columns]
        return np.where(columns >= 0, given, np.nan)


def read_contents(
    study: PreparedStudy,
    engine: Engine | None,
    options: NightOptions | None = None,
    progress: Callable[[int], object] | None = None,
) -> Contents:
    """Read a night for its report.

    Parameters
    ----------
    study
        A measured study, with its scoring where there is one.
    engine
        The model; None tells what is measured and scored alone.
    options
        Domains of the captions, and whether the scoring's stages and events stand.
    progress
        Called with the number of epochs that each batch has finished.
    """
    night = measured_night(study, options) if engine is None else read_night(study, engine, options, progress)
    return contents_of(study, night, engine)


def contents_of(study: PreparedStudy, night: Night, engine: Engine | None) -> Contents:
    """Gather what a report tells of a night that was read before."""
    model = _model_staging(study, night, engine)
    scored = night.staging.source == "scoring"
    return Contents(
        study=study,
        night=night,
        captions=tuple(caption_rows(study, night)),
        summary=night_summary(study, night.staging, night),
        model=model,
        agreement=agreement_of(night.staging.stages, model.stages) if scored and model is not None else None,
        provenance=_provenance(study, engine),
    )


def _model_staging(study: PreparedStudy, night: Night, engine: Engine | None) -> Staging | None:
    if night.staging.source == "model":
        return night.staging
    if engine is None or night.embeddings is None or not seen(study, EEG).any():
        return None
    return stage_embeddings(night.embeddings, study, engine)


def _provenance(study: PreparedStudy, engine: Engine | None) -> tuple[tuple[str, str], ...]:
    rows = [("Recording", f"{study.source_format}, SHA-256 {study.source_hash}")]
    if study.scoring is not None and study.scoring.source:
        rows.append(("Scoring", study.scoring.source))
    if engine is None:
        rows.append(("Model", "none: measurements and scoring alone"))
    else:
        bundle = engine.bundle
        rows.append(("Model", f"{bundle.name} ({bundle.kind}, {bundle.precision}), on {engine.device}"))
        rows.append(("Model hash", f"SHA-256 {bundle.content_hash}"))
    rows.append(("Versions", ", ".join(f"{name} {number}" for name, number in _versions())))
    return tuple(rows)


def _versions() -> list[tuple[str, str]]:
    found = []
    for package in PACKAGES:
        try:
            found.append((package, version(package)))
        except PackageNotFoundError:
            continue
    return found
