"""EDF files byte by byte, with any field as odd as a test wants it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

RECORDING_FIELDS = (
    *(("version", 8), ("patient", 80), ("recording", 80), ("start_date", 8), ("start_time", 8)),
    *(("header_bytes", 8), ("reserved", 44), ("n_records", 8), ("record_duration", 8), ("n_signals", 4)),
)
SIGNAL_FIELDS = (
    *(("label", 16), ("transducer", 80), ("unit", 8), ("physical_min", 8), ("physical_max", 8)),
    *(("digital_min", 8), ("digital_max", 8), ("prefilter", 80), ("samples", 8), ("reserved", 32)),
)


@dataclass(frozen=True)
class Signal:
    """A signal's fields and its digital samples `[records, samples a record]`, or the bytes of each record."""

    label: str | bytes
    data: NDArray[np.int32] | Sequence[bytes]
    fields: dict[str, str | bytes] = field(default_factory=dict)


def annotation_signal(records: Sequence[bytes], samples: int = 40, bdf: bool = False) -> Signal:
    size = samples * (3 if bdf else 2)
    assert all(len(record) <= size for record in records)
    label = "BDF Annotations" if bdf else "EDF Annotations"
    limits = {"physical_min": "-1", "physical_max": "1", "unit": ""}
    return Signal(label, [record.ljust(size, b"\x00") for record in records], {**limits, "samples": str(samples)})


def time_keeping(onsets: Sequence[str], more: Sequence[bytes] = ()) -> list[bytes]:
    """The records of an annotation signal: each one's time, and to the first ones further lists."""
    extra = [*more, *([b""] * (len(onsets) - len(more)))]
    return [f"{onset}\x14\x14\x00".encode() + tail for onset, tail in zip(onsets, extra, strict=True)]


def edf_bytes(signals: Sequence[Signal], bdf: bool = False, tail: bytes = b"", **fields: str | bytes) -> bytes:
    width = 3 if bdf else 2
    low, high = -(2 ** (8 * width - 1)), 2 ** (8 * width - 1) - 1
    n_records = len(signals[0].data) if signals else 0
    values: dict[str, str | bytes] = {
        "version": b"\xffBIOSEMI" if bdf else "0",
        "patient": "X X X X",
        "recording": "Startdate 02-MAR-2021 X X X",
        "start_date": "02.03.21",
        "start_time": "22.15.30",
        "header_bytes": str(256 * (len(signals) + 1)),
        "reserved": "24BIT" if bdf else "",
        "n_records": str(n_records),
        "record_duration": "1",
        "n_signals": str(len(signals)),
        **fields,
    }
    columns: list[dict[str, str | bytes]] = [
        {
            "label": signal.label,
            "unit": "uV",
            "physical_min": "-100",
            "physical_max": "100",
            "digital_min": str(low),
            "digital_max": str(high),
            "samples": str(len(signal.data[0]) // (width if isinstance(signal.data[0], bytes) else 1)),
            **signal.fields,
        }
        for signal in signals
    ]
    header = b"".join(_field(values[name], size) for name, size in RECORDING_FIELDS)
    header += b"".join(_field(c.get(name, ""), size) for name, size in SIGNAL_FIELDS for c in columns)
    records = b"".join(_record(signal.data[i], width) for i in range(n_records) for signal in signals)
    return header + records + tail


def _field(value: str | bytes, size: int) -> bytes:
    raw = value if isinstance(value, bytes) else value.encode("latin-1")
    assert len(raw) <= size, raw
    return raw.ljust(size)


def _record(data: NDArray[np.int32] | bytes, width: int) -> bytes:
    if isinstance(data, bytes):
        return data
    little = np.ascontiguousarray(data, "<i4").view(np.uint8).reshape(-1, 4)
    return little[:, :width].tobytes()


def ramp(records: int, samples: int, seed: int = 1, bits: int = 16) -> NDArray[np.int32]:
    """Digital samples without pattern, over the whole range."""
    limit = 2 ** (bits - 1)
    random = np.random.default_rng(seed)
    values: NDArray[np.int32] = random.integers(-limit, limit, (records, samples)).astype(np.int32)
    return values
