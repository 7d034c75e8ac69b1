"""Time-stamped annotation lists (TALs) of EDF+ and BDF+: annotations and the times of data records.

EDF+ 2.2.2: a TAL is `onset[0x15 duration]0x14 text 0x14 ... 0x14 0x00`; the first TAL of each record has an
empty text and tells when the record begins (2.2.4).
"""

import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from core.psg.edf.fields import parse_text
from core.psg.edf.header import EdfHeader, EdfSignal

_END_OF_TEXT = 0x14
_KEEPER = re.compile(rb"([+-]?\d{1,12}(?:[.,]\d{0,12})?)(?:\x15[\d.,]{0,25})?\x14\x14")
_TAL = re.compile(rb"^([+-]?\d{1,12}(?:[.,]\d{0,12})?)(?:\x15(\d{0,12}(?:[.,]\d{0,12})?))?\x14(.*)$", re.DOTALL)


def annotation_bytes(header: EdfHeader, data: NDArray[np.uint8], signal: EdfSignal) -> NDArray[np.uint8]:
    """Return the bytes of one annotation signal, `[records, bytes]`.

    Parameters
    ----------
    header
        The file's header.
    data
        The file's bytes, uint8 `[bytes]`.
    signal
        One of the header's annotation signals.
    """
    end = header.data_offset + header.n_records * header.record_bytes
    records = data[header.data_offset : end].reshape(header.n_records, header.record_bytes)
    first = signal.first * header.sample_bytes
    return records[:, first : first + signal.samples * header.sample_bytes]


def parse_record(raw: bytes) -> Iterator[tuple[float, float, list[str]]]:
    """Yield onset and duration in seconds and the texts of each readable TAL in one record's bytes."""
    for chunk in raw.split(b"\x00"):
        match = _TAL.match(chunk)
        if match is None:
            continue
        onset = float(match[1].replace(b",", b"."))
        written = (match[2] or b"").replace(b",", b".").strip(b".")
        texts = [parse_text(text) for text in match[3].rstrip(b"\x14").split(b"\x14")]
        yield onset, float(written) if written else 0.0, texts


def read_annotations(header: EdfHeader, data: NDArray[np.uint8]) -> list[tuple[float, float, str]]:
    """Read all annotations with a text: onset from the header's start, duration (both s), text; by onset."""
    found: list[tuple[float, float, str]] = []
    for signal in header.signals:
        if signal.is_annotation and signal.samples:
            rows = np.ascontiguousarray(annotation_bytes(header, data, signal))
            after = rows[:, 1:]
            worded = ((rows[:, :-1] == _END_OF_TEXT) & (after != _END_OF_TEXT) & (after != 0)).any(axis=1)
            for row in rows[worded]:
                for onset, duration, texts in parse_record(row.tobytes()):
                    found.extend((onset, duration, text) for text in texts if text)
    return sorted(found, key=lambda annotation: annotation[:2])


def record_onsets(header: EdfHeader, data: NDArray[np.uint8], records: slice) -> NDArray[np.float64]:
    """Read when data records begin by their time-keeping TALs.

    Returns
    -------
    float64 `[records]`
        Seconds from the header's start; NaN where a record's first TAL is unreadable.
    """
    keeper = next((s for s in header.signals if s.is_annotation and s.samples), None)
    count = len(range(*records.indices(header.n_records)))
    onsets = np.full(count, np.nan)
    if keeper is None:
        return onsets
    rows = annotation_bytes(header, data, keeper)[records]
    content, width = rows.tobytes(), rows.shape[1]
    for row in range(count):
        match = _KEEPER.match(content, row * width, (row + 1) * width)
        if match is not None:
            onsets[row] = float(match[1].replace(b",", b"."))
    return onsets
