"""Recordings: the only file that opens signal files. Lazy, at native rates, on the clock's timeline.

mne reads every format but EDF and BDF. An EDF that is refused here is not tried with mne: what is refused has no signal
in it or contradicts itself, and mne loses gaps without a word.
"""

import hashlib
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from io import BufferedReader
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from core.errors import StudyError, UsageError
from core.psg.edf.annotations import read_annotations
from core.psg.edf.fields import parse_text
from core.psg.edf.header import FIXED_BYTES, EdfHeader, EdfSignal, labels_only_annotations, looks_like_edf, parse_header
from core.psg.edf.samples import read_samples, timeline_positions
from core.psg.edf.timeline import Timeline, build_timeline
from core.psg.formats import FORMATS, Format, companions, format_of, format_suffix, refusal

EDF_SUFFIXES = (".edf", ".bdf", ".rec")
"""Suffixes that name EDF or BDF files; other files are recognised by their first bytes."""


@dataclass(frozen=True)
class SignalInfo:
    """What is known of a signal before it is read."""

    index: int
    """Place in `Recording.signals`; the argument of `Recording.read`."""
    label: str
    """Label as the file has it."""
    unit: str
    """Declared unit; empty where there is none."""
    rate: float
    """Samples a second."""
    n_samples: int
    """Samples on the clock's timeline, gaps included."""


@dataclass(frozen=True)
class Annotation:
    """A text with a time, as the file has it. The text may hold anything and is never shown."""

    onset: float
    """Seconds from the recording's start."""
    duration: float
    """Seconds; 0 where the file states none."""
    text: str
    """The annotation's text."""


@dataclass(frozen=True)
class Gap:
    """A time in which nothing was recorded."""

    onset: float
    """Seconds from the recording's start."""
    duration: float
    """Seconds."""


class _Source(Protocol):
    """Where a recording's samples and annotations come from."""

    def read(self, index: int) -> NDArray[np.float32]: ...

    def annotations(self) -> list[tuple[float, float, str]]: ...


@dataclass(frozen=True)
class Recording:
    """A study's signals, read when asked for."""

    study: str
    """Name of the study."""
    path: Path
    """The file."""
    format: str
    """EDF, EDF+C, EDF+D, BDF, BDF+C, BDF+D, or the name of mne's reader."""
    start: datetime | None
    """When the first sample was taken; None where the file has no clock."""
    duration: float
    """Seconds of clock from start to end, gaps included."""
    signals: tuple[SignalInfo, ...]
    """The signals, without annotation signals; empty where the file holds annotations only."""
    gaps: tuple[Gap, ...]
    """Times without data, in order."""
    repairs: tuple[str, ...]
    """What had to be repaired to read the file, one sentence each."""
    source: _Source
    """The opened file."""

    @cached_property
    def annotations(self) -> tuple[Annotation, ...]:
        """Annotations of the file, by onset."""
        return tuple(Annotation(*found) for found in self.source.annotations())

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of the file's bytes, and of those of the files that belong to it, in hexadecimal."""
        path = self.path
        if path.is_dir():
            digest = hashlib.sha256()
            for part in sorted(p for p in path.rglob("*") if p.is_file()):
                digest.update(part.relative_to(path).as_posix().encode())
                digest.update(part.read_bytes())
            return digest.hexdigest()
        with _opened(path) as file:
            digest = hashlib.file_digest(file, "sha256")
        for part in companions(path):
            with _opened(part) as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()

    @property
    def is_scoring(self) -> bool:
        """Whether the file holds annotations and no signal: a scoring, not a study."""
        return not self.signals

    def read(self, index: int) -> NDArray[np.float32]:
        """Read one signal at its native rate.

        Parameters
        ----------
        index
            `SignalInfo.index`.

        Returns
        -------
        float32 `[n_samples]`
            Physical values in the declared unit, on the clock's timeline, NaN inside gaps.

        Raises
        ------
        StudyError
            The file has become shorter or unreadable since it was opened.
        """
        return self.source.read(index)


