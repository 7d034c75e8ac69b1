"""Saturation and desaturations against a curve with known dips."""

import numpy as np
import pytest
from numpy.typing import NDArray

from core.language.measure_oxygen import desaturations, measure_oxygen
from core.psg.channels import CHANNELS
from core.psg.preprocess import Trace

N = 20
STATES = np.zeros((N, len(CHANNELS)), dtype=np.uint8)


def dips(depths: list[float], every: float = 80.0, base: float = 96.0) -> NDArray[np.float64]:
    """A dip of 25 s down and 15 s up begins every ``every`` seconds from 30 s on."""
    curve = np.full(N * 30, base)
    time = np.arange(N * 30, dtype=float)
    for place, depth in enumerate(depths):
        start = 30 + place * every
        curve -= np.interp(time, [start, start + 25, start + 40], [0, depth, 0], left=0, right=0)
    return curve


def spo2(samples: NDArray[np.float64], rate: float = 1.0) -> dict[str, Trace]:
    return {"SPO2": Trace("SPO2", np.repeat(samples, int(rate)).astype(np.float32), rate)}


@pytest.mark.parametrize("rate", [1.0, 4.0, 64.0])
@pytest.mark.parametrize("rounded", [True, False])
def test_dips_of_three_points_and_more_are_desaturations(rate: float, rounded: bool) -> None:
    curve = dips([5, 2, 4, 8, 2, 6])
    measured = measure_oxygen(spo2(np.round(curve) if rounded else curve, rate), STATES, N)
    assert [round((event.onset - 30) / 80) for event in measured.events] == [0, 2, 3, 5]
    for event in measured.events:
        assert (event.onset - 30) % 80 < 5
        assert 25 <= event.duration <= 42
    assert measured.depths == pytest.approx([5, 4, 8, 6], abs=0.6)


def test_overlapping_dips_are_told_apart() -> None:
    found = desaturations(dips([6] * 8, every=42.0))
    assert len(found) == 8


def test_a_slow_drift_is_no_desaturation() -> None:
    assert desaturations(np.linspace(97, 92, 1800)) == ()


def test_epoch_values() -> None:
    measured = measure_oxygen(spo2(dips([8])), STATES, N)
    assert measured.values["spo2_mean"][5:] == pytest.approx(96.0)
    assert measured.values["spo2_min"][1] == pytest.approx(88.0, abs=0.4)
    assert measured.values["spo2_max"][1] == pytest.approx(96.0, abs=0.1)
    assert measured.below_90.sum() == pytest.approx(10, abs=2)


def test_a_probe_that_slips_off_is_not_a_desaturation() -> None:
    curve = np.full(N * 30, 96.0)
    curve[100:160] = 0.0
    curve[300:310] = 60.0  # falls 36 points in a second
    measured = measure_oxygen(spo2(curve), STATES, N)
    assert measured.events == ()
    assert np.nanmin(measured.values["spo2_min"]) == pytest.approx(96.0)
    assert np.isnan(measured.values["spo2_mean"][4])


def test_trends_follow_the_curve() -> None:
    falling = np.full(N * 30, 96.0)
    falling[60:90] = np.linspace(96, 90, 30)
    measured = measure_oxygen(spo2(falling), STATES, N)
    assert [trend.direction for trend in measured.trends[2]] == ["decreasing"]
    assert [trend.direction for trend in measured.trends[10]] == ["stable"]
    assert measured.trends[10][0].start == 0
    assert measured.trends[10][0].end == 30


def test_without_an_oximeter_there_is_nothing() -> None:
    measured = measure_oxygen({}, STATES, N)
    assert np.isnan(measured.values["spo2_mean"]).all()
    assert measured.events == ()
    assert measured.trends == [()] * N


@pytest.mark.parametrize("scaling", [0.0, 0.02])
def test_extremes_stand_in_the_oximeters_own_step(scaling: float) -> None:
    flicker = np.tile([96.0, 97.0], 30).astype(np.float32) + np.float32(scaling)
    states = np.zeros((1, len(CHANNELS)), dtype=np.uint8)
    values = measure_oxygen({"SPO2": Trace("SPO2", flicker, 2.0)}, states, 1).values
    assert (values["spo2_min"][0], values["spo2_max"][0]) == (96, 97)
    assert values["spo2_mean"][0] == pytest.approx(96.5, abs=0.03)
    fine = np.full(60, 96.46, dtype=np.float32)
    values = measure_oxygen({"SPO2": Trace("SPO2", fine, 2.0)}, states, 1).values
    assert values["spo2_min"][0] == pytest.approx(96.46, abs=0.001)
