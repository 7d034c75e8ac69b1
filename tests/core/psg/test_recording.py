"""Reading EDF, EDF+ and BDF files, by the paragraphs of the specifications, with two other readers as oracles."""

import datetime as dt
import hashlib
import warnings
from collections.abc import Callable
from pathlib import Path

import mne
import numpy as np
import pyedflib
import pytest

from core.errors import StudyError, UsageError
from core.psg.recording import Annotation, Gap, Recording, open_recording
from tests.core.psg.edf_files import Signal, annotation_signal, edf_bytes, ramp, time_keeping

Write = Callable[..., Path]
CLIP = Path(__file__).resolve().parents[3] / "../shared/data/edf/sleep_edf_clip.edf"
HYPNOGRAM = CLIP.with_name("SC4001EC-Hypnogram.edf")


def physical(digital: np.ndarray, low: float, high: float, digital_low: float, digital_high: float) -> np.ndarray:
    return (digital - digital_low) / (digital_high - digital_low) * (high - low) + low


def repaired(recording: Recording, *words: str) -> bool:
    return any(all(word in repair for word in words) for repair in recording.repairs)


# EDF: the header


def test_edf_header_start_rates_units_and_physical_values(write_edf: Write) -> None:
    fast, slow = ramp(10, 256), ramp(10, 1, seed=2)
    limits = {"physical_min": "-400", "physical_max": "399.5", "digital_min": "-2048", "digital_max": "2047"}
    path = write_edf([Signal("EEG C3-M2", fast, limits), Signal("SpO2", slow, {"unit": "%"})])
    recording = open_recording(path)
    assert (recording.study, recording.format, recording.repairs) == ("night", "EDF", ())
    assert recording.start == dt.datetime(2021, 3, 2, 22, 15, 30)
    assert recording.duration == 10
    assert [(s.index, s.label, s.unit, s.rate, s.n_samples) for s in recording.signals] == [
        (0, "EEG C3-M2", "uV", 256.0, 2560),
        (1, "SpO2", "%", 1.0, 10),
    ]
    values = recording.read(0)
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, physical(fast.ravel(), -400, 399.5, -2048, 2047), rtol=1e-6, atol=1e-4)
    np.testing.assert_allclose(recording.read(1), physical(slow.ravel(), -100, 100, -32768, 32767), atol=1e-4)
    assert recording.content_hash == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("date", "time", "start", "word"),
    [
        ("31.12.85", "23.59.59", dt.datetime(1985, 12, 31, 23, 59, 59), ""),
        ("01.01.84", "00.00.00", dt.datetime(2084, 1, 1), ""),
        ("1/2/20", "1:02:03", dt.datetime(2020, 2, 1, 1, 2, 3), ""),
        ("04.24.89", "16.13.00", dt.datetime(1989, 4, 24, 16, 13), "exchanged"),
        ("31.02.10", "22.00.00", dt.datetime(1985, 1, 1, 22), "not a date"),
        ("00.00.00", "22.00.00", dt.datetime(1985, 1, 1, 22), "not a date"),
        ("", "22.00.00", dt.datetime(1985, 1, 1, 22), "not a date"),
        ("02.03.21", "25.00.00", None, "no clock"),
        ("02.03.21", "", None, "no clock"),
    ],
)
def test_edf_header_dates(write_edf: Write, date: str, time: str, start: dt.datetime | None, word: str) -> None:
    recording = open_recording(write_edf([Signal("ECG", ramp(3, 8))], start_date=date, start_time=time))
    assert recording.start == start
    assert repaired(recording, word) if word else recording.repairs == ()


def test_edf_header_decimal_commas(write_edf: Write) -> None:
    data = ramp(4, 64)
    limits = {"physical_min": "-312,5", "physical_max": "312,4"}
    recording = open_recording(write_edf([Signal("EEG C3", data, limits)], record_duration="0,5"))
    assert recording.signals[0].rate == 128
    np.testing.assert_allclose(recording.read(0), physical(data.ravel(), -312.5, 312.4, -32768, 32767), atol=1e-4)
    assert repaired(recording, "decimal comma")


