from pathlib import Path

import numpy as np
import pytest

from core.errors import StudyError, UsageError
from core.inference.studies import StudyOptions, open_study
from core.psg.scoring import Scoring, write_scoring
from core.psg.store import PreparedStudy
from tests.core.psg.edf_files import Signal, annotation_signal, edf_bytes, ramp, time_keeping

RECORDS = 20
"""Of 30 s each, from 23:55:00: ten minutes over midnight."""


def night(folder: Path, annotations: str = "") -> Path:
    path = folder / "night.edf"
    eeg = Signal("EEG C3-M2", ramp(RECORDS, 30 * 64))
    signals = [eeg, annotation_signal(time_keeping([str(30 * n) for n in range(RECORDS)], [annotations.encode()]), 80)]
    path.write_bytes(edf_bytes(signals, record_duration="30", start_time="23.55.00", reserved="EDF+C"))
    return path


def opened(path: Path, off: str | None = None, on: str | None = None, scoring: Path | None = None) -> PreparedStudy:
    return open_study(path, StudyOptions(lights_off=off, lights_on=on, scoring=scoring, measured=False))


def lights(study: PreparedStudy) -> tuple[float | None, float | None]:
    return (None, None) if study.scoring is None else (study.scoring.lights_off, study.scoring.lights_on)


@pytest.mark.parametrize(
    ("off", "on", "wanted"),
    [
        ("23:56", "00:04", (60, 540)),
        ("23:56:30", "00:03:15", (90, 495)),
        ("45", "500.5", (45, 500.5)),
        ("23:50", "00:30", (-300, 2100)),  # before and after the recording: all of it
        (None, "00:00", (None, 300)),
    ],
)
def test_lights_are_placed_by_clock_over_midnight_or_by_seconds(
    tmp_path: Path, off: str | None, on: str, wanted: tuple[float | None, float]
) -> None:
    assert lights(opened(night(tmp_path), off, on)) == wanted


@pytest.mark.parametrize("text", ["nonsense", "25:00", "23:61", "", "nan", "inf", "1:2:3:4", "23:"])
def test_a_text_that_is_no_time_is_wrong_usage(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match="no time"):
        opened(night(tmp_path), text)


@pytest.mark.parametrize(
    ("off", "on", "words"),
    [
        ("00:30", None, "00:30.*23:55:00 to 00:05:00"),
        (None, "23:30", "23:30.*outside"),
        ("00:04", "23:56", "not after"),
    ],
)
def test_a_time_without_a_place_in_the_recording_is_refused(
    tmp_path: Path, off: str | None, on: str | None, words: str
) -> None:
    with pytest.raises(StudyError, match=words):
        opened(night(tmp_path), off, on)


def test_a_clock_time_needs_a_clock(tmp_path: Path) -> None:
    np.save(tmp_path / "array.npy", np.ones((4, 10, 1920), np.float32))
    with pytest.raises(StudyError, match="no start time"):
        opened(tmp_path / "array.npy", "23:00")


def test_lights_are_among_the_recordings_own_annotations(tmp_path: Path) -> None:
    path = night(tmp_path, "+60\x14Lights off\x14\x00+540.5\x14LIGHTS ON\x14\x00")
    assert lights(opened(path)) == (60, 540.5)
    assert lights(opened(path, "00:00")) == (300, 540.5)
    write_scoring(Scoring(("N2",) * RECORDS, ()), tmp_path / "night.csv")
    study = opened(path)
    assert lights(study) == (60, 540.5)
    assert study.scoring is not None
    assert set(study.scoring.stages) == {"N2"}


def test_a_scorings_lights_go_before_the_annotations(tmp_path: Path) -> None:
    path = night(tmp_path, "+60\x14Lights off\x14\x00")
    write_scoring(Scoring(("N2",) * RECORDS, (), 120.0, 480.0), tmp_path / "other.json")
    assert lights(opened(path, scoring=tmp_path / "other.json")) == (120, 480)


def test_annotated_lights_in_the_wrong_order_are_not_used_and_told(tmp_path: Path) -> None:
    study = opened(night(tmp_path, "+540\x14Lights off\x14\x00+60\x14Lights on\x14\x00"))
    assert lights(study) == (None, None)
    assert any("lights off" in note for note in study.repairs)
