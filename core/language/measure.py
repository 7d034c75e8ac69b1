"""Facts of each epoch, measured on its signals."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.language.measurements import MEASUREMENTS, Measurement
from core.language.trends import Trend
from core.psg.preprocess import Trace
from core.psg.scoring import EVENT_TYPES, Event

__all__ = ["MEASUREMENTS", "EpochMeasurements", "Measurement", "Trend", "measure"]

AT_ONCE = 2  # channels measured at a time; each takes memory for several copies of a signal
_QUANTITIES = ("heart_rate", "spo2")
_DIRECTIONS = ("decreasing", "stable", "increasing")


@dataclass(frozen=True)
class EpochMeasurements:
    """What was measured in every epoch of a study."""

    values: dict[str, NDArray[np.float32]]
    """Measurement name to values, shape (epochs,); NaN where it is missing or not reliable."""
    trends: tuple[tuple[Trend, ...], ...]
    """One tuple an epoch: heart rate first, then saturation, each in order of time."""
    events: tuple[Event, ...]
    """Events that were measured by rule (desaturations, apneas, hypopneas, limb movements), in order of onset."""
    depths: tuple[float, ...] = ()
    """Points that the saturation falls in each event, NaN for an apnea or hypopnea; as long as ``events``."""
    below_90: NDArray[np.float32] | None = None
    """Shape (epochs,), seconds with a saturation below 90 %; None when it was not measured."""
    reductions: tuple[Event, ...] = ()
    """Reductions of breathing that no desaturation follows: hypopneas where an arousal ends them."""
    legs: NDArray[np.bool_] | None = None
    """Shape (epochs,), whether limb movements could be measured; None without a leg EMG."""
    rapid_eyes: NDArray[np.float32] | None = None
    """Shape (epochs,), rapid deflections of both EOGs in opposite directions: the rapid eye movements of stage R; NaN
    where they could not be counted, None where nobody counted them."""

    @property
    def n_epochs(self) -> int:
        """Number of epochs."""
        return len(self.trends)

    def to_tables(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Give the measurements as plain arrays and JSON values, for a prepared study.

        Returns
        -------
        tuple[dict[str, NDArray[Any]], dict[str, Any]]
            ``measured_values`` float32 (names, epochs), ``measured_trends`` float64 (trends, 5: epoch, quantity,
            direction, start, end), ``measured_events`` and ``measured_reductions`` float64 (events, 4: type, onset,
            duration, confidence); and the notes that name the codes.
        """
        names = list(self.values)
        trends = [
            (epoch, _QUANTITIES.index(trend.quantity), _DIRECTIONS.index(trend.direction), trend.start, trend.end)
            for epoch, row in enumerate(self.trends)
            for trend in row
        ]
        tables: dict[str, NDArray[Any]] = {
            "measured_values": np.array([self.values[name] for name in names], dtype=np.float32).reshape(
                len(names), self.n_epochs
            ),
            "measured_trends": np.array(trends, dtype=np.float64).reshape(-1, 5),
            "measured_events": _event_table(self.events),
            "measured_reductions": _event_table(self.reductions),
        }
        tables["measured_depths"] = np.array(self.depths, dtype=np.float64)
        if self.below_90 is not None:
            tables["measured_below_90"] = self.below_90.astype(np.float32)
        if self.legs is not None:
            tables["measured_legs"] = self.legs
        if self.rapid_eyes is not None:
            tables["measured_rapid_eyes"] = self.rapid_eyes.astype(np.float32)
        return tables, {
            "measured_names": names,
            "measured_quantities": list(_QUANTITIES),
            "measured_directions": list(_DIRECTIONS),
            "measured_event_types": list(EVENT_TYPES),
        }

    @classmethod
    def from_tables(cls, tables: Mapping[str, NDArray[Any]], notes: Mapping[str, Any]) -> "EpochMeasurements":
        """Take the measurements out of what :meth:`to_tables` gave.

        Parameters
        ----------
        tables, notes
            As returned by :meth:`to_tables`; other entries are left alone.

        Returns
        -------
        EpochMeasurements
            Equal to the one that was stored.

        Raises
        ------
        KeyError
            If a table or note is absent: the study was prepared without measurements.
        """
        table = np.asarray(tables["measured_values"], dtype=np.float32)
        rows: list[list[Trend]] = [[] for _ in range(table.shape[1])]
        for epoch, quantity, direction, start, end in np.asarray(tables["measured_trends"]).tolist():
            rows[int(epoch)].append(
                Trend(
                    notes["measured_quantities"][int(quantity)],
                    notes["measured_directions"][int(direction)],
                    start,
                    end,
                )
            )
        kinds = notes["measured_event_types"]
        values = {name: table[row] for row, name in enumerate(notes["measured_names"])}
        below_90, legs = tables.get("measured_below_90"), tables.get("measured_legs")
        rapid = tables.get("measured_rapid_eyes")
        return cls(
            values=values,
            trends=tuple(tuple(row) for row in rows),
            events=_events_of(tables["measured_events"], kinds),
            depths=tuple(np.asarray(tables.get("measured_depths", ())).tolist()),
            below_90=None if below_90 is None else np.asarray(below_90, dtype=np.float32),
            reductions=_events_of(tables.get("measured_reductions", ()), kinds),
            legs=None if legs is None else np.asarray(legs, dtype=np.bool_),
            rapid_eyes=None if rapid is None else np.asarray(rapid, dtype=np.float32),
        )


