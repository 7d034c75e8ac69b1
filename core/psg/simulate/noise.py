"""Noise with a spectrum that changes through the night.

A sum of overlapping windows: each four-second window is noise with its own power spectral density, windows are sine
shaped and overlap by half, so that their powers add up to the wanted density at every moment.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.signal import lfilter

BIN_SECONDS = 2.0


def frequencies(rate: float) -> NDArray[np.float32]:
    """Frequencies of a spectrum row.

    Parameters
    ----------
    rate : float
        Samples a second.

    Returns
    -------
    numpy.ndarray
        Hz, shape (2 * BIN_SECONDS * rate / 2 + 1,).
    """
    return np.fft.rfftfreq(round(2 * BIN_SECONDS * rate), 1 / rate).astype(np.float32)


def gaussian_rows(n_bins: int, rate: float, rng: np.random.Generator) -> NDArray[np.complex64]:
    """Draw complex Gaussian coefficients of unit power, a row for each window.

    Parameters
    ----------
    n_bins : int
        Number of two-second bins.
    rate : float
        Samples a second.
    rng : numpy.random.Generator
        Source of chance.

    Returns
    -------
    numpy.ndarray
        Shape (n_bins + 1, frequencies).
    """
    width = round(2 * BIN_SECONDS * rate) // 2 + 1
    draws = rng.standard_normal((n_bins + 1, width, 2), dtype=np.float32) * np.float32(np.sqrt(0.5))
    return draws.view(np.complex64)[..., 0]


def shaped_noise(
    weights: NDArray[np.float32], spectra: NDArray[np.float32], rows: NDArray[np.complex64], rate: float
) -> NDArray[np.float32]:
    """Give Gaussian rows a power spectral density that is a mixture changing from bin to bin.

    Parameters
    ----------
    weights : numpy.ndarray
        Power of each component in each bin, shape (bins, components).
    spectra : numpy.ndarray
        Power spectral density of each component, unit² / Hz, shape (components, frequencies).
    rows : numpy.ndarray
        From `gaussian_rows`, shape (bins + 1, frequencies).
    rate : float
        Samples a second.

    Returns
    -------
    numpy.ndarray
        Shape (bins * BIN_SECONDS * rate,).
    """
    n_bins = len(weights)
    hop = round(BIN_SECONDS * rate)
    window = np.sin(np.pi * (np.arange(2 * hop) + 0.5) / (2 * hop)).astype(np.float32)
    padded = np.concatenate([weights[:1], weights, weights[-1:]])
    power = 0.5 * (padded[:-1] + padded[1:])  # (bins + 1, components): each window lies over two bins
    out = np.zeros((n_bins + 2) * hop, dtype=np.float32)
    scale = np.float32(rate * hop)  # E|X|² = density * rate * length / 2
    for first in range(0, n_bins + 1, 1024):
        rows_here = slice(first, min(first + 1024, n_bins + 1))
        density = power[rows_here] @ spectra
        waves = fft.irfft(rows[rows_here] * np.sqrt(density * scale), n=2 * hop, axis=1) * window
        count = len(waves)
        halves = out[first * hop : (first + count + 1) * hop].reshape(count + 1, hop)
        halves[:-1] += waves[:, :hop]
        halves[1:] += waves[:, hop:]
    return out[hop:-hop]


def hum(n: int, rate: float, mains: float, phase: float) -> NDArray[np.float32]:
    """Draw the hum of the power line at unit size; it repeats, so that one second is enough.

    Parameters
    ----------
    n : int
        Number of samples.
    rate : float
        Samples a second, whole.
    mains : float
        Hz, whole.
    phase : float
        Radians.

    Returns
    -------
    numpy.ndarray
        Shape (n,).
    """
    second = np.sin(2 * np.pi * mains * np.arange(round(rate)) / rate + phase).astype(np.float32)
    return np.resize(second, n)


def slow_course(n: int, smooth: float, rng: np.random.Generator, scale: float = 1.0) -> NDArray[np.float32]:
    """Draw a slowly wandering course of zero mean (first-order autoregression).

    Parameters
    ----------
    n : int
        Number of values.
    smooth : float
        Correlation time in values.
    rng : numpy.random.Generator
        Source of chance.
    scale : float
        Standard deviation.

    Returns
    -------
    numpy.ndarray
        Shape (n,).
    """
    decay = float(np.exp(-1.0 / max(smooth, 1e-6)))
    drive = rng.standard_normal(n) * np.sqrt(1 - decay**2)
    start = [float(rng.standard_normal()) * decay]
    course, _ = lfilter([1.0], [1.0, -decay], drive, zi=start)
    return np.asarray(scale * course, dtype=np.float32)
