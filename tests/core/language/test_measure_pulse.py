"""Heart rate from an oximeter's pulse, where the ECG gives none."""

import numpy as np
import pytest

from core.language.measure import measure
from core.language.measure_cardiac import measure_cardiac
from core.language.measure_pulse import pulse_course
from core.psg.channels import CHANNELS
from core.psg.preprocess import Trace
from core.psg.quality import State

N = 6
STATES = np.full((N, len(CHANNELS)), State.MISSING, dtype=np.uint8)
COURSE = np.where(np.arange(N * 30) < 90, 60.0, 75.0).astype(np.float32)
COURSE[35:50] = np.nan  # more than ten seconds of the second epoch
RATES = ("heart_rate_min", "heart_rate_mean", "heart_rate_max")


@pytest.mark.parametrize("rate", [0.5, 1.0, 3.0])
def test_the_pulse_gives_rates_and_trends_and_nothing_else(rate: float) -> None:
    seconds = np.floor(np.arange(int(N * 30 * rate)) / rate).astype(int)
    found = measure({"PULSE": Trace("PULSE", COURSE[seconds], rate)}, STATES, N)
    for name in RATES:
        np.testing.assert_array_equal(found.values[name], [60, np.nan, 60, 75, 75, 75])
    assert np.isnan(found.values["beat_rate"]).all()
    assert np.isnan(found.values["rmssd"]).all()
    assert [len(row) for row in found.trends] == [1, 0, 1, 1, 1, 1]


def test_a_rising_pulse_is_a_trend() -> None:
    course = np.concatenate([np.full(30, 60.0), np.linspace(60, 90, 30)]).astype(np.float32)
    found = measure({"PULSE": Trace("PULSE", course, 1.0)}, STATES[:2], 2)
    assert [trend.direction for trend in found.trends[1]] == ["increasing"]
    assert found.values["heart_rate_min"][1] == pytest.approx(60, abs=1)
    assert found.values["heart_rate_max"][1] == pytest.approx(90, abs=1)


def test_where_the_ecg_gives_a_rate_it_stands() -> None:
    rate = 128
    beats = np.zeros(N * 30 * rate, dtype=np.float32)
    beats[:: rate * 60 // 80] = 1.0  # 80 a minute
    beats += 0.01 * np.random.default_rng(0).standard_normal(beats.size).astype(np.float32)
    states = STATES.copy()
    states[:, 0] = State.OK
    states[4:, 0] = State.FLAT
    ecg = {"ECG": Trace("ECG", beats, float(rate))}
    alone = measure_cardiac(ecg, states, N)
    found = measure({**ecg, "PULSE": Trace("PULSE", np.full(N * 30, 64, np.float32), 1.0)}, states, N)
    np.testing.assert_allclose(found.values["heart_rate_mean"][:4], alone.values["heart_rate_mean"][:4], rtol=1e-5)
    np.testing.assert_allclose(found.values["heart_rate_mean"][:4], 80, atol=1)
    np.testing.assert_array_equal(found.values["heart_rate_mean"][4:], [64, 64])


def test_a_course_is_the_mean_of_each_second() -> None:
    trace = Trace("PULSE", np.array([60, 62, np.nan, 70] + [np.nan] * 56, np.float32), 2.0)
    course = pulse_course(trace, 1)
    np.testing.assert_array_equal(course[0, :3], [61, 70, np.nan])
