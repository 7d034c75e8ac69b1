"""How a library answers as it grows: build time, warm and filtered queries, recall against an exact search.

    python tests/benchmarks/library_scale.py [--rows 10000 100000 1000000] [--folder DIR]

Rows are made, not measured: embeddings around clusters as epochs of like nights lie, stages, saturations and
positions with the shares of a sleep lab, words of the captions. Targets at a million epochs on two cores: a warm query
in 30 ms, a filtered one in 150 ms, recall@10 of 0.95. Memory is that of one chunk of rows, whatever the library's size.
"""

import argparse
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from core.inference.bundle import load_bundle
from core.inference.caption_words import asked_words, word_weights
from core.inference.engine import Engine
from core.inference.library import ORIGIN, WRITE, Library
from core.inference.library_store import LibraryStore
from core.inference.search import Wishes, ask, hits_of

CHUNK = 50_000
NIGHT = 1000  # epochs of a study
CLUSTERS = 400
SPREAD = 0.7  # length of the noise beside a cluster's unit vector
ASKED = 40
TARGETS = {"warm": 30.0, "filtered": 150.0, "recall": 0.95}
FILTER = "stage = 'R' AND spo2_min < 88.0"
QUESTIONS = (
    "loss of chin tone",
    "paradoxical breathing",
    "sleep spindles and slow waves",
    "tachycardia with irregular breathing",
    "quiet wakefulness with alpha rhythm",
)


