"""Where the night is recorded: sensors, filters and device settings of a sleep lab."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

AIRFLOW_SENSORS = ("nasal_pressure", "thermistor", "pneumotachograph")
EFFORT_SENSORS = ("rip", "piezo")


@dataclass(frozen=True)
class Breathing:
    """How airflow and belts are recorded; the defaults are DC-coupled sensors that stay where they were put."""

    flow_high_pass: float = 0.0
    """Hz, first-order corner of the airflow; 0 is DC-coupled."""
    flow_low_pass: float = 0.0
    """Hz, first-order corner of the airflow; 0 is none."""
    square_root: bool = False
    """Whether the device takes the square root of the nasal pressure, so that it is flow again."""
    flow_gain: float = 1.0
    """Device units a unit of flow; negative where inspiration points downwards."""
    flow_offset: float = 0.0
    """Device units."""
    flow_noise: float = 0.012
    """Rms of the sensor's noise, 1 is the peak of quiet breathing."""
    belt_high_pass: float = 0.0
    """Hz, first-order corner of the belts; 0 is DC-coupled."""
    belt_low_pass: float = 0.0
    """Hz, first-order corner of the belts; 0 is none."""
    belt_gain: tuple[float, float] = (1.0, 1.0)
    """Device units of abdomen and thorax; negative where inspiration points downwards."""
    belt_noise: float = 0.012
    """Rms of the belts' noise, 1 is a quiet breath."""
    clip: float = 0.0
    """Converter's limit in quiet breaths of airflow and belts; 0 is none."""
    digit: float = 0.0
    """Converter's step in quiet breaths; 0 is none."""
    wander: float = 1.0
    """Factor on the drift of the zero."""
    settling: float = 0.0
    """Spread (natural log) of a sensor's gain from one body position to the next."""
    displaced: float = 0.0
    """Stretches a night in which a sensor shows a fifth to two fifths of the breathing."""
    mouth: float = 0.0
    """Stretches an hour in which the sleeper breathes through the mouth and a nasal sensor shows next to nothing."""


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
    effort: str = "rip"
    """One of ``EFFORT_SENSORS``."""
    breathing: Breathing = field(default_factory=Breathing)
    """How both are recorded."""
    spo2_average: float = 3.0
    """Seconds over which the oximeter averages."""
    spo2_step: float = 1.0
    """% between two values of the oximeter."""
    spo2_delay: float = 0.0
    """Seconds that the oximeter itself is late."""
    spo2_lost: float = 0.0
    """What the oximeter writes without a finger."""
    artefact_rate: float = 1.0
    """Factor on the number of artefacts; 0 is a night without any."""
    trouble: float = 0.0
    """0 to 1: how many of the sensor's faults were drawn; 0 is a lab where somebody watches."""


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
    airflow = str(rng.choice(AIRFLOW_SENSORS, p=(0.66, 0.27, 0.07)))
    effort = "rip" if rng.random() < 0.7 else "piezo"
    trouble = float(rng.beta(1.0, 1.6))
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
        effort=effort,
        breathing=draw_breathing(rng, trouble),
        spo2_average=float(rng.choice([2.0, 3.0, 4.0, 8.0, 12.0], p=(0.15, 0.3, 0.25, 0.2, 0.1))),
        spo2_step=float(rng.choice([1.0, 0.5, 0.1], p=(0.7, 0.1, 0.2))),
        spo2_delay=float(round(rng.exponential(2.0))),
        spo2_lost=float(rng.choice([0.0, 0.0, 127.0, -1.0])),
        artefact_rate=float(rng.lognormal(-0.3, 0.5)) * (0.6 + 1.2 * trouble),
        trouble=round(trouble, 3),
    )


def draw_breathing(rng: np.random.Generator, trouble: float) -> Breathing:
    """Draw how a lab records airflow and effort.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of chance.
    trouble : float
        0 to 1; sensors slip, clip, drift and are noisy the more often.

    Returns
    -------
    Breathing
    """
    flow_corners, how_often = [0.0, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5], (0.3, 0.2, 0.2, 0.14, 0.08, 0.05, 0.03)
    gains = rng.lognormal(0.0, 0.6, 3) * np.where(rng.random(3) < np.array([0.3, 0.15, 0.15]), -1.0, 1.0)
    decade = float(rng.choice([1.0, 1.0, 20.0, 400.0]))  # millivolts of one device are the integers of another
    coarse = float(rng.choice([0.0, 0.01, 0.04, 0.1], p=(0.5, 0.25, 0.15, 0.1)))
    tight = rng.random() < 0.05 + 0.3 * trouble
    return Breathing(
        flow_high_pass=float(rng.choice(flow_corners, p=how_often)),
        flow_low_pass=float(rng.choice([0.0, 5.0, 2.0, 1.0, 0.5], p=(0.4, 0.25, 0.15, 0.12, 0.08))),
        square_root=bool(rng.random() < 0.3),
        flow_gain=float(gains[0] * decade),
        flow_offset=float(rng.choice([0.0, 0.0, 1.0]) * rng.normal(0.0, 3.0) * decade),
        flow_noise=float(rng.lognormal(np.log(0.012), 0.5) * (1 + 3 * trouble)),
        belt_high_pass=float(rng.choice([0.0, 0.03, 0.05, 0.1, 0.3], p=(0.35, 0.2, 0.2, 0.15, 0.1))),
        belt_low_pass=float(rng.choice([0.0, 5.0, 1.0, 0.5], p=(0.5, 0.25, 0.15, 0.1))),
        belt_gain=(float(gains[1] * decade), float(gains[2] * decade)),
        belt_noise=float(rng.lognormal(np.log(0.012), 0.5) * (1 + 3 * trouble)),
        clip=float(rng.uniform(0.9, 2.5)) if tight else 0.0,
        digit=coarse,
        wander=float(rng.lognormal(-0.2, 0.5) * (1 + 2 * trouble)),
        settling=float(0.1 + 0.45 * trouble),
        displaced=float(3.0 * trouble * rng.random()),
        mouth=float(rng.exponential(0.9) * trouble),
    )
