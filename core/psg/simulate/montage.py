"""How a simulated night is written: which channels, under which labels, rates and units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class WriteSignal:
    """One signal of the file."""

    channel: str
    """Name in the simulated night, such as ``"EEG_C3"``."""
    label: str
    """Label in the file, at most 16 characters."""
    unit: str
    """Physical dimension in the file, at most 8 characters."""
    rate: int
    """Samples a second."""
    factor: float = 1.0
    """Units of the file for one unit of the night."""
    limit: float = 1000.0
    """Largest physical value; beyond it the converter clips. Airflow and belts in arbitrary units raise it to what they
    reach."""
    low: float | None = None
    """Smallest physical value; −limit where None."""


@dataclass(frozen=True)
class WriteMontage:
    """All signals of a file, in order."""

    signals: tuple[WriteSignal, ...]
    """At least one."""


_EEG_LIMIT = 800.0

CLEAN = WriteMontage(
    (
        WriteSignal("EEG_C3", "EEG C3-M2", "uV", 256, limit=_EEG_LIMIT),
        WriteSignal("EEG_C4", "EEG C4-M1", "uV", 256, limit=_EEG_LIMIT),
        WriteSignal("EOG_L", "EOG E1-M2", "uV", 256, limit=_EEG_LIMIT),
        WriteSignal("EOG_R", "EOG E2-M2", "uV", 256, limit=_EEG_LIMIT),
        WriteSignal("EMG_CHIN", "EMG chin", "uV", 256, limit=500.0),
        WriteSignal("ECG", "ECG", "mV", 256, limit=5.0),
        WriteSignal("AF", "Airflow", "a.u.", 32, limit=10.0),
        WriteSignal("THX", "Effort thorax", "a.u.", 32, limit=10.0),
        WriteSignal("ABD", "Effort abdomen", "a.u.", 32, limit=10.0),
        WriteSignal("SPO2", "SpO2", "%", 1, limit=127.0, low=-1.0),
        WriteSignal("POS", "Position", "code", 1, limit=4.0, low=-1.0),
    )
)
"""The default: every channel that the model takes, and SpO2."""

LEGS = (
    WriteSignal("LEG_L", "EMG LAT", "uV", 256, limit=500.0),
    WriteSignal("LEG_R", "EMG RAT", "uV", 256, limit=500.0),
)
"""The left and right anterior tibialis, written after the others where a night holds them."""

_LABELS = {
    "EEG_C3": ("C3-A2", "C3-M2", "EEG C3-A2", "EEG C3-M2", "C3A2", "EEG(C3-A2)"),
    "EEG_C4": ("C4-A1", "C4-M1", "EEG C4-A1", "EEG C4-M1", "C4A1", "EEG(C4-A1)"),
    "EOG_L": ("LOC", "E1-M2", "EOG(L)", "EOG LOC-A2", "LEOG", "EOG E1-M2"),
    "EOG_R": ("ROC", "E2-M2", "EOG(R)", "EOG ROC-A2", "REOG", "EOG E2-M2"),
    "EMG_CHIN": ("EMG", "Chin", "Chin EMG", "EMG chin", "EMG1-EMG2", "CHIN1-CHIN2"),
    "ECG": ("ECG", "EKG", "ECG I", "ECG II", "EKG1-EKG2"),
    "AF": ("Flow", "Airflow", "Nasal Pressure", "NasalP", "PFlow", "Resp nasal"),
    "THX": ("Thorax", "THO", "Chest", "THOR RES", "Effort THO", "RIP Thorax"),
    "ABD": ("Abdomen", "ABD", "Abdo", "ABDO RES", "Effort ABD", "RIP Abdomen"),
    "SPO2": ("SpO2", "SaO2", "SAO2", "O2 sat", "OSAT"),
    "POS": ("Position", "Pos", "Body Position", "BODY"),
}
_RATES = {"EEG": (100, 125, 128, 200, 256, 512), "AF": (8, 10, 16, 25, 32, 64), "SPO2": (1, 3, 10)}
_LIMITS = {"ECG": 5.0, "AF": 12.0, "THX": 12.0, "ABD": 12.0}


def draw_montage(rng: np.random.Generator) -> WriteMontage:
    """Draw another lab's way of writing a night.

    Parameters
    ----------
    rng : numpy.random.Generator
        The only source of chance.

    Returns
    -------
    WriteMontage
        The same channels under other labels, rates, units and order.
    """
    fast = int(rng.choice(_RATES["EEG"]))
    slow = int(rng.choice(_RATES["AF"]))
    signals = []
    for row in CLEAN.signals:
        label = str(rng.choice(_LABELS[row.channel]))
        if row.channel == "SPO2":
            signals.append(WriteSignal("SPO2", label, "%", int(rng.choice(_RATES["SPO2"])), limit=127.0, low=-1.0))
        elif row.channel == "POS":
            signals.append(WriteSignal("POS", label, "", 1, limit=4.0, low=-1.0))
        elif row.channel in ("AF", "THX", "ABD"):
            unit, factor = (("uV", 100.0), ("mV", 0.5), ("V", 0.1), ("a.u.", 1.0), ("cmH2O", 0.6))[int(rng.integers(5))]
            signals.append(WriteSignal(row.channel, label, unit, slow, factor, _LIMITS[row.channel] * factor))
        elif row.channel == "ECG":
            unit, factor = (("mV", 1.0), ("uV", 1000.0))[int(rng.integers(2))]
            signals.append(WriteSignal("ECG", label, unit, max(fast, 128), factor, 5.0 * factor))
        else:
            unit, factor = (("uV", 1.0), ("uV", 1.0), ("mV", 0.001), ("V", 1e-6))[int(rng.integers(4))]
            signals.append(WriteSignal(row.channel, label, unit, fast, factor, row.limit * factor))
    order = rng.permutation(len(signals))
    return WriteMontage(tuple(signals[i] for i in order))
