"""Who sleeps: the traits that shape a simulated night."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

HEART_CONDITIONS = ("none", "ectopy", "atrial_fibrillation", "heart_failure")


@dataclass(frozen=True)
class Subject:
    """Traits of one sleeper; every field has a physiological unit."""

    age: float
    """Years."""
    sex: str
    """``"F"`` or ``"M"``."""
    eeg_gain: float
    """Factor on every cortical amplitude (skull, scalp, montage distance); 1 is typical."""
    slow_wave_gain: float
    """Factor on slow-wave amplitude; falls with age."""
    alpha_gain: float
    """Factor on alpha amplitude in relaxed wakefulness; near 0 in people without alpha."""
    alpha_frequency: float
    """Hz, the peak of the occipital rhythm."""
    spindle_frequency: float
    """Hz, mean of the central spindles."""
    spindle_density: float
    """Spindles a minute of N2."""
    spindle_amplitude: float
    """µV, mean peak amplitude at the vertex."""
    slope_shift: float
    """Added to the aperiodic exponent of every stage."""
    emg_tone: float
    """µV rms of the chin EMG in quiet wakefulness."""
    heart_rate: float
    """Beats a minute in N2."""
    rsa: float
    """Beats a minute, amplitude of the respiratory sinus arrhythmia in N2."""
    heart: str
    """One of ``HEART_CONDITIONS``."""
    breath_rate: float
    """Breaths a minute in N2."""
    ahi: float
    """Apneas and hypopneas an hour of sleep aimed at."""
    apnea_mix: tuple[float, float, float, float]
    """Shares of obstructive apneas, central apneas, mixed apneas and hypopneas."""
    rera_index: float
    """RERAs an hour of sleep."""
    arousal_index: float
    """Spontaneous arousals an hour of sleep."""
    limb_index: float
    """Limb movements an hour of sleep."""
    fragmentation: float
    """0 (solid sleep) to 1 (broken sleep)."""
    sleep_latency: float
    """Minutes of wake before sleep."""
    supine_share: float
    """Share of the night on the back."""
    spo2: float
    """% oxygen saturation in quiet breathing."""
    desaturation_rate: float
    """% lost each second of apnea."""
    oxygen_lag: float
    """Seconds from the lung to the finger."""
    event_seconds: float = 20.0
    """Median length of an apnea or hypopnea in NREM sleep."""
    supine_factor: float = 2.0
    """How many times more often breathing is obstructed on the back."""
    rem_factor: float = 1.5
    """How many times more often breathing is obstructed in REM sleep than in N2."""
    clustering: float = 0.7
    """Spread (natural log) of the hazard of events over the night; 0 is even."""
    hypopnea_flow: tuple[float, float] = (0.2, 0.6)
    """Smallest and largest share of the flow that is left in a hypopnea."""
    hyperpnea: float = 0.5
    """How much deeper the first breath after an event is, as a share of a quiet breath."""
    unevenness: float = 1.0
    """Factor on the variability of breath intervals and depths."""
    inspiration: float = 0.42
    """Share of the breath that is inspiration."""
    expired_peak: float = 0.85
    """Peak flow of expiration against that of inspiration."""
    onset_waxing: float = 0.0
    """Depth of the waxing and waning of breathing while falling asleep, 0 to 1."""
    sighs: float = 4.0
    """Sighs an hour."""
    theta_gain: float = 1.0
    """Factor on the amplitude of the theta rhythms."""
    sigma_gain: float = 1.0
    """Factor on the amplitude of the sigma activity outside spindles."""
    beta_gain: float = 1.0
    """Factor on the amplitude of the beta rhythms."""
    restlessness: float = 0.5
    """How much the EEG of wake swells and falls with small movements: spread (natural log) of its power."""


def draw_subject(rng: np.random.Generator) -> Subject:
    """Draw an adult from a sleep lab's clientele.

    Parameters
    ----------
    rng : numpy.random.Generator
        The only source of chance.

    Returns
    -------
    Subject
        Age 20-80, a third without sleep apnea, the rest from mild to severe.
    """
    age = float(rng.uniform(20, 80))
    sex = "F" if rng.random() < 0.45 else "M"
    old = (age - 20) / 60
    heart = str(rng.choice(HEART_CONDITIONS, p=(0.80 - 0.2 * old, 0.12, 0.04 + 0.1 * old, 0.04 + 0.1 * old)))
    severity = rng.random()
    ahi = float(rng.uniform(0, 5) if severity < 0.35 else rng.lognormal(np.log(18), 0.7))
    mix = rng.dirichlet(np.array([2.0, 3.0 if heart == "heart_failure" else 0.25, 0.4, 3.0]) * 1.5)
    steady = float(rng.uniform(0.08, 0.3))
    subject = Subject(
        age=round(age, 1),
        sex=sex,
        eeg_gain=float(rng.lognormal(-0.03, 0.22)) * (1.08 if sex == "F" else 1.0),
        slow_wave_gain=float(rng.lognormal(np.log(1.1 - 0.45 * old), 0.2)),
        alpha_gain=float(rng.lognormal(-0.12, 0.48)),
        alpha_frequency=float(np.clip(rng.normal(10.3 - 1.0 * old, 0.6), 8.2, 11.3)),
        spindle_frequency=float(np.clip(rng.normal(13.2, 0.45), 12.0, 14.4)),
        spindle_density=float(np.clip(rng.normal(4.2 - 2.0 * old, 1.0), 0.8, 8.0)),
        spindle_amplitude=float(np.clip(rng.normal(29 - 6 * old, 5), 14, 44)),
        slope_shift=float(rng.normal(0.02 - 0.06 * old, 0.12)),
        emg_tone=float(rng.lognormal(np.log(12.0), 0.4)),
        heart_rate=float(np.clip(rng.normal(62 + (3 if sex == "F" else 0), 8), 44, 88)),
        rsa=float(rng.lognormal(np.log(4.5 - 3.2 * old), 0.35)),
        heart=heart,
        breath_rate=float(np.clip(rng.normal(14.8, 1.8), 10.5, 20)),
        ahi=min(ahi, 90.0),
        apnea_mix=(float(mix[0]), float(mix[1]), float(mix[2]), float(mix[3])),
        rera_index=float(rng.exponential(2.0)),
        arousal_index=float(rng.uniform(5, 18)),
        limb_index=float(rng.exponential(20.0) if rng.random() < 0.25 + 0.3 * old else rng.uniform(0, 3)),
        fragmentation=float(np.clip(rng.beta(2, 4) + 0.15 * old + min(ahi, 60) / 300, 0, 1)),
        sleep_latency=float(np.clip(rng.lognormal(np.log(14), 0.6), 3, 60)),
        supine_share=float(rng.beta(2, 2.5)),
        spo2=float(np.clip(rng.normal(96.3 - 1.6 * old, 0.9), 91.5, 98.5)),
        desaturation_rate=float(rng.lognormal(np.log(0.36), 0.42) * (1 + min(ahi, 60) / 120)),
        oxygen_lag=float(rng.uniform(8, 24) + (8 if heart == "heart_failure" else 0)),
    )
    return _with_habits(rng, subject, steady)


def _with_habits(rng: np.random.Generator, subject: Subject, steady: float) -> Subject:
    """Add how this sleeper breathes; `steady` is the flow left in the deepest hypopnea."""
    return replace(
        subject,
        event_seconds=float(np.clip(rng.lognormal(np.log(19.5), 0.25), 12.5, 38)),
        supine_factor=float(rng.lognormal(np.log(1.8), 0.5)),
        rem_factor=float(rng.lognormal(np.log(1.5), 0.5)),
        clustering=float(rng.uniform(0.3, 1.2)),
        hypopnea_flow=(steady, float(rng.uniform(max(steady + 0.1, 0.45), 0.75))),
        hyperpnea=float(rng.uniform(0.15, 1.1)),
        unevenness=float(rng.lognormal(0.0, 0.3)),
        inspiration=float(np.clip(rng.normal(0.42, 0.04), 0.33, 0.52)),
        expired_peak=float(np.clip(rng.normal(0.85, 0.15), 0.5, 1.25)),
        onset_waxing=float(np.clip(rng.normal(0.15, 0.25), 0.0, 0.8)),
        sighs=float(rng.gamma(3.0, 1.6)),
        theta_gain=float(rng.lognormal(-0.12, 0.35)),
        sigma_gain=float(rng.lognormal(-0.1, 0.3)),
        beta_gain=float(rng.lognormal(-0.12, 0.38)),
        restlessness=float(rng.lognormal(np.log(0.5), 0.35)),
    )
