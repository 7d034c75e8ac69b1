"""What happens to a batch at night: killed, cut short, twice at once, a study that hangs, a disk that is full."""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from core.batch import BatchOptions, StudyRow, expand, run
from core.errors import SleepcliError, UsageError
from tests.core.batching.tasks import ReverseTask, outputs, write_studies

ROOT = Path(__file__).resolve().parents[3]
RUN = """
import sys
from pathlib import Path
from core.batch import BatchOptions, expand, run
from tests.core.batching.tasks import ReverseTask
if __name__ == "__main__":
    folder, out, jobs, pause = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    for row in run(ReverseTask(out, pause), expand([str(folder)]), BatchOptions(out, jobs, about={"command": "test"})):
        print(row.outcome, row.study, flush=True)
"""


def done(out: Path, folder: Path, jobs: int = 1, **options: object) -> dict[str, StudyRow]:
    """Run a batch to its end; a row a study."""
    wanted = BatchOptions(out, jobs, about={"command": "test"}, **options)  # type: ignore[arg-type]
    return {row.study: row for row in run(ReverseTask(out), expand([str(folder)]), wanted)}


def start(script: Path, *arguments: object) -> subprocess.Popen[str]:
    """Start a batch in a process of its own."""
    script.write_text(RUN)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, str(script), *map(str, arguments)]
    return subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_batch_killed_at_fifty_moments_ends_as_one_that_was_left_alone(tmp_path: Path) -> None:
    """Kill −9 the batch again and again, rerun it, and at last let it finish: byte for byte the same files."""
    rng = random.Random(8)
    texts = [f"{number} {'x' * rng.randrange(40)}" for number in range(80)]
    folder, out = write_studies(tmp_path / "in", texts), tmp_path / "out"
    alone = done(tmp_path / "alone", folder)
    finished = set()
    for kill in range(50):
        process = start(tmp_path / "batch.py", folder, out, 1 + kill % 2, 0.001)
        assert process.stdout is not None
        if kill % 5:  # else it is killed while it starts
            process.stdout.readline()
        time.sleep(rng.random() * 0.15)
        process.kill()
        process.communicate()
        whole = {path.name for path in out.glob("*.txt")} if out.exists() else set()
        assert finished <= whole, "a rerun lost a file that was finished"
        finished = whole
        for name in finished:
            assert (out / name).read_bytes() == (tmp_path / "alone" / name).read_bytes(), f"{name} is half a file"
    rows = done(out, folder, 2)
    assert {row.outcome for row in rows.values()} <= {"done", "skipped"}
    assert len(rows) == len(alone) == 80
    assert outputs(out) == outputs(tmp_path / "alone")
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


def test_one_study_that_hangs_is_given_up_and_the_others_go_on(tmp_path: Path) -> None:
    folder = write_studies(tmp_path / "in", ["one", "hang", "three", "four"])
    for jobs in (1, 2):
        out = tmp_path / f"out{jobs}"
        rows = done(out, folder, jobs, timeout=1.0)
        assert [rows[f"s00{number}"].outcome for number in range(4)] == ["done", "failed", "done", "done"]
        assert "longer than 1 s" in rows["s001"].message
        began = time.monotonic()
        again = done(out, folder, jobs, timeout=1000.0)
        assert again["s001"].outcome == "failed"
        assert "--retry-failed" in again["s001"].hint
        assert time.monotonic() - began < 500, "the study that hung was tried again"


def test_worker_that_dies_costs_its_study_alone(tmp_path: Path) -> None:
    folder = write_studies(tmp_path / "in", ["one", "die", "three", "die", "five"])
    for jobs in (1, 2):
        rows = done(tmp_path / f"out{jobs}", folder, jobs)
        assert {row.study for row in rows.values() if row.outcome == "failed"} == {"s001", "s003"}
        assert "worker process ended" in rows["s001"].message


def test_failure_is_remembered_until_the_study_changes_or_a_retry_is_asked_for(tmp_path: Path) -> None:
    folder, out = write_studies(tmp_path / "in", ["one", "broken", "die once"]), tmp_path / "out"
    first = done(out, folder)
    assert [first[f"s00{number}"].outcome for number in range(3)] == ["done", "failed", "failed"]
    again = done(out, folder)
    assert "--retry-failed" in again["s001"].hint
    assert again["s001"].message == first["s001"].message
    assert again["s002"].outcome == "done", "a lost worker is no property of the study"
    assert "--retry-failed" not in done(out, folder, retry_failed=True)["s001"].hint
    (folder / "s001.edf").write_text("mended")
    assert done(out, folder)["s001"].outcome == "done"
    report = json.loads((out / "run.json").read_text())
    assert [study["outcome"] for study in report["studies"]] == ["skipped", "done", "skipped"]


