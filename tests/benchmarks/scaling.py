"""The paper's two findings at a small scale: more data and a larger network, and what each part of the recipe brings.

    python tests/benchmarks/scaling.py TRAINING... --held HELD... --out RUNS
    python tests/benchmarks/scaling_report.py RUNS --figure core/models/nano/scaling.svg

TRAINING and HELD are prepared studies; nights of held-out subjects are left out of training. Three numbers of nights
by three widths of the nano network, and the ablations at the most nights and the middle width, every run with the same
steps, batch and seed, and measured on the same held-out epochs. A run whose line stands in RUNS/results.jsonl is not
repeated. Nights are nested: the smaller sets are part of the larger ones.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from core.errors import UsageError  # noqa: E402
from core.inference.figures import best_temperature, interval_by_subject, retrieval_ranks, staging_figures  # noqa: E402
from core.inference.probes import fit_head  # noqa: E402
from core.language.describe import DOMAINS  # noqa: E402
from core.language.read_back import read_back  # noqa: E402
from core.language.tokenizer import Tokenizer  # noqa: E402
from core.psg.scoring import STAGES  # noqa: E402
from training.config import ModelConfig, preset  # noqa: E402
from training.dataset import POSITION, Reader  # noqa: E402
from training.loop import train  # noqa: E402
from training.losses import positives_of  # noqa: E402
from training.model import SleepLM  # noqa: E402
from training.objective import embed_texts  # noqa: E402
from training.options import LossWeights, TrainOptions  # noqa: E402
from training.progress import Started  # noqa: E402
from training.run import Anchors  # noqa: E402
from training.start import read_start  # noqa: E402
from training.studies import TrainingStudy, find_stores, open_study  # noqa: E402
from training.texts import EpochTexts, TextOptions, draw_texts  # noqa: E402

Outcomes = Mapping[str, NDArray[Any]]
"""What a run made of each held-out epoch, beside `stages` and `subjects`; all [N]."""
SEED = 5
PART = 64
"""Epochs measured at a time."""
TOP = 10
"""A statement is specific where it is true of so many epochs of the pool at most."""
STAGE_TOKENS = 28
"""Tokens of a stage_event caption within which the stage stands."""
FIGURE = "heart_rate_mean"
"""The figure that a decoder without slots writes itself; with slots the runtime fills in what was measured."""
CHANGES: dict[str, tuple[str, LossWeights, TextOptions]] = {
    "": ("the recipe", LossWeights(), TextOptions()),
    "no_reconstruction": ("without reconstruction", LossWeights(reconstruction=0.0), TextOptions()),
    "no_channel_level": ("without channel-level captions", LossWeights(), TextOptions(levels=("event", "stage"))),
    "no_stage_level": (
        "without stage-level captions",
        LossWeights(prompts=0.0),
        TextOptions(levels=("channel", "event")),
    ),
    "no_slots": ("without slot tokens", LossWeights(), TextOptions(slots=False)),
    "no_helps": ("without stage head and stage prompts", LossWeights(head=0.0, prompts=0.0), TextOptions()),
}
"""By name: what it is called, weights of the losses, texts. Without the level of stages no text names a stage, so the
prompts go too; the linear stage head on the embedding, which is no language, stays: without it (`no_helps`) so short
a run learns no stages at all, and nothing could be compared."""
NOT_LEARNED = {
    "no_reconstruction": ("error",),
    "no_channel_level": ("nats",),
    "no_stage_level": ("nats",),
    "no_slots": ("nats",),
}
"""Figures that say nothing of a run: its head was not trained, or it was taught to write other captions."""


@dataclass(frozen=True)
class Trial:
    """One run of the study."""

    nights: int
    width: int
    change: str = ""
    """What differs from the recipe, of `CHANGES`."""

    @property
    def name(self) -> str:
        """Of its folder and its line."""
        return f"n{self.nights}_w{self.width}" + (f"_{self.change}" if self.change else "")


def plan(nights: Sequence[int], widths: Sequence[int], ablated: int) -> list[Trial]:
    """List the runs in an order in which the first ones say most: corners, ablations at a width, the rest."""
    corners = [Trial(n, w) for n in (nights[0], nights[-1]) for w in (widths[0], widths[-1])]
    ablations = [Trial(nights[-1], ablated, change) for change in CHANGES if change]
    return list(dict.fromkeys([*corners, *ablations, *(Trial(n, w) for n in nights for w in widths)]))


def network(width: int) -> ModelConfig:
    """Give the nano network at another width; the convolution and the shared space follow it."""
    sizes = replace(preset("nano"), width=width, conv_width=4 * width // 3, embed_dim=4 * width // 3)
    return replace(sizes, measured=(), courses=())  # signals alone, as the paper's network


@dataclass(frozen=True)
class Rows:
    """Epochs to measure on, and what is true of them."""

    studies: Sequence[TrainingStudy]
    places: Sequence[tuple[int, int]]
    """Pairs (study, epoch)."""
    texts: Sequence[EpochTexts]
    """One draw an epoch, the same for every run: a statement to find it by, a caption to write, truths."""
    scorings: Sequence[EpochTexts]
    """The same with a caption of stage and events as the statement."""
    stages: NDArray[np.int64]
    """[N] index in `STAGES`."""


def rows_of(studies: Sequence[TrainingStudy], places: Sequence[tuple[int, int]], slots: bool = True) -> Rows:
    """Draw the texts of some epochs; both forms of captions tell the same."""

    def draw(options: TextOptions) -> list[EpochTexts]:
        return [draw_texts(studies[s].facts(e), np.random.default_rng((SEED, s, e)), options) for s, e in places]

    mixed, scorings = TextOptions(slots=slots), TextOptions(stage_event_share=1.0, query_share=0.0)
    stages = np.array([studies[study].stages[epoch] for study, epoch in places], np.int64)
    return Rows(studies, places, draw(mixed), draw(scorings), stages)


def spread(studies: Sequence[TrainingStudy], count: int) -> list[tuple[int, int]]:
    """Choose as many scored epochs of every study, evenly over its night."""
    scored = [np.flatnonzero(each.stages >= 0) for each in studies]
    chosen = [epochs[np.linspace(0, len(epochs) - 1, count).round().astype(int)] for epochs in scored]
    return [(study, int(epoch)) for study, epochs in enumerate(chosen) for epoch in epochs]


def by_stage(studies: Sequence[TrainingStudy], count: int) -> list[tuple[int, int]]:
    """Choose as many epochs of every stage, at random."""
    rng = np.random.default_rng(SEED)
    every = np.array([(study, epoch) for study, each in enumerate(studies) for epoch in range(len(each.stages))])
    stages = np.concatenate([each.stages for each in studies])
    chosen = [rng.permutation(np.flatnonzero(stages == stage))[:count] for stage in range(len(STAGES))]
    return [(int(study), int(epoch)) for study, epoch in every[np.concatenate(chosen)]]


@dataclass(frozen=True)
class Learned:
    """A trained network, ready to be measured."""

    model: SleepLM
    tokenizer: Tokenizer
    staging: dict[str, Any]

    @classmethod
    def of(cls, folder: Path) -> "Learned":
        """Read the averaged weights of a finished run."""
        start = read_start(folder)
        model = SleepLM(start.config)
        model.load_state_dict(start.weights)
        staging = json.loads((folder / "meta.json").read_text(encoding="utf-8"))["staging"]
        return cls(model.eval(), Tokenizer.load(start.tokenizer), staging)

    def seen(self, rows: Rows) -> Iterator[tuple[slice, Tensor, Tensor, tuple[Tensor, Tensor]]]:
        """Yield part by part: rows, signals, presence, and what the signal tower gives."""
        reader = Reader(rows.studies, self.model.config.channels, self.tokenizer, TextOptions(), None)
        for start in range(0, len(rows.places), PART):
            part = slice(start, min(start + PART, len(rows.places)))
            batch = reader.batch(rows.places[part], (SEED, start))
            yield part, batch.signals, batch.present, self.model.encode_signal(batch.signals, batch.present)

    def ids(self, texts: Sequence[str]) -> Tensor:
        """Give the tokens of texts, [B, T]."""
        ids = self.tokenizer.encode(texts)
        return torch.from_numpy(ids[:, : int((ids != 0).sum(axis=1).max())].copy())

    def write(self, tokens: Tensor, domain: str, longest: int) -> list[str]:
        """Write captions of a domain greedily, of so many tokens at most."""
        ids = torch.full((len(tokens), 1), self.tokenizer.start_id)
        domains = torch.full((len(tokens),), DOMAINS.index(domain))
        logits, state = self.model.prefill(tokens, domains, ids)
        for position in range(1, longest):
            ids = torch.cat((ids, logits.argmax(dim=1, keepdim=True)), dim=1)
            if bool((ids == self.tokenizer.end_id).any(dim=1).all()):
                break
            logits, state = self.model.step(ids[:, -1:], torch.tensor(position), state)
        rows = [[*row[1:], self.tokenizer.end_id] for row in ids.tolist()]
        return [self.tokenizer.decode(row[: row.index(self.tokenizer.end_id)]) for row in rows]


@torch.no_grad()
def outcomes(run: Learned, held: Rows, probe: Rows, slots: bool) -> dict[str, NDArray[Any]]:
    """Measure a run epoch by epoch: figures, intervals and differences are drawn from that."""
    parts = [_part(run, held, slots, seen) for seen in run.seen(held)]
    made = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    embeddings = made.pop("embedding")
    labelled = np.concatenate([embedding.numpy() for _, _, _, (embedding, _) in run.seen(probe)])
    anchors = Anchors(run.tokenizer, torch.device("cpu")).embed(run.model).numpy()
    prior, shares = (np.log(np.array(run.staging[name])) for name in ("prior", "shares"))
    factor = best_temperature(labelled @ anchors.T, probe.stages, prior)
    made["zero_shot"] = (factor * embeddings @ anchors.T + prior + shares).argmax(axis=1)
    made["probed"] = (fit_head(labelled, probe.stages, len(STAGES)).scores(embeddings) + shares).argmax(axis=1)
    for name, texts in (("all", held.texts), ("scoring", held.scorings)):
        statements, right = embed_texts(run.model, run.ids([text.statement for text in texts])).numpy(), answers(texts)
        first = np.argsort(-statements @ embeddings.T, axis=1)[:, :TOP]
        made[f"precision_{name}"] = np.take_along_axis(right, first, axis=1).mean(axis=1)
        made[f"rank_{name}"] = retrieval_ranks(statements, embeddings, right)
        made[f"answers_{name}"] = right.sum(axis=1)
    subjects = np.array([held.studies[study].subject for study, _ in held.places])
    return made | {"stages": held.stages, "subjects": subjects}


def _part(
    run: Learned, held: Rows, slots: bool, seen: tuple[slice, Tensor, Tensor, tuple[Tensor, Tensor]]
) -> dict[str, NDArray[Any]]:
    model, (part, signals, present, (embedding, tokens)) = run.model, seen
    captions = run.ids([text.captions[0] for text in held.texts[part]])
    domains = torch.tensor([text.domains[0] for text in held.texts[part]])
    logits = model.decode(model.encode_text(captions)[1], tokens, domains)
    nats = cross_entropy(logits[:, :-1].flatten(0, 1), captions[:, 1:].flatten(), ignore_index=0, reduction="none")
    written = [read_back(text, "stage_event").stage for text in run.write(tokens, "stage_event", STAGE_TOKENS)]
    there = present * torch.tensor([float(name != POSITION) for name in model.config.channels])
    found = {
        "embedding": embedding,
        "nats": nats.unflatten(0, (len(captions), -1)).sum(dim=1),
        "tokens": (captions != 0).sum(dim=1),
        "written": torch.tensor([STAGES.index(stage) if stage in STAGES else -1 for stage in written]),
        "power": (signals.square().mean(dim=2) * there).sum(dim=1),
        "error": ((model.reconstruct(tokens) - signals).square().mean(dim=2) * there).sum(dim=1),
    }
    if not slots:
        texts = run.write(tokens, "cardiac", model.config.context_length)
        facts = [held.studies[study].facts(epoch) for study, epoch in held.places[part]]
        for name, values in (
            ("rate_written", [read_back(text, "cardiac").values for text in texts]),
            ("rate_measured", [each.values for each in facts]),
        ):
            found[name] = torch.tensor([each.get(FIGURE, np.nan) for each in values])
    return {name: value.numpy() for name, value in found.items()}


def answers(texts: Sequence[EpochTexts]) -> NDArray[np.bool_]:
    """Say which epochs each statement is true of, [Q, N]."""
    longest = max(len(text.truths) for text in texts)
    truths = torch.tensor([(*text.truths, *[-1] * (longest - len(text.truths))) for text in texts])
    right: NDArray[np.bool_] = positives_of(truths, torch.tensor([text.key for text in texts])).T.numpy()
    return right


def by_chance(texts: Sequence[EpochTexts]) -> dict[str, float]:
    """Give what a random order of the epochs would reach: precision, and recall of the specific statements."""
    right = answers(texts)
    wrong = (~right).sum(axis=1)[right.sum(axis=1) <= TOP]
    missed = np.prod([np.maximum(wrong - k, 0) / (right.shape[1] - k) for k in range(TOP)], axis=0)
    return {"precision": float(right.mean()), "recall": float(1 - missed.mean())}


def _kappa(name: str) -> Callable[[Outcomes, NDArray[np.intp]], float]:
    return lambda found, rows: staging_figures(found["stages"][rows], found[name][rows]).kappa


def _recall(found: Outcomes, rows: NDArray[np.intp]) -> float:
    specific = found["answers_all"][rows] <= TOP
    return float(np.mean(found["rank_all"][rows][specific] <= TOP))


FIGURES: dict[str, tuple[str, Callable[[Outcomes, NDArray[np.intp]], float]]] = {
    "zero_shot": ("zero-shot stages, kappa", _kappa("zero_shot")),
    "balanced": (
        "balanced accuracy",
        lambda found, rows: staging_figures(found["stages"][rows], found["zero_shot"][rows]).balanced_accuracy,
    ),
    "probed": ("stages from 200 labels, kappa", _kappa("probed")),
    "written": ("stage as written, kappa", _kappa("written")),
    "recall": ("R@10, specific statements", _recall),
    "precision": ("P@10, all statements", lambda found, rows: float(found["precision_all"][rows].mean())),
    "scoring": ("P@10, stage and events", lambda found, rows: float(found["precision_scoring"][rows].mean())),
    "nats": ("nats a caption", lambda found, rows: float(found["nats"][rows].mean())),
    "error": (
        "power not reconstructed",
        lambda found, rows: float(found["error"][rows].sum() / found["power"][rows].sum()),
    ),
}
"""By name: heading, and the figure of some epochs, which may repeat."""


def figure(name: str, found: Outcomes, other: Outcomes | None = None) -> list[float]:
    """Give a figure and its interval, or how much higher it is than another run's on the same epochs."""
    of = FIGURES[name][1]

    def value(rows: NDArray[np.intp]) -> float:
        return of(found, rows) - (of(other, rows) if other is not None else 0.0)

    return [value(np.arange(len(found["stages"]))), *interval_by_subject(found["subjects"].tolist(), value)]


