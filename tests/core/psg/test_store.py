"""Prepared studies on disk: the same again, whole or refused."""

import json
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from core.errors import StudyError, UsageError
from core.psg.channels import CHANNELS, MODEL_CHANNELS
from core.psg.quality import State
from core.psg.scoring import Event, Scoring
from core.psg.store import PreparedStudy, is_store, open_store, write_store

N = 4


@pytest.fixture
def study() -> PreparedStudy:
    generator = np.random.default_rng(0)
    states = np.zeros((N, len(CHANNELS)), np.uint8)
    states[1, MODEL_CHANNELS.index("ECG")] = State.GAP
    states[2, MODEL_CHANNELS.index("ECG")] = State.ARTEFACT
    return PreparedStudy(
        study="n1", start=datetime(2021, 2, 3, 23, 4, 5), source_hash="ab" * 32,
        signals=generator.standard_normal((N, 10, 1920)).astype(np.float32),
        extras={"SPO2": generator.standard_normal((N, 1920)).astype(np.float32)},
        offset={"EEG_C3": 0.25}, scale={"EEG_C3": 21.5}, states=states, channel_map={"channels": [{"target": "ECG"}],
        "unused": ["µ"]}, repairs=("number of records set",), source_format="EDF+C", tables={"heart rate/mean":
        np.array([1.0, np.nan], np.float32)}, notes={"trends": [[0, "heart_rate"]]}, scoring=Scoring(("W", "N2", "?",
        "R"), (Event("arousal", 31.5, 4.0), Event("hypopnea", 60.0, 12.5, 0.75)), lights_off=10.0, source="x.xml"),
    )  # fmt: skip


def test_a_round_trip_keeps_everything(study: PreparedStudy, tmp_path: Path) -> None:
    folder = tmp_path / "n1.psg"
    write_store(study, folder)
    again = open_store(folder, verify=True)
    np.testing.assert_array_equal(again.signals, study.signals)
    np.testing.assert_array_equal(again.extras["SPO2"], study.extras["SPO2"])
    np.testing.assert_array_equal(again.tables["heart rate/mean"], study.tables["heart rate/mean"])
    np.testing.assert_array_equal(again.states, study.states)
    for name in (
        "study",
        "start",
        "source_hash",
        "offset",
        "scale",
        "channel_map",
        "repairs",
        "source_format",
        "notes",
        "scoring",
    ):
        assert getattr(again, name) == getattr(study, name)
    assert isinstance(again.signals, np.memmap)
    assert is_store(folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["n1.psg"]
    assert sorted(path.name for path in folder.iterdir()) == ["extras.npy", "signals.npy", "study.json", "tables.npz"]


def test_a_bare_study_round_trips(tmp_path: Path) -> None:
    bare = PreparedStudy("b", None, "", np.zeros((1, 10, 1920), np.float32), {}, {}, {}, np.ones((1, 11), np.uint8))
    write_store(bare, tmp_path / "b.psg")
    again = open_store(tmp_path / "b.psg")
    assert (again.start, again.scoring, again.extras, again.repairs) == (None, None, {}, ())
    assert again.stack(("SPO2",)).shape == (1, 1, 1920)


def test_writing_twice_is_the_same_bytes_and_replaces(study: PreparedStudy, tmp_path: Path) -> None:
    folder = tmp_path / "n1.psg"
    write_store(study, folder)
    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    (tmp_path / ".n1.psg.part").mkdir()
    (tmp_path / ".n1.psg.part" / "signals.npy").write_bytes(b"left by a killed run")
    write_store(study, folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["n1.psg"]


@pytest.mark.parametrize("name", ["signals.npy", "extras.npy", "tables.npz", "study.json"])
@pytest.mark.parametrize("damage", ["gone", "cut", "empty"])
def test_a_damaged_store_is_refused_in_one_sentence(
    study: PreparedStudy, tmp_path: Path, name: str, damage: str
) -> None:
    folder = tmp_path / "n1.psg"
    write_store(study, folder)
    path = folder / name
    content = path.read_bytes()
    path.unlink()
    if damage != "gone":
        path.write_bytes(content[: len(content) // 2] if damage == "cut" else b"")
    with pytest.raises(StudyError, match="damaged"):
        open_store(folder)


def test_a_flipped_byte_is_found_on_demand(study: PreparedStudy, tmp_path: Path) -> None:
    folder = tmp_path / "n1.psg"
    write_store(study, folder)
    content = bytearray((folder / "signals.npy").read_bytes())
    content[5000] ^= 1
    (folder / "signals.npy").write_bytes(content)
    open_store(folder)
    with pytest.raises(StudyError, match=r"signals\.npy is not what was written"):
        open_store(folder, verify=True)


def test_another_version_and_wrong_facts_are_refused(study: PreparedStudy, tmp_path: Path) -> None:
    folder = tmp_path / "n1.psg"
    write_store(study, folder)
    facts = json.loads((folder / "study.json").read_text())
    (folder / "study.json").write_text(json.dumps(facts | {"format": 9}))
    with pytest.raises(StudyError, match="format 9"):
        open_store(folder)
    (folder / "study.json").write_text(json.dumps(facts | {"n_epochs": 5}))
    with pytest.raises(StudyError, match="wrong shape"):
        open_store(folder)
    (folder / "study.json").write_text("[]")
    with pytest.raises(StudyError, match="damaged"):
        open_store(folder)
    with pytest.raises(StudyError, match="damaged"):
        open_store(tmp_path / "none.psg")


def test_what_is_a_store(tmp_path: Path) -> None:
    (tmp_path / "a.edf").touch()
    (tmp_path / ".b.psg.part").mkdir()
    assert [is_store(tmp_path / name) for name in ("a.edf", ".b.psg.part", "c.psg")] == [False, False, False]


def test_stack_takes_channels_and_rows(study: PreparedStudy) -> None:
    assert study.n_epochs == N
    picked = study.stack(("SPO2", "EEG_C3"), np.array([2, 0]))
    np.testing.assert_array_equal(picked[:, 0], study.extras["SPO2"][[2, 0]])
    np.testing.assert_array_equal(picked[:, 1], study.signals[[2, 0], 6])
    np.testing.assert_array_equal(study.stack(MODEL_CHANNELS, slice(1, 3)), study.signals[1:3])
    np.testing.assert_array_equal(study.stack((*MODEL_CHANNELS, "SPO2"))[:, :10], study.signals)
    with pytest.raises(UsageError, match="no channel 'EKG'"):
        study.stack(("EKG",))
    with pytest.raises(UsageError, match="no channel 'EKG'"):
        study.present(("EKG",))


def test_present_is_what_a_model_may_see(study: PreparedStudy) -> None:
    assert study.present(("ECG", "SPO2")).tolist() == [[1, 1], [0, 1], [1, 1], [1, 1]]
    assert study.present(("ECG",), np.array([1, 2])).tolist() == [[0], [1]]
    assert study.present(("ECG",)).dtype == np.float32
