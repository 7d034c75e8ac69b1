"""A night read by the model: encoded, decoded batch by batch, its stages and events settled."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from core.inference.beams import BeamOptions, beam_search
from core.inference.constrained import grammars
from core.inference.decoding import MIN_TOKENS, greedy
from core.inference.drafts import Draft, read_events
from core.inference.embedding import encode_rows, night_context
from core.inference.engine import Engine
from core.inference.events import BREATHING, EEG, DraftEvent, merge_drafts, seen
from core.inference.found_events import FoundEvents, found_events, taken, visible_epochs
from core.inference.staging import (
    Staging,
    StagingOptions,
    stage_course,
    stage_embeddings,
    staging_of_scoring,
    unstaged,
)
from core.inference.studies import measurements_of
from core.language.context import Context
from core.language.facts import DOMAINS
from core.language.measure import EpochMeasurements
from core.language.settled import MODEL, settle_events
from core.psg.channels import CHANNELS
from core.psg.scoring import Event
from core.psg.store import PreparedStudy

DOMAIN_CHANNELS = {
    "brain": (*EEG, "EOG_L", "EOG_R"),
    "cardiac": ("ECG", "SPO2"),
    "respiration": BREATHING,
    "somatic": ("EMG_CHIN", "POS"),
    "stage_event": (*EEG, *BREATHING),
}
"""A domain is decoded where one of these channels of the bundle is usable."""


@dataclass(frozen=True)
class NightOptions:
    """Wishes of a caller."""

    domains: tuple[str, ...] = DOMAINS
    """Domains to caption."""
    use_scoring: bool = True
    """Take stages and events from the study's scoring where it has them."""
    beams: int = 1
    """Beginnings of each text that are followed; 1 is greedy."""
    grammar: bool = False
    """Hold every text to the grammar of its domain."""


@dataclass(frozen=True)
class Night:
    """What is settled about a study before its first caption is printed."""

    staging: Staging
    """Stages, from the scoring or the model."""
    events: tuple[Event, ...]
    """Events of the night by onset, those measured by rule among them."""
    events_from: str
    """Who looked for them: `scoring`, `model` (with the rules), or `measurements` (the rules alone)."""
    measurements: EpochMeasurements
    """Measured values of every epoch."""
    embeddings: NDArray[np.float32] | None
    """[N, D]; None without a model."""
    drafts: Mapping[int, Mapping[str, Draft]]
    """What the model wrote, by epoch and domain; a domain without usable channels is absent."""
    channels: tuple[str, ...]
    """Channels that the model takes; all that are known without a model."""
    domains: tuple[str, ...]
    """Domains to caption."""
    found_by: Mapping[str, str] = field(default_factory=dict)
    """`scoring`, `model` or `measurements` by event type, for each type that was looked for, found or not."""


def read_night(
    study: PreparedStudy,
    engine: Engine,
    options: NightOptions | None = None,
    progress: Callable[[int], object] | None = None,
    measured: Callable[[], EpochMeasurements] | None = None,
) -> Night:
    """Encode a night, let the model write about it, and settle its stages and events.

    Signals and decoder tokens are held a batch at a time; texts and embeddings are kept.

    Parameters
    ----------
    study
        Measured here where it carries no measurements.
    engine
        The model; one without a text decoder gives stages and no drafts.
    options
        Domains and use of the scoring.
    progress
        Called with the number of epochs that each batch has finished.
    measured
        Gives the measurements, once they are needed; None to take them from the study.

    Notes
    -----
    A study with neither an EEG nor a scoring has no stages, and is captioned all the same.
    """
    options = options or NightOptions()
    scored = _scored_events(study, options)
    with ThreadPoolExecutor(1, "courses") as pool:
        later = pool.submit(_read_courses, study, engine, options)
        asked = replace(options, domains=_domains_to_write(engine, options, scored))
        context = None
        if engine.bundle.measured:
            measurements = measured() if measured is not None else measurements_of(study)
            context = night_context(study, engine, measurements, later.result()[1])
        embeddings, drafts = _encode_and_write(study, engine, asked, context, progress)
        staging, found = later.result()
    if staging is None:
        staging = stage_embeddings(embeddings, study, engine) if seen(study, EEG).any() else unstaged(study.n_epochs)
    found = found or _written_events(study, engine, drafts)
    if context is None:
        measurements = measured() if measured is not None else measurements_of(study)
    settled = settle_events(scored, found.events, measurements, staging.stages, found.sees, found.trusted)
    return Night(
        staging=staging,
        events=settled.events,
        events_from="scoring" if scored else "model" if MODEL in settled.found_by.values() else "measurements",
        measurements=measurements,
        embeddings=embeddings,
        drafts=drafts,
        channels=engine.bundle.channels,
        domains=options.domains,
        found_by=settled.found_by,
    )


