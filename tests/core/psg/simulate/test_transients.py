"""Slow waves: as tall as the scoring rule asks, and measured as a scorer measures them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.psg.simulate.hypnogram import N3
from core.psg.simulate.subject import Subject, draw_subject
from core.psg.simulate.transients import SLOW_WAVE_UV, draw_transients, seen_sizes
from core.psg.simulate.truth import Span

STATES = np.full(1800, N3, dtype=np.int8)  # an hour of N3


def sleeper(gain: float) -> Subject:
    return replace(draw_subject(np.random.default_rng(1)), eeg_gain=1.0, slow_wave_gain=gain)


def share_of_slow_waves(gain: float) -> float:
    """Share of the hour that waves of 75 µV and more fill at C3."""
    waves = draw_transients(np.random.default_rng(2), sleeper(gain), STATES, ()).slow_waves
    return sum(wave.duration for wave in waves if wave.amplitude >= SLOW_WAVE_UV) / 3600


def test_a_fifth_of_deep_sleep_is_slow_waves_whoever_sleeps() -> None:
    """The AASM's rule for N3, so that who makes small waves has less N3, and not smaller ones in it."""
    shares = [share_of_slow_waves(gain) for gain in (0.4, 0.7, 1.0, 1.4)]
    assert shares[0] >= 0.2
    assert shares == sorted(shares)


def test_the_height_of_a_wave_is_from_its_trough_to_the_peak_after_it() -> None:
    rate = 256.0
    time = np.arange(round(60 * rate)) / rate
    wave = np.where((time >= 30) & (time < 31), -50.0 * np.sin(2 * np.pi * (time - 30)), 0.0)
    hill = 90.0 * np.exp(-0.5 * ((time - 29.3) / 0.25) ** 2)  # before the wave: no part of its height
    span = Span("slow_wave", 30.0, 1.0)
    alone, beside = (seen_sizes(trace.astype(np.float32), rate, (span,))[0] for trace in (wave, wave + hill))
    assert alone == pytest.approx(100.0, rel=0.1)
    assert beside == pytest.approx(alone, rel=0.25)


def test_sleepers_differ() -> None:
    """The real tracks' relative powers spread over subjects by a quarter (theta) to a half (beta) in natural log."""
    people = [draw_subject(np.random.default_rng(seed)) for seed in range(200)]
    for trait, low, high in (("theta_gain", 0.2, 0.5), ("beta_gain", 0.25, 0.6), ("eeg_gain", 0.15, 0.35)):
        assert low < np.std(np.log([getattr(person, trait) for person in people])) < high
