"""A training run: its data, network and optimizer, its folder, and how it is resumed."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional
from torch import Tensor

from core.errors import SleepcliError, UsageError
from core.files import write_text, write_with
from core.language.describe import DOMAINS, FORMS, describe
from core.language.prompts import stage_prompts
from core.language.tokenizer import Tokenizer, train_tokenizer
from core.psg.scoring import STAGES
from training import checkpoint
from training.config import ModelConfig
from training.dataset import Reader
from training.events import EventAnchors, EventHead
from training.log import Log
from training.model import SleepLM
from training.montages import WHOLE, draw, restrict
from training.optim import Average, optimizer_of
from training.options import TrainOptions
from training.ranks import ALONE, Ranks
from training.resume import check_same, last_state
from training.sampling import Sampler
from training.sharding import all_whole, shard, spread_as
from training.start import begin, source_of
from training.studies import (
    Split,
    TrainingStudy,
    data_hashes,
    find_stores,
    open_study,
    split_subjects,
    stage_shares,
    transition_matrix,
)
from training.texts import WORDINGS, draw_texts

FORMAT = 1
TOKENIZER = "tokenizer.json"
TOKENIZER_EPOCHS = 3000
"""Epochs whose texts train the tokenizer."""
SCALED_EPOCHS = 1500
"""Epochs that the scale of measured values is taken from."""
AUXILIARY = ("prompts", "head", "events", "event_prompts")
"""Loss terms beside the published ones."""


class Anchors:
    """The stage prompts as tokens; their mean embeddings are the classes of zero-shot staging."""

    def __init__(self, tokenizer: Tokenizer, device: torch.device) -> None:
        prompts = stage_prompts()
        texts = [text for stage in STAGES for text in prompts[stage]]
        ids = tokenizer.encode(texts)
        longest = int((ids != tokenizer.pad_id).sum(axis=1).max())
        self.ids = torch.from_numpy(np.ascontiguousarray(ids[:, :longest])).to(device)
        self.sizes = [len(prompts[stage]) for stage in STAGES]

    def embed(self, model: SleepLM) -> Tensor:
        """Give the anchors [5, D], L2-normalised."""
        embeddings, _ = model.encode_text(self.ids)
        means = [part.mean(dim=0) for part in embeddings.split(self.sizes)]
        return functional.normalize(torch.stack(means), dim=-1)


@dataclass
class Run:
    """The state of a run; `training.loop` moves it on."""

    options: TrainOptions
    device: torch.device
    bf16: bool
    split: Split
    training: Sequence[TrainingStudy]
    validation: Sequence[TrainingStudy]
    tokenizer: Tokenizer
    reader: Reader
    sampler: Sampler
    anchors: Anchors
    model: SleepLM
    head: torch.nn.Linear
    """Stage classes on the embedding, for training alone: see `LossWeights.head`."""
    event_head: EventHead | None
    """Event types on the embedding, for training alone: see `LossWeights.events`."""
    event_anchors: EventAnchors
    learned: torch.nn.ModuleList
    """The network and its heads."""
    average: Average
    optimizer: torch.optim.Optimizer
    log: Log | None
    """None where another rank writes."""
    ranks: Ranks = ALONE
    step: int = 0
    seconds: float = 0.0
    """Time of training, that before a resume counted in."""
    best: float = math.inf
    """Lowest validation loss."""
    since_best: int = 0
    figures: dict[str, float] = field(default_factory=dict)
    """Of the best validation."""
    staging: dict[str, Any] = field(default_factory=dict)
    """Constants of zero-shot staging, of the best validation."""

    def snapshot(self) -> checkpoint.Checkpoint:
        """Give the whole state as a checkpoint; where it is spread over processes every one must ask for it."""
        hardness, looks = ({}, {}) if self.sampler.hardness is None else self.sampler.hardness.state()
        tensors = checkpoint.pack(
            {
                "model": all_whole(self.model.state_dict()),
                "head": all_whole(self.head.state_dict()),
                "event_head": {} if self.event_head is None else all_whole(self.event_head.state_dict()),
                "average": all_whole(self.average.state),
                "optimizer": checkpoint.optimizer_tensors(self.optimizer),
                "random": {"torch": torch.get_rng_state()},
                "hardness": {name: torch.from_numpy(values) for name, values in hardness.items()},
            }
        )
        meta = {
            "looks": looks,
            "seconds": self.seconds,
            "best": self.best if math.isfinite(self.best) else None,
            "since_best": self.since_best,
            "figures": self.figures,
            "staging": self.staging,
            "updates": self.average.updates,
        }
        return checkpoint.Checkpoint(step=self.step, tensors=tensors, meta=meta)

    def restore(self, saved: checkpoint.Checkpoint) -> None:
        """Take over a checkpoint's state.

        Raises
        ------
        SleepcliError
            When it belongs to another network.
        """
        try:
            _load(self.model, checkpoint.unpack(saved.tensors, "model"))
            _load(self.head, checkpoint.unpack(saved.tensors, "head"))
            if self.event_head is not None:
                _load(self.event_head, checkpoint.unpack(saved.tensors, "event_head"))
            for name, value in checkpoint.unpack(saved.tensors, "average").items():
                self.average.state[name].copy_(spread_as(value, self.average.state[name]))
            checkpoint.restore_optimizer(self.optimizer, checkpoint.unpack(saved.tensors, "optimizer"))
            torch.set_rng_state(saved.tensors["random/torch"])
            if self.sampler.hardness is not None:
                kept = checkpoint.unpack(saved.tensors, "hardness")
                self.sampler.hardness.restore({n: v.numpy() for n, v in kept.items()}, saved.meta["looks"])
            best = saved.meta["best"]
            self.step, self.seconds = saved.step, float(saved.meta["seconds"])
            self.best = math.inf if best is None else float(best)
            self.since_best, self.figures = int(saved.meta["since_best"]), dict(saved.meta["figures"])
            self.staging = dict(saved.meta["staging"])
            self.average.updates = int(saved.meta["updates"])
        except (KeyError, RuntimeError, ValueError, TypeError) as error:
            raise SleepcliError(
                f"The checkpoint in {self.options.out} does not fit this run.",
                "Resume with the options of the first start, or choose another --out.",
            ) from error


def _reader(
    options: TrainOptions, training: Sequence[TrainingStudy], config: ModelConfig, tokenizer: Tokenizer
) -> Reader:
    without, shown = options.without_events, (config.measured, config.courses)
    return Reader(training, config.channels, tokenizer, options.texts, options.augmentation, without, *shown)


def _load(module: torch.nn.Module, saved: Mapping[str, Tensor]) -> None:
    """Take over saved weights, which are whole, into a module that may be spread over processes."""
    module.load_state_dict({name: spread_as(saved[name], value) for name, value in module.state_dict().items()})


def open_run(options: TrainOptions, ranks: Ranks = ALONE) -> Run:
    """Open the data, make the network, and take over the last checkpoint where there is one.

    Raises
    ------
    SleepcliError
        A study that is damaged, data that cannot be split, a device that is not there.
    """
    device = device_of(options.device)
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    split, training, validation = _split_studies(options)
    sampler = Sampler(training, options.sampler, options.seed, options.without_events)
    source, state = source_of(options), last_state(options)
    if state is None and ranks.first:  # a run that ended before its first checkpoint may have left one of other data
        (options.out / TOKENIZER).unlink(missing_ok=True)
    if source.start is not None and ranks.first and not (options.out / TOKENIZER).exists():
        given = source.start.tokenizer
        write_with(options.out / TOKENIZER, lambda path: shutil.copyfile(given, path))
    tokenizer = _shared_tokenizer(options, training, sampler, source.sizes, ranks)
    some = sampler.draw(0, min(SCALED_EPOCHS, 4 * len(sampler))) if source.sizes.measured else ()
    model = begin(source, tokenizer, [training[study].facts(epoch) for study, epoch in some])
    config = model.config
    model = model.to(device)
    head = torch.nn.Linear(config.embed_dim, len(STAGES)).to(device)
    event_head = EventHead(config.embed_dim).to(device) if options.weights.events else None
    if options.sharded and ranks.world > 1:
        shard(model, [head] if event_head is None else [head, event_head], ranks)
    learned = torch.nn.ModuleList([model, head] if event_head is None else [model, head, event_head])
    if options.compiled:
        model.signal.compile()
    run = Run(
        options=options,
        device=device,
        bf16=_bf16(options.precision, device),
        split=split,
        training=training,
        validation=validation,
        tokenizer=tokenizer,
        reader=_reader(options, training, config, tokenizer),
        sampler=sampler,
        anchors=Anchors(tokenizer, device),
        model=model,
        head=head,
        event_head=event_head,
        event_anchors=EventAnchors(tokenizer, device),
        learned=learned,
        average=Average(model, options.average_decay),
        optimizer=optimizer_of(learned, options.learning_rate, options.weight_decay),
        log=Log(options.out, options.tensorboard, 0 if state is None else state.step) if ranks.first else None,
        ranks=ranks,
    )
    if state is not None:
        check_same(options, split.to_json())
        run.restore(state)
    ranks.wait()  # all have read meta.json before the first one writes it
    if ranks.first:
        _write_meta(run, finished=False)
    return run


def device_of(name: str) -> torch.device:
    """Give the device of `auto`, `cpu` or `cuda`.

    Raises
    ------
    UsageError
        When there is none of that name, or no GPU.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise UsageError(f"There is no device {name!r}.", "Choose auto, cpu or cuda.")
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise UsageError("There is no GPU that torch can use.", "Train with --device cpu.")
    return torch.device("cuda" if there and name != "cpu" else "cpu")


