"""A night read by the model: encoded, decoded batch by batch, its stages and events settled."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from core.inference.ahead import one_ahead
from core.inference.beams import BeamOptions, beam_search
from core.inference.constrained import grammars
from core.inference.course_graphs import EVENTS_GRAPH, STAGES_GRAPH
from core.inference.decoding import MIN_TOKENS, greedy
from core.inference.drafts import Draft, read_events
from core.inference.embedding import ShownNight, encode_rows, night_context
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
from core.language.facts import DOMAINS
from core.language.measure import EpochMeasurements
from core.language.settled import MODEL, settle_events
from core.memory import give_back_memory
from core.psg.channels import CHANNELS
from core.psg.preprocess import traces_of
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
    """Encode a night, let the model write about it, and settle its stages and events; see `night_in_parts`."""
    *_, (night, _) = night_in_parts(study, engine, options, progress, measured)
    return night


def night_in_parts(
    study: PreparedStudy,
    engine: Engine,
    options: NightOptions | None = None,
    progress: Callable[[int], object] | None = None,
    measured: Callable[[], EpochMeasurements] | None = None,
) -> Iterator[tuple[Night, NDArray[np.intp]]]:
    """Read a night, and give it each time that the model has written about some more of its epochs.

    Where the bundle's night model gives stages and events, they are settled before the first part, and the next part
    is written while one is used. They come of the texts and embeddings otherwise, and the night is one part.
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

    Yields
    ------
    tuple
        The night, whose drafts and embeddings grow from part to part, and the epochs that are new in it, in order.

    Notes
    -----
    A study with neither an EEG nor a scoring has no stages, and is captioned all the same.
    """
    options = options or NightOptions()
    asked = replace(options, domains=_domains_to_write(engine, options, _scored_events(study, options)))
    take = measured or partial(measurements_of, study)
    written = _Written(np.empty((study.n_epochs, engine.bundle.embed_dim), np.float32))
    with ThreadPoolExecutor(1, "courses") as pool:
        later = pool.submit(_read_courses, study, engine, options)
        measurements = context = night = None
        if engine.bundle.measured:
            measurements = take()
            context = night_context(study, engine, measurements, later.result().found)
            give_back_memory()  # signals at native rates, and what measuring them took
            if later.result().whole:
                night = _settled(study, engine, options, (later.result(), measurements, written))
        for rows in written.in_parts(study, engine, asked, context):
            if progress is not None:
                progress(len(rows))
            if night is not None:
                yield night, rows
        if night is None:
            measurements = measurements or take()
            night = _settled(study, engine, options, (later.result(), measurements, written))
            yield night, np.arange(study.n_epochs)


@dataclass(frozen=True)
class _Courses:
    """What the scoring or the night model says of a night; None where neither does."""

    staging: Staging | None
    found: FoundEvents | None

    @property
    def whole(self) -> bool:
        """Whether nothing of it waits for texts and embeddings."""
        return self.staging is not None and self.found is not None


def _read_courses(study: PreparedStudy, engine: Engine, options: NightOptions) -> _Courses:
    staging = staging_of_scoring(study, StagingOptions(options.use_scoring))
    traces = traces_of(study) if {STAGES_GRAPH, EVENTS_GRAPH} & set(engine.bundle.graphs) else {}
    if staging is None and engine.bundle.stage_head is None and seen(study, EEG).any():
        staging = stage_course(study, engine, traces)
    return _Courses(staging, found_events(study, engine, traces))


def _settled(
    study: PreparedStudy,
    engine: Engine,
    options: NightOptions,
    known: "tuple[_Courses, EpochMeasurements, _Written]",
) -> Night:
    """Settle stages and events; of what was written and embedded only where the courses leave them open."""
    courses, measurements, written = known
    staging, found, scored = courses.staging, courses.found, _scored_events(study, options)
    if staging is None:
        has_eeg = seen(study, EEG).any()
        staging = stage_embeddings(written.embeddings, study, engine) if has_eeg else unstaged(study.n_epochs)
    found = found or _written_events(study, engine, written.drafts)
    settled = settle_events(scored, found.events, measurements, staging.stages, found.sees, found.trusted)
    return Night(
        staging=staging,
        events=settled.events,
        events_from="scoring" if scored else "model" if MODEL in settled.found_by.values() else "measurements",
        measurements=measurements,
        embeddings=written.embeddings,
        drafts=written.drafts,
        channels=engine.bundle.channels,
        domains=options.domains,
        found_by=settled.found_by,
    )


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


@dataclass(frozen=True)
class _Written:
    """What the model has read and written so far."""

    embeddings: NDArray[np.float32]
    """[N, D]"""
    drafts: dict[int, dict[str, Draft]] = field(default_factory=dict)
    """By epoch and domain."""

    def in_parts(
        self, study: PreparedStudy, engine: Engine, options: NightOptions, context: ShownNight | None
    ) -> Iterator[NDArray[np.intp]]:
        """Go over the night batch by batch and give the epochs of each.

        While one is used the next is written, and where the model is small the one after it is encoded: its workers
        then never wait for the longest text of a batch.
        """
        visible = {domain: taken(study, engine, DOMAIN_CHANNELS[domain]) for domain in options.domains}
        write = _writer(engine, options)
        encoded = _encoded(study, engine, context)

        def written() -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32], list[tuple[int, str]], list[Draft]]]:
            for rows, (embeddings, tokens) in one_ahead(encoded) if engine.small else encoded:
                asked = [(row, domain) for domain in visible for row in range(len(rows)) if visible[domain][rows[row]]]
                yield rows, embeddings, asked, write(tokens, asked)

        for rows, embeddings, asked, drafts in one_ahead(written()):
            self.embeddings[rows] = embeddings
            for (row, domain), draft in zip(asked, drafts, strict=True):
                self.drafts.setdefault(int(rows[row]), {})[domain] = draft
            yield rows


def _encoded(
    study: PreparedStudy, engine: Engine, context: ShownNight | None
) -> Iterator[tuple[NDArray[np.intp], tuple[NDArray[np.float32], NDArray[np.float32]]]]:
    """Encode a night batch by batch: its epochs, and what `encode_rows` gives."""
    for first in range(0, study.n_epochs, engine.batch):
        rows = np.arange(first, min(first + engine.batch, study.n_epochs))
        yield rows, encode_rows(study, engine, rows, context)


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