@pytest.mark.parametrize(
    ("raw", "label"),
    [
        ("Rückenlage".encode("latin-1"), "Rückenlage"),
        ("Rückenlage".encode(), "Rückenlage"),
        ("ééééééé".encode() + "éé".encode()[:1] + b" ", "ééééééé"),
        (b"EEG\x1b[31mC3\x00\x00", "EEG [31mC3"),
        ("Положени".encode()[:15] + b" ", "Положен"),
    ],
)
def test_edf_header_labels_beyond_ascii(write_edf: Write, raw: bytes, label: str) -> None:
    recording = open_recording(write_edf([Signal(raw.ljust(16)[:16], ramp(2, 4), {"unit": b"\xb5V"})]))
    assert recording.signals[0].label in (label, raw.decode("latin-1").strip())
    assert recording.signals[0].label.isprintable()
    assert recording.signals[0].unit == "µV"
    assert repaired(recording, "beyond ASCII")


def test_edf_header_with_another_version_is_read_by_its_length_and_said(write_edf: Write) -> None:
    recording = open_recording(write_edf([Signal("EEG", ramp(4, 8))], version="1.0"))
    assert repaired(recording, "version")
    assert recording.format == "EDF"
    with pytest.raises(StudyError, match="does not begin with an EDF header"):
        open_recording(write_edf([Signal("EEG", ramp(4, 8))], version="1.0", header_bytes="999"))


def test_edf_header_duplicate_labels_stay_apart(write_edf: Write) -> None:
    first, second = ramp(2, 8), ramp(2, 8, seed=9)
    recording = open_recording(write_edf([Signal("EEG", first), Signal("EEG", second)]))
    assert [s.label for s in recording.signals] == ["EEG", "EEG"]
    assert repaired(recording, "2 signals are labelled EEG")
    assert not np.array_equal(recording.read(0), recording.read(1))


def test_edf_header_more_than_64_signals(write_edf: Write) -> None:
    data = [ramp(2, 4, seed=i) for i in range(300)]
    recording = open_recording(write_edf([Signal(f"E{i}", d) for i, d in enumerate(data)]))
    assert len(recording.signals) == 300
    np.testing.assert_allclose(recording.read(299), physical(data[299].ravel(), -100, 100, -32768, 32767), atol=1e-4)


def test_edf_header_signals_without_samples_are_left_out(write_edf: Write) -> None:
    recording = open_recording(write_edf([Signal("Empty", ramp(2, 0)), Signal("ECG", ramp(2, 4))]))
    assert [(s.index, s.label) for s in recording.signals] == [(0, "ECG")]
    assert recording.read(0).shape == (8,)
    assert repaired(recording, "without samples", "Empty")


# EDF: digital and physical limits


@pytest.mark.parametrize("limits", [("-131072", "131071"), ("-8388608", "8388607"), ("32767", "-32768")])
def test_edf_digital_limits_beyond_16_bits_scale_as_they_stand(write_edf: Write, limits: tuple[str, str]) -> None:
    data = ramp(5, 16)
    fields = {"digital_min": limits[0], "digital_max": limits[1]}
    recording = open_recording(write_edf([Signal("ECG", data, fields)]))
    expected = physical(data.ravel(), -100, 100, float(limits[0]), float(limits[1]))
    np.testing.assert_allclose(recording.read(0), expected, rtol=1e-5, atol=1e-4)
    assert repaired(recording, "digital limits", "ECG")


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"digital_min": "0", "digital_max": "0"}, "digital minimum and maximum"),
        ({"physical_min": "1", "physical_max": "1"}, "physical minimum and maximum"),
        ({"physical_min": "", "physical_max": "1"}, "unreadable"),
        ({"physical_max": "1e308"}, "out of range"),
        ({"physical_max": "nan"}, "unreadable"),
    ],
)
def test_edf_unusable_limits_give_digital_values_without_unit(
    write_edf: Write, fields: dict[str, str], word: str
) -> None:
    data = ramp(3, 16)
    recording = open_recording(write_edf([Signal("ECG", data, fields)]))
    np.testing.assert_array_equal(recording.read(0), data.ravel().astype(np.float32))
    assert recording.signals[0].unit == ""
    assert repaired(recording, word, "ECG")


