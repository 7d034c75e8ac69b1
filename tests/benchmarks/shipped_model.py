"""The figures of the model card: the shipped model on simulated subjects that it never saw.

    python tests/benchmarks/shipped_model.py --nights 10 --first 900000

Each night is simulated, read without its truth, and compared with it. Intervals are 95 % bootstrap over nights.
"""

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from core.batch import StudyInput  # noqa: E402
from core.inference.bundle import load_bundle  # noqa: E402
from core.inference.engine import Engine  # noqa: E402
from core.inference.figures import stage_indices, staging_figures  # noqa: E402
from core.inference.night import Night, NightOptions, read_night  # noqa: E402
from core.inference.search import index_night, search  # noqa: E402
from core.inference.tasks import Reading  # noqa: E402
from core.language.read_back import read_back  # noqa: E402
from core.psg.scoring import STAGES, Event, Scoring, read_scoring  # noqa: E402
from core.psg.simulate.night import NightOptions as NightWishes  # noqa: E402
from core.psg.simulate.night import simulate_night  # noqa: E402
from core.psg.simulate.write_edf import write_night  # noqa: E402

APNEAS = ("obstructive_apnea", "central_apnea", "mixed_apnea", "hypopnea")
OVERLAP = 0.3
"""Intersection over union above which two events are the same one."""
KINDS = {"apneas and hypopneas": APNEAS, "arousal": ("arousal",), "desaturation": ("desaturation",)}
QUESTIONS: dict[str, Callable[[str, set[str]], bool]] = {
    "the patient is awake": lambda stage, _: stage == "W",
    "slow-wave sleep": lambda stage, _: stage == "N3",
    "dreaming sleep": lambda stage, _: stage == "R",
    "drowsiness, light sleep": lambda stage, _: stage == "N1",
    "stable light sleep with spindles": lambda stage, _: stage == "N2",
    "an apnea or hypopnea": lambda _, events: bool(events & set(APNEAS)),
    "an arousal": lambda _, events: "arousal" in events,
    "a fall in oxygen saturation": lambda _, events: "desaturation" in events,
}
TOP = 10


def matches(truth: Sequence[Event], found: Sequence[Event]) -> int:
    """Count true events that a found one of the same group overlaps enough, each used once."""
    free = list(found)
    hits = 0
    for event in truth:
        best = max(free, key=lambda other: overlap(event, other), default=None)
        if best is not None and overlap(event, best) >= OVERLAP:
            free.remove(best)
            hits += 1
    return hits


def overlap(a: Event, b: Event) -> float:
    """Intersection over union of two events."""
    shared = min(a.onset + a.duration, b.onset + b.duration) - max(a.onset, b.onset)
    return max(shared, 0.0) / (a.duration + b.duration - max(shared, 0.0))


def interval(values: Sequence[float], rng: np.random.Generator) -> str:
    """Mean and 95 % bootstrap interval over nights."""
    array = np.array([value for value in values if np.isfinite(value)])
    draws = rng.choice(array, (2000, len(array))).mean(axis=1)
    low, high = np.percentile(draws, [2.5, 97.5])
    return f"{array.mean():.3f} ({low:.3f} to {high:.3f})"


def written_stages(night: Night, epochs: int) -> NDArray[np.int64]:
    """Give the stages that the decoder wrote, before anything was smoothed or settled."""
    texts = [night.drafts.get(epoch, {}).get("stage_event") for epoch in range(epochs)]
    stages = [read_back(draft.text, "stage_event").stage or "?" if draft is not None else "?" for draft in texts]
    return stage_indices(stages)


def ahi(scoring: Scoring, events: Sequence[Event]) -> float:
    """Apneas and hypopneas an hour of true sleep."""
    hours = sum(stage in STAGES[1:] for stage in scoring.stages) / 120
    return sum(event.type in APNEAS for event in events) / hours


def judge(seed: int, engine: Engine, folder: Path) -> dict[str, object]:
    """Simulate, read and compare one night."""
    path = write_night(simulate_night(seed, NightWishes()), folder, f"night{seed}")
    study = Reading(look_for_scoring=False).open(StudyInput(path, path.stem))
    night = read_night(study, engine, NightOptions(use_scoring=False))
    truth = read_scoring(path.with_name(f"{path.stem}.truth.json"), study.start, study.n_epochs)
    real = stage_indices(truth.stages)
    row: dict[str, object] = {
        "kappa": staging_figures(real, stage_indices(night.staging.stages)).kappa,
        "confusion": staging_figures(real, stage_indices(night.staging.stages)).confusion,
        "written_kappa": staging_figures(real, written_stages(night, study.n_epochs)).kappa,
        "ahi": (ahi(truth, truth.events), ahi(truth, night.events)),
    }
    for kind, types in KINDS.items():
        true, found = ([e for e in events if e.type in types] for events in (truth.events, night.events))
        row[kind] = Counter(true=len(true), found=len(found), hits=matches(true, found))
    index = [index_night(study, night)]
    for question, holds in QUESTIONS.items():
        true_epochs = [holds(truth.stages[epoch], types_in(truth, epoch)) for epoch in range(study.n_epochs)]
        hits = search(question, index, engine, TOP).hits
        right = np.mean([true_epochs[hit.epoch] for hit in hits]) if hits else float("nan")
        row[question] = (right if sum(true_epochs) >= TOP else float("nan"), np.mean(true_epochs))
    for file in folder.glob(f"{path.stem}.*"):
        file.unlink()
    return row


def types_in(scoring: Scoring, epoch: int) -> set[str]:
    """Types of the events that touch an epoch."""
    begin = 30.0 * epoch
    return {event.type for event in scoring.events if event.onset < begin + 30 and event.onset + event.duration > begin}


def main() -> None:
    """Judge the nights and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nights", type=int, default=10)
    parser.add_argument("--first", type=int, default=900000)
    parser.add_argument("--model", default="nano")
    options = parser.parse_args()
    bundle = load_bundle(options.model)
    engine = Engine(bundle, "cpu")
    with tempfile.TemporaryDirectory() as folder:
        seeds = range(options.first, options.first + options.nights)
        rows = [judge(seed, engine, Path(folder)) for seed in seeds]
    rng = np.random.default_rng(0)
    print(f"model {bundle.name} {bundle.content_hash[:12]}, {len(rows)} simulated nights from seed {options.first}")
    print(f"staging, Cohen's kappa              {interval([float(str(row['kappa'])) for row in rows], rng)}")
    written = [float(str(row["written_kappa"])) for row in rows]
    print(f"stage as the decoder writes it       {interval(written, rng)}")
    print("confusion, rows truth, columns W N1 N2 N3 R ?:")
    print(sum(np.asarray(row["confusion"]) for row in rows))
    for kind in KINDS:
        total: Counter[str] = sum((Counter(row[kind]) for row in rows), Counter())  # type: ignore[call-overload]
        precision, recall = total["hits"] / max(total["found"], 1), total["hits"] / max(total["true"], 1)
        f1 = 2 * precision * recall / max(precision + recall, 1e-9)
        scores = f"precision {precision:.2f}, recall {recall:.2f}, F1 {f1:.2f} at IoU {OVERLAP}"
        print(f"{kind}: {total['true']} true, {scores}")
    indices = np.array([row["ahi"] for row in rows], float).round(1)
    print("AHI true, found:", json.dumps(indices.tolist()))
    for question in QUESTIONS:
        pairs = np.array([row[question] for row in rows], float)
        print(f"precision@{TOP} “{question}”: {np.nanmean(pairs[:, 0]):.2f}, by chance {pairs[:, 1].mean():.2f}")


if __name__ == "__main__":
    main()
