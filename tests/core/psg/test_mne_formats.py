"""Formats that mne reads, each written by hand: the same night out of every one."""

import struct
from collections.abc import Callable
from pathlib import Path

import mne
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.io import savemat

from core.errors import StudyError
from core.psg.alternatives import load_living
from core.psg.channels import resolve
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


FORMATS = (brainvision, eeglab, persyst, gdf, fif)


@pytest.mark.parametrize("write", FORMATS, ids=lambda write: write.__name__)
def test_every_format_gives_the_night(write: Callable[[Path], Path], tmp_path: Path) -> None:
    recording = open_recording(write(tmp_path))
    assert recording.duration == pytest.approx(SECONDS)
    assert [signal.rate for signal in recording.signals] == [RATE] * len(LABELS)
    if write is not gdf:  # GDF's events are numbers
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
    with pytest.raises(StudyError, match="cannot be read by mne"):
        open_recording(header)
