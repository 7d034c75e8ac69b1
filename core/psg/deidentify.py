"""De-identified copies of EDF, EDF+, BDF and BDF+ files: who, where and by whom are gone, the signals are not.

Kept are the signals byte for byte, labels, units, limits, rates, the start (shifted where asked), and
annotations that name a stage, an event or the lights, rewritten in EDF+'s standard texts. Everything
else in the header, in annotation lists and behind the last data record is written anew or left out.
"""

import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import UsageError
from core.files import whole_file
from core.psg.edf.annotations import annotation_bytes, parse_record, record_onsets
from core.psg.edf.fields import MONTHS, parse_float, parse_text
from core.psg.edf.header import RECORDING_FIELDS, SIGNAL_FIELDS, EdfHeader, split_fields
from core.psg.recording import map_edf
from core.psg.scorings.terms import EVENT_LABELS, LIGHTS_OFF, event_type, lights_name, stage_name

ANONYMOUS_PATIENT = "X X X X"
"""EDF+ 2.1.3.3: code, sex, birthdate and name, each unknown."""
BLOCK_BYTES = 16 << 20
"""Bytes copied at once."""
_STANDARD_STAGE = re.compile(r"^Sleep stage (?:[W1234R?]|N[123])$")
_FILTER = re.compile(r"\b(?:HP|LP|N|NF|BP|BS):? ?\d{1,5}(?:[.,]\d{1,4})? ?(?:Hz|kHz|s|ms)?(?= |$)", re.IGNORECASE)
_SHORTEST_NAME = 3
"""Characters of a word of the patient or recording field below which it may stand in a label."""
_WORDS = (re.compile(r"[\s_,;]+"), re.compile(r"[\W_]+"))
"""What stands between words: what EDF+ puts there, or anything that is no letter and no digit."""
_UNIT = re.compile(r"[A-Za-zµμΩ°%]{1,5}(?:\d[A-Z]?)?(?:[/*·^ ]-?[A-Za-z0-9µμ%]{1,4}){0,2}|1/[A-Za-z]{1,3}")
"""What a unit looks like; a longer word is one of `_UNIT_WORDS`, or none."""
_UNIT_WORDS = frozenset(
    (
        *("microvolt", "microvolts", "millivolt", "millivolts", "volts", "degrees", "percent", "celsius", "arbitrary"),
        *("counts", "seconds", "minutes", "degree", "degreec", "kelvin", "pascal", "siemens", "beats", "boolean"),
    )
)
_SIGNAL_WORDS = frozenset(
    (
        *("startdate", "psg", "sleep", "eeg", "ecg", "ekg", "eog", "emg", "chin", "leg", "legs", "flow", "airflow"),
        *("nasal", "pressure", "thorax", "abdomen", "abdo", "chest", "effort", "snore", "sound", "spo2", "sao2"),
        *("pulse", "position", "pos", "light", "thor", "abd", "thx", "edf", "bdf", "ref", "annotations"),
    )
)
"""Words that name a signal, and nobody."""


@dataclass(frozen=True)
class DeidentifyOptions:
    """What may be chosen."""

    shift_days: int = 0
    """Days by which the start date is moved; 0 keeps it."""
    keep_events: bool = True
    """Whether annotations of stages, events and lights are kept."""


@dataclass(frozen=True)
class DeidentifyResult:
    """What was done."""

    fields_replaced: int
    """Header fields whose content was replaced."""
    annotations_kept: int
    """Annotations of stages, events and lights."""
    annotations_removed: int
    """Annotations with any other text."""
    trailing_bytes: int
    """Bytes behind the last complete data record, which were left out."""
    repairs: tuple[str, ...]
    """What was repaired to read the original."""


def deidentify(source: Path, target: Path, options: DeidentifyOptions | None = None) -> DeidentifyResult:
    """Write a copy of a recording without anything that names a person, a place or a device.

    Parameters
    ----------
    source
        An EDF, EDF+, BDF or BDF+ file.
    target
        The copy; written whole or not at all.
    options
        What may be chosen.

    Returns
    -------
    DeidentifyResult
        Counts for a report; no text of the original.

    Raises
    ------
    UsageError
        Source and target are one file, the source does not exist, or the shifted date is none that EDF has.
    StudyError
        The source is no EDF or BDF file, or is damaged beyond repair.
    """
    options = options or DeidentifyOptions()
    if not source.is_file():
        raise UsageError(f"{source.name} does not exist or is no file.", "Check the path.")
    if target.exists() and target.samefile(source):
        raise UsageError("The de-identified copy would replace its original.", "Name another file.")
    header, data = map_edf(source)
    start = _shifted(header.start, options.shift_days)
    new_header, replaced = _header_bytes(header, data, start)
    kept = removed = 0
    lists: list[tuple[int, NDArray[np.uint8]]] = []
    for number, signal in enumerate(s for s in header.signals if s.is_annotation and s.samples):
        rows, kept_here, removed_here = _annotations(header, data, number, options.keep_events)
        lists.append((signal.first * header.sample_bytes, rows))
        kept, removed = kept + kept_here, removed + removed_here
    with whole_file(target) as temporary, temporary.open("wb") as file:
        file.write(new_header)
        for block in _records(header, data, lists):
            file.write(block)
    end = header.data_offset + header.n_records * header.record_bytes
    return DeidentifyResult(replaced, kept, removed, int(data.size) - end, header.repairs)


