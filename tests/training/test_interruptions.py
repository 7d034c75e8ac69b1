"""What ends a run from outside: a kill at any moment, a full disk, too little memory; the last checkpoint is whole."""

import json
import multiprocessing
import os
import resource
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core.errors import SleepcliError
from training import checkpoint
from training.loop import train
from training.options import LossWeights, TrainOptions
from training.progress import Done, Started, Stopped, TrainStep
from training.sampling import SamplerOptions

KILLS = 3
PATIENCE = 300.0
"""Seconds that a killed process may take to begin, on a machine that is busy."""


@pytest.fixture
def options(stores: tuple[Path, ...], tmp_path: Path) -> TrainOptions:
    return TrainOptions(
        stores=stores,
        out=tmp_path / "run",
        preset="tiny",
        device="cpu",
        threads=1,
        batch_size=8,
        max_steps=80,
        held_out=0.3,
        validate_steps=1000,
        validation_epochs=8,
        checkpoint_minutes=0.0,
        weights=LossWeights(caption=0.0, reconstruction=0.0),
        sampler=SamplerOptions(hard=1.0),
    )


def run_to_the_end(options: TrainOptions) -> None:
    for _ in train(options):
        pass


def steps_of(log: Path) -> list[dict]:
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    return [line for line in lines if line["event"] == "TrainStep"]


def lines_in(log: Path) -> int:
    return log.read_bytes().count(b"\n") if log.exists() else 0


def test_a_run_that_is_killed_again_and_again_ends_as_if_it_was_not(options: TrainOptions, tmp_path: Path):
    starting = multiprocessing.get_context("forkserver")
    starting.set_forkserver_preload(["training.loop"])
    log = options.out / "log.jsonl"
    rng = np.random.default_rng()
    for _ in range(KILLS):
        before, begun = lines_in(log), time.monotonic()
        process = starting.Process(target=run_to_the_end, args=(options,))
        process.start()
        while process.is_alive() and lines_in(log) < before + 6 and time.monotonic() - begun < PATIENCE:
            time.sleep(0.01)
        time.sleep(float(rng.uniform(0, 0.1)))
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        newest = checkpoint.latest(options.out / "checkpoints")
        assert newest is not None
        assert checkpoint.load(newest).step > 0
    events = list(train(options))
    assert isinstance(events[0], Started)
    assert events[0].step > 0
    whole = replace(options, out=tmp_path / "whole")
    wanted = [event.losses["total"] for event in train(whole) if isinstance(event, TrainStep)]
    found = steps_of(log)
    assert [line["step"] for line in found] == list(range(1, options.max_steps + 1))
    assert [line["total"] for line in found] == wanted
    assert not list((options.out / "checkpoints").glob(".*"))


def test_a_full_disk_ends_with_a_sentence_and_the_run_goes_on_when_there_is_room(options: TrainOptions):
    options = replace(options, max_steps=4)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        running = train(options)
        while not isinstance(event := next(running), TrainStep) or event.step < 3:
            pass
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
        with pytest.raises(SleepcliError, match="cannot be written"):
            list(running)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    kept = sorted(path.name for path in (options.out / "checkpoints").iterdir())
    assert kept == ["step-00000001", "step-00000002"]
    events = list(train(options))
    assert isinstance(events[0], Started)
    assert events[0].step == 2


def test_a_run_that_is_asked_to_stop_saves_its_state_and_goes_on_from_there(options: TrainOptions, tmp_path: Path):
    options = replace(options, max_steps=12, checkpoint_minutes=60.0)
    asked, told = [], []
    for event in train(options, stop=lambda: bool(asked)):
        told.append(event)
        if isinstance(event, TrainStep) and event.step == 5:
            asked.append(True)
    assert (type(told[-1]), told[-1].step) == (Stopped, 5)
    assert not (options.out / "model.safetensors").exists()
    assert json.loads((options.out / "meta.json").read_text())["finished"] is False
    after = list(train(options))
    assert isinstance(after[-1], Done)
    whole = [event for event in train(replace(options, out=tmp_path / "whole")) if isinstance(event, TrainStep)]
    parts = [event for event in [*told, *after] if isinstance(event, TrainStep)]
    assert [(event.step, event.losses) for event in parts] == [(event.step, event.losses) for event in whole]


def test_no_weight_that_is_no_number_is_saved_or_published(options: TrainOptions, monkeypatch: pytest.MonkeyPatch):
    options = replace(options, max_steps=6, held_out=0.0)
    running = train(options)
    while not isinstance(event := next(running), TrainStep) or event.step < 3:
        pass

    def broken(parameters: list[torch.Tensor], largest: float) -> None:
        parameters = list(parameters)
        assert parameters[0].grad is not None
        parameters[0].grad.fill_(float("nan"))

    monkeypatch.setattr("training.loop.clip_gradients", broken)
    with pytest.raises(SleepcliError) as told:
        list(running)
    assert "not a number at step 4" in str(told.value)
    assert f"the checkpoint {options.out / 'checkpoints' / 'step-00000003'} is whole" in str(told.value)
    for file in options.out.rglob("*.safetensors"):
        assert all(bool(torch.isfinite(value.float()).all()) for value in checkpoint.read_weights(file).values())
    monkeypatch.undo()
    assert isinstance(list(train(options))[-1], Done)


def test_a_checkpoint_that_leads_to_no_number_is_told_as_such(options: TrainOptions):
    with pytest.raises(SleepcliError, match=r"step-0000000\d leads there too: delete it"):
        list(train(replace(options, learning_rate=1e30)))


def test_a_checkpoint_that_was_set_aside_when_the_run_was_killed_comes_back(tmp_path: Path):
    saved = checkpoint.Checkpoint(3, {"model/a": torch.ones(2)}, {"seconds": 1.0})
    final = checkpoint.save(tmp_path, saved)
    final.rename(tmp_path / ".step-00000003.old.part")
    (tmp_path / ".step-00000003.part").mkdir()
    assert checkpoint.latest(tmp_path) == final
    assert checkpoint.load(final).step == 3
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000003"]


def starved(options: TrainOptions, said: Path) -> None:
    torch.set_num_threads(1)
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + 250_000_000, resource.RLIM_INFINITY))
    try:
        run_to_the_end(options)
    except SleepcliError as error:
        said.write_text(str(error))


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_too_little_memory_is_said_in_a_sentence(options: TrainOptions, tmp_path: Path):
    starting = multiprocessing.get_context("forkserver")
    starting.set_forkserver_preload(["training.loop"])
    said = tmp_path / "said.txt"
    process = starting.Process(target=starved, args=(replace(options, batch_size=8192, max_steps=1), said))
    process.start()
    process.join()
    assert "too little memory for batches of 8192 epochs" in said.read_text()
