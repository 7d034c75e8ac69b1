"""How clearly conditions hold: order and bounds that a user relies on, worked out by hand."""

import numpy as np
import pytest

from core.inference.clarity import Clarity
from core.inference.conditions import Clause, Condition
from core.inference.understanding import understand


def _of(text: str, **columns: list[float | None]) -> list[float]:
    clarity = Clarity(understand(text).clauses)
    count = len(next(iter(columns.values())))
    there = {name: columns.get(name, [None] * count) for name in clarity.columns}
    assert set(columns) <= set(clarity.columns)
    return clarity.of(there, count).tolist()


def test_a_stage_is_as_clear_as_it_is_likely() -> None:
    assert _of("REM sleep", p_R=[0.9, 0.4, 1.0]) == pytest.approx([0.9, 0.4, 1.0])
    assert _of("not REM", p_R=[0.9, 0.4, 1.0]) == pytest.approx([0.1, 0.6, 0.0])
    assert _of("N2 or N3", p_N2=[0.5, 0.2], p_N3=[0.5, 0.1]) == pytest.approx([1.0, 0.3])


def test_an_event_is_clearer_the_longer_and_the_surer_it_is() -> None:
    clear = _of("apnea", apnea_seconds=[1.0, 20.0, 20.0], apnea_confidence=[0.9, 0.9, 0.5])
    assert clear[1] > clear[0]
    assert clear[1] > clear[2]
    scored_by_a_person = _of("apnea", apnea_seconds=[20.0], apnea_confidence=[None])
    assert scored_by_a_person[0] > clear[1]


def test_a_deeper_desaturation_is_clearer() -> None:
    deep, shallow = _of("desaturation", desaturation_seconds=[20.0, 20.0], spo2_min=[80.0, 93.0])
    assert deep > shallow


@pytest.mark.parametrize(
    ("text", "column", "values"),
    [
        ("SpO2 below 88", "spo2_min", [80.0, 86.0, 87.5]),
        ("heart rate above 80", "heart_rate_mean", [95.0, 84.0, 80.5]),
        ("breathing rate under 12", "breath_rate", [8.0, 11.0, 11.8]),
        ("more than 3 spindles", "spindle_count", [7.0, 5.0, 4.0]),
        ("apneas longer than 20 s", "apnea_longest", [40.0, 24.0, 21.0]),
        ("delta above 60 %", "delta", [90.0, 70.0, 61.0]),
    ],
)
def test_a_figure_is_clearer_the_further_it_lies_from_its_bound(text: str, column: str, values: list[float]) -> None:
    clear = _of(text, **{column: values})
    assert clear == sorted(clear, reverse=True)
    assert len(set(clear)) == 3
    assert all(0.0 < each < 1.0 for each in clear)


def test_conditions_multiply_and_alternatives_take_the_clearer() -> None:
    both = _of("REM with SpO2 below 88", p_R=[0.5], spo2_min=[80.0])
    alone = _of("SpO2 below 88", spo2_min=[80.0])
    assert both == pytest.approx([0.5 * alone[0]], abs=1e-6)
    either = Clarity((Clause((Condition("spo2_min", "<", 88.0), Condition("heart_rate_mean", ">", 80.0))),))
    clear = either.of({"spo2_min": [80.0], "heart_rate_mean": [80.1]}, 1)
    assert clear == pytest.approx(alone)


@pytest.mark.parametrize("text", ["supine", "after 3 am", "in the first hour", "AHI above 15", "without arousals"])
def test_what_is_certain_tells_nothing(text: str) -> None:
    clarity = Clarity(understand(text).clauses)
    assert clarity.columns == ()
    np.testing.assert_array_equal(clarity.of({}, 3), np.ones(3))
