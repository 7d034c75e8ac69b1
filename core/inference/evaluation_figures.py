"""An evaluation as pictures by matplotlib, which mne brings: confusion, precision over recall, few-shot curves."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import UsageError
from core.files import write_with
from core.inference.evaluation import Evaluation
from core.inference.report.palette import LIGHT
from core.psg.scoring import EVENT_TYPES, STAGES, UNSCORED

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Sheet

FORMATS = ("png", "svg", "pdf")
_PANEL = 3.6  # inches
_DPI = 160
_DARK = 0.55  # share of a row from which white figures can be read better


def check_format(form: str) -> None:
    """Raise UsageError for a format that is not known."""
    if form not in FORMATS:
        raise UsageError(f"There is no format {form!r} of a picture.", f"It is {', '.join(FORMATS)}.")


def write_pictures(found: Evaluation, folder: Path, form: str) -> list[Path]:
    """Draw what an evaluation holds.

    Parameters
    ----------
    found
        The figures.
    folder
        Where `confusion`, `precision_recall` and `few_shot` are written, those for which there are figures.
    form
        `png`, `svg` or `pdf`; the same figures give the same bytes.

    Raises
    ------
    UsageError
        The format is none of them.
    """
    check_format(form)
    drawings: Sequence[tuple[str, int, Callable[[Sheet], None]]] = (
        ("confusion", len(found.confusion), lambda sheet: _confusion(found, sheet)),
        ("precision_recall", 2 * bool(found.curves), lambda sheet: _curves(found, sheet)),
        ("few_shot", int(any(row.task == "few-shot" for row in found.rows)), lambda sheet: _few_shot(found, sheet)),
    )
    written = []
    for name, panels, draw in drawings:
        if panels:
            path = folder / f"{name}.{form}"
            _write(path, _printed(draw, panels, form))
            written.append(path)
    return written


def _write(path: Path, data: bytes) -> None:
    write_with(path, lambda temporary: temporary.write_bytes(data))


def _printed(draw: Callable[[Sheet], None], panels: int, form: str) -> bytes:
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Sheet

    plain = {"font.size": 8, "pdf.fonttype": 42, "svg.hashsalt": "sleepcli", "axes.linewidth": 0.5}
    with rc_context({**plain, "text.parse_math": False}):
        sheet = Sheet(figsize=(_PANEL * panels, _PANEL), facecolor="white", layout="constrained")
        FigureCanvasAgg(sheet)
        draw(sheet)
        data = io.BytesIO()
        undated: dict[str, Any] = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[
            form
        ]
        sheet.savefig(data, format=form, dpi=_DPI, metadata=undated)
    return data.getvalue()


def _confusion(found: Evaluation, sheet: Sheet) -> None:
    """A table a stager: shares of each scored stage, and the counts."""
    for axes, (stager, table) in zip(
        np.atleast_1d(sheet.subplots(1, len(found.confusion))), found.confusion.items(), strict=True
    ):
        shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
        axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
        axes.set_xticks(range(len(STAGES) + 1), [*STAGES, UNSCORED])
        axes.set_yticks(range(len(STAGES)), STAGES)
        axes.tick_params(length=0)
        axes.set_xlabel("given")
        axes.set_ylabel("scored")
        axes.set_title(stager, fontsize=8, color=LIGHT["ink"])
        for (row, column), share in np.ndenumerate(shares):
            colour = "white" if share > _DARK else LIGHT["ink"]
            text = f"{100 * share:.0f} %\n{table[row, column]}"
            axes.text(column, row, text, ha="center", va="center", fontsize=6.5, color=colour)


def _curves(found: Evaluation, sheet: Sheet) -> None:
    """Precision over recall of zero-shot detection, each event type in its colour, with its area."""
    areas = {row.what: row.value for row in found.rows if row.task == "events" and row.figure == "AUPRC"}
    axes = sheet.subplots()
    for name, curve in found.curves.items():
        kind = next(kind for kind in EVENT_TYPES if name.startswith(kind))
        label = f"{name.replace('_', ' ')}: {areas[name]:.2f}"
        axes.step(curve[:, 0], curve[:, 1], where="post", color=LIGHT[kind], linewidth=1.2, label=label)
    axes.set(xlim=(0.0, 1.0), ylim=(0.0, 1.02), xlabel="recall", ylabel="precision")
    axes.set_title("Zero-shot events by epoch: area under the curve", fontsize=8, color=LIGHT["ink"])
    sheet.legend(loc="outside right upper", frameon=False, fontsize=7)


def _few_shot(found: Evaluation, sheet: Sheet) -> None:
    """Kappa over the number of labelled epochs, with its interval."""
    rows = [row for row in found.rows if row.task == "few-shot"]
    shots = [int(row.what.split()[0]) for row in rows]
    axes = sheet.subplots()
    if all(np.isfinite(row.low) for row in rows):
        axes.fill_between(shots, [row.low for row in rows], [row.high for row in rows], color=LIGHT["N1"], alpha=0.5)
    axes.plot(shots, [row.value for row in rows], "o-", color=LIGHT["N3"], linewidth=1.2, markersize=4)
    axes.axhline(0.0, color=LIGHT["rule"], linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xticks(shots, [str(k) for k in shots])
    axes.minorticks_off()
    axes.set(xlabel="labelled epochs a stage", ylabel="Cohen's kappa", ylim=(min(-0.05, *(r.value for r in rows)), 1.0))
    axes.set_title("Few-shot staging, other subjects", fontsize=8, color=LIGHT["ink"])
