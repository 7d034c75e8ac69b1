"""Parameter groups, the learning-rate curve, the average of the weights, and checkpoints."""

from pathlib import Path

import pytest
import torch

from core.errors import SleepcliError
from training import checkpoint
from training.config import preset
from training.model import SleepLM
from training.optim import Average, learning_rate, parameter_groups


def test_every_parameter_is_in_one_group_and_norms_and_embeddings_do_not_decay():
    model = SleepLM(preset("tiny"))
    decay, scalars, keep = (group["params"] for group in parameter_groups(model, 0.1))
    assert {id(p) for p in (*decay, *scalars, *keep)} == {id(p) for p in model.parameters()}
    assert not {id(p) for p in decay} & {id(p) for p in keep}
    assert all(p.ndim >= 2 for p in decay)
    kept = {id(p) for p in keep}
    named = dict(model.named_parameters())
    assert id(named["text.token_embedding.weight"]) in kept
    assert [id(p) for p in scalars] == [id(named["logit_scale"])]


def test_the_rate_rises_and_then_follows_half_a_cosine():
    assert learning_rate(1.0, 0.05, 0.1) == pytest.approx(0.5)
    assert learning_rate(1.0, 0.1, 0.1) == pytest.approx(1.0)
    assert learning_rate(1.0, 0.55, 0.1, floor=0.0) == pytest.approx(0.5)
    assert learning_rate(1.0, 1.0, 0.1, floor=0.02) == pytest.approx(0.02)
    assert learning_rate(1.0, 3.0, 0.1, floor=0.02) == pytest.approx(0.02)


def test_the_average_follows_and_swaps_back():
    model = torch.nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(0.0)
    average = Average(model, 0.5)
    model.weight.data.fill_(1.0)
    average.update(model)  # the first update keeps 2/11
    assert average.state["weight"].item() == pytest.approx(9 / 11)
    average.swap(model)
    assert model.weight.item() == pytest.approx(9 / 11)
    average.swap(model)
    assert model.weight.item() == 1.0


def test_checkpoints_keep_the_newest_and_ignore_what_a_killed_run_left(tmp_path: Path):
    for step in (1, 2, 3):
        state = checkpoint.Checkpoint(step, checkpoint.pack({"model": {"w": torch.full((2,), step)}}), {"best": None})
        checkpoint.save(tmp_path, state, keep=2)
    (tmp_path / ".step-00000009.part").mkdir()
    (tmp_path / "step-00000008").mkdir()  # without files: not whole
    newest = checkpoint.latest(tmp_path)
    assert newest is not None
    assert newest.name == "step-00000003"
    assert not (tmp_path / ".step-00000009.part").exists()
    assert not (tmp_path / "step-00000001").exists()
    loaded = checkpoint.load(newest)
    assert checkpoint.unpack(loaded.tensors, "model")["w"].tolist() == [3, 3]


def test_a_damaged_checkpoint_is_named(tmp_path: Path):
    path = checkpoint.save(tmp_path, checkpoint.Checkpoint(1, {"a": torch.ones(1)}, {}))
    (path / checkpoint.TENSORS).write_bytes(b"nothing")
    with pytest.raises(SleepcliError, match="step-00000001"):
        checkpoint.load(path)
