"""Pairs of events, counted by hand."""

import math

from core.inference.event_figures import NOTHING, event_figures
from core.psg.scoring import Event


def apneas(*spans: tuple[float, float]) -> list[Event]:
    return [Event("hypopnea", start, end - start) for start, end in spans]


def test_each_event_is_paired_once_and_the_best_overlap_goes_first() -> None:
    true = apneas((0, 20), (100, 120), (200, 230))
    found = apneas((5, 25), (8, 12), (104, 119), (400, 410))
    figures = event_figures(true, found)
    assert (figures.true, figures.found, figures.hits) == (3, 4, 2)
    assert (figures.precision, figures.recall) == (2 / 4, 2 / 3)
    assert figures.f1 == 2 * 2 / 7
    assert sorted(figures.onset_errors) == [4, 5]


def test_overlap_below_the_limit_is_no_pair() -> None:
    true, found = apneas((0, 10)), apneas((6, 16))  # 4 of 16 seconds
    assert event_figures(true, found, 0.3).hits == 0
    assert event_figures(true, found, 0.25).hits == 1


def test_order_does_not_matter_and_studies_add_up() -> None:
    true, found = apneas((0, 60), (10, 30)), apneas((9, 31), (0, 58))
    assert event_figures(true, found) == event_figures(true[::-1], found[::-1])
    both = event_figures(true, found) + event_figures(apneas((0, 10), (50, 60)), apneas((1, 10)))
    assert (both.true, both.found, both.hits) == (4, 3, 3)
    assert len(both.onset_errors) == 3


def test_one_found_event_stands_for_one_true_one_and_the_other_way_round() -> None:
    assert event_figures(apneas((0, 9), (11, 20)), apneas((0, 20))).hits == 1
    assert event_figures(apneas((0, 20)), apneas((0, 9), (11, 20))).hits == 1
    assert event_figures(apneas((0, 100), (10, 20)), apneas((12, 22))).hits == 1  # a long event beside the right one


def test_nothing_there_and_nothing_found_has_no_figure() -> None:
    assert math.isnan(NOTHING.f1)
    assert math.isnan(event_figures([], []).recall)
    assert event_figures([], apneas((0, 10))).f1 == 0
