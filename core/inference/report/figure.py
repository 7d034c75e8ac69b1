"""The figure alone: as SVG by the page's own drawing, as PNG and PDF by matplotlib, which mne brings."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import UsageError
from core.files import write_text, write_with
from core.inference.report.marks import Bars, Figure, Line, Picture, Track, hours_of
from core.inference.report.markup import plain
from core.inference.report.palette import LIGHT
from core.inference.report.svg import NOTE, standalone

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORMATS = ("html", "png", "svg", "pdf")
"""What a report can be: the page, or its figure alone."""
_POINTS = 72.0
_WIDTH = 11.7  # inches, A4 across
_LEFT, _RIGHT, _TOP, _BOTTOM, _BETWEEN = 0.9, 0.2, 0.55, 0.45, 0.34  # inches
_TALLER = 0.85  # inches on paper for 72 points of a track
_DPI = 200
_COLOURS = {"lights": "rule", "heart-range": "R", "guide": "rule", "differs": "mark", "position": "muted"}
_STROKES = {"hypnogram": ("ink", 1.0), "oxygen": ("obstructive_apnea", 0.8), "heart": ("R", 0.8)}


def write_figure(figure: Figure, title: str, path: Path, form: str) -> None:
    """Write the figure of a night, whole or not at all.

    Parameters
    ----------
    figure
        What to draw.
    title
        Shown above it: the study's name.
    path
        File to write.
    form
        `svg`, `png` (200 dots an inch) or `pdf`; the same figure gives the same bytes.

    Raises
    ------
    UsageError
        The format is none of them.
    """
    if form == "svg":
        write_text(path, standalone(figure, title))
    elif form in ("png", "pdf"):
        data = _printed(figure, title, form)
        write_with(path, lambda temporary: temporary.write_bytes(data))
    else:
        raise UsageError(f"There is no format {form!r} of a figure.", "It is png, svg or pdf.")


def _printed(figure: Figure, title: str, form: str) -> bytes:
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Sheet

    heights = [track.height / _POINTS * _TALLER for track in figure.tracks]
    height = _TOP + _BOTTOM + sum(heights) + _BETWEEN * max(0, len(heights) - 1)
    with rc_context({"font.size": 7.5, "pdf.fonttype": 42, "axes.linewidth": 0.5, "text.parse_math": False}):
        sheet = Sheet(figsize=(_WIDTH, height), facecolor="white")
        FigureCanvasAgg(sheet)
        sheet.text(_LEFT / _WIDTH, 1 - 0.2 / height, plain(title), fontsize=11, weight="bold", va="center")
        sheet.text(1 - _RIGHT / _WIDTH, 1 - 0.2 / height, NOTE, ha="right", va="center", color=LIGHT["muted"])
        bottom = height - _TOP
        for track, tall in zip(figure.tracks, heights, strict=True):
            bottom -= tall
            width = (_WIDTH - _LEFT - _RIGHT) / _WIDTH
            _draw_track(sheet.add_axes((_LEFT / _WIDTH, bottom / height, width, tall / height)), track, figure)
            bottom -= _BETWEEN
        if sheet.axes:
            marks = hours_of(figure.duration, figure.start)
            sheet.axes[-1].set_xticks([seconds for seconds, _ in marks], [label for _, label in marks])
        data = io.BytesIO()
        undated: dict[str, Any] = {"CreationDate": None} if form == "pdf" else {"Software": None}
        sheet.savefig(data, format=form, dpi=_DPI, metadata=undated)
    return data.getvalue()


def _draw_track(axes: "Axes", track: Track, figure: Figure) -> None:
    axes.set_xlim(0.0, figure.duration)
    axes.set_ylim(track.height, 0.0)
    axes.set_xticks([seconds for seconds, _ in hours_of(figure.duration, figure.start)], [])
    axes.set_yticks([tick.height for tick in track.ticks], [tick.text for tick in track.ticks])
    axes.tick_params(length=2, width=0.5, colors=LIGHT["muted"])
    axes.tick_params(axis="y", length=0)
    axes.set_title(track.title, loc="left", fontsize=7.5, pad=3, color=LIGHT["ink"])
    for place, kind in enumerate(reversed(track.legend)):
        x = 1.0 - 0.033 * (place + 1)
        axes.text(x, 1.04, "\u25a0", transform=axes.transAxes, color=LIGHT[kind])
        axes.text(x + 0.012, 1.04, kind, transform=axes.transAxes, color=LIGHT["muted"])
    for spine in axes.spines.values():
        spine.set_color(LIGHT["rule"])
    for order, mark in enumerate(track.marks, start=1):
        _draw_mark(axes, mark, (figure.duration, track.height), order)


def _draw_mark(axes: "Axes", mark: Bars | Line | Picture, size: tuple[float, float], order: int) -> None:
    if isinstance(mark, Picture):
        from matplotlib.image import imread

        pixels = imread(io.BytesIO(mark.png), format="png")
        axes.imshow(pixels, extent=(0.0, size[0], size[1], 0.0), aspect="auto", interpolation="none", zorder=order)
    elif isinstance(mark, Line):
        name, width = _STROKES[mark.kind]
        axes.plot(mark.seconds, mark.heights, color=LIGHT[name], linewidth=width, solid_joinstyle="miter", zorder=order)
    elif len(mark.boxes):
        from matplotlib.collections import PolyCollection

        x0, x1, y0, y1 = mark.boxes.T
        corners = np.stack([np.stack([x0, x1, x1, x0], 1), np.stack([y0, y0, y1, y1], 1)], axis=2)
        faint = {"heart-range": 0.25, "lights": 0.5}.get(mark.kind, 1.0)
        colour = LIGHT[_COLOURS.get(mark.kind, mark.kind)]
        axes.add_collection(PolyCollection(list(corners), facecolors=colour, linewidths=0.0, alpha=faint, zorder=order))
