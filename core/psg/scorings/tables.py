"""Scorings as text: tables (CSV, TSV, BIDS events, exports with a heading), Luna's files, one stage a line."""

import csv
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from core.errors import StudyError
from core.psg.scorings.terms import (
    CLOCK_DAY,
    EPOCH_SECONDS,
    UNSCORED,
    Score,
    StageRow,
    event_type,
    lights_name,
    rows_to_score,
    stage_name,
    stages_of_labels,
)

STAGE_COLUMNS = (
    *("stage", "sleep_stage", "sleepstage", "stages", "sleep stage", "stage_hum", "majority", "hypnogram"),
    *("score", "label", "annotation", "trial_type", "event", "description", "class", "staging"),
)
"""Columns that may hold stages, the surest first."""
ONSET_COLUMNS = (
    "onset",
    "start",
    "start_sec",
    "onset_s",
    "begin",
    "time",
    "timestamp",
    "time [hh:mm:ss]",
    "recording onset",
)
DURATION_COLUMNS = ("duration", "dur", "duration[s]", "duration [s]", "length", "duration_s")
EPOCH_COLUMNS = ("epoch", "epochs", "epoch_number", "epoch number", "epoch_id")
PROBABILITY_COLUMN = "p_w"
"""A table with it is a model's output, not a scoring."""
_CLOCK = re.compile(r"^(?:\d{4}-\d{2}-\d{2}[T ])?(\d{1,2}):(\d{2}):(\d{2}(?:[.,]\d*)?)\s*([AaPp][Mm])?$")
_HINT = "Write a table with the columns epoch,onset,duration,stage."


@dataclass(frozen=True)
class Table:
    """A table with a heading."""

    columns: tuple[str, ...]
    """Names in lower case."""
    rows: tuple[tuple[str, ...], ...]
    """Cells; short rows are filled with empty ones."""

    def column(self, names: Sequence[str]) -> list[str] | None:
        """Return the cells of the first of these columns that exists."""
        for name in names:
            if name in self.columns:
                place = self.columns.index(name)
                return [row[place] for row in self.rows]
        return None


def parse_table(text: str) -> Table | None:
    """Find a heading with a stage column in the first lines of a text; None where there is none."""
    lines = text.splitlines()
    for number, line in enumerate(lines[:_MAX_PREAMBLE]):
        delimiter = max("\t;,", key=line.count)
        columns = tuple(cell.lower() for cell in next(iter(_cells([line], delimiter)), ()))
        timed = any(name in columns for name in (*ONSET_COLUMNS, *EPOCH_COLUMNS))
        if any(name in columns for name in STAGE_COLUMNS) and (timed or len(columns) <= 2):
            rows = [row for row in _cells(lines[number + 1 :], delimiter) if any(row)]
            width = len(columns)
            return Table(columns, tuple((row + ("",) * width)[:width] for row in rows))
    return None


def _cells(lines: Sequence[str], delimiter: str) -> list[tuple[str, ...]]:
    """Split lines into cells; none where one is longer than any cell of a scoring."""
    try:
        return [tuple(cell.strip() for cell in row) for row in csv.reader(lines, delimiter=delimiter)]
    except csv.Error:
        return []


_MAX_PREAMBLE = 60
"""Lines in which a heading is looked for."""


def is_model_output(text: str) -> bool:
    """Whether a table holds stage probabilities: a model's output, never a scoring beside a study."""
    table = parse_table(text[:20_000])
    return table is not None and PROBABILITY_COLUMN in table.columns


def looks_like_scoring(text: str) -> bool:
    """Whether a text is a table with stages or lists one stage a line."""
    table = parse_table(text[:20_000])
    if table is not None:
        cells = table.column(_filled(table)) or []
        named = any("stage" in name or name == "hypnogram" for name in table.columns)
        known = any(stage_name(cell) or event_type(cell) or (named and stages_of_labels([cell])) for cell in cells)
        return known and PROBABILITY_COLUMN not in table.columns
    lines = text[:20_000].splitlines()
    _, _, stages = _listed(lines[:-1] if len(text) > 20_000 else lines)
    return stages is not None and len(stages) >= _SHORTEST_LIST


_SHORTEST_LIST = 5
"""Lines below which a list of stages is not recognised by its content alone."""


