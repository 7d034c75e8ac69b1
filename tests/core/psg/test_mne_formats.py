"""Formats that mne reads, each written by hand: the same night out of every one."""

import struct
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from importlib.util import find_spec
from pathlib import Path

import mne
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.io import savemat

from core.errors import StudyError, UsageError
from core.psg.alternatives import load_living
from core.psg.channels import resolve
from core.psg.formats import FORMATS as KNOWN
from core.psg.formats import format_suffix
from core.psg.preprocess import prepare
from core.psg.recording import open_recording

RATE, SECONDS = 128, 60
LABELS = ("EEG C3-M2", "ECG", "Effort THX", "SpO2", "Position")


def signals() -> NDArray[np.float64]:
    """An EEG and an ECG in µV, breathing, saturation in per cent, and a position code."""
    time = np.arange(RATE * SECONDS) / RATE
    random = np.random.default_rng(0)
    eeg = 30 * np.sin(2 * np.pi * 10 * time) + random.normal(0, 5, time.size)
    ecg = 900 * np.exp(-(((time % 0.8) - 0.4) ** 2) / 2e-4) + random.normal(0, 10, time.size)
    breathing = 50 * np.sin(2 * np.pi * 0.25 * time)
    return np.stack([eeg, ecg, breathing, np.full(time.size, 96.0), np.where(time < 30, 2.0, 1.0)])


def brainvision(folder: Path) -> Path:
    (folder / "night.eeg").write_bytes(signals().T.astype("<f4").tobytes())
    channels = "\n".join(f"Ch{number}={label},,1,µV" for number, label in enumerate(LABELS, 1))
    (folder / "night.vhdr").write_text(
        "Brain Vision Data Exchange Header File Version 1.0\n\n[Common Infos]\nCodepage=UTF-8\nDataFile=night.eeg\n"
        "MarkerFile=night.vmrk\nDataFormat=BINARY\nDataOrientation=MULTIPLEXED\n"
        f"NumberOfChannels={len(LABELS)}\nSamplingInterval={1e6 / RATE}\n\n"
        f"[Binary Infos]\nBinaryFormat=IEEE_FLOAT_32\n\n[Channel Infos]\n{channels}\n",
        encoding="utf-8",
    )
    (folder / "night.vmrk").write_text(
        "Brain Vision Data Exchange Marker File, Version 1.0\n\n[Common Infos]\nCodepage=UTF-8\nDataFile=night.eeg\n\n"
        "[Marker Infos]\nMk1=New Segment,,1,1,0,20210302221530000000\n"
        f"Mk2=Comment,Sleep stage N2,{30 * RATE + 1},{30 * RATE},0\n",
        encoding="utf-8",
    )
    return folder / "night.vhdr"


def eeglab(folder: Path) -> Path:
    places = np.array([(label,) for label in LABELS], dtype=[("labels", object)])
    events = np.array(
        [("Sleep stage N2", 30 * RATE + 1.0, 30.0 * RATE)], dtype=[(n, object) for n in ("type", "latency", "duration")]
    )
    data = signals().astype(np.float32)
    facts = {"setname": "n", "nbchan": len(LABELS), "trials": 1, "pnts": data.shape[1], "srate": RATE, "xmin": 0.0}
    facts |= {"xmax": (data.shape[1] - 1) / RATE, "data": data, "chanlocs": places, "event": events, "ref": "common"}
    savemat(folder / "night.set", {"EEG": facts | {"icawinv": [], "icaweights": [], "icasphere": [], "epoch": []}})
    return folder / "night.set"


def persyst(folder: Path) -> Path:
    (folder / "night.dat").write_bytes(np.round(signals().T * 10).astype("<i2").tobytes())
    channels = "\n".join(f"{label}={number}" for number, label in enumerate(LABELS, 1))
    (folder / "night.lay").write_text(
        f"[FileInfo]\nFile=night.dat\nFileType=Interleaved\nSamplingRate={RATE}\nHeaderLength=0\nCalibration=0.1\n"
        f"WaveformCount={len(LABELS)}\nDataType=0\n[ChannelMap]\n{channels}\n[Sheets]\n[Comments]\n"
        "30.0,30.0,0,100,Sleep stage N2\n[Patient]\nFirst=\nLast=\nMRN=\nBirthDate=01/01/1970\nSex=\nHand=\n"
        "TestDate=03/02/2021\nTestTime=22:15:30\n"
    )
    return folder / "night.lay"


