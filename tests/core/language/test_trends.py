"""Trends against broken lines."""

import itertools

import numpy as np
import pytest

from core.language.trends import Trend, trends

SECONDS = np.arange(30, dtype=float)


def of(series: np.ndarray, smallest: float = 4.0) -> tuple[Trend, ...]:
    return trends("heart_rate", series[None], smallest, 1.0)[0]


def test_flat_rising_and_falling() -> None:
    noise = 0.3 * np.random.default_rng(0).standard_normal(30)
    assert [trend.direction for trend in of(60 + noise)] == ["stable"]
    assert [trend.direction for trend in of(60 + 0.5 * SECONDS + noise)] == ["increasing"]
    assert [trend.direction for trend in of(60 - 0.5 * SECONDS + noise)] == ["decreasing"]


def test_a_turn_is_placed_where_it_is() -> None:
    told = of(np.interp(SECONDS, [0, 12, 30], [60, 60, 78]))
    assert [trend.direction for trend in told] == ["stable", "increasing"]
    assert told[0].end == pytest.approx(12, abs=2)
    assert told[-1].end == 30


def test_three_stretches_cover_the_epoch_without_gap() -> None:
    told = of(np.interp(SECONDS, [0, 8, 18, 30], [60, 60, 80, 62]))
    assert [trend.direction for trend in told] == ["stable", "increasing", "decreasing"]
    assert told[0].start == 0
    assert all(before.end == after.start for before, after in itertools.pairwise(told))


def test_an_epoch_with_a_long_hole_has_no_trend() -> None:
    series = 60 + SECONDS
    series[3:6] = np.nan
    assert [trend.direction for trend in of(series)] == ["increasing"]
    series[3:12] = np.nan
    assert of(series) == ()
