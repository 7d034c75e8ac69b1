"""Questions as clinicians ask them, put to simulated nights that the shipped model never saw.

    python tests/benchmarks/clinician_questions.py --nights 8 --first 920000

`tests/data/clinician_questions.tsv` has a question and the condition on the simulated truth under which an epoch
answers it, a line each, written by hand: the questions that the figure is told of. Its sister
`clinician_questions_dev.tsv`, with a third column for the kind of question, is the one that the grammar of questions
was developed on. Precision@10 is taken over the questions that ten epochs or more answer; what chance would give is
printed beside it. Nights that are simulated and indexed already are asked with

    sleepcli simulate --out nights --count 6 --seed 970000
    sleepcli index nights/*.edf --library lab --no-scoring
    python tests/benchmarks/clinician_questions.py --folder nights --library lab
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from core.batch import StudyInput  # noqa: E402
from core.inference.bundle import load_bundle  # noqa: E402
from core.inference.engine import Engine  # noqa: E402
from core.inference.epoch_table import table_of_study  # noqa: E402
from core.inference.library import Library  # noqa: E402
from core.inference.library_store import LibraryStore  # noqa: E402
from core.inference.night import NightOptions as ReadOptions  # noqa: E402
from core.inference.search import Wishes, ask, hits_of  # noqa: E402
from core.inference.store import MemoryStore, Store  # noqa: E402
from core.inference.tasks import Reading  # noqa: E402
from core.psg.simulate.night import NightOptions, simulate_night  # noqa: E402
from core.psg.simulate.write_edf import write_night  # noqa: E402

QUESTIONS = ROOT / "tests" / "data" / "clinician_questions.tsv"
POSITIONS = ("right", "left", "supine", "prone", "upright")
APNEAS = {"obstructive_apnea", "central_apnea", "mixed_apnea"}
BREATHING = APNEAS | {"hypopnea"}
TOP = 10
EPOCH = 30.0


def read_questions(file: Path = QUESTIONS) -> list[tuple[str, str, str]]:
    """Question, condition and kind of each line."""
    lines = file.read_text(encoding="utf-8").splitlines()
    cells = (line.split("\t") for line in lines if line)
    return [(row[0], row[1], row[2] if len(row) > 2 else "") for row in cells]


def facts_of(truth: Mapping[str, Any], start: datetime) -> list[dict[str, Any]]:
    """What a condition may name, of each epoch of a night."""
    count = len(truth["epochs"])
    facts = []
    slept = False
    for index, epoch in enumerate(truth["epochs"]):
        events = [event for event in truth["events"] if _touches(event, index)]
        eyes = [move for move in truth["eye_movements"] if _begins(move, index)]
        rapid = sum("rapid" in move["type"] or "saccade" in move["type"] for move in eyes)
        by_kind = {kind: [e["duration"] for e in events if e["type"] in kinds] for kind, kinds in _KINDS.items()}
        longest = {f"longest_{kind}": max(long, default=0.0) for kind, long in by_kind.items()}
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
                "blinks": sum("blink" in move["type"] for move in eyes),
                "k_complexes": sum(_begins(span, index) for span in truth["k_complexes"]),
                "slept_before": slept,
                "hours": index * EPOCH / 3600,
                "hours_left": (count - index) * EPOCH / 3600,
                "fraction": index / count,
                "third": 1 + 3 * index // count,
                **longest,
                "shortest_arousal": min(by_kind["arousal"], default=99.0),
                "n_breathing": len(by_kind["apnea"]) + len(by_kind["hypopnea"]),
                "n_apnea": len(by_kind["apnea"]),
                "any_obstructive_15_30": any(15 <= long <= 30 for long in by_kind["obstructive"]),
                "hour": (start.hour + start.minute / 60 + start.second / 3600 + index * EPOCH / 3600) % 24,
                "bool": bool,
            }
        )
        slept |= epoch["stage"] != "W"
    return facts


_PLAIN = ("stage", "heart_rate", "heart_rate_min", "heart_rate_max", "breath_rate", "spo2_mean", "spo2_min")
_KINDS = {
    **{"apnea": APNEAS, "hypopnea": {"hypopnea"}, "arousal": {"arousal"}, "central": {"central_apnea"}},
    **{"obstructive": {"obstructive_apnea"}, "desaturation": {"desaturation"}},
}


def _touches(event: Mapping[str, Any], epoch: int) -> bool:
    return event["onset"] < (epoch + 1) * EPOCH and event["onset"] + event["duration"] > epoch * EPOCH


def _begins(span: Mapping[str, Any], epoch: int) -> bool:
    return bool(epoch * EPOCH <= span["onset"] < (epoch + 1) * EPOCH)


def holds(condition: str, facts: Mapping[str, Any]) -> bool:
    """Whether an epoch answers a question; the conditions are this repository's own file."""
    return bool(eval(condition, {"__builtins__": {}}, dict(facts)))


