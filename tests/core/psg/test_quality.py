"""States of channels and epochs: what is a failure, and what only looks like one."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from core.psg.channels import CHANNELS
from core.psg.preprocess import Trace
from core.psg.quality import State, assess, epoch_blocks

COLUMN = {channel.name: column for column, channel in enumerate(CHANNELS)}
RATE = 128
N = 20
REAL = Path(__file__).resolve().parents[3] / "../shared/data/ucddb_eeg"


def noise(amplitude: float = 20.0, rate: float = RATE, seed: int = 0, n: int = N) -> np.ndarray:
    white = np.random.default_rng(seed).standard_normal(round(n * 30 * rate))
    return (amplitude * np.convolve(white, np.ones(4) / 2, "same")).astype(np.float32)


def breath(n: int = N, rate: float = 32.0) -> np.ndarray:
    time = np.arange(round(n * 30 * rate)) / rate
    return (np.sin(2 * np.pi * 0.25 * time) + 0.01 * np.random.default_rng(5).standard_normal(time.size)).astype(
        np.float32
    )


def states(name: str, samples: np.ndarray, rate: float = RATE, n: int = N) -> list[State]:
    return [State(value) for value in assess({name: Trace(name, samples, rate)}, n)[:, COLUMN[name]]]


def epoch(index: int, rate: float = RATE, count: int = 1) -> slice:
    return slice(round(index * 30 * rate), round((index + count) * 30 * rate))


def test_a_clean_night_is_ok_and_absent_channels_are_missing() -> None:
    table = assess({"EEG_C3": Trace("EEG_C3", noise(), RATE)}, N)
    assert (table[:, COLUMN["EEG_C3"]] == State.OK).all()
    assert (np.delete(table, COLUMN["EEG_C3"], axis=1) == State.MISSING).all()
    assert table.dtype == np.uint8
    assert assess({}, 0).shape == (0, 11)


@pytest.mark.parametrize("name", ["EEG_C3", "EOG_L", "EMG_CHIN", "ECG"])
def test_a_constant_epoch_is_flat(name: str) -> None:
    samples = noise()
    samples[epoch(4)] = 3.0
    assert states(name, samples)[4] is State.FLAT
    assert states(name, samples)[3] is State.OK


@pytest.mark.parametrize("name", ["EEG_C3", "AF", "THX", "ECG", "EMG_CHIN"])
def test_a_constant_channel_is_flat_throughout(name: str) -> None:
    assert set(states(name, np.full(N * 30 * RATE, 7.0, np.float32))) == {State.FLAT}


def test_a_low_gain_is_not_flat() -> None:
    assert set(states("EEG_C3", noise(0.2))) == {State.OK}
    samples = noise()
    samples[epoch(8, count=12)] *= 0.1  # the amplifier is turned down by 20 dB in the night
    assert set(states("EEG_C3", samples)) == {State.OK}


def test_a_shorted_input_is_disconnected() -> None:
    samples = noise()
    samples[epoch(4, count=3)] *= 0.001
    assert states("EEG_C3", samples)[4:7] == [State.DISCONNECTED] * 3


@pytest.mark.parametrize("name", ["AF", "THX", "ABD"])
@pytest.mark.parametrize("seconds", [30, 60, 100])
def test_an_apnea_is_not_a_disconnected_sensor(name: str, seconds: int) -> None:
    samples = breath()
    start = 7 * 30 * 32
    samples[start : start + seconds * 32] *= 0.002
    assert set(states(name, samples, 32.0)) == {State.OK}
    samples[start : start + seconds * 32] = 0.0  # an exporter that rounds to zero
    assert set(states(name, samples, 32.0)) == {State.OK}


def test_a_sensor_that_is_silent_for_minutes_is_off() -> None:
    samples = breath()
    samples[epoch(8, 32, 10)] = 0.0
    assert states("AF", samples, 32.0)[8:18] == [State.FLAT] * 10
    samples[epoch(8, 32, 10)] = 0.001 * noise(1.0, 32, n=10)
    assert states("AF", samples, 32.0)[8:18] == [State.DISCONNECTED] * 10


def test_a_gap_is_a_gap_when_it_takes_the_greater_part() -> None:
    samples = noise()
    samples[epoch(3)] = np.nan
    samples[epoch(5)][: 20 * RATE] = np.nan
    samples[epoch(7)][: 10 * RATE] = np.nan
    found = states("EEG_C3", samples)
    assert [found[i] for i in (3, 5, 7, 8)] == [State.GAP, State.GAP, State.OK, State.OK]


def test_after_the_end_of_a_trace_is_a_gap() -> None:
    assert states("EEG_C3", noise()[: 15 * 30 * RATE])[14:] == [State.OK] + [State.GAP] * 5


def test_clipping_at_the_rails() -> None:
    samples = np.clip(noise(20.0), -500, 500)
    samples[epoch(6)] = np.clip(noise(600.0, n=1), -500, 500)
    assert states("EEG_C3", samples)[6] is State.CLIPPED
    assert states("EEG_C3", samples)[5] is State.OK
    samples[epoch(9)] = 500.0
    assert states("EEG_C3", samples)[9] in (State.FLAT, State.DISCONNECTED)


@pytest.mark.parametrize("line", [50.0, 60.0])
def test_mains_is_named_and_usable(line: float) -> None:
    samples = noise()
    time = np.arange(30 * RATE) / RATE
    samples[epoch(2)] += (60 * np.sin(2 * np.pi * line * time)).astype(np.float32)
    found = states("EEG_C3", samples)
    assert found[2] is State.MAINS
    assert found[1] is State.OK
    assert State.MAINS.usable


def test_mains_alone_is_an_open_electrode() -> None:
    samples = noise(1.0)
    time = np.arange(30 * RATE) / RATE
    samples[epoch(2)] += (100 * np.sin(2 * np.pi * 50 * time)).astype(np.float32)
    assert states("EEG_C3", samples)[2] is State.DISCONNECTED


def test_a_muscle_band_of_high_frequencies_is_not_mains() -> None:
    assert set(
        states("EMG_CHIN", np.random.default_rng(1).standard_normal(N * 30 * 256).astype(np.float32), 256.0)
    ) == {State.OK}


def test_movement_over_most_of_an_epoch_is_an_artefact_and_a_short_one_is_not() -> None:
    samples = noise()
    samples[epoch(4)] *= 40
    samples[epoch(8)][: 5 * RATE] *= 40
    found = states("EEG_C3", samples)
    assert found[4] is State.ARTEFACT
    assert found[8] is State.OK
    assert State.ARTEFACT.seen
    assert not State.ARTEFACT.usable


def test_deep_sleep_and_waking_muscle_are_no_artefacts() -> None:
    samples = noise(8.0)
    time = np.arange(5 * 30 * RATE) / RATE
    samples[epoch(10, count=5)] += (75 * np.sin(2 * np.pi * 1.0 * time)).astype(np.float32)
    assert set(states("EEG_C3", samples)) == {State.OK}
    muscle = noise(0.5)
    muscle[epoch(0, count=4)] = noise(20.0, n=4)
    assert set(states("EMG_CHIN", muscle)) == {State.OK}


def test_saturation_and_position_may_stay_the_same() -> None:
    assert set(states("SPO2", np.full(N * 30, 96.0, np.float32), 1.0)) == {State.OK}
    assert set(states("POS", np.full(N * 30, 2.0, np.float32), 1.0)) == {State.OK}
    assert set(states("SPO2", np.full(200 * 30, 96.0, np.float32), 1.0, 200)) == {State.FLAT}
    assert set(states("POS", np.full(N * 30, -1.0, np.float32), 1.0)) == {State.DISCONNECTED}


def test_no_finger_is_told_from_a_gap_of_the_recording() -> None:
    oxygen, brain = np.full(N * 30, 96.0, np.float32), noise()
    oxygen[5 * 30 : 8 * 30] = np.nan
    oxygen[10 * 30 : 11 * 30] = np.nan
    brain[epoch(10)] = np.nan
    table = assess({"SPO2": Trace("SPO2", oxygen, 1.0), "EEG_C3": Trace("EEG_C3", brain, RATE)}, N)
    assert table[5, COLUMN["SPO2"]] == State.DISCONNECTED
    assert table[10, COLUMN["SPO2"]] == State.GAP


def test_epochs_of_a_rate_that_is_not_whole() -> None:
    samples = np.arange(3000, dtype=np.float32)
    blocks = epoch_blocks(samples, 33.35, 3)
    assert blocks.shape == (3, 1000)
    assert blocks[:, 0].tolist() == [0.0, 1000.0, 2001.0]
    assert epoch_blocks(samples[:5], 1 / 60, 4).shape == (4, 1)


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from([channel.name for channel in CHANNELS]),
    gain=st.floats(-6, 6),
    offset=st.floats(-1e4, 1e4),
    rate=st.sampled_from([0.1, 1.0, 4.0, 25.0, 64.0, 128.0, 199.9]),
)
def test_every_epoch_gets_a_state_whatever_the_gain(name: str, gain: float, offset: float, rate: float) -> None:
    samples = (noise(1.0, rate, n=4) * 10.0**gain + offset).astype(np.float32)
    assert set(states(name, samples, rate, 4)) <= set(State)


def body(name: str, gain: float = 1.0, seed: int = 0) -> np.ndarray:
    """An hour's third: an EEG or EOG falls by 20 dB a decade; a chin is white, ten times weaker at rest than awake."""
    white = np.random.default_rng(seed).standard_normal(N * 30 * RATE)
    if name == "EMG_CHIN":
        level = np.repeat(np.where(np.arange(N) < 5, 10.0, np.where(np.arange(N) < 8, 0.5, 3.0)), 30 * RATE)
        return (gain * level * white).astype(np.float32)
    brown = signal.lfilter([1.0], [1.0, -0.97], white)
    return (gain * 15.0 * brown / brown.std()).astype(np.float32)


