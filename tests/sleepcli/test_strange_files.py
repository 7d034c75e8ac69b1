"""Files as labs have them, through the program: what people see, and what the outputs say."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import mne
import numpy as np
import pytest

from core.batch import Outcome, StudyInput, attempt
from sleepcli.run import DEBUG, talk
from tests.core.psg.edf_files import Signal, annotation_signal, edf_bytes, time_keeping
from tests.sleepcli.conftest import PLANTED, ROOT, Command
from tests.sleepcli.test_commands import assert_one_sentence, lines


def noise(label: str, records: int = 120, rate: int = 128, seed: int = 0, **fields: str) -> Signal:
    """A signal of 30 units of noise, a second a record."""
    values = 30 * np.random.default_rng(seed).standard_normal((records, rate))
    return Signal(label, np.clip(values * 327.68, -32768, 32767).astype(np.int32), dict(fields))


def hypnogram(path: Path, text: str = "Sleep stage 2") -> Path:
    """Write an EDF+ of annotations only: two epochs, and what a technician wrote."""
    lists = f"+0\x1530\x14{text}\x14\x00+30\x1530\x14{text}\x14\x00+40\x14{PLANTED} awoke\x14\x00".encode()
    signal = annotation_signal(time_keeping(["0"], [lists]), samples=150)
    path.write_bytes(edf_bytes([signal], reserved="EDF+C", record_duration="0", patient=PLANTED))
    return path


def test_a_file_of_annotations_is_a_scoring_and_no_failed_study(program: Command, tmp_path: Path) -> None:
    (tmp_path / "night.edf").write_bytes(edf_bytes([noise("EEG C3-M2", 60)]))
    scoring = hypnogram(tmp_path / "night-Hypnogram.edf")
    both = program("stage", tmp_path, "--out", tmp_path / "out")
    assert both.returncode == 0, both.stderr
    assert [row["study"] for row in lines(both)] == ["night"]
    assert lines(both)[0]["stages_from"] == "scoring"
    assert_one_sentence(program("stage", scoring), 3, "annotations only", "scoring")
    told = lines(program("info", scoring))[0]
    assert (told["format"], told["stages"]) == ("scoring", {"N2": 2})


def test_a_gap_is_unscored_at_its_clock_time(program: Command, tmp_path: Path) -> None:
    onsets = [str(second if second < 60 else second + 75) for second in range(120)]
    signals = [noise("EEG C3-M2"), annotation_signal(time_keeping(onsets))]
    (tmp_path / "gap.edf").write_bytes(edf_bytes(signals, reserved="EDF+D"))
    result = program("stage", "gap.edf")
    assert [row["stage"] == "?" for row in lines(result)] == [False, False, True, True, False, False]
    assert "75 s" in result.stderr
    assert lines(program("info", "gap.edf"))[0]["gaps"] == [{"onset": 60.0, "duration": 75.0}]


def planted_edf(path: Path, **fields: str) -> Path:
    """Write an EDF+ with a name in every field and annotation that can hold one."""
    texts = (f"{PLANTED} awake", f"Sleep stage {PLANTED}", f"Obstructive apnea {PLANTED}", f"Lights off {PLANTED}")
    lists = "".join(f"+{5 + number}\x1510\x14{text}\x14\x00" for number, text in enumerate(texts))
    everywhere = {"transducer": PLANTED, "prefilter": PLANTED, "reserved": PLANTED}
    eeg = noise("EEG C3-M2", **everywhere)
    keeper = annotation_signal(time_keeping([str(second) for second in range(120)], [lists.encode()]), 120)
    header = {"patient": f"X M 01-JAN-1950 {PLANTED}", "recording": f"Startdate 02-MAR-2021 {PLANTED} {PLANTED}"}
    path.write_bytes(edf_bytes([eeg, keeper], **{"reserved": "EDF+C", **header, **fields}))
    return path


def planted_fif(path: Path) -> Path:
    """Write a file of mne's own format with the name in its subject, its description and its annotations."""
    info = mne.create_info(["C3-M2", "C4-M1"], 128, "eeg")
    info["subject_info"] = {"his_id": PLANTED, "last_name": PLANTED, "first_name": PLANTED}
    info["description"] = info["experimenter"] = PLANTED
    raw = mne.io.RawArray(3e-5 * np.random.default_rng(1).standard_normal((2, 120 * 128)), info, verbose="ERROR")
    raw.set_annotations(mne.Annotations([1], [0], [f"{PLANTED} spoke"]))
    raw.save(path, verbose="ERROR")
    return path


