from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.errors import StudyError, UsageError
from core.inference.captioning import CaptionOptions, caption_study
from core.inference.engine import Engine
from core.inference.studies import StudyOptions, measurements_of, open_measuring, open_study
from core.psg.scoring import Scoring, write_scoring
from core.psg.store import write_store

CLIP = Path(__file__).resolve().parents[3] / "../shared/data/edf/sleep_edf_clip.edf"
needs_clip = pytest.mark.skipif(not CLIP.is_file(), reason="real data is not there")


@pytest.fixture(scope="module")
def array(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("arrays") / "night.npy"
    values = np.random.default_rng(6).standard_normal((6, 10, 1920)).astype(np.float32)
    values[:, 0] = 0.0
    np.save(path, values)
    return path


@needs_clip
def test_an_edf_is_read_measured_and_captioned(engine: Engine) -> None:
    study = open_study(CLIP)
    rows = list(caption_study(study, engine))
    assert [row.epoch for row in rows] == list(range(10))
    for row in rows:
        assert {"ECG", "ABD", "THX", "SPO2"} <= {name for name, state in row.channels.items() if state == "missing"}
        assert row.captions["cardiac"].count("missing") == 1
        assert not any(character.isdigit() for character in row.captions["cardiac"])


@needs_clip
def test_a_prepared_study_gives_the_captions_of_its_edf(engine: Engine, tmp_path: Path) -> None:
    study = open_study(CLIP)
    write_store(study, tmp_path / "sleep_edf_clip.psg")
    prepared = open_study(tmp_path / "sleep_edf_clip.psg")
    assert [row.to_json() for row in caption_study(prepared, engine)] == [
        row.to_json() for row in caption_study(study, engine)
    ]


def test_an_array_is_taken_as_prepared(array: Path) -> None:
    study = open_study(array)
    assert study.study == "night"
    assert np.array_equal(study.signals, np.load(array))
    assert np.isnan(measurements_of(study).values["heart_rate_mean"]).all()


def test_measurements_can_be_left_for_later(array: Path) -> None:
    quick = open_study(array, StudyOptions(measured=False))
    assert quick.tables == {}
    whole = measurements_of(open_study(array))
    for name, values in measurements_of(quick).values.items():
        np.testing.assert_array_equal(values, whole.values[name])


def test_a_study_is_named_as_asked(array: Path) -> None:
    assert open_study(array, StudyOptions(study_id="S7")).study == "S7"


def test_a_scoring_given_by_hand_is_taken(array: Path, tmp_path: Path) -> None:
    stages = ("W", "N1", "N2", "N3", "R", "W")
    write_scoring(Scoring(stages, ()), tmp_path / "elsewhere.csv")
    study = open_study(array, StudyOptions(scoring=tmp_path / "elsewhere.csv"))
    assert study.scoring is not None
    assert study.scoring.stages == stages


def test_a_scoring_beside_the_study_is_found_or_left_alone(array: Path, tmp_path: Path) -> None:
    stages = ("W", "N1", "N2", "N3", "R", "W")
    path = tmp_path / "night.npy"
    path.write_bytes(array.read_bytes())
    write_scoring(Scoring(stages, ()), tmp_path / "night.csv")
    found = open_study(path).scoring
    assert found is not None
    assert found.stages == stages
    assert open_study(path, StudyOptions(look_for_scoring=False)).scoring is None


def test_a_scored_study_without_eeg_is_captioned(array: Path, engine: Engine, tmp_path: Path) -> None:
    values = np.load(array)
    values[:, 6:8] = 0.0
    np.save(tmp_path / "blind.npy", values)
    study = replace(open_study(tmp_path / "blind.npy"), scoring=Scoring(("N2",) * 6, ()))
    assert {row.stage for row in caption_study(study, engine, CaptionOptions())} == {"N2"}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.edf", None, "does not exist"),
        ("empty.edf", b"", "empty.edf"),
        ("noise.edf", bytes(range(256)) * 40, "noise.edf"),
        ("empty.npy", b"", "not a readable .npy"),
        ("noise.npy", b"\x93NUMPY\x01\x00garbage", "not a readable .npy"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path: Path, name: str, content: bytes | None, words: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(StudyError, match=words) as error:
        open_study(tmp_path / name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("shape", [(0, 10, 1920), (3, 9, 1920), (3, 10, 1900), (10, 1920)])
def test_an_array_of_another_shape_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "odd.npy", np.zeros(shape, np.float32))
    with pytest.raises(StudyError):
        open_study(tmp_path / "odd.npy")


def test_a_pickled_array_is_not_loaded(tmp_path: Path) -> None:
    np.save(tmp_path / "evil.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(StudyError, match=r"not a readable \.npy"):
        open_study(tmp_path / "evil.npy")


def test_measuring_beside_gives_what_measuring_first_gives(array: Path) -> None:
    study, measured = open_measuring(array)
    whole = measurements_of(open_study(array))
    assert study.tables == {}
    for name, values in measured().values.items():
        np.testing.assert_array_equal(values, whole.values[name])


def test_what_is_wrong_with_a_scoring_is_told_before_anything_is_measured(array: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        open_measuring(array, StudyOptions(scoring=tmp_path / "absent.csv"))