def _bf16(precision: str, device: torch.device) -> bool:
    if precision == "auto":
        return device.type == "cuda" and bool(torch.cuda.is_bf16_supported())
    return precision == "bf16"


def _split_studies(options: TrainOptions) -> tuple[Split, list[TrainingStudy], list[TrainingStudy]]:
    """Open the studies and hold out some subjects."""
    studies = []
    for path in find_stores(options.stores):
        subject = options.subjects.get(path.stem)
        studies.append(open_study(path, subject, options.subject_separator))
    split = split_subjects([study.subject for study in studies], options.held_out, options.seed)
    learning = set(split.training)
    training = [study for study in studies if study.subject in learning]
    return split, training, [study for study in studies if study.subject not in learning]


def _shared_tokenizer(
    options: TrainOptions, training: Sequence[TrainingStudy], sampler: Sampler, sizes: ModelConfig, ranks: Ranks
) -> Tokenizer:
    """Let the first rank make the tokenizer, and every other one read it then."""
    if not ranks.first:
        ranks.wait()
    tokenizer = _tokenizer(options, training, sampler, sizes)
    if ranks.first:
        ranks.wait()
    return tokenizer


def _tokenizer(
    options: TrainOptions, training: Sequence[TrainingStudy], sampler: Sampler, config: ModelConfig
) -> Tokenizer:
    """Load the run's tokenizer, or train one on texts of the training side."""
    path = options.out / TOKENIZER
    options.out.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        texts = list(_sample_texts(options, training, sampler, frozenset(config.channels) - WHOLE))
        tokenizer = train_tokenizer(texts, config.vocab_size, config.context_length)
        write_with(path, tokenizer.save)
    return Tokenizer.load(path)


