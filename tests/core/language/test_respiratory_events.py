"""Apneas and hypopneas by rule, on constructed breathing in several labs' guises and on a real CPAP night."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from core.language.respiratory_events import respiratory_events, typed_by_effort
from core.psg.channels import CHANNELS
from core.psg.preprocess import Trace
from core.psg.quality import State
from core.psg.scoring import Event

CPAP = Path(__file__).resolve().parents[3] / "../shared/data/cpap/cpap_flow.npz"
N = 40
RATE = 32.0
TIME = np.arange(int(N * 30 * RATE)) / RATE
STATES = np.zeros((N, len(CHANNELS)), dtype=np.uint8)
ONSETS = (200.0, 400.0, 600.0, 800.0, 1000.0)


def breathing(depth: float, duration: float = 25.0) -> NDArray[np.float64]:
    size = np.ones(len(TIME))
    for onset in ONSETS:
        size[(onset <= TIME) & (onset + duration > TIME)] = depth
    return size * np.sin(2 * np.pi * 0.25 * TIME)


def study(flow: NDArray[np.float64], effort: NDArray[np.float64] | None, drop: float | None) -> dict[str, Trace]:
    rng = np.random.default_rng(0)
    traces = {"AF": Trace("AF", (flow + 0.02 * rng.standard_normal(len(TIME))).astype(np.float32), RATE)}
    if effort is not None:
        noisy = 40 * (effort + 0.02 * rng.standard_normal(len(TIME)))
        traces |= {name: Trace(name, noisy.astype(np.float32), RATE) for name in ("THX", "ABD")}
    if drop is not None:
        seconds = np.arange(N * 30, dtype=float)
        spo2 = np.full(N * 30, 96.0)
        for onset in ONSETS:
            spo2 -= np.interp(seconds, onset + np.array([20, 40, 60]), [0, drop, 0], left=0, right=0)
        traces["SPO2"] = Trace("SPO2", spo2.astype(np.float32), 1.0)
    return traces


def assert_placed(events: tuple[Event, ...], kind: str) -> None:
    assert [event.type for event in events] == [kind] * len(ONSETS)
    for event, onset in zip(events, ONSETS, strict=True):
        assert event.onset == pytest.approx(onset, abs=4)
        assert event.duration == pytest.approx(25, abs=6)


@pytest.mark.parametrize("gain", [1e-4, 1.0, -300.0])
def test_obstructive_apneas_at_any_gain_and_polarity(gain: float) -> None:
    traces = study(breathing(0.03), breathing(0.8), 5.0)
    traces["AF"] = Trace("AF", (gain * traces["AF"].samples).astype(np.float32), RATE)
    assert_placed(respiratory_events(traces, STATES), "obstructive_apnea")


def test_effort_types_the_apnea() -> None:
    assert_placed(respiratory_events(study(breathing(0.03), breathing(0.05), 5.0), STATES), "central_apnea")
    late = breathing(0.05, duration=13.0)
    assert_placed(respiratory_events(study(breathing(0.03), late, 5.0), STATES), "mixed_apnea")


def test_events_found_elsewhere_get_their_type_by_the_effort() -> None:
    found = [Event("obstructive_apnea", onset, 25.0, 0.7) for onset in ONSETS] + [Event("hypopnea", 300.0, 20.0, 0.5)]
    late = breathing(0.03)
    for onset in ONSETS:
        effort_again = (onset + 12 <= TIME) & (onset + 25 > TIME)
        late[effort_again] = 0.9 * np.sin(2 * np.pi * 0.25 * TIME[effort_again])
    for effort, kind in (
        (breathing(0.05), "central_apnea"),
        (breathing(0.8), "obstructive_apnea"),
        (late, "mixed_apnea"),
    ):
        typed = typed_by_effort(found, study(breathing(0.03), effort, None), STATES)
        assert [event.type for event in typed] == [kind] * len(ONSETS) + ["hypopnea"]
        assert [(event.onset, event.duration, event.confidence) for event in typed] == [
            (event.onset, event.duration, event.confidence) for event in found
        ]


def test_without_a_belt_an_apnea_keeps_its_type() -> None:
    found = [Event("central_apnea", ONSETS[0], 25.0, 0.7)]
    assert typed_by_effort(found, study(breathing(0.03), None, None), STATES) == tuple(found)


def test_a_hypopnea_needs_its_desaturation() -> None:
    assert_placed(respiratory_events(study(breathing(0.55), breathing(0.7), 4.0), STATES), "hypopnea")
    assert respiratory_events(study(breathing(0.55), breathing(0.7), 1.0), STATES) == ()


def test_an_arousal_confirms_a_hypopnea_too() -> None:
    arousals = [Event("arousal", onset + 26.0, 5.0) for onset in ONSETS]
    assert_placed(respiratory_events(study(breathing(0.55), breathing(0.7), 1.0), STATES, arousals), "hypopnea")


def test_without_a_saturation_a_hypopnea_has_to_be_deep_and_is_less_sure() -> None:
    events = respiratory_events(study(breathing(0.4), None, None), STATES)
    assert_placed(events, "hypopnea")
    assert {event.confidence for event in events} == {0.4}
    assert respiratory_events(study(breathing(0.6), None, None), STATES) == ()


def test_an_apnea_without_effort_channels_is_less_sure() -> None:
    events = respiratory_events(study(breathing(0.03), None, 5.0), STATES)
    assert {event.confidence for event in events} == {0.6}


@pytest.mark.parametrize(("level", "kind"), [(0.05, "obstructive_apnea"), (0.18, "hypopnea")])
def test_an_apnea_falls_by_nine_tenths(level: float, kind: str) -> None:
    traces = study(breathing(level), breathing(0.8), 5.0)
    assert_placed(respiratory_events(traces, STATES), kind)


def test_an_event_whose_end_is_not_seen_is_none() -> None:
    traces = study(breathing(0.03), breathing(0.8), None)
    cut = int(1015 * RATE)
    traces = {name: Trace(name, trace.samples[:cut], trace.rate) for name, trace in traces.items()}
    assert [event.onset for event in respiratory_events(traces, STATES[:34])] == pytest.approx(ONSETS[:4], abs=4)
    gap = traces["AF"].samples.copy()
    gap[int(615 * RATE) : int(700 * RATE)] = np.nan
    traces["AF"] = Trace("AF", gap, RATE)
    kept = [onset for onset in ONSETS[:4] if onset != 600.0]
    assert [event.onset for event in respiratory_events(traces, STATES[:34])] == pytest.approx(kept, abs=4)


def test_belts_that_were_not_seen_do_not_make_an_apnea_central() -> None:
    traces = study(breathing(0.03), breathing(0.9), 5.0)
    for name in ("THX", "ABD"):
        effort = traces[name].samples.copy()
        for onset in ONSETS:
            effort[int(onset * RATE) : int((onset + 14.0) * RATE)] = np.nan
        traces[name] = Trace(name, effort, RATE)
    events = respiratory_events(traces, STATES)
    assert_placed(events, "obstructive_apnea")


def test_short_pauses_and_quiet_breathing_are_no_events() -> None:
    assert respiratory_events(study(breathing(0.03, duration=5.0), None, None), STATES) == ()
    assert respiratory_events(study(breathing(1.0), breathing(1.0), 0.0), STATES) == ()


def test_nothing_is_found_without_a_usable_airflow() -> None:
    states = STATES.copy()
    states[:, 3] = State.FLAT
    assert respiratory_events(study(breathing(0.03), breathing(0.8), 5.0), states) == ()
    assert respiratory_events({}, STATES) == ()


@pytest.mark.skipif(not CPAP.is_file(), reason="the shared data are not here")
def test_the_apneas_that_a_real_device_flagged_are_found() -> None:
    with np.load(CPAP) as night:
        flow = Trace("AF", (night["flow_x100"] / 100).astype(np.float32), float(night["fs"]))
        ends = np.concatenate([night["clear_airway_end_s"], night["obstructive_end_s"]])
    states = np.full((int(len(flow.samples) / flow.rate // 30), len(CHANNELS)), State.MISSING, dtype=np.uint8)
    states[:, 3] = State.OK
    events = respiratory_events({"AF": flow}, states)
    found = np.array([event.onset + event.duration for event in events])
    apneas = np.array([event.type != "hypopnea" for event in events])
    hit = np.abs(ends[:, None] - found[None]) < 10
    assert hit.any(axis=1).mean() > 0.9
    assert hit[:, apneas].any(axis=1).mean() > 0.9
    assert apneas.sum() <= 1.2 * len(ends)
    assert len(events) <= 20 + len(ends)