def read_table(text: str, name: str) -> Score:
    """Read a table or a list of stages.

    Parameters
    ----------
    text
        The file's text.
    name
        The file's name, for messages.

    Raises
    ------
    StudyError
        No column holds stages, or a row is unreadable; the sentence names the row, never its text.
    """
    table = parse_table(text)
    if table is None:
        return _read_list(text, name)
    onsets = table.column(ONSET_COLUMNS)
    durations = table.column(DURATION_COLUMNS)
    labels = table.column(_filled(table))
    if labels is None or not table.rows:
        raise StudyError(f"{name} has no row with a stage.", _HINT)
    stages = stages_of_labels(labels)
    if onsets is None:
        return _untimed(table, stages, name)
    seconds, start = times_of_cells(onsets, name)
    lengths = [_duration(cell, name, row) for row, cell in enumerate(durations)] if durations else [0.0] * len(onsets)
    if stages is not None:
        rows = zip(seconds, lengths, stages, strict=True)
        return Score(tuple(StageRow(*row) for row in rows), start=start)
    mixed = list(zip(seconds, lengths, labels, strict=True))
    if not any(stage_name(label) or event_type(label) or lights_name(label) for label in labels):
        raise StudyError(f"{name} names no stage and no event that is known.", _HINT)
    return rows_to_score(mixed, start)


def _filled(table: Table) -> list[str]:
    """Return the stage columns that exist, those first in which the rows name stages or events."""
    present = [name for name in STAGE_COLUMNS if name in table.columns]

    def known(name: str) -> tuple[bool, int]:
        cells = table.column([name]) or []
        stages = sum(bool(stage_name(cell)) or cell.isdigit() for cell in cells)
        events = sum(bool(event_type(cell)) for cell in cells)
        return stages > 0 and events > 0, stages + events

    return sorted(present, key=known, reverse=True)


def _untimed(table: Table, stages: list[str] | None, name: str) -> Score:
    if stages is None:
        raise StudyError(f"{name} has rows without a known stage and no onset column.", _HINT)
    epochs = table.column(EPOCH_COLUMNS)
    if epochs is None:
        return Score(tuple(StageRow(0.0, 0.0, stage) for stage in stages), has_onsets=False)
    try:
        numbers = [int(float(cell)) for cell in epochs]
    except (ValueError, OverflowError) as error:
        raise StudyError(f"{name} has an epoch that is not a number.", _HINT) from error
    first = 1 if min(numbers) == 1 else 0
    rows = (StageRow((n - first) * EPOCH_SECONDS, EPOCH_SECONDS, s) for n, s in zip(numbers, stages, strict=True))
    return Score(tuple(rows))


def _read_list(text: str, name: str) -> Score:
    heading, labels, stages = _listed(text.splitlines())
    codes, seconds = _own_codes(heading, name)
    if codes:
        stages = [codes.get(label, UNSCORED) for label in labels]
    if not labels or stages is None:
        raise StudyError(f"{name} is neither a table with a stage column nor a list of stages.", _HINT)
    rows = tuple(StageRow(0.0, 0.0, stage) for stage in stages)
    return Score(rows, has_onsets=False, epoch_seconds=seconds)


def _own_codes(heading: str, name: str) -> tuple[dict[str, str], float | None]:
    """Return the numbering and epoch length of data sets that number stages in their own way."""
    if heading.lower() == "[hypnogram]":
        return DREAMS_CODES, 5.0
    if re.match(r"ucddb\d+_stage\.txt$", name.lower()):
        return UCDDB_CODES, EPOCH_SECONDS
    return {}, None


DREAMS_CODES = {"5": "W", "4": "R", "3": "N1", "2": "N2", "1": "N3", "0": "N3"}
"""DREAMS: 5-s epochs, deeper sleep has lower numbers."""
UCDDB_CODES = {"0": "W", "1": "R", "2": "N1", "3": "N2", "4": "N3", "5": "N3"}
"""UCDDB: 6 artefact, 7 and 8 unknown."""


def _listed(lines: Sequence[str]) -> tuple[str, list[str], list[str] | None]:
    """Take a stage from the end of each line: its last cell, or its last word.

    Returns
    -------
    tuple of str, list of str, and list of str or None
        A heading before the first stage ("" where there is none), the labels, and their stages; None
        where a label is no stage.
    """
    written = [line for line in lines if line.strip() and not line.startswith("#")]
    cells = [re.split(r"[,;\t]", line.strip())[-1].strip().strip("\"'") for line in written]
    for labels in (cells, [cell.split()[-1] if cell else "" for cell in cells]):
        bare = bool(labels) and stages_of_labels(labels[:1]) is None
        heading, rest = (labels[0], labels[1:]) if bare else ("", labels)
        stages = stages_of_labels(rest)
        if rest and stages is not None:
            return heading, rest, stages
    return "", cells, None


def _duration(cell: str, name: str, row: int) -> float:
    if cell.lower() in ("", "n/a", "na", "nan", "."):
        return 0.0
    try:
        return float(cell.replace(",", "."))
    except ValueError as error:
        raise StudyError(f"{name} has an unreadable duration in row {row + 1}.", _HINT) from error


