"""One process of a run that `torchrun` starts: steps, `spread` or `whole` weights, run folder, stores."""

import sys
from pathlib import Path

from training.loop import train
from training.options import TrainOptions

if __name__ == "__main__":
    steps, weights, out, *stores = sys.argv[1:]
    options = TrainOptions(
        tuple(map(Path, stores)),
        Path(out),
        preset="tiny",
        device="cpu",
        sharded=weights == "spread",
        threads=1,
        batch_size=8,
        max_steps=int(steps),
        held_out=0.3,
        validation_epochs=8,
    )
    for _ in train(options):
        pass
