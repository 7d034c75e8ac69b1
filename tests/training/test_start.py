"""What a run begins with."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core.errors import UsageError
from core.language.facts import EpochFacts
from core.language.tokenizer import train_tokenizer
from training.config import preset
from training.loop import train
from training.model import SleepLM
from training.options import LossWeights, TrainOptions
from training.start import begin, place_numbers, scale_values, source_of
from training.texts import TextOptions

SHOWN = replace(preset("tiny"), measured=("heart_rate_mean", "spo2_min"), courses=("arousal",))


@pytest.fixture
def first(stores: tuple[Path, ...], tmp_path: Path) -> TrainOptions:
    options = TrainOptions(
        stores=stores, out=tmp_path / "first", preset="tiny", max_steps=2, batch_size=6, validation_epochs=12,
        threads=1, held_out=0.4,
    )  # fmt: skip
    list(train(options))
    return options


def test_a_tower_is_taken_over_and_stays_as_it_is(first: TrainOptions, tmp_path: Path) -> None:
    second = replace(
        first, out=tmp_path / "second", tower=first.out, model=replace(SHOWN, width=64), max_steps=3,
        weights=LossWeights(reconstruction=0), texts=TextOptions(figures=2),
    )  # fmt: skip
    list(train(second))
    before, after = source_of(replace(first, start=first.out)).start, source_of(replace(first, start=second.out)).start
    assert before is not None
    assert after is not None
    assert after.config.width == before.config.width  # a tower's sizes go before the recipe's
    assert after.config.measured == SHOWN.measured
    same = {name for name, value in before.weights.items() if torch.equal(value, after.weights.get(name, value + 1))}
    kept = {name for name in before.weights if name.startswith("signal.") and "embedding" not in name.split(".")[1]}
    assert kept | {"signal.channel_embedding"} <= same
    assert {name for name in before.weights if name.startswith("reconstruction.")} <= same  # its weight is 0
    assert "signal.embedding.weight" not in same
    assert after.weights["signal.context.middle"].abs().max() > 10  # the scale of a pulse, from the data


def test_a_run_with_a_tower_is_resumed(first: TrainOptions, tmp_path: Path) -> None:
    wished = replace(first, out=tmp_path / "second", tower=first.out, model=SHOWN)
    list(train(replace(wished, max_steps=1)))
    list(train(replace(wished, max_steps=2)))
    whole = replace(wished, out=tmp_path / "whole", max_steps=2)
    list(train(whole))
    resumed, through = (source_of(replace(first, start=run.out)).start for run in (wished, whole))
    assert resumed is not None
    assert through is not None
    # their learning rates differ, as they follow the run's length; the tower and the scale do not
    for name in ("signal.context.middle", "signal.patch.weight"):
        assert torch.equal(resumed.weights[name], through.weights[name])


def test_a_start_and_a_tower_exclude_each_other(first: TrainOptions) -> None:
    with pytest.raises(UsageError, match="not with both"):
        source_of(replace(first, start=first.out, tower=first.out))


def test_the_scale_of_a_value_is_that_of_the_data() -> None:
    model = SleepLM(SHOWN)
    facts = [EpochFacts("N2", {"heart_rate_mean": float(rate)}) for rate in range(50, 71)]
    scale_values(model, facts)
    context = model.signal.context
    assert context is not None
    assert context.middle.tolist() == [60.0, 0.0]
    assert context.spread.tolist() == pytest.approx([8.0, 1.0])  # tenth to ninetieth percentile, halved; nothing known


def test_numbers_start_near_their_neighbours() -> None:
    texts = [f"a heart rate of {rate} beats per minute" for rate in range(40, 100)] * 3
    tokenizer = train_tokenizer(texts, 600, 32)
    torch.manual_seed(0)
    model = SleepLM(replace(preset("tiny"), vocab_size=tokenizer.vocab_size))
    place_numbers(model, tokenizer)
    token = {value: place for place, value in tokenizer.whole_numbers().items()}
    table = model.text.token_embedding.weight.detach()
    near, far = (float((table[token[a]] - table[token[b]]).norm()) for a, b in ((70, 71), (70, 95)))
    assert near < 0.7 * far
    assert 0.5 < float(table[list(token.values())].std() / table.std()) < 2


def test_without_a_start_a_network_is_new(first: TrainOptions) -> None:
    tokenizer = train_tokenizer(["stage N2"], 500, 16)
    source = source_of(first)
    assert begin(source, tokenizer, []).config.vocab_size == tokenizer.vocab_size


def test_a_tokenizer_that_a_dead_run_left_is_made_anew(first: TrainOptions, tmp_path: Path) -> None:
    again = replace(first, out=tmp_path / "again", max_steps=1)
    again.out.mkdir()
    left = again.out / "tokenizer.json"
    train_tokenizer(["words of other studies"] * 3, 300, 16).save(left)
    other = left.read_bytes()
    list(train(again))
    assert left.read_bytes() == (first.out / "tokenizer.json").read_bytes() != other
