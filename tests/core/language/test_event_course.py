"""What is told of each second: of known breathing, saturation, EEG and muscle, and in any unit."""

import numpy as np
import pytest
from numpy.typing import NDArray

from core.language.event_course import COLUMNS_OF, N_COURSE, event_course
from core.psg.channels import CHANNELS
from core.psg.preprocess import Trace
from core.psg.quality import State

N = 20
SECONDS = 30 * N
COLUMN = {channel.name: column for column, channel in enumerate(CHANNELS)}
APNEA = slice(300, 320)


def states() -> NDArray[np.uint8]:
    return np.zeros((N, len(CHANNELS)), np.uint8)


def breathing(rate: float = 32.0, gain: float = 1.0, offset: float = 0.0) -> Trace:
    time = np.arange(round(SECONDS * rate)) / rate
    size = np.where((time >= APNEA.start) & (time < APNEA.stop), 0.02, 1.0)
    return Trace("AF", (gain * size * np.sin(2 * np.pi * 0.25 * time) + offset).astype(np.float32), rate)


def told(group: str, *traces: Trace, at: NDArray[np.uint8] | None = None) -> NDArray[np.float32]:
    course = event_course({t.channel: t for t in traces}, states() if at is None else at, N)
    assert course.shape == (SECONDS, N_COURSE)
    return course[:, COLUMNS_OF[group]]


def test_breathing_that_stops_is_small_against_the_minutes_around() -> None:
    size = told("AF", breathing())[:, 4]
    assert size[100:280].mean() == pytest.approx(0, abs=0.1)
    assert size[305:315].max() < -2.5


@pytest.mark.parametrize(("rate", "gain", "offset"), [(32.0, 1e-4, 0.0), (8.0, 900.0, 1e5), (200.0, 1.0, -3.0)])
def test_unit_offset_and_rate_of_a_sensor_do_not_matter(rate: float, gain: float, offset: float) -> None:
    plain, other = told("AF", breathing()), told("AF", breathing(rate, gain, offset))
    assert np.abs(plain[20:-20, 4:] - other[20:-20, 4:]).mean() < 0.05
    assert np.abs(plain[20:-20, :4] - other[20:-20, :4]).mean() < 0.15


def test_a_desaturation_is_deep_for_its_length_alone() -> None:
    places = [0, 330, 346, 350, 360, SECONDS]
    values = np.interp(np.arange(SECONDS), places, [96, 96, 88, 88, 96, 96]).astype(np.float32)
    depth = told("SPO2", Trace("SPO2", values, 1.0))[:, 0]
    assert depth[346:350] == pytest.approx(-2.0, abs=0.1)  # eight points, in quarters
    assert depth[100:300] == pytest.approx(0.0, abs=0.01)


def test_a_burst_of_alpha_stands_out_of_its_background() -> None:
    rng = np.random.default_rng(0)
    time = np.arange(SECONDS * 128) / 128
    samples = 5 * rng.standard_normal(len(time))
    samples += np.where((time >= 400) & (time < 408), 40 * np.sin(2 * np.pi * 10 * time), 0)
    alpha = told("EEG", Trace("EEG_C3", samples.astype(np.float32), 128.0))[:, 2]
    assert alpha[401:407].min() > 3
    assert np.abs(alpha[100:390]).mean() < 0.5


def test_what_cannot_be_seen_is_zero_throughout() -> None:
    at = states()
    at[4, COLUMN["AF"]] = int(State.DISCONNECTED)
    wave = told("AF", breathing(), at=at)
    assert (wave[120:150] == 0).all()
    assert (wave[90:120, -1] == 1).all()
    course = event_course({"AF": breathing()}, states(), N)
    assert (course[:, COLUMNS_OF["THX"].start :] == 0).all()


def test_a_flat_channel_gives_finite_numbers() -> None:
    flat = Trace("THX", np.zeros(SECONDS * 16, np.float32), 16.0)
    assert np.isfinite(told("THX", flat)).all()
