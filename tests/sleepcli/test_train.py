"""`sleepcli train`: recipes, what it shows, and a run that goes on."""

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from core.psg.store import write_store
from tests.sleepcli.conftest import Command
from tests.training.conftest import prepared_study

pytest.importorskip("torch")

RECIPE = """
preset = "tiny"
max_steps = 2
held_out = 0.5
validation_epochs = 4
[weights]
caption = 0.0
reconstruction = 0.0
"""


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    for seed in (1, 2):
        write_store(prepared_study(f"night{seed}", 12, seed), tmp_path / "prepared" / f"night{seed}.psg")
    (tmp_path / "lab.toml").write_text(RECIPE, encoding="utf-8")
    return tmp_path / "prepared"


def test_a_recipe_and_flags_make_a_run_that_goes_on(program: Command, prepared: Path):
    words = ("train", prepared, "--recipe", "lab.toml", "--out", "run", "--batch-size", "4", "--device", "cpu")
    done = program(*words, "--threads", "1", "--checkpoint-minutes", "0")
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)
    assert row["steps"] == 2
    assert "contrastive" in row
    assert "caption" not in row
    meta = json.loads((prepared.parent / "run" / "meta.json").read_text())
    assert (meta["preset"], meta["options"]["batch_size"], meta["options"]["checkpoint_minutes"]) == ("tiny", 4, 0.0)
    again = program(*words, "--max-steps", "3")
    assert "resumed at step 2" in again.stderr
    other = program(*words, "--max-steps", "3", "--seed", "1", "--held-out", "0")
    assert other.returncode == 2
    assert "other subjects" in other.stderr


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_that_is_interrupted_saves_its_state_and_goes_on(
    program: Command, prepared: Path, sent: signal.Signals, code: int
):
    words = ("train", prepared, "--recipe", "lab.toml", "--out", "run", "--batch-size", "4", "--device", "cpu")
    before = signal.getsignal(signal.SIGTERM)

    def interrupt() -> None:
        while not Path("run/log.jsonl").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), sent)

    sender = threading.Thread(target=interrupt)
    sender.start()
    done = program(*words, "--threads", "1", "--max-steps", "2000")
    sender.join()
    assert done.returncode == code, done.stderr
    assert not done.stdout
    steps = int(done.stderr.partition("Stopped after ")[2].split()[0])
    assert [path.name for path in Path("run/checkpoints").iterdir()] == [f"step-{steps:08d}"]
    assert "the same command goes on from there" in done.stderr
    assert signal.getsignal(signal.SIGTERM) == before
    again = program(*words, "--threads", "1", "--max-steps", str(steps + 1))
    assert f"resumed at step {steps}" in again.stderr
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize(
    ("value", "said"), [("nan", "learning_rate = nan"), ("-1", "learning_rate = -1"), ("inf", "learning_rate = inf")]
)
def test_a_number_that_no_run_can_use_is_wrong_usage(program: Command, prepared: Path, value: str, said: str):
    done = program("train", prepared, "--recipe", "lab.toml", "--out", "run", "--learning-rate", value)
    assert done.returncode == 2
    assert said in done.stderr
    assert not Path("run").exists()


def test_a_wrong_entry_of_a_recipe_is_wrong_usage(program: Command, prepared: Path):
    (prepared.parent / "lab.toml").write_text("batchsize = 4", encoding="utf-8")
    done = program("train", prepared, "--recipe", "lab.toml", "--out", "run")
    assert done.returncode == 2
    assert "Did you mean batch_size?" in done.stderr
