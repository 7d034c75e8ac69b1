"""One process of a run that `torchrun` starts: steps, run folder, stores."""

import sys
from pathlib import Path

from training.loop import train
from training.options import TrainOptions

if __name__ == "__main__":
    steps, out, *stores = sys.argv[1:]
    options = TrainOptions(
        tuple(map(Path, stores)),
        Path(out),
        preset="tiny",
        device="cpu",
        threads=1,
        batch_size=8,
        max_steps=int(steps),
        held_out=0.3,
        validation_epochs=8,
    )
    for _ in train(options):
        pass
