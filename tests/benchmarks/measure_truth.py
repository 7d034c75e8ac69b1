"""Measurements against simulated truth: prints how often each is right, and whether the goals are met.

    python tests/benchmarks/measure_truth.py [--count 20] [--hours 8] [--seed 1]

A clean epoch is one that no simulated artefact touches. Spindles and desaturations match one to one when they share a
fifth of their union (Warby et al. 2014), breathing events three tenths of it; beats when they are within 50 ms, where
no artefact touches the ECG. Breathing events of wake are left out, as in a night's statistics. Every night is
measured again with every channel missing, flat, and detached: nothing may be told then.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this checkout, wherever it is called from

from core.language.epochs import sampled
from core.language.measure import EpochMeasurements, measure
from core.language.measure_cardiac import detect_beats
from core.language.measure_eeg import detect_spindles
from core.language.measure_eye import EOG_RATE, EYES, rapid_eye_movements
from core.language.respiratory_events import respiratory_events
from core.language.settled import RESPIRATORY, measured_beside
from core.psg.preprocess import EPOCH_SECONDS, Trace
from core.psg.quality import assess
from core.psg.scoring import Event
from core.psg.simulate.artefacts import ELECTRODES, spoil
from core.psg.simulate.lab import draw_lab
from core.psg.simulate.night import NightOptions, SimulatedNight, simulate_night
from core.psg.simulate.truth import Span

Spans = NDArray[np.float64]  # (events, 2): onset and end in seconds
Counts = tuple[int, int, int]  # matched, true, found

TRUE_NAMES = {
    "beat_rate": "heart_rate",
    "heart_rate_mean": "heart_rate",
    "airflow_rate": "breath_rate",
    "thoracic_rate": "breath_rate",
    "abdominal_rate": "breath_rate",
    "spo2_mean": "spo2_mean",
    "spo2_min": "spo2_min",
    "position": "position",
}
LIMITS = {"beat_rate": 1.0, "heart_rate_mean": 1.0}  # within which a measurement is right; 0.5 for the others
SHARE_GOALS = dict.fromkeys(("beat_rate", "heart_rate_mean", "airflow_rate", "thoracic_rate", "abdominal_rate"), 95.0)
SHARE_GOALS["spo2_mean"] = 95.0
F1_GOALS = {"beats": 0.99, "spindles": 0.6, "desaturations": 0.9}
APNEAS = RESPIRATORY[:3]
DETACHED = {"a third": 1 / 3, "half": 0.5, "all night": 1.0}


def spans(events: Sequence[object], kinds: tuple[str, ...] = ()) -> Spans:
    rows = [(e.onset, e.onset + e.duration) for e in events if not kinds or e.type in kinds]  # type: ignore[attr-defined]
    return np.array(rows, dtype=np.float64).reshape(-1, 2)


def matches(truth: Spans, found: Spans, overlap: float) -> int:
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


def counts(truth: Spans, found: Spans, overlap: float = 0.2) -> Counts:
    return matches(truth, found, overlap), len(truth), len(found)


def outside(times: NDArray[np.float64], spoiled: Spans) -> NDArray[np.bool_]:
    inside = ((times[:, None] >= spoiled[:, 0] - 2) & (times[:, None] <= spoiled[:, 1] + 2)).any(axis=1)
    return ~inside


def errors(night: SimulatedNight, measured: EpochMeasurements) -> dict[str, NDArray[np.float64]]:
    """Measured minus true value of every clean epoch, NaN where nothing was measured."""
    epochs = night.truth.epochs
    clean = np.array([epoch.clean for epoch in epochs])
    return {
        name: (measured.values[name] - np.array([getattr(epoch, key) for epoch in epochs]))[clean]
        for name, key in TRUE_NAMES.items()
    }


def found_events(
    night: SimulatedNight, traces: dict[str, Trace], measured: EpochMeasurements
) -> tuple[dict[str, Counts], tuple[float, float]]:
    """Matches by kind of event, and the true and the measured apnea-hypopnea index."""
    states = assess(traces, len(night.truth.epochs))
    spoiled = spans([a for a in night.truth.artefacts if not a.channels or "ECG" in a.channels])
    true_beats, found_beats = night.truth.beats, detect_beats(traces["ECG"])
    true_beats, found_beats = true_beats[outside(true_beats, spoiled)], found_beats[outside(found_beats, spoiled)]
    spindles = detect_spindles(traces, states, len(states))
    stages = [epoch.stage for epoch in night.truth.epochs]
    true_looks, found_looks = rapid_eyes(night, traces, states)
    arousals = [Event("arousal", e.onset, e.duration) for e in night.truth.events if e.type == "arousal"]
    breathing = measured_beside((), measured.events, stages)
    confirmed = measured_beside((), respiratory_events(traces, states, arousals), stages)
    kinds = {
        "beats": counts(near(true_beats, 0.05), near(found_beats, 0.05), 1e-9),
        "rapid eye movements": counts(near(true_looks, 0.3), near(found_looks, 0.3), 1e-9),
        "spindles": counts(
            spans(night.truth.spindles), np.stack([spindles.onsets, spindles.onsets + spindles.durations], axis=1)
        ),
        "desaturations": counts(
            spans(night.truth.events, ("desaturation",)), spans(measured.events, ("desaturation",))
        ),
        "apneas": counts(spans(night.truth.events, APNEAS), spans(breathing, APNEAS), 0.3),
        "apneas and hypopneas": counts(spans(night.truth.events, RESPIRATORY), spans(breathing, RESPIRATORY), 0.3),
        "both, given arousals": counts(spans(night.truth.events, RESPIRATORY), spans(confirmed, RESPIRATORY), 0.3),
    }
    for kind in RESPIRATORY:
        kinds[kind] = counts(spans(night.truth.events, (kind,)), spans(breathing, (kind,)), 0.3)
    hours = sum(stage != "W" for stage in stages) * EPOCH_SECONDS / 3600
    rates = [len(spans(list(events), RESPIRATORY)) / hours for events in (night.truth.events, breathing)]
    return kinds, (rates[0], rates[1])


def near(times: NDArray[np.float64], apart: float) -> Spans:
    """Spans about moments that overlap where the moments are less than so many seconds apart."""
    return np.stack([times - apart / 2, times + apart / 2], axis=1)


def rapid_eyes(
    night: SimulatedNight, traces: dict[str, Trace], states: NDArray[np.uint8]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Middles of the true and the found rapid eye movements in clean epochs of R."""
    epochs = night.truth.epochs
    counted = np.array([epoch.clean and epoch.stage == "R" for epoch in epochs])
    left, right = (sampled(traces, states, name, EOG_RATE, len(epochs)) for name in EYES.values())
    found = rapid_eye_movements(left, right) if left is not None and right is not None else np.empty(0)
    true = [e.onset + e.duration / 2 for e in night.truth.eye_movements if e.type == "rapid_eye_movement"]
    inside = lambda times: counted[np.minimum((times // EPOCH_SECONDS).astype(int), len(epochs) - 1)]  # noqa: E731
    return np.array(true)[inside(np.array(true))], found[inside(found)]


def told_on_dead_channels(night: SimulatedNight) -> dict[str, int]:
    """Count the values, trends and events that are told where every channel is missing, flat, or (electrodes) detached.

    Detached electrodes are drawn by the simulator: over the last third of the night, its last half, and all of it. The
    position is left out: one that never changes is one.
    """
    n_epochs = len(night.truth.epochs)
    flat = {
        name: Trace(name, np.full(len(samples), samples[0], np.float32), rate)
        for name, (samples, rate, _) in night.signals.items()
        if name != "POS"
    }
    told = {"missing": told_from({}, n_epochs, 0), "flat": told_from(flat, n_epochs, 0)}
    for words, share in DETACHED.items():
        first = n_epochs - round(share * n_epochs)
        rng = np.random.default_rng([night.seed, round(100 * share)])
        signals = {name: (samples.copy(), rate, unit) for name, (samples, rate, unit) in night.signals.items()}
        electrodes = tuple(name for name in signals if name.startswith(ELECTRODES))
        length = float((n_epochs - first) * EPOCH_SECONDS)
        loose = Span("detached_electrode", float(first * EPOCH_SECONDS), length, channels=electrodes)
        spoil(rng, signals, [loose], draw_lab(rng))
        traces = {name: Trace(name, signals[name][0], signals[name][1]) for name in electrodes}
        told[f"detached for {words}"] = told_from(traces, n_epochs, first)
    return told


def told_from(traces: dict[str, Trace], n_epochs: int, first: int) -> int:
    """Count what is told from an epoch on."""
    measured = measure(traces, assess(traces, n_epochs), n_epochs)
    told = sum(int(np.isfinite(column[first:]).sum()) for column in measured.values.values())
    told += sum(event.onset >= first * EPOCH_SECONDS for event in measured.events)
    for column in (measured.rapid_eyes, measured.below_90):
        told += 0 if column is None else int(np.isfinite(column[first:]).sum())
    told += 0 if measured.legs is None else int(measured.legs[first:].sum())
    return told + sum(len(row) for row in measured.trends[first:])


def print_values(all_errors: dict[str, list[NDArray[np.float64]]]) -> None:
    print("measurement          told %  within  share %  median|error|  worst night's share %  goal")
    for name, parts in all_errors.items():
        limit = LIMITS.get(name, 0.5)
        joined = np.concatenate(parts)
        told = np.isfinite(joined)
        right = [np.mean(np.abs(part[np.isfinite(part)]) <= limit) for part in parts if np.isfinite(part).any()]
        share = 100 * np.mean(np.abs(joined[told]) <= limit)
        typical, goal = np.median(np.abs(joined[told])), verdict(share, SHARE_GOALS.get(name))
        print(
            f"{name:20s} {100 * told.mean():6.1f}  {limit:6.1f}  {share:7.1f}  {typical:13.2f}"
            f"  {100 * min(right):21.1f}  {goal}"
        )


def print_events(all_counts: dict[str, list[Counts]], indices: list[tuple[float, float]]) -> None:
    print("events                   F1  recall  precision    true   found  goal")
    for name, rows in all_counts.items():
        hit, true, found = np.sum(rows, axis=0)
        f1 = 2 * hit / max(true + found, 1)
        print(
            f"{name:20s} {f1:6.3f}  {hit / max(true, 1):6.3f}  {hit / max(found, 1):9.3f}  {true:6d}  {found:6d}"
            f"  {verdict(f1, F1_GOALS.get(name))}"
        )
    gaps = np.array([found - true for true, found in indices])
    print(f"apnea-hypopnea index: mean |error| {np.abs(gaps).mean():.1f}/h, bias {gaps.mean():+.1f}/h")
    print("(hypopneas that an arousal alone confirms are beyond a rule that sees no arousal)")


def verdict(value: float, goal: float | None) -> str:
    return "" if goal is None else f"{goal:g} {'met' if value >= goal else 'MISSED'}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--hours", type=float, default=8.0)
    parser.add_argument("--seed", type=int, default=1)
    wish = parser.parse_args()
    all_errors: dict[str, list[NDArray[np.float64]]] = {}
    all_counts: dict[str, list[Counts]] = {}
    indices, seconds = [], []
    dead: dict[str, int] = {}
    for seed in range(wish.seed, wish.seed + wish.count):
        night = simulate_night(seed, NightOptions(hours=wish.hours))
        traces = {name: Trace(name, samples, rate) for name, (samples, rate, _) in night.signals.items()}
        n_epochs = len(night.truth.epochs)
        states = assess(traces, n_epochs)
        start = time.process_time()
        measured = measure(traces, states, n_epochs)
        seconds.append(time.process_time() - start)
        for name, values in errors(night, measured).items():
            all_errors.setdefault(name, []).append(values)
        kinds, rates = found_events(night, traces, measured)
        for name, row in kinds.items():
            all_counts.setdefault(name, []).append(row)
        indices.append(rates)
        for state, told in told_on_dead_channels(night).items():
            dead[state] = dead.get(state, 0) + told
    print(f"{wish.count} nights of {wish.hours:g} h, {np.mean(seconds):.1f} CPU-s a night to measure")
    print_values(all_errors)
    print_events(all_counts, indices)
    for state, told in dead.items():
        print(f"told with every channel {state}: {told}  {'0 met' if told == 0 else '0 MISSED'}")


if __name__ == "__main__":
    main()
