"""Which epochs are drawn: windows of studies, hard epochs, memory at 100,000 hours; and how many files are open."""

import gc
import os
import shutil
import tracemalloc
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from core.errors import UsageError
from training import sampling, studies
from training.sampling import AHEAD, REFRESH, Hardness, Sampler, SamplerOptions
from training.studies import open_study
from training.validation import validation_rows


def made_up(count: int, epochs: int, seed: int = 0) -> list[Any]:
    """Indexes of studies that are nowhere on the disk."""
    rng = np.random.default_rng(seed)
    stages = rng.integers(-1, 5, (count, epochs)).astype(np.int8)
    return [SimpleNamespace(stages=row, events=np.zeros((epochs, 8), bool)) for row in stages]


def test_a_batch_of_many_studies_opens_a_window_of_them_that_moves_over_all(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sampling, "WINDOW", 10)
    sampler = Sampler(made_up(40, 20), SamplerOptions(), seed=1)
    drawn = [{study for study, _ in sampler.draw(number, 400)} for number in range(40)]
    assert all(len(part) == 10 for part in drawn)
    assert all(len(now | after) == 11 for now, after in pairwise(drawn))
    assert set().union(*drawn) == set(range(40))


def test_a_window_keeps_the_weights_of_its_epochs(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sampling, "WINDOW", 3)
    indexes = made_up(5, 50)
    sampler = Sampler(indexes, SamplerOptions(rare=1.0), seed=1)
    drawn = sampler.draw(0, 60_000)
    weights = sampling.epoch_weights(
        np.concatenate([i.stages for i in indexes]), np.zeros((250, 8), bool), SamplerOptions(rare=1.0)
    ).reshape(5, 50)
    window = sorted({study for study, _ in drawn})
    counts = np.zeros((5, 50))
    for study, epoch in drawn:
        counts[study, epoch] += 1
    wanted = weights[window] / weights[window].sum()
    assert np.abs(counts[window] / 60_000 - wanted).max() < 0.002


def test_hard_epochs_are_drawn_more_often_as_the_run_goes_on():
    sampler = Sampler(made_up(1, 100), SamplerOptions(rare=0.0, hard=1.0), seed=0)
    easy, hard = [(0, e) for e in range(50)], [(0, e) for e in range(50, 100)]

    def share_of_hard(number: int) -> float:
        return float(np.mean([epoch >= 50 for _, epoch in sampler.draw(number, 4000)]))

    before = share_of_hard(0)
    for number in range(2 * REFRESH):
        losses = [(row, 0.1) for row in easy] + [(row, 1.1) for row in hard] + [((0, 3), float("nan"))]
        sampler.remember(number, losses, progress=(number + 1) / (2 * REFRESH))
    middle, late = share_of_hard(REFRESH + AHEAD), share_of_hard(2 * REFRESH + AHEAD)
    assert before < 0.6 < middle < late
    # at the end weights are as the losses: 11 to 1, but for the byte that keeps them and half the unknown stages
    assert late > 0.85


def test_a_memory_taken_over_draws_what_the_first_would_have_drawn():
    def sampler() -> Sampler:
        return Sampler(made_up(2, 60), SamplerOptions(hard=0.5), seed=3)

    rng = np.random.default_rng(0)
    one, losses = sampler(), []
    for number in range(3 * REFRESH):
        rows = one.draw(number, 8)
        losses.append(list(zip(rows, rng.exponential(1.0, 8).tolist(), strict=True)))
        one.remember(number, losses[-1], number / 200)
    two = sampler()
    cut = 2 * REFRESH + 5
    for number in range(cut):
        two.remember(number, losses[number], number / 200)
    assert two.hardness is not None
    arrays, progress = two.hardness.state()
    three = sampler()
    assert three.hardness is not None
    three.hardness.restore(arrays, progress)
    for number in range(cut, 3 * REFRESH):
        assert three.draw(number, 8) == [row for row, _ in losses[number]]
        three.remember(number, losses[number], number / 200)
    with pytest.raises(ValueError, match="memory of 120 epochs for 7"):
        Hardness(7).restore(arrays, progress)


def test_the_index_takes_at_most_13_bytes_an_epoch():
    indexes = made_up(400, 1000)  # 1 byte of stage an epoch lies in here; event flags are shared by none
    tracemalloc.start()
    try:
        sampler = Sampler(indexes, SamplerOptions(hard=1.0), seed=0)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(sampler) == 400_000
    index_of_the_studies = 2  # stage and event flags
    assert held / len(sampler) + index_of_the_studies < 13.5
    assert (held / len(sampler) + index_of_the_studies) * 12_000_000 < 200e6


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_open_files_are_bounded_however_many_studies(
    stores: tuple[Path, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    own = [Path(shutil.copytree(store, tmp_path / store.name)) for store in stores]  # other tests hold the others open
    bounded = studies.lru_cache(maxsize=1)(studies._opened.__wrapped__)
    monkeypatch.setattr(studies, "_opened", bounded)
    opened = [open_study(path) for path in own]
    for _ in range(2):
        for study in opened:
            assert study.prepared.n_epochs == 48
            assert study.facts(0).stage is not None
    gc.collect()
    assert open_stores(tmp_path) == 1
    assert {study.study for study in opened} == {"night1", "night2", "night3"}


def open_stores(folder: Path) -> int:
    """Prepared studies in a folder whose arrays this process holds."""
    maps = Path("/proc/self/maps").read_text().splitlines()
    folders = {os.path.dirname(line.split()[-1]) for line in maps if line.endswith("signals.npy")}
    return len({path for path in folders if path.startswith(str(folder))})


def test_a_store_that_was_written_again_is_opened_again(stores: tuple[Path, ...], tmp_path: Path):
    copy = tmp_path / "night1.psg"
    shutil.copytree(stores[0], copy)
    assert open_study(copy).prepared.n_epochs == 48
    first = open_study(copy).stages
    shutil.rmtree(copy)
    shutil.copytree(stores[1], copy)
    os.utime(copy / "study.json", ns=(1, 1))
    assert not np.array_equal(open_study(copy).stages, first)


def test_an_event_type_that_is_held_out_is_never_drawn_nor_judged():
    rng = np.random.default_rng(0)
    indexes = made_up(5, 60)
    for index in indexes:
        index.events[:, :2] = rng.random((60, 2)) < 0.3
    sampler = Sampler(indexes, SamplerOptions(), 1, ("obstructive_apnea",))
    drawn = sampler.draw(0, 5000)
    assert not any(indexes[study].events[epoch, 0] for study, epoch in drawn)
    assert any(indexes[study].events[epoch, 1] for study, epoch in drawn)
    judged = validation_rows(indexes, 1000, 0, ("obstructive_apnea",))
    assert len(judged) == sum(int((~index.events[:, 0]).sum()) for index in indexes)
    assert not any(indexes[study].events[epoch, 0] for study, epoch in judged)
    for index in indexes:
        index.events[:, 0] = True
    with pytest.raises(UsageError, match="Every epoch has an event that is held out"):
        Sampler(indexes, SamplerOptions(), 1, ("obstructive_apnea",))