def _read_courses(
    study: PreparedStudy, engine: Engine, options: NightOptions
) -> tuple[Staging | None, FoundEvents | None]:
    """Stages of the scoring or the night model, and the night model's events; None where neither gives them."""
    staging = staging_of_scoring(study, StagingOptions(options.use_scoring))
    if staging is None and engine.bundle.stage_head is None and seen(study, EEG).any():
        staging = stage_course(study, engine)
    return staging, found_events(study, engine)


def _written_events(study: PreparedStudy, engine: Engine, drafts: Mapping[int, Mapping[str, Draft]]) -> FoundEvents:
    """Events that the decoder wrote, for a bundle without a night model's."""
    visible = visible_epochs(study, engine)
    sees = tuple(kind for kind, epochs in visible.items() if engine.writes and epochs.any())
    return FoundEvents(merge_drafts(_draft_events(drafts), visible), sees)


def measured_night(study: PreparedStudy, options: NightOptions | None = None) -> Night:
    """Settle a night from its measurements and scoring alone, without any model."""
    options = options or NightOptions()
    measurements = measurements_of(study)
    scored = _scored_events(study, options)
    staging = staging_of_scoring(study, StagingOptions(options.use_scoring))
    staging = staging or unstaged(study.n_epochs)
    settled = settle_events(scored, (), measurements, staging.stages)
    return Night(
        staging=staging,
        events=settled.events,
        events_from="scoring" if scored else "measurements",
        measurements=measurements,
        embeddings=None,
        drafts={},
        channels=tuple(channel.name for channel in CHANNELS),
        domains=options.domains,
        found_by=settled.found_by,
    )


def _scored_events(study: PreparedStudy, options: NightOptions) -> tuple[Event, ...]:
    return study.scoring.events if options.use_scoring and study.scoring is not None else ()


def _domains_to_write(engine: Engine, options: NightOptions, scored: tuple[Event, ...]) -> tuple[str, ...]:
    """Domains that the model is asked for: the events' domain whenever nobody scored them."""
    if not engine.writes:
        return ()
    wanted = {*options.domains, "stage_event"} - ({"stage_event"} if scored else set())
    return tuple(domain for domain in engine.bundle.domains if domain in wanted)


def _encode_and_write(
    study: PreparedStudy,
    engine: Engine,
    options: NightOptions,
    context: Context | None,
    progress: Callable[[int], object] | None,
) -> tuple[NDArray[np.float32], dict[int, dict[str, Draft]]]:
    embeddings = np.empty((study.n_epochs, engine.bundle.embed_dim), np.float32)
    drafts: dict[int, dict[str, Draft]] = {}
    domains = options.domains
    visible = {domain: taken(study, engine, DOMAIN_CHANNELS[domain]) for domain in domains}
    write = _writer(engine, options)
    for first in range(0, study.n_epochs, engine.batch):
        rows = np.arange(first, min(first + engine.batch, study.n_epochs))
        embeddings[rows], tokens = encode_rows(study, engine, rows, context)
        asked = [(row, domain) for domain in domains for row in range(len(rows)) if visible[domain][rows[row]]]
        for (row, domain), draft in zip(asked, write(tokens, asked), strict=True):
            drafts.setdefault(int(rows[row]), {})[domain] = draft
        if progress is not None:
            progress(len(rows))
    return embeddings, drafts


def _writer(
    engine: Engine, options: NightOptions
) -> Callable[[NDArray[np.float32], Sequence[tuple[int, str]]], list[Draft]]:
    """Give what writes the texts of one batch: (row in the batch, domain)."""
    held = grammars(engine.bundle, engine.tokenizer) if options.grammar and engine.writes else None

    def write(tokens: NDArray[np.float32], asked: Sequence[tuple[int, str]]) -> list[Draft]:
        if not asked:
            return []
        rows = np.array([row for row, _ in asked], np.intp)
        conditions = [engine.bundle.domains.index(domain) for _, domain in asked]
        if held is None and options.beams == 1:
            written = greedy(engine, tokens, conditions, epochs=rows)
        else:
            wishes = BeamOptions(MIN_TOKENS[engine.bundle.kind], grammars=held)
            written = beam_search(engine, tokens, conditions, options.beams, wishes, rows)
        return [Draft(engine.tokenizer, decoded) for decoded in written]

    return write


def _draft_events(drafts: Mapping[int, Mapping[str, Draft]]) -> Iterator[DraftEvent]:
    for epoch in sorted(drafts):
        if "stage_event" in drafts[epoch]:
            yield from read_events(epoch, drafts[epoch]["stage_event"])
