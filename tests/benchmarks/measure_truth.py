"""Measurements against simulated truth: prints the table of how often each is right.

    python tests/benchmarks/measure_truth.py [--count 20] [--hours 8] [--seed 1]

A clean epoch is one that no simulated artefact touches. Events match one to one when they share a fifth of their union
(Warby et al. 2014); beats when they are within 50 ms, where no artefact touches the ECG.
"""

import argparse
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.language.measure import EpochMeasurements, measure
from core.language.measure_cardiac import detect_beats
from core.language.measure_eeg import detect_spindles
from core.language.respiratory_events import respiratory_events
from core.psg.preprocess import EPOCH_SECONDS, Trace
from core.psg.quality import assess
from core.psg.scoring import Event
from core.psg.simulate.night import NightOptions, SimulatedNight, simulate_night

Spans = NDArray[np.float64]  # (events, 2): onset and end in seconds


def spans(events: Sequence[object], kinds: tuple[str, ...] = ()) -> Spans:
    rows = [(e.onset, e.onset + e.duration) for e in events if not kinds or e.type in kinds]  # type: ignore[attr-defined]
    return np.array(rows, dtype=np.float64).reshape(-1, 2)


def matches(truth: Spans, found: Spans, overlap: float = 0.2) -> int:
    """Count events that match one to one, in order of time."""
    count, first = 0, 0
    for onset, end in truth:
        while first < len(found) and found[first, 1] < onset:
            first += 1
        for place in range(first, len(found)):
            if found[place, 0] > end:
                break
            common = min(end, found[place, 1]) - max(onset, found[place, 0])
            whole = max(end, found[place, 1]) - min(onset, found[place, 0])
            if common >= overlap * whole:
                count, first = count + 1, place + 1
                break
    return count


def f1(truth: Spans, found: Spans) -> tuple[int, int, int]:
    return matches(truth, found), len(truth), len(found)


def outside(times: NDArray[np.float64], spoiled: Spans) -> NDArray[np.bool_]:
    inside = ((times[:, None] >= spoiled[:, 0] - 2) & (times[:, None] <= spoiled[:, 1] + 2)).any(axis=1)
    return ~inside


def errors(night: SimulatedNight, measured: EpochMeasurements) -> dict[str, NDArray[np.float64]]:
    """Measured minus true value of every clean epoch, NaN where nothing was measured."""
    epochs = night.truth.epochs
    clean = np.array([epoch.clean for epoch in epochs])
    truth = {
        "beat_rate": "heart_rate",
        "heart_rate_mean": "heart_rate",
        "airflow_rate": "breath_rate",
        "thoracic_rate": "breath_rate",
        "abdominal_rate": "breath_rate",
        "spo2_mean": "spo2_mean",
        "spo2_min": "spo2_min",
        "position": "position",
    }
    return {
        name: (measured.values[name] - np.array([getattr(epoch, key) for epoch in epochs]))[clean]
        for name, key in truth.items()
    }


def events(
    night: SimulatedNight, traces: dict[str, Trace], measured: EpochMeasurements
) -> dict[str, tuple[int, int, int]]:
    states = assess(traces, len(night.truth.epochs))
    spoiled = spans([a for a in night.truth.artefacts if not a.channels or "ECG" in a.channels])
    true_beats, found_beats = night.truth.beats, detect_beats(traces["ECG"])
    true_beats, found_beats = true_beats[outside(true_beats, spoiled)], found_beats[outside(found_beats, spoiled)]
    near = lambda beats: np.stack([beats - 0.025, beats + 0.025], axis=1)  # noqa: E731
    spindles = detect_spindles(traces, states, len(states))
    found = np.stack([spindles.onsets, spindles.onsets + spindles.durations], axis=1)
    breathing = respiratory_events(traces, states)
    apneas = ("obstructive_apnea", "central_apnea", "mixed_apnea")
    kinds = {
        "beats": (matches(near(true_beats), near(found_beats), 1e-9), len(true_beats), len(found_beats)),
        "spindles": f1(spans(night.truth.spindles), found),
        "desaturations": f1(spans(night.truth.events, ("desaturation",)), spans(measured.events)),
        "apneas": f1(spans(night.truth.events, apneas), spans(breathing, apneas)),
        "apneas and hypopneas": f1(
            spans(night.truth.events, (*apneas, "hypopnea")), spans(breathing, (*apneas, "hypopnea"))
        ),
    }
    arousals = [Event("arousal", e.onset, e.duration) for e in night.truth.events if e.type == "arousal"]
    confirmed = respiratory_events(traces, states, arousals)
    kinds["both, given arousals"] = f1(spans(night.truth.events, (*apneas, "hypopnea")), spans(confirmed))
    for kind in (*apneas, "hypopnea"):
        kinds[kind] = f1(spans(night.truth.events, (kind,)), spans(breathing, (kind,)))
    return kinds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--hours", type=float, default=8.0)
    parser.add_argument("--seed", type=int, default=1)
    wish = parser.parse_args()
    all_errors: dict[str, list[NDArray[np.float64]]] = {}
    all_events: dict[str, list[tuple[int, int, int]]] = {}
    seconds = []
    for seed in range(wish.seed, wish.seed + wish.count):
        night = simulate_night(seed, NightOptions(hours=wish.hours))
        traces = {name: Trace(name, samples, rate) for name, (samples, rate, _) in night.signals.items()}
        n_epochs = len(night.truth.epochs)
        assert n_epochs == int(wish.hours * 3600 // EPOCH_SECONDS)
        states = assess(traces, n_epochs)
        start = time.process_time()
        measured = measure(traces, states, n_epochs)
        seconds.append(time.process_time() - start)
        for name, values in errors(night, measured).items():
            all_errors.setdefault(name, []).append(values)
        for name, counts in events(night, traces, measured).items():
            all_events.setdefault(name, []).append(counts)
    limits = {"rate": 0.5, "beat_rate": 1.0, "heart_rate_mean": 1.0}
    print(f"{wish.count} nights of {wish.hours:g} h, {np.mean(seconds):.1f} CPU-s a night to measure")
    print("measurement          told %  within  share %  median|error|  worst night's share %")
    for name, parts in all_errors.items():
        limit = limits.get(name, 0.5)
        joined = np.concatenate(parts)
        told = np.isfinite(joined)
        right = [np.mean(np.abs(part[np.isfinite(part)]) <= limit) for part in parts if np.isfinite(part).any()]
        share = np.mean(np.abs(joined[told]) <= limit)
        print(
            f"{name:20s} {100 * told.mean():6.1f}  {limit:6.1f}  {100 * share:7.1f}"
            f"  {np.median(np.abs(joined[told])):13.2f}  {100 * min(right):10.1f}"
        )
    print("events                  F1  recall  precision    true   found")
    for name, rows in all_events.items():
        hit, true, found = np.sum(rows, axis=0)
        print(
            f"{name:20s} {2 * hit / max(true + found, 1):6.3f}  {hit / max(true, 1):6.3f}"
            f"  {hit / max(found, 1):9.3f}  {true:6d}  {found:6d}"
        )


if __name__ == "__main__":
    main()
