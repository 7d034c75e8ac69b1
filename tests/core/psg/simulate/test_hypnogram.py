"""Stages of the night: shares that follow the sleeper's traits."""

from dataclasses import replace

import numpy as np

from core.psg.simulate.hypnogram import N1, N3, W, draw_stages
from core.psg.simulate.subject import Subject, draw_subject


def _shares(subject: Subject, stage: int) -> float:
    nights = [draw_stages(np.random.default_rng(seed), subject, 960) for seed in range(12)]
    return float(np.mean([np.mean(night[night != W] == stage) for night in nights]))


def test_deep_sleep_follows_the_size_of_the_slow_waves_and_age() -> None:
    young = replace(draw_subject(np.random.default_rng(5)), age=25.0, eeg_gain=1.1, slow_wave_gain=1.1, slope_shift=0.0)
    old = replace(young, age=75.0, slow_wave_gain=0.7)
    assert 0.12 < _shares(young, N3) < 0.25
    assert 0.03 < _shares(old, N3) < 0.12
    assert _shares(replace(old, eeg_gain=0.8), N3) < _shares(old, N3)


def test_broken_sleep_is_light() -> None:
    solid = replace(draw_subject(np.random.default_rng(5)), fragmentation=0.1)
    assert _shares(replace(solid, fragmentation=0.8), N1) > 2 * _shares(solid, N1)
