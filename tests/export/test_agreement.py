"""What int8 does to stages and captions is measured, written down, and refused where it is too much."""

import json
import shutil
from pathlib import Path

import pytest

from core.errors import ModelError
from core.inference.bundle import load_bundle
from export import agreement as room
from export.agreement import Agreement, agreement, refuse_below
from export.publish import ExportEvent, ExportOptions, export_run

Exported = tuple[Path, list[ExportEvent]]
SAME = Agreement(30, 150, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)


@pytest.fixture(autouse=True)
def short_night(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "HOURS", 0.4)


@pytest.fixture(scope="module")
def int8(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    out = tmp_path_factory.mktemp("lower") / "tiny"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "HOURS", 0.4)
        return out, list(export_run(run_folder, out, ExportOptions(precision="int8", least_agreement=0.0)))


def test_a_bundle_agrees_with_its_copy(exported: Exported, tmp_path: Path) -> None:
    found = agreement(exported[0], shutil.copytree(exported[0], tmp_path / "copy"))
    assert found.epochs == 12
    assert found.captions == 60
    assert (found.stage_kappa, found.captions_equal, found.neighbour_kept) == (1.0, 1.0, 1.0)
    assert found.embedding_cosine_least == pytest.approx(1.0, abs=1e-6)


def test_what_int8_changes_stands_in_the_bundle_and_nothing_else_is_left(int8: Exported) -> None:
    out, events = int8
    told = json.loads((out / "bundle.json").read_text())["precision_agreement"]
    assert told == next(event.agreement for event in events if event.agreement is not None).to_json()
    assert 0.9 < told["embedding_cosine_least"] < 1.0
    assert told["simulated_night"] == {"seed": room.SEED, "hours": 0.4}
    assert 0.0 <= told["captions_equal"] <= 1.0
    assert load_bundle(out).precision == "int8"
    assert not [path.name for path in out.iterdir() if path.name.startswith(".")]


def test_int8_that_says_something_else_is_refused(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "_kappa", lambda one, other: 0.5)  # a network that int8 harms takes long to train
    with pytest.raises(ModelError, match=r"stages .* 0\.500 only, less than 0\.9"):
        list(export_run(run_folder, tmp_path / "out", ExportOptions(precision="int8")))
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    ("name", "value"), [("stage_kappa", 0.89), ("facts_agree", 0.5), ("stage_kappa", float("nan"))]
)
def test_stages_and_facts_are_judged(name: str, value: float) -> None:
    figures = {field: getattr(SAME, field) for field in SAME.__dataclass_fields__}
    with pytest.raises(ModelError, match="Nothing was published"):
        refuse_below(Agreement(**figures | {name: value}), 0.9, "int8")
    refuse_below(Agreement(**figures | {name: None}), 0.9, "int8")
