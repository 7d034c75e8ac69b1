"""A night's stages as a strip: a row a stage, a column a stretch of epochs."""

from collections.abc import Sequence

from sleepcli.drawings.columns import commonest, stretches
from sleepcli.drawings.line import Line

STAGE_ROWS = ("W", "R", "N1", "N2", "N3")
"""Rows of a hypnogram, top to bottom."""
STAGE_STYLES = {"W": "yellow", "R": "magenta", "N1": "cyan", "N2": "blue", "N3": "bold blue", "?": "dim"}
EPOCH_HOURS = 30 / 3600
LABEL = 5
"""Columns of a row's name."""
MARGIN = 3
"""Columns left free at the right."""
LEAST = 20
"""Columns of a strip, however narrow the terminal."""
TICK = 7
"""Columns between two hours at least."""


def hypnogram(stages: Sequence[str], width: int = 72) -> list[Line]:
    """Draw a hypnogram that reads without colour.

    Parameters
    ----------
    stages
        One label an epoch; the commonest of a stretch is drawn, `·` where it is `?`.
    width
        Columns of the strip; fewer where the night is short.
    """
    columns = strip_columns(len(stages), width)
    if not columns:
        return []
    drawn = [commonest(part) for part in stretches(stages, columns)]
    lines = []
    for stage in STAGE_ROWS:
        strip = "".join("█" if label == stage else ("·" if label == "?" else " ") for label in drawn)
        lines.append(row(stage, strip, STAGE_STYLES[stage]))
    return [*lines, hours(len(stages), columns)]


def strip_width(terminal: int) -> int:
    """Columns that a terminal leaves for a strip beside its name."""
    return max(LEAST, terminal - LABEL - MARGIN)


def strip_columns(n_epochs: int, width: int) -> int:
    """Columns of a night's strip: at most one an epoch."""
    return max(0, min(width, n_epochs))


def row(label: str, strip: str, style: str = "") -> Line:
    """Put a strip beside its name."""
    return ((f"{label:>{LABEL - 1}} ", "bold"), (strip.rstrip(), style))


def hours(n_epochs: int, columns: int) -> Line:
    """Draw the time axis: hours from the start of the recording, and its end."""
    length = n_epochs * EPOCH_HOURS
    end = f"{length:.1f} h"
    step = next((step for step in (1, 2, 3, 6, 12) if step * columns / length >= TICK), 24)
    axis = [" "] * columns
    for hour in range(0, int(length) + 1, step):
        at = round(hour * columns / length)
        text = f"{hour} h"
        if at + len(text) < columns - len(end):
            axis[at : at + len(text)] = text
    if columns > len(end):
        axis[columns - len(end) :] = end
    return row("", "".join(axis), "dim")
