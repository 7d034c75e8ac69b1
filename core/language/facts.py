"""The facts of one epoch that a caption may state, and the special tokens that stand for them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.language.measurements import MEASUREMENTS
from core.language.settled import RESPIRATORY, measured_beside
from core.language.sites import PULSE
from core.language.trends import Trend
from core.psg.channels import CHANNELS
from core.psg.quality import State
from core.psg.scoring import STAGES, Event, Scoring

if TYPE_CHECKING:  # the measuring code brings scipy and the heartbeat detector
    from core.language.measure import EpochMeasurements

DOMAINS = ("brain", "cardiac", "respiration", "somatic", "stage_event")
"""The caption domains, in the order of the published model's condition index."""

FORMS = ("numbers", "slots", "words")
"""How a caption writes its facts: figures, special tokens, or clinical words without digits."""

LEVELS = ("channel", "event", "stage")
"""What a sentence is about: a channel's statistics, a timed event, or the epoch as a whole."""

_UNUSABLE = {int(state): state.name.lower() for state in State if not state.usable}
EPOCH_SECONDS = 30.0
TIME_STEP = 0.5
"""Resolution of the time tokens in seconds."""

TIME_TOKENS = tuple(f"<t_{step * TIME_STEP:.1f}>" for step in range(int(EPOCH_SECONDS / TIME_STEP) + 1))
"""`<t_0.0>` to `<t_30.0>`: seconds inside the epoch."""

SLOTS = tuple(f"<{name}>" for name in MEASUREMENTS)
"""One special token a measurement; the runtime writes the measured value in its place."""


@dataclass(frozen=True)
class EpochFacts:
    """What is known about one epoch of 30 s."""

    stage: str | None
    """`W N1 N2 N3 R`, or None where the stage is not scored."""
    values: Mapping[str, float]
    """Reliable measurements by name, in the unit of `MEASUREMENTS`; a name without a value is absent."""
    trends: tuple[Trend, ...] = ()
    """Heart-rate and oxygen trends, seconds inside the epoch."""
    events: tuple[Event, ...] = ()
    """Events clipped to the epoch, `onset` in seconds from the epoch's start, by onset."""
    unusable: Mapping[str, str] = field(default_factory=dict)
    """Channels that cannot be used in this epoch, with the name of their state in lower case."""
    events_scored: bool = True
    """Whether somebody looked for events: only then may a caption say that there is none."""
    sites: Mapping[str, str] = field(default_factory=dict)
    """Channels that another signal stands in for, with its name: `EEG_C3` to `Fpz-Cz`; `ECG` to the oximeter's pulse
    where the heart rate comes from there."""
    looked_for: tuple[str, ...] = ()
    """What rules looked for in this epoch: `breathing` (apneas and hypopneas), `desaturation`."""

    @property
    def not_found(self) -> tuple[str, ...]:
        """What rules looked for in this epoch and did not find."""
        kinds = {event.type for event in self.events}
        found = {"breathing": kinds.intersection(RESPIRATORY), "desaturation": kinds.intersection(("desaturation",))}
        return tuple(kind for kind in self.looked_for if not found[kind])


def of_the_ecg(facts: EpochFacts) -> EpochFacts:
    """The facts without a heart rate that comes from the oximeter's pulse, which no model sees."""
    if "ECG" not in facts.sites:
        return facts
    return replace(
        facts,
        values={name: value for name, value in facts.values.items() if not name.startswith("heart_rate")},
        trends=tuple(trend for trend in facts.trends if trend.quantity != "heart_rate"),
        sites={channel: site for channel, site in facts.sites.items() if channel != "ECG"},
    )


def time_token(seconds: float) -> str:
    """The time token nearest to a time inside the epoch; times outside [0, 30] s are clipped."""
    step = round(min(max(seconds, 0.0), EPOCH_SECONDS) / TIME_STEP)
    return TIME_TOKENS[step]


def clip_to_epoch(event: Event, epoch: int) -> Event | None:
    """The part of an event (seconds in the recording) that lies in an epoch, onset relative to the epoch.

    None where they do not overlap, or overlap by less than the 0.05 s that a caption could not print.
    """
    begin = epoch * EPOCH_SECONDS
    start = max(event.onset - begin, 0.0)
    end = min(event.onset + event.duration - begin, EPOCH_SECONDS)
    if end - start < 0.05:
        return None
    return Event(event.type, start, end - start, event.confidence)


def epoch_facts(
    epoch: int,
    measurements: "EpochMeasurements",
    states: NDArray[np.uint8],
    scoring: Scoring | None,
    sites: Mapping[str, str] = MappingProxyType({}),
) -> EpochFacts:
    """Gather what may be said about one epoch.

    Scored events come first; desaturations that were measured on the SpO2 signal are added where the
    scoring has none. A scoring without a single event in the whole night is taken as one of stages only: nobody
    knows whether events were looked for, and what was measured by rule stands outside wake.

    Parameters
    ----------
    epoch
        Index of the epoch from the start of the recording.
    measurements
        The study's measurements.
    states
        `[N, 11]` channel states in the order of `CHANNELS`.
    scoring
        Stages and events, or None where the study is not scored.
    sites
        Names of the signals that stand in for channels, as `core.language.sites.shown_names` gives them.
    """
    values = {
        name: float(column[epoch])
        for name, column in measurements.values.items()
        if name in MEASUREMENTS and isfinite(column[epoch])
    }
    stage = None
    if scoring is not None and epoch < len(scoring.stages) and scoring.stages[epoch] in STAGES:
        stage = scoring.stages[epoch]
    scored = scoring.events if scoring is not None else ()
    measured = measured_beside(
        scored, _touching(measurements.events, epoch), scoring.stages if scoring is not None else ()
    )
    inside = (clip_to_epoch(event, epoch) for event in (*_touching(scored, epoch), *measured))
    events = sorted((event for event in inside if event is not None), key=lambda event: (event.onset, event.type))
    unusable = {
        channel.name: _UNUSABLE[code]
        for channel, code in zip(CHANNELS, states[epoch].tolist(), strict=True)
        if code in _UNUSABLE
    }
    trends = measurements.trends[epoch] if epoch < len(measurements.trends) else ()
    if "heart_rate_mean" in values and "beat_rate" in measurements.values and "beat_rate" not in values:
        sites = {**sites, "ECG": PULSE}
    looked_for = _looked_for(values, stage)
    return EpochFacts(stage, values, tuple(trends), tuple(events), unusable, bool(scored), sites, looked_for)


def _looked_for(values: Mapping[str, float], stage: str | None) -> tuple[str, ...]:
    """What a rule can see in an epoch: breathing outside wake where airflow shows it, saturation where it is read."""
    breathing = ("breathing",) if "airflow_amplitude" in values and stage != "W" else ()
    return (*breathing, "desaturation") if "spo2_mean" in values else breathing


def _touching(events: tuple[Event, ...], epoch: int) -> list[Event]:
    begin, end = epoch * EPOCH_SECONDS, (epoch + 1) * EPOCH_SECONDS
    return [event for event in events if event.onset < end and event.onset + event.duration > begin]
