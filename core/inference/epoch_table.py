"""A study as rows for searching: one row an epoch with everything that can be asked for, and one row for the night."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import ModelError
from core.inference.caption_words import words_of
from core.inference.captioning import caption_rows, event_row
from core.inference.engine import Engine
from core.inference.night import Night, NightOptions, read_night
from core.inference.results import finite, night_summary
from core.language.describe import sayable_columns
from core.language.facts import DOMAINS, clip_to_epoch, epoch_facts
from core.language.measurements import MEASUREMENTS
from core.language.sites import shown_names
from core.language.thresholds import quantities
from core.language.values import POSITIONS, printed
from core.psg.channels import CHANNELS
from core.psg.preprocess import EPOCH_SECONDS
from core.psg.quality import State
from core.psg.scoring import EVENT_TYPES, STAGES, Event, Scoring
from core.psg.store import PreparedStudy

TEXT, NUMBER, INTEGER, FLAG = "text", "number", "integer", "flag"

EVENT_GROUPS: Mapping[str, tuple[str, ...]] = {
    **{kind: (kind,) for kind in EVENT_TYPES},
    "apnea": ("obstructive_apnea", "central_apnea", "mixed_apnea"),
    "respiratory_event": ("obstructive_apnea", "central_apnea", "mixed_apnea", "hypopnea", "rera"),
    "event": tuple(kind for kind in EVENT_TYPES if kind != "limb_movement"),
}
"""What a question may call an event, and the types that it then means; a flag of a group is known where one is."""

DERIVED = ("delta", "theta", "alpha", "sigma", "beta", "eye_slow", "eye_rapid", "breath_rate", "irregularity")
"""Quantities of `core.language.thresholds.quantities` that stand in the table beside the measurements."""

NIGHT_FIGURES = (
    *("total_sleep_time", "sleep_efficiency", "sleep_latency", "rem_latency", "wake_after_sleep_onset"),
    *("ahi", "ahi3", "ahi4", "ahi_rem", "ahi_nrem", "rei", "odi3", "odi4", "arousal_index", "limb_movement_index"),
    "below_90",
)
"""Figures of the night (see `core.language.night.NightStatistics`) that every epoch of it carries."""


def _columns() -> dict[str, str]:
    measured = [name for name in MEASUREMENTS if name != "position"]
    return {
        **{"study": TEXT, "epoch": INTEGER, "onset": NUMBER, "until_end": NUMBER, "night_fraction": NUMBER},
        **{"since_sleep": NUMBER},
        **{"clock": TEXT, "stage": TEXT, "stage_probability": NUMBER},
        **{f"p_{stage}": NUMBER for stage in STAGES},
        **{"position": TEXT},
        **dict.fromkeys((*measured, *DERIVED), NUMBER),
        **{f"{channel.name.lower()}_state": TEXT for channel in CHANNELS},
        **{f"has_{kind}": FLAG for kind in EVENT_GROUPS},
        **{f"{kind}_{what}": NUMBER for kind in EVENT_GROUPS for what in ("seconds", "longest", "confidence")},
        **{f"{kind}_{what}": INTEGER for kind in EVENT_GROUPS for what in ("count", "starts")},
        **dict.fromkeys(NIGHT_FIGURES, NUMBER),
        **{f"caption_{domain}": TEXT for domain in DOMAINS},
        **{"words": TEXT, "events": TEXT},
    }


COLUMNS: Mapping[str, str] = _columns()
"""Every column of an epoch's row but the embedding, and the kind of its values.