def test_edf_inverted_physical_limits_invert_the_signal(write_edf: Write) -> None:
    data = ramp(3, 16)
    fields = {"physical_min": "100", "physical_max": "-100"}
    recording = open_recording(write_edf([Signal("ECG", data, fields)]))
    np.testing.assert_allclose(recording.read(0), -physical(data.ravel(), -100, 100, -32768, 32767), atol=1e-4)
    assert recording.repairs == ()


# EDF: data records


@pytest.mark.parametrize(
    ("stated", "word"),
    [("-1", "-1 (recording not closed)"), ("0", "above 0"), ("abc", "above 0"), ("9999", "says 9999"), ("4", "says 4")],
)
def test_edf_number_of_records_comes_from_the_file(write_edf: Write, stated: str, word: str) -> None:
    recording = open_recording(write_edf([Signal("ECG", ramp(7, 16))], n_records=stated))
    assert (recording.duration, recording.read(0).size) == (7, 112)
    assert repaired(recording, word)


def test_edf_truncated_in_mid_record(write_edf: Write) -> None:
    path = write_edf([Signal("ECG", ramp(7, 16)), Signal("SpO2", ramp(7, 2))])
    path.write_bytes(path.read_bytes()[:-5])
    recording = open_recording(path)
    assert recording.duration == 6
    assert [recording.read(i).size for i in (0, 1)] == [96, 12]
    assert repaired(recording, "ends inside data record 7")


def test_edf_still_growing_reads_what_was_there_when_opened(write_edf: Write) -> None:
    path = write_edf([Signal("ECG", ramp(7, 16))], n_records="-1")
    recording = open_recording(path)
    before = recording.read(0)
    with path.open("ab") as file:
        file.write(bytes(32 * 3 + 7))
    np.testing.assert_array_equal(recording.read(0), before)
    assert open_recording(path).duration == 10


