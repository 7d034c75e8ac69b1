"""The table and the figure of the scaling and ablation study (`scaling.py`), from the runs that are done.

    python tests/benchmarks/scaling_report.py RUNS --figure core/models/nano/scaling.svg

Intervals are 95 % bootstrap by held-out subject; those of the ablations are of the paired difference. They do not hold
the spread over seeds.
"""

import argparse
import io
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "tests" / "benchmarks"))

from scaling import CHANGES, FIGURES, NOT_LEARNED, Outcomes, figure, read  # noqa: E402

from core.files import write_with  # noqa: E402
from core.inference.report.palette import LIGHT  # noqa: E402

SCALED = ("zero_shot", "written", "recall", "precision", "nats", "error")
ABLATED = ("zero_shot", "probed", "written", "recall", "precision", "scoring")
COLOURS = (LIGHT["N1"], LIGHT["N2"], LIGHT["N3"])
MINUS = "\N{MINUS SIGN}"


def told(values: Sequence[float]) -> str:
    """Write a figure with its interval."""
    digits = 1 if abs(values[0]) >= 10 else 3
    return f"{values[0]:.{digits}f} ({values[1]:.{digits}f} to {values[2]:.{digits}f})".replace("-", MINUS)


def table(rows: Sequence[dict[str, Any]], names: Sequence[str]) -> Iterator[str]:
    """Write runs as lines of Markdown."""
    yield "| " + " | ".join(["run", *(FIGURES[name][0] for name in names)]) + " |"
    yield "|---|" + "---|" * len(names)
    for row in rows:
        label = f"{row['nights']} nights, width {row['width']}"
        if row["change"]:
            label = CHANGES[row["change"]][0]
        silent = NOT_LEARNED.get(row["change"], ())
        yield "| " + " | ".join([label, *("" if name in silent else told(row[name]) for name in names)]) + " |"


def differences(rows: Sequence[dict[str, Any]], runs: Path) -> dict[str, dict[str, list[float]]]:
    """Give how much higher each ablation's figures are than those of the recipe at its size."""
    names = {row["run"] for row in rows}
    apart = {}
    for row in rows:
        reference = f"n{row['nights']}_w{row['width']}"
        if row["change"] and reference in names:
            mine, whole = _outcomes(runs, row["run"]), _outcomes(runs, reference)
            apart[row["change"]] = {
                name: figure(name, mine, whole) for name in FIGURES if _compared(row["change"], name)
            }
    return apart


def _compared(change: str, name: str) -> bool:
    return name not in NOT_LEARNED.get(change, ())


def _outcomes(runs: Path, name: str) -> Outcomes:
    with np.load(runs / name / "outcomes.npz") as found:
        return dict(found)


def draw(rows: Sequence[dict[str, Any]], apart: dict[str, dict[str, list[float]]]) -> Figure:
    """Draw the figures over the nights, a line a width, and below them what each ablation changes."""
    sheet = Figure(figsize=(12.0, 4.6), facecolor="white", layout="constrained")
    FigureCanvasAgg(sheet)
    grid = sheet.subplots(2, len(SCALED))
    scaled = [row for row in rows if not row["change"]]
    widths = sorted({row["width"] for row in scaled})
    for axes, name in zip(grid[0], SCALED, strict=True):
        for place, (width, colour) in enumerate(zip(widths, COLOURS, strict=False)):
            mine = sorted((row for row in scaled if row["width"] == width), key=lambda row: row["nights"])
            nights = np.array([row["nights"] for row in mine]) * 1.06 ** (place - 1)
            value, low, high = np.array([row[name] for row in mine]).T
            bars = np.maximum(np.array([value - low, high - value]), 0.0)
            label = f"width {width}, {mine[0]['parameters'] / 1e6:.1f} million parameters"
            axes.errorbar(nights, value, bars, fmt="o-", color=colour, markersize=3, linewidth=1, label=label)
        if name in rows[0]["chance"]:
            axes.axhline(rows[0]["chance"][name], color=LIGHT["rule"], linewidth=0.8)
        counts = sorted({row["nights"] for row in scaled})
        axes.set_xscale("log")
        axes.set_xticks(counts, [str(count) for count in counts])
        axes.minorticks_off()
        axes.set_title(FIGURES[name][0], fontsize=8)
        axes.set_xlabel("nights of training")
    for axes, name in zip(grid[1], ABLATED, strict=True):
        changes = [change for change in CHANGES if change in apart][::-1]
        for height, change in enumerate(changes):
            value, low, high = apart[change].get(name, [np.nan] * 3)
            axes.plot([low, high], [height, height], color=LIGHT["muted"], linewidth=1)
            axes.plot(value, height, "o", color=LIGHT["accent"], markersize=4)
        axes.axvline(0.0, color=LIGHT["rule"], linewidth=0.8)
        labels = [CHANGES[change][0] for change in changes] if axes is grid[1][0] else [""] * len(changes)
        axes.set_yticks(range(len(changes)), labels)
        axes.set_ylim(-0.6, max(len(changes), 1) - 0.4)
        axes.set_title(FIGURES[name][0], fontsize=8)
        axes.set_xlabel("difference")
    handles, labels = grid[0][0].get_legend_handles_labels()
    sheet.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False)
    return sheet


def save(path: Path, rows: Sequence[dict[str, Any]], apart: dict[str, dict[str, list[float]]]) -> None:
    """Write the figure; the same runs give the same bytes."""
    plain = {"font.size": 7, "svg.hashsalt": "sleepcli", "svg.fonttype": "none", "axes.linewidth": 0.5}
    data = io.BytesIO()
    with rc_context({**plain, "text.parse_math": False}):
        form = path.suffix[1:]
        metadata = {"Date": None} if form == "svg" else {}
        draw(rows, apart).savefig(data, format=form, dpi=130, metadata=metadata)
    write_with(path, lambda temporary: temporary.write_bytes(data.getvalue()))


def main() -> None:
    """Print the tables and draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--figure", type=Path, help="an SVG or PNG to write")
    wishes = parser.parse_args()
    rows = read(wishes.runs / "results.jsonl")
    order = list(CHANGES)
    rows.sort(key=lambda row: (order.index(row["change"]), row["nights"], row["width"]))
    apart = differences(rows, wishes.runs)
    print("\n".join(table([row for row in rows if not row["change"]], list(FIGURES))), end="\n\n")
    print("\n".join(table([row for row in rows if row["change"]], list(FIGURES))), end="\n\n")
    for change, found in apart.items():
        print(f"{CHANGES[change][0]}, less {CHANGES[''][0]}:")
        for name, values in found.items():
            print(f"  {FIGURES[name][0]}: {told(values)}")
    for row in rows:
        extra = ("subjects", "parameters", "steps", "batch", "cpu_seconds", "tokens", "chance")
        names = [name for name in row if name in extra or name.startswith("rate")]
        print(row["run"], {name: row[name] for name in names})
    if wishes.figure is not None:
        save(wishes.figure, rows, apart)


if __name__ == "__main__":
    main()
