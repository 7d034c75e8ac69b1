"""Studies on a Dask cluster: the same rows and files as on this machine, also where a worker is lost."""

import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.batch import BatchOptions, StudyRow, expand, run
from core.errors import UsageError
from tests.core.batching.tasks import ReverseTask, outputs, write_studies

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """Address of a scheduler on this machine with two worker processes that are started again when they die."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
        ) as made:
            yield made.scheduler_address


def rows_of(task: ReverseTask, folder: Path, options: BatchOptions) -> dict[str, StudyRow]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {row.study: row for row in run(task, expand([str(folder)]), options)}


def test_cluster_gives_what_this_machine_gives_though_a_worker_is_killed(cluster: str, tmp_path: Path) -> None:
    texts = ["one", "broken", "bug of a name", "die once", *(f"study {number}" for number in range(6))]
    folder = write_studies(tmp_path / "in", texts)
    there = rows_of(ReverseTask(tmp_path / "there"), folder, BatchOptions(tmp_path / "there", cluster=cluster))
    assert (folder / "s003.mark").exists(), "no worker was killed"
    here = rows_of(ReverseTask(tmp_path / "here"), folder, BatchOptions(tmp_path / "here"))
    assert {row.outcome for study, row in there.items() if study not in ("s001", "s002")} == {"done"}
    assert outputs(tmp_path / "there") == outputs(tmp_path / "here")
    told = ("study", "path", "outcome", "message", "hint", "key", "result", "code", "lasting")
    for study, row in here.items():
        assert [getattr(row, name) for name in told] == [getattr(there[study], name) for name in told]
    again = rows_of(ReverseTask(tmp_path / "there"), folder, BatchOptions(tmp_path / "there", cluster=cluster))
    assert {row.outcome for row in again.values()} == {"skipped", "failed"}


def test_study_that_hangs_on_a_cluster_is_given_up(cluster: str, tmp_path: Path) -> None:
    folder, out = write_studies(tmp_path / "in", ["one", "hang", "three"]), tmp_path / "out"
    rows = rows_of(ReverseTask(out), folder, BatchOptions(out, cluster=cluster, timeout=20.0))
    assert [rows[f"s00{number}"].outcome for number in range(3)] == ["done", "failed", "done"]
    assert "longer than 20 s" in rows["s001"].message


@pytest.mark.parametrize(("address", "words"), [("tcp://127.0.0.1:9", "No Dask scheduler"), ("nowhere", "no cluster")])
def test_cluster_that_is_not_there_is_wrong_usage(
    address: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.batching.cluster.ANSWER_SECONDS", 0.5)
    folder, out = write_studies(tmp_path / "in", ["one"]), tmp_path / "out"
    with pytest.raises(UsageError, match=words):
        rows_of(ReverseTask(out), folder, BatchOptions(out, cluster=address))


SBATCH = """#!/bin/sh
for last; do :; done
nohup sh "$last" >"$0.log" 2>&1 </dev/null &
echo "Submitted batch job $!"
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Slurm is POSIX")
def test_slurm_jobs_do_the_studies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An `sbatch` that runs the job's script on this machine stands for Slurm: `pytest -m slow -k slurm`."""
    pytest.importorskip("dask_jobqueue")
    import dask

    for name, text in {"sbatch": SBATCH, "scancel": '#!/bin/sh\nkill "$1"\n'}.items():
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    root = str(Path(__file__).resolve().parents[3])
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", root)
    monkeypatch.chdir(tmp_path)
    folder, out = write_studies(tmp_path / "in", ["one", "broken", "three"]), Path("out")
    settings = {"jobqueue.slurm.cores": 1, "jobqueue.slurm.memory": "1GB", "jobqueue.slurm.interface": "lo"}
    with dask.config.set(settings):
        rows = rows_of(ReverseTask(out), folder, BatchOptions(out, jobs=2, cluster="slurm"))
    assert {study: row.outcome for study, row in rows.items()} == {"s000": "done", "s001": "failed", "s002": "done"}
    assert (out / "s002.txt").read_text() == "eerht"
