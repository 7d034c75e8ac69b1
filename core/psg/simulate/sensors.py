"""What nasal pressure, thermistor and belts make of the breaths: filters, units, drift, and sensors that slip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from core.psg.simulate.breathing import RATE, Breaths, breath_phase, volume
from core.psg.simulate.lab import Lab
from core.psg.simulate.noise import slow_course
from core.psg.simulate.subject import Subject
from core.psg.simulate.truth import Span

FAULTS = ("mouth_breathing", "displaced_sensor")
"""Artefacts of this file; the breaths go on, the channel hardly shows them."""
PRESSURE_POWER = 1.75
"""Nasal pressure over flow: turbulence makes it nearly a square."""
WARMTH_POWER = 0.6
"""Thermistor over flow: small breaths warm it nearly as much as large ones."""
WARMTH_SECONDS = 0.45
"""Time constant of a thermistor."""


@dataclass(frozen=True)
class Bedside:
    """Where the sensors are, and on whom."""

    subject: Subject
    """Gives the shape of a breath."""
    lab: Lab
    """Gives sensors and settings."""
    seconds: int
    """Length of the night."""
    positions: Sequence[Span]
    """Body positions; sensors settle anew in each."""
    faults: Sequence[Span]
    """From `plan_faults`."""
    beats: NDArray[np.float64]
    """Seconds of the heartbeats, which move air and belts a little, shape (n,)."""


def plan_faults(rng: np.random.Generator, lab: Lab, seconds: int) -> tuple[Span, ...]:
    """Plan the stretches in which a breathing sensor does not follow the breaths.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    lab : Lab
        Gives how often.
    seconds : int
        Length of the night.

    Returns
    -------
    tuple of Span
        In order; types of `FAULTS`.
    """
    spans = []
    if lab.airflow == "nasal_pressure":
        for _ in range(rng.poisson(lab.breathing.mouth * seconds / 3600)):
            length = float(np.clip(rng.lognormal(np.log(240), 0.9), 20, min(2400, seconds / 4)))
            spans.append(Span("mouth_breathing", float(rng.uniform(0, seconds - length)), length, channels=("AF",)))
    for name in ("AF", "THX", "ABD"):
        for _ in range(rng.poisson(lab.breathing.displaced)):
            length = float(np.clip(rng.lognormal(np.log(1800), 0.8), 120, seconds / 3))
            spans.append(Span("displaced_sensor", float(rng.uniform(0, seconds - length)), length, channels=(name,)))
    spans = [Span(s.type, round(s.onset, 2), round(s.duration, 2), channels=s.channels) for s in spans]
    return tuple(sorted(spans, key=lambda s: (s.onset, s.type, s.channels)))


def airflow(breaths: Breaths, bedside: Bedside, rng: np.random.Generator) -> NDArray[np.float32]:
    """Give the airflow channel.

    Parameters
    ----------
    breaths : Breaths
        From ``breathing.breathe``.
    bedside : Bedside
        Sensor and sleeper.
    rng : numpy.random.Generator
        Source of chance (drift, noise).

    Returns
    -------
    numpy.ndarray
        Device units, inspiration upwards unless the gain is negative, shape (seconds * RATE,).
    """
    subject, lab = bedside.subject, bedside.lab
    time = np.arange(round(bedside.seconds * RATE)) / RATE
    index, phase = breath_phase(breaths, time)
    share = subject.inspiration
    inspired = np.sin(np.pi * np.clip(phase / share, 0, 1))
    steep = 0.3 + 5.0 * breaths.flat[index]
    inspired = np.tanh(steep * inspired) / np.tanh(steep)
    out = np.clip((phase - share) / (1 - share), 0, 1)
    expired = 3.27 * out**0.6 * (1 - out) ** 1.3  # peak 1
    flow = breaths.flow[index] * np.where(phase < share, inspired, -subject.expired_peak * expired)
    flow = flow + _heart(rng, bedside, time, 0.02) * np.where(phase >= 1.0, 1.0, 0.25)
    if lab.airflow == "nasal_pressure" and not lab.breathing.square_root:
        flow = np.sign(flow) * np.abs(flow) ** PRESSURE_POWER
    elif lab.airflow == "thermistor":
        part = 1 - np.exp(-1 / (WARMTH_SECONDS * RATE))
        flow = 1.5 * signal.lfilter([part], [1, part - 1], np.sign(flow) * np.abs(flow) ** WARMTH_POWER)
    how = lab.breathing
    flow = flow * _hold(rng, bedside, "AF", time) + how.flow_noise * rng.standard_normal(len(flow))
    flow = flow + how.wander * _drift(rng, time, 20.0, 0.12)
    flow = _corners(flow, how.flow_high_pass, how.flow_low_pass)
    return np.asarray(how.flow_gain * _convert(flow, lab) + how.flow_offset, dtype=np.float32)


def effort(
    breaths: Breaths, bedside: Bedside, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Give the two effort belts.

    Parameters
    ----------
    breaths : Breaths
        From ``breathing.breathe``.
    bedside : Bedside
        Sensor and sleeper.
    rng : numpy.random.Generator
        Source of chance (drift, noise).

    Returns
    -------
    abdomen, thorax : numpy.ndarray
        Device units, inspiration upwards unless the gain is negative, shape (seconds * RATE,).
    """
    lab, how = bedside.lab, bedside.lab.breathing
    time = np.arange(round(bedside.seconds * RATE)) / RATE
    index, phase = breath_phase(breaths, time)
    resting = phase >= 1.0
    lag = breaths.lag[index]
    smooth = signal.butter(2, 3.0, fs=RATE, output="sos")
    belts = []
    for name, sign, gain in (("ABD", -0.5, how.belt_gain[0]), ("THX", 0.5, how.belt_gain[1])):
        moved = np.where(resting, 1.0, (phase - sign * lag) % 1.0)
        share = 1.05 if name == "ABD" else 0.95 * breaths.thorax[index]
        belt = breaths.effort[index] * share * (volume(moved) - np.where(lag > 0.25, 0.4, 0.0) * ~resting)
        belt = signal.sosfilt(smooth, belt) + _heart(rng, bedside, time, 0.012)
        belt = belt * _hold(rng, bedside, name, time) + how.wander * _drift(rng, time, 30.0, 0.25)
        if lab.effort == "piezo":
            belt = 1.4 * signal.sosfilt(signal.butter(1, 0.15, "high", fs=RATE, output="sos"), belt)
        belt = _corners(belt, how.belt_high_pass, how.belt_low_pass)
        belt = belt + how.belt_noise * rng.standard_normal(len(belt))
        belts.append(np.asarray(gain * _convert(belt, lab), dtype=np.float32))
    return belts[0], belts[1]