def _shifted(start: datetime | None, days: int) -> datetime | None:
    if start is None or not days:
        return start
    try:
        shifted = start + timedelta(days=days)
    except OverflowError:
        shifted = datetime(1, 1, 1)
    if not 1985 <= shifted.year <= 2084:
        raise UsageError(
            f"A shift by {days} days leaves the years 1985 to 2084, which EDF has.", "Shift by fewer days."
        )
    return shifted


def _header_bytes(header: EdfHeader, data: NDArray[np.uint8], start: datetime | None) -> tuple[bytes, int]:
    """Write the header anew; return it and how many fields have another content than before."""
    raw = data[: header.data_offset].tobytes()
    fixed = split_fields(raw, RECORDING_FIELDS)
    count = len(header.signals)
    signals = split_fields(raw[256:], SIGNAL_FIELDS, count)
    moment = start or datetime(1985, 1, 1)
    day = f"{moment.day:02d}-{MONTHS[moment.month - 1]}-{moment.year}" if start else "X"
    new = {
        "version": [b"\xffBIOSEMI" if header.sample_bytes == 3 else b"0"],
        "patient": [ANONYMOUS_PATIENT.encode()],
        "recording": [f"Startdate {day} X X X".encode()],
        "start_date": [f"{moment:%d.%m.%y}".encode()],
        "start_time": [f"{moment:%H.%M.%S}".encode()],
        "header_bytes": [str(header.data_offset).encode()],
        "reserved": [_reserved(header)],
        "n_records": [str(header.n_records).encode()],
        "record_duration": fixed["record_duration"],
        "n_signals": [str(count).encode()],
    }
    names = _names(fixed["patient"][0] + b" " + fixed["recording"][0])
    new_signals = {
        name: [_signal_field(name, value, names, i) for i, value in enumerate(values)]
        for name, values in signals.items()
    }
    written = b"".join(
        value.strip(b" \x00").ljust(size)[:size]
        for layout, fields in ((RECORDING_FIELDS, new), (SIGNAL_FIELDS, new_signals))
        for name, size in layout
        for value in fields[name]
    )
    pairs = [(old, value) for name, values in new.items() for old, value in zip(fixed[name], values, strict=True)]
    pairs += [(o, n) for name in signals for o, n in zip(signals[name], new_signals[name], strict=True)]
    return written, sum(old.strip(b" \x00") != value.strip(b" \x00") for old, value in pairs)


def _reserved(header: EdfHeader) -> bytes:
    if "+" in header.format:
        return header.format.encode()
    return b"24BIT" if header.sample_bytes == 3 else b""


def _names(text: bytes) -> frozenset[str]:
    """Return the words of the patient and recording fields, in every reading of their bytes, that no label may have."""
    readings = (parse_text(text), text.decode("latin-1"), text.decode("utf-8", "ignore"))
    words = {word for reading in readings for pattern in _WORDS for word in pattern.split(reading.casefold())}
    return frozenset(word for word in words if len(word) >= _SHORTEST_NAME and word not in _SIGNAL_WORDS)


def _names_somebody(word: str, names: frozenset[str]) -> bool:
    """Whether a word of a label is one of the names, has one as a part, or holds a longer one."""
    plain = word.casefold()
    if plain in _SIGNAL_WORDS:
        return False
    parts = {part for pattern in _WORDS for part in pattern.split(plain)}
    return bool(parts & names) or any(
        name in plain and (len(name) > _SHORTEST_NAME or plain.replace(name, "") in _SIGNAL_WORDS) for name in names
    )


def _unchanged(raw: bytes, text: str) -> bytes:
    """Return the bytes that were read as a text if nothing else is in them, or else the text's own."""
    return raw if raw in (text.encode(), text.encode("latin-1", "replace")) else text.encode("latin-1", "replace")


