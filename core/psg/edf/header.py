"""The header of an EDF, EDF+, BDF or BDF+ file, read leniently: every repair is a sentence.

Sources: Kemp et al. 1992 (EDF), Kemp and Olivan 2003 (EDF+), BioSemi's description of BDF. The header is
256 bytes on the recording and 256 bytes a signal, in blocks by field, not by signal.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from core.errors import StudyError
from core.psg.edf.fields import (
    has_comma,
    parse_float,
    parse_integer,
    parse_start,
    parse_startdate,
    parse_text,
)

FIXED_BYTES = 256
"""Bytes of the recording's part of the header, and of each signal's part."""
MAX_RATE = 1e6
"""Hz; a faster signal is a damaged header, not a polysomnogram."""
MAX_DURATION = 31 * 86400.0
"""Seconds; a longer recording is a damaged header."""

ANNOTATION_LABELS = frozenset(("EDF Annotations", "BDF Annotations"))
"""Labels of signals whose bytes are annotation lists."""

RECORDING_FIELDS: tuple[tuple[str, int], ...] = (
    ("version", 8),
    ("patient", 80),
    ("recording", 80),
    ("start_date", 8),
    ("start_time", 8),
    ("header_bytes", 8),
    ("reserved", 44),
    ("n_records", 8),
    ("record_duration", 8),
    ("n_signals", 4),
)
"""Names and widths in bytes of the recording's fields."""
SIGNAL_FIELDS: tuple[tuple[str, int], ...] = (
    ("label", 16),
    ("transducer", 80),
    ("unit", 8),
    ("physical_min", 8),
    ("physical_max", 8),
    ("digital_min", 8),
    ("digital_max", 8),
    ("prefilter", 80),
    ("samples", 8),
    ("reserved", 32),
)
"""Names and widths in bytes of a signal's fields."""


@dataclass(frozen=True)
class EdfSignal:
    """One signal as its header describes it."""

    label: str
    """Label, printable characters only."""
    unit: str
    """Physical dimension; empty where the scaling is unusable and values are digital."""
    gain: float
    """Unit per digital step."""
    offset: float
    """Unit at digital zero."""
    samples: int
    """Samples a data record."""
    first: int
    """Samples of one record before this signal's."""
    is_annotation: bool
    """Whether the bytes are annotation lists instead of samples."""


@dataclass(frozen=True)
class EdfHeader:
    """What a header says, after repairs."""

    format: str
    """EDF, EDF+C, EDF+D, BDF, BDF+C or BDF+D."""
    sample_bytes: int
    """2 in EDF, 3 in BDF."""
    start: datetime | None
    """Start by the header, whole seconds."""
    n_records: int
    """Complete data records in the file."""
    record_duration: float
    """Seconds; 0 in a file that holds annotations only."""
    signals: tuple[EdfSignal, ...]
    """All signals of the file, annotation signals too."""
    repairs: tuple[str, ...]
    """What was repaired, one sentence each."""

    @property
    def data_offset(self) -> int:
        """Bytes before the first data record."""
        return FIXED_BYTES * (len(self.signals) + 1)

    @property
    def record_samples(self) -> int:
        """Samples of all signals in one record."""
        return sum(signal.samples for signal in self.signals)

    @property
    def record_bytes(self) -> int:
        """Bytes of one record."""
        return self.record_samples * self.sample_bytes

    @property
    def max_samples(self) -> int:
        """Samples a record of the fastest signal; 0 with annotations only."""
        return max((s.samples for s in self.signals if not s.is_annotation), default=0)


def looks_like_edf(start: bytes) -> bool:
    """Whether the first 256 bytes of a file are an EDF or BDF header's: by its version, or else by its own length."""
    return _has_version(start) or _has_length(start)


def _has_version(start: bytes) -> bool:
    return start[:8].strip(b" \x00") == b"0" or start[:8] == b"\xffBIOSEMI"


def _has_length(start: bytes) -> bool:
    """Whether the header's length and its number of signals are there and agree, whatever the version field says."""
    length, count = parse_integer(start[184:192]), parse_integer(start[FIXED_BYTES - 4 : FIXED_BYTES])
    return count is not None and count > 0 and length == FIXED_BYTES * (count + 1)


def labels_only_annotations(start: bytes) -> bool:
    """Whether the first bytes of a file are a header all of whose signals are annotations."""
    count = parse_integer(start[FIXED_BYTES - 4 : FIXED_BYTES]) if looks_like_edf(start) else None
    labels = start[FIXED_BYTES : FIXED_BYTES + 16 * max(count or 0, 0)]
    names = {parse_text(labels[at : at + 16]) for at in range(0, len(labels), 16)}
    return bool(names) and names <= ANNOTATION_LABELS


def split_fields(raw: bytes, layout: Sequence[tuple[str, int]], count: int = 1) -> dict[str, list[bytes]]:
    """Cut header bytes into fields; each name has `count` values, as EDF stores them block by block."""
    fields: dict[str, list[bytes]] = {}
    position = 0
    for name, width in layout:
        fields[name] = [raw[position + i * width : position + (i + 1) * width] for i in range(count)]
        position += width * count
    return fields


