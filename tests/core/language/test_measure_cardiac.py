"""Beats against constructed ECGs and real beat files."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from core.language.measure_cardiac import beat_rate, detect_beats, heart_rate, measure_cardiac, rmssd, sinus_intervals
from core.psg.channels import CHANNELS
from core.psg.preprocess import Trace

SLPDB = Path(__file__).resolve().parents[3] / "../shared/data/slpdb"
N = 20
STATES = np.zeros((N, len(CHANNELS)), dtype=np.uint8)


def beat_times(rate: float = 62.0, spread: float = 0.03, seconds: float = N * 30.0) -> NDArray[np.float64]:
    rng = np.random.default_rng(3)
    count = int(seconds * rate / 60)
    intervals = 60 / rate * (1 + 0.03 * np.sin(np.arange(count) * 1.6)) + spread * rng.standard_normal(count) / 2
    times = 0.4 + np.cumsum(intervals)
    return times[times < seconds - 0.5]


def electrocardiogram(times: NDArray[np.float64], rate: float, gain: float = 1.0) -> NDArray[np.float32]:
    time = np.arange(int(N * 30 * rate)) / rate
    samples = 0.1 * np.sin(2 * np.pi * 0.25 * time) + 0.01 * np.random.default_rng(0).standard_normal(len(time))
    for wave, (delay, width, height) in {"p": (-0.16, 0.025, 0.1), "q": (-0.03, 0.01, -0.12), "r": (0.0, 0.012, 1.0),
                                         "s": (0.03, 0.01, -0.25), "t": (0.28, 0.05, 0.25)}.items():  # fmt: skip
        assert wave
        for beat in times:
            first = max(0, int((beat + delay - 5 * width) * rate))
            part = slice(first, int((beat + delay + 5 * width) * rate) + 1)
            samples[part] += height * np.exp(-0.5 * ((time[part] - beat - delay) / width) ** 2)
    return (gain * samples).astype(np.float32)


def matched(truth: NDArray[np.float64], found: NDArray[np.float64], tolerance: float) -> float:
    near = np.abs(truth[:, None] - found[None]) <= tolerance
    return 2 * near.any(axis=1).sum() / (len(truth) + len(found))


@pytest.mark.parametrize(("rate", "gain"), [(256.0, 1.0), (128.0, -1.0), (200.0, 300.0), (64.0, 1.0), (500.0, -0.02)])
def test_beats_are_found_at_any_rate_unit_and_polarity(rate: float, gain: float) -> None:
    truth = beat_times()
    found = detect_beats(Trace("ECG", electrocardiogram(truth, rate, gain), rate))
    assert matched(truth, found, 0.03) > 0.995


def test_rate_and_rmssd_of_a_constructed_ecg() -> None:
    truth = beat_times()
    traces = {"ECG": Trace("ECG", electrocardiogram(truth, 256.0), 256.0)}
    measured = measure_cardiac(traces, STATES, N)
    assert measured.values["beat_rate"] == pytest.approx(beat_rate(truth, N), abs=0.3)
    expected, got = rmssd(truth, N), measured.values["rmssd"]
    assert got == pytest.approx(expected, abs=3.0)
    assert np.all(measured.values["heart_rate_min"] <= measured.values["heart_rate_mean"])
    assert np.all(measured.values["heart_rate_mean"] <= measured.values["heart_rate_max"])
    assert measured.values["heart_rate_mean"] == pytest.approx(62.0, abs=1.5)


def test_noise_has_no_heart_rate() -> None:
    rng = np.random.default_rng(0)
    for samples in (rng.standard_normal(N * 30 * 256), np.cumsum(rng.standard_normal(N * 30 * 256))):
        measured = measure_cardiac({"ECG": Trace("ECG", samples.astype(np.float32), 256.0)}, STATES, N)
        assert np.isnan(measured.values["beat_rate"]).all()
        assert np.isnan(measured.values["rmssd"]).all()
        assert not any(measured.trends)


def test_noisy_and_lost_stretches_are_left_out_and_the_rest_stays() -> None:
    truth = beat_times()
    samples = electrocardiogram(truth, 256.0)
    samples[5 * 7680 : 7 * 7680] = 5 * np.random.default_rng(1).standard_normal(2 * 7680)
    samples[10 * 7680 : 11 * 7680] = np.nan
    measured = measure_cardiac({"ECG": Trace("ECG", samples, 256.0)}, STATES, N).values["beat_rate"]
    assert np.isnan(measured[[5, 6, 10]]).all()
    rest = np.setdiff1d(np.arange(N), [4, 5, 6, 7, 9, 10, 11])
    assert measured[rest] == pytest.approx(beat_rate(truth, N)[rest], abs=0.5)


def test_an_ectopic_beat_does_not_enter_rmssd() -> None:
    steady = np.arange(0.5, 300.0, 1.0)
    early = steady.copy()
    early[[40, 100, 170]] -= 0.4
    assert rmssd(early, 10) == pytest.approx(np.zeros(10), abs=1e-6)
    assert not sinus_intervals(early)[[39, 40]].any()


def test_too_few_beats_give_nothing() -> None:
    assert np.isnan(beat_rate(np.array([1.0, 2.0]), 3)).all()
    assert np.isnan(rmssd(np.array([1.0]), 3)).all()
    assert np.isnan(heart_rate(np.array([]), 3)).all()


def annotations(path: Path) -> list[tuple[int, int]]:
    """Read a WFDB annotation file in MIT format: (sample, code)."""
    words = np.frombuffer(path.read_bytes(), dtype="<u2").tolist()
    rows, time, place = [], 0, 0
    while words[place]:
        code, value = words[place] >> 10, words[place] & 0x3FF
        place += 1
        if code == 59:  # SKIP: the interval is in the next four bytes, high word first
            skip = (words[place] << 16) + words[place + 1]
            time += skip - (1 << 32) if skip >= 1 << 31 else skip
            place += 2
        elif code == 63:  # AUX
            place += (value + 1) // 2
        elif code < 50:
            time += value
            rows.append((time, code))
    return rows


def plainly(beats: list[float], n_epochs: int) -> tuple[list[float], list[float]]:
    """Compute beat rate and RMSSD as their definitions read, a number at a time."""
    intervals = [after - before for before, after in itertools.pairwise(beats)]
    usual = []
    for place in range(len(intervals)):
        around = sorted(intervals[min(max(k, 0), len(intervals) - 1)] for k in range(place - 5, place + 6))
        usual.append(around[5])
    fits = [0.3 <= interval <= 2.5 for interval in intervals]
    normal = [
        fit and abs(interval - median) <= 0.2 * median
        for fit, interval, median in zip(fits, intervals, usual, strict=True)
    ]
    spans: list[list[float]] = [[] for _ in range(n_epochs)]
    squares: list[list[float]] = [[] for _ in range(n_epochs)]
    everything = [0] * n_epochs
    for place, interval in enumerate(intervals):
        row = int((beats[place] + interval / 2) // 30)
        if fits[place] and row < n_epochs:
            spans[row].append(interval)
        row = int(beats[place + 1] // 30)
        if place + 1 < len(intervals) and row < n_epochs:
            everything[row] += 1
            if normal[place] and normal[place + 1]:
                squares[row].append((1000 * (intervals[place + 1] - interval)) ** 2)
    rates = [60 * len(span) / sum(span) if sum(span) >= 20 else math.nan for span in spans]
    rmssds = [
        math.sqrt(sum(square) / len(square)) if len(square) >= 8 and 2 * len(square) >= count else math.nan
        for square, count in zip(squares, everything, strict=True)
    ]
    return rates, rmssds


@pytest.mark.skipif(not SLPDB.is_dir(), reason="the shared data are not here")
@pytest.mark.parametrize("record", ["slp01a", "slp16", "slp32", "slp45", "slp61"])
def test_real_beat_files_give_what_a_plain_computation_gives(record: str) -> None:
    beats = [time / 250 for time, code in annotations(SLPDB / f"{record}.ecg") if 0 < code < 14]
    assert len(beats) > 5000
    n_epochs = int(beats[-1] // 30)
    rates, rmssds = plainly(beats, n_epochs)
    assert beat_rate(np.array(beats), n_epochs) == pytest.approx(np.array(rates), nan_ok=True)
    assert rmssd(np.array(beats), n_epochs) == pytest.approx(np.array(rmssds), rel=1e-6, abs=1e-6, nan_ok=True)


@pytest.mark.skipif(not SLPDB.is_dir(), reason="the shared data are not here")
def test_uneventful_epochs_of_real_beats_have_the_textbook_rmssd() -> None:
    rows = annotations(SLPDB / "slp37.ecg")
    beats = np.array([time for time, code in rows if 0 < code < 14]) / 250
    sinus = np.array([code for _, code in rows if 0 < code < 14]) == 1
    n_epochs = int(beats[-1] // 30)
    got = rmssd(beats, n_epochs)
    normal = sinus_intervals(beats)
    compared = 0
    for epoch in range(1, n_epochs - 1):
        inside = np.flatnonzero((beats >= 30 * epoch) & (beats < 30 * epoch + 30))
        wide = slice(inside[0] - 1, inside[-1] + 2)
        if sinus[wide].all() and normal[inside[0] - 1 : inside[-1] + 1].all():
            differences = 1000 * np.diff(np.diff(beats[wide]))
            assert got[epoch] == pytest.approx(np.sqrt(np.mean(differences**2)))
            compared += 1
    assert compared > 100
