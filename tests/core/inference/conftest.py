from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from core.inference.bundle import load_bundle
from core.inference.engine import Engine
from core.language.measure import measure
from core.psg.channels import CHANNELS, MODEL_CHANNELS
from core.psg.preprocess import prepared_from_array, traces_of
from core.psg.quality import State
from core.psg.store import PreparedStudy
from tests.core.inference.fake_bundle import write_fake_bundle

MakeStudy = Callable[..., PreparedStudy]


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return Engine(load_bundle(write_fake_bundle(tmp_path_factory.mktemp("models") / "fake")), "cpu", batch=5, threads=1)


@pytest.fixture(scope="session")
def make_study() -> MakeStudy:
    """A measured study of `n` epochs; `absent` channels are missing in all of it, `gap` epochs in every channel."""

    @cache
    def make(n: int = 12, seed: int = 0, absent: tuple[str, ...] = (), gap: tuple[int, ...] = ()) -> PreparedStudy:
        generator = np.random.default_rng(seed)
        loudness = generator.uniform(0.2, 2.0, (n, len(MODEL_CHANNELS), 1))
        array = (generator.standard_normal((n, len(MODEL_CHANNELS), 1920)) * loudness).astype(np.float32)
        array[:, MODEL_CHANNELS.index("POS")] = 2.0
        for name in absent:
            if name in MODEL_CHANNELS:
                array[:, MODEL_CHANNELS.index(name)] = -1.0 if name == "POS" else 0.0
        study = prepared_from_array(array, f"night{seed}")
        states = study.states.copy()
        states[list(gap)] = int(State.GAP)
        study = replace(study, states=states)
        tables, notes = measure(traces_of(study), study.states, study.n_epochs).to_tables()
        return replace(study, tables=tables, notes=notes)

    return make


def state_of(study: PreparedStudy, channel: str, epoch: int) -> str:
    column = [entry.name for entry in CHANNELS].index(channel)
    return State(int(study.states[epoch, column])).name.lower()