def parse_header(raw: bytes, file_size: int, name: str) -> EdfHeader:
    """Read the header of a file.

    Parameters
    ----------
    raw
        The file's first bytes; all of the header, or the whole file where that is shorter.
    file_size
        Bytes of the file; no size in the header is believed beyond it.
    name
        The file's name, for messages.

    Raises
    ------
    StudyError
        The header is cut off, contradicts itself beyond repair, or no complete data record follows it.
    """
    if len(raw) < FIXED_BYTES:
        raise StudyError(f"{name} ends inside its EDF header after {len(raw)} bytes.", _COPY_HINT)
    fixed = {key: values[0] for key, values in split_fields(raw, RECORDING_FIELDS).items()}
    repairs = [] if _has_version(raw) else ["The version field is neither EDF's nor BDF's; it was read as EDF."]
    n_signals = _signal_count(fixed, file_size, name, repairs)
    header_bytes = FIXED_BYTES * (n_signals + 1)
    if len(raw) < header_bytes:
        raise StudyError(
            f"{name} ends inside its EDF header: {n_signals} signals need {header_bytes} bytes, "
            f"the file has {file_size}.",
            _COPY_HINT,
        )
    per_signal = split_fields(raw[FIXED_BYTES:header_bytes], SIGNAL_FIELDS, n_signals)
    sample_bytes = 3 if fixed["version"].startswith(b"\xff") else 2
    signals = _signals(per_signal, name, repairs, -(2 ** (8 * sample_bytes - 1)))
    variant = _variant(fixed["reserved"], sample_bytes, any(s.is_annotation for s in signals), repairs)
    record_bytes = sum(s.samples for s in signals) * sample_bytes
    n_records = _record_count(fixed["n_records"], record_bytes, file_size - header_bytes, name, repairs)
    duration = _record_duration(fixed["record_duration"], signals, name, repairs)
    if n_records * duration > MAX_DURATION:
        raise StudyError(
            f"{name} claims to last {n_records * duration / 86400:.0f} days; its header is damaged.",
            _COPY_HINT,
        )
    long_date: date | None = parse_startdate(fixed["recording"]) if "+" in variant else None
    start, repair = parse_start(fixed["start_date"], fixed["start_time"], long_date)
    repairs.extend([repair] if repair else [])
    return EdfHeader(variant, sample_bytes, start, n_records, duration, signals, tuple(repairs))


_COPY_HINT = "Copy the file again from where it was recorded."


def _signal_count(fixed: dict[str, bytes], file_size: int, name: str, repairs: list[str]) -> int:
    stated = parse_integer(fixed["n_signals"])
    header_bytes = parse_integer(fixed["header_bytes"])
    implied = None
    if header_bytes is not None and header_bytes % FIXED_BYTES == 0:
        implied = header_bytes // FIXED_BYTES - 1
    if stated is not None and stated > 0:
        if implied != stated:
            repairs.append(f"The header's length field does not fit its {stated} signals; their number was used.")
        return stated
    if implied is not None and implied > 0 and header_bytes is not None and header_bytes <= file_size:
        repairs.append(f"The number of signals is unreadable; {implied} follows from the header's length.")
        return implied
    raise StudyError(f"{name} has an EDF header without signals.", _COPY_HINT)


def _signals(
    fields: dict[str, list[bytes]], name: str, repairs: list[str], digital_floor: int
) -> tuple[EdfSignal, ...]:
    signals: list[EdfSignal] = []
    first = 0
    for index, raw_label in enumerate(fields["label"]):
        label = parse_text(raw_label)
        samples = parse_integer(fields["samples"][index])
        if samples is None or samples < 0:
            raise StudyError(f"{name} does not say how many samples its signal {index + 1} has.", _COPY_HINT)
        is_annotation = label in ANNOTATION_LABELS
        limits = {key: fields[key][index] for key in _LIMITS}
        gain, offset = 1.0, 0.0
        unit = parse_text(fields["unit"][index])
        if not is_annotation and samples:
            scaling = _scaling(limits, f"signal {index + 1} ({label})", repairs, digital_floor)
            gain, offset, unit = (*scaling, unit) if scaling else (1.0, 0.0, "")
        signals.append(EdfSignal(label, unit, gain, offset, samples, first, is_annotation))
        first += samples
    named = [s.label for s in signals if not s.is_annotation]
    for label, times in Counter(named).items():
        if times > 1 and label:
            repairs.append(f"{times} signals are labelled {label}; they are told apart by their place.")
    empty = [s.label for s in signals if not s.samples]
    if empty:
        repairs.append(f"Signals without samples were left out: {', '.join(empty)}.")
    if any(not raw.isascii() for raw in (*fields["label"], *fields["unit"])):
        repairs.append("Labels or units hold characters beyond ASCII; they were read as UTF-8 or Latin-1.")
    if any(has_comma(raw) for key in _LIMITS for raw in fields[key]):
        repairs.append("Numbers in the header are written with a decimal comma.")
    return tuple(signals)