def loose(kind: str, epochs: int, seed: int = 1) -> np.ndarray:
    """An electrode that is off: the noise of a shorted input, or hum on that of an open one."""
    white = np.random.default_rng(seed).standard_normal(epochs * 30 * RATE)
    time = np.arange(white.size) / RATE
    return (0.05 * white if kind == "shorted" else 4.0 * white + 30.0 * np.sin(2 * np.pi * 50 * time)).astype(
        np.float32
    )


@pytest.mark.parametrize("name", ["EEG_C4", "EOG_R", "EMG_CHIN"])
@pytest.mark.parametrize("kind", ["shorted", "open"])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 1.0])
def test_nothing_can_be_told_from_a_detached_electrode(name: str, kind: str, share: float) -> None:
    off = round(share * N)
    samples = body(name)
    samples[epoch(N - off, count=off)] = loose(kind, off)
    found = states(name, samples)
    assert set(found[N - off :]) == {State.DISCONNECTED}
    assert set(found[: N - off]) <= {State.OK}


@pytest.mark.parametrize("name", ["EEG_C4", "EOG_R", "EMG_CHIN"])
@pytest.mark.parametrize("gain", [1.0, 0.1, 1 / 30])
def test_a_body_is_not_detached_at_any_gain(name: str, gain: float) -> None:
    """Also where the unit is a standard deviation (a gain of a thirtieth), and a chin in REM sleep at a tenth."""
    assert set(states(name, body(name, gain))) == {State.OK}
    turned_down = body(name)
    turned_down[epoch(8, count=12)] *= 0.1
    assert set(states(name, turned_down)) == {State.OK}


