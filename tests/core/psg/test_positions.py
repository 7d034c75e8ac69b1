"""Body position: who explains a recorder's codes, what they become, and what is said where nobody does."""

from pathlib import Path

import numpy as np
import pytest

from core.errors import UsageError
from core.psg.channels import resolve
from core.psg.mapping import map_recording, stated_codes
from core.psg.montage import read_montage, write_montage
from core.psg.position_codes import ASSUMED_CODES, POSITION_CODINGS, codes_of_names, coding_by_labels
from core.psg.positions import positions
from core.psg.preprocess import load_traces
from core.psg.recording import SignalInfo, open_recording
from core.psg.scoring import find_scoring
from tests.core.psg.edf_files import Signal, edf_bytes

NSRR = Path(__file__).resolve().parents[3] / "../shared/data/nsrr_annotations"
ALICE = ("EEG C3-A2", "Flow Patient", "Effort THO", "Effort ABD", "SpO2", "Body")


def study(folder: Path, codes: list[int], labels: tuple[str, ...] = ("Airflow",), position: str = "Position") -> Path:
    """Write an EDF of a minute whose last signal has one position code in each stretch of equal length."""
    rows = [
        Signal(label, np.random.default_rng(0).integers(-99, 99, (60, 16))) for label in labels if label != position
    ]
    course = np.repeat(np.array(codes), 60 // len(codes)).reshape(-1, 1)
    limits = {"physical_min": "0", "physical_max": "100", "digital_min": "0", "digital_max": "100", "unit": ""}
    path = folder / "night.edf"
    path.write_bytes(edf_bytes([*rows, Signal(position, course, limits)]))
    return path


def profusion(path: Path, *names: str, channel: str = "POSITION") -> Path:
    labels = "".join(f"<Label>{name}</Label>" for name in names)
    steps = f"<StepChannel><Input>{channel}</Input><Labels>{labels}</Labels></StepChannel>"
    light = "<StepChannel><Input>LIGHT</Input><Labels><Label>ON</Label><Label>OFF</Label></Labels></StepChannel>"
    path.write_text(
        f"<CMPStudyConfig><EpochLength>30</EpochLength><StepChannels>{light}{steps}</StepChannels>"
        "<SleepStages><SleepStage>0</SleepStage><SleepStage>2</SleepStage></SleepStages></CMPStudyConfig>"
    )
    return path


def lain(path: Path, montage: Path | None = None, scoring: Path | None = None) -> tuple[list[float], str, str]:
    """Give the positions in their order, why, and what was remarked."""
    recording = open_recording(path)
    found = map_recording(recording, read_montage(montage) if montage else None, scoring)
    trace = load_traces(recording, found, ("POS",))["POS"]
    order = trace.samples[np.insert(np.flatnonzero(np.diff(trace.samples)) + 1, 0, 0)]
    return order.tolist(), found.source("POS").reason, " ".join(trace.repairs)


def test_the_studys_own_profusion_file_names_its_codes(tmp_path: Path) -> None:
    path = study(tmp_path, [0, 1, 2, 3, 4])
    assumed, reason, remark = lain(path)
    assert (assumed, "assumed" in reason, "assumed" in remark) == ([0, 1, 2, 3, 4], True, True)
    given = profusion(tmp_path / "given.xml", "SUPINE", "LEFT", "PRONE", "RIGHT", "SIT", channel="Position")
    assert lain(path, scoring=given)[0] == [2, 1, 3, 0, 4]
    profusion(tmp_path / "night-profusion.xml", "RIGHT", "BACK", "LEFT", "FRONT", "UPRIGHT")
    found, reason, remark = lain(path)
    assert found == [0, 2, 1, 3, 4]
    assert "night-profusion.xml" in reason
    assert remark == ""
    (tmp_path / "lab.toml").write_text('[position]\ncodes = { 0 = "supine" }\n')
    found, reason, remark = lain(path, tmp_path / "lab.toml")
    assert (found, "by the montage" in reason, "80 %" in remark) == ([2, -1], True, True)


def test_a_profusion_file_may_be_utf_16(tmp_path: Path) -> None:
    path = study(tmp_path, [0, 1, 2])
    beside = profusion(tmp_path / "night.xml", "BACK", "LEFT", "RIGHT")
    text = '<?xml version="1.0" encoding="utf-16"?>' + beside.read_text()
    beside.write_bytes(text.encode("utf-16"))
    assert lain(path)[0] == [2, 1, 0]
    assert find_scoring(path) == beside


@pytest.mark.skipif(not NSRR.is_dir(), reason="shared data absent")
@pytest.mark.parametrize("name", ["learn-nsrr01.xml", "learn-nsrr02.xml"])
def test_profusion_files_of_shhs_say_what_its_documentation_says(name: str) -> None:
    stated = stated_codes(NSRR / name, ("Position",))
    assert stated is not None
    assert dict(stated.codes) == {0: 0, 1: 1, 2: 2, 3: 3}
    assert stated.codes == next(coding.codes for coding in POSITION_CODINGS if coding.name == "SHHS")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<CMPStudyConfig><StepChannel>",
        "<a/>",
        '<!DOCTYPE x [<!ENTITY a "b">]><CMPStudyConfig><StepChannel><Input>&a;</Input></StepChannel></CMPStudyConfig>',
        "<CMPStudyConfig><StepChannel><Input>POSITION</Input><Labels><Label>ON</Label></Labels></StepChannel>"
        "</CMPStudyConfig>",
        "<CMPStudyConfig><StepChannel><Input>LIGHT</Input><Labels><Label>LEFT</Label><Label>RIGHT</Label></Labels>"
        "</StepChannel></CMPStudyConfig>",
    ],
)
def test_an_xml_that_names_no_positions_changes_nothing(tmp_path: Path, text: str) -> None:
    path = study(tmp_path, [2, 1])
    (tmp_path / "night.xml").write_text(text)
    found, reason, _ = lain(path)
    assert found == [2, 1]
    assert "assumed" in reason


