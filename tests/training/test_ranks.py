"""Two processes on the CPU against one: the same losses and gradients for the same global batch, and whole runs."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as processes
from torch.distributed.tensor import DTensor

from core.errors import SleepcliError, UsageError
from training import checkpoint
from training.config import ModelConfig
from training.loop import train
from training.model import SleepLM
from training.objective import Objective
from training.options import LossWeights, TrainOptions
from training.ranks import ALONE, Ranks, joined_ranks, wrapped
from training.run import Run, open_run
from training.sampling import SamplerOptions
from training.sharding import average_the_rest, whole

WORLD = 2
WEIGHTS = LossWeights(events=1.0, event_prompts=1.0)
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def options(stores: tuple[Path, ...], tmp_path: Path) -> TrainOptions:
    return TrainOptions(
        stores=stores,
        out=tmp_path / "run",
        preset="tiny",
        device="cpu",
        threads=1,
        batch_size=8,
        max_steps=4,
        held_out=0.3,
        validate_steps=2,
        validation_epochs=8,
        weights=WEIGHTS,
        sampler=SamplerOptions(hard=1.0),
    )


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def join(rank: int, port: int) -> None:
    places = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": WORLD, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in places.items()})
    torch.set_num_threads(1)


def losses_and_gradients(run: Run, ranks: Ranks) -> dict[str, torch.Tensor]:
    """Of the global batch of the run's first draw, whose rows are varied alike whoever makes them."""
    reader = replace(run.reader, augmentation=None)
    batch = reader.batch(run.sampler.draw(0, 8), (1, 2))
    mine = {
        name: value.reshape(8, len(value) // 8, *value.shape[1:])[ranks.rank :: ranks.world].flatten(0, 1)
        for name, value in vars(batch).items()
    }
    objective = wrapped(Objective(run), run)
    terms, rows = objective(type(batch)(**mine), 0.0, ranks)
    torch.stack(list(terms.values())).sum().backward()
    found = {name: ranks.mean(term.detach()) for name, term in terms.items()}
    found["rows"] = torch.tensor([loss for _, loss in ranks.in_order(run.sampler.draw(0, 8), rows)])
    if run.options.sharded:
        average_the_rest(run.learned, ranks)
    gradients = {name: p.grad for name, p in run.learned.named_parameters() if p.grad is not None}
    return {**found, **{name: whole(gradient).clone() for name, gradient in gradients.items()}}


def one_of_two(rank: int, port: int, options: TrainOptions, folder: Path) -> None:
    join(rank, port)
    with joined_ranks(torch.device("cpu"), options.batch_size) as ranks:
        run = open_run(options, ranks)
        spread = [p.to_local().numel() < p.numel() for p in run.learned.parameters() if isinstance(p, DTensor)]
        assert any(spread) == options.sharded
        found = losses_and_gradients(run, ranks)
    torch.save(found, folder / f"{rank}.pt")


@pytest.mark.parametrize("sharded", [False, True], ids=["whole in each", "spread over both"])
def test_two_processes_get_the_losses_and_gradients_of_one(options: TrainOptions, tmp_path: Path, sharded: bool):
    options = replace(options, sharded=sharded)
    processes.spawn(one_of_two, (free_port(), options, tmp_path), nprocs=WORLD)
    whole = losses_and_gradients(open_run(replace(options, out=tmp_path / "alone")), ALONE)
    for rank in range(WORLD):
        part = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert set(part) == set(whole)
        for name, value in whole.items():
            assert torch.allclose(part[name], value, rtol=1e-3, atol=2e-5), name


def test_torchrun_trains_with_spread_weights_and_resumes_with_whole_ones(options: TrainOptions, tmp_path: Path):
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port"]
    places = [str(free_port()), str(ROOT / "tests" / "training" / "run_ranks.py")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    for steps, weights in ((2, "spread"), (4, "whole")):
        given = [str(steps), weights, str(options.out), *map(str, options.stores)]
        done = subprocess.run(
            [*command, *places, *given], env=environment, capture_output=True, text=True, timeout=600, check=False
        )
        assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (options.out / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["event"] == "TrainStep"] == [1, 2, 3, 4]
    meta = json.loads((options.out / "meta.json").read_text())
    assert meta["finished"] is True
    network = SleepLM(ModelConfig.from_json(meta["config"])).state_dict()
    for step in (2, 4):
        saved = checkpoint.load(checkpoint.place(options.out / "checkpoints", step)).tensors
        assert {name: value.shape for name, value in checkpoint.unpack(saved, "model").items()} == {
            name: value.shape for name, value in network.items()
        }


def failing(rank: int, port: int, options: TrainOptions, folder: Path) -> None:
    join(rank, port)
    if rank == 1:
        options = replace(options, learning_rate=1e18, clip=1e18, warmup=0.0, stores=(folder / "none",))
    try:
        list(train(options))
    except SleepcliError as error:
        (folder / f"{rank}.txt").write_text(str(error))


def test_one_failing_process_ends_all_with_a_sentence_each(options: TrainOptions, tmp_path: Path):
    processes.spawn(failing, (free_port(), options, tmp_path), nprocs=WORLD)
    assert "Process 1 of 2" in (tmp_path / "1.txt").read_text()
    assert "does not exist" in (tmp_path / "1.txt").read_text()
    assert "lost the others" in (tmp_path / "0.txt").read_text()


def test_a_batch_that_does_not_divide_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(UsageError, match="divide"), joined_ranks(torch.device("cpu"), 64):
        pass


def test_a_process_alone_has_nobody_to_ask():
    value = torch.arange(3.0)
    assert ALONE.gather(value) is value
    assert ALONE.decided([1.0, 2.0]) == [1.0, 2.0]
    assert not dist.is_initialized()
