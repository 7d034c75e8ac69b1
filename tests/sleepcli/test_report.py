"""`sleepcli report` as people run it."""

import json
from pathlib import Path

import pytest

from core.psg.scoring import read_scoring
from tests.sleepcli.conftest import PLANTED, Command, write_edf

LABELS = ("EEG C3-M2", "EOG E1-M2", "EMG chin")


def test_one_study_gives_one_file_and_nothing_else(program: Command, study: Path, tmp_path: Path) -> None:
    done = program("report", study, "--out", "pages/report.html")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "pages").iterdir()] == ["report.html"]
    text = (tmp_path / "pages" / "report.html").read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert "Not for diagnosis" in text
    assert PLANTED not in text
    assert str(tmp_path) not in text
    row = json.loads(done.stdout)
    assert (row["study"], row["file"], row["epochs"]) == ("study", "report.html", 4)


def test_several_studies_give_an_index_and_a_broken_one_is_told_there(program: Command, tmp_path: Path) -> None:
    nights = tmp_path / "nights"
    nights.mkdir()
    write_edf(nights / "a.edf", LABELS)
    write_edf(nights / "index.edf", LABELS, seed=1)
    (nights / "broken.edf").write_bytes(b"0" * 700)
    done = program("report", nights, "--out", "reports", "--measured")
    assert done.returncode == 1
    index = (tmp_path / "reports" / "index.html").read_text(encoding="utf-8")
    assert 'href="a.report.html"' in index
    assert 'href="index.report.html"' in index
    assert "broken" in index
    again = program("report", nights, "--out", "reports", "--measured")
    assert (tmp_path / "reports" / "index.html").read_text(encoding="utf-8") == index
    assert "a: already done" in again.stderr


def test_a_scoring_that_was_saved_by_a_review_is_compared(program: Command, study: Path, tmp_path: Path) -> None:
    reviewed = {"epoch_seconds": 30, "stages": ["W", "N1", "N2", "N2"], "lights_off": None, "lights_on": None}
    file = tmp_path / "reviewed.json"
    file.write_text(json.dumps(reviewed | {"events": [{"type": "arousal", "onset": 40.0, "duration": 4.0}]}))
    assert read_scoring(file, None, 4).stages == ("W", "N1", "N2", "N2")
    done = program("report", study, "--scoring", file, "--out", "checked.html")
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "checked.html").read_text(encoding="utf-8")
    assert "Agreement with the human scoring" in text
    assert "Over 4 epochs that a person scored" in text


@pytest.mark.parametrize("name", ["figure.svg", "figure.png", "figure.pdf"])
def test_the_figure_alone_is_what_the_file_is_called(program: Command, study: Path, tmp_path: Path, name: str) -> None:
    done = program("report", study, "--out", name, "--measured")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / name).stat().st_size > 2000


def test_figures_of_a_folder_are_named_after_their_studies(program: Command, study: Path, tmp_path: Path) -> None:
    done = program("report", study, "--out", "figures", "--format", "svg", "--measured")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "figures" / "study.report.svg").is_file()
    assert not (tmp_path / "figures" / "index.html").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--out", "a.html", "--format", "gif"), "--format gif is not known"),
        (("--out", "a.png", "--format", "svg"), "--out a.png is no svg file"),
        (("--out", "a.gif", "--format", "svg"), "--out a.gif is no svg file"),
        ((), "--out"),
    ],
)
def test_wrong_usage_is_told_and_nothing_is_written(
    program: Command, study: Path, tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    before = set(tmp_path.iterdir())
    done = program("report", study, *arguments)
    assert done.returncode == 2
    assert told in done.stderr
    assert set(tmp_path.iterdir()) == before


def test_one_file_cannot_hold_two_studies(program: Command, study: Path, tmp_path: Path) -> None:
    other = write_edf(tmp_path / "other.edf", LABELS, seed=1)
    done = program("report", study, other, "--out", "both.html")
    assert done.returncode == 2
    assert "one file, and 2 studies were given" in done.stderr
