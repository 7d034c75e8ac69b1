"""Marks as SVG: the same drawing stands in the page, where its time axis zooms, and in the figure alone."""

import base64

import numpy as np
from numpy.typing import NDArray

from core.inference.report.marks import Bars, Figure, Line, Picture, Track, hours_of
from core.inference.report.markup import escape
from core.inference.report.palette import LIGHT

LEFT, RIGHT = 64.0, 14.0  # points beside the plots of the figure alone
TITLE, GAP, AXIS = 16.0, 10.0, 26.0  # points above a track, below it, and under the last one
WIDTH = 1180.0
LEGEND = 36.0  # points from one square of a legend to the next


def plot(track: Track, duration: float, place: str = "") -> str:
    """A track's marks as an `svg` whose width stretches to the time shown; lines keep their thickness.

    Parameters
    ----------
    track
        What to draw.
    duration
        Seconds that the whole width stands for.
    place
        Attributes of the element: its place in a larger drawing.
    """
    box = f'viewBox="0 0 {duration:g} {track.height:g}" preserveAspectRatio="none"'
    marks = "".join(_mark(mark, duration, track.height) for mark in track.marks)
    return f'<svg {place} {box} class="plot" data-track="{track.name}" aria-hidden="true">{marks}</svg>'


def scale(track: Track, width: float = 56.0) -> str:
    """A track's labels as an `svg` of its own that never stretches, right-aligned."""
    texts = "".join(
        f'<text x="{width - 6:g}" y="{tick.height + 3.5:.1f}">{escape(tick.text)}</text>' for tick in track.ticks
    )
    return f'<svg class="scale" width="{width:g}" height="{track.height:g}" aria-hidden="true">{texts}</svg>'


def legend(track: Track, x: float = 0.0, y: float = 0.0) -> str:
    """Squares in the colours of a track's bars, each with its name, from a place to the right; empty without any."""
    return "".join(
        f'<rect class="bars {kind}" x="{x + LEGEND * k:g}" y="{y:g}" width="9" height="9"/>'
        f'<text class="legend" x="{x + LEGEND * k + 13:g}" y="{y + 8.5:g}">{escape(kind)}</text>'
        for k, kind in enumerate(track.legend)
    )


def _mark(mark: Bars | Line | Picture, duration: float, height: float) -> str:
    if isinstance(mark, Picture):
        data = base64.b64encode(mark.png).decode()
        place = f'width="{duration:g}" height="{height:g}" preserveAspectRatio="none"'
        return f'<image {place} href="data:image/png;base64,{data}"/>'
    if isinstance(mark, Line):
        return f'<path class="line {mark.kind}" vector-effect="non-scaling-stroke" d="{_line(mark)}"/>'
    return f'<path class="bars {mark.kind}" d="{_boxes(mark)}"/>' if len(mark.boxes) else ""


def _boxes(bars: Bars) -> str:
    return "".join(
        f"M{x0:.6g} {y0:.4g}h{x1 - x0:.5g}v{y1 - y0:.4g}h{x0 - x1:.5g}z" for x0, x1, y0, y1 in bars.boxes.tolist()
    )


def _line(line: Line) -> str:
    """A path in steps from point to point: one `m` or `l` a point, in tenths where they are needed."""
    parts: list[str] = []
    last: tuple[float, float] | None = None
    points = zip(line.seconds.tolist(), line.heights.tolist(), strict=True)
    keep = _corners(line.heights)
    for (x, y), needed in zip(points, keep, strict=True):
        if np.isnan(y):
            last = None
        elif last is None:
            parts.append(f"M{x:.6g} {y:.4g}")
            last = (x, y)
        elif needed:
            parts.append(f"l{x - last[0]:.5g} {round(y - last[1], 1):g}")
            last = (x, y)
    return "".join(parts)


def _corners(heights: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Points that a line needs: those inside a level stretch are left out."""
    same = heights[1:] == heights[:-1]
    inner = np.zeros(len(heights), bool)
    inner[1:-1] = same[:-1] & same[1:]
    return ~inner


def standalone(figure: Figure, title: str) -> str:
    """The whole figure as an SVG file, on white.

    Parameters
    ----------
    figure
        What to draw.
    title
        Shown above it: the study's name.
    """
    width = WIDTH - LEFT - RIGHT
    parts, top = [], 34.0
    for track in figure.tracks:
        parts.append(f'<text class="title" x="{LEFT:g}" y="{top + 11:g}">{escape(track.title)}</text>')
        parts.append(legend(track, WIDTH - RIGHT - LEGEND * len(track.legend), top + 2))
        top += TITLE
        for tick in track.ticks:
            parts.append(
                f'<text class="tick" x="{LEFT - 6:g}" y="{top + tick.height + 3.5:.1f}">{escape(tick.text)}</text>'
            )
        place = f'x="{LEFT:g}" y="{top:g}" width="{width:g}" height="{track.height:g}"'
        parts.append(plot(track, figure.duration, place))
        parts.append(f'<rect class="frame" {place}/>')
        top += track.height + GAP
    for seconds, label in hours_of(figure.duration, figure.start):
        x = LEFT + width * seconds / figure.duration
        parts.append(f'<line class="hour" x1="{x:.1f}" x2="{x:.1f}" y1="34" y2="{top:g}"/>')
        parts.append(f'<text class="hour-label" x="{x:.1f}" y="{top + 14:g}">{label}</text>')
    height = top + AXIS
    told = escape("; ".join(f"{track.title}: {track.told}" for track in figure.tracks))
    head = f'<text class="name" x="{LEFT:g}" y="22">{escape(title)}</text>'
    head += f'<text class="note" x="{WIDTH - RIGHT:g}" y="22">{NOTE}</text>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH:g}" height="{height:g}" '
        f'viewBox="0 0 {WIDTH:g} {height:g}" role="img"><title>{escape(title)}</title><desc>{told}</desc>'
        f'<style>{style()}</style><rect width="100%" height="100%" fill="#ffffff"/>{head}{"".join(parts)}</svg>\n'
    )


NOTE = "Not for diagnosis"


def style() -> str:
    """Rules of the figure alone; the page has its own, which follow the reader's system."""
    fills = "".join(f".bars.{name}{{fill:{colour}}}" for name, colour in LIGHT.items())
    lines = (
        (".hypnogram", LIGHT["ink"], 1.3),
        (".oxygen", LIGHT["obstructive_apnea"], 1.0),
        (".heart", LIGHT["R"], 1.0),
    )
    strokes = "".join(f"{name}{{stroke:{colour};stroke-width:{width}}}" for name, colour, width in lines)
    return (
        "text{font-family:Helvetica,Arial,'Liberation Sans','DejaVu Sans',sans-serif;font-size:10px;"
        f"fill:{LIGHT['muted']}}}.name{{font-size:14px;font-weight:bold;fill:{LIGHT['ink']}}}.tick,.note{{text-anchor:end}}"
        f".title{{fill:{LIGHT['ink']}}}.hour-label{{text-anchor:middle}}.hour{{stroke:{LIGHT['rule']};stroke-width:.5}}"
        f".frame{{fill:none;stroke:{LIGHT['rule']};stroke-width:.7}}.line{{fill:none}}{fills}{strokes}"
        f".bars.lights{{fill:{LIGHT['rule']};fill-opacity:.5}}.bars.differs{{fill:{LIGHT['mark']}}}.bars.guide{{fill:{LIGHT['rule']}}}"
        f".bars.heart-range{{fill:{LIGHT['R']};fill-opacity:.25}}.bars.position{{fill:{LIGHT['muted']}}}"
    )
