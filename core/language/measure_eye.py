"""What the EOG shows: slow and rapid eye movements."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from core.language.epochs import ratio, sampled
from core.language.measure_eeg import welch
from core.psg.preprocess import Trace

EYES = {"left": "EOG_L", "right": "EOG_R"}
EOG_RATE = 64  # Hz
WINDOW = 10.0  # s, so that 0.3 Hz is resolved
SLOW = (0.2, 1.0)  # Hz: AASM's slow eye movement has a first deflection of more than 0.5 s
RAPID = (1.0, 5.0)  # Hz: a rapid one of less than 0.5 s; band of Agarwal et al. 2005
TOTAL = (0.2, 30.0)  # Hz


def measure_eye(
    traces: Mapping[str, Trace], states: NDArray[np.uint8], n_epochs: int
) -> dict[str, NDArray[np.float64]]:
    """Measure the share of slow and of rapid eye movement in each EOG's power from 0.2 to 30 Hz.

    Parameters
    ----------
    traces
        Channel name to trace; the EOG may be in any unit.
    states
        Shape (epochs, channels), state codes.
    n_epochs
        Number of epochs.

    Returns
    -------
    dict[str, NDArray[np.float64]]
        ``eog_left_slow`` and its like, in per cent, shape (epochs,); NaN where the EOG cannot be measured.
    """
    values: dict[str, NDArray[np.float64]] = {}
    for side, name in EYES.items():
        channel = sampled(traces, states, name, EOG_RATE, n_epochs)
        for kind in ("slow", "rapid"):
            values[f"eog_{side}_{kind}"] = np.full(n_epochs, np.nan)
        if channel is None:
            continue
        frequencies, power = welch(channel.epochs(), channel.rate, WINDOW)
        total = _within(frequencies, power, TOTAL)
        for kind, band in (("slow", SLOW), ("rapid", RAPID)):
            share = 100.0 * ratio(_within(frequencies, power, band), total)
            values[f"eog_{side}_{kind}"] = np.where(channel.usable, share, np.nan)
    return values


def _within(
    frequencies: NDArray[np.float64], power: NDArray[np.float32], band: tuple[float, float]
) -> NDArray[np.float64]:
    inside = (frequencies >= band[0] - 1e-9) & (frequencies < band[1] - 1e-9)
    return np.asarray(power[:, inside].sum(axis=1), dtype=np.float64)
