"""Embeddings against the published way: epochs a second, same weights, same threads, in one run.

The published path runs both towers for an embedding, one epoch at a time, in plain PyTorch.

    python tests/benchmarks/embed_vs_published.py model_checkpoint.pt bundles/fp32 bundles/int8 --threads 2
"""

import argparse
import json
from functools import partial
from pathlib import Path

import numpy as np
import torch

from core.inference.bundle import load_bundle
from core.inference.engine import Engine
from core.inference.speed import hardware
from tests.benchmarks.decode_vs_published import seconds
from training.sleeplm import from_published, read_checkpoint


def main() -> None:
    """Measure, the sides in turn, and print one JSON object a bundle."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("bundles", type=Path, nargs="+")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=0)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    model = from_published(read_checkpoint(chosen.checkpoint)).eval()
    signals = np.random.default_rng(0).standard_normal((64, 10, 1920)).astype(np.float32)
    ids = torch.randint(1, 1000, (1, model.config.context_length))

    @torch.no_grad()
    def published() -> None:
        model.encode_signal(torch.from_numpy(signals[:1]))
        model.encode_text(ids)

    engines = [Engine(load_bundle(path), chosen.device, chosen.batch, chosen.threads) for path in chosen.bundles]
    sides = [published, *(partial(engine.encode, signals[: engine.batch]) for engine in engines)]
    for work in sides:
        work()
    turns = [[seconds(work, 1) for work in sides] for _ in range(chosen.times)]  # machines change their speed
    base, *each = [(min(wall for wall, _ in side), min(cpu for _, cpu in side)) for side in zip(*turns, strict=True)]
    for engine, ours in zip(engines, each, strict=True):
        count = len(signals[: engine.batch])
        told = {
            "hardware": hardware(engine),
            "bundle": engine.bundle.folder.name,
            "published epochs a wall second": 1 / base[0],
            "epochs a wall second": count / ours[0],
            "ratio by the clock": base[0] * count / ours[0],
            "ratio by CPU seconds": base[1] * count / ours[1],
        }
        print(json.dumps(told, indent=1), flush=True)


if __name__ == "__main__":
    main()
