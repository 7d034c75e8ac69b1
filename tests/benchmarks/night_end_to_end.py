"""Whole programs from EDF to files: seconds, CPU seconds and memory of `caption` and `stage`, start-up included.

    python tests/benchmarks/night_end_to_end.py --hours 8
    python tests/benchmarks/night_end_to_end.py night.edf --device cuda --model models/sleeplm-base
    python tests/benchmarks/night_end_to_end.py --memory 8 72

`--memory` shows what the model's part holds for nights of several lengths: signals come from a file, epoch by epoch.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROGRAM = (sys.executable, "-c", "from sleepcli.app import app; app()")
MODEL_PART = """
import json, resource, sys
import numpy as np
from core.inference.bundle import load_bundle
from core.inference.decoding import greedy
from core.inference.engine import Engine
count = len(np.load(sys.argv[1], mmap_mode="r"))
engine = Engine(load_bundle(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
for first in range(0, count, engine.batch):  # opened anew each time: pages of the file that were read count as held
    some = np.array(np.load(sys.argv[1], mmap_mode="r")[first : first + engine.batch])
    tokens = engine.encode(some)[1]
    greedy(engine, tokens, np.arange(5).repeat(len(some)), epochs=np.tile(np.arange(len(some)), 5))
print(json.dumps({"epochs": count, "peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""


def measured(*words: str) -> dict[str, float]:
    """Run a program and give its seconds, CPU seconds and peak memory in MB."""
    clock = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(words)} ended with {status}")
    return {
        "seconds": round(time.perf_counter() - clock, 2),
        "CPU seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "peak MB": round(usage.ru_maxrss / 1024, 1),
    }


def memory(hours: list[float], model: str, device: str, batch: int) -> None:
    """Print the peak memory of encoding and captioning nights of several lengths."""
    import numpy as np

    from core.inference.bundle import load_bundle

    channels = len(load_bundle(model).channels)
    with tempfile.TemporaryDirectory() as folder:
        for length in hours:
            path = Path(folder) / "signals.npy"
            generator, shape = np.random.default_rng(0), (round(120 * length), channels, 1920)
            with path.open("wb") as stream:  # not mapped: a child's peak begins with what its parent holds
                header = {"descr": "<f4", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(stream, header)
                for _ in range(shape[0]):
                    stream.write(generator.standard_normal(shape[1:], dtype=np.float32).tobytes())
            subprocess.run((sys.executable, "-c", MODEL_PART, str(path), model, device, str(batch)), check=True)


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path, nargs="?")
    parser.add_argument("--hours", type=float, default=8.0)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=0)
    parser.add_argument("--memory", type=float, nargs="+", metavar="HOURS")
    chosen = parser.parse_args()
    if chosen.memory:
        memory(chosen.memory, chosen.model, chosen.device, chosen.batch)
        return
    with tempfile.TemporaryDirectory() as folder:
        study = chosen.study
        if study is None:
            made = (*PROGRAM, "simulate", "--out", folder, "--count", "1", "--seed", "1", "--hours", str(chosen.hours))
            measured(*made)
            study = next(Path(folder).glob("*.edf"))
        shared = ("--model", chosen.model, "--device", chosen.device, "--no-scoring")
        for name in ("stage", "caption"):
            words = (*PROGRAM, name, str(study), *shared, "--out", f"{folder}/{name}")
            figures = measured(*words)
            print(json.dumps({"command": f"sleepcli {name}", "load": os.getloadavg()[0], **figures}), flush=True)
    print(json.dumps({"children's peak MB": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024}))


if __name__ == "__main__":
    main()
