"""From an EDF file to the models' input, and back."""

from datetime import datetime
from pathlib import Path

import mne
import numpy as np
import pyedflib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import StudyError
from core.psg.channels import CHANNELS, MODEL_CHANNELS, resolve
from core.psg.montage import Montage
from core.psg.preprocess import EPOCH_SAMPLES, load_traces, prepare, prepared_from_array, standard, traces_of
from core.psg.quality import State
from core.psg.recording import open_recording
from core.psg.store import PreparedStudy

CLIP = Path(__file__).resolve().parents[3] / "../shared/data/edf/sleep_edf_clip.edf"
EPOCHS = 6
COLUMN = {channel.name: column for column, channel in enumerate(CHANNELS)}


def night(rate: int, seed: int = 0) -> np.ndarray:
    """Pink-like noise in µV with a standard deviation of about 20."""
    white = np.random.default_rng(seed).standard_normal(EPOCHS * 30 * rate)
    return 20 * np.convolve(white, np.ones(4) / 2, "same")


def write(path: Path, rows: list[tuple[str, int, str, np.ndarray]]) -> Path:
    writer = pyedflib.EdfWriter(str(path), len(rows), file_type=pyedflib.FILETYPE_EDF)
    writer.setStartdatetime(datetime(2020, 5, 6, 22, 30))
    limits = [float(f"{np.abs(x).max() * 1.6:.1g}") for *_, x in rows]
    writer.setSignalHeaders(
        [
            {"label": label, "sample_frequency": rate, "dimension": unit, "digital_min": -32768, "digital_max": 32767,
             "physical_min": -limit, "physical_max": limit}
            for (label, rate, unit, x), limit in zip(rows, limits, strict=True)
        ]
    )  # fmt: skip
    writer.writeSamples([np.ascontiguousarray(x, dtype=np.float64) for _, _, _, x in rows])
    writer.close()
    return path


def prepared(path: Path, montage: Montage | None = None) -> PreparedStudy:
    recording = open_recording(path)
    channel_map = resolve(recording.signals, montage)
    return prepare(recording, channel_map, load_traces(recording, channel_map))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    time = np.arange(EPOCHS * 30 * 32) / 32
    return write(
        tmp_path_factory.mktemp("whole") / "night.edf",
        [
            ("EEG C3-M2", 256, "uV", night(256)),
            ("EEG C4-M1", 200, "uV", night(200, 1)),
            ("EOG E1-M2", 128, "mV", night(128, 2) / 1000),
            ("EMG chin", 512, "V", night(512, 3) / 1e6),
            ("ECG", 256, "mV", night(256, 4) / 100),
            ("Thorax", 32, "", np.sin(2 * np.pi * 0.25 * time)),
            ("SpO2", 1, "%", np.repeat([97.0, 96, 95, 0, 127, 90], 30)),
            ("Position", 1, "", np.repeat([2.0, 2, 1, 1, 0, 3], 30)),
        ],
    )


def test_shape_order_and_scale(whole: Path) -> None:
    study = prepared(whole)
    assert study.signals.shape == (EPOCHS, 10, EPOCH_SAMPLES)
    assert study.signals.dtype == np.float32
    assert (study.start, study.study, study.source_format) == (datetime(2020, 5, 6, 22, 30), "night", "EDF")
    for name in ("EEG_C3", "EEG_C4", "EOG_L", "EMG_CHIN", "ECG", "THX"):
        channel = study.signals[:, MODEL_CHANNELS.index(name)]
        assert channel.mean() == pytest.approx(0, abs=1e-3)
        assert channel.std() == pytest.approx(1, abs=1e-2)
        assert np.abs(channel).max() <= 6
    for name in ("ABD", "AF", "EOG_R"):
        assert (study.signals[:, MODEL_CHANNELS.index(name)] == 0).all()
        assert (study.states[:, COLUMN[name]] == State.MISSING).all()


