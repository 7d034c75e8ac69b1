"""What a training run holds in memory for its studies and epochs, at the size of an archive.

    python tests/benchmarks/train_index.py                     # 12,500 nights of 8 h: 100,000 hours
    python tests/benchmarks/train_index.py --hard --studies 2000

Studies are made up, as a run indexes them; nothing lies on the disk. `kept` is the process's memory (RSS) after the
index of studies and after the sampler, `peak` the largest since the start.
"""

import argparse
import gc
import json
import os
import resource
import sys
import time
from pathlib import Path

import numpy as np

from training.sampling import Sampler, SamplerOptions
from training.studies import TrainingStudy

BATCH, DRAWS = 64, 200
PAGE = os.sysconf("SC_PAGESIZE")


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=12_500)
    parser.add_argument("--epochs", type=int, default=960)
    parser.add_argument("--hard", action="store_true", help="remember losses too, and weigh by them once")
    wishes = parser.parse_args(sys.argv[1:])
    count = wishes.studies * wishes.epochs
    before = memory()
    rng = np.random.default_rng(0)
    studies = [made_up(number, wishes.epochs, rng) for number in range(wishes.studies)]
    indexed = memory()
    begun = time.process_time()
    sampler = Sampler(studies, SamplerOptions(hard=0.5 if wishes.hard else 0.0), 0)
    if wishes.hard:
        sampler.remember(0, [((0, 0), 1.0)], 0.5)
    made = time.process_time() - begun
    sampled = memory()
    begun = time.process_time()
    for number in range(DRAWS if not wishes.hard else 1):
        sampler.draw(number, BATCH)
    figures = {
        "epochs": count,
        "bytes_a_study": round((indexed - before - 2 * count) / wishes.studies),
        "bytes_an_epoch_of_the_index": 2,
        "bytes_an_epoch_of_the_sampler": round((sampled - indexed) / count, 2),
        "kept_mb": round((sampled - before) / 1e6),
        "peak_mb": round((1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e6),
        "sampler_cpu_seconds": round(made, 1),
        "draw_ms": round(1000 * (time.process_time() - begun) / DRAWS, 2),
    }
    print(json.dumps(figures, indent=1))


def made_up(number: int, epochs: int, rng: np.random.Generator) -> TrainingStudy:
    """One study as a run indexes it."""
    name = f"subject{number:06d}-night1"
    stages = rng.integers(0, 5, epochs).astype(np.int8)
    events = np.packbits(rng.random((epochs, 8)) < 0.1, axis=1)[:, 0]
    return TrainingStudy(
        Path(f"/archive/prepared/{name}.psg"), name, name[:13], f"{number:064x}", number, stages, events
    )


def memory() -> int:
    """Bytes of this process that are in memory."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1]) * PAGE


if __name__ == "__main__":
    main()