@pytest.mark.parametrize("kind", ["edf", "edf broken", "fif"])
def test_no_name_of_a_patient_reaches_any_output(program: Command, tmp_path: Path, kind: str) -> None:
    damage = {"start_time": PLANTED[:8], "n_records": PLANTED[:8], "version": PLANTED[:8]} if "broken" in kind else {}
    path = planted_fif(tmp_path / "s_raw.fif") if kind == "fif" else planted_edf(tmp_path / "s.edf", **damage)
    out = tmp_path / "out"
    commands = (["info", path, "--quality"], ["stage", path], ["caption", path, "--out", out])
    for command in (*commands, ["prepare", path, "--out", out], ["--debug", "caption", path, "--scoring", path]):
        result = program(*command)
        assert "Planted" not in result.stdout + result.stderr, command
    written = [file for file in out.rglob("*") if file.is_file()]
    assert {file.suffix for file in written} >= {".jsonl", ".json", ".csv", ".npy"}
    for file in written:
        assert b"Planted" not in file.read_bytes(), file


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")
def test_a_pipe_gets_the_data_also_from_a_terminal(study: Path, tmp_path: Path) -> None:
    """The bar on a terminal's standard error must not take what goes to a file or a pipe."""
    terminal, side = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"}
    program = [sys.executable, "-c", "from sleepcli.app import app; app()", "info", str(study)]
    result = subprocess.run(
        program, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=side, text=True, timeout=120, check=True
    )
    os.close(side)
    os.close(terminal)
    assert lines(result)[0]["study"] == study.stem


def test_quality_tells_the_usable_share_of_each_channel(program: Command, tmp_path: Path) -> None:
    flat = Signal("ECG", np.zeros((120, 128), np.int32))
    (tmp_path / "flat.edf").write_bytes(edf_bytes([noise("EEG C3-M2"), flat]))
    channels = {row["target"]: row for row in lines(program("info", "flat.edf", "--quality"))[0]["channels"]}
    assert channels["EEG_C3"]["quality"] == {"ok": 1.0}
    assert channels["ECG"]["quality"] == {"flat": 1.0}
    assert "quality" not in channels["SPO2"]


def test_an_unexpected_failure_of_one_study_is_traced_with_debug_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def broken(item: StudyInput) -> Outcome:
        raise ZeroDivisionError(f"{PLANTED} {item}")

    row = attempt(broken, StudyInput(Path(__file__), "night"))  # type: ignore[arg-type]
    for debug in (False, True):
        DEBUG.set(debug)
        talk(row)
        told = capsys.readouterr().err
        assert "Unexpected ZeroDivisionError" in told
        assert ("in broken" in told) is debug
        assert PLANTED not in told.replace("raise ZeroDivisionError", "")
    DEBUG.set(False)


def test_info_tells_what_arrays_and_prepared_studies_hold(program: Command, tmp_path: Path) -> None:
    array = np.random.default_rng(0).standard_normal((3, 10, 1920)).astype(np.float32)
    array[:, 0] = 0
    np.save(tmp_path / "array.npy", array)
    states = {row["target"]: row["state"] for row in lines(program("info", "array.npy"))[0]["channels"]}
    assert (states["ECG"], states["EEG_C3"]) == ("missing", "ok")
    (tmp_path / "night.edf").write_bytes(edf_bytes([noise("EEG C3-M2")]))
    assert program("prepare", "night.edf", "--out", tmp_path).returncode == 0
    told = lines(program("info", "night.psg"))[0]
    assert (told["format"], told["epochs"]) == ("prepared from EDF", 4)
    assert_one_sentence(program("info", "night.psg", "--write-montage", "lab.toml"), 2, "prepared")


