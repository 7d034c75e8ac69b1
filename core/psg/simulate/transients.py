"""Waves with a beginning and an end: spindles, K-complexes, slow waves, vertex and sawtooth waves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from core.psg.simulate.derivation import Derivation
from core.psg.simulate.hypnogram import N1, N2, N3, R
from core.psg.simulate.noise import BIN_SECONDS, slow_course
from core.psg.simulate.subject import Subject
from core.psg.simulate.truth import Span

SLOW_WAVE_UV = 75.0
"""µV peak to peak at which a wave counts as a slow wave (AASM; frontal derivations)."""


_SLOW_WAVE = 101.0  # µV, median of the slow waves of N3 in a sleeper of gain 1
_LEAST_SEEN = 0.65  # gain below which stretches of small slow waves are not scored as N3


@dataclass(frozen=True)
class Transients:
    """The waves of a night, each tuple in order of onset."""

    spindles: tuple[Span, ...]
    k_complexes: tuple[Span, ...]
    slow_waves: tuple[Span, ...]
    """All of them; the truth keeps those of at least ``SLOW_WAVE_UV``."""
    vertex_waves: tuple[Span, ...]
    sawtooth_waves: tuple[Span, ...]


def _quiet(waves: list[Span], arousals: Sequence[Span], gap: float) -> tuple[Span, ...]:
    """Keep waves that neither crowd one another nor touch an arousal."""
    starts = np.array([a.onset for a in arousals] or [np.inf])
    ends = np.array([a.end for a in arousals] or [-np.inf])
    kept: list[Span] = []
    for wave in sorted(waves, key=lambda span: span.onset):
        k = int(np.searchsorted(starts, wave.end)) - 1
        if k >= 0 and ends[min(k, len(ends) - 1)] > wave.onset:
            continue
        if not kept or wave.onset - kept[-1].end >= gap:
            kept.append(wave)
    return tuple(kept)


def _moments(rng: np.random.Generator, hazard: NDArray[np.float64]) -> NDArray[np.float64]:
    """Seconds drawn from a hazard (events a second) given for each bin."""
    counts = rng.poisson(hazard * BIN_SECONDS)
    bins = np.repeat(np.arange(len(hazard)), counts)
    return np.sort((bins + rng.random(len(bins))) * BIN_SECONDS)


def _spindles(rng: np.random.Generator, subject: Subject, states: NDArray[np.int8]) -> list[Span]:
    """Spindles of N2 and N3, in waves of about 50 s."""
    infraslow = np.exp(
        0.9 * np.sin(np.arange(len(states)) * 2 * np.pi * BIN_SECONDS / 50 + slow_course(len(states), 30, rng))
    )
    hazard = subject.spindle_density / 60 * ((states == N2) + 0.35 * (states == N3)) * infraslow / 1.2
    waves = []
    for time in _moments(rng, hazard):
        duration = float(np.clip(rng.lognormal(np.log(0.95), 0.28), 0.5, 2.2))
        size = float(np.clip(subject.spindle_amplitude * rng.lognormal(0.0, 0.3), 8, 60))
        pitch = float(np.clip(rng.normal(subject.spindle_frequency, 0.45), 11.2, 15.8))
        waves.append(Span("spindle", round(time, 3), round(duration, 3), round(2 * size, 1), round(pitch, 2)))
    return waves


def _slow_waves(rng: np.random.Generator, subject: Subject, states: NDArray[np.int8]) -> list[Span]:
    """Slow waves that follow one another in N3, rare in N2."""
    total = len(states) * BIN_SECONDS
    count = int(total / 0.9)
    duration = np.clip(rng.lognormal(np.log(0.93), 0.25, count), 0.55, 2.0)
    onset = np.cumsum(duration + rng.exponential(0.22, count))
    tide = slow_course(len(states), 25.0, rng, 0.22)
    depth = np.minimum(0.06 * np.exp(slow_course(len(states), 120.0, rng, 0.8)), 0.14)  # N2: under the fifth of N3
    seen = subject.eeg_gain * subject.slow_wave_gain
    deep = subject.slow_wave_gain * (1 + (_LEAST_SEEN / seen) ** 4) ** 0.25  # of N3, which is scored by its height
    waves = []
    for at, length, chance, noise in zip(onset, duration, rng.random(count), rng.standard_normal(count), strict=True):
        if at + length > total - 1:
            break
        here = int(at / BIN_SECONDS)
        state = states[here]
        if (state == N3 and chance < 0.9) or (state == N2 and chance < depth[here]):
            size = (deep if state == N3 else 0.75 * subject.slow_wave_gain) * np.exp(0.32 * noise + tide[here])
            size = float(np.clip(_SLOW_WAVE * size, 30, 400))
            waves.append(
                Span(
                    "slow_wave",
                    round(float(at), 3),
                    round(float(length), 3),
                    round(size, 1),
                    round(float(1 / length), 2),
                )
            )
    return waves


def _sharp_waves(
    rng: np.random.Generator, subject: Subject, states: NDArray[np.int8]
) -> tuple[list[Span], list[Span], list[Span]]:
    """K-complexes of N2, vertex waves of N1 and sawtooth trains of REM sleep."""
    complexes = []
    for time in _moments(rng, 1.3 / 60 * (states == N2)):
        size = float(np.clip(rng.lognormal(np.log(135), 0.25) * (0.5 + 0.5 * subject.slow_wave_gain), 75, 300))
        complexes.append(Span("k_complex", round(time, 3), round(float(rng.uniform(0.6, 1.2)), 3), round(size, 1)))
    vertex = []
    for time in _moments(rng, 2.5 / 60 * (states == N1)):
        size = float(rng.lognormal(np.log(55), 0.3))
        vertex.append(Span("vertex_wave", round(time, 3), round(float(rng.uniform(0.18, 0.38)), 3), round(size, 1)))
    saws = []
    for time in _moments(rng, 1.2 / 60 * (states == R)):
        length, size = float(rng.uniform(1.5, 4.5)), float(rng.uniform(20, 45))
        saws.append(
            Span(
                "sawtooth_waves",
                round(time, 3),
                round(length, 3),
                round(size, 1),
                round(float(rng.uniform(2.2, 4.5)), 2),
            )
        )
    return complexes, vertex, saws


def draw_transients(
    rng: np.random.Generator, subject: Subject, states: NDArray[np.int8], arousals: Sequence[Span]
) -> Transients:
    """Draw every transient wave of the night.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    subject : Subject
        Gives densities and amplitudes.
    states : numpy.ndarray
        State of each bin, shape (bins,).
    arousals : sequence of Span
        In order; no wave touches one.

    Returns
    -------
    Transients
        Amplitudes in µV peak to peak as seen at C3-M2 with a gain of 1.
    """
    complexes, vertex, saws = _sharp_waves(rng, subject, states)
    kept = _quiet(complexes, arousals, 1.5)
    slow = _apart(_slow_waves(rng, subject, states), kept)
    spindles = _spindles(rng, subject, states)
    for complex_ in kept:  # a third of the K-complexes carry a spindle on their tail
        if rng.random() < 0.3:
            pitch = float(np.clip(rng.normal(subject.spindle_frequency, 0.4), 11.2, 15.8))
            size = 2 * subject.spindle_amplitude
            spindles.append(
                Span(
                    "spindle", round(complex_.onset + 0.75 * complex_.duration, 3), 0.8, round(size, 1), round(pitch, 2)
                )
            )
    return Transients(
        _quiet(spindles, arousals, 0.7),
        kept,
        _quiet(slow, arousals, 0.0),
        _quiet(vertex, arousals, 0.8),
        _quiet(saws, arousals, 3.0),
    )


def _apart(waves: Sequence[Span], complexes: Sequence[Span]) -> list[Span]:
    """Slow waves that stay clear of the K-complexes, which are in order and do not overlap."""
    starts = np.array([c.onset for c in complexes] or [np.inf])
    ends = np.array([c.end for c in complexes] or [-np.inf])
    before = np.searchsorted(starts, [w.end for w in waves], side="right") - 1
    return [w for w, k in zip(waves, before.tolist(), strict=True) if k < 0 or w.onset > ends[k]]


def seen_sizes(trace: NDArray[np.float32], rate: float, waves: Sequence[Span]) -> NDArray[np.float64]:
    """Measure how large waves stand in a trace, background and neighbours included.

    Parameters
    ----------
    trace : numpy.ndarray
        EEG, µV, shape (samples,).
    rate : float
        Samples a second, a multiple of 32.
    waves : sequence of Span
        Slow waves.

    Returns
    -------
    numpy.ndarray
        µV from the trough between onset and end to the highest point after it, 0.25 to 2.5 Hz (the AASM's slow wave has
        0.5 to 2 Hz), shape (waves,).
    """
    step = round(rate / 32)
    coarse = trace[: len(trace) // step * step].reshape(-1, step).mean(axis=1, dtype=np.float64)
    slow = signal.sosfiltfilt(signal.butter(2, [0.25, 2.5], "band", fs=32.0, output="sos"), coarse)
    return np.array([_height(slow[round(32 * w.onset) : round(32 * w.end) + 1]) for w in waves], dtype=np.float64)


def _height(wave: NDArray[np.float64]) -> float:
    """From the trough of a wave to the peak after it."""
    trough = int(np.argmin(wave))
    return float(wave[trough:].max() - wave[trough])


def _arch(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Half a sine over 0 to 1, zero outside."""
    return np.asarray(np.maximum(np.sin(np.pi * np.clip(x, 0, 1)), 0))


