"""A night's events and channels, summed up: rows of a table, and bars."""

from collections.abc import Mapping, Sequence
from typing import Any

from sleepcli.drawings.line import Line

EVENT_COLUMNS = ("event", "count", "mean s", "longest s", "first at")
USABLE = ("ok", "mains")
"""States in which a number may be measured."""
QUALITY_WIDTH = 30


def event_rows(rows: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
    """Summarise the events of a night, a row a type, as `EVENT_COLUMNS`; an event of several epochs counts once."""
    lengths: dict[str, dict[float, float]] = {}
    for entry in rows:
        for event in entry["events"]:
            lengths.setdefault(event["type"], {})[event["onset"]] = event["duration"]
    return [
        [kind.replace("_", " "), len(found), round(sum(found.values()) / len(found), 1), max(found.values()),
         clock(min(found))]
        for kind, found in sorted(lengths.items())
    ]  # fmt: skip


def quality_bars(rows: Sequence[Mapping[str, Any]]) -> list[Line]:
    """Draw for each channel the share of epochs in which it may be measured, and name what it was otherwise."""
    lines: list[Line] = []
    for channel in rows[0]["channels"] if rows else ():
        states = [entry["channels"][channel] for entry in rows]
        good = sum(state in USABLE for state in states) / len(states)
        others = {state: states.count(state) / len(states) for state in dict.fromkeys(states) if state not in USABLE}
        told = ", ".join(f"{_percent(share)} {state}" for state, share in others.items())
        bar = "█" * round(good * QUALITY_WIDTH)
        lines.append(((f"{channel:>9} {_percent(good):>6} {bar:<{QUALITY_WIDTH}} {told}".rstrip(), ""),))
    return lines


def clock(seconds: float) -> str:
    """Write a time from the start of the recording as h:mm:ss."""
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def _percent(share: float) -> str:
    if 0 < share < 0.01:
        return "<1 %"
    return f"{100 * share:.0f} %" if not 0.99 < share < 1 else "99 %"
