"""Resampling and filtering against scipy and mne, and what happens at gaps and steps."""

import mne
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import butter, resample_poly, sosfiltfilt

from core.psg.channels import CHANNELS
from core.psg.filters import band_pass, bridge, hold, nearest, to_rate

RATE = 64


def tone(frequency: float, rate: float, seconds: float = 60.0) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate).astype(np.float32)


def no_gap(samples: np.ndarray) -> np.ndarray:
    return np.zeros(samples.size, dtype=bool)


@pytest.mark.parametrize("rate", [50.0, 100.0, 125.0, 128.0, 199.5, 200.0, 256.0, 500.0, 512.0, 1000.0, 2048.0])
def test_a_tone_keeps_frequency_phase_and_size_at_any_rate(rate: float) -> None:
    out = to_rate(tone(10.0, rate), rate, RATE, 60 * RATE)
    inner = slice(2 * RATE, 58 * RATE)
    assert np.abs(out[inner] - tone(10.0, RATE)[inner]).max() < 0.01


def test_what_is_above_the_new_half_rate_does_not_fold_back() -> None:
    out = to_rate(tone(50.0, 256.0), 256.0, RATE, 60 * RATE)  # would appear at 14 Hz
    assert np.abs(out[RATE:-RATE]).max() < 1e-3


def test_resampling_agrees_with_scipy_and_mne() -> None:
    noise = np.random.default_rng(0).standard_normal(256 * 120)
    low = mne.filter.filter_data(noise, 256.0, None, 20.0, verbose="error").astype(np.float32)
    ours = to_rate(low, 256.0, RATE, 120 * RATE)
    inner = slice(4 * RATE, -4 * RATE)
    assert np.abs(ours - resample_poly(low, 1, 4))[inner].max() < 0.01
    assert np.abs(ours - mne.filter.resample(low.astype(float), down=4, verbose="error"))[inner].max() < 0.01


def test_a_large_offset_does_not_ring() -> None:
    out = to_rate(np.full(256 * 60, 5000.0, dtype=np.float32), 256.0, RATE, 60 * RATE)
    np.testing.assert_allclose(out, 5000.0, rtol=1e-6)


def test_the_end_is_continued_or_cut() -> None:
    assert to_rate(np.ones(64, np.float32), 64.0, RATE, 100).tolist() == [1.0] * 100
    assert to_rate(np.arange(200, dtype=np.float32), 64.0, RATE, 50).tolist() == list(range(50))
    assert to_rate(np.zeros(0, np.float32), 64.0, RATE, 3).tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("channel", [c for c in CHANNELS if c.band], ids=lambda c: c.name)
def test_bands_pass_and_stop_what_they_say(channel) -> None:
    low, high = channel.band
    impulse = np.zeros(1 << 16, dtype=np.float32)
    impulse[1 << 15] = 1.0
    gain = np.abs(np.fft.rfft(band_pass(impulse, no_gap(impulse), channel.band, RATE)))
    at = lambda f: gain[round(f * impulse.size / RATE)]  # noqa: E731
    assert at(low) == pytest.approx(0.5, abs=0.02)
    assert at(low / 4) < 0.01
    assert at(low * 3) > 0.95
    if high is not None:
        assert at(high) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("band", [(0.3, None), (0.1, 15.0), (0.05, 15.0), (10.0, None), (None, 15.0)])
