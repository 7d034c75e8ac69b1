"""De-identified copies: no original string anywhere, every sample as it was, and still valid EDF+."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyedflib
import pytest

from core.errors import StudyError, UsageError
from core.psg.deidentify import DeidentifyOptions, deidentify, standard_text
from core.psg.recording import open_recording
from tests.core.psg.edf_files import Signal, annotation_signal, ramp, time_keeping

Write = Callable[..., Path]
CLIP = Path(__file__).resolve().parents[3] / "../shared/data/edf/sleep_edf_clip.edf"
SECRETS = (
    *("MRN-4711", "Jane", "Roe", "01-JAN-1970", "PSG-17/2021", "Nurse_Miller", "Recorder9000", "SN-778899"),
    *("restless", "Dr. Adler", "calls", "Ward 3", "vendor trailer", "hidden"),
)
PATIENT = "MRN-4711 F 01-JAN-1970 Jane_Roe"
RECORDING = "Startdate 02-MAR-2021 PSG-17/2021 Nurse_Miller Recorder9000"


def night(write_edf: Write, plus: str = "+C", bdf: bool = False, **options: object) -> Path:
    family = "BDF" if bdf else "EDF"
    fields = {"transducer": "AgAgCl SN-778899", "prefilter": "HP:0.1Hz LP:75Hz N:50Hz Dr. Adler", "reserved": "Ward 3"}
    signals = [
        Signal("EEG C3-M2", ramp(4, 32, bits=24 if bdf else 16), fields),
        Signal("SpO2 Roe", ramp(4, 2, 5), {"unit": "%\x00hidden"}),
        Signal("Flow", ramp(4, 8, 6), {"prefilter": "Jane was restless"}),
    ]
    if plus:
        onsets = ["+0.25", "+1.25", "+2.25", "+3.25"] if plus == "+C" else ["+0", "+1", "+61", "+62"]
        lists = [
            b"+0\x1530\x14Sleep stage 4\x14\x00+0.5\x14Jane calls the nurse\x14\x00",
            b"+1.5\x1512.5\x14OA\x14Patient Roe restless\x14\x00",
            b"+2\x14Lights off - Dr. Adler\x14\x00\x00\x00hidden",
            b"+3\x153\x14EEG arousal Jane\x14\x00",
        ]
        signals.insert(1, annotation_signal(time_keeping(onsets, lists), 40, bdf))
    reserved = f"{family}{plus} vendor" if plus else ("24BIT hidden" if bdf else "hidden")
    values = {"patient": PATIENT, "recording": RECORDING, "reserved": reserved, "tail": b"vendor trailer", **options}
    return write_edf(signals, name=f"night.{family.lower()}", bdf=bdf, **values)


@pytest.mark.parametrize("bdf", [False, True])
@pytest.mark.parametrize("plus", ["", "+C", "+D"])
def test_no_original_string_is_left_and_every_sample_is_as_it_was(
    write_edf: Write, tmp_path: Path, plus: str, bdf: bool
) -> None:
    source = night(write_edf, plus, bdf)
    target = tmp_path / "out" / source.name
    result = deidentify(source, target)
    content = target.read_bytes()
    for secret in SECRETS:
        assert secret.encode() not in content
        assert secret.lower().encode() not in content.lower()
    before, after = open_recording(source), open_recording(target)
    assert [s.label for s in after.signals] == ["EEG C3-M2", "SpO2", "Flow"]
    assert [s.unit for s in after.signals] == ["uV", "%", "uV"]
    assert (after.start, after.duration, after.gaps) == (before.start, before.duration, before.gaps)
    assert after.format == before.format
    assert after.repairs == ()
    for index in range(3):
        np.testing.assert_array_equal(after.read(index), before.read(index))
    assert result.trailing_bytes == len("vendor trailer")


def test_edfplus_annotations_that_name_stages_and_events_stay_in_standard_texts(
    write_edf: Write, tmp_path: Path
) -> None:
    result = deidentify(night(write_edf), tmp_path / "out.edf")
    found = open_recording(tmp_path / "out.edf").annotations
    assert [(a.onset, a.duration, a.text) for a in found] == [
        (-0.25, 30, "Sleep stage 4"),
        (1.25, 12.5, "Obstructive apnea"),
        (1.75, 0, "Lights off"),
        (2.75, 3, "EEG arousal"),
    ]
    assert (result.annotations_kept, result.annotations_removed) == (4, 2)
    bare = deidentify(night(write_edf), tmp_path / "bare.edf", DeidentifyOptions(keep_events=False))
    assert open_recording(tmp_path / "bare.edf").annotations == ()
    assert (bare.annotations_kept, bare.annotations_removed) == (0, 6)


def test_edfplus_2_1_3_identification_is_anonymous_and_pyedflib_accepts_it(write_edf: Write, tmp_path: Path) -> None:
    deidentify(night(write_edf), tmp_path / "out.edf", DeidentifyOptions(shift_days=-400))
    content = (tmp_path / "out.edf").read_bytes()
    assert content[8:88] == b"X X X X".ljust(80)
    assert content[88:168] == b"Startdate 27-JAN-2020 X X X".ljust(80)
    assert content[168:184] == b"27.01.2022.15.30"
    assert b"02-MAR" not in content
    assert b"HP:0.1Hz LP:75Hz N:50Hz" in content
    with pyedflib.EdfReader(str(tmp_path / "out.edf")) as reader:
        assert reader.getPatientName() == "X"
        assert reader.getStartdatetime().date() == dt.date(2020, 1, 27)
        assert len(reader.readAnnotations()[0]) == 4


def test_a_full_annotation_signal_moves_its_annotations_to_records_with_room(write_edf: Write, tmp_path: Path) -> None:
    lists = [b"+0\x14OA\x14CA\x14MA\x14PLM\x14LM\x14RERA\x14\x00", b"", b"", b"", b""]
    records = time_keeping(["+0", "+1", "+2", "+3", "+4"], lists)
    source = write_edf([Signal("ECG", ramp(5, 4)), annotation_signal(records, 19)], reserved="EDF+C")
    result = deidentify(source, tmp_path / "out.edf")
    found = open_recording(tmp_path / "out.edf")
    assert sorted(a.text for a in found.annotations) == sorted(
        ["Obstructive apnea", "Central apnea", "Mixed apnea", "Limb movement", "Limb movement", "RERA"]
    )
    assert result.annotations_kept == 6
    assert found.repairs == ()


def test_damaged_headers_are_written_repaired(write_edf: Write, tmp_path: Path) -> None:
    fields = {"digital_min": "hidden"}
    source = write_edf([Signal("ECG", ramp(5, 4), fields)], n_records="-1", header_bytes="hidden", start_date="hidden")
    result = deidentify(source, tmp_path / "out.edf")
    content = (tmp_path / "out.edf").read_bytes()
    assert b"hidden" not in content
    assert len(result.repairs) == 4
    after = open_recording(tmp_path / "out.edf")
    assert after.start == dt.datetime(1985, 1, 1, 22, 15, 30)
    np.testing.assert_array_equal(after.read(0), open_recording(source).read(0))


def test_start_time_that_cannot_be_read_becomes_the_anonymous_one(write_edf: Write, tmp_path: Path) -> None:
    source = write_edf([Signal("ECG", ramp(5, 4))], start_time="hidden")
    deidentify(source, tmp_path / "out.edf", DeidentifyOptions(shift_days=5))
    assert (tmp_path / "out.edf").read_bytes()[168:184] == b"01.01.8500.00.00"


@pytest.mark.parametrize(
    ("text", "standard"),
    [
        ("Sleep stage 3", "Sleep stage 3"),
        ("Sleep stage W Mr Smith", None),
        ("Movement time", "Sleep stage ?"),
        ("hypopnea (Adler)", None),
        ("central hypopnea (Adler)", "Hypopnea"),
        ("Lights On@@Jane", "Lights on"),
        ("Jane", None),
        ("Biocal: look left", None),
    ],
)
def test_standard_texts(text: str, standard: str | None) -> None:
    assert standard_text(text) == standard


@pytest.mark.skipif(not CLIP.exists(), reason="the shared data are not here")
def test_real_clip(tmp_path: Path) -> None:
    deidentify(CLIP, tmp_path / "clip.edf")
    content, original = (tmp_path / "clip.edf").read_bytes(), CLIP.read_bytes()
    assert content[2048:] == original[2048:]
    for word in (b"Female_33yr", b"Ag-AgCl", b"thermistors", b"enhanced cassette", b"Hold during"):
        assert word in original
        assert word not in content


def test_original_is_never_replaced_and_refusals_leave_nothing(write_edf: Write, tmp_path: Path) -> None:
    source = night(write_edf)
    with pytest.raises(UsageError, match="replace its original"):
        deidentify(source, source)
    with pytest.raises(UsageError, match="1985 to 2084"):
        deidentify(source, tmp_path / "out.edf", DeidentifyOptions(shift_days=-20000))
    with pytest.raises(UsageError, match="does not exist"):
        deidentify(tmp_path / "absent.edf", tmp_path / "out.edf")
    (tmp_path / "text.edf").write_text("no signals at all " * 99)
    with pytest.raises(StudyError, match="not an EDF or BDF file"):
        deidentify(tmp_path / "text.edf", tmp_path / "out.edf")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["night.edf", "text.edf"]


NAMES = ("Müller", "Planted", "Ødegård", "Łukasz", "O'Brien", "Zoë")
LABELS: tuple[Callable[[bytes], bytes], ...] = (
    lambda name: b"EEG " + name,
    lambda name: name + b"EEG",
    lambda name: b"C3-" + name + b"_x",
    lambda name: b"C3-M2",
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("coding", ["utf-8", "latin-1", "utf-16-le"])
def test_names_beyond_ascii_are_gone_from_every_field_in_every_coding(
    write_edf: Write, tmp_path: Path, name: str, coding: str
) -> None:
    try:
        raw = name.encode(coding)
    except UnicodeEncodeError:
        pytest.skip(f"{coding} does not have this name")
    lists = [b"+3\x155\x14" + raw + b" awake\x14\x00+4\x1510\x14Sleep stage N2 " + raw + b"\x14\x00\x00" + raw]
    codings = [name.encode(other) for other in ("utf-8", "utf-16-le", "utf-16-be")]
    for number, label in enumerate(LABELS):
        fields = {"transducer": raw, "prefilter": b"HP:0.1Hz " + raw, "reserved": raw, "unit": raw[:8]}
        keeper = annotation_signal(time_keeping([str(second) for second in range(8)], lists), 80)
        source = write_edf(
            [Signal(label(raw)[:16], ramp(8, 32), fields), keeper],
            name=f"n{number}.edf",
            patient=b"X M 01-JAN-1950 " + raw,
            recording=b"Startdate 02-MAR-2021 " + raw,
            reserved=b"EDF+C " + raw,
            tail=raw,
        )
        deidentify(source, tmp_path / "copy.edf")
        content = (tmp_path / "copy.edf").read_bytes()
        assert not any(found.lower() in content.lower() for found in (raw, *codings))
        np.testing.assert_array_equal(open_recording(tmp_path / "copy.edf").read(0), open_recording(source).read(0))


@pytest.mark.parametrize("unit", ["uV", "µV", "%", "cmH2O", "L/min", "1/min", "bpm", "mV", "degrees", "°C", "m/s2", ""])
def test_units_stay(write_edf: Write, tmp_path: Path, unit: str) -> None:
    source = write_edf([Signal("EEG C3-M2", ramp(4, 8), {"unit": unit})], patient="Miller John")
    deidentify(source, tmp_path / "copy.edf")
    assert open_recording(tmp_path / "copy.edf").signals[0].unit == unit


@pytest.mark.parametrize("label", ["Thorax", "EEG C3-M2", "Flow", "Leg L", "Position", "SpO2", "Pulse"])
def test_labels_stay_beside_patients_of_like_names(write_edf: Write, tmp_path: Path, label: str) -> None:
    source = write_edf([Signal(label, ramp(4, 8))], patient="X M X Flow Legrand Thor Eeg Posner")
    deidentify(source, tmp_path / "copy.edf")
    assert open_recording(tmp_path / "copy.edf").signals[0].label == label