def gdf(folder: Path) -> Path:
    data, count = signals(), len(LABELS)
    top = np.abs(data).max(axis=1) * 1.01
    digital = np.round(data / top[:, None] * 32767).astype("<i2")
    header = b"GDF 1.25" + b"X".ljust(80) + b"X".ljust(80) + b"2021030222153000"
    header += struct.pack("<q", 256 * (count + 1)) + bytes(24) + bytes(20)
    header += struct.pack("<q2II", SECONDS, 1, 1, count)
    assert len(header) == 256
    header += b"".join(label.encode().ljust(16) for label in LABELS) + b"".join([b" " * 80] * count)
    header += b"".join([b"uV".ljust(8)] * count)
    header += (-top).astype("<f8").tobytes() + top.astype("<f8").tobytes()
    header += struct.pack(f"<{2 * count}q", *[-32767] * count, *[32767] * count) + b" " * 80 * count
    header += struct.pack(f"<{2 * count}i", *[RATE] * count, *[3] * count) + bytes(32 * count)
    records = digital.reshape(count, SECONDS, RATE).transpose(1, 0, 2).tobytes()
    events = struct.pack("<B3BIIH", 1, RATE, 0, 0, 1, 30 * RATE + 1, 1)
    (folder / "night.gdf").write_bytes(header + records + events)
    return folder / "night.gdf"


def fif(folder: Path) -> Path:
    kinds = ["eeg", "ecg", "resp", "misc", "misc"]
    data = signals() * np.array([1e-6, 1e-6, 1, 1, 1])[:, None]
    raw = mne.io.RawArray(data, mne.create_info(list(LABELS), RATE, kinds), verbose="ERROR")
    raw.set_annotations(mne.Annotations([30.0], [30.0], ["Sleep stage N2"]))
    raw.save(folder / "night_raw.fif", verbose="ERROR")
    return folder / "night_raw.fif"


def neuroscan(folder: Path) -> Path:
    """Neuroscan's CNT (paulbourke.net/dataformats/eeg): SETUP of 900 bytes, 75 a channel, samples, event table."""
    data, count = signals(), len(LABELS)
    setup = bytearray(900)
    setup[:12] = b"Version 3.0\0"
    setup[225:235], setup[235:247] = b"03/02/21\0\0", b"22:15:30\0\0\0\0"
    setup[370:372], setup[376:378] = struct.pack("<H", count), struct.pack("<H", RATE)
    setup[864:868] = struct.pack("<i", data.shape[1])
    steps = np.abs(data).max(axis=1) / 2**30  # 32-bit samples
    channels = b""
    for label, step in zip(LABELS, steps.tolist(), strict=True):
        electrode = bytearray(75)
        electrode[:10] = label.encode()[:10].ljust(10, b"\0")
        electrode[59:63], electrode[71:75] = struct.pack("<f", step), struct.pack("<f", 204.8)
        channels += electrode
    steps = np.frombuffer(b"".join(struct.pack("<f", step) for step in steps.tolist()), "<f4").astype(float)
    samples = np.round(data / steps[:, None]).astype("<i4").T.tobytes()
    setup[886:890] = struct.pack("<i", 900 + len(channels) + len(samples))
    (folder / "night.cnt").write_bytes(bytes(setup) + channels + samples + struct.pack("<Bll", 1, 0, 0))
    return folder / "night.cnt"


def nicolet(folder: Path) -> Path:
    data = signals()
    step = 0.05
    (folder / "night.head").write_text(
        f"start_ts=2021-03-02 22:15:30.000\nnum_samples={data.shape[1]}\nsample_freq={RATE}\nconversion_factor={step}\n"
        f"num_channels={len(LABELS)}\nelec_names=[{','.join(LABELS)}]\npat_id=1\nadm_id=2\nrec_id=3\nduration_in_sec=60\n"
        "sample_bytes=2\n"
    )
    (folder / "night.data").write_bytes(np.round(data / step).astype("<i2").T.tobytes())
    return folder / "night.data"


