"""Training throughput: epochs a second, and the share of the device's measured matmul rate.

    python tests/benchmarks/train_throughput.py --preset nano                            # CPU, one thread
    python tests/benchmarks/train_throughput.py --preset base --device cuda --batch-size 256 --precision bf16

Operations are counted by torch (matrix products and attention of one whole step, forward and backward); the
device's rate is that of the best of a few square matrix products in the same precision. `network` is the time of a
step on batches that are there already, `feed` the time to make a batch, `run` the pace of both together: where `run`
is near `network`, the feed is no limit.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from core.language.measure import measure
from core.psg.channels import CHANNELS, MODEL_CHANNELS
from core.psg.preprocess import traces_of
from core.psg.scoring import STAGES, Event, Scoring
from core.psg.store import PreparedStudy, write_store
from training.feed import Feed, workers_of
from training.objective import Objective
from training.options import TrainOptions
from training.ranks import ALONE
from training.run import Run, open_run

SQUARES = (1024, 2048, 4096, 8192)
EPOCHS = 120


def main() -> None:
    """Measure and print one JSON object."""
    wishes = arguments()
    torch.set_num_threads(wishes.threads)
    with tempfile.TemporaryDirectory() as folder:
        stores = tuple(wishes.stores) or made_up_stores(Path(folder))
        options = TrainOptions(
            stores,
            Path(folder) / "run",
            preset=wishes.preset,
            device=wishes.device,
            precision=wishes.precision,
            batch_size=wishes.batch_size,
            compiled=wishes.compile,
            threads=wishes.threads,
            max_steps=1,
            held_out=0.34,
        )
        run = open_run(options)
        print(json.dumps(figures(run, wishes.steps), indent=1))


def figures(run: Run, steps: int) -> dict[str, object]:
    """Measure a run's step, its feed, and both together."""
    size = run.options.batch_size
    workers = workers_of(-1, run.device, ALONE)
    feed = Feed(run.reader, run.sampler, size, ALONE, workers)
    clock = time.process_time if run.device.type == "cpu" else time.perf_counter
    begun = clock()
    made = [feed.make((number, run.sampler.draw(number, size))).to(run.device) for number in range(steps)]
    feed_seconds = (clock() - begun) / steps
    objective = Objective(run)

    def step(number: int) -> None:
        terms, _ = objective(made[number % steps], 0.0, ALONE)
        torch.stack([getattr(run.options.weights, name) * term for name, term in terms.items()]).sum().backward()
        torch.nn.utils.clip_grad_norm_(run.model.parameters(), run.options.clip)
        run.optimizer.step()
        run.optimizer.zero_grad(set_to_none=True)
        run.average.update(run.model)

    step(0)
    network = timed(step, steps, run.device)
    with FlopCounterMode(display=False) as counter:
        step(0)
    peak = matmul_rate(run.device, torch.bfloat16 if run.bf16 else torch.float32)
    both = timed_with_feed(step, feed, made, steps)
    flops = counter.get_total_flops()
    return {
        "device": torch.cuda.get_device_name()
        if run.device.type == "cuda"
        else f"cpu, {torch.get_num_threads()} threads",
        "preset": run.options.preset,
        "parameters": sum(p.numel() for p in run.model.parameters()),
        "precision": "bf16" if run.bf16 else "fp32",
        "compiled": run.options.compiled,
        "batch_size": size,
        "gflop_per_epoch": round(flops / size / 1e9, 3),
        "network_epochs_per_second": round(size / network, 1),
        "feed_epochs_per_second_one_worker": round(size / feed_seconds, 1),
        "feed_workers": workers,
        "run_epochs_per_second": round(size / both, 1),
        "matmul_gflops": round(peak / 1e9),
        "share_of_matmul_rate": round(flops / network / peak, 3),
        "share_of_matmul_rate_with_feed": round(flops / both / peak, 3),
    }


def timed(step: Callable[[int], None], steps: int, device: torch.device) -> float:
    """Seconds of one step: of the process on a CPU, which others may share; by the clock on a GPU."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    _wait(device)
    begun = clock()
    for number in range(steps):
        step(number)
    _wait(device)
    return (clock() - begun) / steps


def timed_with_feed(step: Callable[[int], None], feed: Feed, made: list, steps: int) -> float:
    """Seconds of one step whose batch the feed makes."""
    device = made[0].signals.device
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    batches = feed.batches(0)
    made[0] = next(batches)[1].to(device)
    _wait(device)
    begun = clock()
    for _ in range(steps):
        made[0] = next(batches)[1].to(device)
        step(0)
    _wait(device)
    seconds = (clock() - begun) / steps
    batches.close()
    return seconds


def matmul_rate(device: torch.device, kind: torch.dtype) -> float:
    """Operations a second of the best square matrix product."""
    best = 0.0
    for size in SQUARES[:2] if device.type == "cpu" else SQUARES:
        left, right = (torch.randn(size, size, device=device, dtype=kind) for _ in range(2))
        left @ right
        seconds = timed(lambda _, left=left, right=right: left @ right, 5, device)  # type: ignore[misc]
        best = max(best, 2 * size**3 / seconds)
    return best


def made_up_stores(folder: Path) -> tuple[Path, ...]:
    """Three prepared studies of noise with stages and events."""
    rng = np.random.default_rng(0)
    paths = []
    for number in range(3):
        study = PreparedStudy(
            study=f"noise{number}",
            start=None,
            source_hash=f"{number:064x}",
            signals=rng.standard_normal((EPOCHS, len(MODEL_CHANNELS), 1920)).astype(np.float32),
            extras={"SPO2": np.full((EPOCHS, 1920), 0.6, np.float32)},
            offset={c.name: 90.0 if c.name == "SPO2" else 0.0 for c in CHANNELS},
            scale={c.name: 10.0 if c.name == "SPO2" else 1.0 for c in CHANNELS},
            states=np.zeros((EPOCHS, len(CHANNELS)), np.uint8),
            scoring=Scoring(
                tuple(STAGES[i] for i in rng.integers(len(STAGES), size=EPOCHS)),
                tuple(Event("arousal", 30.0 * e + 5.0, 8.0) for e in range(0, EPOCHS, 4)),
                source="made up",
            ),
        )
        tables, notes = measure(traces_of(study), study.states, EPOCHS).to_tables()
        paths.append(folder / f"noise{number}.psg")
        write_store(PreparedStudy(**{**vars(study), "tables": tables, "notes": notes}), paths[-1])
    return tuple(paths)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="nano")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--precision", default="auto", choices=("auto", "fp32", "bf16"))
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--threads", type=int, default=int(os.environ.get("OMP_NUM_THREADS", "1")))
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("stores", nargs="*", type=Path, help="prepared studies; made up without")
    return parser.parse_args(sys.argv[1:])


if __name__ == "__main__":
    main()
