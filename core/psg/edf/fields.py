"""The fixed-width ASCII fields of an EDF header, as files really hold them."""

import math
import re
from datetime import date, datetime, time

EDF_EPOCH = date(1985, 1, 1)
"""The EDF clipping date: two-digit years 85-99 are 1985-1999, 00-84 are 2000-2084."""

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")

_PARTS = re.compile(r"^\s*(\d{1,2})\s*[.:/\- ]\s*(\d{1,2})\s*[.:/\- ]\s*(\d{1,2})\s*$")
_STARTDATE = re.compile(r"^Startdate\s+(\d{1,2})-([A-Z]{3})-(\d{4})(?:\s|$)")


def parse_text(raw: bytes) -> str:
    """Decode a text field: ASCII, else UTF-8 (a character cut at the field's end is dropped), else Latin-1.

    Control characters become spaces, so that a label can neither break a line nor steer a terminal.
    """
    body = raw.rstrip(b" \x00")
    for cut in range(4):
        try:
            text = body[: len(body) - cut].decode("utf-8")
            break
        except UnicodeDecodeError as error:
            if error.reason != "unexpected end of data":
                text = body.decode("latin-1")
                break
    else:
        text = body.decode("latin-1")
    return "".join(c if c.isprintable() else " " for c in text).strip()


def parse_float(raw: bytes) -> float | None:
    """Read a number, with a decimal comma if need be; None where the field holds no finite number."""
    text = raw.replace(b"\x00", b" ").strip().replace(b",", b".")
    try:
        value = float(text.decode("ascii"))
    except (UnicodeDecodeError, ValueError):
        return None
    return value if math.isfinite(value) and b"_" not in text else None


def parse_integer(raw: bytes) -> int | None:
    """Read a whole number, also one written as `256.0`; None where the field holds none."""
    value = parse_float(raw)
    return int(value) if value is not None and value == int(value) else None


def has_comma(raw: bytes) -> bool:
    """Whether the field writes its number with a decimal comma."""
    return b"," in raw and parse_float(raw) is not None


def parse_startdate(recording_field: bytes) -> date | None:
    """Read the four-digit-year start date of an EDF+ local recording identification; None where absent."""
    match = _STARTDATE.match(recording_field.decode("latin-1"))
    if match is None or match[2] not in MONTHS:
        return None
    try:
        return date(int(match[3]), MONTHS.index(match[2]) + 1, int(match[1]))
    except ValueError:
        return None


def parse_start(day: bytes, clock: bytes, long_date: date | None) -> tuple[datetime | None, str]:
    """Read the start of the recording.

    Parameters
    ----------
    day, clock
        The `dd.mm.yy` and `hh.mm.ss` fields.
    long_date
        The EDF+ start date with its four-digit year, which wins where there is one.

    Returns
    -------
    tuple of datetime or None, and str
        The start, and what had to be repaired ("" where nothing). With a time of day but no valid
        date, the date is 1 January 1985, the earliest that EDF knows; without a time there is no start.
    """
    time_parts = _PARTS.match(clock.decode("latin-1"))
    try:
        hour, minute, second = (int(part) for part in time_parts.groups()) if time_parts else (24, 0, 0)
        moment = time(hour, minute, second)
    except ValueError:
        return None, "The start time in the header is not a time of day; the recording has no clock."
    if long_date is not None:
        return datetime.combine(long_date, moment), ""
    parts = _PARTS.match(day.decode("latin-1"))
    if parts is not None:
        first, second, short_year = map(int, parts.groups())
        year = short_year + (1900 if short_year >= EDF_EPOCH.year % 100 else 2000)
        for order, repair in (
            ((second, first), ""),
            ((first, second), "The start date has month and day exchanged; it was read as month.day.year."),
        ):
            try:
                return datetime.combine(date(year, *order), moment), repair
            except ValueError:
                continue
    repair = "The start date in the header is not a date; only the time of day is used (date 1985-01-01)."
    return datetime.combine(EDF_EPOCH, moment), repair