@dataclass(frozen=True)
class Asked:
    """What became of a question."""

    question: str
    kind: str
    precision: float
    """Share of the first ten hits that are right; of fewer hits, the missing ones count as wrong."""
    chance: float
    """Share of all epochs that answer."""
    rest: str
    """What was not understood as a condition."""


def report(rows: Sequence[Asked], asked: int, worst: int) -> None:
    """Print the figures, by kind of question too, and the worst questions."""
    print(f"{len(rows)} of {asked} questions are answered by {TOP} epochs or more")
    print(f"precision@{TOP}: {interval(rows)}; by chance {np.mean([row.chance for row in rows]):.3f}")
    whole = [row for row in rows if not row.rest]
    print(f"understood whole {len(whole)}: {interval(whole)}")
    for kind in sorted({row.kind for row in rows} - {""}):
        some = [row for row in rows if row.kind == kind]
        print(f"  {kind} {len(some)}: {interval(some)}")
    for row in sorted(rows, key=lambda row: row.precision)[:worst]:
        print(f"  {row.precision:.1f} (chance {row.chance:.2f})  {row.question}")


def interval(rows: Sequence[Asked]) -> str:
    """Mean precision and its 95 % bootstrap interval over the questions."""
    if not rows:
        return "none"
    precision = np.array([row.precision for row in rows])
    rng = np.random.default_rng(0)
    low, high = np.percentile(rng.choice(precision, (2000, len(precision))).mean(axis=1), [2.5, 97.5])
    return f"{precision.mean():.3f} ({low:.3f} to {high:.3f})"


def simulated(first: int, nights: int, engine: Engine) -> tuple[Store, dict[str, Any]]:
    """Simulate and read nights: the store that is asked, and the truth by study."""
    tables, truths = [], {}
    for seed in range(first, first + nights):
        with tempfile.TemporaryDirectory() as folder:
            path = write_night(simulate_night(seed, NightOptions()), Path(folder), f"night{seed}")
            study = Reading(look_for_scoring=False).open(StudyInput(path, path.stem))
            tables.append(table_of_study(study, engine, ReadOptions(("stage_event",), use_scoring=False)))
            truths[path.stem] = json.loads(path.with_name(f"{path.stem}.truth.json").read_text(encoding="utf-8"))
    return MemoryStore(tables), truths


def main() -> None:
    """Simulate and read the nights, ask every question."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nights", type=int, default=8)
    parser.add_argument("--first", type=int, default=920000)
    parser.add_argument("--folder", type=Path, help="nights that are simulated already")
    parser.add_argument("--library", help="library that they are indexed in")
    parser.add_argument("--questions", type=Path, default=QUESTIONS)
    parser.add_argument("--worst", type=int, default=25, help="how many of the worst questions to list")
    parser.add_argument("--model", default="nano")
    options = parser.parse_args()
    engine = Engine(load_bundle(options.model), "cpu")
    if options.folder:
        store: Store = LibraryStore(Library(options.library, engine.bundle))
        texts = {path.name: path.read_text(encoding="utf-8") for path in options.folder.glob("*.truth.json")}
        truths = {name.removesuffix(".truth.json"): json.loads(text) for name, text in sorted(texts.items())}
    else:
        store, truths = simulated(options.first, options.nights, engine)
    starts = {row["study"]: datetime.fromisoformat(row["start"]) for row in store.studies()}
    facts = {name: facts_of(truth, starts[name]) for name, truth in truths.items()}
    rows = []
    questions = read_questions(options.questions)
    for question, condition, kind in questions:
        right = {name: [holds(condition, epoch) for epoch in night] for name, night in facts.items()}
        total = sum(map(sum, right.values()))
        if total < TOP:
            continue
        asked = ask(question, store, engine, Wishes(TOP))
        good = sum(right[hit.study][hit.epoch] for hit in hits_of(asked, store))
        chance = total / sum(map(len, right.values()))
        rows.append(Asked(question, kind, good / TOP, chance, asked.question.rest))
    report(rows, len(questions), options.worst)


if __name__ == "__main__":
    main()
