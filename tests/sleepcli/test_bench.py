import json
from pathlib import Path
from typing import Any

import pytest

from tests.core.inference.fake_bundle import write_fake_bundle


def test_bench_times_every_step_and_names_the_hardware(program: Any, tmp_path: Path) -> None:
    model = write_fake_bundle(tmp_path / "fake")
    result = program("bench", "--hours", "0.2", "--model", str(model), "--device", "cpu", "--json")
    assert result.returncode == 0
    told = json.loads(result.stdout)
    assert {"processor", "cpus", "device", "model", "onnxruntime"} <= {*told["hardware"]}
    steps = {row["step"]: row for row in told["steps"]}
    assert list(steps) == ["load", "read", "prepare", "measure", "embed", "caption", "stage", "query"]
    assert steps["caption"]["count"] == 5 * steps["embed"]["count"] == 120
    for row in steps.values():
        assert row["rate"] == pytest.approx(row["count"] / row["seconds"], rel=0.5, abs=0.01)


def test_a_study_that_is_not_there_is_wrong_usage(program: Any, tmp_path: Path) -> None:
    result = program("bench", str(tmp_path / "absent.edf"))
    assert result.returncode == 2
    assert "There is no study" in result.stderr