`clock` is `HH:MM:SS` at the epoch's start; `until_end` the seconds from there to the end of the recording;
`night_fraction` the epoch's place in the recording, 0 to 1; `since_sleep` the seconds from the first epoch of sleep,
negative before it. Of each kind of event: whether one touches the epoch, the seconds of it inside, the whole duration
of the longest, the confidence of the surest, how many touch the epoch and how many begin in it; null where nobody
looked for that kind. `words` are the words that full-text search knows, `events` the events as JSON.
"""


@dataclass(frozen=True)
class StudyTable:
    """What a search needs of a study; its signals are let go."""

    study: str
    """Name."""
    columns: Mapping[str, Sequence[Any]]
    """Values of `COLUMNS`, one an epoch; None where not known."""
    embeddings: NDArray[np.float32]
    """[N, D], L2-normalised."""
    night: Mapping[str, Any]
    """The night's row: duration, lights, where stages and events come from, the summary as JSON."""

    @property
    def n_epochs(self) -> int:
        """Number of rows."""
        return len(self.embeddings)


def table_of_study(
    study: PreparedStudy,
    engine: Engine,
    options: NightOptions | None = None,
    progress: Callable[[int], object] | None = None,
) -> StudyTable:
    """Embed, stage, measure and caption one study, and give it as rows."""
    return table_of_night(study, read_night(study, engine, options or NightOptions(), progress))


def table_of_night(study: PreparedStudy, night: Night) -> StudyTable:
    """Give a night that is read already as rows.

    Raises
    ------
    ModelError
        The night was captioned without a model, so it has no embeddings.
    """
    if night.embeddings is None:
        raise ModelError(f"{study.study} was captioned without a model, so it cannot be searched.", "Name a --model.")
    summary = night_summary(study, night.staging, night)
    columns: dict[str, Sequence[Any]] = {
        **_place_columns(study),
        **_stage_columns(night),
        **_measured_columns(night),
        **_state_columns(study),
        **_event_columns(night, study.n_epochs),
        **{name: [_short(summary["statistics"].get(name))] * study.n_epochs for name in NIGHT_FIGURES},
        **_text_columns(study, night),
    }
    return StudyTable(study.study, {name: columns[name] for name in COLUMNS}, night.embeddings, _night_row(summary))


def _short(figure: float | None) -> float | None:
    """A figure of the night with as many digits as the table's columns keep."""
    return None if figure is None else round(float(figure), 2)


def _night_row(summary: Mapping[str, Any]) -> dict[str, Any]:
    statistics = summary["statistics"]
    return {
        "study": summary["study"],
        "epochs": summary["epochs"],
        "start": summary["start"],
        "duration": summary["duration"],
        "lights_known": bool(statistics["lights_known"]),
        "time_in_bed": statistics["time_in_bed"],
        "stages_from": summary["stages_from"],
        "events_from": summary["events_from"],
        **{name: statistics.get(name) for name in NIGHT_FIGURES},
        "summary": json.dumps(finite(summary), ensure_ascii=False, allow_nan=False),
    }


def _place_columns(study: PreparedStudy) -> dict[str, Sequence[Any]]:
    count = study.n_epochs
    onsets = [epoch * float(EPOCH_SECONDS) for epoch in range(count)]
    length = count * float(EPOCH_SECONDS)
    return {
        "study": [study.study] * count,
        "epoch": list(range(count)),
        "onset": onsets,
        "until_end": [length - onset for onset in onsets],
        "night_fraction": [round(onset / length, 5) for onset in onsets],
        "clock": [_clock(study.start, onset) for onset in onsets],
    }


def _clock(start: datetime | None, onset: float) -> str | None:
    return None if start is None else f"{start + timedelta(seconds=onset):%H:%M:%S}"


def _stage_columns(night: Night) -> dict[str, Sequence[Any]]:
    staging = night.staging
    known = staging.probabilities
    chances = np.full((len(staging.stages), len(STAGES)), np.nan) if known is None else known
    columns: dict[str, Sequence[Any]] = {f"p_{stage}": _numbers(chances[:, k]) for k, stage in enumerate(STAGES)}
    best = [max((p for p in row if np.isfinite(p)), default=np.nan) for row in chances]
    asleep = next((epoch for epoch, stage in enumerate(staging.stages) if stage in STAGES[1:]), None)
    columns["since_sleep"] = [None if asleep is None else (n - asleep) * float(EPOCH_SECONDS) for n in range(len(best))]
    return {"stage": list(staging.stages), "stage_probability": _numbers(np.array(best)), **columns}