def _heart(rng: np.random.Generator, bedside: Bedside, time: NDArray[np.float64], size: float) -> NDArray[np.float64]:
    """Cardiogenic oscillation: what each heartbeat moves."""
    beats = bedside.beats
    if len(beats) < 2:
        return np.zeros(len(time))
    cycle = np.interp(time, beats, np.arange(len(beats)))
    return np.asarray(size * rng.lognormal(0.0, 0.6) * np.sin(2 * np.pi * cycle))


def _hold(rng: np.random.Generator, bedside: Bedside, name: str, time: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gain of a sensor over the night: how it lies in each position, and where it has slipped."""
    seconds = np.arange(bedside.seconds + 1.0)
    log = slow_course(len(seconds), 2400.0, rng, 0.4 * bedside.lab.breathing.settling).astype(np.float64)
    for span in bedside.positions:
        log[round(span.onset) : round(span.end) + 1] += bedside.lab.breathing.settling * rng.standard_normal()
    for span in bedside.faults:
        if name in span.channels:
            left = rng.uniform(0.03, 0.25) if span.type == "mouth_breathing" else rng.uniform(0.2, 0.4)
            log[round(span.onset) : round(span.end) + 1] += np.log(left)
    return np.interp(time, seconds, np.exp(np.clip(log, -4.0, 1.0)))


def _drift(rng: np.random.Generator, time: NDArray[np.float64], step: float, size: float) -> NDArray[np.float64]:
    """Slow drift of a sensor's zero, drawn every `step` seconds."""
    count = int(time[-1] / step) + 2
    return np.interp(time, np.arange(count) * step, slow_course(count, 700.0 / step, rng, size))


def _corners(trace: NDArray[np.float64], high_pass: float, low_pass: float) -> NDArray[np.float64]:
    """Pass a trace through first-order corners; 0 is none."""
    for corner, kind in ((high_pass, "high"), (low_pass, "low")):
        if corner > 0:
            trace = signal.sosfilt(signal.butter(1, corner, kind, fs=RATE, output="sos"), trace)
    return trace


def _convert(trace: NDArray[np.float64], lab: Lab) -> NDArray[np.float64]:
    """Clip and round as the converter does."""
    how = lab.breathing
    if how.clip > 0:
        trace = np.clip(trace, -how.clip, how.clip)
    return np.round(trace / how.digit) * how.digit if how.digit > 0 else trace
