"""The table of measurements, its store, and its silence where a channel cannot be used."""

import numpy as np
import pytest

from core.language.measure import MEASUREMENTS, EpochMeasurements, Trend, measure
from core.psg.channels import CHANNELS
from core.psg.preprocess import Trace
from core.psg.quality import State
from core.psg.scoring import Event

N = 20
RATES = {"AF": 32.0, "THX": 32.0, "ABD": 32.0, "SPO2": 1.0, "POS": 1.0, "ECG": 256.0}
OK = np.zeros((N, len(CHANNELS)), dtype=np.uint8)


def study(seconds: int = N * 30) -> dict[str, Trace]:
    rng = np.random.default_rng(0)
    traces = {}
    for channel in CHANNELS:
        rate = RATES.get(channel.name, 128.0)
        time = np.arange(int(seconds * rate)) / rate
        noise = rng.standard_normal(len(time))
        samples = {
            "ecg": 0.02 * noise + sum(np.exp(-0.5 * ((time % 1.0 - 0.5 - k) / w) ** 2) * h
                                      for k, w, h in ((0.0, 0.012, 1.0), (0.25, 0.05, 0.2))),
            "effort": np.sin(2 * np.pi * 0.25 * time) + 0.02 * noise,
            "airflow": np.sin(2 * np.pi * 0.25 * time) + 0.02 * noise,
            "spo2": np.where((time > 100) & (time < 130), 91.0, 96.0) if rate == 1 else 0 * time,
            "position": np.full(len(time), 2.0),
        }.get(channel.kind, 20 * noise)  # fmt: skip
        traces[channel.name] = Trace(channel.name, samples.astype(np.float32), rate)
    return traces


@pytest.fixture(scope="module")
def measured() -> EpochMeasurements:
    return measure(study(), OK, N)


def test_every_measurement_is_defined_and_given(measured: EpochMeasurements) -> None:
    assert list(measured.values) == list(MEASUREMENTS)
    for name, row in MEASUREMENTS.items():
        assert row.name == name
        assert row.definition.endswith(".")
        assert row.domain in ("brain", "cardiac", "respiration", "somatic")
        assert set(row.channels) <= {channel.name for channel in CHANNELS}
        assert measured.values[name].shape == (N,)
        assert measured.values[name].dtype == np.float32
    assert len(measured.trends) == N


def test_a_whole_study_has_values(measured: EpochMeasurements) -> None:
    for name in (
        "c3_delta",
        "eog_left_slow",
        "beat_rate",
        "rmssd",
        "spo2_mean",
        "airflow_rate",
        "chin_tone",
        "position",
    ):
        assert np.isfinite(measured.values[name]).mean() > 0.8
    assert measured.values["beat_rate"][5] == pytest.approx(60, abs=0.5)
    assert measured.values["airflow_rate"][5] == pytest.approx(15, abs=0.3)


def test_store_gives_back_what_was_measured(measured: EpochMeasurements) -> None:
    full = EpochMeasurements(
        measured.values, measured.trends, (Event("desaturation", 12.5, 20.0), Event("hypopnea", 1.0, 2.0, 0.25)),
        (3.0, 4.0), measured.below_90, (Event("hypopnea", 40.0, 12.0, 0.2),),
        rapid_eyes=np.where(np.arange(N) < 2, np.nan, np.arange(N)).astype(np.float32),
    )  # fmt: skip
    again = EpochMeasurements.from_tables(*full.to_tables())
    assert again.trends == full.trends
    assert again.events == full.events
    assert again.depths == full.depths
    assert again.reductions == full.reductions
    for name, values in full.values.items():
        assert np.array_equal(again.values[name], values, equal_nan=True)
    assert full.below_90 is not None
    assert np.array_equal(again.below_90, full.below_90, equal_nan=True)  # type: ignore[arg-type]
    assert np.array_equal(again.rapid_eyes, full.rapid_eyes, equal_nan=True)  # type: ignore[arg-type]
    assert any(isinstance(trend, Trend) for row in again.trends for trend in row)


@pytest.mark.parametrize("state", [State.MISSING, State.FLAT, State.GAP, State.DISCONNECTED, State.ARTEFACT])
def test_nothing_is_measured_on_a_channel_that_cannot_be_used(state: State) -> None:
    states = OK.copy()
    states[5:9] = state
    values = measure(study(), states, N).values
    for name in MEASUREMENTS:
        assert np.isnan(values[name][5:9]).all(), name


def test_breathing_events_are_measured_with_the_desaturations() -> None:
    traces = study()
    flow = traces["AF"].samples.copy()
    time = np.arange(len(flow)) / traces["AF"].rate
    flow[(time >= 300) & (time < 325)] *= 0.02
    spo2 = np.full(N * 30, 96.0, np.float32)
    spo2[330:350] = 90.0
    spo2 = np.convolve(np.pad(spo2, 6, mode="edge"), np.full(13, 1 / 13), "valid").astype(np.float32)
    traces |= {"AF": Trace("AF", flow, traces["AF"].rate), "SPO2": Trace("SPO2", spo2, 1.0)}
    measured = measure(traces, OK, N)
    kinds = [event.type for event in measured.events]
    assert len(kinds) == 2
    assert kinds[0].endswith("apnea")
    assert kinds[1] == "desaturation"
    assert measured.events[0].confidence is not None
    assert np.isnan(measured.depths[0])
    assert measured.depths[1] == pytest.approx(6, abs=0.6)
    again = EpochMeasurements.from_tables(*measured.to_tables())
    assert again.events == measured.events


def test_nothing_is_measured_without_channels_or_on_zeros_called_fine() -> None:
    for traces in (
        {},
        {name: Trace(name, 0 * trace.samples, trace.rate) for name, trace in study().items() if name != "POS"},
    ):
        measured = measure(traces, OK, N)
        assert all(np.isnan(values).all() for name, values in measured.values.items() if not name.endswith("_count"))
        assert measured.events == ()
        assert all(row == () for row in measured.trends)


def test_a_gap_is_left_out_and_its_neighbours_stay(measured: EpochMeasurements) -> None:
    traces = study()
    for trace in traces.values():
        trace.samples[int(240 * trace.rate) : int(300 * trace.rate)] = np.nan
    values = measure(traces, OK, N).values
    for name in ("c3_delta", "beat_rate", "airflow_rate", "spo2_mean", "chin_tone", "eog_right_rapid", "position"):
        assert np.isnan(values[name][8:10]).all(), name
        assert values[name][14] == pytest.approx(measured.values[name][14], rel=0.1), name


def test_traces_that_end_early_or_late_fit_the_epochs() -> None:
    values = measure(study(seconds=N * 30 - 45), OK, N).values
    assert np.isnan(values["c3_delta"][-1])
    assert np.isfinite(values["c3_delta"][-3])
    assert measure(study(seconds=N * 30 + 17), OK, N).values["c3_delta"].shape == (N,)
