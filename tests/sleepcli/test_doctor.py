"""`sleepcli doctor`: what is wrong is found, and each problem has its cure."""

import json
import os
import subprocess
import sys
import tempfile
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest
import typer

from sleepcli.app import app
from sleepcli.examinations import installation, running
from sleepcli.examinations.finding import Finding
from tests.sleepcli.conftest import Command


def installed(folder: Path, name: str, *files: str) -> PathDistribution:
    """A distribution as pip leaves it, with a list of its files."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))
    return PathDistribution(info)


def test_a_whole_examination_finds_nothing_wrong(program: Command) -> None:
    result = program("doctor", "--device", "cpu")
    assert result.returncode == 0, result.stdout
    found = {row["what"]: row for row in map(json.loads, result.stdout.splitlines())}
    assert {"python", "top-level packages", "configuration", "onnxruntime providers", "NVIDIA driver"} <= set(found)
    assert found["model nano"]["state"] == "ok"
    assert found["self-test"]["state"] == "ok"
    assert found["device cpu"]["found"] == "cpu is used"


def test_another_projects_core_is_found_by_the_files_that_it_installed(tmp_path: Path) -> None:
    others = [
        installed(tmp_path, "their-tool", "core/__init__.py", "their_tool/a.py"),
        installed(tmp_path, "one-file", "training.py"),
        installed(tmp_path, "harmless", "harmless/core/__init__.py", "coregistration/__init__.py"),
        installed(tmp_path, "sleepcli", "core/__init__.py"),
    ]
    findings = installation.names(others)
    assert [(one.what, one.state) for one in findings] == [("package core", "problem"), ("package training", "problem")]
    assert ["their-tool" in findings[0].found, "one-file" in findings[1].found] == [True, True]
    assert all(one.cure for one in findings)


def test_packages_from_another_place_are_found(tmp_path: Path) -> None:
    findings = installation.names([], home=tmp_path)
    assert {one.what for one in findings} == {f"package {room}" for room in installation.ROOMS}
    assert all(one.state == "problem" and one.cure for one in findings)


def test_a_missing_package_comes_with_its_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "PACKAGES", ("numpy", "no-such-package"))
    found = {one.what: one for one in installation.packages()}
    assert found["numpy"].state == "ok"
    assert (found["no-such-package"].state, found["no-such-package"].cure) == (
        "problem", "pip install no-such-package",
    )  # fmt: skip


def test_a_misspelled_variable_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLEEPCLI_MODLE", "nano")
    monkeypatch.setenv("SLEEPCLI_STAGE_DEVICE", "cpu")
    monkeypatch.setenv("SLEEPCLI_CACHE", "/tmp")
    found = {one.what: one for one in installation.settings(typer.main.get_command(app))}
    assert (found["SLEEPCLI_MODLE"].state, found["SLEEPCLI_MODLE"].cure) == ("note", "Did you mean SLEEPCLI_MODEL?")
    assert not {"SLEEPCLI_STAGE_DEVICE", "SLEEPCLI_CACHE"} & set(found)


def test_a_damaged_model_and_a_device_that_is_not_there_are_problems(
    program: Command, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLEEPCLI_MODELS", str(tmp_path / "own"))
    assert program("models", "import", model, "--name", "mine").returncode == 0
    graph = next((tmp_path / "own" / "mine").glob("signal_encoder*"))
    graph.write_bytes(b"x")
    found = {one.what: one for one in running.models()}
    assert (found["model mine"].state, found["model nano"].state) == ("problem", "ok")
    assert found["model mine"].cure
    (strange,) = [one for one in running.device("tpu") if one.state == "problem"]
    assert isinstance(strange, Finding)
    assert "auto, cpu, cuda" in strange.cure


def test_a_full_disk_is_told_for_a_folder_that_is_not_there_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation, "DISK_GIB", 1e9)
    (one,) = installation.disk({"results": tmp_path / "not" / "yet"})
    assert (one.state, "GiB" in one.found, bool(one.cure)) == ("note", True, True)


def test_a_place_that_takes_no_files_is_told_with_what_to_set(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    places = dict.fromkeys(installation.ELSEWHERE, tmp_path / "file" / "folder")
    found = {one.what.partition(" in ")[0]: one for one in installation.disk(places)}
    assert {what: one.state for what, one in found.items()} == {
        "results": "note", "imported models": "note", "kept graphs": "note", "temporary files": "problem",
    }  # fmt: skip
    assert "SLEEPCLI_CACHE" in found["kept graphs"].cure
    assert "not a directory" in found["temporary files"].found


def test_no_room_for_temporary_files_is_a_problem_with_its_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    told = running.self_test("nano", "cpu")
    assert told.state == "problem"
    assert "TMPDIR" in told.cure


def test_another_projects_core_on_the_path_ends_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "core").mkdir()
    (tmp_path / "core" / "__init__.py").touch()
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join((str(tmp_path), root))
    command = [sys.executable, "-m", "sleepcli", "doctor"]
    done = subprocess.run(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True)
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert "another project's" in done.stderr
    assert str(tmp_path) in done.stderr
