"""Leg EMG shows the limb movements of the truth, and nothing else of the night changes with it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyedflib
import pytest

from core.psg.simulate.lab import Lab
from core.psg.simulate.night import NightOptions, SimulatedNight, simulate_night
from core.psg.simulate.subject import draw_subject
from core.psg.simulate.write_edf import write_night

RESTLESS = replace(
    draw_subject(np.random.default_rng(5)), limb_index=60.0, ahi=2.0, sleep_latency=4.0, fragmentation=0.2
)
OPTIONS = NightOptions(hours=1.0, subject=RESTLESS, lab=Lab(artefact_rate=0.0), derivations=("EEG_C3",), legs=True)


@pytest.fixture(scope="module")
def night() -> SimulatedNight:
    return simulate_night(4, OPTIONS)


def movements(night: SimulatedNight):  # type: ignore[no-untyped-def]
    return [event for event in night.truth.events if event.type == "limb_movement"]


def size(trace: np.ndarray) -> np.ndarray:
    """Root mean square over an eighth of a second."""
    return np.sqrt(np.convolve(trace.astype(float) ** 2, np.ones(32) / 32, mode="same"))


def test_limb_movements_come_in_series_as_wasm_defines_them(night: SimulatedNight) -> None:
    onsets = np.array([event.onset for event in movements(night)])
    assert len(onsets) >= 12
    assert all(0.5 <= event.duration <= 10.0 for event in movements(night))
    near = (np.diff(onsets) >= 5) & (np.diff(onsets) <= 90)
    runs = np.diff(np.flatnonzero(np.concatenate([[True], ~near, [True]])))
    assert runs.max() >= 4  # four movements or more, each 5 to 90 s after the one before


def test_a_movement_is_seen_on_its_legs_alone(night: SimulatedNight) -> None:
    awake = np.repeat([row.stage == "W" for row in night.truth.epochs], 30 * 256)
    others = [event for event in night.truth.events if event.type.endswith("pnea")]
    for name in ("LEG_L", "LEG_R"):
        trace, rate, unit = night.signals[name]
        assert (rate, unit, len(trace)) == (256.0, "uV", 3600 * 256)
        level = size(trace)
        rest = float(np.median(level[~awake]))
        assert rest < 5.0
        for event in movements(night):
            first, last = round(event.onset * 256), round(event.end * 256)
            if awake[max(first - 128, 0) : last + 128].any() or any(abs(o.end - event.onset) < 12 for o in others):
                continue
            inside = level[first + 48 : last - 48]
            if name in event.channels:
                assert np.median(inside) > rest + 8.0
            else:
                assert np.median(inside) < rest + 8.0


def test_nothing_else_depends_on_the_legs(night: SimulatedNight) -> None:
    plain = simulate_night(4, replace(OPTIONS, legs=False))
    assert set(night.signals) - set(plain.signals) == {"LEG_L", "LEG_R"}
    for name, (samples, _, _) in plain.signals.items():
        np.testing.assert_array_equal(samples, night.signals[name][0], err_msg=name)
    assert plain.truth.events == night.truth.events


def test_the_file_holds_the_legs_after_the_usual_channels(tmp_path) -> None:  # type: ignore[no-untyped-def]
    for legs in (False, True):
        night = simulate_night(1, NightOptions(hours=0.2, legs=legs))
        with pyedflib.EdfReader(str(write_night(night, tmp_path, f"n{legs}"))) as reader:
            labels = reader.getSignalLabels()
        assert len(labels) == 11 + 2 * legs
        assert labels[11:] == ["EMG LAT", "EMG RAT"][: 2 * legs]
