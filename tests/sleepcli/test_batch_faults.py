"""A batch as people run it: broken studies among good ones, Ctrl-C, options that need what is not there."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import typer

from core.batch import StudyRow, expand
from core.errors import MissingExtraError
from sleepcli.interrupts import INTERRUPTED
from sleepcli.run import RunOptions, finish, run_items
from tests.core.batching.tasks import ReverseTask, outputs, write_studies
from tests.sleepcli.broken_studies import BROKEN, small_study
from tests.sleepcli.conftest import ROOT, Command
from tests.sleepcli.test_commands import lines


def test_ten_kinds_of_broken_studies_cost_nobody_else_anything(program: Command, tmp_path: Path) -> None:
    folder = tmp_path / "nights"
    folder.mkdir()
    for number, spoil in enumerate(BROKEN):
        spoil(folder / f"broken{number}.edf")
        small_study(folder / f"good{number}.edf", number)
    (folder / "gone.edf").symlink_to(tmp_path / "nowhere.edf")
    result = program("stage", "nights", "--out", "out")
    assert result.returncode == 1, result.stderr
    assert {str(row["study"]) for row in lines(result)} == {f"good{number}" for number in range(10)}
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error:")]
    assert len(errors) == 11, result.stderr
    assert not [line for line in errors if "Unexpected" in line], errors
    assert "10 done, 11 failed." in result.stderr
    report = json.loads((tmp_path / "out" / "run.json").read_text())
    assert [row["outcome"] for row in report["studies"]] == ["failed"] * 10 + ["failed"] + ["done"] * 10
    assert (tmp_path / "out" / "run.csv").read_text().count("\n") >= 22


def show(_: StudyRow) -> None:
    """Nothing is drawn."""


def test_interrupt_finishes_the_studies_in_work_and_says_how_to_go_on(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder, out = write_studies(tmp_path / "in", ["text"] * 12), tmp_path / "out"
    items, seen = expand([str(folder)]), []

    def interrupt(row: StudyRow) -> None:
        seen.append(row.study)
        if len(seen) == 1:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.stdout, "isatty", lambda: True)  # so that `show` is called
        with pytest.raises(typer.Exit) as end:
            run_items(ReverseTask(out, 0.01), items, RunOptions("copy", out, 2), interrupt)
    assert end.value.exit_code == INTERRUPTED
    told = capfd.readouterr().err
    assert "Finishing the studies in work" in told
    assert f"Stopped after {len(seen)} of 12 studies. The same command goes on from there." in told
    assert 1 <= len(seen) <= 4
    assert {path.name.partition(".")[0] for path in out.glob("*.txt")} == set(seen)
    report = json.loads((out / "run.json").read_text())
    assert (report["given"], len(report["studies"])) == (12, len(seen))
    rows = run_items(ReverseTask(out), items, RunOptions("copy", out, 2), show)
    assert sorted(row.outcome for row in rows) == ["done"] * (12 - len(seen)) + ["skipped"] * len(seen)


def test_second_interrupt_stops_at_once_and_leaves_no_half_file(tmp_path: Path) -> None:
    folder, out = write_studies(tmp_path / "in", ["text", "hang", "hang"]), tmp_path / "out"

    def interrupt_twice(_: StudyRow) -> None:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.stdout, "isatty", lambda: True)
        with pytest.raises(KeyboardInterrupt):
            run_items(ReverseTask(out), expand([str(folder)]), RunOptions("copy", out, 2), interrupt_twice)
    assert {path.name.partition(".")[0] for path in out.iterdir()} == {"s000", "run"}


def test_abort_tells_the_failure_once_and_ends_with_the_code_of_what_was_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = write_studies(tmp_path / "in", ["one", "broken", "three"]), tmp_path / "out"
    rows = run_items(ReverseTask(out), expand([str(folder)]), RunOptions("copy", out, on_error="abort"), show)
    with pytest.raises(typer.Exit) as end:
        finish(rows)
    assert end.value.exit_code == 1
    told = capsys.readouterr().err
    assert told.count("Error:") == 1
    assert "--on-error is abort" in told


def test_log_has_a_plain_line_a_study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = write_studies(tmp_path / "in", ["one", "broken", "three"]), tmp_path / "out"
    for wanted in (["1/3 s000: done", "2/3 s001: failed", "3/3 s002: done"], ["s000: already done", "s002: already"]):
        finish_quietly(run_items(ReverseTask(out), expand([str(folder)]), RunOptions("copy", out), show))
        told = capsys.readouterr().err
        assert "\x1b" not in told
        assert all(words in told for words in wanted), told


def finish_quietly(rows: list[StudyRow]) -> None:
    with pytest.raises(typer.Exit):
        finish(rows)


@pytest.mark.parametrize("cluster", ["tcp://127.0.0.1:9", "slurm"])
def test_cluster_without_its_extra_names_the_pip_line(
    cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("distributed", "dask_jobqueue"):
        monkeypatch.setitem(sys.modules, package, None)
    folder, out = write_studies(tmp_path / "in", ["one"]), tmp_path / "out"
    wanted = RunOptions("copy", out, cluster=cluster)
    with pytest.raises(MissingExtraError, match=r"copy --cluster") as end:
        run_items(ReverseTask(out), expand([str(folder)]), wanted, show)
    assert 'pip install "dask' in end.value.hint


KILLS = 50


@pytest.mark.slow
def test_program_killed_at_fifty_moments_ends_as_one_that_was_left_alone(tmp_path: Path, model: Path) -> None:
    """`pytest -m slow -k fifty_moments`: the real program, with prepared studies, which are folders."""
    (tmp_path / "nights").mkdir()
    for number in range(6):
        small_study(tmp_path / "nights" / f"n{number}.edf", number, epochs=4)
    rng = random.Random(8)
    words = [sys.executable, "-c", "from sleepcli.app import app; app()", "prepare", "nights", "--no-scoring"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SLEEPCLI_MODEL": str(model)}
    began = time.monotonic()
    subprocess.run([*words, "--out", "alone"], cwd=tmp_path, env=environment, check=True, capture_output=True)
    whole = time.monotonic() - began
    for kill in range(KILLS):
        if kill % 5 == 0:  # every fifth begins anew, so that kills fall on all parts of a batch
            shutil.rmtree(tmp_path / "out", ignore_errors=True)
        jobs = ["--out", "out", "--jobs", str(1 + kill % 2)]
        pipe = subprocess.PIPE
        process = subprocess.Popen([*words, *jobs], cwd=tmp_path, env=environment, stdout=pipe, stderr=pipe)
        time.sleep(rng.random() * whole)
        process.kill()
        process.communicate()
    subprocess.run([*words, "--out", "out"], cwd=tmp_path, env=environment, check=True, capture_output=True)
    assert outputs(tmp_path / "out") == outputs(tmp_path / "alone")
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("wishes", "told"),
    [
        ({"kept": "The library lab"}, "The library lab has them"),
        ({}, "Without --out nothing is kept."),
        ({"all_or_none": True}, "Nothing is kept of them"),
    ],
)
def test_interrupt_says_truly_what_is_kept(
    wishes: dict[str, Any], told: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = write_studies(tmp_path / "in", ["text"] * 4)
    (tmp_path / "out").mkdir()

    def interrupt(_: StudyRow) -> None:
        if not capfd.readouterr().err.count("Finishing"):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.stdout, "isatty", lambda: True)
        with pytest.raises(typer.Exit):
            run_items(ReverseTask(tmp_path / "out"), expand([str(folder)]), RunOptions("index", **wishes), interrupt)
    assert f"of 4 studies. {told}" in capfd.readouterr().err


def test_work_that_keeps_its_results_survives_a_study_that_takes_its_process_down(tmp_path: Path) -> None:
    folder = write_studies(tmp_path / "in", ["one", "die", "three"])
    (tmp_path / "out").mkdir()
    rows = run_items(ReverseTask(tmp_path / "out"), expand([str(folder)]), RunOptions("index", kept="It"), show)
    assert [row.outcome for row in sorted(rows, key=lambda row: row.study)] == ["done", "failed", "done"]


def test_a_reader_that_goes_away_costs_no_study_whose_results_are_files(tmp_path: Path) -> None:
    folder, out = write_studies(tmp_path / "in", ["one", "two", "three"]), tmp_path / "out"
    (tmp_path / "reader.py").write_text(
        "import sys; from pathlib import Path; from core.batch import expand; from sleepcli.run import *\n"
        "from tests.core.batching.tasks import ReverseTask\n"
        "if __name__ == '__main__':\n"
        "    out = Path(sys.argv[2])\n"
        "    sys.stdin.readline()\n"
        "    wanted = RunOptions('copy', out)\n"
        "    print(len(run_items(ReverseTask(out), expand([sys.argv[1]]), wanted, print)), file=sys.stderr)"
    )
    words = [sys.executable, str(tmp_path / "reader.py"), str(folder), str(out)]
    pipe, environment = subprocess.PIPE, {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(words, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        _, talk = process.communicate("go\n", timeout=300)
    assert talk.splitlines()[-1] == "3", talk
    assert len(list(out.glob("*.length.txt"))) == 3
