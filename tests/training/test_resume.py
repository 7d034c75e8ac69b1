"""What a run that goes on must have in common with its start."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from core.errors import SleepcliError, UsageError  # noqa: E402
from training.loop import train  # noqa: E402
from training.options import TrainOptions  # noqa: E402
from training.resume import difference  # noqa: E402


def wishes(stores: tuple[Path, ...], out: Path, **other: object) -> TrainOptions:
    given: dict[str, object] = {"preset": "tiny", "max_steps": 1, "batch_size": 8, "validation_epochs": 8, "threads": 1}
    return TrainOptions(stores, out, device="cpu", held_out=0.34, **{**given, **other})  # type: ignore[arg-type]


def test_a_run_goes_on_longer_and_slower_but_not_with_another_batch_or_seed(stores: tuple[Path, ...], tmp_path: Path):
    out = tmp_path / "run"
    list(train(wishes(stores, out)))
    with pytest.raises(UsageError, match="begun with batch_size 8, not 16"):
        list(train(wishes(stores, out, batch_size=16)))
    with pytest.raises(UsageError, match=r"begun with without_events \[\], not \['arousal'\]"):
        list(train(wishes(stores, out, without_events=("arousal",))))
    done = list(train(wishes(stores, out, max_steps=2, learning_rate=1e-4)))
    assert done[0].step == 1
    assert done[-1].step == 2


def test_what_differs_is_named_inside_its_table():
    before = {"weights": {"caption": 1.0, "old": 2}, "max_steps": 3, "gone": 1}
    assert difference(before, {"weights": {"caption": 0.5}, "max_steps": 9}) == ("weights.caption", 1.0, 0.5)
    assert difference(before, {"weights": {"caption": 1.0}, "new": 1}) is None


def test_one_run_at_a_time_in_a_folder(stores: tuple[Path, ...], tmp_path: Path):
    first = train(wishes(stores, tmp_path / "run", max_steps=3))
    assert next(first).step == 0
    with pytest.raises(SleepcliError, match="run"):
        list(train(wishes(stores, tmp_path / "run", max_steps=3)))
    first.close()
    assert list(train(wishes(stores, tmp_path / "run", max_steps=1)))[-1].step == 1