def nihon_kohden(folder: Path) -> Path:
    """Nihon Kohden's .EEG: device block, one control block, one data block; electrodes named by the .21E."""
    data, rate, count, version = signals(), RATE, len(LABELS), b"EEG-1100A V01.00"
    control, block = 0x400, 0x1900
    head = bytearray(block + 0x27 + 10 * count)
    head[:16] = head[0x81:0x91] = version
    head[0x91], head[0x92:0x96] = 1, struct.pack("<I", control)
    head[control + 17], head[control + 18 : control + 22] = 1, struct.pack("<I", block)
    head[0x17FE] = 1
    head[block + 0x14 : block + 0x1A] = bytes((0x21, 0x03, 0x02, 0x22, 0x15, 0x30))
    head[block + 0x1A : block + 0x1C] = struct.pack("<H", rate | 0xC000)
    head[block + 0x1C : block + 0x20] = struct.pack("<I", SECONDS * 10)
    head[block + 0x26] = count
    for number in range(count):
        head[block + 0x27 + 10 * number] = number
    steps = 3199.902 * 2 / 65535
    samples = np.clip(np.round(data / steps), -32767, 32767).astype(np.int32) + 0x8000
    mark = np.zeros((1, samples.shape[1]), np.int32)
    (folder / "night.EEG").write_bytes(bytes(head) + np.vstack([samples, mark]).T.astype("<u2").tobytes())
    names = "".join(f"{number:04d}={label}\n" for number, label in enumerate(LABELS))
    (folder / "night.21E").write_text(f"[ELECTRODE]\n{names}")
    (folder / "night.PNT").write_bytes(version.ljust(0x40, b"\0") + b"20210302221530")
    return folder / "night.EEG"


FORMATS = (brainvision, eeglab, persyst, gdf, fif, neuroscan, nicolet, nihon_kohden)


@pytest.mark.parametrize("write", FORMATS, ids=lambda write: write.__name__)
def test_every_format_gives_the_night(write: Callable[[Path], Path], tmp_path: Path) -> None:
    recording = open_recording(write(tmp_path))
    assert recording.duration == pytest.approx(SECONDS)
    assert [signal.rate for signal in recording.signals] == [RATE] * len(LABELS)
    if write in (brainvision, eeglab, persyst, fif):  # the events of the others are numbers
        assert [(a.onset, a.text.split("/")[-1]) for a in recording.annotations if "stage" in a.text] == [
            (30.0, "Sleep stage N2")
        ]
    if write not in (eeglab, fif):
        assert recording.start is not None
        assert recording.start.strftime("%Y-%m-%d %H:%M:%S") == "2021-03-02 22:15:30"
    channel_map, traces = load_living(recording, resolve(recording.signals))
    eeg, ecg, _, _, _ = signals()
    np.testing.assert_allclose(traces["EEG_C3"].samples, eeg, atol=0.1)
    np.testing.assert_allclose(traces["ECG"].samples, ecg / 1000, atol=1e-3)
    study = prepare(recording, channel_map, traces)
    assert np.unique(traces["SPO2"].samples.round(1)).tolist() == [96.0]
    assert np.unique(study.signals[:, 9]).tolist() == [1.0, 2.0]
    assert study.signals[:, 2].std() == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("write", [brainvision, persyst, gdf, eeglab], ids=lambda write: write.__name__)
@pytest.mark.parametrize("keep", [0.05, 0.5])
def test_a_cut_file_is_read_or_refused(write: Callable[[Path], Path], keep: float, tmp_path: Path) -> None:
    write(tmp_path)
    largest = max(tmp_path.iterdir(), key=lambda path: path.stat().st_size)
    largest.write_bytes(largest.read_bytes()[: int(largest.stat().st_size * keep)])
    header = next(path for path in tmp_path.iterdir() if path.suffix in (".vhdr", ".lay", ".gdf", ".set"))
    assert all(size in (wanted, None) for size, wanted in sizes(header))


def sizes(path: Path) -> list[tuple[int | None, int]]:
    """Give the samples that were read and those that were said to be there; None where a sentence refuses."""
    try:
        recording = open_recording(path)
        return [(recording.read(signal.index).size, signal.n_samples) for signal in recording.signals]
    except StudyError:
        return [(None, 0)]


