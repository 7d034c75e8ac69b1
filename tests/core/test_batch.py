"""A batch loses nothing: names, failures, reruns, and killed runs."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.batch import BatchOptions, Outcome, StudyInput, exit_code, expand, run, write_report
from core.errors import StudyError, UsageError
from core.files import whole_file, whole_folder, write_text

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class CopyTask:
    """Writes the study's bytes upside down; refuses a study that says so."""

    out: Path
    suffix: str = "txt"

    def __call__(self, item: StudyInput) -> Outcome:
        content = item.path.read_text()
        if content == "broken":
            raise StudyError("The study is broken.", "Mend it.")
        if content.startswith("bug"):
            raise ZeroDivisionError(content)
        write_text(self.out / f"{item.study}.{self.suffix}", content[::-1])
        return Outcome((f"{item.study}.{self.suffix}",), {"letters": len(content)})

    def sources(self, item: StudyInput) -> Sequence[Path]:
        return (item.path,)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in {"a/night.edf": "one", "b/night.edf": "two", "c/other.edf": "three"}.items():
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True)
        path.write_text(content)
    return tmp_path / "in"


def test_studies_of_one_name_are_told_apart_by_their_folder(folder: Path) -> None:
    assert {item.study for item in expand([str(folder)])} == {"a_night", "b_night", "other"}


def test_a_list_a_glob_and_a_folder_name_the_same_study_once(folder: Path) -> None:
    items = expand(["-", str(folder / "a"), str(folder / "a" / "*.edf")], [f"{folder}/a/night.edf\n", "\n"])
    assert [item.path for item in items] == [folder / "a" / "night.edf"]


def test_a_recording_that_is_a_folder_is_one_study(tmp_path: Path) -> None:
    for name in ("x.mff", "y.psg"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "signal1.fif").touch()
    assert [item.study for item in expand([str(tmp_path)])] == ["x", "y"]
    assert [item.path for item in expand([str(tmp_path / "x.mff")])] == [tmp_path / "x.mff"]


def test_scorings_are_left_out_beside_studies_and_stay_alone(folder: Path) -> None:
    def is_scoring(path: Path) -> bool:
        return path.parent.name in ("a", "b")

    assert [item.study for item in expand([str(folder)], is_scoring=is_scoring)] == ["other"]
    assert [item.study for item in expand([str(folder / "a")], is_scoring=is_scoring)] == ["night"]


def test_suffixes_tell_files_of_one_stem_apart(tmp_path: Path) -> None:
    for name in ("x.edf", "x.bdf"):
        (tmp_path / name).touch()
    names = [item.study for item in expand([str(tmp_path)])]
    assert len(set(names)) == 2