@pytest.mark.parametrize("seconds", [30, 601, 3600])
def test_the_filter_is_scipys_butterworth_there_and_back(band: tuple[float | None, float | None], seconds: int) -> None:
    random = np.random.default_rng(seconds)
    steps = random.standard_normal(seconds * RATE)
    samples = (100.0 + 0.1 * np.cumsum(steps) + random.standard_normal(steps.size)).astype(np.float32)
    low, high = band
    kind = "bandpass" if low and high else "highpass" if low else "lowpass"
    corners = [corner for corner in band if corner]
    sections = butter(2, corners if len(corners) == 2 else corners[0], kind, fs=RATE, output="sos")
    padding = round(RATE / low) if low else RATE
    theirs = sosfiltfilt(sections, samples.astype(np.float64), padlen=min(padding, samples.size - 1))
    apart = np.abs(band_pass(samples, no_gap(samples), band, RATE) - theirs)
    near_ends = min(4 * padding, samples.size // 3)
    assert apart.max() < 0.05
    assert apart[near_ends:-near_ends].max() < (2e-3 if seconds == 30 else 2e-5)


def test_a_filter_does_not_shift_a_wave() -> None:
    wave = tone(5.0, RATE)
    out = band_pass(wave, no_gap(wave), (0.3, None), RATE)
    assert np.abs(out - wave)[RATE * 3 : -RATE * 3].max() < 0.01


def test_a_gap_leaves_its_neighbours_alone() -> None:
    noise = np.random.default_rng(1).standard_normal(RATE * 120).astype(np.float32) * 20
    gap = no_gap(noise)
    gap[RATE * 60 : RATE * 90] = True
    shifted = noise.copy()
    shifted[RATE * 90 :] += 1000.0  # a recorder that comes back with another offset
    alone = band_pass(noise[: RATE * 60], gap[: RATE * 60], (0.3, None), RATE)
    whole = band_pass(shifted, gap, (0.3, None), RATE)
    np.testing.assert_array_equal(whole[: RATE * 60], alone)
    assert (whole[gap] == 0).all()
    after = band_pass(noise[RATE * 90 :], gap[RATE * 90 :], (0.3, None), RATE)
    np.testing.assert_allclose(whole[RATE * 90 :], after, atol=0.02)


def test_a_lasting_step_is_not_smeared() -> None:
    noise = np.random.default_rng(2).standard_normal(RATE * 60).astype(np.float32)
    stepped = noise.copy()
    stepped[RATE * 30 :] += 2000.0
    out = band_pass(stepped, no_gap(noise), (0.3, None), RATE)
    assert np.abs(out).max() < 10.0


def test_heartbeats_and_blinks_are_no_steps() -> None:
    time = np.arange(RATE * 60) / RATE
    beats = np.exp(-(((time % 0.9) - 0.4) ** 2) / 0.0004).astype(np.float32)
    noisy = beats + np.random.default_rng(3).standard_normal(time.size).astype(np.float32) * 0.002
    out = band_pass(noisy, no_gap(noisy), (0.3, None), RATE)
    peaks = out.reshape(-1, RATE).max(axis=1)
    assert peaks.min() > 0.6


def test_a_step_among_heartbeats_is_found_where_it_lies() -> None:
    time = np.arange(RATE * 120) / RATE
    beats = np.exp(-(((time % 0.9) - 0.4) ** 2) / 0.0004).astype(np.float32)
    noisy = beats + np.random.default_rng(4).standard_normal(time.size).astype(np.float32) * 0.002
    noisy[RATE * 60 :] += 40.0
    out = band_pass(noisy, no_gap(noisy), (0.3, None), RATE)
    assert np.abs(out).max() < 2.0  # a filter that met the step would ring by 20 and more


def test_a_short_gap_is_bridged_and_a_long_one_kept() -> None:
    samples = np.arange(1000, dtype=np.float32)
    samples[100:150] = np.nan
    samples[300:600] = np.nan
    filled, long = bridge(samples, 100.0)
    np.testing.assert_allclose(filled, np.arange(1000), rtol=1e-6)
    assert long is not None
    assert np.flatnonzero(long).tolist() == list(range(300, 600))


def test_codes_are_never_between_two_codes() -> None:
    codes = np.array([0, 3, 3, 1], dtype=np.float32)
    out = nearest(codes, 1.0, RATE, 5 * RATE)
    assert set(out[np.isfinite(out)].tolist()) == {0.0, 3.0, 1.0}
    assert np.isnan(out[4 * RATE :]).all()
    assert (out[: RATE // 2] == 0).all()
    assert out[RATE] == 3


def test_a_slow_value_is_held_without_ringing() -> None:
    values = np.array([97, np.nan, 92, 93], dtype=np.float32)
    out = hold(values, 1.0, RATE, 4 * RATE)
    assert out.reshape(4, RATE).tolist() == [[97.0] * 64, [97.0] * 64, [92.0] * 64, [93.0] * 64]


@settings(max_examples=40, deadline=None)
@given(
    rate=st.sampled_from([0.2, 0.5, 1.0, 10.0, 25.0, 32.0, 99.7, 128.0, 512.0]),
    seconds=st.floats(0.1, 40.0),
    holes=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 0.4)), max_size=3),
)
def test_any_trace_is_filtered_to_finite_numbers(rate: float, seconds: float, holes: list[tuple[float, float]]) -> None:
    samples = np.random.default_rng(0).standard_normal(max(1, round(rate * seconds))).astype(np.float32)
    for start, length in holes:
        samples[int(start * samples.size) : int((start + length) * samples.size)] = np.nan
    filled, _ = bridge(samples, rate)
    out = to_rate(filled, rate, RATE, 1920)
    assert out.shape == (1920,)
    assert np.isfinite(band_pass(out, no_gap(out), (0.1, 15.0), RATE)).all()
