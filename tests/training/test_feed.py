"""Batches by a thread and by processes: the same, and a study that cannot be read stays one sentence."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core.errors import SleepcliError
from core.language.prompts import stage_prompts
from core.language.tokenizer import train_tokenizer
from core.psg.channels import EXTRA_CHANNELS, MODEL_CHANNELS
from training.dataset import Augmentation, Reader
from training.feed import LARGEST_WORKERS, Feed, workers_of
from training.ranks import ALONE, Ranks
from training.sampling import AHEAD, Sampler, SamplerOptions
from training.studies import open_study
from training.texts import TextOptions


@pytest.fixture
def feed(stores: tuple[Path, ...], tmp_path: Path) -> Feed:
    copy = tmp_path / "copy.psg"
    shutil.copytree(stores[0], copy)
    studies = [open_study(copy)]
    texts = [text for prompts in stage_prompts().values() for text in prompts]
    tokenizer = train_tokenizer(texts, 512, 64)
    reader = Reader(studies, MODEL_CHANNELS + EXTRA_CHANNELS, tokenizer, TextOptions(), Augmentation())
    return Feed(reader, Sampler(studies, SamplerOptions(), seed=1), size=6)


def test_processes_give_the_batches_of_the_thread_and_errors_as_they_are(feed: Feed):
    plain, apart = feed.batches(3), replace(feed, workers=1).batches(3)
    for number in (3, 4):
        (drawn, mine), (again, theirs) = next(plain), next(apart)
        assert drawn[0] == number
        assert drawn == again
        assert all(torch.equal(a, b) for a, b in zip(vars(mine).values(), vars(theirs).values(), strict=True))
    plain.close()
    apart.close()
    (feed.reader.studies[0].path / "signals.npy").write_bytes(b"short")
    broken = replace(feed, workers=1).batches(0)
    with pytest.raises(SleepcliError, match=r"copy\.psg is damaged"):
        next(broken)


def test_ranks_share_the_rows_of_a_batch_and_vary_them_each_by_itself(feed: Feed):
    drawn = (7, feed.sampler.draw(7, 6))
    parts = [replace(feed, ranks=Ranks(rank, 2)).make(drawn) for rank in (0, 1)]
    whole = feed.make(drawn)
    assert [len(part.stages) for part in parts] == [3, 3]
    studies = feed.reader.studies
    for rank, part in enumerate(parts):
        wanted = [int(studies[s].stages[e]) for s, e in drawn[1][rank::2]]
        shown = part.stages >= 0  # a montage without EEG hides the stage
        assert [int(x) for x in part.stages[shown]] == [w for w, seen in zip(wanted, shown, strict=True) if seen]
    assert len(whole.stages) == 6


def test_a_gpu_gets_processes_and_a_cpu_a_thread():
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert workers_of(-1, cpu, ALONE) == 0
    assert 1 <= workers_of(-1, gpu, ALONE) <= LARGEST_WORKERS
    assert workers_of(100, cpu, ALONE) == LARGEST_WORKERS
    assert 2 * LARGEST_WORKERS <= AHEAD