_LIMITS = ("physical_min", "physical_max", "digital_min", "digital_max")


def _scaling(
    limits: dict[str, bytes], where: str, repairs: list[str], digital_floor: int
) -> tuple[float, float] | None:
    """Return gain and offset of a signal, or None (and say so) where its limits define none."""
    numbers = [parse_float(limits[key]) for key in _LIMITS]
    if any(number is None for number in numbers):
        repairs.append(f"The limits of {where} are unreadable; its values are digital, without a unit.")
        return None
    low, high, digital_low, digital_high = (float(number or 0.0) for number in numbers)
    if digital_low == digital_high or low == high:
        which = "digital" if digital_low == digital_high else "physical"
        repairs.append(f"The {which} minimum and maximum of {where} are equal; its values are digital, without a unit.")
        return None
    gain = (high - low) / (digital_high - digital_low)
    offset = low - gain * digital_low
    if not max(abs(gain) * -digital_floor, abs(offset)) < _MAX_PHYSICAL or gain == 0.0:
        repairs.append(f"The limits of {where} are out of range; its values are digital, without a unit.")
        return None
    if digital_low < digital_floor or digital_high > -digital_floor - 1 or digital_low > digital_high:
        repairs.append(
            f"The digital limits of {where} are not those of {'16' if digital_floor == -32768 else '24'}-bit "
            "samples in rising order; its values are scaled by them as they stand."
        )
    return gain, offset


_MAX_PHYSICAL = 1e12
"""A thousand volts in nV; squares of it, summed over a night, stay in float32."""


def _variant(reserved: bytes, sample_bytes: int, has_annotations: bool, repairs: list[str]) -> str:
    family = "EDF" if sample_bytes == 2 else "BDF"
    mark = reserved[:5].decode("latin-1").upper()
    if mark[3:5] in ("+C", "+D") and mark[:3] in ("EDF", "BDF"):
        return family + mark[3:5]
    if has_annotations:
        repairs.append(f"The file has annotations but is not marked {family}+; it was read as {family}+C.")
        return family + "+C"
    return family


def _record_count(raw: bytes, record_bytes: int, data_bytes: int, name: str, repairs: list[str]) -> int:
    if record_bytes == 0:
        raise StudyError(f"{name} has data records of zero length: no signal has any sample.", _COPY_HINT)
    if data_bytes <= 0:
        raise StudyError(f"{name} is a header only: no data record follows it.", _COPY_HINT)
    complete, rest = divmod(data_bytes, record_bytes)
    if complete == 0:
        raise StudyError(
            f"{name} holds no complete data record: one takes {record_bytes} bytes, the file has {data_bytes}.",
            _COPY_HINT,
        )
    stated = parse_integer(raw)
    if stated is None or stated <= 0:
        written = "-1 (recording not closed)" if stated == -1 else "not a number above 0"
        repairs.append(f"The number of data records is {written}; the file's size gives {complete}.")
    elif stated != complete:
        repairs.append(f"The header says {stated} data records; the file holds {complete}, which were read.")
    if rest:
        repairs.append(f"The file ends inside data record {complete + 1}; that part ({rest} bytes) was left out.")
    return complete


def _record_duration(raw: bytes, signals: Sequence[EdfSignal], name: str, repairs: list[str]) -> float:
    duration = parse_float(raw)
    fastest = max((s.samples for s in signals if not s.is_annotation), default=0)
    if duration is None or duration < 0:
        raise StudyError(f"{name} does not say how long a data record lasts.", _COPY_HINT)
    if fastest == 0:
        return duration
    if duration == 0:
        repairs.append("The header says that a data record lasts 0 s; 1 s was taken, as most recorders write.")
        duration = 1.0
    if has_comma(raw):
        repairs.append("The duration of a data record is written with a decimal comma.")
    if fastest / duration > MAX_RATE:
        raise StudyError(
            f"{name} claims a sampling rate of {fastest / duration:.3g} Hz; its header is damaged.",
            _COPY_HINT,
        )
    return exact_duration(raw, duration, fastest)


def exact_duration(raw: bytes, duration: float, samples: int) -> float:
    """Undo the rounding of a fractional record duration to the eight characters of its field.

    Where a whole sampling rate of the fastest signal would be written with the very same digits
    (85 samples in `0.333333` s: 255 Hz), the duration is that of the whole rate, so that three days
    do not drift; otherwise it stays as it stands.
    """
    digits = raw.replace(b",", b".").strip(b" \x00")
    decimals = len(digits.partition(b".")[2])
    if decimals < 4 or b"e" in digits.lower():
        return duration
    rate = round(samples / duration)
    if rate and abs(samples / rate - duration) <= 0.5 * 10.0**-decimals * 1.000001:
        return samples / rate
    return duration
