"""The course of band powers: against scipy's Welch estimate, and unmoved by what differs between labs."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal

from core.language.band_course import BANDS, N_FEATURES, band_course, chin_tone, night_features
from core.psg.channels import CHANNELS
from core.psg.preprocess import Trace
from core.psg.quality import State

N = 40
RATE = 128.0
COLUMN = {channel.name: column for column, channel in enumerate(CHANNELS)}


def noise(seed: int, rate: float = RATE, n: int = N) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    loud = np.repeat(rng.uniform(5, 40, n), round(30 * rate))
    return (loud * rng.standard_normal(len(loud))).astype(np.float32)


def states(n: int = N) -> NDArray[np.uint8]:
    return np.zeros((n, len(CHANNELS)), np.uint8)


def test_powers_are_those_of_scipys_welch() -> None:
    samples = noise(0)
    course = band_course({"EEG_C3": Trace("EEG_C3", samples, RATE)}, states(), N)
    frequencies, power = signal.welch(samples.reshape(N, -1), RATE, nperseg=512, noverlap=256, axis=1)
    for column, (low, high) in enumerate(BANDS):
        inside = (frequencies >= low) & (frequencies < high)
        expected = np.log(power[:, inside].sum(axis=1) * (frequencies[1] - frequencies[0]))
        assert course[:, 0, column] == pytest.approx(expected, abs=1e-3)
    assert np.isnan(course[:, 1:]).all()


@pytest.mark.parametrize("rate", [64.0, 100.0, 256.0, 199.9])
def test_a_rhythm_has_the_same_power_at_any_rate(rate: float) -> None:
    time = np.arange(round(N * 30 * rate)) / rate
    samples = (20 * np.sin(2 * np.pi * 10 * time)).astype(np.float32)
    course = band_course({"EEG_C4": Trace("EEG_C4", samples, rate)}, states(), N)
    assert course[:, 1, 2] == pytest.approx(np.log(200.0), abs=0.05)  # amplitude² / 2, in alpha


def test_gain_and_a_filter_change_nothing_that_is_put_in_proportion_to_the_night() -> None:
    samples = noise(1)
    sections = signal.butter(1, 12.0, fs=RATE, output="sos")
    softer = (0.01 * signal.sosfilt(sections, samples)).astype(np.float32)
    ours, theirs = (
        night_features(band_course({"EEG_C3": Trace("EEG_C3", s, RATE)}, states(), N)[:, 0], np.full((N, 5), np.nan))
        for s in (samples, softer)
    )
    assert ours.shape == (N, N_FEATURES)
    assert np.abs(ours[:, :5] - theirs[:, :5]).max() < 0.15  # of a quartile distance
    assert np.abs(ours[:, 10:15] - theirs[:, 10:15]).max() > 0.3  # the shares themselves do differ


def test_the_unseen_stay_out_of_the_nights_proportions() -> None:
    samples = noise(2)
    samples[: 5 * round(30 * RATE)] *= 1000  # an electrode being glued on
    unusable = states()
    unusable[:5, COLUMN["EEG_C3"]] = int(State.ARTEFACT)
    unusable[7, COLUMN["EEG_C3"]] = int(State.GAP)
    course = band_course({"EEG_C3": Trace("EEG_C3", samples, RATE)}, unusable, N)
    assert np.isnan(course[[0, 1, 2, 3, 4, 7], 0]).all()
    features = night_features(course[:, 0], course[:, 2])
    assert (features[:5] == 0).all()
    assert features[5:7, -2].tolist() == [1, 1]
    calm = band_course({"EEG_C3": Trace("EEG_C3", noise(2), RATE)}, unusable, N)
    assert features == pytest.approx(night_features(calm[:, 0], calm[:, 2]), abs=1e-4)


def test_the_eyes_are_subtracted_unless_they_are_one_signal() -> None:
    eye = noise(3)
    both = {"EOG_L": Trace("EOG_L", eye, RATE), "EOG_R": Trace("EOG_R", -eye, RATE)}
    apart = band_course(both, states(), N)[:, 2]
    alone = band_course({"EOG_L": both["EOG_L"]}, states(), N)[:, 2]
    same = band_course({**both, "EOG_R": Trace("EOG_R", eye, RATE)}, states(), N)[:, 2]
    assert apart == pytest.approx(alone + np.log(4), abs=1e-3)
    assert same == pytest.approx(alone, abs=1e-6)


def test_a_channel_too_slow_for_beta_is_not_read() -> None:
    slow = Trace("EEG_C3", noise(4, 50.0), 50.0)
    assert np.isnan(band_course({"EEG_C3": slow}, states(), N)).all()


def test_half_a_minute_alone_is_described_without_a_warning() -> None:
    course = band_course({"EEG_C3": Trace("EEG_C3", noise(5, n=1), RATE)}, states(1), 1)
    features = night_features(course[:, 0], course[:, 2])
    assert np.isfinite(features).all()
    assert features[0, :10] == pytest.approx(0)


def test_chin_tone_is_told_over_the_lowest_of_the_night_and_twitches_do_not_count() -> None:
    n = 80
    rng = np.random.default_rng(6)
    size = np.repeat(np.where(np.arange(n) < 20, 1.0, 5.0), 30 * 128)
    samples = (size * rng.standard_normal(n * 30 * 128)).astype(np.float32)
    samples[: 5 * 128] *= 50  # a twitch in the first, quiet epoch
    tone = chin_tone({"EMG_CHIN": Trace("EMG_CHIN", samples, 128.0)}, states(n), n)
    assert tone[:20] == pytest.approx(0, abs=0.1)
    assert tone[20:] == pytest.approx(np.log(5), abs=0.1)
    few = chin_tone({"EMG_CHIN": Trace("EMG_CHIN", samples[: 30 * 128 * 40], 128.0)}, states(40), 40)
    assert np.isnan(few).all()
