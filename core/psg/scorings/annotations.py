"""Scorings as EDF+ annotations."""

from datetime import datetime

from core.psg.edf.fields import MONTHS
from core.psg.edf.header import RECORDING_FIELDS, SIGNAL_FIELDS
from core.psg.recording import Recording
from core.psg.scorings.terms import Score, rows_to_score

RECORD_BYTES = 30_000
"""Bytes of annotations a record, half of what EDF recommends as the most."""


def score_of_recording(recording: Recording) -> Score:
    """Read the scoring among a recording's annotations; its clock is the file's own."""
    rows = [(a.onset, a.duration, a.text) for a in recording.annotations]
    return rows_to_score(rows, recording.start)


def annotations_file(rows: list[tuple[float, float, str]], start: datetime | None) -> bytes:
    """Write annotations as an EDF+ file without signals.

    Parameters
    ----------
    rows
        Onset, duration (both s) and text.
    start
        Start of the recording; None writes EDF+'s anonymous one.

    Returns
    -------
    bytes
        The file.
    """
    lists = [f"+{onset:.12g}\x15{duration:.12g}\x14{text}\x14\x00".encode() for onset, duration, text in rows]
    keeper = b"+0\x14\x14\x00"
    records = [keeper]
    for item in lists:
        if len(records[-1]) + len(item) > RECORD_BYTES:
            records.append(keeper)
        records[-1] += item
    width = max(map(len, records)) + 1 & ~1
    day = f"{start.day:02d}-{MONTHS[start.month - 1]}-{start.year}" if start else "X"
    moment = start or datetime(1985, 1, 1)
    values = {
        "version": "0",
        "patient": "X X X X",
        "recording": f"Startdate {day} X X X",
        "start_date": f"{moment:%d.%m.%y}",
        "start_time": f"{moment:%H.%M.%S}",
        "header_bytes": "512",
        "reserved": "EDF+C",
        "n_records": str(len(records)),
        "record_duration": "0",
        "n_signals": "1",
    }
    signal = {
        "label": "EDF Annotations",
        "physical_min": "-1",
        "physical_max": "1",
        "digital_min": "-32768",
        "digital_max": "32767",
        "samples": str(width // 2),
    }
    header = "".join(values[key].ljust(size) for key, size in RECORDING_FIELDS)
    header += "".join(signal.get(key, "").ljust(size) for key, size in SIGNAL_FIELDS)
    return header.encode("ascii") + b"".join(record.ljust(width, b"\x00") for record in records)
