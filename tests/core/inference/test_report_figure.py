"""The figure alone, its spectrogram and its pictures."""

import io
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from defusedxml.ElementTree import fromstring
from matplotlib.image import imread

from core.errors import UsageError
from core.inference.report.figure import write_figure
from core.inference.report.image import indexed_png
from core.inference.report.marks import Figure, clock, hours_of
from core.inference.report.spectrogram import central_eeg, spectrogram
from core.inference.report.tracks import night_figure
from tests.core.inference.report_night import HOSTILE, PLAN, planted_contents, planted_study

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def figure() -> Figure:
    return night_figure(planted_contents())


def test_a_picture_is_read_back_by_another_program():
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (20, 3)).astype(np.uint8)
    pixels = rng.integers(0, 20, (7, 13)).astype(np.uint8)
    read = np.round(imread(io.BytesIO(indexed_png(pixels, colours)), format="png") * 255).astype(int)
    assert read.shape == (7, 13, 4)
    assert (read[..., :3] == colours[pixels]).all()
    assert ((read[..., 3] == 0) == (pixels == 0)).all()


def test_the_spectrogram_shows_a_rhythm_where_it_is():
    study = planted_study()
    drawn = spectrogram(study)
    assert drawn.channel == central_eeg(study) == "EEG_C4"
    light = imread(io.BytesIO(drawn.png), format="png")[..., :3].sum(axis=2)[::-1]  # (frequency, column of 10 s)
    assert light.shape == (80, 120)
    row = 13 * 4 - 1  # of 0.25 Hz each
    inside, outside = light[row - 1 : row + 2, 31:53].mean(), light[row - 1 : row + 2, 60:].mean()
    assert inside > outside + 0.5
    assert abs(light[:40, 31:53].mean() - light[:40, 60:].mean()) < 0.2


def test_the_svg_holds_the_hypnogram_of_the_night(figure, tmp_path):
    write_figure(figure, HOSTILE + "\x07", tmp_path / "night.svg", "svg")
    root = fromstring((tmp_path / "night.svg").read_bytes())
    assert root.find(f"{SVG}title").text == HOSTILE + "\ufffd"
    path = next(p for p in root.iter(f"{SVG}path") if "hypnogram" in p.get("class", ""))
    assert stages_of(path.get("d")) == PLAN
    assert not list(root.iter(f"{SVG}script"))


def stages_of(path: str) -> str:
    """Follow a hypnogram's path, in steps, and read its stage in the middle of every epoch."""
    points, x, y = [], 0.0, 0.0
    for part in path.replace("M", " M").replace("l", " l").split(" "):
        if not part:
            continue
        if part[0] in "Ml":
            move, first = part[0], float(part[1:])
        else:
            x, y = (first, float(part)) if move == "M" else (x + first, y + float(part))
            points.append((x, y))
    stages = ""
    for epoch in range(40):
        middle = 30.0 * epoch + 15
        level = next(b[1] for a, b in pairwise(points) if a[0] <= middle <= b[0])
        stages += "WR123"[round((level - 12) / 24)]
    return stages


@pytest.mark.parametrize(("form", "begins"), [("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_png_and_pdf_are_the_same_bytes_every_time(figure, tmp_path: Path, form, begins):
    for name in ("a", "b"):
        write_figure(figure, "$night_1$ & <x>", tmp_path / f"{name}.{form}", form)
    first, second = ((tmp_path / f"{name}.{form}").read_bytes() for name in ("a", "b"))
    assert first.startswith(begins)
    assert first == second


def test_another_format_is_refused(figure, tmp_path):
    with pytest.raises(UsageError, match="no format 'gif'"):
        write_figure(figure, "night", tmp_path / "night.gif", "gif")
    assert not list(tmp_path.iterdir())


def test_a_clock_goes_past_midnight_and_hours_are_whole():
    assert clock(3 * 3600, 22.5 * 3600) == "01:30:00"
    assert clock(95.0, None) == "00:01:35"
    marks = hours_of(8 * 3600.0, 22.5 * 3600)
    assert marks[0] == (1800.0, "23:00")
    assert [label for _, label in marks][-1] == "06:00"
