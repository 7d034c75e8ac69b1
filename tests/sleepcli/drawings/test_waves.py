"""Traces of dots: the highest sample is the highest dot, and the scale is told."""

import numpy as np

from core.psg.preprocess import Trace
from sleepcli.drawings.hypnogram import LABEL
from sleepcli.drawings.waves import ROWS, braille, waves

DOT_ROWS = {0x01: 0, 0x02: 1, 0x04: 2, 0x40: 3, 0x08: 0, 0x10: 1, 0x20: 2, 0x80: 3}


def heights(rows: list[str], column: int) -> list[int]:
    """Heights of the dots in one column of cells, 0 at the bottom."""
    found = []
    for number, row in enumerate(rows):
        dots = ord(row[column]) - 0x2800 if row[column] != " " else 0
        found += [4 * ROWS - 1 - (4 * number + at) for dot, at in DOT_ROWS.items() if dots & dot]
    return sorted(set(found))


def test_a_ramp_climbs_from_the_lowest_dot_to_the_highest() -> None:
    rows = braille(np.linspace(0, 1, 160).astype(np.float32), 8, (0.0, 1.0))
    assert len(rows) == ROWS
    tops = [max(heights(rows, column)) for column in range(8)]
    assert tops == sorted(tops)
    assert (min(heights(rows, 0)), max(heights(rows, 7))) == (0, 4 * ROWS - 1)


def test_a_column_spans_all_of_its_samples() -> None:
    samples = np.tile([-1.0, 1.0], 200).astype(np.float32)
    assert heights(braille(samples, 10, (-1.0, 1.0)), 4) == list(range(4 * ROWS))


def test_what_is_not_known_is_left_empty() -> None:
    samples = np.linspace(0, 1, 100).astype(np.float32)
    samples[:50] = np.nan
    assert all(row[:5] == " " * 5 for row in braille(samples, 10, (0.0, 1.0)))


def test_traces_have_their_name_and_scale() -> None:
    time = np.arange(30 * 64) / 64
    eeg = Trace("EEG_C3", (40 * np.sin(time)).astype(np.float32), 64.0)
    still = Trace("SPO2", np.full(30, 95.0, np.float32), 1.0)
    lines = ["".join(piece for piece, _ in line) for line in waves({"EEG_C3": eeg, "EEG_C4": eeg, "SPO2": still}, 60)]
    names = [line[:LABEL].strip() for line in lines if line[:LABEL].strip()]
    assert names == ["C3", "SpO2"]
    assert any(line.strip() == "-40 to 40 µV" for line in lines)
    assert any(line.strip() == "95 to 95 %" for line in lines)
    assert lines[-1].split() == ["0", "s", "10", "s", "20", "s", "30", "s"]
    assert all(len(line) <= 60 + LABEL for line in lines)
    assert waves({}, 60) == []