def _signal_field(name: str, value: bytes, names: frozenset[str], index: int) -> bytes:
    """Return what a signal's field may keep."""
    if name in ("transducer", "reserved"):
        return b""
    if name == "prefilter":
        return b" ".join(found.encode() for found in _FILTER.findall(value.decode("latin-1")))
    text = value.partition(b"\x00")[0].strip()
    if name == "unit":
        unit = parse_text(text)
        known = unit.casefold() in _UNIT_WORDS or (_UNIT.fullmatch(unit) and not _names_somebody(unit, names))
        return _unchanged(text, unit) if known else b""
    if name == "label":
        plain = parse_text(text)
        for reading in (plain, text.decode("latin-1")):
            words = re.split(r"([\s_,;]+)", reading)
            if any(_names_somebody(word, names) for word in words):
                plain = "".join(word for word in words if not _names_somebody(word, names)).strip(" _,;")
                return plain.encode("latin-1", "replace") or f"Signal {index + 1}".encode()
        return _unchanged(text, plain)
    return text if parse_float(text) is not None else b""


def standard_text(text: str) -> str | None:
    """Return EDF+'s standard text for an annotation of a stage, an event or the lights; None for any other."""
    if _STANDARD_STAGE.match(text):
        return text
    stage = stage_name(text)
    if stage is not None:
        return f"Sleep stage {stage}"
    lights = lights_name(text)
    if lights is not None:
        return "Lights off" if lights == LIGHTS_OFF else "Lights on"
    kind = event_type(text)
    return EVENT_LABELS[kind] if kind is not None else None


def _annotations(
    header: EdfHeader, data: NDArray[np.uint8], number: int, keep_events: bool
) -> tuple[NDArray[np.uint8], int, int]:
    """Write one annotation signal anew: times of records, and the annotations that are kept.

    Returns
    -------
    tuple of uint8 `[records, bytes]`, int and int
        The bytes, and how many annotations were kept and removed.
    """
    signal = [s for s in header.signals if s.is_annotation and s.samples][number]
    old = annotation_bytes(header, data, signal)
    new: NDArray[np.uint8] = np.zeros_like(old)
    onsets = record_onsets(header, data, slice(None)) if number == 0 else None
    waiting: deque[bytes] = deque()
    total = 0
    for index, row in enumerate(old):
        content = b""
        if onsets is not None:
            onset = onsets[index] if np.isfinite(onsets[index]) else index * header.record_duration
            content = f"{onset:+.12g}\x14\x14\x00".encode()
        for begin, duration, texts in parse_record(row.tobytes()):
            for text in filter(None, texts):
                total += 1
                standard = standard_text(text) if keep_events else None
                if standard is not None:
                    waiting.append(_tal(begin, duration, standard))
        content = _filled(content, waiting, new.shape[1])
        new[index, : len(content)] = np.frombuffer(content, np.uint8)
    for row in new:
        if not waiting:
            break
        content = _filled(row.tobytes().rstrip(b"\x00") + b"\x00", waiting, new.shape[1])
        row[: len(content)] = np.frombuffer(content, np.uint8)
    kept = _count(new)
    return new, kept, total - kept


def _count(rows: NDArray[np.uint8]) -> int:
    """Count the annotations with a text."""
    return sum(bool(text) for row in rows for _, _, texts in parse_record(row.tobytes()) for text in texts)


def _tal(onset: float, duration: float, text: str) -> bytes:
    length = f"\x15{duration:.12g}" if duration else ""
    return f"{onset:+.12g}{length}\x14{text}\x14\x00".encode()


def _filled(content: bytes, waiting: deque[bytes], size: int) -> bytes:
    """Append annotations while they fit; the others wait for a record with room (EDF+ 2.2.4 allows any)."""
    content = content if len(content) <= size else b""
    while waiting and len(content) + len(waiting[0]) <= size:
        content += waiting.popleft()
    return content


def _records(
    header: EdfHeader, data: NDArray[np.uint8], lists: Sequence[tuple[int, NDArray[np.uint8]]]
) -> Iterator[bytes]:
    """Yield the data records in blocks, the annotation signals' bytes replaced."""
    end = header.data_offset + header.n_records * header.record_bytes
    records = data[header.data_offset : end].reshape(header.n_records, header.record_bytes)
    step = max(1, BLOCK_BYTES // header.record_bytes)
    for first in range(0, header.n_records, step):
        block = np.array(records[first : first + step])
        for column, rows in lists:
            block[:, column : column + rows.shape[1]] = rows[first : first + step]
        yield block.tobytes()
