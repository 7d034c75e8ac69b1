"""How strongly each EEG derivation sees each kind of brain activity."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Derivation:
    """Amplitude factors of one derivation against C3-M2."""

    name: str
    """Channel name in the simulated night."""
    background: float = 1.0
    """Aperiodic activity."""
    slope: float = 0.0
    """Added to the aperiodic exponent."""
    theta: float = 1.0
    """Theta rhythm."""
    alpha: float = 1.0
    """Alpha rhythm."""
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
    cardiac: float = 1.0
    """Share of the ECG bleed."""


DERIVATIONS: dict[str, Derivation] = {
    row.name: row
    for row in (
        Derivation("EEG_C3", horizontal=-0.05, vertical=0.08),
        Derivation("EEG_C4", horizontal=0.05, vertical=0.08, cardiac=0.8),
        Derivation(
            "EEG_F3",
            1.1,
            0.1,
            alpha=0.8,
            sigma=0.85,
            beta=1.1,
            slow=1.25,
            vertex=0.7,
            muscle=1.3,
            horizontal=-0.16,
            vertical=0.28,
        ),
        Derivation(
            "EEG_F4",
            1.1,
            0.1,
            alpha=0.8,
            sigma=0.85,
            beta=1.1,
            slow=1.25,
            vertex=0.7,
            muscle=1.3,
            horizontal=0.16,
            vertical=0.28,
        ),
        Derivation(
            "EEG_O1", 0.95, 0.0, theta=0.9, alpha=1.8, sigma=0.55, slow=0.75, vertex=0.4, muscle=1.1, vertical=0.02
        ),
        Derivation(
            "EEG_O2", 0.95, 0.0, theta=0.9, alpha=1.8, sigma=0.55, slow=0.75, vertex=0.4, muscle=1.1, vertical=0.02
        ),
        Derivation(
            "EEG_FPZ_CZ", 1.0, 0.05, alpha=0.6, sigma=0.7, slow=1.0, vertex=0.7, muscle=1.5, vertical=0.42, cardiac=0.1
        ),
        Derivation(
            "EEG_PZ_OZ", 0.75, 0.0, theta=0.9, alpha=1.3, sigma=0.55, slow=0.65, vertex=0.4, vertical=0.02, cardiac=0.1
        ),
    )
}
"""Derivations that a night can hold."""

FRONTAL_LEAK = Derivation(
    "EOG", 0.55, 0.15, alpha=0.45, sigma=0.4, beta=0.7, slow=0.75, vertex=0.4, muscle=1.3, cardiac=1.2
)
"""Brain activity that both EOG electrodes see."""
