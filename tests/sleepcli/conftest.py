"""Small EDFs and the fake bundle, for commands that are run as people run them."""

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyedflib
import pytest

from sleepcli.app import app
from tests.core.inference.fake_bundle import write_fake_bundle

ROOT = Path(__file__).resolve().parents[2]
RATE = 128
PLANTED = "Planted^Patient"
"""A name in every header field that can hold one; no output may show it."""

Command = Callable[..., subprocess.CompletedProcess[str]]


def write_edf(path: Path, labels: tuple[str, ...], epochs: int = 4, seed: int = 0) -> Path:
    """Write an EDF of noise, a second a record, with names planted in its header."""
    rng = np.random.default_rng(seed)
    with pyedflib.EdfWriter(str(path), len(labels), file_type=pyedflib.FILETYPE_EDF) as writer:
        for number, label in enumerate(labels):
            header = {"label": label, "dimension": "uV", "sample_frequency": RATE, "transducer": PLANTED}
            limits = {"physical_min": -500.0, "physical_max": 500.0, "digital_min": -32768, "digital_max": 32767}
            writer.setSignalHeader(number, {**header, **limits, "prefilter": PLANTED})
        writer.setPatientName(PLANTED)
        writer.setTechnician(PLANTED)
        writer.setEquipment(PLANTED)
        writer.writeSamples([30 * rng.standard_normal(30 * epochs * RATE) for _ in labels])
    return path


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fake_bundle(tmp_path_factory.mktemp("models") / "fake")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return write_edf(tmp_path / "study.edf", ("EEG C3-M2", "EOG E1-M2", "EMG chin"))


@pytest.fixture
def sleepcli(tmp_path: Path, model: Path) -> Command:
    """Run the program in a process of its own, with the fake model as the default and in an empty folder."""
    return sleepcli_in(tmp_path, SLEEPCLI_MODEL=str(model))


def sleepcli_in(folder: Path, **environment: str) -> Command:
    """Give a function that runs the program in a folder; it takes the arguments, and `text` for standard input."""

    def run(*arguments: object, text: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", "from sleepcli.app import app; app()", *map(str, arguments)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100", "SLEEPCLI_CONFIG": "", **environment},
            input=text,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run


@pytest.fixture
def program(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run a command in this process, in an empty folder and with the fake model: quicker than a process a command."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLEEPCLI_MODEL", str(model))
    monkeypatch.setenv("SLEEPCLI_CONFIG", "")

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
