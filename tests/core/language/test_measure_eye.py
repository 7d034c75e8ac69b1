"""Rapid eye movements against deflections of known time, and against what only looks like them."""

import numpy as np
import pytest
from numpy.typing import NDArray

from core.language.epochs import sampled
from core.language.measure_eye import EOG_RATE, measure_eye, rapid_eye_movements
from core.psg.channels import CHANNELS
from core.psg.preprocess import Trace
from core.psg.quality import State

N = 10
RATE = 256.0
TIME = np.arange(int(N * 30 * RATE)) / RATE
STATES = np.zeros((N, len(CHANNELS)), dtype=np.uint8)
RNG = np.random.default_rng(3)
LOOKS = 5.0 + 3.0 * np.arange(90) + RNG.uniform(0, 1.5, 90)


def looks(size: float, seconds: float) -> NDArray[np.float64]:
    """Where the eyes look, from side to side at `LOOKS` within so many seconds, behind a 0.3-Hz amplifier."""
    gaze = np.zeros(len(TIME))
    for k, start in enumerate(LOOKS):
        gaze += (-1) ** k * size * np.clip((TIME - start) / seconds, 0, 1)
    decay = np.exp(-2 * np.pi * 0.3 / RATE)
    out, last = np.empty(len(gaze)), 0.0
    for k, step in enumerate(np.diff(gaze, prepend=gaze[0]).tolist()):
        last = decay * last + step
        out[k] = last
    return out


def noise() -> NDArray[np.float64]:
    return 3.0 * RNG.standard_normal(len(TIME))


def eyes(left: NDArray[np.float64], right: NDArray[np.float64]) -> dict[str, Trace]:
    return {name: Trace(name, side.astype(np.float32), RATE) for name, side in (("EOG_L", left), ("EOG_R", right))}


def found(traces: dict[str, Trace]) -> NDArray[np.float64]:
    left, right = (sampled(traces, STATES, name, EOG_RATE, N) for name in ("EOG_L", "EOG_R"))
    assert left is not None
    assert right is not None
    return rapid_eye_movements(left, right)


def test_every_rapid_look_is_found_at_its_time() -> None:
    gaze = looks(80.0, 0.06)
    times = found(eyes(noise() - gaze / 2, noise() + gaze / 2))
    assert len(times) == len(LOOKS)
    assert times == pytest.approx(LOOKS + 0.03, abs=0.1)


def test_counts_are_those_of_the_epoch() -> None:
    gaze = looks(120.0, 0.06)
    states = STATES.copy()
    states[4, [channel.name for channel in CHANNELS].index("EOG_R")] = State.DISCONNECTED
    counts = measure_eye(eyes(noise() - gaze, noise() + gaze), states, N).rapid
    assert counts is not None
    assert np.isnan(counts[4])
    told = np.arange(N) != 4
    assert counts[told] == pytest.approx(np.histogram(LOOKS + 0.03, np.arange(0, 301, 30))[0][told], abs=1)


def test_slow_movements_brain_waves_and_one_loose_electrode_are_none() -> None:
    slow, wave = looks(80.0, 1.2), 80.0 * np.sin(2 * np.pi * 1.5 * TIME)
    assert len(found(eyes(noise() - slow / 2, noise() + slow / 2))) == 0
    assert len(found(eyes(noise() + wave, noise() + 0.7 * wave))) == 0
    assert len(found(eyes(noise() + looks(80.0, 0.06), noise()))) == 0
    assert len(found(eyes(noise(), noise()))) == 0


def test_nothing_is_counted_without_both_eogs_in_their_unit() -> None:
    both = eyes(noise() - looks(80.0, 0.06), noise() + looks(80.0, 0.06))
    assert measure_eye({"EOG_L": both["EOG_L"]}, STATES, N).rapid is None
    scaled = {
        name: Trace(name, (trace.samples / trace.samples.std()).astype(np.float32), RATE)
        for name, trace in both.items()
    }
    assert measure_eye(scaled, STATES, N).rapid is None
