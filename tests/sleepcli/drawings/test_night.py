"""Drawings of a night: what a reader without colour can read off them."""

import re

import pytest

from sleepcli.drawings.bars import stage_bars
from sleepcli.drawings.columns import LEVELS, bars, stretches
from sleepcli.drawings.hypnogram import LABEL, STAGE_ROWS, hypnogram
from sleepcli.drawings.line import Line
from sleepcli.drawings.summary import clock, event_rows, quality_bars
from sleepcli.drawings.tracks import legend, tracks


def text(line: Line) -> str:
    return "".join(piece for piece, _ in line)


def entry(**values: object) -> dict[str, object]:
    return {"events": [], "measurements": {}, "channels": {"ECG": "ok"}, **values}


def event(kind: str, onset: float, duration: float) -> dict[str, object]:
    return {"type": kind, "onset": onset, "duration": duration}


@pytest.mark.parametrize("count", [1, 7, 60, 61, 960, 961])
def test_a_hypnogram_shows_each_column_in_one_row_and_never_too_wide(count: int) -> None:
    stages = [("W", "N1", "N2", "N3", "R", "?")[(n // 7) % 6] for n in range(count)]
    lines = [text(line) for line in hypnogram(stages, 60)]
    assert [line[: LABEL - 1].strip() for line in lines[:5]] == list(STAGE_ROWS)
    columns = min(60, count)
    strips = [line[LABEL:].ljust(columns) for line in lines[:5]]
    assert all(len(strip) == columns for strip in strips)
    for column in range(columns):
        marks = sorted(strip[column] for strip in strips)
        assert marks in ([" "] * 4 + ["█"], ["·"] * 5)
    assert len(lines[5]) <= columns + LABEL


def test_the_axis_has_the_hours_where_they_are() -> None:
    axis = text(hypnogram(["W"] * 960, 80)[-1])[LABEL:]
    for hour in range(8):
        assert axis[hour * 10 :].startswith(f"{hour} h")
    assert axis.endswith("8.0 h")


def test_stage_bars_are_shares_of_the_scored_epochs() -> None:
    lines = {text(line).split()[0]: text(line) for line in stage_bars(["W"] * 10 + ["N2"] * 30 + ["?"] * 20)}
    assert "75.0 %" in lines["N2"]
    assert "5.0 min" in lines["W"]
    assert 2.5 * lines["W"].count("█") < lines["N2"].count("█") < 3.5 * lines["W"].count("█")
    assert "10.0 min" in lines["?"]
    assert "%" not in lines["?"]


def test_columns_share_every_value_once_and_evenly() -> None:
    parts = stretches(list(range(100)), 7)
    assert [value for part in parts for value in part] == list(range(100))
    assert {len(part) for part in parts} == {14, 15}


def test_bars_rise_with_their_values_and_leave_the_unknown_blank() -> None:
    assert bars([0.0, 50.0, 100.0, None, 200.0, -9.0], 6, (0.0, 100.0), max) == (
        LEVELS[0] + LEVELS[4] + LEVELS[7] + " " + LEVELS[7] + LEVELS[0]
    )
    assert bars([90.0, 70.0, None, None], 2, (80.0, 100.0), min) == LEVELS[0] + " "


def test_tracks_show_what_there_is_and_say_what_they_are() -> None:
    rows = [entry(measurements={"position": 2.0, "spo2_min": 96.0}) for _ in range(8)]
    rows[3] = entry(events=[event("hypopnea", 90.0, 12.0)], measurements={"position": 0.0, "spo2_min": 82.0})
    lines = tracks(rows, 40)
    assert [text(line)[:LABEL].strip() for line in lines] == ["resp", "SpO2", "pos"]
    breathing, oxygen, places = (text(line)[LABEL:] for line in lines)
    assert len(breathing) == 4
    assert not breathing[:3].strip()
    assert LEVELS.index(oxygen[3]) < LEVELS.index(oxygen[2])
    assert places == "SSSRSSSS"
    assert {"resp", "SpO2", "pos"} <= set(re.findall(r"(\w+):", legend(lines)))
    assert len(legend(lines)) <= 78
    assert tracks([entry()], 40) == []
    assert legend([]) == ""


def test_an_event_of_several_epochs_counts_once() -> None:
    long = event("obstructive_apnea", 25.0, 40.0)
    rows = event_rows([entry(events=[long]), entry(events=[long]), entry(events=[event("hypopnea", 61.0, 10.0)])])
    assert rows == [["hypopnea", 1, 10.0, 10.0, "0:01:01"], ["obstructive apnea", 1, 40.0, 40.0, "0:00:25"]]


def test_quality_names_what_a_channel_was_otherwise() -> None:
    states = ["ok"] * 150 + ["mains"] * 48 + ["artefact", "gap"]
    (line,) = quality_bars([entry(channels={"ECG": state}) for state in states])
    assert "99 %" in text(line)
    assert "<1 % artefact" in text(line)
    assert "<1 % gap" in text(line)
    assert "mains" not in text(line)
    assert quality_bars([]) == []


def test_clock_counts_hours() -> None:
    assert [clock(second) for second in (0, 61, 3599.9, 36000)] == ["0:00:00", "0:01:01", "0:59:59", "10:00:00"]
