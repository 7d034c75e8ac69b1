"""Captions of a night: the model writes, measured values fill its slots, and nothing unseen is told."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from core.inference.engine import Engine
from core.inference.events import events_by_epoch
from core.inference.night import Night, NightOptions, measured_night, read_night
from core.inference.wording import checked, leaves_out_pulse, tells_anything, tells_the_same
from core.language.describe import describe, sayable
from core.language.facts import DOMAINS, EpochFacts, epoch_facts
from core.language.sites import shown_names
from core.language.values import printed
from core.psg.channels import CHANNELS, FURTHER_CHANNELS
from core.psg.preprocess import EPOCH_SECONDS
from core.psg.quality import State
from core.psg.scoring import STAGES, UNSCORED, Event, Scoring
from core.psg.store import PreparedStudy

_STATES = {int(state): state.name.lower() for state in State}


@dataclass(frozen=True)
class CaptionOptions:
    """Wishes of a caller."""

    domains: tuple[str, ...] = DOMAINS
    """Domains to caption."""
    use_scoring: bool = True
    """Take stages and events from the study's scoring where it has them."""
    measured_only: bool = False
    """Write from the measurements alone, without any model."""
    beams: int = 1
    """Beginnings of each text that the model follows; 1 is greedy."""
    grammar: bool = False
    """Hold every text of the model to the grammar of its domain."""

    @property
    def night(self) -> NightOptions:
        """What is wished of reading the night."""
        return NightOptions(self.domains, self.use_scoring, self.beams, self.grammar)


@dataclass(frozen=True)
class EpochCaption:
    """One line of `<study>.captions.jsonl`."""

    study: str
    """Name of the study."""
    epoch: int
    """Index from 0."""
    onset: float
    """Seconds from the start of the recording."""
    duration: float
    """Seconds."""
    stage: str
    """`W N1 N2 N3 R` or `?`."""
    stage_probabilities: dict[str, float]
    """Empty where the stage is scored or `?`."""
    captions: dict[str, str]
    """Text by domain."""
    events: tuple[Event, ...]
    """Every event that overlaps the epoch, whole, in seconds of the recording."""
    measurements: dict[str, float]
    """Reliable values by name, rounded as captions print them."""
    channels: dict[str, str]
    """State by channel that the model takes."""

    def to_json(self) -> dict[str, Any]:
        """Give the line as JSON values; an unknown confidence is null."""
        row = {name: getattr(self, name) for name in self.__dataclass_fields__}
        row["events"] = [event_row(event) for event in self.events]
        return row


def caption_study(
    study: PreparedStudy,
    engine: Engine | None,
    options: CaptionOptions | None = None,
    progress: Callable[[int], object] | None = None,
) -> Iterator[EpochCaption]:
    """Caption a study epoch by epoch; see `read_night` and `caption_rows` for its two halves.

    Parameters
    ----------
    study
        A prepared study.
    engine
        The model; None only with `measured_only`.
    options
        Domains and use of the scoring.
    progress
        Called with the number of epochs that each batch has finished.
    """
    options = options or CaptionOptions()
    wishes = options.night
    if engine is None or options.measured_only:
        night = measured_night(study, wishes)
    else:
        night = read_night(study, engine, wishes, progress)
    return caption_rows(study, night)


def caption_rows(study: PreparedStudy, night: Night, epochs: Iterable[int] | None = None) -> Iterator[EpochCaption]:
    """Print a settled night, a row an epoch; `epochs` are those wanted, None for all."""
    measured = replace(night.measurements, events=())  # they stand in the night's events
    sites = shown_names(study.channel_map)
    known = [channel.name for channel in (*CHANNELS, *FURTHER_CHANNELS) if channel.name in night.channels]
    states = {name: [_STATES[code] for code in study.states_of(name).tolist()] for name in known}
    overlapping = events_by_epoch(night.events, study.n_epochs)
    for epoch in range(study.n_epochs) if epochs is None else map(int, epochs):
        onset = epoch * float(EPOCH_SECONDS)
        events = tuple(overlapping[epoch])
        settled = Scoring(night.staging.stages, events)
        facts = replace(
            epoch_facts(epoch, measured, study.states, settled, sites),
            events_scored=night.events_from != "measurements",
        )
        yield EpochCaption(
            study=study.study,
            epoch=epoch,
            onset=onset,
            duration=float(EPOCH_SECONDS),
            stage=night.staging.stages[epoch],
            stage_probabilities=_probabilities(night, epoch),
            captions=_captions(study, epoch, facts, night),
            events=events,
            measurements={name: printed(name, value) for name, value in facts.values.items()},
            channels={name: codes[epoch] for name, codes in states.items()},
        )


def phrase_seed(source_hash: str, epoch: int) -> int:
    """Seed of an epoch's wording: from the recording's content, so that no name or neighbour changes it."""
    return int.from_bytes(hashlib.sha256(f"{source_hash}:{epoch}".encode()).digest()[:4], "big")


def event_row(event: Event) -> dict[str, Any]:
    """Give an event as JSON values, seconds at 0.1-s resolution."""
    confidence = None if event.confidence is None else round(event.confidence, 3)
    return {
        "type": event.type,
        "onset": round(event.onset, 1),
        "duration": round(event.duration, 1),
        "confidence": confidence,
    }


def _probabilities(night: Night, epoch: int) -> dict[str, float]:
    if night.staging.probabilities is None or night.staging.stages[epoch] == UNSCORED:
        return {}
    return {stage: float(p) for stage, p in zip(STAGES, night.staging.probabilities[epoch], strict=True)}


def _captions(study: PreparedStudy, epoch: int, facts: EpochFacts, night: Night) -> dict[str, str]:
    """Text by domain: the model's where it agrees with what is settled, else written from the facts."""
    captions, known, seed = {}, sayable(facts), phrase_seed(study.source_hash, epoch)
    for domain in (domain for domain in DOMAINS if domain in night.domains):
        draft = night.drafts.get(epoch, {}).get(domain)
        text, measured = checked(draft.text, known, domain) if draft else ("", False)
        if not _stands(text, facts, domain, measured):
            text = describe(facts, domain, seed, "numbers")
        captions[domain] = text
    return captions


def _stands(text: str, facts: EpochFacts, domain: str, measured: bool) -> bool:
    """Whether what is left of a model's text says what there is to say of the epoch; `measured` is `checked`'s."""
    if domain == "stage_event":
        return bool(text) and tells_the_same(text, facts)
    tells = (measured and not facts.sites) or tells_anything(text, domain)  # a signal's name may say anything
    return tells and not (domain == "cardiac" and leaves_out_pulse(text, facts))
