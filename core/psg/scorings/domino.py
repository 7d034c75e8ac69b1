"""Scorings as SOMNOmedics DOMINO exports them as text: a file a signal, with a heading of `Name: value` lines.

A profile (`Signal Type: Discret`) has a row an epoch, `22:00:30,000; N1`; a list of events (`Impuls`) a row an event,
`22:00:31,513-22:00:42,736; 11;Hypopnea`. Described alike by several public readers, among them Snooz' DominoConverter.
"""

import re

from core.errors import StudyError
from core.psg.scorings.tables import clock_seconds, times_of_cells
from core.psg.scorings.terms import UNSCORED, Score, StageRow, rows_to_score, stage_name

_BEGINNING = "Signal ID:"
_DATE = r"(?:\d{1,4}[./-]\d{1,2}[./-]\d{1,4} +)?"
_TIME = r"\d{1,2}:\d{2}:\d{2}(?:[.,]\d+)?"
_ROW = re.compile(rf"^{_DATE}({_TIME})(?: *- *{_DATE}({_TIME}))? *;(?: *[\d.,]+ *;)? *(.*?) *$")
_RATE = re.compile(r"^Rate: *(\d+(?:[.,]\d+)?) *s", re.MULTILINE)


def is_domino(text: str) -> bool:
    """Whether a text begins as DOMINO's exports do."""
    return text.lstrip("\ufeff").startswith(_BEGINNING)


def read_domino(text: str, name: str) -> Score:
    """Read a profile of stages or a list of events.

    Parameters
    ----------
    text
        The file's text.
    name
        The file's name, for messages.

    Raises
    ------
    StudyError
        No row names a stage or an event.
    """
    rows = [match for line in text.splitlines() if (match := _ROW.match(line))]
    begins, start = times_of_cells([row[1] for row in rows], name) if rows else ([], None)
    labels = [row[3] for row in rows]
    if any(row[2] for row in rows):
        lengths = [round((clock_seconds(row[2] or row[1]) - clock_seconds(row[1])) % 86400.0, 6) for row in rows]
        return rows_to_score(list(zip(begins, lengths, labels, strict=True)), start)
    rate = _RATE.search(text)
    length = float(rate[1].replace(",", ".")) if rate else 0.0
    stages = [stage_name(label, column=True) for label in labels]
    if not any(stage not in (None, UNSCORED) for stage in stages):
        raise StudyError(f"{name} is an export of DOMINO without a sleep stage.", "Export the sleep profile.")
    timed = zip(begins, stages, strict=True)
    return Score(tuple(StageRow(begin, length, stage or UNSCORED) for begin, stage in timed), start=start)
