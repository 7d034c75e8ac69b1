"""Limb movements on leg EMG whose movements are known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from core.language.measure import EpochMeasurements, measure
from core.language.measure_limbs import measure_limbs
from core.language.settled import RULE, settle_events
from core.psg.channels import CHANNELS
from core.psg.preprocess import Trace
from core.psg.quality import State
from core.psg.scoring import Event

RATE, N = 256, 20
WRITTEN = {60.0: 0.8, 130.0: 3.0, 200.0: 9.0, 300.0: 1.5}
"""Onset and duration of movements, seconds."""
NONE = {90.0: 0.2, 160.0: 15.0}
"""A twitch, and what is too long."""


def leg(moves: dict[float, float], rest: float = 2.0, seed: int = 0) -> Trace:
    """Noise at rest, in µV rms, and bursts of 25 µV rms."""
    rng = np.random.default_rng(seed)
    level: NDArray[np.float64] = np.full(N * 30 * RATE, rest)
    for onset, duration in moves.items():
        level[int(onset * RATE) : int((onset + duration) * RATE)] = 25.0
    return Trace("LEG_L", (level * rng.standard_normal(len(level))).astype(np.float32), float(RATE))


@pytest.mark.parametrize("rest", [0.5, 2.0, 5.0])
def test_movements_are_found_with_their_times_and_twitches_are_not(rest: float):
    found = measure_limbs({"LEG_L": leg(WRITTEN | NONE, rest)}, N)
    assert found.followed.all()
    assert [round(event.onset) for event in found.events] == [round(onset) for onset in WRITTEN]
    for event, (onset, duration) in zip(found.events, WRITTEN.items(), strict=True):
        assert event.onset == pytest.approx(onset, abs=0.3)
        assert event.duration == pytest.approx(duration, abs=0.6)


def test_both_legs_move_once_and_a_movement_at_the_end_of_an_apnea_is_the_apneas():
    legs = {"LEG_L": leg(WRITTEN), "LEG_R": leg({130.4: 3.0, 400.0: 2.0}, seed=1)}
    apnea = Event("obstructive_apnea", 285.0, 15.0)
    found = measure_limbs(legs, N, [apnea])
    assert [round(event.onset) for event in found.events] == [60, 130, 200, 400]


def test_no_leg_no_rate_no_rest_nothing_is_told():
    slow = Trace("LEG_L", leg(WRITTEN).samples[::8].copy(), RATE / 8)
    for traces in ({}, {"LEG_L": slow}, {"LEG_L": leg(WRITTEN, rest=30.0)}):
        found = measure_limbs(traces, N)
        assert not found.events
        assert not found.followed.any()


def test_a_night_has_them_and_says_that_a_rule_found_them():
    states = np.full((N, len(CHANNELS)), State.MISSING, np.uint8)
    measured = measure({"LEG_L": leg(WRITTEN)}, states, N)
    again = EpochMeasurements.from_tables(*measured.to_tables())
    assert again.events == measured.events
    assert again.legs is not None
    assert again.legs.all()
    stages = ["N2"] * 8 + ["W"] * (N - 8)
    settled = settle_events((), (Event("limb_movement", 5.0, 1.0),), again, stages)
    assert settled.found_by == {"limb_movement": RULE}
    assert [round(event.onset) for event in settled.events] == [60, 130, 200]  # the last one is in wake