def test_stored_values_are_the_filtered_signal_in_its_unit(whole: Path) -> None:
    study = prepared(whole)
    with pyedflib.EdfReader(str(whole)) as reader:
        raw = reader.readSignal(0)
    second = mne.filter.filter_data(raw, 256.0, 1.0, 24.0, verbose="error")[::4]
    ours = study.stack(("EEG_C3",)).reshape(-1) * study.scale["EEG_C3"] + study.offset["EEG_C3"]
    ours = mne.filter.filter_data(ours.astype(float), 64.0, 1.0, 24.0, verbose="error")
    inner = slice(64 * 10, -64 * 10)
    assert np.corrcoef(ours[inner], second[inner])[0, 1] > 0.995
    assert ours[inner].std() == pytest.approx(second[inner].std(), rel=0.03)


def test_voltages_are_canonical_in_the_traces(whole: Path) -> None:
    recording = open_recording(whole)
    traces = load_traces(recording, resolve(recording.signals))
    spread = {name: float(np.nanstd(trace.samples)) for name, trace in traces.items()}
    for name in ("EEG_C3", "EEG_C4", "EOG_L", "EMG_CHIN"):
        assert spread[name] == pytest.approx(20, rel=0.05)
    assert spread["ECG"] == pytest.approx(0.2, rel=0.05)
    assert traces["EMG_CHIN"].rate == 512
    assert set(traces) == {"EEG_C3", "EEG_C4", "EOG_L", "EMG_CHIN", "ECG", "THX", "SPO2", "POS"}


def test_only_the_channels_that_are_needed_are_read(whole: Path) -> None:
    recording = open_recording(whole)
    channel_map = resolve(recording.signals)
    traces = load_traces(recording, channel_map, ("EEG_C3", "ABD"))
    assert set(traces) == {"EEG_C3"}
    assert prepare(recording, channel_map, traces).states[0, COLUMN["ECG"]] == State.MISSING


def test_saturation_is_held_and_no_finger_is_said(whole: Path) -> None:
    study = prepared(whole)
    oxygen = study.extras["SPO2"] * 10 + 90
    assert oxygen[[0, 1, 2, 5]].mean(axis=1) == pytest.approx([97, 96, 95, 90], abs=0.05)
    assert (study.extras["SPO2"][3:5] == 0).all()
    assert study.states[3:5, COLUMN["SPO2"]].tolist() == [State.DISCONNECTED] * 2
    assert (study.scale["SPO2"], study.offset["SPO2"]) == (10.0, 90.0)


def test_position_is_a_code_only(whole: Path) -> None:
    position = prepared(whole).signals[:, MODEL_CHANNELS.index("POS")]
    assert set(np.unique(position)) <= {0.0, 1.0, 2.0, 3.0}
    assert np.round(position.mean(axis=1)).tolist() == [2, 2, 1, 1, 0, 3]


def test_a_missing_position_is_minus_one(tmp_path: Path) -> None:
    study = prepared(write(tmp_path / "a.edf", [("EEG C3-M2", 128, "uV", night(128))]))
    assert (study.signals[:, MODEL_CHANNELS.index("POS")] == -1).all()
    assert study.states[0].tolist() == [State.OK if c.name == "EEG_C3" else State.MISSING for c in CHANNELS]


def test_a_separate_mastoid_is_subtracted(tmp_path: Path) -> None:
    brain, mains = night(128), 300 * np.sin(2 * np.pi * 9 * np.arange(EPOCHS * 30 * 128) / 128)
    path = write(tmp_path / "a.edf", [("C3", 128, "uV", brain + mains), ("M2", 128, "uV", mains)])
    recording = open_recording(path)
    channel_map = resolve(recording.signals)
    trace = load_traces(recording, channel_map)["EEG_C3"]
    assert channel_map.source("EEG_C3").derivation == "C3-M2"
    np.testing.assert_allclose(trace.samples, brain, atol=0.1)