def test_philips_alice_is_known_by_its_labels_or_by_its_values(tmp_path: Path) -> None:
    path = study(tmp_path, [0, 3, 6, 9, 12], ALICE, "Body")
    found, reason, remark = lain(path)
    assert (found, remark) == ([4, 0, 2, 3, 1], "")
    assert "codes as in Philips Alice" in reason
    found, reason, remark = lain(study(tmp_path, [6, 12, 6, 9]))
    assert found == [2, 1, 2, 3]
    assert "Philips Alice, by their values" in remark
    # what such a file cannot mean stays unknown, and few low codes prove nothing
    assert lain(study(tmp_path, [1, 2], ALICE, "Body"))[0] == [-1]
    assert "none of the known codes" in lain(study(tmp_path, [1, 2], ALICE, "Body"))[2]
    assert lain(study(tmp_path, [0, 3]))[0] == [0, 3]
    assert lain(study(tmp_path, [6, 7, 12]))[0] == [-1]


def test_somnomedics_is_known_by_its_labels(tmp_path: Path) -> None:
    assert lain(study(tmp_path, [1, 2, 3, 4, 5, 6], ("PLMl", "PLMr"), "Lage"))[0] == [3, 4, 1, 0, -1, 2]


def test_the_simulators_own_codes_are_known() -> None:
    found = resolve([SignalInfo(0, "Position", "code", 1.0, 60)])
    assert found.source("POS").reason == "by its label; codes as sleepcli simulates them"
    assert found.position_codes == {code: code for code in range(5)}


def test_time_spent_in_a_position_never_decides(tmp_path: Path) -> None:
    most = lain(study(tmp_path, [0, 0, 0, 0, 0, 1]))
    assert most[0] == [0, 1]  # a night almost wholly on the right stays one


@pytest.mark.parametrize("coding", POSITION_CODINGS, ids=lambda coding: coding.name)
def test_every_coding_is_found_by_its_labels_and_by_name(tmp_path: Path, coding) -> None:  # type: ignore[no-untyped-def]
    assert coding_by_labels([f" {label.lower()} " for label in coding.labels]) is coding
    assert coding.source
    assert set(coding.codes.values()) <= {-1, 0, 1, 2, 3, 4}
    (tmp_path / "lab.toml").write_text(f'[position]\ncodes = "{coding.name.lower()}"\n')
    assert dict(read_montage(tmp_path / "lab.toml").position_codes) == dict(coding.codes)


def test_shhs_and_mesa_in_every_spelling() -> None:
    for second in ("EEG(sec)", "EEG (sec)", "EEG sec"):
        reason = (
            resolve(
                [
                    SignalInfo(i, label, "", 125.0, 7500)
                    for i, label in enumerate(("EEG", second, "Thor RES", "Abdo RES", "Position"))
                ]
            )
            .source("POS")
            .reason
        )
        assert reason == "by its label; codes as in SHHS"
    later = ("EEG1", "EEG2", "EEG3", "Flow", "Aux_AC", "OxStatus", "Pos")  # without the thermistor of the first months
    assert coding_by_labels(later).name == "MESA"  # type: ignore[union-attr]


