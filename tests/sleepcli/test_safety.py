"""What must never happen: a connection that nobody asked for, a name of a patient in anything that is written."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from sleepcli.app import app
from tests.sleepcli.broken_studies import PLANTED, small_study
from tests.sleepcli.conftest import ROOT, Command

NETWORK = ("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "urllib.Request")
NAME = PLANTED[:5].lower()
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
_watching: list[list[str]] = []


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    """Refuse the network; a path is none, nor is a look whether this machine has a loopback of IPv6."""
    if not _watching or event not in NETWORK:
        return
    where = arguments[-1]
    looped = event == "socket.bind" and isinstance(where, tuple) and where[0] in ("::1", "127.0.0.1")
    if not looped and not isinstance(where, str | bytes):
        _watching[-1].append(f"{event} {where}")
        raise PermissionError(event)


sys.addaudithook(_hook)


@pytest.fixture
def connections() -> Iterator[list[str]]:
    """Every use of the network while the test runs; each is refused."""
    _watching.append([])
    yield _watching[-1]
    _watching.pop()


def everything(study: Path, out: Path) -> list[list[object]]:
    """A call of every command that reads a study, writing where it can."""
    calls: list[list[object]] = [
        ["info", study, "--json", "--quality"],
        ["info", study, "--write-montage", out / "lab.toml"],
        ["prepare", study, "--out", out / "prepared"],
        ["caption", study, "--out", out / "captions"],
        ["caption", study, "--measured", "--no-scoring"],
        ["stage", study, "--out", out / "stages"],
        ["stage", study, "--scoring", study],
        ["embed", study, "--out", out / "vectors"],
        ["query", "wake without events", study],
        ["deidentify", study, out / "copy.edf"],
        ["index", study, "--library", out / "library"],
        ["query", "wake", "--library", out / "library"],
        ["report", study, "--out", out / "report.html"],
    ]
    return [call for call in calls if str(call[0]) in COMMANDS and ("--library" not in call or "index" in COMMANDS)]


def test_no_command_uses_the_network(program: Command, tmp_path: Path, connections: list[str]) -> None:
    study = small_study(tmp_path / "night.edf", 1)
    for call in [*everything(study, tmp_path / "out"), ["doctor"], ["models", "list"]]:
        result = program(*call)
        assert not connections, (call, connections)
        assert result.returncode in (0, 1, 2), (call, result.stderr)


def test_watch_sees_a_connection(connections: list[str]) -> None:
    import socket

    with socket.socket() as open_socket, pytest.raises(PermissionError):
        open_socket.connect(("127.0.0.1", 9))
    assert connections


def test_name_planted_everywhere_is_nowhere_in_what_is_written_or_said(program: Command, tmp_path: Path) -> None:
    out = tmp_path / "out"
    study = small_study(tmp_path / "night.edf", 1)
    for call in [*everything(study, out), ["query", "wake", out / "prepared"], ["info", out / "copy.edf"]]:
        told(program("--debug", *call), call)
    written = [path for path in out.rglob("*") if path.is_file()]
    assert {path.suffix for path in written} >= {".jsonl", ".json", ".csv", ".npy", ".npz", ".toml", ".edf", ".journal"}
    for path in written:
        assert NAME.encode() not in path.read_bytes().lower(), path
    assert not [path for path in out.rglob("*") if NAME in path.name.lower()]


def told(result: object, call: object) -> None:
    """Nothing that a command said names anybody."""
    for text in (result.stdout, result.stderr):  # type: ignore[attr-defined]
        assert NAME[:4] not in text.lower(), (call, text)


DAMAGE = {
    "version": {"version": PLANTED[:8]},
    "start": {"start_date": PLANTED[:8], "start_time": PLANTED[:8]},
    "counts": {"n_records": PLANTED[:8], "n_signals": PLANTED[:4]},
    "length": {"header_bytes": PLANTED[:8], "record_duration": PLANTED[:8]},
    "reserved": {"reserved": f"EDF+D {PLANTED}"},
    "cut": {},
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_name_in_a_damaged_file_is_not_in_the_failure(program: Command, tmp_path: Path, damage: str) -> None:
    study = small_study(tmp_path / "night.edf", 2, **DAMAGE[damage])
    if damage == "cut":
        study.write_bytes(study.read_bytes()[:600])
    out = tmp_path / "out"
    for call in (["info", study], ["stage", study, "--out", out], ["deidentify", study, out / "copy.edf"]):
        told(program("--debug", *call), call)
    for path in out.rglob("*"):
        assert path.is_dir() or NAME.encode() not in path.read_bytes().lower(), path


SCORINGS = {
    "note.xml": f"<PSGAnnotation><ScoredEvents><ScoredEvent><EventType>{PLANTED}</EventType><EventConcept>{PLANTED}"
    f"</EventConcept><Start>x{PLANTED}</Start></ScoredEvent></ScoredEvents></PSGAnnotation>",
    "broken.xml": f"<PSGAnnotation><{PLANTED}",
    "note.csv": f"epoch,onset,duration,stage\n0,0,30,{PLANTED}\n{PLANTED},30,30,W\n",
    "note.tsv": f"onset\tduration\ttrial_type\n0\t30\t{PLANTED}\n{PLANTED}\t30\tSleep stage W\n",
    "note.annot": f"{PLANTED}\t.\t.\t0\t30\t{PLANTED}\n",
    "note.json": f'{{"patient": "{PLANTED}", "epochs": [{{"stage": "{PLANTED}"}}]}}',
    "lab.toml": f'[channels.EEG_C3]\nlabel = "{PLANTED}"\n"{PLANTED}" = {PLANTED}\n',
}


@pytest.mark.parametrize("name", SCORINGS)
def test_name_in_a_scoring_is_not_in_the_failure(program: Command, tmp_path: Path, name: str) -> None:
    study = small_study(tmp_path / "night.edf", 3)
    (tmp_path / name).write_text(SCORINGS[name])
    option = "--montage" if name.endswith(".toml") else "--scoring"
    call = ["--debug", "stage", study, option, tmp_path / name, "--out", tmp_path / "out"]
    told(program(*call), call)


def test_xml_bomb_is_refused_in_a_sentence(program: Command, tmp_path: Path) -> None:
    study = small_study(tmp_path / "night.edf", 4)
    lots = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    files = f'<!DOCTYPE x [<!ENTITY e0 "ha">{lots}<!ENTITY f SYSTEM "file:///etc/passwd">]>'
    for content in ("&e9;", "&f;"):
        text = f'<?xml version="1.0"?>{files}<PSGAnnotation><EpochLength>{content}</EpochLength></PSGAnnotation>'
        (tmp_path / "bomb.xml").write_text(text)
        result = program("stage", study, "--scoring", tmp_path / "bomb.xml")
        assert result.returncode == 3
        assert result.stderr.count("Error:") == 1
        assert "not well-formed XML" in result.stderr


def test_header_that_claims_what_the_file_has_not_costs_no_memory(program: Command, tmp_path: Path) -> None:
    import tracemalloc

    for fields in ({"n_signals": "9999", "header_bytes": "2560000"}, {"n_records": "99999999"}):
        study = small_study(tmp_path / "huge.edf", 5, **fields)
        tracemalloc.start()
        result = program("info", study)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert "Unexpected" not in result.stderr
        assert peak < 50e6, fields


def test_onnx_runtime_is_loaded_without_its_telemetry(model: Path, tmp_path: Path) -> None:
    """Its official builds write a device identifier to the user's cache and send it; audit hooks do not see that."""
    told = ("ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS", "CI", "XDG_CACHE_HOME", "XDG_DATA_HOME")
    environment = {name: value for name, value in os.environ.items() if name not in told}
    home = tmp_path / "home"
    home.mkdir()
    code = f"""
from core.inference.bundle import load_bundle
from core.inference.engine import Engine
Engine(load_bundle({str(model)!r}), "cpu")
"""
    subprocess.run(
        [sys.executable, "-c", code], env={**environment, "HOME": str(home), "PYTHONPATH": str(ROOT)}, check=True
    )
    assert not [path for path in home.rglob("*") if "microsoft" in str(path.relative_to(home)).lower()]