def test_edf_that_shrinks_after_opening_is_refused(write_edf: Write) -> None:
    path = write_edf([Signal("ECG", ramp(7, 16))])
    recording = open_recording(path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(StudyError, match="shorter"):
        recording.read(0)


@pytest.mark.parametrize(
    ("text", "samples", "rate"),
    [("0.333333", 85, 255.0), ("1.001", 100, 100 / 1.001), ("0.0625", 16, 256.0), ("0.0390625", 10, 256.0)],
)
def test_edf_record_durations_that_are_not_whole_seconds(
    write_edf: Write, text: str, samples: int, rate: float
) -> None:
    recording = open_recording(write_edf([Signal("ECG", ramp(30, samples))], record_duration=text[:8]))
    assert recording.signals[0].rate == pytest.approx(rate, rel=1e-12 if text != "0.0390625" else 1e-5)
    assert recording.duration == pytest.approx(30 * samples / recording.signals[0].rate)


def test_edf_zero_record_duration_is_taken_as_one_second_and_said(write_edf: Write) -> None:
    recording = open_recording(write_edf([Signal("ECG", ramp(5, 128))], record_duration="0"))
    assert (recording.signals[0].rate, recording.duration) == (128, 5)
    assert repaired(recording, "lasts 0 s")


def test_edf_72_hours(write_edf: Write) -> None:
    records = 72 * 120
    path = write_edf([Signal("SpO2", ramp(records, 30)), Signal("Pleth", ramp(records, 30, 2))], record_duration="30")
    recording = open_recording(path)
    assert recording.duration == 72 * 3600
    assert recording.read(1).size == 72 * 3600


# EDF+ 2.1.1: the header; 2.1.3.4: the local recording identification


def test_edfplus_2_1_1_header_and_2_1_3_4_startdate_with_four_digit_year(write_edf: Write) -> None:
    records = time_keeping(["+0", "+1"])
    signals = [Signal("ECG", ramp(2, 16)), annotation_signal(records)]
    options = {"reserved": "EDF+C", "start_date": "02.03.yy", "recording": "Startdate 02-MAR-2085 X X X"}
    recording = open_recording(write_edf(signals, **options))
    assert recording.format == "EDF+C"
    assert recording.start == dt.datetime(2085, 3, 2, 22, 15, 30)
    assert [s.label for s in recording.signals] == ["ECG"]


# EDF+ 2.2.2: time-stamped annotation lists


def test_edfplus_2_2_2_annotations_onset_duration_and_several_texts(write_edf: Write) -> None:
    lists = b"+0.5\x152\x14Arousal\x14EEG arousal\x14\x00" + "-1.25\x14Für\x14\x00".encode()
    records = time_keeping(["+0", "+1", "+2"], [lists, b"+180\x14Lights off\x14\x00"])
    signals = [Signal("ECG", ramp(3, 16)), annotation_signal(records, 60)]
    recording = open_recording(write_edf(signals, reserved="EDF+C"))
    assert recording.annotations == (
        Annotation(-1.25, 0.0, "Für"),
        Annotation(0.5, 2.0, "Arousal"),
        Annotation(0.5, 2.0, "EEG arousal"),
        Annotation(180.0, 0.0, "Lights off"),
    )


def test_edfplus_2_2_2_annotations_agree_with_pyedflib(tmp_path: Path) -> None:
    path = tmp_path / "written.edf"
    with pyedflib.EdfWriter(str(path), 1, file_type=pyedflib.FILETYPE_EDFPLUS) as writer:
        writer.setSignalHeader(
            0,
            {
                "label": "EEG C3-M2",
                "dimension": "uV",
                "sample_frequency": 64,
                "physical_max": 500,
                "physical_min": -500,
                "digital_max": 32767,
                "digital_min": -32768,
                "transducer": "",
                "prefilter": "",
            },
        )
        writer.writeSamples([np.sin(np.arange(6400.0))])
        for onset in range(0, 90, 30):
            writer.writeAnnotation(onset, 30, "Sleep stage W")
    with pyedflib.EdfReader(str(path)) as reader:
        onsets, durations, texts = reader.readAnnotations()
    found = open_recording(path).annotations
    assert [(a.onset, a.duration, a.text) for a in found] == list(zip(onsets, durations, texts, strict=True))


def test_edfplus_2_2_3_annotations_in_several_signals(write_edf: Write) -> None:
    second = annotation_signal([b"+1\x14RERA\x14\x00", b""])
    signals = [Signal("ECG", ramp(2, 16)), annotation_signal(time_keeping(["+0", "+1"])), second]
    recording = open_recording(write_edf(signals, reserved="EDF+C"))
    assert recording.annotations == (Annotation(1.0, 0.0, "RERA"),)
    assert len(recording.signals) == 1


# EDF+ 2.2.4: time keeping of data records


def test_edfplus_2_2_4_the_first_record_tells_the_fraction_of_the_start(write_edf: Write) -> None:
    records = time_keeping(["+0.567", "+1.567"], [b"+1.067\x14RERA\x14\x00"])
    signals = [Signal("ECG", ramp(2, 16)), annotation_signal(records)]
    recording = open_recording(write_edf(signals, reserved="EDF+C"))
    assert recording.start == dt.datetime(2021, 3, 2, 22, 15, 30, 567000)
    assert recording.annotations[0].onset == pytest.approx(0.5)
    assert (recording.duration, recording.gaps) == (2, ())


def discontinuous(write_edf: Write, onsets: list[str], **options: str) -> tuple[Recording, np.ndarray]:
    data = ramp(len(onsets), 16)
    signals = [Signal("ECG", data), annotation_signal(time_keeping(onsets))]
    path = write_edf(signals, **{"reserved": "EDF+D", **options})
    return open_recording(path), physical(data, -100, 100, -32768, 32767)


def test_edfplus_2_2_4_gaps_lie_at_their_clock_time(write_edf: Write) -> None:
    recording, data = discontinuous(write_edf, ["+0", "+1", "+61.5", "+62.5", "+100"])
    assert recording.format == "EDF+D"
    assert recording.gaps == (Gap(2.0, 59.5), Gap(63.5, 36.5))
    assert recording.duration == 101
    values = recording.read(0)
    assert values.size == recording.signals[0].n_samples == 101 * 16
    expected = np.full(101 * 16, np.nan)
    for onset, row in zip((0, 1, 61.5, 62.5, 100), data, strict=True):
        expected[int(onset * 16) : int(onset * 16) + 16] = row
    np.testing.assert_allclose(values, expected, atol=1e-4)
    assert recording.repairs == ()


def test_edfplus_2_2_4_gap_shorter_than_a_sample_interval_never_overlaps(write_edf: Write) -> None:
    onsets = ["+0", "+1.0625", "+2.15", "+3.3", "+4.5"]
    recording, data = discontinuous(write_edf, onsets)
    values = recording.read(0)
    np.testing.assert_allclose(values[np.isfinite(values)], data.ravel(), atol=1e-4)


def test_edfplus_2_2_4_rounded_times_are_no_gaps(write_edf: Write) -> None:
    recording, _ = discontinuous(write_edf, ["+0", "+0.33", "+0.67", "+1", "+1.33"], record_duration="0.333333")
    assert recording.gaps == ()
    assert not np.isnan(recording.read(0)).any()


@pytest.mark.parametrize("bad", ["+900000", "-500", "+0", "noise"])
def test_edfplus_2_2_4_one_wrong_time_does_not_move_the_others(write_edf: Write, bad: str) -> None:
    recording, data = discontinuous(write_edf, ["+0", "+1", "+2", bad, "+4", "+14", "+15"])
    assert recording.gaps == (Gap(5.0, 9.0),)
    values = recording.read(0)
    np.testing.assert_allclose(values[np.isfinite(values)], data.ravel(), atol=1e-4)
    assert repaired(recording, "times of 1 data records")


@pytest.mark.parametrize("onsets", [["+0"] * 5, ["+0", "+0.7", "+1.4", "+2.1", "+2.8"]])
def test_edfplus_2_2_4_records_that_overlap_follow_each_other_and_that_is_said(
    write_edf: Write, onsets: list[str]
) -> None:
    recording, data = discontinuous(write_edf, onsets)
    np.testing.assert_allclose(recording.read(0), data.ravel(), atol=1e-4)
    assert recording.gaps == ()
    assert repaired(recording, "times of 4 data records lie inside the record before")


def test_edfplus_2_2_4_marked_continuous_but_with_gaps(write_edf: Write) -> None:
    recording, _ = discontinuous(write_edf, ["+0", "+1", "+60"], reserved="EDF+C")
    assert recording.gaps == (Gap(2.0, 58.0),)
    assert repaired(recording, "marked continuous")


def test_edfplus_2_2_4_times_weeks_apart_are_refused(write_edf: Write) -> None:
    with pytest.raises(StudyError, match="hours apart"):
        discontinuous(write_edf, ["+0", "+1", "+99999999"])


def test_edfplus_2_2_5_annotations_only_is_a_scoring_not_a_failed_study(write_edf: Write) -> None:
    path = write_edf(
        [annotation_signal([b"+0\x14\x14\x00+0\x1530\x14Sleep stage W\x14\x00"])], reserved="EDF+C", record_duration="0"
    )
    recording = open_recording(path)
    assert recording.is_scoring
    assert recording.signals == ()
    assert recording.duration == 30


def test_annotation_signal_in_a_file_not_marked_edfplus_is_read(write_edf: Write) -> None:
    signals = [Signal("ECG", ramp(2, 16)), annotation_signal(time_keeping(["+0", "+1"], [b"+1\x14RERA\x14\x00"]))]
    recording = open_recording(write_edf(signals))
    assert recording.format == "EDF+C"
    assert len(recording.annotations) == 1
    assert repaired(recording, "not marked EDF+")


# BDF


def test_bdf_24_bit_samples_agree_with_pyedflib(write_edf: Write) -> None:
    data = ramp(5, 64, bits=24)
    path = write_edf([Signal("EEG C3", data), Signal("Status", ramp(5, 64, 2, bits=24))], name="night.bdf", bdf=True)
    recording = open_recording(path)
    assert recording.format == "BDF"
    assert recording.repairs == ()
    with pyedflib.EdfReader(str(path)) as reader:
        for index in (0, 1):
            np.testing.assert_allclose(recording.read(index), reader.readSignal(index), rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(
        recording.read(0), physical(data.ravel(), -100, 100, -(2**23), 2**23 - 1), rtol=1e-6, atol=1e-5
    )


def test_bdfplus_gaps_and_annotations(write_edf: Write) -> None:
    records = time_keeping(["+0", "+10"], [b"+0.5\x14RERA\x14\x00"])
    signals = [Signal("EEG C3", ramp(2, 8, bits=24)), annotation_signal(records, bdf=True)]
    recording = open_recording(write_edf(signals, name="night.bdf", bdf=True, reserved="BDF+D"))
    assert recording.format == "BDF+D"
    assert recording.gaps == (Gap(1.0, 9.0),)
    assert [a.text for a in recording.annotations] == ["RERA"]


# second opinions on real files


@pytest.mark.skipif(not CLIP.exists(), reason="the shared data are not here")
def test_real_clip_agrees_with_pyedflib_and_mne() -> None:
    recording = open_recording(CLIP)
    assert recording.repairs == ()
    with pyedflib.EdfReader(str(CLIP)) as reader:
        assert reader.getStartdatetime() == recording.start
        for signal in recording.signals:
            assert reader.getSampleFrequency(signal.index) == signal.rate
            np.testing.assert_allclose(recording.read(signal.index), reader.readSignal(signal.index), atol=1e-4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        raw = mne.io.read_raw_edf(CLIP, include=["EEG Fpz-Cz"], verbose="ERROR")
        np.testing.assert_allclose(recording.read(0), raw.get_data()[0] * 1e6, atol=1e-3)


@pytest.mark.skipif(not HYPNOGRAM.exists(), reason="the shared data are not here")
def test_real_hypnogram_agrees_with_pyedflib() -> None:
    recording = open_recording(HYPNOGRAM)
    with pyedflib.EdfReader(str(HYPNOGRAM)) as reader:
        onsets, durations, texts = reader.readAnnotations()
    assert [(a.onset, a.duration, a.text) for a in recording.annotations] == list(
        zip(onsets, durations, texts, strict=True)
    )


def test_other_formats_are_read_through_mne(tmp_path: Path) -> None:
    info = mne.create_info(["C3", "ECG"], 64.0, ["eeg", "ecg"])
    data = np.random.default_rng(0).normal(size=(2, 640)) * 1e-5
    raw = mne.io.RawArray(data, info, verbose="ERROR")
    raw.set_meas_date(dt.datetime(2021, 3, 2, 22, tzinfo=dt.UTC))
    raw.set_annotations(mne.Annotations([2.0], [3.0], ["Sleep stage W"], raw.info["meas_date"]))
    raw.save(tmp_path / "night_raw.fif", fmt="double", verbose="ERROR")
    recording = open_recording(tmp_path / "night_raw.fif")
    assert [(s.label, s.unit, s.rate, s.n_samples) for s in recording.signals] == [
        ("C3", "V", 64.0, 640),
        ("ECG", "V", 64.0, 640),
    ]
    np.testing.assert_allclose(recording.read(1), data[1], rtol=1e-5, atol=1e-12)
    assert recording.annotations == (Annotation(2.0, 3.0, "Sleep stage W"),)
    assert recording.start == dt.datetime(2021, 3, 2, 22)
    assert len(recording.content_hash) == 64


# what is refused, in one sentence that names no field of the header


def header_only() -> bytes:
    return edf_bytes([Signal("ECG", ramp(1, 16))])[:512]


@pytest.mark.parametrize(
    ("content", "name", "match"),
    [
        (b"", "empty.edf", "is empty"),
        (b"0", "one.edf", "inside its EDF header"),
        (b"these are not the signals you look for\n" * 40, "text.edf", "not an EDF or BDF file"),
        (np.random.default_rng(0).bytes(5000), "random.edf", "not an EDF or BDF file"),
        (np.random.default_rng(0).bytes(5000), "random.xyz", "known format"),
        (header_only(), "header.edf", "header only"),
        (header_only()[:400], "cut.edf", "inside its EDF header"),
        (edf_bytes([Signal("ECG", ramp(1, 16))])[:-3], "part.edf", "no complete data record"),
        (edf_bytes([Signal("ECG", ramp(3, 0))], tail=bytes(9)), "none.edf", "zero length"),
        (edf_bytes([Signal("ECG", ramp(3, 4))], n_signals="9999"), "many.edf", "inside its EDF header"),
        (edf_bytes([Signal("ECG", ramp(3, 4), {"samples": "99999999"})]), "huge.edf", "no complete data record"),
        (edf_bytes([Signal("ECG", ramp(3, 4), {"samples": "x"})]), "odd.edf", "how many samples"),
        (edf_bytes([Signal("ECG", ramp(3, 4))], record_duration=""), "length.edf", "how long"),
        (edf_bytes([Signal("ECG", ramp(3, 4))], record_duration="-1"), "minus.edf", "how long"),
        (edf_bytes([Signal("ECG", ramp(3, 4))], record_duration="1e-9"), "fast.edf", "sampling rate"),
        (edf_bytes([Signal("ECG", ramp(3, 4))], record_duration="1e9"), "long.edf", "days"),
        (edf_bytes([], n_signals="0", tail=bytes(99)), "nothing.edf", "without signals"),
        (edf_bytes([annotation_signal([b""])], reserved="EDF+C"), "mute.edf", "neither signals nor annotations"),
        (b"\x00" * 3000, "night.set", "cannot be read by mne"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.endswith(("edf", "xyz", "set")) else "",
)
def test_refused_in_one_sentence(tmp_path: Path, content: bytes, name: str, match: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(StudyError, match=match) as caught:
        open_recording(tmp_path / name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_missing_files_and_folders_are_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        open_recording(tmp_path / "absent.edf")
    with pytest.raises(UsageError, match="folder"):
        open_recording(tmp_path)


def test_no_identifying_field_reaches_the_recording(write_edf: Write) -> None:
    secrets = {"patient": "MRN4711 F 01-JAN-1970 Jane_Roe", "recording": "Startdate 02-MAR-2021 A17 Tech_Doe Device9"}
    fields = {"transducer": "SN-778899", "digital_min": "0", "digital_max": "0"}
    text = repr(open_recording(write_edf([Signal("ECG", ramp(2, 4), fields)], n_records="-1", **secrets)))
    for secret in ("MRN4711", "Jane", "1970", "A17", "Tech", "Device9", "778899"):
        assert secret not in text
