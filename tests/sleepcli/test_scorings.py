"""Scorings with studies, through the program: taken, refused with the lengths, or left aside with a warning."""

import json
from pathlib import Path

import pytest

from core.psg.scoring import Event, Scoring, write_scoring
from tests.core.psg.edf_files import edf_bytes
from tests.sleepcli.conftest import Command
from tests.sleepcli.test_commands import assert_one_sentence, lines
from tests.sleepcli.test_strange_files import noise

STAGES = ("W", "N1", "N2", "N2", "N3", "N3", "R", "R", "?", "W")
EVENTS = (Event("obstructive_apnea", 65.0, 15.0), Event("hypopnea", 95.0, 20.0), Event("arousal", 110.0, 5.0))


@pytest.fixture
def night(tmp_path: Path) -> Path:
    path = tmp_path / "night.edf"
    path.write_bytes(edf_bytes([noise("EEG C3-M2", 300)], start_time="23.58.00"))
    return path


def stages(program: Command, *arguments: object) -> list[object]:
    result = program("stage", *arguments)
    assert result.returncode == 0, result.stderr
    return [row["stage"] for row in lines(result)]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".json", ".xml", ".edf", ".annot"])
def test_a_scoring_given_is_taken_in_every_format_that_is_written(
    program: Command, night: Path, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"given{suffix}"
    write_scoring(Scoring(STAGES, EVENTS), path)
    assert stages(program, night, "--scoring", path) == list(STAGES)


@pytest.mark.parametrize(("count", "minutes"), [(4, "2.0 min"), (30, "15.0 min")])
def test_a_scoring_that_does_not_fit_is_refused_with_both_lengths(
    program: Command, night: Path, tmp_path: Path, count: int, minutes: str
) -> None:
    (tmp_path / "given.txt").write_text("\n".join(["N2"] * count))
    result = program("stage", night, "--scoring", tmp_path / "given.txt")
    assert_one_sentence(result, 3, minutes, "5.0 min")


@pytest.mark.parametrize("command", ["stage", "caption", "prepare"])
def test_one_scoring_is_not_put_on_several_studies(program: Command, night: Path, tmp_path: Path, command: str) -> None:
    other = tmp_path / "other.edf"
    other.write_bytes(night.read_bytes())
    write_scoring(Scoring(STAGES, EVENTS), tmp_path / "given.json")
    result = program(command, night, other, "--scoring", tmp_path / "given.json", "--out", tmp_path / "out")
    assert_one_sentence(result, 2, "--scoring", "2 were given")


def test_beside_the_study_it_is_left_aside_with_a_warning(program: Command, night: Path, tmp_path: Path) -> None:
    (tmp_path / "night.csv").write_text("epoch,stage\n" + "".join(f"{n},N2\n" for n in range(30)))
    out = tmp_path / "out"
    result = program("stage", night, "--out", out)
    assert result.returncode == 0, result.stderr
    assert "night.csv" in result.stderr
    assert "15.0 min" in result.stderr
    assert lines(result)[0]["stages_from"] == "model"
    assert any("night.csv" in repair for repair in json.loads((out / "night.summary.json").read_text())["repairs"])
    report = json.loads((out / "run.json").read_text())["studies"][0]
    assert any("night.csv" in warning for warning in report["warnings"])


def test_another_document_beside_the_study_is_no_scoring(program: Command, night: Path, tmp_path: Path) -> None:
    (tmp_path / "night.csv").write_text("name,age\nsomebody,50\n")
    (tmp_path / "night.txt").write_text("The patient slept well.\n")
    (tmp_path / "night.xml").write_text("<report/>")
    result = program("stage", night)
    assert (result.returncode, "Warning" in result.stderr) == (0, False)


def test_the_summary_of_scored_stages_counts_the_scored_events(program: Command, night: Path, tmp_path: Path) -> None:
    write_scoring(Scoring(STAGES, EVENTS), tmp_path / "night.scoring.json")
    out = tmp_path / "out"
    assert program("stage", night, "--out", out).returncode == 0
    summary = json.loads((out / "night.summary.json").read_text())
    assert summary["statistics"]["ahi"] == pytest.approx(2 / (3.5 / 60))
    assert summary["events_from"] == "scoring"


@pytest.mark.parametrize(
    ("lights", "bed", "slept", "latency"),
    [(("23:59", "00:02"), 3.0, 3.0, 0.0), (("23:58:30", "00:03"), 4.5, 3.5, 0.0), (("0", "150"), 2.5, 2.0, 0.5)],
)
@pytest.mark.parametrize("command", ["stage", "caption"])
def test_every_figure_runs_from_lights_off_to_lights_on(
    program: Command, night: Path, command: str, lights: tuple[str, str], bed: float, slept: float, latency: float
) -> None:
    tmp_path = night.parent
    write_scoring(Scoring(STAGES, EVENTS), tmp_path / "night.scoring.json")
    out = tmp_path / "out"
    assert program(command, night, "--lights-off", lights[0], "--lights-on", lights[1], "--out", out).returncode == 0
    figures = json.loads((out / "night.summary.json").read_text())["statistics"]
    assert figures["lights_known"]
    assert (figures["time_in_bed"], figures["total_sleep_time"], figures["sleep_latency"]) == (bed, slept, latency)
    assert figures["sleep_efficiency"] == pytest.approx(100 * slept / bed, abs=1e-3)
    assert figures["ahi"] == pytest.approx(2 / (slept / 60), rel=1e-3)


def test_lights_survive_preparation(program: Command, night: Path, tmp_path: Path) -> None:
    write_scoring(Scoring(STAGES, EVENTS), tmp_path / "night.scoring.json")
    out = tmp_path / "out"
    assert program("prepare", night, "--lights-off", "23:59", "--lights-on", "00:02", "--out", out).returncode == 0
    assert program("stage", out / "night.psg", "--out", out).returncode == 0
    assert json.loads((out / "night.summary.json").read_text())["statistics"]["time_in_bed"] == 3.0


@pytest.mark.parametrize(("text", "code"), [("nonsense", 2), ("24:10", 2), ("04:00", 3)])
def test_lights_that_cannot_be(program: Command, night: Path, text: str, code: int) -> None:
    assert_one_sentence(program("stage", night, "--lights-off", text), code, text)