def test_a_wrong_unit_is_a_repair_in_words(tmp_path: Path) -> None:
    study = prepared(
        write(tmp_path / "a.edf", [("EEG C3-M2", 128, "V", night(128)), ("SpO2", 1, "", np.full(180, 0.95))])
    )
    assert study.scale["EEG_C3"] == pytest.approx(20, rel=0.2)
    assert any("EEG_C3" in repair and "µV" in repair for repair in study.repairs)
    assert any("SPO2" in repair and "fraction" in repair for repair in study.repairs)


def test_a_montage_unit_wins(tmp_path: Path) -> None:
    path = write(tmp_path / "a.edf", [("EEG C3-M2", 128, "uV", night(128))])
    plain, louder = prepared(path), prepared(path, Montage(units={"EEG_C3": "mV"}))
    assert louder.scale["EEG_C3"] == pytest.approx(1000 * plain.scale["EEG_C3"], rel=1e-4)
    assert louder.repairs == ()


def test_artefact_does_not_set_the_scale(tmp_path: Path) -> None:
    clean, loud = night(128), night(128)
    loud[30 * 128 : 60 * 128] *= 100
    first = prepared(write(tmp_path / "a.edf", [("EEG C3-M2", 128, "uV", clean)]))
    second = prepared(write(tmp_path / "b.edf", [("EEG C3-M2", 128, "uV", loud)]))
    assert second.scale["EEG_C3"] == pytest.approx(first.scale["EEG_C3"], rel=0.05)
    assert np.abs(second.signals).max() == 6


def test_scale_of_a_gaussian_is_its_mean_and_deviation() -> None:
    epochs = np.random.default_rng(0).normal(3, 7, (8, EPOCH_SAMPLES)).astype(np.float32)
    mean, deviation = standard(epochs, np.zeros(epochs.shape, bool), np.zeros(8, np.uint8))
    assert (mean, deviation) == (pytest.approx(epochs.mean(), rel=1e-5), pytest.approx(epochs.std(), rel=1e-5))


def test_a_constant_channel_is_zeros(tmp_path: Path) -> None:
    study = prepared(
        write(tmp_path / "a.edf", [("EEG C3-M2", 128, "uV", night(128)), ("Flow", 32, "", np.full(180 * 32, 5.0))])
    )
    assert (study.signals[:, MODEL_CHANNELS.index("AF")] == 0).all()
    assert (study.states[:, COLUMN["AF"]] == State.FLAT).all()
    assert (study.present(("AF", "EEG_C3")) == [[0, 1]] * EPOCHS).all()


def test_too_short_and_nothing_usable(tmp_path: Path) -> None:
    short = write(tmp_path / "short.edf", [("EEG C3-M2", 128, "uV", night(128)[: 20 * 128])])
    with pytest.raises(StudyError, match="less than one epoch"):
        prepared(short)
    with pytest.raises(StudyError, match="no signal is one"):
        prepared(write(tmp_path / "none.edf", [("Snore", 128, "", night(128))]))


def test_an_incomplete_last_epoch_is_left_out(tmp_path: Path) -> None:
    assert prepared(write(tmp_path / "a.edf", [("EEG C3-M2", 128, "uV", night(128)[: 100 * 128])])).n_epochs == 3


def test_the_map_has_labels_and_nothing_else_of_the_header(whole: Path) -> None:
    rows = prepared(whole).channel_map["channels"]
    assert [row["target"] for row in rows] == [channel.name for channel in CHANNELS]
    assert set(rows[0]) == {
        "target",
        "signals",
        "derivation",
        "state",
        "reason",
        "rate",
        "unit",
        "labels",
        "unit_is_certain",
    }