def test_muscle_over_the_eeg_is_not_detached() -> None:
    samples = body("EEG_C3")
    samples[epoch(3, count=4)] += noise(30.0, n=4)
    samples[epoch(9)] = 0.4 * np.random.default_rng(3).standard_normal(30 * RATE) * 20
    assert set(states("EEG_C3", samples)) == {State.OK}


def test_a_brain_under_hum_is_usable_and_a_chin_under_ten_times_its_power_is_not() -> None:
    hum = (30.0 * np.sin(2 * np.pi * 50 * np.arange(30 * RATE) / RATE)).astype(np.float32)
    brain, chin = body("EEG_C3"), body("EMG_CHIN")
    brain[epoch(12)] += hum
    chin[epoch(12)] += hum
    chin[epoch(13)] += hum / 10
    assert states("EEG_C3", brain)[12] is State.MAINS
    assert states("EMG_CHIN", chin)[12:14] == [State.DISCONNECTED, State.OK]


@pytest.mark.skipif(not REAL.is_dir(), reason="real recordings are not here")
@pytest.mark.parametrize("path", sorted(REAL.glob("*.npz"))[:4], ids=lambda path: path.stem)
def test_real_eeg_is_not_detached(path: Path) -> None:
    with np.load(path) as night:
        samples = night["sig"].astype(np.float32) * np.float32(night["scale"])
    for gain in (1.0, 0.1):
        turned = samples - np.median(samples)
        turned[len(turned) // 2 :] *= gain
        found = np.array(states("EEG_C3", turned.reshape(-1), 128.0, len(turned)))
        assert np.mean(found == State.DISCONNECTED) < 0.02


@pytest.mark.parametrize(("recorded", "state"), [(1.0, State.GAP), (1.9, State.GAP), (5.0, State.OK)])
def test_an_epoch_in_crumbs_is_a_gap(recorded: float, state: State) -> None:
    """Pieces too short to measure anything do not make an epoch, though half of it is there."""
    samples = 15 * np.random.default_rng(0).standard_normal(120 * 128).astype(np.float32)
    samples[(np.arange(samples.size) / 128 % (2 * recorded)) >= recorded] = np.nan
    trace = Trace("EEG_C3", samples, 128.0)
    assert set(assess({"EEG_C3": trace}, 4)[:, COLUMN["EEG_C3"]].tolist()) == {state}