def test_a_header_without_its_data_is_refused(tmp_path: Path) -> None:
    header = brainvision(tmp_path)
    (tmp_path / "night.eeg").unlink()
    with pytest.raises(
        StudyError, match=r"belongs to this BrainVision recording is not there. Keep together the .vhdr"
    ):
        open_recording(header)


def egi(folder: Path) -> Path:
    """EGI's simple binary: unsegmented 32-bit floats, and one event signal that the format calls a code."""
    data = signals()[:2]
    head = struct.pack(">i6hi5h", 4, 2021, 3, 2, 22, 15, 30, 0, RATE, 2, 1, 0, 0) + struct.pack(">ih", data.shape[1], 1)
    (folder / "night.raw").write_bytes(
        head + b"DIN1" + np.vstack([data, np.zeros((1, data.shape[1]))]).T.astype(">f4").tobytes()
    )
    return folder / "night.raw"


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Tokyo"])
@pytest.mark.parametrize("write", [neuroscan, egi, nicolet, brainvision], ids=lambda write: write.__name__)
def test_the_start_is_the_recorders_clock_in_every_zone(
    write: Callable[[Path], Path], zone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        start = open_recording(write(tmp_path)).start
    finally:
        monkeypatch.undo()
        time.tzset()
    assert str(start) == "2021-03-02 22:15:30"


def test_egis_simple_binary_is_read_by_its_numbers(tmp_path: Path) -> None:
    recording = open_recording(egi(tmp_path))
    assert [signal.label for signal in recording.signals][:2] == ["E1", "E2"]
    np.testing.assert_allclose(recording.read(0) * 1e6, signals()[0], rtol=1e-4, atol=1e-3)


def test_parts_that_mne_joins_are_told(tmp_path: Path) -> None:
    raw = mne.io.read_raw_fif(fif(tmp_path), verbose="ERROR")
    mne.concatenate_raws([raw, raw.copy()], verbose="ERROR").save(tmp_path / "joined_raw.fif", verbose="ERROR")
    recording = open_recording(tmp_path / "joined_raw.fif")
    assert recording.repairs == (
        "The recording was interrupted 1 times, for how long is not known; its parts follow each other.",
    )
    assert {annotation.text for annotation in recording.annotations} == {"Sleep stage N2"}


def test_a_zipped_fif_is_read(tmp_path: Path) -> None:
    raw = mne.io.read_raw_fif(fif(tmp_path), verbose="ERROR")
    raw.save(tmp_path / "other_raw.fif.gz", verbose="ERROR")
    recording = open_recording(tmp_path / "other_raw.fif.gz")
    assert [signal.label for signal in recording.signals] == list(LABELS)


def test_the_samples_of_a_brainvision_recording_point_to_its_header(tmp_path: Path) -> None:
    brainvision(tmp_path)
    with pytest.raises(StudyError, match=r"BrainVision recording. Give night.vhdr"):
        open_recording(tmp_path / "night.eeg")


@pytest.mark.parametrize("suffix", sorted(KNOWN))
@pytest.mark.parametrize("content", ["zeros", "noise", "text", "bytes"])
def test_what_only_bears_the_suffix_is_refused_in_one_sentence(
    suffix: str, content: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, 20_000, dtype=np.uint8).tobytes()
    data = {"zeros": bytes(20_000), "noise": noise, "text": b"Planted words\n" * 999, "bytes": b"ab"}[content]
    path = tmp_path / f"night{suffix}"
    path.write_bytes(data)
    assert format_suffix(path) == suffix
    if suffix == ".nxe" and content != "bytes":  # a format without a header: any bytes are samples of it
        assert len(open_recording(path).signals) == 64
        return
    with pytest.raises(StudyError) as caught:
        open_recording(path)
    assert KNOWN[suffix].name in str(caught.value) or suffix == ".cnt"
    assert "Planted" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


PACKAGES = {
    "night.mff": "mffpy", "night.mefd": "pymef", "night.snirf": "h5py", "night.cdt": "curryreader",
    "night.mat": "pymatreader", "night.set": "pymatreader", "night.cnt": "antio",
}  # fmt: skip
BEGINNINGS = {"night.set": b"MATLAB 7.3 MAT-file", "night.cnt": b"RIFF", "night.snirf": b"\x89HDF\r\n\x1a\n"}


@pytest.mark.parametrize("name", PACKAGES)
def test_a_reader_that_needs_a_package_says_which(name: str, tmp_path: Path) -> None:
    package = PACKAGES[name]
    if find_spec(package):
        pytest.skip(f"{package} is installed")
    path = tmp_path / name
    if path.suffix in (".mff", ".mefd"):
        path.mkdir()
        (path / "info.xml").write_text("<fileInfo/>")
    else:
        path.write_bytes(BEGINNINGS.get(name, b"") + bytes(1000))
    with pytest.raises(StudyError, match=rf"needs the package {package}\. Install it with `pip install {package}`"):
        open_recording(path)


def test_a_folder_that_is_no_recording_is_named_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        open_recording(tmp_path)


def test_mff_is_read_where_its_package_is_there(tmp_path: Path) -> None:
    pytest.importorskip("mffpy")
    from mffpy.writer import BinWriter, Writer  # type: ignore[import-not-found]

    moment = datetime(2021, 3, 2, 22, 15, 30, tzinfo=timezone(timedelta(hours=-5)))
    device = "HydroCel GSN 32 1.0"
    data = np.repeat(signals()[:1], 32, axis=0).astype(np.float32)
    samples = BinWriter(sampling_rate=RATE, data_type="EEG")
    samples.add_block(np.vstack([data, np.zeros((1, data.shape[1]), np.float32)]))
    writer = Writer(str(tmp_path / "night.mff"))
    writer.addxml("fileInfo", recordTime=moment)
    writer.addbin(samples)
    writer.add_coordinates_and_sensor_layout(device=device)
    writer.write()
    recording = open_recording(tmp_path / "night.mff")
    assert str(recording.start) == "2021-03-02 22:15:30"
    assert recording.duration == pytest.approx(SECONDS)
    np.testing.assert_allclose(recording.read(0) * 1e6, signals()[0], atol=1e-2)


def test_snirf_is_read_where_its_package_is_there_and_has_no_eeg(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "night.snirf", "w") as file:
        nirs = file.create_group("nirs")
        one, probe = nirs.create_group("data1"), nirs.create_group("probe")
        one["dataTimeSeries"], one["time"] = np.ones((600, 2)), np.arange(600) / 10
        probe["wavelengths"] = [760.0, 850.0]
        probe["sourcePos3D"], probe["detectorPos3D"] = [[0.0, 0, 0]], [[0.03, 0, 0]]
        for number in (1, 2):
            row = one.create_group(f"measurementList{number}")
            for key, value in {"dataType": 1, "sourceIndex": 1, "detectorIndex": 1, "wavelengthIndex": number}.items():
                row[key] = value
        tags = nirs.create_group("metaDataTags")
        tags["SubjectID"] = b"Planted"
        tags["TimeUnit"], tags["LengthUnit"], tags["MeasurementDate"], tags["MeasurementTime"] = (
            b"s",
            b"m",
            b"2021-03-02",
            b"22:15:30Z",
        )
    recording = open_recording(tmp_path / "night.snirf")
    assert recording.duration == pytest.approx(60)
    assert all(source.state == "missing" for source in resolve(recording.signals).sources)


def test_fieldtrip_is_read_where_its_package_is_there(tmp_path: Path) -> None:
    pytest.importorskip("pymatreader")
    data = signals()
    night = {"trial": np.array([data[:2]]), "time": np.array([np.arange(data.shape[1]) / RATE]), "fsample": float(RATE)}
    savemat(tmp_path / "night.mat", {"data": night | {"label": np.array([["EEG C3-M2"], ["ECG"]], dtype=object)}})
    assert open_recording(tmp_path / "night.mat").signals[0].label == "EEG C3-M2"


@pytest.mark.parametrize("write", [brainvision, persyst, nicolet, nihon_kohden], ids=lambda write: write.__name__)
def test_every_file_of_a_recording_counts_for_its_hash(write: Callable[[Path], Path], tmp_path: Path) -> None:
    header = write(tmp_path)
    seen = {open_recording(header).content_hash}
    for part in sorted(tmp_path.iterdir()):
        content = bytearray(part.read_bytes())
        content[-1] ^= 1
        part.write_bytes(bytes(content))
        seen.add(open_recording(header).content_hash)
    assert len(seen) == 1 + len(list(tmp_path.iterdir()))
