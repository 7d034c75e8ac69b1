"""Files as labs have them, through the program: what people see, and what the outputs say."""

import contextlib
import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sleepcli.app import app
from tests.core.psg.edf_files import Signal, annotation_signal, edf_bytes, time_keeping
from tests.sleepcli.conftest import PLANTED, ROOT, Command
from tests.sleepcli.test_commands import assert_one_sentence, lines


@pytest.fixture
def program(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run a command in this process, in an empty folder and with the fake model: quicker than a process a command."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLEEPCLI_MODEL", str(model))

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        words = ["sleepcli", *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", words)
        code, out, talk = 0, io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(talk):
            try:
                app()
            except SystemExit as end:
                code = int(end.code or 0)
        return subprocess.CompletedProcess(words, code, out.getvalue(), talk.getvalue())

    return run


def noise(label: str, records: int = 120, rate: int = 128, seed: int = 0, **fields: str) -> Signal:
    """A signal of 30 units of noise, a second a record."""
    values = 30 * np.random.default_rng(seed).standard_normal((records, rate))
    return Signal(label, np.clip(values * 327.68, -32768, 32767).astype(np.int32), dict(fields))


def hypnogram(path: Path, text: str = "Sleep stage 2") -> Path:
    """Write an EDF+ of annotations only: two epochs, and what a technician wrote."""
    lists = f"+0\x1530\x14{text}\x14\x00+30\x1530\x14{text}\x14\x00+40\x14{PLANTED} awoke\x14\x00".encode()
    signal = annotation_signal(time_keeping(["0"], [lists]), samples=150)
    path.write_bytes(edf_bytes([signal], reserved="EDF+C", record_duration="0", patient=PLANTED))
    return path


def test_a_file_of_annotations_is_a_scoring_and_no_failed_study(program: Command, tmp_path: Path) -> None:
    (tmp_path / "night.edf").write_bytes(edf_bytes([noise("EEG C3-M2", 60)]))
    scoring = hypnogram(tmp_path / "night-Hypnogram.edf")
    both = program("stage", tmp_path, "--out", tmp_path / "out")
    assert both.returncode == 0, both.stderr
    assert [row["study"] for row in lines(both)] == ["night"]
    assert lines(both)[0]["stages_from"] == "scoring"
    assert_one_sentence(program("stage", scoring), 3, "annotations only", "scoring")
    told = lines(program("info", scoring))[0]
    assert (told["format"], told["stages"]) == ("scoring", {"N2": 2})


def test_a_gap_is_unscored_at_its_clock_time(program: Command, tmp_path: Path) -> None:
    onsets = [str(second if second < 60 else second + 75) for second in range(120)]
    signals = [noise("EEG C3-M2"), annotation_signal(time_keeping(onsets))]
    (tmp_path / "gap.edf").write_bytes(edf_bytes(signals, reserved="EDF+D"))
    result = program("stage", "gap.edf")
    assert [row["stage"] == "?" for row in lines(result)] == [False, False, True, True, False, False]
    assert "75 s" in result.stderr
    assert lines(program("info", "gap.edf"))[0]["gaps"] == [{"onset": 60.0, "duration": 75.0}]


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")
def test_a_pipe_gets_the_data_also_from_a_terminal(study: Path, tmp_path: Path) -> None:
    """The bar on a terminal's standard error must not take what goes to a file or a pipe."""
    terminal, side = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"}
    program = [sys.executable, "-c", "from sleepcli.app import app; app()", "info", str(study)]
    result = subprocess.run(
        program, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=side, text=True, timeout=120, check=True
    )
    os.close(side)
    os.close(terminal)
    assert lines(result)[0]["study"] == study.stem


def test_quality_tells_the_usable_share_of_each_channel(program: Command, tmp_path: Path) -> None:
    flat = Signal("ECG", np.zeros((120, 128), np.int32))
    (tmp_path / "flat.edf").write_bytes(edf_bytes([noise("EEG C3-M2"), flat]))
    channels = {row["target"]: row for row in lines(program("info", "flat.edf", "--quality"))[0]["channels"]}
    assert channels["EEG_C3"]["quality"] == {"ok": 1.0}
    assert channels["ECG"]["quality"] == {"flat": 1.0}
    assert "quality" not in channels["SPO2"]
