"""Artefacts of every kind fit spans of every length."""

import numpy as np
import pytest

from core.psg.simulate.artefacts import _electrode
from core.psg.simulate.lab import Lab

RATE = 256.0


@pytest.mark.parametrize("kind", ["pop", "mains", "sweat", "ecg_bleed", "detached"])
def test_electrode_artefact_has_the_length_of_its_span(kind: str) -> None:
    rng = np.random.default_rng(0)
    for n in rng.integers(200, 60_000, size=200):
        piece = _electrode(rng, kind, np.zeros(n), RATE, Lab(), np.zeros(n))
        assert piece.shape == (n,)
        assert np.isfinite(piece).all()
