"""How strongly each EEG derivation sees each kind of brain activity."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Derivation:
    """Amplitude factors of one derivation against C3-M2."""

    background: float = 1.0
    """Aperiodic activity."""
    slope: float = 0.0
    """Added to the aperiodic exponent."""
    theta: float = 1.0
    """Theta rhythm."""
    alpha: float = 1.0
    """Occipital alpha rhythm, of wake above all."""
    frontal_alpha: float = 1.0
    """Frontal rhythm of 9 to 11 Hz of NREM sleep."""
    sigma: float = 1.0
    """Spindles and sigma rhythm."""
    beta: float = 1.0
    """Beta rhythm."""
    slow: float = 1.0
    """Slow waves and K-complexes."""
    vertex: float = 1.0
    """Vertex and sawtooth waves."""
    muscle: float = 1.0
    """Scalp muscle."""
    horizontal: float = 0.0
    """Leak of horizontal eye movements."""
    vertical: float = 0.0
    """Leak of vertical eye movements and blinks."""
    shared: float = 0.72
    """Share of the power of the background that all derivations have in common."""
    cardiac: float = 1.0
    """Share of the ECG bleed."""


_FRONTAL = {
    "background": 1.1,
    "slope": 0.1,
    "alpha": 0.75,
    "frontal_alpha": 1.3,
    "sigma": 0.85,
    "beta": 1.1,
    "slow": 1.25,
    "vertex": 0.7,
}
_OCCIPITAL = {
    "background": 0.9,
    "theta": 0.9,
    "alpha": 1.6,
    "frontal_alpha": 0.6,
    "sigma": 0.55,
    "beta": 0.85,
    "slow": 0.75,
    "vertex": 0.4,
}
_FPZ_CZ = {
    "background": 0.97,
    "slope": 0.06,
    "alpha": 0.35,
    "frontal_alpha": 1.2,
    "sigma": 0.55,
    "beta": 0.85,
    "slow": 0.98,
    "vertex": 0.7,
    "vertical": 0.7,
    "cardiac": 0.1,
}
_PZ_OZ = {
    "background": 0.85,
    "slope": 0.18,
    "theta": 1.34,
    "alpha": 0.72,
    "frontal_alpha": 0.9,
    "sigma": 0.55,
    "beta": 0.7,
    "slow": 0.62,
    "vertex": 0.4,
    "muscle": 1.8,
    "vertical": 0.02,
    "cardiac": 0.1,
}

DERIVATIONS: dict[str, Derivation] = {
    "EEG_C3": Derivation(horizontal=-0.05, vertical=0.08),
    "EEG_C4": Derivation(horizontal=0.05, vertical=0.08, cardiac=0.8),
    "EEG_F3": Derivation(**_FRONTAL, muscle=1.3, horizontal=-0.16, vertical=0.28),
    "EEG_F4": Derivation(**_FRONTAL, muscle=1.3, horizontal=0.16, vertical=0.28),
    "EEG_O1": Derivation(**_OCCIPITAL, muscle=1.1, vertical=0.02),
    "EEG_O2": Derivation(**_OCCIPITAL, muscle=1.1, vertical=0.02),
    "EEG_FPZ_CZ": Derivation(**_FPZ_CZ),
    "EEG_PZ_OZ": Derivation(**_PZ_OZ),
}
"""Derivations that a night can hold, by channel name; factors against C3-M2."""

FRONTAL_LEAK = Derivation(
    background=0.64,
    slope=0.25,
    theta=0.5,
    alpha=0.22,
    frontal_alpha=0.65,
    sigma=0.2,
    beta=0.35,
    slow=0.7,
    vertex=0.4,
    muscle=0.5,
    shared=0.3,
    cardiac=1.2,
)
"""Brain and scalp activity that both EOG electrodes see."""
