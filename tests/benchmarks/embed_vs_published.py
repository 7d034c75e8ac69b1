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
    """Measure and print one JSON object a bundle."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("bundles", type=Path, nargs="+")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=0)
    parser.add_argument("--times", type=int, default=2)
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

    for path in chosen.bundles:
        engine = Engine(load_bundle(path), chosen.device, chosen.batch, chosen.threads)
        some = signals[: engine.batch]
        engine.encode(some[:1])
        base, ours = seconds(published, chosen.times), seconds(partial(engine.encode, some), chosen.times)
        told = {
            "hardware": hardware(engine),
            "published epochs a wall second": 1 / base[0],
            "epochs a wall second": len(some) / ours[0],
            "ratio by the clock": base[0] * len(some) / ours[0],
            "ratio by CPU seconds": base[1] * len(some) / ours[1],
        }
        print(json.dumps(told, indent=1), flush=True)


if __name__ == "__main__":
    main()
