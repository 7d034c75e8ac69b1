"""The README's examples, run as they stand, at small scale."""

import re
import shlex
from pathlib import Path

import pytest

from core.psg.recording import open_recording
from core.psg.scoring import read_scoring, write_scoring
from tests.sleepcli.conftest import Command, program  # noqa: F401 - the fixture
from tests.sleepcli.test_commands import lines

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
HOURS = "0.2"
SMALL = {"--jobs": "1", "--preset": "tiny", "--max-minutes": ""}
"""What is made smaller in the training example; an empty value leaves the option out."""


def section(title: str) -> str:
    """Text of a section, up to the next of its level."""
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def shrunk(words: list[str]) -> list[str]:
    made: list[str] = []
    for word in words:
        if made and made[-1] in SMALL:
            option = made.pop()
            made += [option, SMALL[option]] if SMALL[option] else []
        else:
            made.append(word)
    return made


@pytest.fixture(scope="session")
def model() -> str:
    """The shipped model, which the README uses."""
    return "nano"


def test_python_example_runs(
    program: Command,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert program("simulate", "--out", tmp_path, "--hours", HOURS, "--seed", "1").returncode == 0
    (tmp_path / "night00001.edf").rename(tmp_path / "night.edf")
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(compile(block, "README.md", "exec"), {})
    shown = capsys.readouterr().out
    assert "(24, 128)" in shown
    assert "bpm" in shown


def test_training_on_ones_own_studies(program: Command, tmp_path: Path) -> None:  # noqa: F811
    assert program("simulate", "--out", "made", "--count", "3", "--hours", HOURS).returncode == 0
    studies = tmp_path / "studies"
    studies.mkdir()
    for night in sorted((tmp_path / "made").glob("*.edf")):
        recording = open_recording(night)
        scoring = read_scoring(night.with_suffix(".truth.json"), recording.start, 24)
        night.rename(studies / night.name)
        write_scoring(scoring, studies / f"{night.stem}-nsrr.xml", recording.start)
    (tmp_path / "new.edf").write_bytes(next(studies.glob("*.edf")).read_bytes())
    block = re.search(r"```sh\n(.*?)```", section("Training on your own studies"), re.DOTALL)
    assert block is not None
    commands = [shlex.split(line, comments=True)[1:] for line in block[1].splitlines() if line.startswith("sleepcli")]
    assert [words[0] for words in commands] == ["prepare", "train", "export", "stage"]
    for words in commands:
        more = ["--max-steps", "3", "--batch-size", "8", "--held-out", "0.34"] if words[0] == "train" else []
        result = program(*shrunk(words), *more)
        assert result.returncode == 0, result.stderr
        if words[0] == "prepare":
            assert [row["scored"] for row in lines(result)] == [True] * 3
    rows = lines(result)
    assert len(rows) == 24
    assert {str(row["stage"]) for row in rows} <= {"W", "N1", "N2", "N3", "R"}
