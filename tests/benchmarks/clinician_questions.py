"""Questions as clinicians ask them, put to simulated nights that the shipped model never saw.

    python tests/benchmarks/clinician_questions.py --nights 8 --first 920000

`tests/data/clinician_questions.tsv` has a question and the condition on the simulated truth under which an epoch
answers it, a line each, written by hand. Precision@10 is taken over the questions that ten epochs or more answer; what
chance would give is printed beside it.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from core.batch import StudyInput  # noqa: E402
from core.inference.bundle import load_bundle  # noqa: E402
from core.inference.engine import Engine  # noqa: E402
from core.inference.epoch_table import table_of_study  # noqa: E402
from core.inference.night import NightOptions as ReadOptions  # noqa: E402
from core.inference.search import Wishes, ask, hits_of  # noqa: E402
from core.inference.store import MemoryStore  # noqa: E402
from core.inference.tasks import Reading  # noqa: E402
from core.psg.simulate.night import NightOptions, simulate_night  # noqa: E402
from core.psg.simulate.write_edf import write_night  # noqa: E402

QUESTIONS = ROOT / "tests" / "data" / "clinician_questions.tsv"
POSITIONS = ("right", "left", "supine", "prone", "upright")
APNEAS = {"obstructive_apnea", "central_apnea", "mixed_apnea"}
BREATHING = APNEAS | {"hypopnea"}
TOP = 10
EPOCH = 30.0


def read_questions() -> list[tuple[str, str]]:
    """Question and condition of each line."""
    lines = QUESTIONS.read_text(encoding="utf-8").splitlines()
    return [(question, condition) for question, condition in (line.split("\t") for line in lines if line)]


def facts_of(truth: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a condition may name, of each epoch of a night."""
    count = len(truth["epochs"])
    facts = []
    slept = False
    for index, epoch in enumerate(truth["epochs"]):
        events = [event for event in truth["events"] if _touches(event, index)]
        eyes = [move for move in truth["eye_movements"] if _begins(move, index)]
        rapid = sum("rapid" in move["type"] or "saccade" in move["type"] for move in eyes)
        by_kind = {kind: [e["duration"] for e in events if e["type"] in kinds] for kind, kinds in _KINDS.items()}
        facts.append(
            {
                **{name: epoch[name] for name in _PLAIN},
                "position": POSITIONS[epoch["position"]],
                "events": {event["type"] for event in events},
                "apneas": APNEAS,
                "breathing": BREATHING,
                "spindles": sum(_begins(span, index) for span in truth["spindles"]),
                "slow_waves": sum(_begins(span, index) for span in truth["slow_waves"]),
                "rapid_eyes": rapid,
                "slow_eyes": sum("slow" in move["type"] for move in eyes),
                "slept_before": slept,
                "hours": index * EPOCH / 3600,
                "hours_left": (count - index) * EPOCH / 3600,
                "fraction": index / count,
                "third": 1 + 3 * index // count,
                "longest_apnea": max(by_kind["apnea"], default=0.0),
                "longest_hypopnea": max(by_kind["hypopnea"], default=0.0),
                "longest_arousal": max(by_kind["arousal"], default=0.0),
                "shortest_arousal": min(by_kind["arousal"], default=99.0),
                "n_breathing": len(by_kind["apnea"]) + len(by_kind["hypopnea"]),
                "bool": bool,
            }
        )
        slept |= epoch["stage"] != "W"
    return facts


_PLAIN = ("stage", "heart_rate", "heart_rate_min", "heart_rate_max", "breath_rate", "spo2_mean", "spo2_min")
_KINDS = {"apnea": APNEAS, "hypopnea": {"hypopnea"}, "arousal": {"arousal"}}


def _touches(event: Mapping[str, Any], epoch: int) -> bool:
    return event["onset"] < (epoch + 1) * EPOCH and event["onset"] + event["duration"] > epoch * EPOCH


def _begins(span: Mapping[str, Any], epoch: int) -> bool:
    return bool(epoch * EPOCH <= span["onset"] < (epoch + 1) * EPOCH)


def holds(condition: str, facts: Mapping[str, Any]) -> bool:
    """Whether an epoch answers a question; the conditions are this repository's own file."""
    return bool(eval(condition, {"__builtins__": {}}, dict(facts)))


def report(rows: Sequence[tuple[str, float, float]], asked: int) -> None:
    """Print the figures and the worst questions."""
    precision = np.array([row[1] for row in rows])
    rng = np.random.default_rng(0)
    low, high = np.percentile(rng.choice(precision, (2000, len(precision))).mean(axis=1), [2.5, 97.5])
    print(f"{len(rows)} of {asked} questions are answered by {TOP} epochs or more")
    by_chance = np.mean([row[2] for row in rows])
    print(f"precision@{TOP}: {precision.mean():.3f} ({low:.3f} to {high:.3f}); by chance {by_chance:.3f}")
    for question, got, chance in sorted(rows, key=lambda row: row[1])[:25]:
        print(f"  {got:.1f} (chance {chance:.2f})  {question}")


def main() -> None:
    """Simulate and read the nights, ask every question."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nights", type=int, default=8)
    parser.add_argument("--first", type=int, default=920000)
    parser.add_argument("--model", default="nano")
    options = parser.parse_args()
    engine = Engine(load_bundle(options.model), "cpu")
    tables, facts = [], {}
    for seed in range(options.first, options.first + options.nights):
        with tempfile.TemporaryDirectory() as folder:
            path = write_night(simulate_night(seed, NightOptions()), Path(folder), f"night{seed}")
            study = Reading(look_for_scoring=False).open(StudyInput(path, path.stem))
            tables.append(table_of_study(study, engine, ReadOptions(("stage_event",), use_scoring=False)))
            truth = json.loads(path.with_name(f"{path.stem}.truth.json").read_text(encoding="utf-8"))
        facts[path.stem] = facts_of(truth)
    store = MemoryStore(tables)
    rows = []
    questions = read_questions()
    for question, condition in questions:
        right = {name: [holds(condition, epoch) for epoch in night] for name, night in facts.items()}
        total = sum(map(sum, right.values()))
        if total < TOP:
            continue
        hits = hits_of(ask(question, store, engine, Wishes(TOP)), store)
        good = sum(right[hit.study][hit.epoch] for hit in hits)
        rows.append((question, good / TOP, total / sum(map(len, right.values()))))
    report(rows, len(questions))


if __name__ == "__main__":
    main()