def _numbers(column: NDArray[np.floating]) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in column]


def _measured_columns(night: Night) -> dict[str, Sequence[Any]]:
    """The measurements as captions print them; what captions keep silent about is null."""
    values = sayable_columns(night.measurements.values, night.staging.stages)
    count = len(night.staging.stages)
    rows = [
        {name: printed(name, float(column[epoch])) for name, column in values.items() if np.isfinite(column[epoch])}
        for epoch in range(count)
    ]
    derived = [quantities(row) for row in rows]
    columns: dict[str, Sequence[Any]] = {
        name: [row.get(name) for row in rows] for name in MEASUREMENTS if name != "position"
    }
    for name in DERIVED:
        columns[name] = [round(row[name], 3) if name in row else None for row in derived]
    columns["position"] = [POSITIONS[int(row["position"])] if "position" in row else None for row in rows]
    return columns


def _state_columns(study: PreparedStudy) -> dict[str, Sequence[Any]]:
    names = {int(state): state.name.lower() for state in State}
    return {
        f"{channel.name.lower()}_state": [names[int(code)] for code in study.states[:, column]]
        for column, channel in enumerate(CHANNELS)
    }


def _event_columns(night: Night, count: int) -> dict[str, Sequence[Any]]:
    touching = list(_touching(night.events, count))
    columns: dict[str, list[Any]] = {}
    for group, kinds in EVENT_GROUPS.items():
        looked_for = any(kind in night.found_by for kind in kinds)
        whats = ("has", "seconds", "longest", "confidence", "count", "starts")
        made: dict[str, list[Any]] = {what: [None] * count for what in whats}
        for epoch in range(count) if looked_for else ():
            here = [(event, part) for event, part in touching[epoch] if event.type in kinds]
            made["has"][epoch] = bool(here)
            made["seconds"][epoch] = round(sum(part.duration for _, part in here), 1)
            made["longest"][epoch] = round(max((event.duration for event, _ in here), default=0.0), 1)
            made["confidence"][epoch] = _surest(event for event, _ in here)
            made["count"][epoch] = len(here)
            made["starts"][epoch] = sum(event.onset // EPOCH_SECONDS == epoch for event, _ in here)
        columns[f"has_{group}"] = made.pop("has")
        columns |= {f"{group}_{what}": values for what, values in made.items()}
    rows = [[event_row(event) for event, _ in here] for here in touching]
    columns["events"] = [json.dumps(row) for row in rows]
    return dict(columns)


def _surest(events: Iterable[Event]) -> float | None:
    """The highest confidence; None where none is known, as of events that a person scored."""
    sure = max((event.confidence for event in events if event.confidence is not None), default=None)
    return None if sure is None else round(sure, 3)


def _touching(events: Sequence[Event], count: int) -> Iterator[list[tuple[Event, Event]]]:
    """Events of each epoch: whole, and the part inside."""
    found: list[list[tuple[Event, Event]]] = [[] for _ in range(count)]
    for event in events:
        first = max(int(event.onset // EPOCH_SECONDS), 0)
        last = min(int((event.onset + event.duration) // EPOCH_SECONDS), count - 1)
        for epoch in range(first, last + 1):
            part = clip_to_epoch(event, epoch)
            if part is not None:
                found[epoch].append((event, part))
    return iter(found)


def _text_columns(study: PreparedStudy, night: Night) -> dict[str, Sequence[Any]]:
    columns: dict[str, list[Any]] = {f"caption_{domain}": [None] * study.n_epochs for domain in DOMAINS}
    for row in caption_rows(study, night):
        for domain, text in row.captions.items():
            columns[f"caption_{domain}"][row.epoch] = text
    measured = replace(night.measurements, events=())  # they stand in the night's events
    settled = Scoring(night.staging.stages, night.events)
    sites = shown_names(study.channel_map)
    facts = (epoch_facts(epoch, measured, study.states, settled, sites) for epoch in range(study.n_epochs))
    return {**columns, "words": [words_of(fact) for fact in facts]}
