"""What is true of a simulated night: the ground that measurements and models are judged on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STAGES = ("W", "N1", "N2", "N3", "R")
EPOCH_SECONDS = 30.0


@dataclass(frozen=True)
class Span:
    """Something that begins and lasts."""

    type: str
    """What it is, such as ``"spindle"`` or ``"obstructive_apnea"``."""
    onset: float
    """Seconds from the start of the recording."""
    duration: float
    """Seconds."""
    amplitude: float = 0.0
    """Peak-to-peak for waves (µV), depth for desaturations (%); 0 where it has no meaning."""
    frequency: float = 0.0
    """Hz, for oscillations."""
    channels: tuple[str, ...] = ()
    """Channels touched, for artefacts; empty for all that carry the thing."""

    @property
    def end(self) -> float:
        """Seconds from the start of the recording at which it is over."""
        return self.onset + self.duration


@dataclass(frozen=True)
class EpochTruth:
    """One 30-second epoch."""

    stage: str
    """One of ``STAGES``."""
    position: int
    """0 right, 1 left, 2 supine, 3 prone, 4 upright."""
    heart_rate: float
    """Beats a minute, from the mean beat interval."""
    heart_rate_min: float
    """Slowest beat to beat rate, beats a minute."""
    heart_rate_max: float
    """Fastest beat to beat rate, beats a minute."""
    breath_rate: float
    """Breaths a minute, from the mean interval of efforts to breathe; 0 when there is none."""
    spo2_mean: float
    """% oxygen saturation at the sensor before averaging and rounding."""
    spo2_min: float
    """%."""
    spo2_max: float
    """%."""
    clean: bool
    """No artefact touches the epoch."""


@dataclass(frozen=True)
class NightTruth:
    """Everything that is known about one simulated night."""

    epochs: tuple[EpochTruth, ...]
    """One for each 30 seconds."""
    events: tuple[Span, ...]
    """Scorable events, in order of onset; types as in ``core.psg.scoring.EVENT_TYPES``."""
    beats: NDArray[np.float64]
    """Seconds of the R peaks, shape (n,)."""
    ectopic: NDArray[np.bool_]
    """Which beats are premature, shape (n,)."""
    breaths: NDArray[np.float64]
    """Onset (s), duration (s), airflow amplitude and effort amplitude (1 is quiet breathing), shape (n, 4)."""
    spindles: tuple[Span, ...]
    """Sleep spindles."""
    slow_waves: tuple[Span, ...]
    """Slow waves of N3 (and N2) that stand at least 75 µV high in the first derivation."""
    k_complexes: tuple[Span, ...]
    """K-complexes."""
    vertex_waves: tuple[Span, ...]
    """Vertex sharp waves."""
    sawtooth_waves: tuple[Span, ...]
    """Trains of sawtooth waves in REM sleep."""
    eye_movements: tuple[Span, ...]
    """Slow and rapid eye movements, and blinks."""
    artefacts: tuple[Span, ...]
    """Where a channel does not show the body."""
    positions: tuple[Span, ...]
    """Body positions; ``type`` is the name, they cover the night."""
    spo2: NDArray[np.float32]
    """% saturation at 1 Hz before averaging and rounding, shape (seconds,)."""
    lights_off: float
    """Seconds."""
    lights_on: float
    """Seconds."""
