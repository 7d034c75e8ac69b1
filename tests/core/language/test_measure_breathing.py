"""Breathing measurements against signals of known rate, shape and phase."""

import numpy as np
import pytest
from numpy.typing import NDArray

from core.language.measure_breathing import measure_breathing
from core.psg.channels import CHANNELS
from core.psg.preprocess import Trace

N = 30
RATE = 32.0
TIME = np.arange(int(N * 30 * RATE)) / RATE
STATES = np.zeros((N, len(CHANNELS)), dtype=np.uint8)
RNG = np.random.default_rng(0)


def breath(rate: float, lag: float = 0.0) -> NDArray[np.float64]:
    return np.sin(2 * np.pi * rate / 60 * TIME - np.radians(lag))


def traces(**signals: NDArray[np.float64]) -> dict[str, Trace]:
    return {name: Trace(name, samples.astype(np.float32), RATE) for name, samples in signals.items()}


@pytest.mark.parametrize("rate", [7.0, 12.0, 15.0, 22.0, 30.0])
@pytest.mark.parametrize("gain", [1e-3, 500.0])
def test_rate_is_known_at_any_gain_and_with_noise(rate: float, gain: float) -> None:
    noisy = gain * (breath(rate) + 0.1 * RNG.standard_normal(len(TIME)) + 0.1 * np.sin(2 * np.pi * 1.1 * TIME) + 7)
    values = measure_breathing(traces(AF=noisy, THX=-noisy, ABD=noisy), STATES, N)
    for name in ("airflow_rate", "thoracic_rate", "abdominal_rate"):
        assert values[name][1:-1] == pytest.approx(rate, abs=0.4)


def test_variability_is_the_spread_of_the_intervals() -> None:
    intervals = 4 + 0.4 * np.random.default_rng(2).standard_normal(400)
    starts = np.cumsum(intervals)
    phase = np.interp(TIME, np.concatenate([[0], starts]), np.arange(401))
    values = measure_breathing(traces(ABD=np.sin(2 * np.pi * phase)), STATES, N)
    assert np.nanmedian(values["abdominal_variability"]) == pytest.approx(0.4, abs=0.12)
    steady = measure_breathing(traces(ABD=breath(15.0)), STATES, N)
    assert np.nanmax(steady["abdominal_variability"][1:-1]) < 0.05


@pytest.mark.parametrize("name", ["AF", "ABD"])
def test_uneven_breaths_all_count(name: str) -> None:
    """Breathing awake: a fiftieth of the breaths is 1.5 times as long as usual, and none of them is a fault."""
    durations = 4 * np.exp(0.2 * np.random.default_rng(13).standard_normal(int(N * 30 / 3)))
    onsets = np.cumsum(durations) - durations
    phase = np.interp(TIME, onsets, np.arange(len(onsets)))
    signal = np.sin(2 * np.pi * phase) if name == "AF" else 1 - np.cos(2 * np.pi * (phase % 1) ** 0.76)
    began = (onsets / 30).astype(int)
    true = np.array([60 / durations[began == epoch].mean() for epoch in range(N)])
    rate = measure_breathing(traces(**{name: signal}), STATES, N)["airflow_rate" if name == "AF" else "abdominal_rate"]
    assert np.mean(np.abs(rate - true)[1:-1] <= 0.5) >= 0.95


def test_shallow_breaths_of_a_cannula_count() -> None:
    """A nasal cannula shows flow to the power of 1.75: a third of a breath is a seventh of its pressure."""
    rng = np.random.default_rng(5)
    durations = 4 * np.exp(0.1 * rng.standard_normal(int(N * 30 / 3)))
    onsets = np.cumsum(durations) - durations
    depths = np.where(rng.random(len(onsets)) < 0.25, 0.33, 1.0)
    breaths = np.searchsorted(onsets, TIME, side="right") - 1
    flow = depths[breaths] * np.sin(2 * np.pi * (TIME - onsets[breaths]) / durations[breaths])
    pressure = np.sign(flow) * np.abs(flow) ** 1.75 + 0.01 * rng.standard_normal(len(TIME))
    began = (onsets / 30).astype(int)
    true = np.array([60 / durations[began == epoch].mean() for epoch in range(N)])
    rate = measure_breathing(traces(AF=pressure), STATES, N)["airflow_rate"]
    assert np.mean(np.abs(rate - true)[1:-1] <= 0.5) >= 0.95


def test_an_apnea_lowers_the_amplitude_and_not_the_rate() -> None:
    flow = breath(15.0) * np.where((TIME % 90 > 60) & (TIME % 90 < 85), 0.02, 1.0)
    values = measure_breathing(traces(AF=flow + 0.02 * RNG.standard_normal(len(TIME))), STATES, N)
    apneic = np.arange(N) % 3 == 2
    assert values["airflow_rate"][~apneic] == pytest.approx(15.0, abs=0.4)
    assert np.all(values["airflow_amplitude"][apneic] < 0.4)
    assert values["airflow_amplitude"][~apneic][1:-1] == pytest.approx(1.0, abs=0.15)


def test_noise_is_not_breathing() -> None:
    values = measure_breathing(traces(AF=RNG.standard_normal(len(TIME)), THX=np.zeros(len(TIME))), STATES, N)
    assert np.isnan(values["airflow_rate"]).all()
    assert np.isnan(values["flow_flatness"]).all()
    assert np.isnan(values["airflow_amplitude"]).all()
    assert np.isnan(values["thoracic_rate"]).all()


def test_a_plateau_is_flatter_than_a_half_sine() -> None:
    rounded = measure_breathing(traces(AF=breath(15.0)), STATES, N)["flow_flatness"]
    flat = measure_breathing(traces(AF=np.clip(3 * breath(15.0), -1, 1)), STATES, N)["flow_flatness"]
    assert rounded == pytest.approx(0.41, abs=0.04)
    assert np.nanmean(flat) > 0.7


@pytest.mark.parametrize("lag", [0.0, 60.0, 120.0, 180.0])
def test_phase_between_the_efforts(lag: float) -> None:
    values = measure_breathing(traces(THX=breath(15.0), ABD=3 * breath(15.0, lag)), STATES, N)
    assert values["effort_phase"] == pytest.approx(lag, abs=3.0)


def test_unrelated_efforts_have_no_phase() -> None:
    values = measure_breathing(traces(THX=breath(15.0), ABD=breath(22.0)), STATES, N)
    assert np.isnan(values["effort_phase"]).all()


def test_a_track_of_one_value_a_second_is_no_breathing_signal() -> None:
    slow = Trace("AF", np.sin(2 * np.pi * 0.25 * np.arange(N * 30)).astype(np.float32), 1.0)
    assert np.isnan(measure_breathing({"AF": slow}, STATES, N)["airflow_rate"]).all()