def _spindle_wave(t: NDArray[np.float32], wave: Span) -> NDArray[np.float32]:
    """Waxing and waning oscillation whose pitch falls a little."""
    x = t / wave.duration
    return np.asarray(0.5 * _arch(x) ** 0.8 * np.sin(2 * np.pi * wave.frequency * (t - 0.03 * t * x)))


def _slow_wave(t: NDArray[np.float32], wave: Span) -> NDArray[np.float32]:
    """Down state, then a longer up state."""
    turn = 0.4 * wave.duration
    down = -0.67 * _arch(t / turn)
    return np.asarray(down + 0.33 * _arch((t - turn) / (wave.duration - turn)))


def _k_wave(t: NDArray[np.float32], wave: Span) -> NDArray[np.float32]:
    """Sharp negative wave followed at once by a slower positive one."""
    turn = 0.36 * wave.duration
    down = -0.6 * _arch(t / turn) ** 1.5
    return np.asarray(down + 0.4 * _arch((t - turn) / (wave.duration - turn)) ** 1.2)


def _vertex_wave(t: NDArray[np.float32], wave: Span) -> NDArray[np.float32]:
    """Sharp negative wave with a small positive after-wave."""
    x = t / wave.duration
    return np.asarray(-0.8 * np.exp(-0.5 * ((x - 0.35) / 0.13) ** 2) + 0.2 * np.exp(-0.5 * ((x - 0.75) / 0.12) ** 2))


