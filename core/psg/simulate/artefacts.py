"""Artefacts: where a channel does not show the body, planned and drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from core.psg.simulate.hypnogram import W
from core.psg.simulate.lab import Lab
from core.psg.simulate.noise import BIN_SECONDS
from core.psg.simulate.truth import Span

ELECTRODES = ("EEG_", "EOG_", "EMG_")
_MOVED = ("EEG_", "EOG_", "EMG_", "ECG", "ABD", "THX", "AF")


def plan_artefacts(
    rng: np.random.Generator,
    channels: Sequence[str],
    states: NDArray[np.int8],
    positions: Sequence[Span],
    lab: Lab,
) -> tuple[Span, ...]:
    """Plan the artefacts of a night.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    channels : sequence of str
        Names of all channels.
    states : numpy.ndarray
        State of each bin, shape (bins,).
    positions : sequence of Span
        Each change of position is a movement.
    lab : Lab
        Gives the rate of artefacts.

    Returns
    -------
    tuple of Span
        In order; types ``movement``, ``electrode_pop``, ``detached_electrode``, ``mains``, ``sweat``, ``ecg_bleed``,
        ``spo2_dropout`` and ``spo2_motion``.
    """
    rate = lab.artefact_rate
    total = len(states) * BIN_SECONDS
    if rate <= 0:
        return ()
    moved = tuple(c for c in channels if c.startswith(_MOVED))
    wired = [c for c in channels if c.startswith(ELECTRODES)]
    spans = [Span("movement", p.onset - 2.0, float(rng.uniform(5, 14)), channels=moved) for p in positions[1:]]
    hazard = np.where(states == W, 10.0, 0.8) * rate / 3600
    for time in (np.flatnonzero(rng.random(len(states)) < hazard * BIN_SECONDS) + rng.random()) * BIN_SECONDS:
        spans.append(Span("movement", float(time), float(rng.uniform(2, 9)), channels=moved))
    spans += _electrode_faults(rng, wired, total, rate)
    if "SPO2" in channels:
        for _ in range(rng.poisson(1.2 * rate)):
            length = float(np.clip(rng.lognormal(np.log(25), 0.8), 5, 240))
            spans.append(Span("spo2_dropout", float(rng.uniform(0, total - length)), length, channels=("SPO2",)))
        for _ in range(rng.poisson(3.0 * rate * lab.trouble)):
            length = float(rng.uniform(3, 15))
            spans.append(Span("spo2_motion", float(rng.uniform(0, total - length)), length, channels=("SPO2",)))
    spans = [Span(s.type, round(s.onset, 2), round(s.duration, 2), channels=s.channels) for s in spans if s.onset >= 0]
    return tuple(sorted(spans, key=lambda s: (s.onset, s.type, s.channels)))


def _electrode_faults(rng: np.random.Generator, wired: Sequence[str], total: float, rate: float) -> list[Span]:
    """Plan what befalls single electrodes."""
    spans: list[Span] = []
    for name in wired:
        for _ in range(rng.poisson(0.15 * rate * total / 3600)):
            spans.append(
                Span("electrode_pop", float(rng.uniform(0, total - 8)), float(rng.uniform(0.5, 2)), channels=(name,))
            )
        for kind, chance, low, high in (
            ("detached_electrode", 0.05, 120, 2400),
            ("mains", 0.06, 300, 5400),
            ("sweat", 0.06, 600, 4800),
            ("ecg_bleed", 0.07, 1800, 14000),
        ):
            if rng.random() < chance * rate:
                length = float(min(rng.uniform(low, high), total / 3))
                spans.append(Span(kind, float(rng.uniform(0, total - length)), length, channels=(name,)))
    return spans


def _window(n: int, rate: float) -> NDArray[np.float64]:
    """Fade in and out over 0.3 s."""
    edge = np.minimum(np.arange(n), np.arange(n)[::-1]) / max(0.3 * rate, 1.0)
    return np.clip(edge, 0, 1)


def _movement(rng: np.random.Generator, name: str, n: int, rate: float, spread: float) -> NDArray[np.float64]:
    """Sway and, on electrodes, muscle."""
    sway = signal.sosfilt(signal.butter(2, [0.2, 3.0], "band", fs=rate, output="sos"), rng.standard_normal(n + 256))[
        256:
    ]
    sway = sway / max(float(sway.std()), 1e-9)
    if name.startswith("EMG_"):
        return np.asarray(30.0 * rng.standard_normal(n) + 20.0 * sway)
    if name.startswith(ELECTRODES):
        return np.asarray(rng.uniform(40, 150) * sway + 12.0 * rng.standard_normal(n))
    if name == "ECG":
        return np.asarray(0.12 * sway + 0.03 * rng.standard_normal(n))
    return np.asarray(rng.uniform(0.6, 1.6) * spread * sway)


def _electrode(
    rng: np.random.Generator, kind: str, piece: NDArray[np.float32], rate: float, lab: Lab, cardiac: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Give an electrode's trace under one artefact."""
    n = len(piece)
    time = np.arange(n) / rate
    hum = np.sin(2 * np.pi * lab.mains * time)
    if kind == "electrode_pop":
        step = rng.choice([-1, 1]) * rng.uniform(120, 600)
        return np.asarray(piece + step * np.exp(-time / 0.25))
    if kind == "mains":
        return np.asarray(piece + rng.uniform(15, 60) * hum * _window(n, rate))
    if kind == "sweat":
        knots = np.arange(0, n / rate + 2, 1.2)
        slow = np.interp(time, knots, rng.standard_normal(len(knots)))
        return np.asarray(piece + rng.uniform(35, 90) * slow * _window(n, rate))
    if kind == "ecg_bleed":
        return np.asarray(piece + rng.uniform(8, 25) * cardiac * _window(n, rate))
    if rng.random() < 0.4:  # the input is open: flat but for the noise of the amplifier
        return np.asarray(0.05 * rng.standard_normal(n))
    open_input = rng.uniform(20, 120) * hum + 4 * rng.standard_normal(n)
    return np.asarray(open_input + 60 * np.sin(2 * np.pi * 0.02 * time))


def spoil(
    rng: np.random.Generator,
    traces: dict[str, tuple[NDArray[np.float32], float, str]],
    artefacts: Sequence[Span],
    lab: Lab,
) -> None:
    """Draw the artefacts into the channels, in place.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    traces : dict
        Samples, rate and unit of each channel.
    artefacts : sequence of Span
        From `plan_artefacts`.
    lab : Lab
        Gives the mains frequency.
    """
    cardiac = traces["ECG"][0]
    spread = {name: float(np.std(values[0])) for name, values in traces.items()}
    for span in artefacts:
        for name in span.channels:
            samples, rate, _ = traces[name]
            part = slice(round(span.onset * rate), min(round(span.end * rate), len(samples)))
            n = part.stop - part.start
            if n < 2:
                continue
            if span.type == "movement":
                samples[part] += (_movement(rng, name, n, rate, spread[name]) * _window(n, rate)).astype(np.float32)
            elif span.type == "spo2_dropout":
                samples[part] = lab.spo2_lost
            elif span.type == "spo2_motion":
                samples[part] = np.maximum(np.round(samples[part] - rng.uniform(3, 25) * _window(n, 0.3)), 50.0)
            else:
                samples[part] = _electrode(rng, span.type, samples[part], rate, lab, cardiac[part])