def times_of_cells(cells: Sequence[str], name: str) -> tuple[list[float], datetime | None]:
    """Read onsets in seconds, or clock times, which count from the earliest one."""
    moments = [clock_seconds(cell) for cell in cells]
    if cells and not any(math.isnan(moment) for moment in moments):
        seconds, day = [0.0], 0.0
        for before, after in pairwise(moments):
            day += 86400.0 if after < before - 43200.0 else -86400.0 if after > before + 43200.0 else 0.0
            seconds.append(after + day - moments[0])
        first = min(seconds)
        return [second - first for second in seconds], CLOCK_DAY + timedelta(seconds=(moments[0] + first) % 86400.0)
    values: list[float] = []
    for row, cell in enumerate(cells):
        try:
            values.append(float(cell.replace(",", ".")))
        except ValueError as error:
            raise StudyError(f"{name} has an unreadable onset in row {row + 1}.", _HINT) from error
    return values, None


def clock_seconds(text: str) -> float:
    """Return the seconds since midnight of a clock time, 12 or 24 hours; NaN where the text is none."""
    clock = _CLOCK.match(text)
    if clock is None:
        return math.nan
    hour = int(clock[1])
    if clock[4]:
        hour = hour % 12 + (12 if clock[4].lower() == "pm" else 0)
    return hour * 3600 + int(clock[2]) * 60 + float(clock[3].replace(",", "."))


def read_luna(text: str, name: str, whole_epochs: bool) -> Score:
    """Read Luna's `.annot` (class, instance, channel, start, stop, meta) or `.eannot` (a label an epoch).

    Parameters
    ----------
    text
        The file's text.
    name
        The file's name, for messages.
    whole_epochs
        True for `.eannot`.
    """
    if whole_epochs:
        return _read_list(text, name)
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    cells = [re.split(r"\t", line) if "\t" in line else line.split() for line in lines]
    cells = [row for row in cells if row[0].strip().lower() != "class"]
    if not cells or any(len(row) < 3 for row in cells):
        raise StudyError(f"{name} has rows that are not Luna's annotations.", _HINT)
    begins = [row[3] if len(row) > 4 else row[-2] for row in cells]
    stops = [row[4] if len(row) > 4 else row[-1] for row in cells]
    epochs = [re.match(r"^e:(\d+)$", begin) for begin in begins]
    begins = [
        str((int(e[1]) - 1) * 30) if e else begin.removeprefix("0+") for e, begin in zip(epochs, begins, strict=True)
    ]
    seconds, start = times_of_cells(begins, name)
    elapsed = any(row[3].startswith("0+") for row in cells if len(row) > 4)
    if elapsed and start is not None:
        first = (start - CLOCK_DAY).total_seconds()
        seconds, start = [second + first for second in seconds], None
    rows: list[tuple[float, float, str]] = []
    for number, (row, onset, stop) in enumerate(zip(cells, seconds, stops, strict=True)):
        label = row[0] if stage_name(row[0]) or event_type(row[0]) or lights_name(row[0]) else row[1]
        duration = 30.0 if epochs[number] else _luna_duration(stop, onset, begins[number], name, number)
        rows.append((onset, duration, label.replace("_", " ")))
    return rows_to_score(rows, start)


def _luna_duration(stop: str, onset: float, begin: str, name: str, row: int) -> float:
    stop = stop.strip().removeprefix("0+")
    if stop in ("...", "."):
        return 0.0
    if stop.startswith("+"):
        return _duration(stop[1:], name, row)
    length = (clock_seconds(stop) - clock_seconds(begin)) % 86400.0
    if not math.isnan(length):
        return length
    return round(max(_duration(stop, name, row) - onset, 0.0), 9)


def write_csv(stages: tuple[str, ...], delimiter: str = ",") -> str:
    """Return `epoch,onset,duration,stage` rows; events and lights are not part of this format."""
    lines = [delimiter.join(("epoch", "onset", "duration", "stage"))]
    lines += [delimiter.join((str(i), str(i * 30), "30", stage)) for i, stage in enumerate(stages)]
    return "\n".join(lines) + "\n"


def write_bids(rows: list[tuple[float, float, str]]) -> str:
    """Return a BIDS `_events.tsv` with stages, events and lights as `trial_type`."""
    lines = ["onset\tduration\ttrial_type"]
    lines += [f"{onset:.12g}\t{duration:.12g}\t{label}" for onset, duration, label in rows]
    return "\n".join(lines) + "\n"


def write_luna(rows: list[tuple[float, float, str]]) -> str:
    """Return a Luna `.annot` file with stages, events and lights."""
    lines = ["class\tinstance\tchannel\tstart\tstop\tmeta"]
    lines += [f"{label}\t.\t.\t{onset:.12g}\t{onset + duration:.12g}\t." for onset, duration, label in rows]
    return "\n".join(lines) + "\n"
