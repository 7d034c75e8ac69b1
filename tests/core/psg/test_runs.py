"""Runs of True, against a walk through the mask."""

from itertools import groupby

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.psg.runs import equal_runs, runs


@given(st.lists(st.booleans(), max_size=40))
def test_every_run_is_found_with_its_ends(mask: list[bool]) -> None:
    expected, place = [], 0
    for value, group in groupby(mask):
        length = len(list(group))
        if value:
            expected.append((place, place + length))
        place += length
    assert runs(np.asarray(mask, dtype=np.bool_)) == expected


@given(st.lists(st.sampled_from("WN?"), max_size=40))
def test_stretches_of_equal_values_cover_all(values: list[str]) -> None:
    expected, place = [], 0
    for _, group in groupby(values):
        length = len(list(group))
        expected.append((place, place + length))
        place += length
    assert equal_runs(values) == expected
