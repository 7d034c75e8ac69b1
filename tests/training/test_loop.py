"""Training end to end on small studies: the loss falls, a resumed run equals an uninterrupted one."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from core.errors import SleepcliError, UsageError
from core.language.tokenizer import Tokenizer
from core.psg.store import PreparedStudy, write_store
from training.config import ModelConfig
from training.loop import train
from training.model import SleepLM
from training.options import TrainOptions
from training.progress import Done, Saved, Started, TrainStep, Validation
from training.studies import split_subjects


@pytest.fixture
def options(stores: tuple[Path, ...], tmp_path: Path) -> TrainOptions:
    return TrainOptions(
        stores=stores,
        out=tmp_path / "run",
        preset="tiny",
        device="cpu",
        threads=1,
        batch_size=8,
        max_steps=24,
        learning_rate=3e-3,
        held_out=0.3,
        validate_steps=1000,
        validation_epochs=16,
        seed=5,
    )


def steps(events: list[object]) -> list[TrainStep]:
    return [event for event in events if isinstance(event, TrainStep)]


def test_the_loss_falls_and_the_run_folder_is_complete(options: TrainOptions):
    events = list(train(options))
    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Done)
    assert [type(e) for e in events[-3:]] == [Validation, Saved, Done]
    taken = steps(events)
    assert [event.step for event in taken] == list(range(1, 25))
    first, last = (sum(e.losses["caption"] for e in part) / 4 for part in (taken[:4], taken[-4:]))
    assert last < 0.75 * first
    meta = json.loads((options.out / "meta.json").read_text())
    assert meta["finished"] is True
    assert meta["slots"] is True
    assert not set(meta["split"]["training"]) & set(meta["split"]["validation"])
    assert len(meta["data"]) == 3
    assert len(meta["staging"]["transitions"]) == 5
    assert all(abs(sum(row) - 1) < 1e-4 for row in meta["staging"]["transitions"])
    model = SleepLM(ModelConfig.from_json(meta["config"]))
    model.load_state_dict(load_file(options.out / "model.safetensors"))
    assert Tokenizer.load(options.out / "tokenizer.json").vocab_size == meta["config"]["vocab_size"]
    log = [json.loads(line) for line in (options.out / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log if line["event"] == "TrainStep"] == list(range(1, 25))


def test_an_interrupted_run_goes_on_to_the_same_curve(options: TrainOptions, tmp_path: Path):
    options = replace(options, max_steps=8, checkpoint_minutes=0.0)
    whole = steps(list(train(options)))
    other = replace(options, out=tmp_path / "other")
    running = train(other)
    for event in running:
        if isinstance(event, TrainStep) and event.step == 5:
            break  # the checkpoint of step 4 is whole, step 5 is lost
    running.close()
    (other.out / "checkpoints" / ".step-00000005.part").mkdir()
    events = list(train(other))
    assert isinstance(events[0], Started)
    assert events[0].step == 4
    assert [e.losses for e in steps(events)] == [e.losses for e in whole[4:]]
    assert not list((other.out / "checkpoints").glob(".*"))
    mine, theirs = (load_file(run.out / "model.safetensors") for run in (options, other))
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    log = [json.loads(line) for line in (other.out / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log if line["event"] == "TrainStep"] == list(range(1, 9))


def test_a_loss_that_is_not_a_number_ends_with_a_sentence_and_a_whole_checkpoint(options: TrainOptions):
    with pytest.raises(SleepcliError, match="not a number at step"):
        list(train(replace(options, learning_rate=1e18, clip=1e18, checkpoint_minutes=0.0, warmup=0.0)))
    assert list((options.out / "checkpoints").glob("step-*"))


def test_a_damaged_study_is_named(options: TrainOptions, tmp_path: Path):
    copy = tmp_path / "night9.psg"
    shutil.copytree(options.stores[0], copy)
    (copy / "signals.npy").write_bytes(b"short")
    with pytest.raises(SleepcliError, match=r"night9\.psg"):
        list(train(replace(options, stores=(*options.stores, copy))))


@pytest.mark.parametrize("held_out", [0.0, 0.5], ids=["learned from", "held out"])
def test_signals_that_are_no_numbers_are_named(
    options: TrainOptions, make_study: Callable[[str, int, int], PreparedStudy], tmp_path: Path, held_out: float
):
    broken, other = tmp_path / "broken.psg", tmp_path / "other.psg"
    study = make_study("broken", 8, 4)
    study.signals[:] = np.nan
    write_store(study, broken)
    write_store(make_study("other", 8, 5), other)
    side = (broken, other) if held_out else (broken,)
    seed = next(
        s for s in range(9) if not held_out or "broken" in split_subjects(["broken", "other"], 0.5, s).validation
    )
    with pytest.raises(SleepcliError, match=r"broken\.psg has signals that are not numbers, in epoch \d"):
        list(train(replace(options, stores=side, held_out=held_out, seed=seed, max_steps=1)))


def test_figures_that_cannot_be_had_are_left_out(
    options: TrainOptions, make_study: Callable[[str, int, int], PreparedStudy], tmp_path: Path
):
    write_store(make_study("one", 1, 4), tmp_path / "one.psg")
    write_store(make_study("other", 8, 5), tmp_path / "other.psg")
    seed = next(s for s in range(9) if "one" in split_subjects(["one", "other"], 0.5, s).validation)
    list(train(replace(options, stores=(tmp_path,), held_out=0.5, seed=seed, max_steps=1)))
    for file in ("log.jsonl", "meta.json"):
        assert "NaN" not in (options.out / file).read_text()
    assert "staging_kappa" not in json.loads((options.out / "meta.json").read_text())["figures"]


def test_options_that_cannot_work_are_refused(options: TrainOptions, tmp_path: Path):
    with pytest.raises(UsageError, match="end"):
        replace(options, max_steps=0)
    with pytest.raises(UsageError, match="no prepared study"):
        list(train(replace(options, stores=(tmp_path,))))
    with pytest.raises(UsageError, match="split"):
        list(train(replace(options, stores=options.stores[:1])))


def test_fine_tuning_begins_where_another_run_ended(options: TrainOptions, tmp_path: Path):
    first = list(train(options))
    again = replace(options, out=tmp_path / "tuned", start=options.out, max_steps=4, learning_rate=1e-4)
    tuned = list(train(again))
    beginning, end = steps(first)[0].losses["caption"], steps(first)[-1].losses["caption"]
    assert steps(tuned)[0].losses["caption"] < (beginning + end) / 2
    assert (again.out / "tokenizer.json").read_bytes() == (options.out / "tokenizer.json").read_bytes()
    assert json.loads((again.out / "meta.json").read_text())["options"]["start"] == str(options.out)


def test_a_folder_that_is_no_run_is_refused_as_a_start(options: TrainOptions, tmp_path: Path):
    with pytest.raises(UsageError, match="no run to start from"):
        list(train(replace(options, start=tmp_path)))
