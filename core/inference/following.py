"""Captions of a recording that is still being written: each epoch from the past alone, once, as soon as it is whole."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from core.inference.captioning import EpochCaption, caption_rows
from core.inference.engine import Engine
from core.inference.night import NightOptions, measured_night, read_night
from core.language.facts import DOMAINS
from core.language.measure import EpochMeasurements, measure
from core.psg.alternatives import load_living
from core.psg.mapping import map_recording
from core.psg.montage import Montage
from core.psg.preprocess import EPOCH_SECONDS, prepare
from core.psg.recording import Recording
from core.psg.scoring import Event
from core.psg.store import PreparedStudy
from core.psg.stretch import stretch

SCALE_EPOCHS = 40
"""Epochs up to the present that set the scale of the signals and the usual level of each channel: 20 minutes."""
READ_EPOCHS = 10
"""Epochs up to the present that are measured and read, so that events and stages have their past: 5 minutes."""
PROVISIONAL = (
    *("stage", "stage_probabilities", "events", "channels"),
    *("abdominal_rate", "abdominal_variability", "thoracic_rate", "thoracic_variability"),
    *("airflow_rate", "airflow_variability", "airflow_amplitude", "flow_flatness", "effort_phase"),
    *("spindle_count", "spindle_frequency", "spindle_duration", "rmssd", "chin_tone"),
    *("slow_wave_count", "slow_wave_amplitude"),
    *("beat_rate", "heart_rate_min", "heart_rate_mean", "heart_rate_max"),
)
"""What the rest of the night may still change: what its neighbours weigh; beats, breaths, waves and events that go on;
what is told against the night's usual level. The other measurements are final."""


@dataclass(frozen=True)
class FollowOptions:
    """Wishes of a caller."""

    domains: tuple[str, ...] = DOMAINS
    """Domains to caption."""
    montage: Montage | None = None
    """Channel assignments that go before the resolver's own."""


def follow(
    recordings: Iterable[Recording], engine: Engine | None, options: FollowOptions | None = None
) -> Iterator[tuple[EpochCaption, tuple[str, ...]]]:
    """Caption the epochs of a recording as they become whole.

    Parameters
    ----------
    recordings
        The same recording, longer each time; see `core.psg.growing.growing`.
    engine
        The model; None writes from the measurements alone.
    options
        Domains and montage.

    Yields
    ------
    tuple of EpochCaption and tuple of str
        An epoch, in order and once, and repairs that were not told before. It depends on the signals up to its own
        end alone: when the file was looked at changes nothing. See `PROVISIONAL`.
    """
    options = options or FollowOptions()
    epoch = 0
    told: set[str] = set()
    for recording in recordings:
        while (epoch + 1) * EPOCH_SECONDS <= recording.duration + 1e-3:
            caption, repairs = caption_epoch(recording, epoch, engine, options)
            new = tuple(repair for repair in dict.fromkeys(repairs) if repair not in told)
            told.update(new)
            yield caption, new
            epoch += 1


def caption_epoch(
    recording: Recording, epoch: int, engine: Engine | None, options: FollowOptions
) -> tuple[EpochCaption, tuple[str, ...]]:
    """Caption one epoch from its past; returns it and the repairs of its signals.

    Raises
    ------
    StudyError
        The recording has none of the channels.
    """
    first = max(0, epoch + 1 - SCALE_EPOCHS)
    past = stretch(recording, first * EPOCH_SECONDS, (epoch + 1 - first) * EPOCH_SECONDS)
    channel_map, traces = load_living(past, map_recording(past, options.montage, look_beside=False))
    whole = prepare(past, channel_map, traces)
    measured = measure(traces, whole.states, whole.n_epochs)
    study = _last(whole, measured, min(READ_EPOCHS, whole.n_epochs))
    study = replace(study, source_hash=f"{study.source_hash}:{epoch}")
    wishes = NightOptions(options.domains, use_scoring=False)
    night = measured_night(study, wishes) if engine is None else read_night(study, engine, wishes)
    *_, row = caption_rows(study, night)
    shift = (epoch - row.epoch) * float(EPOCH_SECONDS)
    events = tuple(_moved(event, shift) for event in row.events)
    return replace(row, epoch=epoch, onset=epoch * float(EPOCH_SECONDS), events=events), study.repairs


def _last(study: PreparedStudy, measured: EpochMeasurements, count: int) -> PreparedStudy:
    """Keep the last epochs of a study, with what was measured on them."""
    first = study.n_epochs - count
    onset = first * float(EPOCH_SECONDS)
    depths = measured.depths or (float("nan"),) * len(measured.events)
    kept = [pair for pair in zip(measured.events, depths, strict=True) if pair[0].onset + pair[0].duration > onset]
    tables, notes = EpochMeasurements(
        values={name: column[first:] for name, column in measured.values.items()},
        trends=measured.trends[first:],
        events=tuple(_moved(event, -onset) for event, _ in kept),
        depths=tuple(depth for _, depth in kept),
        below_90=None if measured.below_90 is None else measured.below_90[first:],
        reductions=tuple(_moved(one, -onset) for one in measured.reductions if one.onset + one.duration > onset),
        rapid_eyes=None if measured.rapid_eyes is None else measured.rapid_eyes[first:],
    ).to_tables()
    return replace(
        study,
        signals=np.ascontiguousarray(study.signals[first:]),
        extras={name: np.ascontiguousarray(values[first:]) for name, values in study.extras.items()},
        states=study.states[first:],
        further_states={name: values[first:] for name, values in study.further_states.items()},
        tables=tables,
        notes=notes,
    )


def _moved(event: Event, shift: float) -> Event:
    return replace(event, onset=event.onset + shift)