def open_recording(path: Path, study: str | None = None) -> Recording:
    """Open a recording without reading its samples.

    Parameters
    ----------
    path
        An EDF, EDF+, BDF or BDF+ file whatever its suffix, or a file (or folder) that mne reads.
    study
        Name of the study; the file's stem where None.

    Raises
    ------
    UsageError
        The path does not exist.
    StudyError
        The file is no recording, or is damaged beyond what can be repaired.
    """
    path = Path(path)
    name = study if study is not None else path.stem
    if not path.exists():
        raise UsageError(f"{path.name} does not exist.", "Check the path.")
    if path.is_dir():
        if format_suffix(path) not in FORMATS:
            raise UsageError(f"{path.name} is a folder, not a recording.", "Name the files in it.")
        return _open_mne(path, name, b"")
    with _opened(path) as file:
        first = file.read(FIXED_BYTES)
    if not first:
        raise StudyError(f"{path.name} is empty.", "Copy the file again from where it was recorded.")
    if looks_like_edf(first):
        return _open_edf(path, name)
    if format_suffix(path) in FORMATS:
        return _open_mne(path, name, first)
    raise _not_edf(path)


def is_annotation_file(path: Path) -> bool:
    """Whether a file is an EDF or BDF with annotations and no signal: a scoring, not a study. Reads the header."""
    if path.suffix.lower() not in EDF_SUFFIXES or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return labels_only_annotations(file.read(FIXED_BYTES * 2))
    except OSError:
        return False  # opening it as a study says why it cannot be read


def map_edf(path: Path) -> tuple[EdfHeader, NDArray[np.uint8]]:
    """Read the header of an EDF or BDF file and map the file's bytes.

    Parameters
    ----------
    path
        An EDF or BDF file.

    Returns
    -------
    tuple of EdfHeader and uint8 `[bytes]`
        The header after repairs, and the bytes, read from disk when touched.

    Raises
    ------
    StudyError
        The file cannot be opened or its header cannot be repaired.
    """
    data = _map(path)
    if not looks_like_edf(data[:FIXED_BYTES].tobytes()):
        raise _not_edf(path)
    count = data[FIXED_BYTES - 4 : FIXED_BYTES].tobytes()
    stated = int(count) if count.strip().isdigit() else 0
    implied = data[184:192].tobytes().strip()
    length = max(FIXED_BYTES * (stated + 1), int(implied) if implied.isdigit() else 0)
    return parse_header(data[:length].tobytes(), data.size, path.name), data


def _not_edf(path: Path) -> StudyError:
    kind = "an EDF or BDF file" if path.suffix.lower() in EDF_SUFFIXES else "a recording in a known format"
    return StudyError(f"{path.name} is not {kind}: it does not begin with an EDF header.", "Export the study as EDF.")


class _EdfSource:
    """An EDF or BDF file whose header was read; the file is mapped anew for each signal."""

    def __init__(self, path: Path, header: EdfHeader, timeline: Timeline) -> None:
        self._path = path
        self._header = header
        self._timeline = timeline
        self._signals = [s for s in header.signals if not s.is_annotation and s.samples]

    def read(self, index: int) -> NDArray[np.float32]:
        return read_samples(self._header, self._timeline, self._mapped(), self._signals[index])

    def annotations(self) -> list[tuple[float, float, str]]:
        found = read_annotations(self._header, self._mapped())
        return [(onset - self._timeline.offset, duration, text) for onset, duration, text in found]

    def _mapped(self) -> NDArray[np.uint8]:
        data = _map(self._path)
        if data.size < self._header.data_offset + self._header.n_records * self._header.record_bytes:
            raise StudyError(f"{self._path.name} has become shorter while it was read.", "Run again.")
        return data


def _open_edf(path: Path, study: str) -> Recording:
    header, data = map_edf(path)
    timeline = build_timeline(header, data, path.name)
    stored = [s for s in header.signals if not s.is_annotation and s.samples]
    signals = tuple(_signal_info(index, s, timeline) for index, s in enumerate(stored))
    duration = timeline.duration
    source = _EdfSource(path, header, timeline)
    if not stored:
        annotations = source.annotations()
        if not annotations:
            raise StudyError(f"{path.name} holds neither signals nor annotations.")
        duration = max(duration, max(onset + length for onset, length, _ in annotations))
    start = header.start + timedelta(seconds=timeline.offset) if header.start else None
    return Recording(
        study=study,
        path=path,
        format=header.format,
        start=start,
        duration=duration,
        signals=signals,
        gaps=tuple(Gap(onset, length) for onset, length in timeline.gaps),
        repairs=header.repairs + timeline.repairs,
        source=source,
    )


def _signal_info(index: int, signal: EdfSignal, timeline: Timeline) -> SignalInfo:
    rate = signal.samples / timeline.record_duration
    return SignalInfo(index, signal.label, signal.unit, rate, timeline_positions(timeline, signal.samples)[-1])


