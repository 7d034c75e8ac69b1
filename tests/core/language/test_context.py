"""What a network is shown of an epoch beside its signals."""

import numpy as np

from core.language.context import COURSE_STEPS, COURSES, context_of, covered, no_context
from core.language.facts import EpochFacts
from core.language.trends import Trend
from core.psg.scoring import Event

FACTS = EpochFacts(
    stage="N2",
    values={"heart_rate_mean": 61.0, "spo2_min": 88.5},
    trends=(Trend("spo2", "decreasing", 10.0, 20.0),),
    events=(Event("hypopnea", 0.0, 12.25), Event("arousal", 12.0, 4.0), Event("arousal", 20.0, 3.0)),
)


def test_values_stand_in_their_columns_and_what_was_not_measured_is_nan() -> None:
    shown = context_of([FACTS], ("spo2_min", "rmssd", "heart_rate_mean"), COURSES)
    np.testing.assert_array_equal(shown.values, np.array([[88.5, np.nan, 61.0]], np.float32))


def test_a_course_is_the_share_of_each_half_second() -> None:
    shown = context_of([FACTS], ("rmssd",), COURSES)
    assert shown.courses.shape == (1, len(COURSES), COURSE_STEPS)
    hypopnea = shown.courses[0, COURSES.index("hypopnea")]
    assert hypopnea[:24].tolist() == [1.0] * 24
    assert hypopnea[24] == 0.5  # 12.0 to 12.25 s
    assert not hypopnea[25:].any()
    arousal = shown.courses[0, COURSES.index("arousal")]
    assert np.flatnonzero(arousal).tolist() == [*range(24, 32), *range(40, 46)]
    falling = shown.courses[0, COURSES.index("spo2_decreasing")]
    assert np.flatnonzero(falling).tolist() == [*range(20, 40)]
    assert shown.courses.sum() == hypopnea.sum() + arousal.sum() + falling.sum()


def test_courses_that_are_not_asked_for_are_left_out() -> None:
    shown = context_of([FACTS], ("rmssd",), ("central_apnea",))
    assert shown.courses.shape == (1, 1, COURSE_STEPS)
    assert not shown.courses.any()


def test_a_span_beyond_the_epoch_fills_it() -> None:
    assert covered(-5.0, 40.0).tolist() == [1.0] * COURSE_STEPS
    assert not covered(31.0, 40.0).any()


def test_rows_keep_values_and_courses_together() -> None:
    shown = context_of([FACTS, EpochFacts(None, {})], ("spo2_min",), ("arousal",))
    nothing = no_context(1, 1, 1)
    np.testing.assert_array_equal(shown.values[1:2], nothing.values)
    np.testing.assert_array_equal(shown.courses[1:2], nothing.courses)
