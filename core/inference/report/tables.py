"""The tables of a report: the night in figures, the channels and their quality, the agreement, the provenance."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.inference.report.agreement import Agreement, recall
from core.inference.report.contents import Contents
from core.inference.report.marks import clock, start_of_day
from core.inference.report.markup import Markup, element, joined
from core.inference.report.tracks import event_name
from core.language.describe_night import minutes_text
from core.psg.channels import CHANNELS
from core.psg.quality import State
from core.psg.scorings.terms import EVENT_LABELS, STAGES

UNKNOWN = "–"

Rows = Sequence[tuple[str, str]]


def statistics_groups(statistics: Mapping[str, Any]) -> list[tuple[str, Rows]]:
    """Give the night's figures in groups, each a name and rows of label and value.

    Where sleep was not scored only what is known is listed: most figures are of sleep.
    """
    sleep, stages = _sleep_rows(statistics), _stage_rows(statistics)
    breathing, body = _breathing_rows(statistics), _body_rows(statistics)
    if statistics["total_sleep_time"] is None:
        sleep, stages, breathing, body = _known(sleep), [], _known(breathing), _known(body)
    names = ("Sleep", "Stages, and their share of sleep", "Breathing", "Oxygen, heart, movement")
    return [(name, rows) for name, rows in zip(names, (sleep, stages, breathing, body), strict=True) if rows]


def _known(rows: Rows) -> Rows:
    return [row for row in rows if row[1] != UNKNOWN]


def _sleep_rows(night: Mapping[str, Any]) -> Rows:
    return [
        ("Recording", _minutes(night["recording_time"])),
        ("Time in bed" + ("" if night["lights_known"] else " (the whole recording)"), _minutes(night["time_in_bed"])),
        ("Total sleep time", _minutes(night["total_sleep_time"])),
        ("Sleep efficiency", _figure(night["sleep_efficiency"], ".1f", " %")),
        ("Sleep latency", _minutes(night["sleep_latency"])),
        ("REM latency", _minutes(night["rem_latency"])),
        ("Rapid eye movements in REM sleep", _figure(night["rem_density"], ".1f", " /min")),
        ("Wake after sleep onset", _minutes(night["wake_after_sleep_onset"])),
        ("Sleep cycles", _figure(night["cycles"], "d")),
    ]


def _stage_rows(night: Mapping[str, Any]) -> Rows:
    rows = []
    for stage in STAGES:
        share = night["stage_shares"].get(stage)
        told = "" if share is None else f", {share:.1f} %"
        rows.append((stage, _minutes(night["stage_minutes"].get(stage)) + told))
    return [*rows, ("Without a stage", _minutes(night["time_in_bed"] - night["scored_minutes"]))]


def _breathing_rows(night: Mapping[str, Any]) -> Rows:
    names = {
        "ahi": "Apnea-hypopnea index",
        "ahi3": "with the 3 % rule (AASM 1A)",
        "ahi4": "with the 4 % rule (AASM 1B)",
    }
    names |= {"ahi_rem": "in REM sleep", "ahi_nrem": "in NREM sleep", "rei": "Respiratory event index (of recording)"}
    rows = [
        (label, _figure(night[name], ".1f", " /h")) for name, label in names.items() if name != "rei" or night[name]
    ]
    rows += [(f"lying {position}", f"{value:.1f} /h") for position, value in night["ahi_by_position"].items()]
    counts = [kind for kind in EVENT_LABELS if kind in night["event_counts"] and kind not in _UNREST]
    return [*rows, *((EVENT_LABELS[kind], str(night["event_counts"][kind])) for kind in counts)]


_UNREST = ("arousal", "limb_movement", "desaturation")


def _body_rows(night: Mapping[str, Any]) -> Rows:
    rows = [
        ("Mean saturation", _figure(night["spo2_mean"], ".1f", " %")),
        ("Lowest saturation", _figure(night["spo2_min"], ".0f", " %")),
        ("Below 90 %", _figure(night["below_90"], ".1f", " min")),
        ("Desaturation index, 3 %", _figure(night["odi3"], ".1f", " /h")),
        ("Desaturation index, 4 %", _figure(night["odi4"], ".1f", " /h")),
        ("Mean heart rate", _figure(night["heart_rate_mean"], ".0f", " bpm")),
        ("Arousal index", _figure(night["arousal_index"], ".1f", " /h")),
        ("Limb movement index", _figure(night["limb_movement_index"], ".1f", " /h")),
    ]
    return [*rows, *((f"Lying {name}", f"{share:.0f} %") for name, share in night["position_shares"].items())]


def _minutes(value: float | None) -> str:
    return UNKNOWN if value is None else minutes_text(value)


def _figure(value: float | None, form: str, unit: str = "") -> str:
    return UNKNOWN if value is None else f"{value:{form}}{unit}"


def key_figures(statistics: Mapping[str, Any]) -> Rows:
    """The figures that a reader looks for first; others where sleep was not scored."""
    if statistics["total_sleep_time"] is None:
        return [
            ("Recording", _minutes(statistics["recording_time"])),
            ("Respiratory event index", _figure(statistics["rei"], ".1f", " /h")),
            ("Desaturation index, 3 %", _figure(statistics["odi3"], ".1f", " /h")),
            ("Lowest saturation", _figure(statistics["spo2_min"], ".0f", " %")),
            ("Mean heart rate", _figure(statistics["heart_rate_mean"], ".0f", " bpm")),
        ]
    return [
        ("Total sleep time", _minutes(statistics["total_sleep_time"])),
        ("Sleep efficiency", _figure(statistics["sleep_efficiency"], ".0f", " %")),
        ("Apnea-hypopnea index", _figure(statistics["ahi"], ".1f", " /h")),
        ("Lowest saturation", _figure(statistics["spo2_min"], ".0f", " %")),
        ("Arousal index", _figure(statistics["arousal_index"], ".1f", " /h")),
    ]


def statistics_table(contents: Contents) -> Markup:
    """The night in figures, a table a group."""
    groups = statistics_groups(contents.summary["statistics"])
    return element("div", joined([_pairs(name, rows) for name, rows in groups]), class_="groups")


def _pairs(name: str, rows: Rows) -> Markup:
    lines = [element("tr", element("th", label, scope="row"), element("td", value)) for label, value in rows]
    return element("table", element("caption", name), element("tbody", joined(lines)), class_="pairs")


def provenance_table(contents: Contents) -> Markup:
    """What the report was made of and with."""
    scoring = contents.study.scoring
    lights = (None, None) if scoring is None else (scoring.lights_off, scoring.lights_on)
    start = start_of_day(contents.study)
    told = [UNKNOWN if value is None else f"{clock(value, start)} ({value:g} s after the start)" for value in lights]
    found = contents.summary["statistics"]["found_by"]
    by = {who: [event_name(kind) for kind in EVENT_LABELS if found.get(kind) == who] for who in _FINDERS}
    rows = [
        *contents.provenance,
        ("Stages", _STAGES_FROM[contents.night.staging.source]),
        *((f"Events {text}", ", ".join(by[who])) for who, text in _FINDERS.items() if by[who]),
        ("Lights off", told[0]),
        ("Lights on", told[1]),
    ]
    return _pairs("", [(name, value) for name, value in rows if value])


_STAGES_FROM = {"scoring": "from the human scoring", "model": "by the model", "none": "none: there is no usable EEG"}
_FINDERS = {"scoring": "from the scoring", "model": "by the model", "measurements": "by rule on the signals"}


def channel_table(contents: Contents) -> Markup:
    """Which signal stands for which channel, why, and in which state it was how long."""
    rows = [element("tr", *(element("th", name, scope="col") for name in _CHANNEL_COLUMNS))]
    columns = {channel.name: k for k, channel in enumerate(CHANNELS)}
    for row in contents.summary["channels"]:
        target = str(row["target"])
        states = contents.study.states[:, columns[target]] if target in columns else None
        labels = " − ".join(str(label).strip() for label in row["labels"]) or UNKNOWN
        rate = f"{row['rate']:g} Hz" if row["rate"] else UNKNOWN
        cells = (labels, rate, str(row["unit"]) or UNKNOWN, str(row["reason"]), _states(states))
        line = (element("td", cell, data_label=name) for cell, name in zip(cells, _CHANNEL_COLUMNS[1:], strict=True))
        rows.append(element("tr", element("th", target, scope="row"), *line))
    unused = [str(label).strip() for label in contents.summary["unused_signals"]]
    note = element("p", f"Signals that no channel takes: {', '.join(unused)}.", class_="note") if unused else Markup("")
    return joined(
        [element("table", element("thead", rows[0]), element("tbody", joined(rows[1:])), class_="wide"), note]
    )


_CHANNEL_COLUMNS = ("Channel", "Signal", "Rate", "Unit", "Why", "Quality")


def _states(states: Any) -> str:
    """Shares of the night by state, the largest first."""
    if states is None:
        return "for the heart rate alone"
    codes, counts = np.unique(states, return_counts=True)
    shares = sorted(zip(counts.tolist(), codes.tolist(), strict=True), reverse=True)
    if len(shares) == 1:
        return State(shares[0][1]).name.lower()
    return ", ".join(f"{State(code).name.lower()} {_share(count / len(states))}" for count, code in shares)


def _share(value: float) -> str:
    return "< 1 %" if value < 0.01 else "> 99 %" if 0.99 < value < 1 else f"{100 * value:.0f} %"


def agreement_table(agreement: Agreement) -> Markup:
    """The model against the scoring: a sentence and the confusion of stages."""
    figures = agreement.figures
    found = ", ".join(f"{stage} {100 * share:.0f} %" for stage, share in recall(agreement).items())
    told = (
        f"Over {agreement.compared} epochs that a person scored, the model agrees in {100 * figures.accuracy:.1f} % "
        f"(Cohen's κ {figures.kappa:.2f}). It found {found}."
    )
    given = (*STAGES, "?")
    head = element(
        "tr", element("th", "scored ↓ model →", scope="col"), *(element("th", s, scope="col") for s in given)
    )
    lines = []
    for row, stage in enumerate(STAGES):
        total = max(1, int(figures.confusion[row].sum()))
        cells = [
            element("td", str(count), class_=f"heat{round(9 * count / total)}" + (" hit" if column == row else ""))
            for column, count in enumerate(figures.confusion[row].tolist())
        ]
        lines.append(element("tr", element("th", stage, scope="row"), *cells))
    table = element("table", element("thead", head), element("tbody", joined(lines)), class_="confusion")
    return joined([element("p", told), element("div", table, class_="scroll")])