def _event_table(events: Sequence[Event]) -> NDArray[np.float64]:
    """Type, onset, duration and confidence, a row an event."""
    rows = [
        (
            EVENT_TYPES.index(event.type),
            event.onset,
            event.duration,
            np.nan if event.confidence is None else event.confidence,
        )
        for event in events
    ]
    return np.array(rows, dtype=np.float64).reshape(-1, 4)


def _events_of(table: ArrayLike, kinds: Sequence[str]) -> tuple[Event, ...]:
    return tuple(
        Event(kinds[int(kind)], onset, duration, None if np.isnan(confidence) else confidence)
        for kind, onset, duration, confidence in np.asarray(table).tolist()
    )


def get_ready() -> None:
    """Bring what measuring needs, scipy and the heartbeat detector: a second that a study may be read in meanwhile."""
    for name in ("measure_breathing", "measure_cardiac", "measure_eeg", "respiratory_events"):
        import_module(f"core.language.{name}")


def measure(traces: Mapping[str, Trace], states: NDArray[np.uint8], n_epochs: int) -> EpochMeasurements:
    """Measure every epoch of a study.

    Parameters
    ----------
    traces
        Channel name to trace, at native rates and in canonical units; a z-scored trace gives rates and relative
        powers, and NaN for what needs its unit.
    states
        Shape (epochs, channels), :class:`core.psg.quality.State` codes in the order of ``CHANNELS``; a channel in
        a state that forbids measuring (missing, flat, gap, detached, artefact) gives NaN.
    n_epochs
        Number of 30-s epochs.

    Returns
    -------
    EpochMeasurements
        Every name of ``MEASUREMENTS``, desaturations of 3 %, apneas and hypopneas where airflow shows them, and limb
        movements where a leg's EMG does.
    """
    # here, not above: see `get_ready`; a start that measures nothing does without
    from core.language.measure_breathing import measure_breathing
    from core.language.measure_cardiac import measure_cardiac
    from core.language.measure_eeg import measure_eeg
    from core.language.measure_eye import measure_eye
    from core.language.measure_limbs import LEGS, measure_limbs
    from core.language.measure_muscle import measure_chin, measure_position
    from core.language.measure_oxygen import measure_oxygen
    from core.language.measure_pulse import with_pulse
    from core.language.respiratory_events import breathing_events

    given = (traces, states, n_epochs)
    with ThreadPoolExecutor(AT_ONCE, "measuring") as pool:
        heart, looking = pool.submit(measure_cardiac, *given), pool.submit(measure_eye, *given)
        others = [pool.submit(work, *given) for work in (measure_eeg, measure_breathing, measure_chin)]
        oxygen = measure_oxygen(*given)
        cardiac, eyes = with_pulse(heart.result(), traces, n_epochs), looking.result()
        measured = {**cardiac.values, **eyes.values, **oxygen.values, "position": measure_position(*given)}
        for other in others:
            measured |= other.result()
    breathing = breathing_events(traces, states)
    limbs = measure_limbs(traces, n_epochs, breathing.events) if any(name in traces for name in LEGS) else None
    moved = () if limbs is None else limbs.events
    depths = dict(zip(oxygen.events, oxygen.depths, strict=True))
    events = sorted((*oxygen.events, *breathing.events, *moved), key=lambda event: (event.onset, event.type))
    return EpochMeasurements(
        values={name: measured[name].astype(np.float32) for name in MEASUREMENTS},
        trends=tuple((*heart, *blood) for heart, blood in zip(cardiac.trends, oxygen.trends, strict=True)),
        events=tuple(events),
        depths=tuple(depths.get(event, float("nan")) for event in events),
        below_90=oxygen.below_90.astype(np.float32),
        reductions=breathing.reductions,
        legs=None if limbs is None else limbs.followed,
        rapid_eyes=eyes.rapid,
    )
