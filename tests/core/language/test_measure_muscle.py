"""Chin EMG and position against constructed signals."""

import numpy as np
import pytest
from scipy import signal

from core.language.measure_muscle import measure_chin, measure_position
from core.psg.channels import CHANNELS
from core.psg.preprocess import Trace

N = 12
RATE = 256.0
TIME = np.arange(int(N * 30 * RATE)) / RATE
STATES = np.zeros((N, len(CHANNELS)), dtype=np.uint8)


def chin(samples: np.ndarray) -> dict[str, np.ndarray]:
    return measure_chin({"EMG_CHIN": Trace("EMG_CHIN", samples.astype(np.float32), RATE)}, STATES, N)


def test_median_frequency_halves_the_power_and_ignores_mains() -> None:
    noise = np.random.default_rng(0).standard_normal(len(TIME))
    sections = signal.butter(6, (20, 80), "bandpass", fs=RATE, output="sos")
    values = chin(10 * signal.sosfilt(sections, noise) + 30 * np.sin(2 * np.pi * 50 * TIME))
    assert values["chin_median_frequency"] == pytest.approx(50, abs=3)
    low = signal.butter(6, (12, 40), "bandpass", fs=RATE, output="sos")
    assert chin(signal.sosfilt(low, noise))["chin_median_frequency"] == pytest.approx(26, abs=3)


def test_bursts_raise_the_ratio_and_give_their_rhythm() -> None:
    noise = np.random.default_rng(0).standard_normal(len(TIME))
    steady = chin(noise)
    assert steady["chin_burst_ratio"] == pytest.approx(1.25, abs=0.15)
    assert np.isnan(steady["chin_burst_rate"]).mean() > 0.8
    bursts = chin(noise * np.where(TIME % 0.8 < 0.2, 6.0, 1.0))  # 1.25 Hz
    assert np.all(bursts["chin_burst_ratio"] > 3)
    assert bursts["chin_burst_rate"] == pytest.approx(1.25, abs=0.1)


def test_tone_is_against_the_night() -> None:
    noise = np.random.default_rng(0).standard_normal(len(TIME)) * np.where(TIME < 60, 4.0, 1.0)
    assert chin(noise)["chin_tone"][[0, 1, 5, 8]] == pytest.approx([4, 4, 1, 1], rel=0.1)


def test_position_is_the_one_held_longest() -> None:
    codes = np.repeat([2.0, 0.0, -1.0, 4.0, 1.0, 3.0], 60)
    codes[60:70] = 2.0
    position = measure_position({"POS": Trace("POS", codes.astype(np.float32), 1.0)}, STATES, N)
    assert position.tolist()[:4] == [2, 2, 0, 0]
    assert np.isnan(position[4:6]).all()
    assert position.tolist()[6:] == [4, 4, 1, 1, 3, 3]


def test_no_channel_no_value() -> None:
    assert all(np.isnan(values).all() for values in measure_chin({}, STATES, N).values())
    assert np.isnan(measure_position({}, STATES, N)).all()
