"""The index of several reports: a row a study, sorted by any of its figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from core.inference.report.contents import Contents
from core.inference.report.markup import Markup, element, joined
from core.inference.report.page import DISCLAIMER, asset, document
from core.inference.report.payload import letters
from core.inference.report.tables import UNKNOWN
from core.inference.report.tracks import LEVELS
from core.psg.runs import equal_runs

DOUBTFUL = 0.8
"""Probability below which a stage counts as doubtful here; the page's own limit can be moved."""

COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("total_sleep_time", "Sleep, min", ".0f"),
    ("sleep_efficiency", "Efficiency, %", ".0f"),
    ("sleep_latency", "Latency, min", ".0f"),
    ("N3", "N3, %", ".0f"),
    ("R", "REM, %", ".0f"),
    ("ahi", "AHI, /h", ".1f"),
    ("rei", "REI, /h", ".1f"),
    ("odi3", "ODI 3 %, /h", ".1f"),
    ("spo2_min", "Lowest SpO₂, %", ".0f"),
    ("arousal_index", "Arousals, /h", ".1f"),
    ("doubtful", "Doubtful epochs", "d"),
    ("kappa", "κ with scoring", ".2f"),
)
"""Figures of a study: name, heading, format."""


@dataclass(frozen=True)
class IndexRow:
    """What the index says of one study."""

    study: str
    """Name."""
    file: str
    """Name of its page in the same folder; empty where there is none."""
    figures: Mapping[str, Any]
    """As `index_figures` gave them."""
    message: str = ""
    """Why there is no page."""


def index_figures(contents: Contents) -> dict[str, Any]:
    """Give the figures of a night that the index shows; None for what is not known.

    Returns
    -------
    dict
        The names of `COLUMNS`, and `stages`: a character an epoch.
    """
    statistics = contents.summary["statistics"]
    figures: dict[str, Any] = {
        name: statistics[name]
        for name in (
            "total_sleep_time",
            "sleep_efficiency",
            "sleep_latency",
            "ahi",
            "rei",
            "odi3",
            "spo2_min",
            "arousal_index",
        )
    }
    figures |= {stage: statistics["stage_shares"].get(stage) for stage in ("N3", "R")}
    confidence = contents.confidence
    figures["doubtful"] = int((confidence < DOUBTFUL).sum()) if contents.model is not None else None
    figures["kappa"] = None if contents.agreement is None else round(contents.agreement.figures.kappa, 3)
    figures["stages"] = letters(contents.night.staging.stages)
    return figures


def index_page(rows: Sequence[IndexRow]) -> str:
    """Write the index as one HTML file; rows stand in the order given until a heading is clicked.

    A figure that no study has gets no column.
    """
    columns = [column for column in COLUMNS if any(row.figures.get(column[0]) is not None for row in rows)]
    heads = [element("th", element("button", "Study", type="button"), scope="col", aria_sort="none")]
    heads += [
        element("th", element("button", title, type="button"), scope="col", aria_sort="none") for _, title, _ in columns
    ]
    head = element("tr", heads[0], element("th", "Hypnogram", scope="col"), *heads[1:])
    table = element(
        "table", element("thead", head), element("tbody", joined([_row(row, columns) for row in rows])), id="index"
    )
    several = "1 study" if len(rows) == 1 else f"{len(rows)} studies"
    body = (
        element(
            "header",
            element("p", "Sleep reports", element("span", "Not for diagnosis", class_="badge"), class_="kicker"),
            element("h1", several),
            element("p", "Click a heading to sort. A doubtful epoch is one of which the model is less than 80 % sure.",
                    class_="when"),
        ),
        element("main", element("div", table, class_="scroll index")),
        element("footer", element("p", DISCLAIMER)),
    )  # fmt: skip
    return document("Sleep reports", joined(list(body)), asset("index.js"))


def _row(row: IndexRow, columns: Sequence[tuple[str, str, str]]) -> Markup:
    name = element("a", row.study, href=quote(row.file)) if row.file else Markup(element("span", row.study))
    first = element("th", name, scope="row", data_value=row.study)
    if not row.file:
        return element("tr", first, element("td", row.message, colspan=len(columns) + 1, class_="note"))
    cells = [_cell(row.figures.get(key), form) for key, _, form in columns]
    return element("tr", first, element("td", _small(str(row.figures.get("stages", "")))), *cells)


def _cell(value: Any, form: str) -> Markup:
    if value is None:
        return element("td", UNKNOWN, data_value="")
    return element("td", f"{value:{form}}", data_value=value)


def _small(stages: str) -> Markup:
    """A hypnogram as large as a word."""
    levels = {name: 2 + 4 * row for row, name in enumerate(letters(LEVELS))}
    path, pen = "", "M"
    for first, after in equal_runs(stages):
        level = levels.get(stages[first])
        if level is None:
            pen = "M"
        else:
            path += f"{pen}{first} {level}H{after}"
            pen = "L"
    box = f'viewBox="0 0 {max(1, len(stages))} 20" preserveAspectRatio="none"'
    line = f'<path class="line hypnogram" vector-effect="non-scaling-stroke" d="{path}"/>'
    return Markup(f'<svg class="small" width="150" height="20" {box} aria-hidden="true">{line}</svg>')