def test_traces_come_back_from_a_prepared_study(whole: Path) -> None:
    study = prepared(whole)
    recording = open_recording(whole)
    native = load_traces(recording, resolve(recording.signals))
    back = traces_of(study)
    assert set(back) == set(native)
    assert all(trace.rate == 64 and trace.samples.size == EPOCHS * EPOCH_SAMPLES for trace in back.values())
    assert float(back["EMG_CHIN"].samples.std()) < 20  # only its band below 32 Hz is left
    assert float(back["EEG_C3"].samples.std()) == pytest.approx(study.scale["EEG_C3"], rel=1e-2)
    oxygen = back["SPO2"].samples.reshape(EPOCHS, -1)
    assert np.isnan(oxygen[3:5]).all()
    assert np.nanmin(oxygen) >= 89.9


def test_an_array_is_taken_as_it_is() -> None:
    array = np.random.default_rng(0).standard_normal((3, 10, EPOCH_SAMPLES)).astype(np.float32)
    array[:, 0] = 0
    array[1, 6] = 0
    array[:, 9] = -1
    study = prepared_from_array(array, "x")
    np.testing.assert_array_equal(study.signals, array)
    assert (study.states[:, COLUMN["ECG"]] == State.MISSING).all()
    assert (study.states[:, COLUMN["POS"]] == State.MISSING).all()
    assert study.states[:, COLUMN["EEG_C3"]].tolist() == [State.OK, State.MISSING, State.OK]
    assert (study.states[:, COLUMN["SPO2"]] == State.MISSING).all()
    assert "SPO2" not in traces_of(study)
    assert study.source_hash == prepared_from_array(array.astype(np.float64), "y").source_hash


@pytest.mark.parametrize("shape", [(10, 1920), (2, 9, 1920), (2, 10, 1919), (0, 10, 1920)])
def test_an_array_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(StudyError, match="Nx10x1920"):
        prepared_from_array(np.zeros(shape, np.float32), "x")


def test_an_array_with_nan_is_repaired_and_says_so() -> None:
    array = np.random.default_rng(0).standard_normal((1, 10, EPOCH_SAMPLES)).astype(np.float32)
    array[0, 6, 5] = np.nan
    study = prepared_from_array(array, "x")
    assert np.isfinite(study.signals).all()
    assert study.repairs


@settings(max_examples=15, deadline=None)
@given(rate=st.sampled_from([64, 100, 125, 256]), start=st.integers(0, 150), length=st.integers(1, 120))
def test_a_gap_changes_nothing_far_from_it(
    tmp_path_factory: pytest.TempPathFactory, rate: int, start: int, length: int
) -> None:
    path = write(tmp_path_factory.mktemp("gap") / "a.edf", [("EEG C3-M2", rate, "uV", night(rate))])
    recording = open_recording(path)
    channel_map = resolve(recording.signals)
    traces = load_traces(recording, channel_map)
    before = prepare(recording, channel_map, traces)
    traces["EEG_C3"].samples[start * rate : (start + length) * rate] = np.nan
    after = prepare(recording, channel_map, traces)
    assert np.isfinite(after.signals).all()
    a, b = (s.stack(("EEG_C3",)).reshape(-1) * s.scale["EEG_C3"] + s.offset["EEG_C3"] for s in (before, after))
    far = np.ones(a.size, bool)
    far[max(0, (start - 4) * 64) : (start + length + 4) * 64] = False
    if far.any() and (after.states[:, COLUMN["EEG_C3"]] == State.OK).any():
        assert np.abs(a - b)[far & (np.abs(a) < 5 * before.scale["EEG_C3"])].max(initial=0) < 3.0


@pytest.mark.skipif(not CLIP.exists(), reason="no ../shared/data")
def test_sleep_edf_clip() -> None:
    study = prepared(CLIP)
    assert study.n_epochs == 10
    present = [c.name for c in CHANNELS if (study.states[:, COLUMN[c.name]] == State.OK).all()]
    assert present == ["AF", "EOG_L", "EEG_C3"]
    rows = {row["target"]: row for row in study.channel_map["channels"]}
    assert (rows["EEG_C3"]["labels"], rows["EEG_C3"]["state"]) == (["EEG Fpz-Cz"], "substitute")
    assert 5 < study.scale["EEG_C3"] < 60