def figures_written(found: Outcomes) -> dict[str, float]:
    """Compare the heart rates that the decoder wrote with those measured, and with always writing the median."""
    measured, written = found["rate_measured"], found["rate_written"]
    both = np.isfinite(measured) & np.isfinite(written)
    share = float(both.sum() / max(np.isfinite(measured).sum(), 1))
    if not both.any():
        return {"rates_written": share}
    return {
        "rates_written": share,
        "rate_error_bpm": float(np.abs(measured - written)[both].mean()),
        "rate_error_of_median_bpm": float(np.abs(measured[both] - np.median(measured[both])).mean()),
    }


def carry_out(trial: Trial, options: TrainOptions, rows: tuple[Rows, Rows]) -> dict[str, Any]:
    """Train and measure one network; its outcomes stay in its folder."""
    held, probe = rows
    begun = time.process_time()
    started = next(event for event in list(train(options)) if isinstance(event, Started))
    seconds = time.process_time() - begun
    found = outcomes(Learned.of(options.out), held, probe, options.texts.slots)
    np.savez_compressed(options.out / "outcomes.npz", **found)
    return {
        **{"run": trial.name, "nights": trial.nights, "width": trial.width, "change": trial.change},
        **{"subjects": started.training_subjects, "parameters": started.parameters},
        **{"steps": options.max_steps, "batch": options.batch_size, "cpu_seconds": round(seconds, 1)},
        **{"tokens": float(found["tokens"].mean()), **{name: figure(name, found) for name in FIGURES}},
        **({} if options.texts.slots else figures_written(found)),
    }


