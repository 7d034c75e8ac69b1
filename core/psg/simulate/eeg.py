"""EEG: aperiodic background and rhythms by state, transients, arousals and eye leak, correlated between derivations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage, signal

from core.psg.simulate.derivation import Derivation
from core.psg.simulate.eog import Gaze
from core.psg.simulate.hypnogram import N1, R, W
from core.psg.simulate.lab import Lab
from core.psg.simulate.noise import BIN_SECONDS, frequencies, gaussian_rows, hum, shaped_noise, slow_course
from core.psg.simulate.subject import Subject
from core.psg.simulate.transients import Transients, add_transients
from core.psg.simulate.truth import Span

RATE = 256.0
"""Samples a second."""

# Aperiodic part by stage: density at 10 Hz (µV²/Hz) and exponent, for C3-M2.
_LEVEL = (2.5, 1.42, 1.33, 1.04, 1.4)
_SLOPE = (1.24, 1.4, 1.74, 2.34, 1.39)
_KNEE = (0.4, 0.4, 0.4, 0.7, 0.4)  # Hz; below it the density no longer rises
# Who makes small slow waves has less delta between them too: added to the exponent for each e-fold of slow-wave gain.
_SLOPE_BY_SLOW_WAVES = (0.0, 0.0, 0.35, 0.1, 0.0)
# Power of the rhythms by state (µV²): theta, occipital alpha, sigma, beta, and the frontal rhythm of 9 to 11 Hz that
# NREM sleep has. Wake is with closed eyes.
_THETA = (0.2, 2.6, 9.3, 23.0, 3.1)
_ALPHA = (44.0, 6.5, 2.5, 2.0, 5.8)
_SIGMA = (1.0, 0.5, 2.5, 2.5, 0.3)
_BETA = (14.0, 2.5, 0.4, 0.0, 1.3)
_FRONTAL_ALPHA = (0.0, 0.5, 2.4, 5.0, 0.2)
_ALPHA_OPEN = 0.1
_MUSCLE = 0.05  # share of the chin's power that a central electrode sees


@dataclass(frozen=True)
class Cortex:
    """What all derivations share."""

    weights: NDArray[np.float32]
    """Power of each component in each bin: five stages, theta, alpha, sigma, beta, frontal alpha, muscle; shape
    (bins, 11)."""
    rows: NDArray[np.complex64]
    """Common Gaussian rows, from ``noise.gaussian_rows``."""
    transients: Transients
    """Waves of the night."""
    arousals: tuple[Span, ...]
    """Arousals."""
    gaze: Gaze
    """Eye movements that leak."""
    arousal_seed: int
    """Seed of the part of the arousals' activity that all derivations share."""


def component_weights(
    rng: np.random.Generator,
    subject: Subject,
    states: NDArray[np.int8],
    open_eyes: NDArray[np.bool_],
    muscle: NDArray[np.float32],
    arousals: Sequence[Span] = (),
) -> NDArray[np.float32]:
    """Give the course of every component of the background.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    subject : Subject
        Gives the alpha gain.
    states : numpy.ndarray
        State of each bin, shape (bins,).
    open_eyes : numpy.ndarray
        Bins of wake with open eyes, shape (bins,).
    muscle : numpy.ndarray
        Chin tone, µV rms, shape (bins,).
    arousals : sequence of Span
        The background of NREM sleep lightens to that of N1 in their whole bins.

    Returns
    -------
    numpy.ndarray
        Shape (bins, 11); see `Cortex`.
    """
    n = len(states)
    states = states.copy()
    for span in arousals:
        part = slice(round(span.onset / BIN_SECONDS), round(span.end / BIN_SECONDS))
        states[part] = np.where((states[part] == W) | (states[part] == R), states[part], N1)
    stages = ndimage.uniform_filter1d(np.eye(5, dtype=np.float32)[states], 2, axis=0)
    level = np.exp(slow_course(n, 400.0, rng, 0.18) + slow_course(n, 15.0, rng, 0.3))
    stages = stages * level[:, None] * np.exp(np.stack([slow_course(n, 40.0, rng, 0.12) for _ in range(5)], axis=1))
    restless = np.exp(slow_course(n, 20.0, rng, subject.restlessness)) * (states == W) + (states != W)
    stages[:, W] *= restless
    columns = [stages]
    for powers, jitter in ((_THETA, 0.5), (_ALPHA, 0.6), (_SIGMA, 0.5), (_BETA, 0.4), (_FRONTAL_ALPHA, 0.5)):
        course = np.asarray(powers)[states]
        if powers is _ALPHA:
            course = course * np.where(states == W, subject.alpha_gain**2, subject.alpha_gain)
            course = np.where(open_eyes, course * _ALPHA_OPEN, course)
        elif powers is _FRONTAL_ALPHA:
            course = course * subject.alpha_gain
        course = ndimage.gaussian_filter1d(course, 0.7)
        columns.append((course * level * np.exp(slow_course(n, 6.0, rng, jitter)))[:, None])
    columns.append(((muscle**2) * _MUSCLE * restless * np.exp(slow_course(n, 20.0, rng, 0.4)))[:, None])
    return np.concatenate(columns, axis=1).astype(np.float32)


def _peak(freq: NDArray[np.float32], centre: float, width: float) -> NDArray[np.float32]:
    """Spectral bump of unit power."""
    bump = np.exp(-0.5 * ((freq - centre) / width) ** 2)
    return np.asarray(bump / (bump.sum() * (freq[1] - freq[0])), dtype=np.float32)