def _sample_texts(
    options: TrainOptions, training: Sequence[TrainingStudy], sampler: Sampler, beside: frozenset[str]
) -> Iterator[str]:
    for prompts in stage_prompts().values():
        yield from prompts
    rng = np.random.default_rng([options.seed, 3])
    for study, epoch in sampler.draw(0, min(TOKENIZER_EPOCHS, 4 * len(sampler))):
        facts = restrict(training[study].facts(epoch), draw(rng, options.augmentation.dropout), beside)
        yield draw_texts(facts, rng, options.texts).statement
        for domain in DOMAINS:
            form = FORMS[int(rng.integers(len(FORMS)))]
            yield describe(facts, domain, int(rng.integers(WORDINGS)), form)


def publish(run: Run, finished: bool) -> dict[str, float]:
    """Write the run's description, and its averaged weights as the model unless the run is finished.

    Parameters
    ----------
    run
        Its state right after a validation.
    finished
        Whether the run is over; the model is then the one of the best validation, which is there already.

    Returns
    -------
    dict
        The figures of the model.
    """
    weights = {} if finished else all_whole(run.average.state)
    if run.ranks.first:
        if not finished:
            checkpoint.write_weights(run.options.out / "model.safetensors", weights)
        _write_meta(run, finished)
    return run.figures


def _write_meta(run: Run, finished: bool) -> None:
    options = run.options
    meta = {
        "format": FORMAT,
        "kind": "sleepcli",
        "config": run.model.config.to_json(),
        "preset": options.preset,
        "options": options.to_json(),
        "seed": options.seed,
        "split": run.split.to_json(),
        "data": dict(data_hashes([*run.training, *run.validation])),
        "step": run.step,
        "finished": finished,
        "figures": run.figures,
        "slots": options.texts.slots,
        "domains": list(DOMAINS),
        "staging": run.staging,
        "without_events": list(options.without_events),
        "auxiliary": [name for name in AUXILIARY if getattr(options.weights, name)],
        "versions": {"torch": torch.__version__.split("+")[0]},
    }
    write_text(options.out / "meta.json", json.dumps(meta, indent=1) + "\n")


LEAST_PRIOR = 1e-6
"""Prior of a stage that no training night has: the logarithm of it exists, and any other stage goes before."""


def staging_facts(run: Run, temperature: float) -> dict[str, Any]:
    """Give the constants of zero-shot staging: temperature, transitions and prior.

    Evidence is `temperature * cosine + log(prior)`. The network saw stages as the sampler drew them, so the
    prior takes that back: it is proportional to 1 / the sampler's share, and the evidence a likelihood that a
    hidden Markov model may use with the transitions of the training nights. A stage that was never seen is given last.
    """
    shares = stage_shares(run.training)
    prior = np.where(shares > 0, 1 / run.sampler.stage_shares, 0.0)
    prior = np.maximum(prior / prior.sum(), LEAST_PRIOR)
    return {
        "temperature": temperature,
        "transitions": np.round(transition_matrix(run.training), 6).tolist(),
        "prior": np.round(prior, 6).tolist(),
        "shares": np.round(shares, 6).tolist(),
    }
