"""What airflow sensor, belts and oximeter of different labs make of the same breaths."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from core.psg.simulate import breathing, events, oxygen, sensors
from core.psg.simulate.hypnogram import N2, W
from core.psg.simulate.lab import Breathing, Lab, draw_lab
from core.psg.simulate.subject import draw_subject
from core.psg.simulate.truth import Span

SECONDS = 600
APNEA = (300.0, 330.0)
QUIET = Breathing(flow_noise=0.0, belt_noise=0.0, wander=0.0)


def record(how: Breathing, faults: tuple[Span, ...] = (), airflow: str = "nasal_pressure") -> dict[str, NDArray]:
    """One central apnea of half a minute in ten minutes of N2, at a heart rate of 60."""
    subject = replace(draw_subject(np.random.default_rng(1)), sighs=0.0, onset_waxing=0.0)
    states = np.full(SECONDS // 2, N2, dtype=np.int8)
    planned = [Span("central_apnea", APNEA[0], APNEA[1] - APNEA[0])]
    breaths, _ = breathing.breathe(np.random.default_rng(2), subject, states, planned)
    lab = Lab(airflow=airflow, breathing=how)
    beats = np.arange(0.5, SECONDS, 1.0)
    bedside = sensors.Bedside(subject, lab, SECONDS, (Span("supine", 0.0, float(SECONDS)),), faults, beats)
    abdomen, thorax = sensors.effort(breaths, bedside, np.random.default_rng(3))
    return {"AF": sensors.airflow(breaths, bedside, np.random.default_rng(4)), "ABD": abdomen, "THX": thorax}


def size(trace: NDArray, start: float, end: float) -> float:
    return float(np.ptp(trace[round(start * breathing.RATE) : round(end * breathing.RATE)]))


@pytest.mark.parametrize("airflow", ["nasal_pressure", "thermistor", "pneumotachograph"])
def test_every_sensor_shows_the_apnea(airflow: str) -> None:
    flow = record(QUIET, airflow=airflow)["AF"]
    assert size(flow, 308, 326) < 0.25 * size(flow, 240, 290)


def test_gain_turns_and_offset_shifts_the_same_trace() -> None:
    plain, turned = record(QUIET)["AF"], record(replace(QUIET, flow_gain=-250.0, flow_offset=900.0))["AF"]
    np.testing.assert_allclose(turned, -250.0 * plain + 900.0, rtol=1e-4, atol=0.05)


def test_the_converter_clips_and_rounds() -> None:
    flow = record(replace(QUIET, clip=0.5, digit=0.1))["AF"]
    assert np.abs(flow).max() == pytest.approx(0.5, abs=1e-6)
    np.testing.assert_allclose(flow / 0.1, np.round(flow / 0.1), atol=1e-4)


def test_mouth_breathing_hides_the_flow_and_not_the_effort() -> None:
    fault = Span("mouth_breathing", 120.0, 120.0, channels=("AF",))
    traces = record(QUIET, (fault,))
    assert size(traces["AF"], 130, 230) < 0.4 * size(traces["AF"], 20, 110)
    assert size(traces["THX"], 130, 230) > 0.6 * size(traces["THX"], 20, 110)


def test_the_heart_is_seen_where_nobody_breathes() -> None:
    flow = record(replace(QUIET, square_root=True))["AF"]
    part = flow[round(308 * breathing.RATE) : round(328 * breathing.RATE)]
    power = np.abs(np.fft.rfft(part - part.mean()))
    strongest = np.fft.rfftfreq(len(part), 1 / breathing.RATE)[int(power.argmax())]
    assert strongest == pytest.approx(1.0, abs=0.1)


def test_a_detached_lab_is_drawn_with_faults_and_a_careful_one_without() -> None:
    assert sensors.plan_faults(np.random.default_rng(0), Lab(), 28800) == ()
    careless = Lab(breathing=Breathing(mouth=2.0, displaced=3.0))
    faults = sensors.plan_faults(np.random.default_rng(0), careless, 28800)
    assert {fault.type for fault in faults} == set(sensors.FAULTS)
    assert all(0 <= fault.onset < fault.end <= 28800.1 for fault in faults)


def test_labs_differ() -> None:
    labs = [draw_lab(np.random.default_rng(seed)) for seed in range(200)]
    assert {lab.airflow for lab in labs} == {"nasal_pressure", "thermistor", "pneumotachograph"}
    assert {lab.spo2_lost for lab in labs} == {0.0, 127.0, -1.0}
    assert 0.1 < np.mean([lab.breathing.flow_gain < 0 for lab in labs]) < 0.5
    assert 0.02 < np.mean([lab.breathing.clip > 0 for lab in labs]) < 0.4


def test_pauses_of_wake_are_in_the_breaths_and_not_among_the_events() -> None:
    subject = replace(draw_subject(np.random.default_rng(1)), ahi=40.0)
    states = np.full(1800, W, dtype=np.int8)
    pauses = events.plan_pauses(np.random.default_rng(5), subject, states)
    assert len(pauses) >= 5
    breaths, found = breathing.breathe(np.random.default_rng(6), subject, states, pauses)
    assert found == []
    inside = [breaths.flow[(breaths.onset > p.onset + 1) & (breaths.onset < p.end - 3)].mean() for p in pauses]
    assert np.median(inside) < 0.72


def test_a_late_oximeter_shows_the_same_fall_later() -> None:
    curve = np.full(100, 97.0, dtype=np.float32)
    curve[50:] = 90.0
    shown = oxygen.oximeter(curve, Lab(spo2_average=1.0, spo2_delay=8.0))
    assert shown[57] == 97
    assert shown[58] == 90