class _MneSource:
    """A file that mne reads."""

    def __init__(self, path: Path, known: Format, raw: Any) -> None:
        self._path = path
        self._format = known
        self._raw = raw

    def read(self, index: int) -> NDArray[np.float32]:
        with _mne_errors(self._path, self._format):
            samples: NDArray[np.float32] = self._raw.get_data(picks=[index])[0].astype(np.float32)
        for onset, duration in self.gaps():
            first = round(onset * self._raw.info["sfreq"])
            samples[first : first + round(duration * self._raw.info["sfreq"])] = np.nan
        return samples

    def annotations(self) -> list[tuple[float, float, str]]:
        return sorted(found for found in self._all() if found[2] not in (_MNE_GAP, *_MNE_SEAMS))

    def interruptions(self) -> tuple[str, ...]:
        seams = sum(text == _MNE_SEAMS[0] for _, _, text in self._all())
        if not seams:
            return ()
        return (
            f"The recording was interrupted {seams} times, for how long is not known; its parts follow each other.",
        )

    def gaps(self) -> list[tuple[float, float]]:
        return sorted((onset, duration) for onset, duration, text in self._all() if text == _MNE_GAP)

    def _all(self) -> list[tuple[float, float, str]]:
        shift = self._raw.first_time if self._raw.annotations.orig_time is not None else 0.0
        return [(float(a["onset"]) - shift, float(a["duration"]), str(a["description"])) for a in self._raw.annotations]


_MNE_GAP = "BAD_ACQ_SKIP"
_MNE_SEAMS = ("BAD boundary", "EDGE boundary")
"""Where mne joined parts of a recording without the time between them."""
_MNE_UNITS = {107: "V", 112: "T", 6: "S", 114: "degC", 115: "S"}
"""FIFF unit codes to units; others are left open."""


@contextmanager
def _mne_errors(path: Path, known: Format) -> Iterator[None]:
    """Turn whatever a reader of mne raises into one sentence; its warnings are not shown."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Exception as error:
        raise refusal(path, known, error) from error


def _open_mne(path: Path, study: str, first: bytes) -> Recording:
    import mne

    known = format_of(path, first)
    with _mne_errors(path, known):
        reader = getattr(mne.io, known.reader or "read_raw")
        with mne.use_log_level("ERROR"):  # some readers do not heed an argument `verbose`
            raw = reader(path, **known.options)
    if raw.n_times < 1:
        raise StudyError(f"{path.name} is a {known.name} recording without a sample.", "Export the study as EDF.")
    source = _MneSource(path, known, raw)
    rate = float(raw.info["sfreq"])
    signals = tuple(
        SignalInfo(
            index,
            parse_text(channel["ch_name"].encode()),
            _MNE_UNITS.get(int(channel["unit"]), ""),
            rate,
            int(raw.n_times),
        )
        for index, channel in enumerate(raw.info["chs"])
    )
    start = _mne_start(raw, known)
    return Recording(
        study=study,
        path=path,
        format=type(raw).__name__.removeprefix("Raw") or "FIF",
        start=start,
        duration=raw.n_times / rate,
        signals=signals,
        gaps=tuple(Gap(onset, duration) for onset, duration in source.gaps()),
        repairs=source.interruptions(),
        source=source,
    )


def _mne_start(raw: Any, known: Format) -> datetime | None:
    """Give the recorder's wall clock at the first sample; None where the file has none."""
    moment: datetime | None = raw.info["meas_date"]
    if moment is None:
        return None
    zone = re.fullmatch(r"([+-])(\d{2}):?(\d{2})", str(raw.info.get("utc_offset") or ""))
    if known.machine_clock:
        moment = moment.astimezone()
    elif zone:
        moment += timedelta(hours=int(zone[1] + zone[2]), minutes=int(zone[1] + zone[3]))
    return moment.replace(tzinfo=None) + timedelta(seconds=raw.first_time)


def _opened(path: Path) -> BufferedReader:
    try:
        return path.open("rb")
    except OSError as error:
        raise StudyError(f"{path.name} cannot be opened: {error.strerror}.") from error


def _map(path: Path) -> NDArray[np.uint8]:
    try:
        return np.memmap(path, np.uint8, "r")
    except (OSError, ValueError) as error:
        raise StudyError(f"{path.name} cannot be read.", "Check that it is a file that you may read.") from error
