"""Leg EMG: the two anterior tibialis muscles at rest, in limb movements, and in what is like one and is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

from core.psg.simulate.emg import RATE, muscle_spectrum
from core.psg.simulate.hypnogram import R, W
from core.psg.simulate.lab import Lab
from core.psg.simulate.noise import BIN_SECONDS, gaussian_rows, hum, shaped_noise, slow_course
from core.psg.simulate.truth import Span

LEGS = ("LEG_L", "LEG_R")
"""Names of the two channels."""
LEAST_UV = 16.0
"""µV rms of the weakest limb movement: scoring sees an onset at 8 µV above rest (AASM, WASM 2016)."""
_GRID = 32.0  # samples a second of the envelope
_BOTH = 0.6  # share of the movements of both legs
_BREATHED = 0.3  # share of the apneas and hypopneas at whose end the legs move; these are not scored (AASM)


@dataclass(frozen=True)
class Legs:
    """What moves them."""

    states: NDArray[np.int8]
    """State of each bin, shape (bins,)."""
    events: Sequence[Span]
    """Events of the night; limb movements name their legs in ``channels``."""
    moved: Sequence[Span]
    """Artefacts of the whole body's movement."""


def choose_legs(rng: np.random.Generator, movements: Sequence[Span]) -> list[Span]:
    """Say of each limb movement which legs make it.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    movements : sequence of Span
        Limb movements.

    Returns
    -------
    list of Span
        The same with ``channels``; one leg is a little more restless than the other.
    """
    left = float(rng.uniform(0.3, 0.7))
    chosen = []
    for span in movements:
        one = LEGS[0] if rng.random() < left else LEGS[1]
        chosen.append(replace(span, channels=LEGS if rng.random() < _BOTH else (one,)))
    return chosen


def electromyograms(
    rng: np.random.Generator, legs: Legs, heart: NDArray[np.float32], lab: Lab
) -> dict[str, NDArray[np.float32]]:
    """Draw the EMG of both legs for the whole night.

    Limb movements last from their onset to their end (WASM 2016: 0.5 to 10 s). Not scored, and there all the same:
    kicks of wake, twitches of less than 0.3 s in REM sleep, movements of the whole body, and of the legs at the end of
    apneas.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    legs : Legs
        What moves them.
    heart : numpy.ndarray
        ECG, mV, at ``RATE``; a trace of it is seen.
    lab : Lab
        Gives corner, mains and noise.

    Returns
    -------
    dict
        For each of ``LEGS`` µV, shape (bins * BIN_SECONDS * RATE,).
    """
    shared = _shared_bursts(rng, legs)
    out = {}
    for name in LEGS:
        rest = float(rng.lognormal(np.log(1.8), 0.3))
        tone = rest * np.exp(slow_course(len(legs.states), 300.0, rng, 0.2))
        awake = np.exp(np.abs(slow_course(len(legs.states), 4.0, rng, 0.8)))
        tone = np.where(legs.states == W, tone * awake, tone).astype(np.float32)
        own = [span for span in shared if name in span.channels]
        envelope = _envelope(rng, [*own, *_twitches(rng, legs.states)], len(legs.states))
        rows = gaussian_rows(len(legs.states), RATE, rng)
        trace = shaped_noise(np.ones((len(tone), 1), np.float32), muscle_spectrum()[None, :], rows, RATE)
        time = np.arange(len(trace)) / RATE
        size = np.repeat(tone, round(BIN_SECONDS * RATE)) + np.interp(
            time, (np.arange(len(envelope)) + 0.5) / _GRID, envelope
        )
        trace = trace * size + 0.4 * rng.standard_normal(len(trace), dtype=np.float32)
        trace = trace + np.float32(lab.mains_level) * hum(len(trace), RATE, lab.mains, float(rng.uniform(0, 6.28)))
        trace = trace + np.float32(4.0 * rng.lognormal(0.0, 0.5)) * heart[: len(trace)]
        corner = signal.butter(1, lab.emg_high_pass, "high", fs=RATE, output="sos")
        out[name] = np.asarray(signal.sosfilt(corner, trace), dtype=np.float32)
    return out


def _shared_bursts(rng: np.random.Generator, legs: Legs) -> list[Span]:
    """Everything but twitches, with its size (µV rms) and legs."""
    seconds = len(legs.states) * BIN_SECONDS
    usual = float(rng.lognormal(np.log(55.0), 0.35))
    bursts = []
    for event in legs.events:
        if event.type == "limb_movement":
            size = max(usual * float(rng.lognormal(0.0, 0.35)), LEAST_UV)
            bursts.append(Span("limb", event.onset, event.duration, size, channels=event.channels))
        elif (event.type.endswith("apnea") or event.type == "hypopnea") and rng.random() < _BREATHED:
            length = float(np.clip(rng.lognormal(0.6, 0.5), 0.6, 6))
            late = float(rng.uniform(-0.4, 0.4))
            bursts.append(Span("breath", event.end + late, length, 0.8 * usual * float(rng.lognormal()), channels=LEGS))
    for span in legs.moved:
        bursts.append(Span("body", span.onset, span.duration, usual * float(rng.uniform(1.0, 4.0)), channels=LEGS))
    awake = np.repeat(legs.states == W, round(BIN_SECONDS))
    for at in np.flatnonzero(rng.random(len(awake)) < 0.02 * awake):
        length = float(np.clip(rng.lognormal(0.7, 0.7), 0.4, 12))
        one = LEGS if rng.random() < 0.5 else (LEGS[int(rng.integers(2))],)
        bursts.append(Span("kick", float(at), min(length, seconds - at), usual * float(rng.lognormal()), channels=one))
    return bursts


def _twitches(rng: np.random.Generator, states: NDArray[np.int8]) -> list[Span]:
    """Twitches of REM sleep, too short for a limb movement."""
    rem = np.flatnonzero(states == R)
    at = rem[rng.random(len(rem)) < 0.06] * BIN_SECONDS + rng.uniform(0, 1.7)
    return [Span("twitch", float(t), float(rng.uniform(0.06, 0.28)), float(rng.lognormal(np.log(20), 0.6))) for t in at]


def _envelope(rng: np.random.Generator, bursts: Sequence[Span], bins: int) -> NDArray[np.float64]:
    """Size of the bursts over the night, µV rms, on the envelope's grid."""
    out = np.zeros(round(bins * BIN_SECONDS * _GRID))
    for burst in bursts:
        at = max(round(burst.onset * _GRID), 0)
        length = max(round(burst.duration * _GRID), 2)
        x = (np.arange(length) + 0.5) / length
        edge = np.minimum(np.minimum(x, 1 - x) * burst.duration / 0.12, 1.0)  # up and down in an eighth of a second
        shape = edge * np.exp(ndimage.gaussian_filter1d(rng.standard_normal(length), 3.0) * 0.9)
        stop = min(at + length, len(out))
        out[at:stop] = np.maximum(out[at:stop], burst.amplitude * shape[: stop - at])
    return out
