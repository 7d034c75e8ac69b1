"""Where the night is recorded: sensors, filters and device settings of a sleep lab."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

AIRFLOW_SENSORS = ("nasal_pressure", "thermistor", "pneumotachograph")
EFFORT_SENSORS = ("rip", "piezo")


@dataclass(frozen=True)
class Lab:
    """Sensors and settings; the defaults are a careful lab with modern amplifiers."""

    high_pass: float = 0.3
    """Hz, first-order corner of the EEG and EOG amplifiers (AASM recommends 0.3)."""
    low_pass: float = 70.0
    """Hz, second-order corner of the EEG and EOG amplifiers."""
    emg_high_pass: float = 10.0
    """Hz, corner of the chin EMG."""
    mains: float = 50.0
    """Hz of the power line."""
    mains_level: float = 0.3
    """µV of hum on every EEG."""
    sensor_noise: float = 0.6
    """µV rms of white amplifier noise."""
    ecg_bleed: float = 0.002
    """Share of the ECG that is seen on the mastoid references."""
    ecg_lead: float = 1.0
    """Factor on the ECG (electrode placement); negative when the lead is turned round."""
    airflow: str = "nasal_pressure"
    """One of ``AIRFLOW_SENSORS``."""
    airflow_high_pass: float = 0.0
    """Hz; 0 is a DC-coupled pressure channel."""
    airflow_gain: float = 1.0
    """Device units a unit of flow."""
    effort: str = "rip"
    """One of ``EFFORT_SENSORS``."""
    effort_gain: tuple[float, float] = (1.0, 1.0)
    """Device units of abdomen and thorax."""
    spo2_average: float = 3.0
    """Seconds over which the oximeter averages."""
    spo2_step: float = 1.0
    """% between two values of the oximeter."""
    artefact_rate: float = 1.0
    """Factor on the number of artefacts; 0 is a night without any."""


def draw_lab(rng: np.random.Generator) -> Lab:
    """Draw a lab: any mixture of the sensors and settings found in practice.

    Parameters
    ----------
    rng : numpy.random.Generator
        The only source of chance.

    Returns
    -------
    Lab
    """
    mains = float(rng.choice([50.0, 60.0]))
    airflow = str(rng.choice(AIRFLOW_SENSORS, p=(0.6, 0.32, 0.08)))
    coupled = airflow == "nasal_pressure" and rng.random() < 0.5
    return Lab(
        high_pass=float(rng.choice([0.16, 0.3, 0.3, 0.5])),
        low_pass=float(rng.choice([35.0, 45.0, 70.0, 100.0])),
        emg_high_pass=float(rng.choice([5.0, 10.0, 10.0, 16.0])),
        mains=mains,
        mains_level=float(rng.lognormal(np.log(0.35), 0.9)),
        sensor_noise=float(rng.lognormal(np.log(0.6), 0.4)),
        ecg_bleed=float(rng.choice([0.0, 0.002, 0.006]) * rng.uniform(0.5, 1.5)),
        ecg_lead=float(rng.uniform(0.6, 1.5) * (-1 if rng.random() < 0.06 else 1)),
        airflow=airflow,
        airflow_high_pass=0.0 if coupled else float(rng.choice([0.03, 0.05, 0.1])),
        airflow_gain=float(rng.lognormal(0.0, 0.6)),
        effort="rip" if rng.random() < 0.7 else "piezo",
        effort_gain=(float(rng.lognormal(0, 0.5)), float(rng.lognormal(0, 0.5))),
        spo2_average=float(rng.choice([2.0, 3.0, 4.0, 8.0])),
        spo2_step=float(rng.choice([1.0, 1.0, 0.5, 0.1])),
        artefact_rate=float(rng.lognormal(0.0, 0.5)),
    )
