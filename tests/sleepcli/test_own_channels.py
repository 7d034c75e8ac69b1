"""Channels beside the eleven, on the whole way: recording, prepared study, training, bundle, captions."""

import json
from pathlib import Path

import numpy as np
import pytest
from edfio import Edf, EdfSignal

from core.psg.store import open_store
from tests.sleepcli.conftest import Command

pytest.importorskip("torch")

EPOCHS, RATE = 10, 128
MOVES = (65.0, 128.0, 260.0)
"""Onsets of movements of the left leg, 2 s each."""
RECIPE = """
preset = "tiny"
max_steps = 2
batch_size = 4
held_out = 0.5
validation_epochs = 4
[model]
channels = ["EEG_C3", "LEG_L", "LEG_R", "SNORE", "ACC"]
"""


def record(path: Path, seed: int, labels: tuple[str, ...]) -> None:
    rng = np.random.default_rng(seed)
    signals = []
    for label in labels:
        wave = rng.standard_normal(EPOCHS * 30 * RATE) * (20.0 if label.startswith("EEG") else 2.0)
        if label == "LAT":
            for onset in MOVES:
                wave[int(onset * RATE) : int((onset + 2) * RATE)] *= 15.0
        unit = "" if label in ("Snore", "ACC X") else "uV"
        signals.append(EdfSignal(wave, RATE, label=label, physical_dimension=unit, physical_range=(-300, 300)))
    Edf(signals).write(path)
    rows = "".join(f"{k},{30 * k},30,N2\n" for k in range(EPOCHS))
    path.with_suffix(".stages.csv").write_text("epoch,onset,duration,stage\n" + rows, encoding="utf-8")


@pytest.fixture
def nights(tmp_path: Path) -> Path:
    folder = tmp_path / "nights"
    folder.mkdir()
    record(folder / "a.edf", 1, ("EEG C3-M2", "LAT", "RAT", "Snore", "ACC X"))
    record(folder / "b.edf", 2, ("EEG C3-M2", "LAT"))
    (tmp_path / "lab.toml").write_text(RECIPE, encoding="utf-8")
    return folder


def test_legs_snoring_and_movement_from_the_recording_to_captions_of_a_model_of_ones_own(
    program: Command, nights: Path, tmp_path: Path
):
    assert program("prepare", nights, "--out", "prepared").returncode == 0
    study = open_store(tmp_path / "prepared" / "a.psg")
    channels = ("EEG_C3", "LEG_L", "LEG_R", "SNORE", "ACC")
    assert (study.present(channels) == 1).all()
    assert (study.present(channels)[:, 0] == 1).all()
    assert np.abs(study.stack(channels)).max() > 1.0
    other = open_store(tmp_path / "prepared" / "b.psg")
    assert other.present(channels).tolist() == [[1, 1, 0, 0, 0]] * EPOCHS
    assert not other.stack(channels)[:, 2:].any()
    words = ("train", "prepared", "--recipe", "lab.toml", "--out", "run", "--device", "cpu", "--threads", "1")
    assert program(*words).returncode == 0
    done = program("export", "run", "--out", "model")
    assert done.returncode == 0, done.stderr
    for place in ("nights/b.edf", "prepared/b.psg"):
        done = program("caption", place, "--model", "model", "--no-scoring", "--json")
        assert done.returncode == 0, done.stderr
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        assert rows[0]["channels"] == {
            **{"EEG_C3": "ok", "LEG_L": "ok"},
            **{"LEG_R": "missing", "SNORE": "missing", "ACC": "missing"},
        }
        onsets = {event["onset"] for row in rows for event in row["events"] if event["type"] == "limb_movement"}
        assert sorted(round(onset) for onset in onsets) == [round(onset) for onset in MOVES]


def test_a_channel_that_does_not_exist_is_one_sentence(program: Command, nights: Path, tmp_path: Path):
    assert program("prepare", nights, "--out", "prepared").returncode == 0
    (tmp_path / "lab.toml").write_text(RECIPE.replace("SNORE", "SNOER"), encoding="utf-8")
    done = program("train", "prepared", "--recipe", "lab.toml", "--out", "run", "--device", "cpu")
    assert done.returncode == 2
    assert "There is no channel 'SNOER'" in done.stderr
