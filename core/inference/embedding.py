"""Epochs of a study in the space that signals and texts share, and what a model is shown beside the signals."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from core.inference.engine import Engine
from core.inference.events import events_by_epoch
from core.inference.found_events import FoundEvents, found_events
from core.inference.studies import measurements_of
from core.language.context import Context, context_of
from core.language.facts import epoch_facts, of_the_ecg
from core.language.measure import EpochMeasurements
from core.language.settled import settle_events
from core.psg.scoring import UNSCORED, Event, Scoring
from core.psg.store import PreparedStudy


@dataclass(frozen=True)
class ShownNight:
    """What a model is shown of a night beside its signals, gathered for the epochs that are asked for."""

    study: PreparedStudy
    """The study."""
    measurements: EpochMeasurements
    """The study's, without events."""
    events: Sequence[Sequence[Event]]
    """Events that overlap each epoch."""
    measured: tuple[str, ...]
    """Names of the values that are shown."""
    courses: tuple[str, ...]
    """Names of the courses that are shown."""

    def rows(self, some: slice | NDArray[np.intp]) -> Context:
        """Gather what is shown of some epochs."""
        unscored = (UNSCORED,) * self.study.n_epochs
        facts = [
            of_the_ecg(
                epoch_facts(epoch, self.measurements, self.study.states, Scoring(unscored, tuple(self.events[epoch])))
            )
            for epoch in np.arange(self.study.n_epochs)[some].tolist()
        ]
        return context_of(facts, self.measured, self.courses)


def embedding_channels(engine: Engine) -> tuple[str, ...] | None:
    """Channels that embedding reads; None for a study that is measured, where the model is shown what was measured."""
    return None if engine.bundle.measured else engine.bundle.channels


def embed_study(study: PreparedStudy, engine: Engine) -> NDArray[np.float32]:
    """Embed every epoch, a batch at a time.

    Returns
    -------
    ndarray
        [N, D] float32, L2-normalised.
    """
    context = own_context(study, engine)
    rows = np.empty((study.n_epochs, engine.bundle.embed_dim), np.float32)
    for first in range(0, study.n_epochs, engine.batch):
        part = slice(first, min(first + engine.batch, study.n_epochs))
        rows[part] = encode_rows(study, engine, part, context)[0]
    return rows


def encode_rows(
    study: PreparedStudy, engine: Engine, rows: slice | NDArray[np.intp], context: ShownNight | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Encode some epochs: embeddings [n, D] and decoder tokens [n, Q, W]; `context` is the whole night's."""
    channels = engine.bundle.channels
    beside = None if context is None else context.rows(rows)
    return engine.encode(study.stack(channels, rows), study.present(channels, rows), beside)


def own_context(study: PreparedStudy, engine: Engine) -> ShownNight | None:
    """Gather what the model is shown of a study beside its signals; None for a model that is shown signals alone."""
    if not engine.bundle.measured:
        return None
    return night_context(study, engine, measurements_of(study), found_events(study, engine))


def night_context(
    study: PreparedStudy,
    engine: Engine,
    measurements: EpochMeasurements,
    found: FoundEvents | None,
) -> ShownNight:
    """Settle what the model is shown of a night beside its signals.

    It comes from the signals alone: a scoring changes no embedding.

    Parameters
    ----------
    study
        A prepared study.
    engine
        The model, whose bundle names what is shown.
    measurements
        The study's.
    found
        Events of the night model; None where the bundle has none: events that rules measure are shown.
    """
    found = found or FoundEvents((), ())
    settled = settle_events((), found.events, measurements, (), found.sees, found.trusted)
    overlapping = events_by_epoch(settled.events, study.n_epochs)
    bundle = engine.bundle
    return ShownNight(study, replace(measurements, events=()), overlapping, bundle.measured, bundle.courses)
