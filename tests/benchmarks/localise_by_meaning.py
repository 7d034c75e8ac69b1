"""Whether an embedding tells which seconds of an epoch a question means: it does not, so no such span is given.

    python tests/benchmarks/localise_by_meaning.py NIGHTS [--model nano] [--hits 5]

NIGHTS is a folder that `sleepcli simulate` made. Of the epochs that hold what is asked for during 20 s at most, those
that answer best are searched for it in three ways, each giving a figure a second:

- windows: the 30 s around, a window that slides over the epoch and its neighbours, and what each second adds to it;
- repeated: six seconds repeated until they fill an epoch;
- hidden: what the score loses when six seconds are blanked.

A span is what lies above the middle between the highest and the median second. Printed: the mean intersection over
union of span and truth for each way, for the whole epoch and for its middle ten seconds, and the mean share of pairs of
a second inside and one outside the truth that a way ranks right (0.5 is chance).
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from core.inference.bundle import load_bundle
from core.inference.engine import Engine
from core.inference.ranking import auroc
from core.inference.studies import StudyOptions, open_study
from core.psg.preprocess import EPOCH_SECONDS
from core.psg.store import PreparedStudy

ASKED = {
    "obstructive apnea": ("events", "obstructive_apnea"),
    "hypopnea": ("events", "hypopnea"),
    "arousal": ("events", "arousal"),
    "sleep spindles": ("spindles", "spindle"),
    "rapid eye movements": ("eye_movements", "saccade"),
    "sawtooth waves": ("sawtooth_waves", "sawtooth_waves"),
    "movement artefact": ("artefacts", "movement"),
}
LONGEST = 20
"""Seconds of an epoch that may be what is asked for; beyond, the whole epoch is a fair answer."""
PIECE, STEP, RATE = 6, 2, 64
SMOOTH = 0.003
"""Weight of the differences between neighbouring seconds in `by_windows`."""

Score = Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float64]]
"""Gives the cosines, [n], of epochs [n, C, 1920] whose channels [C] are usable."""
Place = tuple[NDArray[np.float32], NDArray[np.float32], int]
"""Epochs of a night, what is usable of them, and the one that is looked into."""


def by_windows(place: Place, score: Score) -> NDArray[np.float64]:
    """What each second adds to the windows that hold it."""
    signals, present, epoch = place
    rows = slice(epoch - 1, epoch + 2)
    long = np.concatenate(list(signals[rows]), axis=-1)
    onsets = np.arange(0, 2 * EPOCH_SECONDS + 1, 3)
    width = EPOCH_SECONDS * RATE
    found = score(np.stack([long[:, a * RATE : a * RATE + width] for a in onsets]), present[rows].min(axis=0))
    seconds = np.arange(3 * EPOCH_SECONDS)
    holds = ((seconds >= onsets[:, None]) & (seconds < onsets[:, None] + EPOCH_SECONDS)) / EPOCH_SECONDS
    steps = np.diff(np.eye(len(seconds)), axis=0)
    matrix = holds.T @ holds + SMOOTH * steps.T @ steps + 1e-5 * np.eye(len(seconds))
    return np.asarray(np.linalg.solve(matrix, holds.T @ (found - found.mean())))[EPOCH_SECONDS : 2 * EPOCH_SECONDS]


def by_pieces(place: Place, score: Score, made: Callable[[NDArray[np.float32], int], Any]) -> NDArray[np.float64]:
    """The mean score of the epochs that pieces are made into, over the pieces that hold a second."""
    signals, present, epoch = place
    onsets = np.arange(0, EPOCH_SECONDS - PIECE + 1, STEP)
    found = score(np.stack([made(signals[epoch], int(onset)) for onset in onsets]), present[epoch])
    total, count = np.zeros(EPOCH_SECONDS), np.zeros(EPOCH_SECONDS)
    for onset, value in zip(onsets, found, strict=True):
        total[onset : onset + PIECE] += value
        count[onset : onset + PIECE] += 1
    return total / count


def repeated(epoch: NDArray[np.float32], onset: int) -> NDArray[np.float32]:
    """An epoch that is one piece again and again."""
    return np.tile(epoch[:, onset * RATE : (onset + PIECE) * RATE], (1, EPOCH_SECONDS // PIECE))


def hidden(epoch: NDArray[np.float32], onset: int) -> NDArray[np.float32]:
    """An epoch with one piece blanked."""
    blanked = epoch.copy()
    blanked[:, onset * RATE : (onset + PIECE) * RATE] = 0.0
    return blanked


def span(course: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The seconds around the highest one that lie nearer to it than to the median."""
    above = course > (course.max() + np.median(course)) / 2
    top = int(course.argmax())
    below = np.flatnonzero(~above)
    first = max(below[below < top], default=-1) + 1
    end = min(below[below > top], default=EPOCH_SECONDS)
    return (np.arange(EPOCH_SECONDS) >= first) & (np.arange(EPOCH_SECONDS) < max(end, top + 1))


