"""The night in figures: sleep, breathing, oxygen, heart and position."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from core.language.measure import EpochMeasurements
from core.psg.preprocess import EPOCH_SECONDS
from core.psg.scoring import EVENT_TYPES, STAGES, Event, Scoring

EPOCH_MINUTES = EPOCH_SECONDS / 60
POSITIONS = ("right", "left", "supine", "prone", "upright")
APNEAS = ("obstructive_apnea", "central_apnea", "mixed_apnea")
LINK_SECONDS = 45.0  # from the end of a hypopnea to the onset of its desaturation
AROUSAL_SECONDS = 10.0  # from the end of a hypopnea to the onset of its arousal
CYCLE_NREM = (
    15.0  # minutes of NREM before a cycle's REM, and of pause between two REM periods (Feinberg and Floyd 1979)
)


@dataclass(frozen=True)
class NightStatistics:
    """A night in figures; None where a figure cannot be known.

    Definitions follow the AASM manual 2.6, section II. The night runs from lights off to lights on where these are
    known, over the whole recording otherwise. Indices are events an hour; an event counts where it begins.
    """

    time_in_bed: float
    """Minutes from lights off to lights on."""
    lights_known: bool
    """False where the whole recording had to be taken for the time in bed."""
    recording_time: float
    """Minutes of recording."""
    scored_minutes: float
    """Minutes in bed with a stage."""
    total_sleep_time: float | None = None
    """Minutes in N1, N2, N3 and R."""
    sleep_efficiency: float | None = None
    """Per cent of the time in bed."""
    sleep_latency: float | None = None
    """Minutes from lights off to the first epoch of sleep."""
    rem_latency: float | None = None
    """Minutes from the first epoch of sleep to the first of R."""
    wake_after_sleep_onset: float | None = None
    """Minutes of W between the first epoch of sleep and lights on."""
    stage_minutes: dict[str, float] = field(default_factory=dict)
    """Minutes in each of ``STAGES``; empty without stages."""
    stage_shares: dict[str, float] = field(default_factory=dict)
    """Per cent of the total sleep time in N1, N2, N3 and R."""
    rem_density: float | None = None
    """Rapid eye movements a minute of R."""
    cycles: int | None = None
    """Sleep cycles: REM periods that follow at least 15 minutes of NREM."""
    arousal_index: float | None = None
    """Arousals an hour of sleep."""
    limb_movement_index: float | None = None
    """Limb movements an hour of sleep."""
    ahi: float | None = None
    """Apneas and hypopneas as scored, or as `found_by` says, an hour of sleep."""
    ahi3: float | None = None
    """Apneas, and hypopneas with a desaturation of 3 % or an arousal (AASM 1A), an hour of sleep."""
    ahi4: float | None = None
    """Apneas, and hypopneas with a desaturation of 4 % (AASM 1B), an hour of sleep."""
    ahi_rem: float | None = None
    """``ahi`` in R."""
    ahi_nrem: float | None = None
    """``ahi`` in N1, N2 and N3."""
    ahi_by_position: dict[str, float] = field(default_factory=dict)
    """``ahi`` in each position that was slept in."""
    event_counts: dict[str, int] = field(default_factory=dict)
    """Events in bed by type (in sleep, where stages are known)."""
    found_by: dict[str, str] = field(default_factory=dict)
    """Who looked for events, by type: `scoring`, `model`, or `measurements` (a rule on the signals)."""
    rei: float | None = None
    """Respiratory event index: apneas and hypopneas an hour of RECORDING, where no stage is known (home test)."""
    odi3: float | None = None
    """Desaturations of 3 % an hour of sleep (of recording where no stage is known)."""
    odi4: float | None = None
    """Desaturations of 4 % likewise."""
    spo2_mean: float | None = None
    """Mean saturation in sleep (in bed where no stage is known), %."""
    spo2_min: float | None = None
    """Lowest saturation likewise, %."""
    below_90: float | None = None
    """Minutes with a saturation below 90 % likewise."""
    below_90_share: float | None = None
    """The same in per cent of the time with a saturation."""
    heart_rate_by_stage: dict[str, float] = field(default_factory=dict)
    """Mean heart rate in each stage, beats a minute."""
    heart_rate_mean: float | None = None
    """Mean heart rate in sleep (in bed where no stage is known)."""
    position_shares: dict[str, float] = field(default_factory=dict)
    """Per cent of the sleep (of the time in bed where no stage is known) with a known position."""


@dataclass(frozen=True)
class _Night:
    """What the figures are taken from, epoch by epoch."""

    stages: NDArray[np.str_]
    in_bed: NDArray[np.bool_]
    asleep: NDArray[np.bool_]
    staged: bool
    counted: NDArray[np.bool_]

    def hours(self, rows: NDArray[np.bool_]) -> float:
        return float(rows.sum()) * EPOCH_SECONDS / 3600

    def within(self, events: Sequence[Event], rows: NDArray[np.bool_]) -> list[Event]:
        epochs = [int(event.onset // EPOCH_SECONDS) for event in events]
        return [event for event, epoch in zip(events, epochs, strict=True) if 0 <= epoch < len(rows) and rows[epoch]]

    def index(self, events: Sequence[Event], rows: NDArray[np.bool_]) -> float | None:
        hours = self.hours(rows)
        return len(self.within(events, rows)) / hours if hours > 0 else None


def night_statistics(
    scoring: Scoring,
    measurements: EpochMeasurements | None,
    duration: float,
    found_by: Mapping[str, str] | None = None,
) -> NightStatistics:
    """Sum up a night.

    Parameters
    ----------
    scoring
        Stages, events and lights; stages may all be unscored and events absent.
    measurements
        The epochs' measurements, or None.
    duration
        Length of the recording in seconds.
    found_by
        Who looked for events, by type, where the events are not a scorer's own; a type that is absent was looked for
        by nobody, and one without events was looked for in vain.

    Returns
    -------
    NightStatistics
        With None for what cannot be known: sleep without stages, events where none of any type is scored, saturation
        without an oximeter.
    """
    if found_by is None:
        found_by = _scorers(scoring.events)
    night = _night(scoring, duration)
    figures: dict[str, object] = {
        "time_in_bed": night.in_bed.sum() * EPOCH_MINUTES,
        "lights_known": scoring.lights_off is not None and scoring.lights_on is not None,
        "recording_time": duration / 60,
        "scored_minutes": float((np.isin(night.stages, STAGES) & night.in_bed).sum() * EPOCH_MINUTES),
    }
    if night.staged:
        figures.update(_sleep(night))
    figures.update(_events(night, scoring.events, measurements, found_by))
    figures["found_by"] = dict(sorted(found_by.items()))
    if measurements is not None:
        figures.update(_eyes(night, measurements))
        figures.update(_oxygen(night, measurements))
        figures.update(_heart(night, measurements))
        figures.update(_positions(night, measurements, scoring.events, "hypopnea" in found_by))
    return NightStatistics(**figures)  # type: ignore[arg-type]


def _night(scoring: Scoring, duration: float) -> _Night:
    n_epochs = max(len(scoring.stages), int(duration // EPOCH_SECONDS))
    stages = np.array([*scoring.stages, *["?"] * (n_epochs - len(scoring.stages))])
    middles = (np.arange(n_epochs) + 0.5) * EPOCH_SECONDS
    in_bed = np.ones(n_epochs, dtype=bool)
    if scoring.lights_off is not None:
        in_bed &= middles >= scoring.lights_off
    if scoring.lights_on is not None:
        in_bed &= middles < scoring.lights_on
    asleep = np.isin(stages, STAGES[1:]) & in_bed
    staged = bool((np.isin(stages, STAGES) & in_bed).any())
    return _Night(stages, in_bed, asleep, staged, counted=asleep if staged else in_bed)


def _sleep(night: _Night) -> dict[str, object]:
    minutes = {stage: float(((night.stages == stage) & night.in_bed).sum() * EPOCH_MINUTES) for stage in STAGES}
    slept = float(night.asleep.sum() * EPOCH_MINUTES)
    figures: dict[str, object] = {
        "stage_minutes": minutes,
        "total_sleep_time": slept,
        "sleep_efficiency": 100.0 * slept / (night.in_bed.sum() * EPOCH_MINUTES),
    }
    if not slept:
        return figures
    first, off = int(night.asleep.argmax()), int(night.in_bed.argmax())
    rem = np.flatnonzero((night.stages == "R") & night.in_bed)
    wake = (night.stages == "W") & night.in_bed
    figures["stage_shares"] = {stage: 100.0 * minutes[stage] / slept for stage in STAGES[1:]}
    figures["sleep_latency"] = (first - off) * EPOCH_MINUTES
    figures["rem_latency"] = float((rem[0] - first) * EPOCH_MINUTES) if len(rem) else None
    figures["wake_after_sleep_onset"] = float(wake[first:].sum() * EPOCH_MINUTES)
    figures["cycles"] = _cycles(night.stages[night.in_bed])
    return figures


def _cycles(stages: NDArray[np.str_]) -> int:
    cycles, nrem = 0, 0.0
    for stage in stages:
        if stage in ("N1", "N2", "N3"):
            nrem += EPOCH_MINUTES
        elif stage == "R":
            cycles += nrem >= CYCLE_NREM
            nrem = 0.0
    return cycles


def _scorers(events: Sequence[Event]) -> dict[str, str]:
    """Who looked for what in a scoring: without any event nobody knows, with desaturations alone they alone."""
    kinds = {event.type for event in events}
    return dict.fromkeys(EVENT_TYPES if kinds - {"desaturation"} else sorted(kinds), "scoring")


def _events(
    night: _Night, events: Sequence[Event], measurements: EpochMeasurements | None, found_by: Mapping[str, str]
) -> dict[str, object]:
    """Count events; nothing is known of those that nobody looked for."""
    if not found_by:
        return {}
    inside = night.within(events, night.counted)
    breathing = [event for event in inside if event.type in (*APNEAS, "hypopnea")]
    counts = {kind: sum(event.type == kind for event in inside) for kind in sorted({event.type for event in inside})}
    figures: dict[str, object] = {"event_counts": counts}
    falls3, falls4 = _falls(events, measurements)
    if falls3 is not None and falls4 is None:
        figures["odi3"] = night.index(falls3, night.counted)
    figures |= _limb_and_arousal(night, events)
    if "hypopnea" not in found_by:
        return figures
    if not night.staged:
        return {**figures, "rei": night.index(breathing, night.counted)}
    rem = night.asleep & (night.stages == "R")
    arousals = [event for event in events if event.type == "arousal"]
    figures |= {
        "ahi": night.index(breathing, night.asleep),
        "ahi_rem": night.index(breathing, rem),
        "ahi_nrem": night.index(breathing, night.asleep & ~rem),
    }
    if falls3 is not None:
        kept = [event for event in breathing if event.type in APNEAS or _confirmed(event, falls3, arousals)]
        figures["ahi3"] = night.index(kept, night.asleep)
    if falls4 is not None:
        kept = [event for event in breathing if event.type in APNEAS or _confirmed(event, falls4, [])]
        figures["ahi4"] = night.index(kept, night.asleep)
    return figures


def _limb_and_arousal(night: _Night, events: Sequence[Event]) -> dict[str, object]:
    """Indices of arousals and limb movements in sleep; without any, it is not known whether they were looked for."""
    figures: dict[str, object] = {}
    for kind in ("arousal", "limb_movement"):
        found = [event for event in events if event.type == kind]
        figures[f"{kind}_index"] = night.index(found, night.asleep) if found and night.staged else None
    return figures


def _falls(
    events: Sequence[Event], measurements: EpochMeasurements | None
) -> tuple[list[Event] | None, list[Event] | None]:
    """Desaturations of 3 and of 4 %: measured where there is a saturation, scored ones (of unknown depth) otherwise."""
    if measurements is not None and np.isfinite(measurements.values["spo2_mean"]).any():
        deep = zip(measurements.events, measurements.depths, strict=True)
        fours = [event for event, depth in deep if event.type == "desaturation" and depth >= 4.0 - 1e-6]
        return [event for event in measurements.events if event.type == "desaturation"], fours
    scored = [event for event in events if event.type == "desaturation"]
    return scored or None, None


def _confirmed(event: Event, falls: Sequence[Event], arousals: Sequence[Event]) -> bool:
    end = event.onset + event.duration
    return any(event.onset <= fall.onset <= end + LINK_SECONDS for fall in falls) or any(
        event.onset <= arousal.onset <= end + AROUSAL_SECONDS for arousal in arousals
    )


def _oxygen(night: _Night, measurements: EpochMeasurements) -> dict[str, object]:
    mean = _fitted(measurements.values["spo2_mean"], night)
    known = np.isfinite(mean) & night.counted
    if not known.any():
        return {}
    falls3, falls4 = _falls((), measurements)
    lowest = _fitted(measurements.values["spo2_min"], night)
    figures: dict[str, object] = {
        "odi3": night.index(falls3 or [], known),
        "odi4": night.index(falls4 or [], known),
        "spo2_mean": float(mean[known].mean()),
        "spo2_min": float(lowest[known].min()),
    }
    if measurements.below_90 is not None:
        seconds = float(np.nansum(_fitted(measurements.below_90, night)[known]))
        figures["below_90"] = seconds / 60
        figures["below_90_share"] = 100.0 * seconds / (known.sum() * EPOCH_SECONDS)
    return figures


def _eyes(night: _Night, measurements: EpochMeasurements) -> dict[str, object]:
    if measurements.rapid_eyes is None:
        return {}
    counts = _fitted(measurements.rapid_eyes, night)
    known = np.isfinite(counts) & night.in_bed & (night.stages == "R")
    return {"rem_density": float(counts[known].mean()) / EPOCH_MINUTES if known.any() else None}


def _heart(night: _Night, measurements: EpochMeasurements) -> dict[str, object]:
    rate = _fitted(measurements.values["heart_rate_mean"], night)
    known = np.isfinite(rate)
    stages = {}
    for stage in STAGES:
        rows = known & night.in_bed & (night.stages == stage)
        if rows.any():
            stages[stage] = float(rate[rows].mean())
    rows = known & night.counted
    return {"heart_rate_by_stage": stages, "heart_rate_mean": float(rate[rows].mean()) if rows.any() else None}


def _positions(
    night: _Night, measurements: EpochMeasurements, events: Sequence[Event], rated: bool
) -> dict[str, object]:
    """Shares of the positions, and their index of breathing events where these were looked for."""
    codes = _fitted(measurements.values["position"], night)
    known = np.isfinite(codes) & night.counted
    if not known.any():
        return {}
    breathing = [event for event in events if event.type in (*APNEAS, "hypopnea")]
    shares, indices = {}, {}
    for code, name in enumerate(POSITIONS):
        rows = known & (codes == code)
        if rows.any():
            shares[name] = 100.0 * float(rows.sum()) / float(known.sum())
            index = night.index(breathing, rows)
            if rated and night.staged and index is not None:
                indices[name] = index
    return {"position_shares": shares, "ahi_by_position": indices}


def _fitted(values: NDArray[np.float32], night: _Night) -> NDArray[np.float64]:
    fitted = np.full(len(night.stages), np.nan)
    fitted[: min(len(values), len(fitted))] = values[: len(fitted)]
    return fitted
