"""Captions while a night is recorded: from the past alone, the same however often one looks."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from core.inference.captioning import EpochCaption, caption_study
from core.inference.engine import Engine
from core.inference.following import PROVISIONAL, FollowOptions, follow
from core.inference.studies import StudyOptions, open_study
from core.psg.recording import Recording, open_recording
from core.psg.simulate.night import NightOptions, simulate_night
from core.psg.simulate.write_edf import write_night
from tests.core.psg.edf_files import Signal, edf_bytes

EPOCHS = 21


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_night(simulate_night(3, NightOptions(hours=EPOCHS / 120)), tmp_path_factory.mktemp("night"), "night")


def grown(path: Path, records: tuple[int, ...], folder: Path) -> Iterator[Recording]:
    """The recording as it was after so many of its records of a second, in files that hold no more than that."""
    data = path.read_bytes()
    header = int(data[184:192])
    size = (len(data) - header) // int(data[236:244])
    for count in records:
        part = folder / f"{count}" / path.name
        part.parent.mkdir(exist_ok=True)
        part.write_bytes(data[: header + count * size])
        yield open_recording(part)


def captions(recordings: Iterator[Recording], engine: Engine | None) -> list[EpochCaption]:
    return [caption for caption, _ in follow(recordings, engine, FollowOptions())]


def test_an_epoch_is_the_same_however_the_file_grew(engine: Engine, night: Path, tmp_path: Path) -> None:
    found = [captions(grown(night, records, tmp_path), engine) for records in ((30, 100, 120), (120,))]
    assert found[0] == found[1]
    assert [caption.epoch for caption in found[0]] == [0, 1, 2, 3]
    assert [caption.onset for caption in found[0]] == [0.0, 30.0, 60.0, 90.0]


def test_what_is_not_provisional_is_final(night: Path, tmp_path: Path) -> None:
    live = captions(grown(night, (6 * 30,), tmp_path), None)
    study = open_study(night, StudyOptions(look_for_scoring=False))
    final = list(caption_study(study, None))
    assert (len(live), len(final)) == (6, EPOCHS)
    for now, then in zip(live, final, strict=False):
        settled = {name for name in {*now.measurements, *then.measurements} if name not in PROVISIONAL}
        assert {name: now.measurements.get(name) for name in settled} == {
            name: then.measurements.get(name) for name in settled
        }
        assert {"c3_delta", "spo2_mean", "position"} <= settled


def test_an_event_keeps_its_time_in_the_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.inference.following.SCALE_EPOCHS", 6)
    monkeypatch.setattr("core.inference.following.READ_EPOCHS", 4)
    step = np.where((np.arange(300) > 200) & (np.arange(300) < 230), 85, 96)
    signal = Signal("SpO2", step.reshape(-1, 1) * 327, {"unit": "%", "physical_min": "-100", "physical_max": "100"})
    path = tmp_path / "oxygen.edf"
    path.write_bytes(edf_bytes([signal]))
    found = [event for caption in captions(iter([open_recording(path)]), None) for event in caption.events]
    assert {event.type for event in found} == {"desaturation"}
    assert all(abs(event.onset - 200) < 5 for event in found)
