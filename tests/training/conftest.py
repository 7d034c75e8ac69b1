"""Small prepared studies whose signals show their stage, so that a network can learn from a few steps."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.language.measure import measure
from core.psg.channels import CHANNELS, MODEL_CHANNELS
from core.psg.preprocess import traces_of
from core.psg.scoring import STAGES, Event, Scoring
from core.psg.store import PreparedStudy, write_store

TONES = {"W": 10.0, "N1": 5.0, "N2": 13.0, "N3": 1.0, "R": 20.0}
"""Frequency of the EEG in Hz that stands for a stage."""
RATE = 64
SAMPLES = 30 * RATE


def signals_of(stages: tuple[str, ...], rng: np.random.Generator) -> np.ndarray:
    """[N, 10, 1920]: a tone a stage in EEG and EOG, breathing at 0.25 Hz, a pulse a second, noise elsewhere."""
    seconds = np.arange(SAMPLES) / RATE
    signals = 0.3 * rng.standard_normal((len(stages), len(MODEL_CHANNELS), SAMPLES)).astype(np.float32)
    for epoch, stage in enumerate(stages):
        tone = np.sin(2 * np.pi * (TONES[stage] * seconds + rng.random()))
        for name in ("EEG_C3", "EEG_C4", "EOG_L", "EOG_R"):
            signals[epoch, MODEL_CHANNELS.index(name)] += tone
    for name in ("ABD", "THX", "AF"):
        signals[:, MODEL_CHANNELS.index(name)] += np.sin(2 * np.pi * 0.25 * seconds)
    signals[:, MODEL_CHANNELS.index("ECG")] += 5.0 * (np.arange(SAMPLES) % RATE < 2)
    signals[:, MODEL_CHANNELS.index("POS")] = 2.0
    return np.clip(signals, -6, 6)


def prepared_study(name: str, epochs: int, seed: int) -> PreparedStudy:
    """A study with measurements, stages, and an apnea of 15 s in every eighth epoch."""
    rng = np.random.default_rng(seed)
    stages = tuple(STAGES[i] for i in rng.integers(len(STAGES), size=epochs))
    events = tuple(Event("obstructive_apnea", 30.0 * e + 5.0, 15.0) for e in range(0, epochs, 8))
    study = PreparedStudy(
        study=name,
        start=None,
        source_hash=f"{seed:064x}",
        signals=signals_of(stages, rng),
        extras={"SPO2": np.full((epochs, SAMPLES), 0.6, np.float32)},
        offset={channel.name: 90.0 if channel.name == "SPO2" else 0.0 for channel in CHANNELS},
        scale={channel.name: 10.0 if channel.name in ("SPO2",) else 1.0 for channel in CHANNELS},
        states=np.zeros((epochs, len(CHANNELS)), np.uint8),
        scoring=Scoring(stages, events, source="test"),
    )
    tables, notes = measure(traces_of(study), study.states, epochs).to_tables()
    return PreparedStudy(**{**vars(study), "tables": tables, "notes": notes})


@pytest.fixture(scope="session")
def stores(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """Three prepared studies of three subjects, 48 epochs each."""
    folder = tmp_path_factory.mktemp("stores")
    paths = tuple(folder / f"night{seed}.psg" for seed in (1, 2, 3))
    for seed, path in enumerate(paths, start=1):
        write_store(prepared_study(path.stem, 48, seed), path)
    return paths


@pytest.fixture
def make_study() -> Callable[[str, int, int], PreparedStudy]:
    return prepared_study
