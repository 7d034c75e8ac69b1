"""EEG and EOG measurements against sums of known waves, and against scipy's own Welch estimate."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal

from core.language.measure_eeg import BANDS, detect_spindles, measure_eeg, relative_band_powers
from core.language.measure_eye import measure_eye
from core.psg.channels import CHANNELS
from core.psg.preprocess import Trace
from core.psg.quality import State

N = 20  # epochs
RATE = 256.0
TIME = np.arange(int(N * 30 * RATE)) / RATE
STATES = np.zeros((N, len(CHANNELS)), dtype=np.uint8)


def pink(seed: int, spread: float) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft(rng.standard_normal(len(TIME)))
    spectrum[1:] /= np.sqrt(np.fft.rfftfreq(len(TIME), 1 / RATE)[1:])
    noise = np.fft.irfft(spectrum, len(TIME))
    return spread * noise / noise.std()


def eeg(samples: NDArray[np.float64], channel: str = "EEG_C3", rate: float = RATE) -> dict[str, Trace]:
    return {channel: Trace(channel, samples.astype(np.float32), rate)}


def test_two_sinusoids_share_the_power_by_their_squared_amplitudes() -> None:
    samples = 30 * np.sin(2 * np.pi * 2.0 * TIME) + 10 * np.sin(2 * np.pi * 10.0 * TIME)
    values = measure_eeg(eeg(samples), STATES, N)
    assert values["c3_delta"] == pytest.approx(90.0, abs=0.3)
    assert values["c3_alpha"] == pytest.approx(10.0, abs=0.3)
    assert np.isnan(values["c4_delta"]).all()


@pytest.mark.parametrize("rate", [64.0, 100.0, 199.0, 200.0, 512.0])
def test_band_powers_do_not_depend_on_the_sampling_rate_or_the_unit(rate: float) -> None:
    time = np.arange(int(N * 30 * rate)) / rate
    samples = 1e-3 * (3 * np.sin(2 * np.pi * 6 * time) + 4 * np.sin(2 * np.pi * 14 * time) + 100)
    values = measure_eeg(eeg(samples, rate=rate), STATES, N)
    assert values["c3_theta"] == pytest.approx(36.0, abs=0.5)
    assert values["c3_sigma"] == pytest.approx(64.0, abs=0.5)


def test_band_powers_equal_scipys_welch() -> None:
    epochs = pink(0, 20.0).reshape(N, -1)[:, ::2].astype(np.float32)  # 128 Hz
    frequencies, power = signal.welch(epochs, 128, "hann", 512, 256, detrend="constant", axis=1)
    bands = {band: power[:, (frequencies >= low) & (frequencies < high)].sum(1) for band, (low, high) in BANDS.items()}
    total = sum(bands.values())
    for band, values in relative_band_powers(epochs, 128).items():
        assert values == pytest.approx(100 * bands[band] / total, rel=1e-3)


def test_slow_waves_are_counted_and_measured() -> None:
    wave = np.where((TIME % 5 < 1.25), -50 * np.sin(2 * np.pi * 0.8 * TIME), 0.0)  # one of 100 µV every 5 s
    values = measure_eeg(eeg(wave + pink(1, 3.0)), STATES, N)
    assert np.mean(np.abs(values["slow_wave_count"] - 6) <= 1) > 0.9
    assert np.nanmean(values["slow_wave_amplitude"]) == pytest.approx(100, rel=0.25)
    small = measure_eeg(eeg(0.4 * wave + pink(1, 3.0)), STATES, N)
    assert (small["slow_wave_count"] == 0).all()
    assert np.isnan(small["slow_wave_amplitude"]).all()


def test_a_z_scored_eeg_has_relative_powers_and_no_microvolts() -> None:
    samples = np.sqrt(2) * np.sin(2 * np.pi * 1.0 * TIME)
    values = measure_eeg(eeg(samples), STATES, N)
    assert values["c3_delta"] == pytest.approx(100, abs=0.5)
    assert np.isnan(values["slow_wave_count"]).all()


def test_spindles_are_found_where_they_are() -> None:
    rng = np.random.default_rng(5)
    onsets = np.arange(4.0, N * 30 - 5, 7.3) + rng.uniform(-1, 1, len(np.arange(4.0, N * 30 - 5, 7.3)))
    samples = pink(2, 15.0)
    for onset in onsets:
        inside = (onset <= TIME) & (onset + 1.0 > TIME)
        samples[inside] += 20 * np.hanning(inside.sum()) * np.sin(2 * np.pi * 13.0 * TIME[inside])
    traces = eeg(samples) | eeg(samples + np.random.default_rng(1).standard_normal(len(TIME)), "EEG_C4")
    found = detect_spindles(traces, STATES, N)
    middles = found.onsets + found.durations / 2
    hit = np.abs(onsets[:, None] + 0.5 - middles[None]) < 0.5
    recall, precision = hit.any(axis=1).mean(), hit.any(axis=0).mean()
    assert 2 * recall * precision / (recall + precision) > 0.85
    assert np.median(found.frequencies) == pytest.approx(13.0, abs=0.5)
    assert np.all((found.durations >= 0.5) & (found.durations <= 3.0))


def test_alpha_and_noise_are_no_spindles() -> None:
    alpha = pink(3, 10.0) + 25 * np.sin(2 * np.pi * 9.5 * TIME) * (1 + 0.5 * np.sin(2 * np.pi * 0.3 * TIME))
    assert len(detect_spindles(eeg(alpha), STATES, N).onsets) <= 2  # in ten minutes
    assert len(detect_spindles(eeg(pink(4, 10.0)), STATES, N).onsets) <= 12


def test_slow_waves_come_from_c4_where_c3_cannot_be_used() -> None:
    wave = np.where((TIME % 5 < 1.25), -50 * np.sin(2 * np.pi * 0.8 * TIME), 0.0) + pink(1, 3.0)
    states = STATES.copy()
    states[:10, 6] = State.DISCONNECTED
    values = measure_eeg(eeg(pink(8, 10.0)) | eeg(wave, "EEG_C4"), states, N)
    assert (values["slow_wave_count"][:10] >= 5).all()
    assert (values["slow_wave_count"][10:] <= 1).all()
    assert np.isnan(values["c3_delta"][:10]).all()
    assert np.isfinite(values["c3_delta"][10:]).all()


def test_slow_and_rapid_eye_movements_are_told_apart() -> None:
    slow = 50 * np.sin(2 * np.pi * 0.4 * TIME)
    rapid = 50 * np.sin(2 * np.pi * 2.0 * TIME)
    traces = eeg(slow + 0.1 * rapid, "EOG_L") | eeg(0.1 * slow + rapid, "EOG_R")
    values = measure_eye(traces, STATES, N).values
    assert values["eog_left_slow"] == pytest.approx(99.0, abs=0.5)
    assert values["eog_right_rapid"] == pytest.approx(99.0, abs=0.5)
