"""A file that is being written: seen as it grows, over when it rests, refused when it is another."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import StudyError, UsageError
from core.psg.growing import Patience, growing
from core.psg.recording import Recording
from tests.core.psg.edf_files import Signal, edf_bytes, ramp

HASTY = Patience(idle=0.05, interval=0.01)
RECORD = 32 * 2
SIGNAL = Signal("EEG", ramp(90, 32))


def growth(path: Path, steps: list[bytes]) -> Iterator[Recording]:
    """Follow a file to which each step is appended as soon as what was there has been seen."""
    path.write_bytes(steps[0])
    for found, more in zip(growing(path, patience=HASTY), [*steps[1:], b""], strict=False):
        yield found
        with path.open("ab") as file:
            file.write(more)


def test_each_growth_is_a_longer_recording_until_it_rests(tmp_path: Path) -> None:
    data = edf_bytes([SIGNAL], n_records="-1")
    cuts = [512 + RECORD * 10, 512 + RECORD * 30 + 7, 512 + RECORD * 90]
    steps = [data[: cuts[0]], data[cuts[0] : cuts[1]], data[cuts[1] : cuts[2]]]
    assert [found.duration for found in growth(tmp_path / "a.edf", steps)] == [10, 30, 90]


def test_closing_the_header_is_no_replacement(tmp_path: Path) -> None:
    path = tmp_path / "a.edf"
    data = edf_bytes([SIGNAL], n_records="-1")
    path.write_bytes(data[: 512 + RECORD * 30])
    seen = []
    for found in growing(path, patience=HASTY):
        seen.append(found.duration)
        with path.open("r+b") as file:
            file.seek(236)
            file.write(b"90      ")
            file.seek(0, os.SEEK_END)
            if len(seen) == 1:
                file.write(data[512 + RECORD * 30 :])
    assert seen == [30, 90]


@pytest.mark.parametrize("size", [100, 256, 512, 512 + RECORD - 1])
def test_a_file_that_never_becomes_a_recording_says_why(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.edf"
    path.write_bytes(edf_bytes([SIGNAL])[:size])
    with pytest.raises(StudyError, match=r"a\.edf"):
        list(growing(path, patience=HASTY))


def test_a_file_that_shrinks_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.edf"
    path.write_bytes(edf_bytes([SIGNAL]))
    found = growing(path, patience=HASTY)
    next(found)
    os.truncate(path, 512 + RECORD * 20)
    with pytest.raises(StudyError, match="shorter"):
        next(found)


@pytest.mark.parametrize("how", ["renamed", "rewritten"])
def test_another_file_under_the_name_is_refused(tmp_path: Path, how: str) -> None:
    path, other = tmp_path / "a.edf", tmp_path / "b.edf"
    path.write_bytes(edf_bytes([Signal("EEG", ramp(60, 32))]))
    new = edf_bytes([SIGNAL], start_time="23.00.00" if how == "rewritten" else "22.15.30")
    found = growing(path, patience=HASTY)
    next(found)
    if how == "renamed":
        other.write_bytes(new)
        other.replace(path)
    else:
        path.write_bytes(new)
    with pytest.raises(StudyError, match="replaced"):
        next(found)


def test_a_file_that_goes_away_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.edf"
    path.write_bytes(edf_bytes([SIGNAL]))
    found = growing(path, patience=HASTY)
    next(found)
    path.unlink()
    with pytest.raises(StudyError, match="cannot be read any more"):
        next(found)


@pytest.mark.parametrize("name", ["nowhere.edf", "study.set"])
def test_what_cannot_be_followed_is_wrong_usage(tmp_path: Path, name: str) -> None:
    (tmp_path / "study.set").write_bytes(b"x")
    with pytest.raises(UsageError, match=name):
        list(growing(tmp_path / name, patience=HASTY))