def test_missing_path_alone_is_wrong_usage_and_beside_others_a_failed_study(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.edf"):
        expand([str(folder / "nowhere.edf")])
    rows = list(run(CopyTask(folder), expand([str(folder / "nowhere.edf"), str(folder / "a")]), BatchOptions()))
    assert [row.outcome for row in rows] == ["done", "failed"]
    assert exit_code(rows) == 1


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_failure_keeps_the_others(folder: Path, tmp_path: Path, jobs: int) -> None:
    (folder / "b" / "night.edf").write_text("broken")
    (folder / "c" / "other.edf").write_text("bug of a secret name")
    out = tmp_path / "out"
    rows = {row.study: row for row in run(CopyTask(out), expand([str(folder)]), BatchOptions(out, jobs))}
    assert rows["a_night"].outcome == "done"
    assert (out / "a_night.txt").read_text() == "eno"
    assert rows["b_night"].message == "The study is broken."
    assert "ZeroDivisionError" in rows["other"].message
    assert "secret" not in repr(rows["other"])
    assert exit_code(list(rows.values())) == 1


def test_abort_stops_at_the_first_failure(folder: Path, tmp_path: Path) -> None:
    (folder / "a" / "night.edf").write_text("broken")
    out = tmp_path / "out"
    with pytest.raises(StudyError, match="broken"):
        list(run(CopyTask(out), expand([str(folder)]), BatchOptions(out, on_error="abort")))
    assert not list(out.glob("*.txt"))


def test_rerun_skips_what_is_done_and_redoes_what_changed(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = BatchOptions(out, key="model 1")

    def outcomes(options: BatchOptions) -> dict[str, str]:
        return {row.study: row.outcome for row in run(CopyTask(out), expand([str(folder)]), options)}

    assert set(outcomes(options).values()) == {"done"}
    assert set(outcomes(options).values()) == {"skipped"}
    (folder / "a" / "night.edf").write_text("changed")
    (out / "other.txt").unlink()
    assert outcomes(options) == {"a_night": "done", "b_night": "skipped", "other": "done"}
    assert set(outcomes(BatchOptions(out, key="model 2")).values()) == {"done"}


def test_one_folder_holds_the_outputs_of_several_works(folder: Path, tmp_path: Path) -> None:
    """One work does not pass for another, and one that overwrites another's files has it done again."""
    out, items = tmp_path / "out", expand([str(folder)])

    def outcomes(work: str, suffix: str) -> set[str]:
        options = BatchOptions(out, work=work)
        return {row.outcome for row in run(CopyTask(out, suffix), items, options)}

    assert outcomes("stage", "txt") == outcomes("embed", "npy") == {"done"}
    assert outcomes("stage", "txt") == outcomes("embed", "npy") == {"skipped"}
    assert outcomes("caption", "txt") == {"done"}
    assert outcomes("stage", "txt") == {"done"}
    assert outcomes("embed", "npy") == {"skipped"}


def test_journal_with_a_cut_line_is_read(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    list(run(CopyTask(out), expand([str(folder)]), BatchOptions(out)))
    journal = out / "run.journal"
    journal.write_text(journal.read_text()[:-9])
    rows = list(run(CopyTask(out), expand([str(folder)]), BatchOptions(out)))
    assert sorted(row.outcome for row in rows) == ["done", "skipped", "skipped"]


def test_report_has_a_row_a_study(folder: Path, tmp_path: Path) -> None:
    (folder / "a" / "night.edf").write_text("broken")
    out = tmp_path / "out"
    rows = list(run(CopyTask(out), expand([str(folder)]), BatchOptions(out)))
    write_report(out, {"command": "copy"}, rows)
    report = json.loads((out / "run.json").read_text())
    assert [study["outcome"] for study in report["studies"]] == ["failed", "done", "done"]
    assert (out / "run.csv").read_text().count("\n") == 4


def test_unwritable_output_is_wrong_usage(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "out"
    with pytest.raises(UsageError, match="cannot be written"):
        list(run(CopyTask(out), expand([str(folder)]), BatchOptions(out)))


def test_failed_write_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "result.txt"
    target.write_text("before")
    with pytest.raises(ZeroDivisionError), whole_file(target) as temporary:
        temporary.write_text(f"half {1 / 0}")
    with pytest.raises(ZeroDivisionError), whole_folder(tmp_path / "store") as temporary:
        (temporary / "half").write_text(f"half {1 / 0}")
    assert [path.name for path in tmp_path.iterdir()] == ["result.txt"]
    assert target.read_text() == "before"


def test_leftover_of_a_killed_run_is_replaced(tmp_path: Path) -> None:
    for _ in range(2):
        (tmp_path / ".store.part").mkdir(exist_ok=True)
        (tmp_path / ".store.part" / "half").write_text("half")
        with whole_folder(tmp_path / "store") as temporary:
            (temporary / "whole").write_text("whole")
    assert [path.name for path in tmp_path.rglob("*")] == ["store", "whole"]


def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import os, sys, time\nfrom dataclasses import dataclass\nfrom pathlib import Path\n"
        "from core.batch import BatchOptions, Outcome, StudyInput, run\n"
        "@dataclass\nclass Slow:\n    def __call__(self, item):\n"
        f"        Path({str(tmp_path)!r}, f'pid{{os.getpid()}}').touch()\n        time.sleep(60)\n"
        "    def sources(self, item):\n        return ()\n"
        "if __name__ == '__main__':\n"
        f"    items = [StudyInput(Path({str(script)!r}), name) for name in 'ab']\n"
        "    list(run(Slow(), items, BatchOptions(jobs=2)))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen([sys.executable, str(script)], env=environment, stderr=subprocess.DEVNULL)
    workers = _wait_for(lambda: sorted(tmp_path.glob("pid*")), 2)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert _wait_for(lambda: [path for path in workers if not _alive(int(path.name[3:]))], 2) == workers


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _wait_for(found: object, count: int) -> list[Path]:
    assert callable(found)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        paths: list[Path] = found()
        if len(paths) == count:
            return paths
        time.sleep(0.05)
    raise AssertionError(f"waited 30 s for {count}, saw {len(found())}")