def _saw_wave(t: NDArray[np.float32], wave: Span) -> NDArray[np.float32]:
    """Train of triangular waves with a steeper fall."""
    x = (t * wave.frequency) % 1.0
    tooth = np.where(x < 0.65, x / 0.65, (1 - x) / 0.35) - 0.5
    return np.asarray(tooth * _arch(t / wave.duration) ** 0.5)


Shape = Callable[[NDArray[np.float32], Span], NDArray[np.float32]]


def add_transients(
    out: NDArray[np.float32], waves: Transients, seen: Derivation, gain: float, rng: np.random.Generator
) -> None:
    """Draw the waves into one derivation, in place.

    Parameters
    ----------
    out : numpy.ndarray
        µV, shape (samples,), at 256 Hz.
    waves : Transients
        From `draw_transients`.
    seen : Derivation
        Amplitude factors.
    gain : float
        The subject's EEG gain.
    rng : numpy.random.Generator
        Source of chance: each wave differs by about 12 % and 8 ms between derivations, K-complexes by 15 % and
        15 ms, slow waves, which travel over the cortex, by 20 % and 20 ms.
    """
    groups: tuple[tuple[tuple[Span, ...], Shape, float, float, float], ...] = (
        (waves.spindles, _spindle_wave, seen.sigma, 0.12, 0.008),
        (waves.k_complexes, _k_wave, seen.slow, 0.15, 0.015),
        (waves.slow_waves, _slow_wave, seen.slow, 0.2, 0.02),
        (waves.vertex_waves, _vertex_wave, seen.vertex, 0.12, 0.008),
        (waves.sawtooth_waves, _saw_wave, seen.vertex, 0.12, 0.008),
    )
    rate = 256.0
    for spans, shape, factor, spread, lag in groups:
        jitter = np.exp(spread * rng.standard_normal(len(spans))) * factor * gain
        delay = np.round(rng.normal(0, lag, len(spans)) * rate).astype(int)
        for span, size, late in zip(spans, jitter, delay, strict=True):
            first = max(round(span.onset * rate) + int(late), 0)
            t = np.arange(min(round(span.duration * rate), len(out) - first), dtype=np.float32) / np.float32(rate)
            out[first : first + len(t)] += (size * span.amplitude) * shape(t, span)
