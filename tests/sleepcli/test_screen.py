"""What a terminal shows: wide and narrow, without colour, in ASCII."""

import io
import re
import sys
from pathlib import Path

import pytest

from sleepcli import ui
from sleepcli.drawings.hypnogram import hypnogram
from tests.sleepcli.conftest import Command, write_edf

ESCAPE = "\x1b"


@pytest.fixture
def shown(program: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run commands as on a terminal, whose text is kept."""
    monkeypatch.setattr(ui, "wants_json", lambda flag: flag)
    return program


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_a_night_and_an_epoch_fit_the_terminal(
    shown: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    study = write_edf(tmp_path / "night.edf", ("EEG C3-M2", "EOG E1-M2", "EMG chin"), epochs=6)
    result = shown("caption", study, "--measured")
    assert result.returncode == 0, result.stderr
    assert ESCAPE not in result.stdout
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= columns
    for stage in ("W", "R", "N1", "N2", "N3"):
        assert any(re.match(rf" +{stage} ", line) for line in lines)
    assert "Usable share of each channel" in result.stdout
    assert re.search(r"^Epoch \d at 0:\d\d:\d\d, stage \?", result.stdout, re.MULTILINE)
    assert re.search(r"^ +C3 [\u2800-\u28ff ]+$", result.stdout, re.MULTILINE)
    assert "µV" in result.stdout


def test_an_epoch_that_is_not_there_is_wrong_usage(shown: Command, study: Path) -> None:
    result = shown("caption", study, "--measured", "--epoch", "99")
    assert result.returncode == 2
    assert "no epoch 99" in result.stderr
    assert "0 to 3" in result.stderr


def test_letters_that_a_terminal_lacks_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    terminal = io.TextIOWrapper(raw, encoding="ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    ui.settle_streams()
    ui.draw(hypnogram(["W"] * 60 + ["N2"] * 60))
    ui.paragraph("10 µV")
    ui.json_lines([{"text": "10 µV"}])
    assert not ui.has_braille()
    terminal.flush()
    text = raw.getvalue().decode("ascii")
    assert "####" in text
    assert "10 ?V" in text
    assert '{"text": "10 \\u00b5V"}' in text


def test_doctor_shows_cures_below_its_table(shown: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLEEPCLI_MODLE", "x")
    monkeypatch.setattr("sleepcli.examinations.running.self_test", lambda *_: running_finding())
    result = shown("doctor", "--device", "cpu")
    assert result.returncode == 0
    assert "Did you mean SLEEPCLI_MODEL?" in result.stdout.rpartition("┘")[2]


def running_finding() -> object:
    from sleepcli.examinations.finding import Finding

    return Finding("self-test", "ok", "left out of this test")


def test_models_are_shown_with_their_facts_and_card(shown: Command) -> None:
    result = shown("models", "show", "nano")
    assert result.returncode == 0
    for word in ("channels", "EEG_C3", "sha256", "caption domains", "Not a medical device"):
        assert word in result.stdout
    assert "nano" in shown("models", "list").stdout
