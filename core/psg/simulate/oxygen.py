"""Oxygen saturation: follows the breaths with the blood's delay; the oximeter that reads it averages and rounds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from core.psg.simulate.lab import Lab
from core.psg.simulate.noise import slow_course
from core.psg.simulate.subject import Subject
from core.psg.simulate.truth import Span

DESATURATION = 3.0
"""% that make a desaturation (AASM recommended rule)."""
_FLOOR = 55.0
_LONGEST_FALL = 120  # seconds from the last high point to the low one


def saturate(rng: np.random.Generator, subject: Subject, ventilation: NDArray[np.float64]) -> NDArray[np.float32]:
    """Give the true saturation at the finger.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    subject : Subject
        Gives baseline, speed of fall and lag.
    ventilation : numpy.ndarray
        1 is quiet breathing, shape (seconds,).

    Returns
    -------
    numpy.ndarray
        %, shape (seconds,).
    """
    n = len(ventilation)
    air = ndimage.uniform_filter1d(ventilation, 5)
    base = np.clip(subject.spo2 + slow_course(n, 900.0, rng, 0.5) + slow_course(n, 40.0, rng, 0.12), 80, 99.6)
    debt = np.zeros(n)
    owed, lung = 0.0, 0.0
    for second in range(n):
        lack = 1.0 - min(air[second] / 0.85, 1.6)
        lung = min(max(lung + lack, 0.0), 4.0)  # seconds of store in the lung before the blood feels it
        if lack > 0:
            if lung >= 4.0:
                owed += subject.desaturation_rate * lack * (1.0 + 0.012 * owed)
        else:
            owed += max(-owed * (0.11 - 0.16 * lack), -4.0)
        debt[second] = owed
    curve = base - np.minimum(debt, base - _FLOOR)
    lag = round(subject.oxygen_lag)
    curve = np.concatenate([np.full(lag, curve[0]), curve[: n - lag]])
    return np.asarray(ndimage.gaussian_filter1d(curve, 2.0), dtype=np.float32)


def desaturations(curve: NDArray[np.float32]) -> list[Span]:
    """Find the desaturations by the rule: a fall of 3 % or more from the last high point.

    Parameters
    ----------
    curve : numpy.ndarray
        True saturation at 1 Hz, %, shape (seconds,).

    Returns
    -------
    list of Span
        From the last moment near the high point to the moment at which two thirds of the fall are regained, or a new
        fall begins; ``amplitude`` is the fall in %.
    """
    found: list[Span] = []
    n, at = len(curve), 0
    while at < n - 1:
        high = at
        low = -1
        for second in range(at + 1, n):
            if curve[second] >= curve[high] - 0.05 or second - high > _LONGEST_FALL:
                if second - high > _LONGEST_FALL:
                    high = int(high + 1 + np.argmax(curve[high + 1 : second + 1]))
                else:
                    high = second
            elif curve[high] - curve[second] >= DESATURATION:
                low = second
                break
        if low < 0:
            break
        low, end = _bottom(curve, high, low)
        found.append(Span("desaturation", float(high), float(end - high), round(float(curve[high] - curve[low]), 2)))
        at = end
    return found


def _bottom(curve: NDArray[np.float32], high: int, low: int) -> tuple[int, int]:
    """Follow a fall to its lowest point and to the end of the recovery."""
    n = len(curve)
    top = low
    second = low
    for second in range(low + 1, n):
        if curve[second] <= curve[low]:
            low = top = second
        elif curve[second] > curve[top]:
            top = second
        fall = curve[high] - curve[low]
        if curve[second] >= curve[low] + 2 * fall / 3:
            return low, second
        if curve[top] - curve[second] > 1.0 and curve[top] - curve[low] > 1.0:
            return low, top
        if second - low > 150:
            return low, second
    return low, second


def averaged(curve: NDArray[np.float32], lab: Lab) -> NDArray[np.float32]:
    """Give what the oximeter makes of the saturation before it rounds: late, and the mean of its last seconds.

    Parameters
    ----------
    curve : numpy.ndarray
        True saturation at 1 Hz, %, shape (seconds,).
    lab : Lab
        Gives delay and averaging time.

    Returns
    -------
    numpy.ndarray
        %, at 1 Hz, shape (seconds,).
    """
    late = round(lab.spo2_delay)
    curve = np.concatenate([np.full(late, curve[0], curve.dtype), curve[: len(curve) - late]])
    width = max(round(lab.spo2_average), 1)
    mean = ndimage.uniform_filter1d(curve.astype(np.float64), width, origin=(width - 1) // 2, mode="nearest")
    return np.asarray(mean, np.float32)


def oximeter(curve: NDArray[np.float32], lab: Lab) -> NDArray[np.float32]:
    """Give what the oximeter shows.

    Parameters
    ----------
    curve : numpy.ndarray
        True saturation at 1 Hz, %, shape (seconds,).
    lab : Lab
        Gives delay, averaging time and step.

    Returns
    -------
    numpy.ndarray
        %, at 1 Hz, shape (seconds,).
    """
    steps = np.round(averaged(curve, lab).astype(np.float64) / lab.spo2_step)
    return np.asarray(np.minimum(steps * lab.spo2_step, 100.0), dtype=np.float32)
