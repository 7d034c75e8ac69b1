"""An epoch's signals as small traces of braille dots."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sleepcli.drawings.hypnogram import LABEL
from sleepcli.drawings.line import Line, plain

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from core.psg.preprocess import Trace

SHOWN = {
    "EEG_C3": ("C3", "µV"), "EEG_C4": ("C4", "µV"), "EOG_L": ("E1", "µV"), "EMG_CHIN": ("chin", "µV"),
    "AF": ("flow", ""), "THX": ("thor", ""), "SPO2": ("SpO2", "%"),
}  # fmt: skip
"""Channels worth a trace, in order, with a short name and the unit of their canonical scale."""
INSTEAD = {"EEG_C4": "EEG_C3", "THX": "AF"}
"""Channels that are drawn only where the other one is absent."""
ROWS = 2
DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""Bits of a braille cell, by column and row of its dots."""
STILL = 1e-9


def waves(traces: Mapping[str, "Trace"], width: int = 72, seconds: float = 30.0) -> list[Line]:
    """Draw an epoch's signals one below the other, each on its own scale, which is told.

    Parameters
    ----------
    traces
        Channel name to the samples of the epoch.
    width
        Columns of a trace.
    seconds
        Length of the epoch.
    """
    lines: list[Line] = []
    for channel, (name, unit) in SHOWN.items():
        if channel in traces and INSTEAD.get(channel) not in traces:
            lines += _wave(name, unit, traces[channel].samples, width)
    if not lines:
        return lines
    return [*lines, plain(" " * LABEL + _axis(width, seconds), "dim")]


def _axis(width: int, seconds: float) -> str:
    """Write the seconds of the epoch below its traces, every third of it."""
    axis = [" "] * width
    for third in range(4):
        text = f"{seconds * third / 3:.0f} s"
        at = min(third * width // 3, width - len(text))
        axis[at : at + len(text)] = text
    return "".join(axis)


def _wave(name: str, unit: str, samples: "NDArray[np.float32]", width: int) -> list[Line]:
    import numpy as np

    known = samples[np.isfinite(samples)]
    if known.size < 2:
        return []
    low, high = float(known.min()), float(known.max())
    cells = braille(samples, width, (low, high)) if high - low > STILL else ["─" * width]
    range_ = f"{_figure(low)} to {_figure(high)} {unit}".rstrip() if unit else ""
    first = ((f"{name:>{LABEL - 1}} ", "bold"), (cells[0].rstrip(), ""))
    rest = [plain(" " * LABEL + line.rstrip()) for line in cells[1:]]
    return [first, *rest, *([plain(" " * LABEL + range_, "dim")] if range_ else [])]


def braille(samples: "NDArray[np.float32]", width: int, limits: tuple[float, float]) -> list[str]:
    """Draw a signal in cells of two by four dots: each column of dots spans from lowest to highest.

    Parameters
    ----------
    samples
        1-D; NaN leaves its columns empty.
    width
        Cells a row.
    limits
        Values of the lowest and the highest dot.

    Returns
    -------
    list of str
        `ROWS` rows, the upper first.
    """
    import numpy as np

    low, high = limits
    levels = ROWS * 4
    cells = np.zeros((ROWS, width), np.int32)
    edges = [samples.size * n // (2 * width) for n in range(2 * width + 1)]
    for column in range(2 * width):
        part = samples[edges[column] : max(edges[column + 1], edges[column] + 1)]
        part = part[np.isfinite(part)]
        if not part.size:
            continue
        bottom, top = (round((float(value) - low) / (high - low) * (levels - 1)) for value in (part.min(), part.max()))
        for level in range(bottom, top + 1):
            row, dot = divmod(levels - 1 - level, 4)
            cells[row, column // 2] |= DOTS[column % 2][dot]
    return ["".join(chr(0x2800 + int(cell)) if cell else " " for cell in line) for line in cells]


def _figure(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 10 else f"{value:.1f}"
