"""Scorings as JSON: the simulator's truth and our own files."""

import json
from typing import Any

from core.errors import StudyError
from core.psg.scorings.terms import EVENT_TYPES, STAGES, UNSCORED, Event, Score, StageRow


def read_json(text: str, name: str) -> Score:
    """Read `epochs[{stage}]` or `stages[]`, with `events[{type, onset, duration}]` and lights.

    Parameters
    ----------
    text
        The file's text.
    name
        The file's name, for messages.
    """
    try:
        document = json.loads(text)
        if "stages" in document:
            names = [str(stage) for stage in document["stages"]]
        else:
            names = [str(epoch["stage"]) for epoch in document["epochs"]]
        events = tuple(_event(event) for event in document.get("events", ()))
        lights = [document.get(key) for key in ("lights_off", "lights_on")]
        off, on = (None if value is None else float(value) for value in lights)
        seconds = float(document.get("epoch_seconds", 30.0))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise StudyError(f"{name} is not a scoring in JSON.", _HINT) from error
    if any(stage not in (*STAGES, UNSCORED) for stage in names):
        raise StudyError(f"{name} has a stage other than W, N1, N2, N3, R and ?.", _HINT)
    rows = tuple(StageRow(i * seconds, seconds, stage) for i, stage in enumerate(names))
    return Score(rows, tuple(event for event in events if event.type in EVENT_TYPES), off, on)


_HINT = 'Expected is {"epochs": [{"stage": "W"}, ...], "events": [{"type", "onset", "duration"}, ...]}.'


def _event(row: dict[str, Any]) -> Event:
    confidence = row.get("confidence")
    return Event(
        str(row["type"]),
        float(row["onset"]),
        float(row["duration"]),
        None if confidence is None else float(confidence),
    )


def write_json(
    stages: tuple[str, ...], events: tuple[Event, ...], lights_off: float | None, lights_on: float | None
) -> str:
    """Return a scoring as JSON that `read_json` reads; nothing is lost."""
    rows = [
        {"type": e.type, "onset": e.onset, "duration": e.duration}
        | ({} if e.confidence is None else {"confidence": e.confidence})
        for e in events
    ]
    document = {
        "epoch_seconds": 30,
        "stages": list(stages),
        "events": rows,
        "lights_off": lights_off,
        "lights_on": lights_on,
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
