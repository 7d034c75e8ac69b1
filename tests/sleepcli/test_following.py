"""`sleepcli caption --follow`: epochs as they complete, and an end that is told."""

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from tests.sleepcli.conftest import ROOT, Command, write_edf
from tests.sleepcli.test_commands import CAPTION_KEYS, assert_one_sentence

LABELS = ("EEG C3-M2", "EOG E1-M2", "EMG chin")


@pytest.fixture
def long(tmp_path: Path) -> Path:
    return write_edf(tmp_path / "whole.edf", LABELS, epochs=4)


def test_epochs_are_printed_as_they_complete_until_the_file_rests(program: Command, long: Path, tmp_path: Path) -> None:
    data = long.read_bytes()
    live = tmp_path / "live.edf"
    half = 256 * 4 + (len(data) - 256 * 4) // 2
    live.write_bytes(data[:half])

    def grow() -> None:
        time.sleep(1.5)
        with live.open("ab") as file:
            file.write(data[half:])

    writer = threading.Thread(target=grow)
    writer.start()
    result = program("caption", live, "--follow", "--follow-timeout", "3", "--measured")
    writer.join()
    assert result.returncode == 0, result.stderr
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["epoch"] for row in rows] == [0, 1, 2, 3]
    assert all(set(row) == CAPTION_KEYS | {"provisional"} for row in rows)
    assert "over after 4 whole epochs" in result.stderr
    assert "rovisional" in result.stderr


def test_ctrl_c_ends_well_with_what_was_printed(long: Path, tmp_path: Path, model: Path) -> None:
    code = "from sleepcli.app import app; app()"
    arguments = ["caption", str(long), "--follow", "--follow-timeout", "0", "--measured"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # a job in the background ignores it
    )
    assert process.stdout is not None
    rows = [json.loads(process.stdout.readline()) for _ in range(4)]
    process.send_signal(signal.SIGINT)
    _, talk = process.communicate(timeout=60)
    assert process.returncode == 0, talk
    assert [row["epoch"] for row in rows] == [0, 1, 2, 3]
    assert "Stopped after 4 epochs" in talk


@pytest.mark.parametrize(
    ("more", "word"),
    [(("--out", "x"), "--out"), (("--epoch", "2"), "--epoch"), (("--lights-off", "3"), "--lights-off")],
)
def test_what_needs_the_whole_night_does_not_go_with_it(
    program: Command, long: Path, more: tuple[str, ...], word: str
) -> None:
    assert_one_sentence(program("caption", long, "--follow", *more), 2, word, "--follow")


def test_one_recording_at_a_time(program: Command, long: Path, tmp_path: Path) -> None:
    other = shutil.copy(long, tmp_path / "other.edf")
    assert_one_sentence(program("caption", long, other, "--follow"), 2, "one recording")
    assert_one_sentence(program("caption", "nowhere.edf", "--follow", "--measured"), 2, "nowhere.edf")


def test_epoch_prints_that_epoch_alone(program: Command, long: Path) -> None:
    result = program("caption", long, "--measured", "--epoch", "3", "--epoch", "1")
    assert [json.loads(line)["epoch"] for line in result.stdout.splitlines()] == [1, 3]