def truth_of(rows: list[Mapping[str, Any]], kind: str, n_epochs: int) -> NDArray[np.bool_]:
    """Which seconds, [N, 30], hold what is asked for."""
    grid = np.zeros(n_epochs * EPOCH_SECONDS, np.bool_)
    for row in rows:
        if row["type"] == kind:
            first = round(row["onset"])
            grid[first : max(first + 1, round(row["onset"] + row["duration"]))] = True
    return grid.reshape(n_epochs, EPOCH_SECONDS)


def judge(
    study: PreparedStudy, truth: Mapping[str, Any], engine: Engine, hits: int
) -> dict[str, list[dict[str, float]]]:
    """Figures of every hit of every question in one night."""
    channels = engine.bundle.channels
    signals, present = study.stack(channels), study.present(channels)
    found: dict[str, list[dict[str, float]]] = {question: [] for question in ASKED}
    for question, (table, kind) in ASKED.items():
        wanted = engine.embed_texts([question])[0].astype(np.float64)

        def score(epochs: NDArray[np.float32], usable: NDArray[np.float32], to: Any = wanted) -> NDArray[np.float64]:
            rows = np.repeat(usable[None], len(epochs), 0) if usable.ndim == 1 else usable
            return np.asarray(engine.encode(epochs.astype(np.float32), rows)[0] @ to, np.float64)

        seconds = truth_of(truth[table], kind, study.n_epochs)
        held = np.flatnonzero((seconds.sum(axis=1) > 0) & (seconds.sum(axis=1) <= LONGEST))
        held = held[(held > 0) & (held < study.n_epochs - 1)]
        if not len(held):
            continue
        order = np.argsort(-score(signals[held], present[held]), kind="stable")
        for epoch in held[order][:hits].tolist():
            found[question].append(_figures((signals, present, epoch), score, seconds[epoch]))
    return found


def _figures(place: Place, score: Score, true: NDArray[np.bool_]) -> dict[str, float]:
    ways = {
        "windows": by_windows(place, score),
        "repeated": by_pieces(place, score, repeated),
        "hidden": -by_pieces(place, score, hidden),
    }
    middle = (np.arange(EPOCH_SECONDS) >= 10) & (np.arange(EPOCH_SECONDS) < 20)
    spans = {"whole": np.ones(EPOCH_SECONDS, np.bool_), "middle": middle} | {name: span(c) for name, c in ways.items()}
    figures = {name: float((found & true).sum() / (found | true).sum()) for name, found in spans.items()}
    return figures | {f"{name} pairs": auroc(course, true) for name, course in ways.items()}


def main() -> None:
    """Print a row a question."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nights", type=Path)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--hits", type=int, default=5)
    options = parser.parse_args()
    engine = Engine(load_bundle(options.model), "cpu", threads=1)
    rows: dict[str, list[dict[str, float]]] = {question: [] for question in ASKED}
    for edf in sorted(options.nights.glob("*.edf")):
        wishes = StudyOptions(look_for_scoring=False, measured=False, channels=engine.bundle.channels)
        truth = json.loads(edf.with_suffix(".truth.json").read_text(encoding="utf-8"))
        for question, figures in judge(open_study(edf, wishes), truth, engine, options.hits).items():
            rows[question] += figures
    names = next(list(figures[0]) for figures in rows.values() if figures)
    print("| question | hits | " + " | ".join(names) + " |")
    print("|---" * (len(names) + 2) + "|")
    for question, found in {**rows, "all": [figure for figures in rows.values() for figure in figures]}.items():
        cells = [f"{np.mean([figures[name] for figures in found]):.2f}" for name in names] if found else []
        print(f"| {question} | {len(found)} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
