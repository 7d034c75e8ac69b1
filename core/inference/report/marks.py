"""What a figure is made of: tracks over one time axis, each with marks in seconds and in points from its top."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from core.psg.store import PreparedStudy


@dataclass(frozen=True)
class Bars:
    """Filled rectangles of one kind."""

    kind: str
    """Name of a colour in the palette, or of a rule in the style sheet."""
    boxes: NDArray[np.float64]
    """[n, 4]: from and to in seconds, top and bottom in points."""


@dataclass(frozen=True)
class Line:
    """A line; it breaks where a value is NaN."""

    kind: str
    """Name of a rule in the style sheet."""
    seconds: NDArray[np.float64]
    """[n]."""
    heights: NDArray[np.float64]
    """[n] points from the track's top."""


@dataclass(frozen=True)
class Picture:
    """A picture that fills its track."""

    png: bytes
    """The file."""


@dataclass(frozen=True)
class Tick:
    """A label beside a track."""

    height: float
    """Points from the track's top."""
    text: str
    """A few characters."""


@dataclass(frozen=True)
class Track:
    """A stripe of the figure."""

    name: str
    """Its identifier."""
    title: str
    """What it shows, with its unit."""
    height: float
    """Points."""
    ticks: tuple[Tick, ...] = ()
    """Labels at the left."""
    marks: tuple[Bars | Line | Picture, ...] = ()
    """From back to front."""
    told: str = ""
    """The track in a sentence, for who cannot see it."""
    legend: tuple[str, ...] = ()
    """Kinds of bars whose colour has to be told, from left to right."""


@dataclass(frozen=True)
class Figure:
    """Tracks that share a time axis."""

    duration: float
    """Seconds."""
    start: float | None
    """Clock time of the beginning in seconds after midnight; None where it is not known."""
    tracks: tuple[Track, ...]
    """From top to bottom."""
    absent: tuple[str, ...] = field(default=())
    """What the study has no signal for."""


def start_of_day(study: "PreparedStudy") -> float | None:
    """Clock time of a recording's start in seconds after midnight; None where it is not known."""
    start = study.start
    return None if start is None else float(start.hour * 3600 + start.minute * 60 + start.second)


def clock(seconds: float, start: float | None, with_seconds: bool = True) -> str:
    """A moment by the clock, or from the start of the recording where the clock is not known."""
    whole = int(seconds + (start or 0.0))
    if start is not None:
        whole %= 86400
    text = f"{whole // 3600:02d}:{whole // 60 % 60:02d}"
    return f"{text}:{whole % 60:02d}" if with_seconds else text


def hours_of(duration: float, start: float | None, most: int = 12) -> list[tuple[float, str]]:
    """Whole hours (or steps of several) on the axis: seconds from the start, and the label."""
    step = next((step for step in (300, 600, 900, 1800, 3600, 7200, 10800) if duration / step <= most), 21600)
    begin = start or 0.0
    first = -begin % step
    count = max(0, int((duration - first) // step) + 1)
    return [(first + k * step, clock(first + k * step, start, with_seconds=False)) for k in range(count)]
