"""A night's stages as a strip: a row a stage, a column a stretch of epochs."""

import itertools
from collections.abc import Sequence

from sleepcli.drawings.line import Line, plain

STAGE_ROWS = ("W", "R", "N1", "N2", "N3")
"""Rows of a hypnogram, top to bottom."""
STAGE_STYLES = {"W": "yellow", "R": "magenta", "N1": "cyan", "N2": "blue", "N3": "bold blue", "?": "dim"}
EPOCH_HOURS = 30 / 3600


def hypnogram(stages: Sequence[str], width: int = 72) -> list[Line]:
    """Draw a hypnogram that reads without colour.

    Parameters
    ----------
    stages
        One label an epoch; the commonest of a stretch is drawn.
    width
        Columns of the strip; fewer where the night is short.
    """
    columns = min(width, len(stages))
    if not columns:
        return []
    edges = [len(stages) * n // columns for n in range(columns + 1)]
    stretches = [list(stages[a:b]) for a, b in itertools.pairwise(edges)]
    drawn = [max(dict.fromkeys(part), key=part.count) for part in stretches]
    lines: list[Line] = []
    for stage in STAGE_ROWS:
        strip = "".join("█" if label == stage else ("·" if label == "?" else " ") for label in drawn)
        lines.append(((f"{stage:>3} ", "bold"), (strip.rstrip(), STAGE_STYLES[stage])))
    hours = len(stages) * EPOCH_HOURS
    return [*lines, plain(f"    0 h{'':<{max(0, columns - 9)}}{hours:.1f} h", "dim")]