def centres(dimensions: int) -> NDArray[np.float32]:
    """Unit vectors that the epochs lie around, [CLUSTERS, D]."""
    made = np.random.default_rng(0).standard_normal((CLUSTERS, dimensions)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def vectors(number: int, count: int, dimensions: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The embeddings of a chunk, [count, D], and their clusters."""
    rng = np.random.default_rng(1000 + number)
    cluster = rng.integers(CLUSTERS, size=count)
    noise = rng.standard_normal((count, dimensions)).astype(np.float32) * np.float32(SPREAD / dimensions**0.5)
    rows = centres(dimensions)[cluster] + noise
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), cluster


def chunk(number: int, count: int, schema: pa.Schema) -> pa.Table:
    """Rows of a chunk; what nobody asks for is null."""
    dimensions = schema.field("embedding").type.list_size
    embedded, cluster = vectors(number, count, dimensions)
    rng = np.random.default_rng(5000 + number)
    place = number * CHUNK + np.arange(count)
    vocabulary = sorted(word_weights())
    phrases = [" ".join(sorted(np.random.default_rng(c).choice(vocabulary, 25, False))) for c in range(CLUSTERS)]
    stages = np.array(["W", "N1", "N2", "N3", "R"])[rng.choice(5, count, p=(0.2, 0.08, 0.42, 0.13, 0.17))]
    positions = np.array(["supine", "left lateral", "right lateral"])[rng.integers(3, size=count)]
    known = {
        "study": [f"night{n:06d}" for n in place // NIGHT],
        "epoch": (place % NIGHT).astype(np.int32),
        "onset": (place % NIGHT * 30.0).astype(np.float32),
        "clock": [f"{(22 + n // 120) % 24:02d}:{n // 2 % 60:02d}:{n % 2 * 30:02d}" for n in place % NIGHT],
        "stage": stages,
        "position": positions,
        "spo2_min": np.round(100 - rng.gamma(2.0, 2.5, count), 1).astype(np.float32),
        "heart_rate_mean": np.round(rng.normal(62, 9, count)).astype(np.float32),
        "caption_stage_event": [f"The stage is {stage}. No events are present." for stage in stages],
        "words": [phrases[c] for c in cluster],
        "events": ["[]"] * count,
        "embedding": pa.FixedSizeListArray.from_arrays(pa.array(embedded.ravel()), dimensions),
        WRITE: ["w"] * count,
        ORIGIN: ["o"] * count,
    }
    arrays = [
        known["embedding"] if field.name == "embedding"
        else pa.array(known[field.name], field.type) if field.name in known
        else pa.nulls(count, field.type)
        for field in schema
    ]  # fmt: skip
    return pa.Table.from_arrays(arrays, schema=schema)


def chunks(rows: int) -> Iterator[tuple[int, int]]:
    """Numbers and sizes of the chunks of a library."""
    for number in range(-(-rows // CHUNK)):
        yield number, min(CHUNK, rows - number * CHUNK)


def exact(asked: NDArray[np.float32], rows: int) -> list[set[int]]:
    """The ten nearest rows of each question, by an exact search over chunks made anew."""
    scores = np.full((len(asked), 0), 0.0, np.float32)
    places = np.zeros((len(asked), 0), np.int64)
    for number, count in chunks(rows):
        found = asked @ vectors(number, count, asked.shape[1])[0].T
        scores = np.concatenate([scores, found], axis=1)
        places = np.concatenate([places, np.tile(number * CHUNK + np.arange(count), (len(asked), 1))], axis=1)
        best = np.argsort(-scores, axis=1)[:, :10]
        scores, places = np.take_along_axis(scores, best, 1), np.take_along_axis(places, best, 1)
    return [set(row.tolist()) for row in places]


def milliseconds(work: Callable[[int], object], times: int = ASKED) -> tuple[float, float, float]:
    """Median and 95th percentile of the wall clock, and the mean CPU time, of a call, warm."""
    for number in range(5):
        work(number)
    taken = []
    cpu = time.process_time()
    for number in range(times):
        start = time.perf_counter()
        work(number)
        taken.append(1000 * (time.perf_counter() - start))
    spent = 1000 * (time.process_time() - cpu) / times
    return statistics.median(taken), sorted(taken)[round(0.95 * (times - 1))], spent


def measure(rows: int, folder: Path, engine: Engine) -> dict[str, float]:
    """Build a library of so many rows and ask it."""
    library = Library(str(folder / f"rows{rows}"), engine.bundle, create=True)
    start = time.perf_counter()
    for number, count in chunks(rows):
        library.epochs.add(chunk(number, count, library.epochs.schema))
    added = time.perf_counter() - start
    start, cpu = time.perf_counter(), time.process_time()
    library.build_indexes()
    built, built_cpu = time.perf_counter() - start, time.process_time() - cpu
    store = LibraryStore(library)
    dimensions = library.dimensions
    rng = np.random.default_rng(77)
    asked = vectors(0, CHUNK if rows >= CHUNK else rows, dimensions)[0][:: max(1, min(rows, CHUNK) // ASKED)][:ASKED]
    asked = asked + rng.standard_normal(asked.shape).astype(np.float32) * np.float32(0.3 / dimensions**0.5)
    asked /= np.linalg.norm(asked, axis=1, keepdims=True)
    truth = exact(asked, rows)
    found = [[row.place for row in store.nearest(vector, "", 10)] for vector in asked]
    places = [{int(study[5:]) * NIGHT + epoch for study, epoch in row} for row in found]
    words = [asked_words(question) for question in QUESTIONS]
    figures = {
        "rows": float(rows),
        "add s": added,
        "index s": built,
        "index CPU s": built_cpu,
        "disk MB": sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6,
        "recall@10": float(np.mean([len(a & b) / 10 for a, b in zip(truth, places, strict=True)])),
    }
    timed: dict[str, Callable[[int], object]] = {
        "warm": lambda n: store.nearest(asked[n % len(asked)], "", 10),
        "filtered": lambda n: store.nearest(asked[n % len(asked)], FILTER, 10),
        "words": lambda n: store.saying(words[n % len(words)], "", 100),
        "question": lambda n: hits_of(ask(QUESTIONS[n % len(QUESTIONS)], store, engine), store),
        "question, filtered": lambda n: hits_of(ask(_filtered(n), store, engine, Wishes()), store),
        "count": lambda n: store.count(FILTER),
    }
    for name, work in timed.items():
        median, worst, spent = milliseconds(work)
        figures |= {f"{name} ms": median, f"{name} p95 ms": worst, f"{name} CPU ms": spent}
    figures["memory MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return figures


def _filtered(number: int) -> str:
    return f"REM sleep with SpO2 below 88 % and {QUESTIONS[number % len(QUESTIONS)]}"


def main() -> None:
    """Print a column a size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    engine = Engine(load_bundle("nano"), "cpu", threads=2)
    columns = []
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for rows in options.rows:
            place = Path(folder) / str(rows)
            place.mkdir()
            columns.append(measure(rows, place, engine))
            for name, value in columns[-1].items():
                print(f"{name:24s} {value:12.3f}", flush=True)
            print(flush=True)
    print("| | " + " | ".join(f"{figures['rows']:,.0f}" for figures in columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for name in list(columns[0])[1:]:
        print(f"| {name} | " + " | ".join(f"{figures[name]:.4g}" for figures in columns) + " |")
    last = columns[-1]
    print(f"\nTargets at 1,000,000: warm {TARGETS['warm']:g} ms, filtered {TARGETS['filtered']:g} ms, "
          f"recall {TARGETS['recall']:g}; measured {last['warm ms']:.1f} ms, {last['filtered ms']:.1f} ms, "
          f"{last['recall@10']:.3f}.")  # fmt: skip


if __name__ == "__main__":
    main()