def component_spectra(subject: Subject, seen: Derivation) -> NDArray[np.float32]:
    """Give the spectrum of every component as one derivation sees it.

    Parameters
    ----------
    subject : Subject
        Gives slope, alpha and sigma frequency.
    seen : Derivation
        Amplitude factors.

    Returns
    -------
    numpy.ndarray
        µV²/Hz for a weight of 1, shape (11, frequencies).
    """
    freq = frequencies(RATE)
    rows = []
    small = float(np.log(subject.slow_wave_gain))
    for level, slope, share, knee in zip(_LEVEL, _SLOPE, _SLOPE_BY_SLOW_WAVES, _KNEE, strict=True):
        steep = slope + seen.slope + subject.slope_shift + share * small
        bend = np.sqrt(freq**2 + knee**2) / 10.0
        rows.append(level * seen.background**2 * bend**-steep / (1 + (freq / 60.0) ** 4))
    rows.append((seen.theta * subject.theta_gain) ** 2 * _peak(freq, 5.8, 1.1))
    rows.append(seen.alpha**2 * _peak(freq, subject.alpha_frequency, 0.75))
    rows.append((seen.sigma * subject.sigma_gain) ** 2 * _peak(freq, subject.spindle_frequency, 0.8))
    rows.append((seen.beta * subject.beta_gain) ** 2 * _peak(freq, 20.0, 4.5))
    rows.append(seen.frontal_alpha**2 * _peak(freq, 10.0, 1.4))
    scalp = (freq / 28.0) ** 3 / (1 + (freq / 28.0) ** 3) / (1 + (freq / 90.0) ** 2)
    rows.append(seen.muscle**2 * scalp / (scalp.sum() * (freq[1] - freq[0])))
    return np.stack(rows).astype(np.float32)


def _coherence(seen: Derivation) -> NDArray[np.float32]:
    """Share of power that a derivation has in common with the others, by frequency."""
    freq = frequencies(RATE)
    return np.asarray(seen.shared / (1 + (freq / 26.0) ** 3), dtype=np.float32)


def _add_arousals(
    out: NDArray[np.float32], cortex: Cortex, subject: Subject, seen: Derivation, rng: np.random.Generator
) -> None:
    """Add the alpha and beta burst of each arousal, with crisp edges, in place."""
    shared = np.random.default_rng(cortex.arousal_seed)
    for span in cortex.arousals:
        n = round(span.duration * RATE)
        freq = np.fft.rfftfreq(n, 1 / RATE)
        alpha, beta, theta = 64.0 * shared.lognormal(0.0, 0.6) * shared.dirichlet((3.0, 1.5, 1.4))
        density = alpha * seen.alpha**2 * _peak(freq, subject.alpha_frequency, 1.2)
        density = density + beta * seen.beta**2 * _peak(freq, 21.0, 6.0) + theta * seen.theta**2 * _peak(freq, 5.5, 1.2)
        own = rng.standard_normal((2, len(freq)))
        common = shared.standard_normal((2, len(freq)))
        rows = np.sqrt(0.65) * common + np.sqrt(0.35) * own
        piece = fft.irfft((rows[0] + 1j * rows[1]) * np.sqrt(0.5 * density * RATE * n / 2), n)
        edge = np.clip(np.minimum(np.arange(n), np.arange(n)[::-1]) / (0.35 * RATE), 0, 1)
        first = round(span.onset * RATE)
        stop = min(first + n, len(out))
        out[first:stop] += (subject.eeg_gain * piece * edge)[: stop - first]


def derive(cortex: Cortex, subject: Subject, seen: Derivation, rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw the EEG of one derivation before amplifier and artefacts.

    Parameters
    ----------
    cortex : Cortex
        What all derivations share.
    subject : Subject
        Gives gain and frequencies.
    seen : Derivation
        Amplitude factors.
    rng : numpy.random.Generator
        Source of chance of this derivation alone.

    Returns
    -------
    numpy.ndarray
        µV, negative waves downwards, shape (samples,).
    """
    share = _coherence(seen)
    rows = gaussian_rows(len(cortex.weights), RATE, rng)
    rows *= np.sqrt(1 - share)
    rows += np.sqrt(share) * cortex.rows
    out = shaped_noise(cortex.weights, component_spectra(subject, seen), rows, RATE)
    out *= np.float32(subject.eeg_gain)
    add_transients(out, cortex.transients, seen, subject.eeg_gain, rng)
    _add_arousals(out, cortex, subject, seen, rng)
    if seen.horizontal or seen.vertical:
        out += np.float32(seen.horizontal) * cortex.gaze.horizontal
        out += np.float32(seen.vertical) * cortex.gaze.vertical
    return out


def amplify(trace: NDArray[np.float32], lab: Lab, rng: np.random.Generator) -> NDArray[np.float32]:
    """Pass a trace through the amplifier: its noise, the hum and its corners.

    Parameters
    ----------
    trace : numpy.ndarray
        µV, shape (samples,).
    lab : Lab
        Gives corners, noise and mains.
    rng : numpy.random.Generator
        Source of chance.

    Returns
    -------
    numpy.ndarray
        µV, same shape.
    """
    size = np.float32(lab.mains_level * float(rng.uniform(0.3, 1.5)))
    out = trace + np.float32(lab.sensor_noise) * rng.standard_normal(len(trace), dtype=np.float32)
    out += size * hum(len(trace), RATE, lab.mains, float(rng.uniform(0, 6.28)))
    corners = np.concatenate(
        [
            signal.butter(1, lab.high_pass, "high", fs=RATE, output="sos"),
            signal.butter(2, lab.low_pass, "low", fs=RATE, output="sos"),
        ]
    )
    return np.asarray(signal.sosfilt(corners, out), dtype=np.float32)
