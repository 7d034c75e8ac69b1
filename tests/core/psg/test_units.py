"""Units, saturation and position codes, declared rightly, wrongly or not at all."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.psg.units import amplitude, microvolts, not_volts, pulse_rate, saturation, voltage_factor

RATE = 128.0
EEG = (15.0 * np.random.default_rng(0).standard_normal(round(300 * RATE))).astype(np.float32)  # µV


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("V", 1e6), ("mV", 1e3), ("uV", 1.0), ("µV", 1.0), ("μV", 1.0), ("UV", 1.0), ("nV", 1e-3), (" [uV] ", 1.0),
    ("microvolts", 1.0),
     ("mcV", 1.0), ("?V", 1.0), ("", None), ("%", None), ("n/a", None)],
)  # fmt: skip
def test_units_of_voltage(unit: str, factor: float | None) -> None:
    assert voltage_factor(unit) == factor


@pytest.mark.parametrize(("unit", "factor"), [("V", 1e6), ("mV", 1e3), ("µV", 1.0), ("nV", 1e-3), ("", 1.0)])
def test_a_true_unit_is_believed(unit: str, factor: float) -> None:
    found, repair = microvolts(EEG / np.float32(factor), RATE, "eeg", unit)
    assert found == factor
    assert (repair == "") == (unit != "")


@pytest.mark.parametrize("gain", [0.1, 0.3, 3.0, 10.0])
def test_gain_is_not_taken_for_a_wrong_unit(gain: float) -> None:
    assert microvolts(EEG * np.float32(gain), RATE, "eeg", "uV") == (1.0, "")


@pytest.mark.parametrize(("true", "declared"), [(1e6, "uV"), (1e3, "V"), (1.0, "V"), (1.0, "mV"), (1e6, "mV")])
def test_an_impossible_unit_is_replaced_and_said(true: float, declared: str) -> None:
    found, repair = microvolts(EEG / np.float32(true), RATE, "eeg", declared)
    assert found == true
    assert declared in repair


@pytest.mark.parametrize("unit", ["", "uV", "a.u."])
def test_a_gain_that_is_no_unit_is_made_plausible_and_said(unit: str) -> None:
    factor, repair = microvolts(EEG * np.float32(0.02), RATE, "eeg", unit)
    assert 3 <= 15 * 0.02 * factor <= 60
    assert "approximate" in repair


def test_an_ecg_in_microvolts_without_a_unit() -> None:
    time = np.arange(round(60 * RATE)) / RATE
    beats = 1000 * np.exp(-(((time % 0.9) - 0.4) ** 2) / 0.0006) + 40 * np.random.default_rng(1).standard_normal(
        time.size
    )
    assert microvolts(beats.astype(np.float32), RATE, "ecg", "")[0] == 1.0
    assert microvolts((beats / 1000).astype(np.float32), RATE, "ecg", "")[0] == 1e3


def test_a_signal_that_does_not_move_keeps_its_unit() -> None:
    assert microvolts(np.zeros(1000, np.float32), RATE, "eeg", "mV") == (1e3, "")
    assert amplitude(np.full(1000, np.nan, np.float32), RATE) == 0.0
    assert amplitude(np.zeros(0, np.float32), RATE) == 0.0


def test_amplitude_of_a_gaussian_is_its_deviation_and_ignores_offset_and_bursts() -> None:
    burst = EEG + 4000
    burst[:3000] *= 100
    assert amplitude(burst, RATE) == pytest.approx(15.0, rel=0.05)


def test_saturation_scales() -> None:
    percent = np.array([97, 96, 0, 127, 39, 100.3, 88], dtype=np.float32)
    expected = [97, 96, np.nan, np.nan, np.nan, 100, 88]
    plain, repair = saturation(percent)
    np.testing.assert_allclose(plain, expected, rtol=1e-6)
    assert repair == ""
    for factor, word in ((0.01, "fraction"), (10, "per mille")):
        scaled, repair = saturation(np.array([97, 96, 0, 95, 88], np.float32) * np.float32(factor))
        np.testing.assert_allclose(scaled, [97, 96, np.nan, 95, 88], rtol=1e-5)
        assert word in repair


@pytest.mark.parametrize("value", [0.0, 127.0, 255.0, -1.0, 30.0])
def test_no_finger_is_no_saturation(value: float) -> None:
    assert np.isnan(saturation(np.full(50, value, np.float32))[0]).all()


@given(st.lists(st.floats(-1e4, 1e4, width=32), max_size=40))
def test_saturation_is_40_to_100_or_nothing(values: list[float]) -> None:
    out, _ = saturation(np.array(values, dtype=np.float32))
    assert (np.isnan(out) | ((out >= 40) & (out <= 100))).all()


def test_a_pulse_rate_outside_25_to_250_is_no_signal() -> None:
    course = np.repeat(np.array([0, 24, 25, 60, 61, 250, 251, 255, 511], np.float32), 8)
    kept, repair = pulse_rate(course, 1.0)
    np.testing.assert_array_equal(np.isfinite(kept), (course >= 25) & (course <= 250))
    assert repair == ""


@pytest.mark.parametrize(
    ("course", "is_rate"),
    [
        ([70, 71, 127, 127, 127, 70, 69], False),
        ([127, 127, 127], False),
        ([124, 126, 127, 127, 128, 130], True),
        ([124, 126, 127, 127, 0, 0], False),
    ],
)
def test_127_is_a_rate_only_in_passing(course: list[int], is_rate: bool) -> None:
    kept, _ = pulse_rate(np.array(course, np.float32), 1.0)
    assert bool(np.isfinite(kept[np.array(course) == 127]).all()) is is_rate
    assert bool(np.isfinite(kept[np.array(course) == 127]).any()) is is_rate


def test_what_never_changes_or_swings_like_a_wave_is_no_pulse_rate() -> None:
    frozen, repair = pulse_rate(np.full(900, 60, np.float32), 1.0)
    assert np.isnan(frozen).all()
    assert "never changes" in repair
    t = np.arange(900 * 32) / 32
    wave, repair = pulse_rate((128 + 100 * np.sin(2 * np.pi * 1.1 * t)).astype(np.float32), 32.0)
    assert np.isnan(wave).all()
    assert "wave" in repair
    slow, repair = pulse_rate((70 + 20 * np.sin(t / 20)).astype(np.float32), 32.0)
    assert np.isfinite(slow).all()
    assert repair == ""


def test_numbers_that_a_reader_took_for_microvolts_are_given_back() -> None:
    codes, repair = not_volts(np.array([2e-6, np.nan, 1e-6], dtype=np.float32), "V")
    np.testing.assert_allclose(codes, [2, np.nan, 1], rtol=1e-6)
    assert "µV" in repair
    for values, unit in (([0.97, 0.95], "V"), ([2, 1], ""), ([2e-6], "%"), ([0, 0], "V"), ([], "V")):
        samples = np.array(values, dtype=np.float32)
        assert not_volts(samples, unit) == (samples, "")