def test_position_codes() -> None:
    codes, note = positions(np.array([0, 1, 2, 3, 4, -1, np.nan], np.float32), None)
    assert codes.tolist() == [0, 1, 2, 3, 4, -1, -1]
    assert note == ASSUMED_CODES
    assert positions(np.array([-1, np.nan], np.float32), None)[1] == ""
    unknown, note = positions(np.array([10, 20, 30, 10], np.float32), None)
    assert set(unknown.tolist()) == {-1.0}
    assert "[position]" in note


def test_names_of_codes_in_their_order() -> None:
    assert codes_of_names(["RIGHT", "LEFT", "BACK", "FRONT"]) == {0: 0, 1: 1, 2: 2, 3: 3}
    assert codes_of_names(["Unknown", "Left Side", "Supine", "Stomach", "Sitting", "Bed 7"]) == {
        0: -1, 1: 1, 2: 2, 3: 3, 4: 4,
    }  # fmt: skip
    assert codes_of_names(["ON", "OFF"]) is None
    assert codes_of_names(["LEFT"]) is None


def test_levels_in_volts(tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text(
        '[position]\ncodes = { "0.5" = "supine", "1.0" = "left", "1.5" = "prone", 2 = "right", "2.5" = "upright" }\n'
    )
    codes = read_montage(tmp_path / "lab.toml").position_codes
    volts = np.array([0.45, 0.98, 1.53, 2.1, 2.5, 1.25, np.nan], np.float32)
    assert positions(volts, codes)[0].tolist() == [2, 1, 3, 0, 4, -1, -1]


def test_the_side_of_positive_angles(tmp_path: Path) -> None:
    angle = np.concatenate([np.linspace(low, low + 20, 20) for low in (-10, 80, 170, -100)]).astype(np.float32)
    assumed, remark = positions(angle, None)
    assert assumed.reshape(4, 20).tolist() == [[2.0] * 20, [1.0] * 20, [3.0] * 20, [0.0] * 20]
    assert "assumed" in remark
    for side, expected in (("left", [2, 1, 3, 0]), ("right", [2, 0, 3, 1])):
        (tmp_path / "lab.toml").write_text(f'[position]\npositive = "{side}"\n')
        montage = read_montage(tmp_path / "lab.toml")
        found, remark = positions(angle, None, montage.positive_side)
        assert found.reshape(4, 20)[:, 0].tolist() == expected
        assert remark == ""
    few = np.array([0, 90, 180, -90], np.float32)  # rounded by the recorder: not told from codes without a montage
    assert set(positions(few, None)[0].tolist()) == {-1.0}
    assert positions(few, None, "left")[0].tolist() == [2, 1, 3, 0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('codes = { 1 = "suppine" }', "Did you mean 'supine'"),
        ('codes = { 1 = "sideways" }', "not known"),
        ('codes = { left = "left" }', "no number"),
        ('codes = { nan = "left" }', "no number"),
        ('codes = "Phillips Alice"', "Did you mean 'Philips Alice'"),
        ('positve = "left"', "Did you mean 'positive'"),
        ('positive = "up"', "no side"),
        ("codes = 3", "no table"),
        ('0 = "upsidedown"', "not known"),
        ('code = { 1 = "left" }', "Did you mean 'codes'"),
    ],
)
def test_a_mistake_in_the_montage_is_one_sentence(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "lab.toml").write_text(f"[position]\n{text}\n")
    with pytest.raises(UsageError, match=expected):
        read_montage(tmp_path / "lab.toml")


@pytest.mark.parametrize("named", [True, False])
def test_a_written_montage_keeps_what_is_known_of_the_position(tmp_path: Path, named: bool) -> None:
    path = study(tmp_path, [0, 3, 6, 9, 12], ALICE if named else ("Airflow",), "Body")
    lab = tmp_path / "lab.toml"
    write_montage(map_recording(open_recording(path)), lab)
    again = map_recording(open_recording(path), read_montage(lab))
    assert ("codes by the montage" in again.source("POS").reason) is named
    assert ("assumed" in again.source("POS").reason) is not named
    lab.write_text(lab.read_text().replace("# codes", "codes").replace("# positive", "positive"))
    assert read_montage(lab).position_codes  # the remarks of a written montage can be used as they stand


def test_codes_and_an_angle_at_once_are_codes() -> None:
    assert positions(np.array([1, 2], np.float32), {1: 2, 2: 3}, "right")[0].tolist() == [2, 3]


def test_whoever_lies_in_every_position_is_told_right() -> None:
    for coding in POSITION_CODINGS:
        raw = np.array(sorted(coding.codes), np.float32)
        assert positions(raw, coding.codes)[0].tolist() == [coding.codes[value] for value in raw.tolist()]
