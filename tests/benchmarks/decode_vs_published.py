"""Captions against the published way of writing them: tokens a second, same weights, same threads, in one run.

The published way, in plain PyTorch: one caption at a time and no cache; for each token the text tower reads the whole
padded context and the decoder the whole prefix. All sides are timed for single tokens at several lengths, turn by
turn, and integrated over a caption of 256 tokens; `--whole` lets the runtime write whole captions instead.

    python tests/benchmarks/decode_vs_published.py model_checkpoint.pt bundles/fp32 bundles/int8 --threads 2
    python tests/benchmarks/decode_vs_published.py model_checkpoint.pt bundles/fp32 --device cuda --rows 1280 --whole

A checkpoint of the published form with random weights does: `training.sleeplm.to_published` writes one.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from core.inference.bundle import load_bundle
from core.inference.decoding import DecodeOptions, greedy
from core.inference.engine import Engine
from core.inference.speed import hardware
from training.model import SleepLM
from training.sleeplm import from_published, read_checkpoint

LENGTHS = (1, 64, 128, 192, 255)
START = 49406


def seconds(work: Callable[[], object], times: int) -> tuple[float, float]:
    """Give the least seconds by the clock and of the processor."""
    found = []
    for _ in range(times):
        clock, cpu = time.perf_counter(), time.process_time()
        work()
        found.append((time.perf_counter() - clock, time.process_time() - cpu))
    return min(wall for wall, _ in found), min(cpu for _, cpu in found)


@torch.no_grad()
def published_token(model: SleepLM, tokens: torch.Tensor, length: int) -> torch.Tensor:
    """Score what follows `length` tokens of one caption."""
    ids = torch.full((1, model.config.context_length), 0)
    ids[0, :length] = torch.arange(length) + 1000
    rows = model.encode_text(ids)[1][:, :length]
    return model.decode(rows, tokens, torch.tensor([0]))[:, -1].argmax(dim=-1)


def our_token(engine: Engine, tokens: np.ndarray, rows: int, length: int) -> Callable[[], object]:
    """Prepare one token of each of many captions that are `length` tokens long, no two of them alike."""
    state = engine.decoder.start(tokens, np.arange(rows) % len(tokens), np.arange(rows) % 5, length)
    generator = np.random.default_rng(0)
    ids = np.arange(1000, 1000 + rows)[:, None]
    engine.decoder.step(state, ids, np.zeros(rows, np.int64))  # from here on, none shares its text with another
    for name, value in state.caches.items():
        if not name.startswith("cross"):
            cache = value.numpy()
            cache[:] = generator.standard_normal(cache.shape, np.float32) * (1 if cache.dtype == np.float32 else 32)
    return lambda: engine.decoder.step(state, ids, np.full(rows, length - 1))


def whole(engine: Engine, tokens: np.ndarray, rows: int) -> tuple[float, float]:
    """Write whole captions of the longest length; give seconds a token."""
    longest = engine.bundle.context_length
    options = DecodeOptions(min_tokens=longest + 1, rows=rows, drafts=False)
    written: list[int] = []

    def work() -> None:
        texts = greedy(engine, tokens, np.arange(rows) % 5, options, np.arange(rows) % len(tokens))
        written.append(sum(len(text.ids) for text in texts))

    wall, cpu = seconds(work, 1)
    return wall / written[0], cpu / written[0]


def engine_of(path: Path, device: str, threads: int, vocabulary: int) -> Engine:
    """Open a bundle; random weights come without words."""
    bundle = load_bundle(path)
    if bundle.tokenizer is not None:
        return Engine(bundle, device, threads=threads)
    engine = Engine(replace(bundle, tokenizer=bundle.graphs["decoder_step"]), device, threads=threads)  # never read
    named = SimpleNamespace(start_id=START, end_id=vocabulary - 1, vocab_size=vocabulary)
    engine._tokenizer = named  # type: ignore[assignment]
    return engine


def caption_mean(lengths: Sequence[int], found: list[tuple[float, float]]) -> tuple[float, float]:
    """Give the mean over a caption of 256 tokens of seconds by the clock and of the processor."""
    wall, cpu = (float(np.interp(np.arange(1, 257), lengths, column).mean()) for column in zip(*found, strict=True))
    return wall, cpu


def main() -> None:
    """Measure and print a JSON object a bundle."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("bundles", type=Path, nargs="+")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rows", type=int, default=0, help="captions at a time; 0: as the engine chooses")
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS)
    parser.add_argument("--whole", action="store_true")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    model = from_published(read_checkpoint(chosen.checkpoint)).eval()
    tokens = torch.randn(1, model.config.decoder_tokens, model.config.width, generator=torch.Generator().manual_seed(0))
    loaded = [engine_of(path, chosen.device, chosen.threads, model.config.vocab_size) for path in chosen.bundles]
    batches = [chosen.rows or engine.rows for engine in loaded]
    some = [
        np.random.default_rng(0).standard_normal((-(-rows // 5), *tokens.shape[1:])).astype(np.float32)
        for rows in batches
    ]
    base: list[tuple[float, float]] = []
    each: list[list[tuple[float, float]]] = [[] for _ in loaded]
    for length in chosen.lengths:  # machines change their speed: all sides take turns
        steps = [
            our_token(engine, given, rows, length) for engine, given, rows in zip(loaded, some, batches, strict=True)
        ]
        turns = [
            [seconds(work, 1) for work in (partial(published_token, model, tokens, length), *steps)]
            for _ in range(chosen.times)
        ]
        least = [(min(wall for wall, _ in side), min(cpu for _, cpu in side)) for side in zip(*turns, strict=True)]
        base.append(least[0])
        for found, one in zip(each, least[1:], strict=True):
            found.append(one)
    print(json.dumps({"published, s a token at each length": dict(zip(chosen.lengths, base, strict=True))}), flush=True)
    mean = caption_mean(chosen.lengths, base)
    for engine, rows, given, found in zip(loaded, batches, some, each, strict=True):
        steps_told = dict(zip(chosen.lengths, found, strict=True))
        print(json.dumps({f"{engine.bundle.folder.name}, s a step at each length": steps_told}))
        if chosen.whole:
            ours = whole(engine, given, rows)
        else:
            ours = tuple(one / rows for one in caption_mean(chosen.lengths, found))
        told = {
            "hardware": hardware(engine),
            "bundle": engine.bundle.folder.name,
            "captions at a time": rows,
            "published tokens a wall second": 1 / mean[0],
            "tokens a wall second": 1 / ours[0],
            "ratio by the clock": mean[0] / ours[0],
            "ratio by CPU seconds": mean[1] / ours[1],
        }
        print(json.dumps(told, indent=1), flush=True)


if __name__ == "__main__":
    main()
