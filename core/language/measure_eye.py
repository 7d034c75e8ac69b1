"""What the EOG shows: slow and rapid eye movements."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from core.language.epochs import Sampled, is_standardised, per_epoch, ratio, sampled
from core.language.measure_eeg import welch
from core.language.zero_phase import zero_phase
from core.psg.preprocess import Trace

EYES = {"left": "EOG_L", "right": "EOG_R"}
EOG_RATE = 64  # Hz
WINDOW = 10.0  # s, so that 0.3 Hz is resolved
SLOW = (0.2, 1.0)  # Hz: AASM's slow eye movement has a first deflection of more than 0.5 s
RAPID = (1.0, 5.0)  # Hz: a rapid one of less than 0.5 s; band of Agarwal et al. 2005
TOTAL = (0.2, 30.0)  # Hz
DEFLECTION = (0.3, 10.0)  # Hz: the shape of a deflection
LEAST_SIZE = 25.0  # µV, by which half the difference of the two EOGs has to change
LEAST_SLOPE = 400.0  # µV/s, its steepest part
LONGEST_DEFLECTION = 0.5  # s (AASM)
LEAST_OPPOSED = 0.25  # size of the smaller deflection of the two EOGs over the larger


@dataclass(frozen=True)
class EyeMeasurements:
    """What was measured on the EOGs."""

    values: dict[str, NDArray[np.float64]]
    """``eog_left_slow`` and its like, in per cent, shape (epochs,); NaN where the EOG cannot be measured."""
    rapid: NDArray[np.float32] | None
    """Rapid eye movements of each epoch, shape (epochs,); NaN where an EOG cannot be measured, None where none could be
    counted: without both EOGs, or where their µV are not known."""


def measure_eye(traces: Mapping[str, Trace], states: NDArray[np.uint8], n_epochs: int) -> EyeMeasurements:
    """Measure the share of slow and of rapid eye movement in each EOG's power, and count the rapid ones.

    Parameters
    ----------
    traces
        Channel name to trace; the shares may come from any unit.
    states
        Shape (epochs, channels), state codes.
    n_epochs
        Number of epochs.

    Returns
    -------
    EyeMeasurements
        Shares of the power from 0.2 to 30 Hz, and counts.
    """
    values: dict[str, NDArray[np.float64]] = {}
    eyes = {side: sampled(traces, states, name, EOG_RATE, n_epochs) for side, name in EYES.items()}
    for side, channel in eyes.items():
        for kind in ("slow", "rapid"):
            values[f"eog_{side}_{kind}"] = np.full(n_epochs, np.nan)
        if channel is None:
            continue
        frequencies, power = welch(channel.epochs(), channel.rate, WINDOW)
        total = _within(frequencies, power, TOTAL)
        for kind, band in (("slow", SLOW), ("rapid", RAPID)):
            share = 100.0 * ratio(_within(frequencies, power, band), total)
            values[f"eog_{side}_{kind}"] = np.where(channel.usable, share, np.nan)
    left, right = eyes["left"], eyes["right"]
    if left is None or right is None or any(is_standardised(traces[name]) for name in EYES.values()):
        return EyeMeasurements(values, None)
    times = rapid_eye_movements(left, right)
    counts, _ = per_epoch(times, np.ones(len(times)), n_epochs)
    return EyeMeasurements(values, np.where(left.usable & right.usable, counts, np.nan).astype(np.float32))


def rapid_eye_movements(left: Sampled, right: Sampled) -> NDArray[np.float64]:
    """Find rapid eye movements: steep deflections of both EOGs in opposite directions.

    The AASM manual calls an eye movement of REM sleep rapid: conjugate and sharply peaked, with a first deflection of
    less than 0.5 s. The two EOGs, on opposite sides of the eyes, then move apart, while the EEG moves both alike. A
    deflection is a rise or fall of half their difference, 0.3 to 10 Hz, of at least 25 µV within 0.5 s and at least
    400 µV/s at its steepest, in which both EOGs take part in opposite directions. Size and slope were chosen on
    simulated nights. Outside stage R the same deflections are looks and blinks.

    Parameters
    ----------
    left, right
        The two EOGs in µV at ``EOG_RATE``.

    Returns
    -------
    NDArray[np.float64]
        Seconds from the start of the recording at the middle of each deflection, in order.
    """
    sections = signal.butter(2, DEFLECTION, "bandpass", fs=EOG_RATE, output="sos")
    e1, e2 = (zero_phase(sections, eye.samples) for eye in (left, right))
    valid = left.valid & right.valid
    apart = (e2 - e1) / 2
    step = np.diff(apart)
    turns = np.flatnonzero(np.diff(step > 0)) + 1
    first, last = np.concatenate([[0], turns]), np.concatenate([turns, [len(step)]])
    steepest = np.maximum.reduceat(np.abs(step), first) * EOG_RATE
    parts = e1[last] - e1[first], e2[last] - e2[first]
    smaller, larger = np.minimum(*np.abs(parts)), np.maximum(*np.abs(parts))
    rapid = (
        (np.abs(apart[last] - apart[first]) >= LEAST_SIZE)
        & (steepest >= LEAST_SLOPE)
        & (last - first <= LONGEST_DEFLECTION * EOG_RATE)
        & (parts[0] * parts[1] < 0)
        & (smaller >= LEAST_OPPOSED * larger)
        & valid[first]
        & valid[last]
    )
    return np.asarray((first + last)[rapid] / (2 * EOG_RATE))


def _within(
    frequencies: NDArray[np.float64], power: NDArray[np.float32], band: tuple[float, float]
) -> NDArray[np.float64]:
    inside = (frequencies >= band[0] - 1e-9) & (frequencies < band[1] - 1e-9)
    return np.asarray(power[:, inside].sum(axis=1), dtype=np.float64)
