from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from core.psg.alternatives import dead_share, load_living
from core.psg.channels import resolve
from core.psg.montage import Montage, read_montage
from core.psg.preprocess import Trace
from core.psg.recording import Recording, open_recording
from tests.core.psg.edf_files import Signal, edf_bytes

SECONDS, RATE = 600, 16
RANDOM = np.random.default_rng(8)


def breaths(scale: float = 20_000, share: float = 1.0) -> NDArray[np.int32]:
    """Fifteen breaths a minute with noise, for a share of the recording and silent after it."""
    t = np.arange(SECONDS * RATE) / RATE
    wave = scale * np.sin(2 * np.pi * 0.25 * t) + scale / 50 * RANDOM.standard_normal(t.size)
    wave[int(share * t.size) :] = 0
    return wave.astype(np.int32).reshape(SECONDS, RATE)


def hiss(scale: float = 50) -> NDArray[np.int32]:
    """Noise of an open input."""
    return (scale * RANDOM.standard_normal((SECONDS, RATE))).astype(np.int32)


def opened(folder: Path, signals: Sequence[tuple[str, NDArray[np.int32]]]) -> Recording:
    path = folder / "night.edf"
    path.write_bytes(edf_bytes([Signal(label, data, {"unit": ""}) for label, data in signals]))
    return open_recording(path)


def taken(recording: Recording, montage: Montage | None = None) -> tuple[str, str, tuple[str, ...]]:
    found, traces = load_living(recording, resolve(recording.signals, montage), ("AF",))
    return found.source("AF").labels[0], found.source("AF").reason, traces["AF"].repairs


@pytest.mark.parametrize("dead", [np.zeros((SECONDS, RATE), np.int32), hiss(), hiss(0.6), breaths(share=0.2)])
def test_a_live_thermistor_stands_in_for_a_dead_nasal_pressure(tmp_path: Path, dead: NDArray[np.int32]) -> None:
    recording = opened(tmp_path, [("Nasal Pressure", dead), ("Thermistor", breaths())])
    label, reason, repairs = taken(recording)
    assert label == "Thermistor"
    assert "'Nasal Pressure' shows no signal" in reason
    assert "'Thermistor' was taken" in repairs[0]


@pytest.mark.parametrize("second", [breaths(), hiss()])
def test_a_living_first_choice_stands(tmp_path: Path, second: NDArray[np.int32]) -> None:
    recording = opened(tmp_path, [("Nasal Pressure", breaths(share=0.7)), ("Thermistor", second)])
    label, _, repairs = taken(recording)
    assert (label, repairs) == ("Nasal Pressure", ())


def test_where_all_are_dead_the_first_choice_stands(tmp_path: Path) -> None:
    recording = opened(tmp_path, [("Nasal Pressure", hiss()), ("Thermistor", hiss())])
    assert taken(recording)[0] == "Nasal Pressure"


def test_a_montage_decides_over_quality(tmp_path: Path) -> None:
    recording = opened(tmp_path, [("Nasal Pressure", hiss()), ("Thermistor", breaths())])
    (tmp_path / "lab.toml").write_text('[channels]\nAF = "Nasal Pressure"\n')
    assert taken(recording, read_montage(tmp_path / "lab.toml"))[0] == "Nasal Pressure"


def test_the_exchange_frees_the_first_signal(tmp_path: Path) -> None:
    recording = opened(tmp_path, [("Nasal Pressure", hiss()), ("Thermistor", breaths())])
    found, _ = load_living(recording, resolve(recording.signals))
    assert found.unused == ("Nasal Pressure",)


def test_of_two_signals_of_one_label_the_living_is_taken(tmp_path: Path) -> None:
    recording = opened(tmp_path, [("Airflow", hiss()), ("Airflow", breaths())])
    found, _ = load_living(recording, resolve(recording.signals))
    assert found.source("AF").signals == (1,)


def test_rest_is_no_death_for_saturation_and_position() -> None:
    for name, value in (("SPO2", 97.0), ("POS", 2.0)):
        assert dead_share(Trace(name, np.full(600, value, np.float32), 1.0)) == 0
    assert dead_share(Trace("SPO2", np.full(600, np.nan, np.float32), 1.0)) == 1


def brain(scale: float) -> NDArray[np.int32]:
    return (scale * RANDOM.standard_normal((SECONDS, 64))).astype(np.int32)


def test_another_derivation_stands_in_where_every_central_eeg_is_dead(tmp_path: Path) -> None:
    path = tmp_path / "night.edf"
    signals = {"C3-M2": 0.0, "C4-M1": 0.3, "Fz-M1": 0.0, "F4-M1": 9000.0, "O2-M1": 9000.0}
    path.write_bytes(edf_bytes([Signal(label, brain(scale)) for label, scale in signals.items()]))
    recording = open_recording(path)
    found, traces = load_living(recording, resolve(recording.signals))
    assert found.source("EEG_C4").labels == ("F4-M1",)
    assert found.source("EEG_C4").state == "substitute"
    assert found.source("EEG_C3").state == "missing"
    assert "'C3-M2', 'C4-M1'" in traces["EEG_C4"].repairs[0]
    assert set(found.unused) == {"C3-M2", "C4-M1", "Fz-M1", "O2-M1"}


def test_one_living_central_eeg_needs_no_stand_in(tmp_path: Path) -> None:
    path = tmp_path / "night.edf"
    signals = {"C3-M2": 0.0, "C4-M1": 9000.0, "F3-M2": 9000.0}
    path.write_bytes(edf_bytes([Signal(label, brain(scale)) for label, scale in signals.items()]))
    recording = open_recording(path)
    found, _ = load_living(recording, resolve(recording.signals))
    assert [found.source(name).labels for name in ("EEG_C3", "EEG_C4")] == [("C3-M2",), ("C4-M1",)]
