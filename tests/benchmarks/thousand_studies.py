"""A thousand small studies, fifty of them broken in ten ways: what becomes of them, and the memory they take.

    python tests/benchmarks/thousand_studies.py [--count 1000] [--jobs 1] [--model DIR]

Prints outcomes, seconds a study, and the resident memory of the program and its workers after 50 studies and at
the end; ends with 1 where a good study failed, a broken one did not, a failure is no sentence, a row is missing in the
report, or memory grew by more than 50 MB after the first 50 studies.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from core.batch import BatchOptions, StudyRow, exit_code, expand, run
from core.inference.tasks import ModelChoice, Reading, StageTask
from tests.sleepcli.broken_studies import BROKEN, small_study

FIRST = 50
ALLOWED = 50.0
"""MB that memory may grow after the first studies."""


def resident() -> float:
    """MB of this process and its children, without the pages of mapped files."""
    tree = subprocess.run(["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = [tuple(map(int, line.split())) for line in tree.splitlines()]
    mine, me = 0.0, Path("/proc/self").resolve().name
    for pid, parent in pairs:
        if str(pid) == me or str(parent) == me:
            status = Path(f"/proc/{pid}/status")
            lines = status.read_text().splitlines() if status.exists() else []
            mine += sum(int(line.split()[1]) / 1000 for line in lines if line.startswith("RssAnon"))
    return mine


def main() -> int:
    """Make the studies, stage them, and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--model", default="nano")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        nights, out = Path(folder, "nights"), Path(folder, "out")
        nights.mkdir()
        step = max(1, wanted.count // 50)
        bad = set(range(7, wanted.count, step))
        for number in range(wanted.count):
            if number in bad:
                BROKEN[number // step % len(BROKEN)](nights / f"bad{number:04d}.edf")
            else:
                small_study(nights / f"good{number:04d}.edf", number)
        task = StageTask(out, ModelChoice(wanted.model, threads=1), Reading(look_for_scoring=False))
        return judge(task, nights, BatchOptions(out, wanted.jobs, about={"command": "stage"}))


def judge(task: StageTask, nights: Path, options: BatchOptions) -> int:
    """Run the batch and say what came of it."""
    rows: list[StudyRow] = []
    memory: dict[int, float] = {}
    since = time.monotonic()
    for row in run(task, expand([str(nights)]), options):
        rows.append(row)
        if len(rows) % FIRST == 0:
            memory[len(rows)] = resident()
    seconds = time.monotonic() - since
    growth = max(memory.values()) - memory[FIRST]
    wrong = [row.study for row in rows if (row.outcome == "done") is not row.study.startswith("good")]
    bugs = [row.message for row in rows if "Unexpected" in row.message]
    failed = sum(row.outcome == "failed" for row in rows)
    kinds = len({row.message.replace(row.study, "") for row in rows if row.outcome == "failed"})
    print(f"{len(rows)} studies, {failed} failed with {kinds} different sentences, {seconds / len(rows):.2f} s a study")
    print("MB resident: " + ", ".join(f"{size:.0f} after {count}" for count, size in memory.items()))
    print(f"growth after the first {FIRST}: {growth:.1f} MB (allowed {ALLOWED:g})")
    print(f"wrong: {wrong or 'none'}; no sentence: {bugs or 'none'}")
    assert options.out is not None
    listed = len(json.loads((options.out / "run.json").read_text(encoding="utf-8"))["studies"])
    print(f"exit code {exit_code(rows)}, {listed} rows in run.json")
    return int(bool(wrong or bugs) or growth > ALLOWED or exit_code(rows) != 1 or listed != len(rows))


if __name__ == "__main__":
    sys.exit(main())