@pytest.mark.parametrize(
    ("rate", "unit", "cause"),
    [(16, "uV", "is sampled at 16 Hz, too slowly for an EEG"), (128, "mmHg", "is in mmHg, which is no unit of an EEG")],
)
def test_an_eeg_that_cannot_be_one_is_refused_with_the_cause(
    program: Command, tmp_path: Path, rate: int, unit: str, cause: str
) -> None:
    (tmp_path / "night.edf").write_bytes(edf_bytes([noise("EEG C3-M2", rate=rate, unit=unit)]))
    assert_one_sentence(program("stage", "night.edf"), 3, f"'EEG C3-M2' {cause}")
    channels = {row["target"]: row for row in lines(program("info", "night.edf"))[0]["channels"]}
    assert cause in channels["EEG_C3"]["reason"]


@pytest.mark.parametrize("name", ["night", "night.txt", "night.csv", "night.xml"])
def test_an_edf_is_a_study_whatever_it_is_called(program: Command, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(edf_bytes([noise("EEG C3-M2")]))
    assert lines(program("info", name))[0]["format"] == "EDF"
    assert len(lines(program("stage", name))) == 4


def test_a_copy_needs_a_name_of_its_own(program: Command, tmp_path: Path) -> None:
    study = planted_edf(tmp_path / "night.edf")
    before = study.read_bytes()
    (tmp_path / "hard.edf").hardlink_to(study)
    (tmp_path / "soft.edf").symlink_to(study)
    assert_one_sentence(program("deidentify", study, tmp_path), 2, "is a folder")
    for same in (study, tmp_path / "hard.edf", tmp_path / "soft.edf"):
        assert_one_sentence(program("deidentify", study, same), 2, "would replace its original")
    assert study.read_bytes() == before
    assert program("deidentify", study, tmp_path / "copy.edf").returncode == 0
    assert PLANTED.encode() not in (tmp_path / "copy.edf").read_bytes()


def test_position_codes_go_from_info_through_a_montage_and_a_wrong_one_is_told(
    program: Command, tmp_path: Path
) -> None:
    body = Signal("Body", np.repeat([6, 12, 9, 3], 30).reshape(120, 1).astype(np.int32), {"unit": ""})
    limits = {"physical_min": "0", "physical_max": "12", "digital_min": "0", "digital_max": "12"}
    body = Signal("Body", body.data, {**body.fields, **limits})
    flow = noise("Flow Patient", rate=16)
    signals = [noise("EEG C3-M2"), flow, noise("Effort THO", rate=16), noise("Effort ABD", rate=16), body]
    (tmp_path / "alice.edf").write_bytes(edf_bytes(signals))
    told = {
        row["target"]: row for row in lines(program("info", "alice.edf", "--write-montage", "lab.toml"))[0]["channels"]
    }
    assert told["POS"]["reason"] == "by its label; codes as in Philips Alice"
    assert '12 = "left"' in (tmp_path / "lab.toml").read_text()
    for extra in ([], ["--montage", "lab.toml"]):
        rows = lines(program("caption", "alice.edf", "--measured", *extra))
        texts = [row["captions"]["somatic"].lower() for row in rows]
        for place, (word, text) in enumerate(zip(("supine", "left", "prone", "right"), texts, strict=True)):
            assert word in text, (place, texts)
    (tmp_path / "lab.toml").write_text('[position]\ncodes = { 6 = "suppine" }\n')
    wrong = program("info", "alice.edf", "--montage", "lab.toml")
    assert_one_sentence(wrong, 2, "Did you mean 'supine'")