def test_second_run_on_one_folder_ends_with_a_sentence_and_a_killed_one_does_not_block(tmp_path: Path) -> None:
    folder, out = write_studies(tmp_path / "in", ["one", "slow " * 20]), tmp_path / "out"
    first = start(tmp_path / "batch.py", folder, out, 1, 0.5)
    assert first.stdout is not None
    first.stdout.readline()
    with pytest.raises(SleepcliError, match=f"Another run is writing in .*process {first.pid}"):
        done(out, folder)
    first.kill()
    first.communicate()
    rows = done(out, folder)
    assert (rows["s000"].outcome, rows["s001"].outcome) == ("skipped", "done")


def test_study_that_changes_or_goes_meanwhile_fails_and_leaves_nothing(tmp_path: Path) -> None:
    folder, out = write_studies(tmp_path / "in", ["changes", "goes", "stays"]), tmp_path / "out"
    rows = done(out, folder)
    assert "changed while it was read" in rows["s000"].message
    assert "removed while it was read" in rows["s001"].message
    assert {path.name.partition(".")[0] for path in out.glob("*.txt")} == {"s002"}


def test_study_changed_between_runs_is_done_again_though_size_and_time_are_the_same(tmp_path: Path) -> None:
    folder, out = write_studies(tmp_path / "in", ["abc", "def"]), tmp_path / "out"
    study = folder / "s000.edf"
    os.utime(study, (1e9, 1e9))
    done(out, folder)
    study.write_text("xyz")
    os.utime(study, (1e9, 1e9))
    assert {name: row.outcome for name, row in done(out, folder).items()} == {"s000": "done", "s001": "skipped"}
    assert (out / "s000.txt").read_text() == "zyx"


def test_sources_that_look_the_same_are_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand studies that are done are skipped without reading a terabyte."""
    monkeypatch.setattr("core.batching.sources.SETTLED_SECONDS", -1.0)
    folder, out = write_studies(tmp_path / "in", ["abc"]), tmp_path / "out"
    done(out, folder)
    monkeypatch.setattr("core.batching.attempt.hash_of", lambda _: pytest.fail("the study was read"))
    assert done(out, folder)["s000"].outcome == "skipped"


@pytest.mark.parametrize("jobs", [1, 2])
def test_full_disk_fails_studies_in_a_sentence_and_a_rerun_finishes_them(tmp_path: Path, jobs: int) -> None:
    """A limit on the size of files stands for a full disk: the same error from the same system call."""
    folder, out = write_studies(tmp_path / "in", ["small", "x" * 60_000, "small too"]), tmp_path / "out"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, before[1]))
    try:
        rows = done(out, folder, jobs)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert [rows[f"s00{number}"].outcome for number in range(3)] == ["done", "failed", "done"]
    assert "cannot be written: file too large" in rows["s001"].message
    assert not [path for path in out.iterdir() if path.name.startswith(".")]
    assert {study: row.outcome for study, row in done(out, folder).items()} == {
        "s000": "skipped", "s001": "done", "s002": "skipped",
    }  # fmt: skip


def test_journal_that_cannot_be_written_is_a_warning_and_no_lost_night(tmp_path: Path) -> None:
    folder, out = write_studies(tmp_path / "in", ["one", "two"]), tmp_path / "out"
    rows = run(ReverseTask(out), expand([str(folder)]), BatchOptions(out))
    next(rows)
    (out / "run.journal").unlink()
    (out / "run.journal").mkdir()
    last = list(rows)[-1]
    assert last.outcome == "done"
    assert "run.journal cannot be written" in last.result.warnings[0]


def test_output_that_takes_no_files_is_wrong_usage(tmp_path: Path) -> None:
    folder = write_studies(tmp_path / "in", ["one"])
    with pytest.raises(UsageError, match="cannot be written"):
        done(Path("/proc/none"), folder)


def test_wish_to_stop_finishes_the_studies_in_work(tmp_path: Path) -> None:
    folder, out = write_studies(tmp_path / "in", ["text"] * 12), tmp_path / "out"
    wish = threading.Event()
    rows = []
    for row in run(ReverseTask(out), expand([str(folder)]), BatchOptions(out, 2, stop=wish.is_set)):
        rows.append(row)
        wish.set()
    assert 1 <= len(rows) <= 4
    assert {path.name.partition(".")[0] for path in out.glob("*.txt")} == {row.study for row in rows}
    assert len(list(run(ReverseTask(out), expand([str(folder)]), BatchOptions(out, 2)))) == 12