def run_all(wishes: argparse.Namespace) -> None:
    """Carry out what is not done yet, a line a run."""
    held = [open_study(path, separator="__") for path in find_stores(wishes.held)]
    apart = {study.subject for study in held}
    stores = [path for path in find_stores(wishes.training) if open_study(path, separator="__").subject not in apart]
    if len(stores) < wishes.nights[-1]:
        raise UsageError(f"{len(stores)} nights are left to train on.", f"{wishes.nights[-1]} are asked for.")
    order = [stores[i] for i in np.random.default_rng(SEED).permutation(len(stores))]
    labelled = [open_study(path, separator="__") for path in order[: wishes.nights[0]]]
    probe = rows_of(labelled, by_stage(labelled, 200 // len(STAGES)))
    rows = {slots: rows_of(held, spread(held, wishes.epochs), slots) for slots in (True, False)}
    results = wishes.out / "results.jsonl"
    wishes.out.mkdir(parents=True, exist_ok=True)
    done = {row["run"] for row in read(results)}
    trials = {trial.name: trial for trial in plan(wishes.nights, wishes.widths, wishes.ablated)}
    for trial in [trials[name] for name in wishes.only or trials if name not in done]:
        _, weights, texts = CHANGES[trial.change]
        options = TrainOptions(
            stores=tuple(order[: trial.nights]),
            out=wishes.out / trial.name,
            model=network(trial.width),
            seed=SEED,
            device="cpu",
            threads=1,
            batch_size=wishes.batch,
            max_steps=wishes.steps,
            weights=weights,
            texts=texts,
            held_out=0.0,
            subject_separator="__",
            validate_steps=wishes.steps + 1,
            keep=1,
        )
        row = carry_out(trial, options, (rows[texts.slots], probe))
        row["chance"] = by_chance(rows[True].texts) | {"scoring": by_chance(rows[True].scorings)["precision"]}
        with results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)


def read(path: Path) -> list[dict[str, Any]]:
    """Read the lines of the runs that are done."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def main() -> None:
    """Run the study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("training", nargs="+", type=Path)
    parser.add_argument("--held", nargs="+", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--nights", type=int, nargs=3, default=(4, 20, 100))
    parser.add_argument("--widths", type=int, nargs=3, default=(24, 48, 96))
    parser.add_argument("--ablated", type=int, default=48, help="width at which the ablations are made")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=128, help="of each held-out study, evenly over its night")
    parser.add_argument("--only", nargs="*", default=(), help="runs in this order, such as n100_w48_no_slots")
    run_all(parser.parse_args())


if __name__ == "__main__":
    main()
