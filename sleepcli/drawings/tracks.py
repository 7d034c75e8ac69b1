"""What goes along with a night's stages, in the columns of its hypnogram: breathing events, oxygen, position."""

from collections.abc import Mapping, Sequence
from typing import Any

from sleepcli.drawings.columns import bars, commonest, stretches
from sleepcli.drawings.hypnogram import row, strip_columns
from sleepcli.drawings.line import Line

BREATHING = ("obstructive_apnea", "central_apnea", "mixed_apnea", "hypopnea", "rera")
POSITIONS = "RLSPU"
"""Letters of the position codes: right, left, supine, prone, upright."""
UNKNOWN = "·"
EVENTS_SHOWN = 4
"""Breathing events an epoch at which a bar is at its highest; an apnea takes 10 s at least."""
OXYGEN = (80.0, 100.0)
"""Per cent of the lowest and the highest bar."""


def tracks(rows: Sequence[Mapping[str, Any]], width: int = 72) -> list[Line]:
    """Draw the tracks of a night that has any; each row's name says its scale.

    Parameters
    ----------
    rows
        Epochs as in `<study>.captions.jsonl`.
    width
        As of the hypnogram above.
    """
    columns = strip_columns(len(rows), width)
    lines: list[Line] = []
    if not columns:
        return lines
    counts = [float(sum(event["type"] in BREATHING for event in entry["events"])) or None for entry in rows]
    if any(counts):
        lines.append(row("resp", bars(counts, columns, (0.0, EVENTS_SHOWN), max), "red"))
    oxygen = [entry["measurements"].get("spo2_min") for entry in rows]
    if any(value is not None for value in oxygen):
        lines.append(row("SpO2", bars(oxygen, columns, OXYGEN, min), "cyan"))
    places = [_letter(entry["measurements"].get("position")) for entry in rows]
    if {*places} != {UNKNOWN}:
        lines.append(row("pos", "".join(commonest(part) for part in stretches(places, columns)), "green"))
    return lines


def legend(lines: Sequence[Line]) -> str:
    """Say what the tracks show, in one line; empty where there are none."""
    meanings = {
        "resp": "resp: apneas, hypopneas",
        "SpO2": f"SpO2: {OXYGEN[0]:.0f}-{OXYGEN[1]:.0f} %",
        "pos": "pos: Supine Left Right Prone Upright",
    }
    names = [line[0][0].strip() for line in lines]
    return "; ".join(meanings[name] for name in names)


def _letter(code: float | None) -> str:
    return POSITIONS[int(code)] if code is not None and 0 <= code < len(POSITIONS) else UNKNOWN
