"""Scorings as programs and cohorts export them in ways of their own: DOMINO's texts, MESA's tag, other languages."""

from datetime import datetime
from pathlib import Path

import pytest

from core.errors import StudyError
from core.psg.scoring import Event, find_scoring, read_scoring

START = datetime(2021, 3, 2, 23, 59, 0)
PROFILE = (
    "Signal ID: SchlafProfil\\profil\nStart Time: 3/2/2021 11:59:00 PM\nUnit: \nSignal Type: Discret\n"
    "Events list: N3,N2,N1,Rem,Wake\nRate: 30 s\n\n"
)


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("date", ["", "02.03.2021 "])
@pytest.mark.parametrize("words", ["Wake N1 Rem N3 A", "Wach N1 REM N4 Bewegung", "Wake N1 Rem N3 Artifact"])
def test_a_profile_of_domino_is_placed_by_its_clock(tmp_path: Path, words: str, date: str, ends: str) -> None:
    times = ("23:59:30,000", "00:00:00,000", "00:00:30,000", "00:01:00,000", "00:01:30,000")
    rows = "".join(f"{date}{time}; {word}\n" for time, word in zip(times, words.split(), strict=True))
    (tmp_path / "night.txt").write_bytes(("\ufeff" + PROFILE + rows).replace("\n", ends).encode())
    assert read_scoring(tmp_path / "night.txt").stages == ("W", "N1", "R", "N3", "?")
    assert read_scoring(tmp_path / "night.txt", START, 7).stages == ("?", "W", "N1", "R", "N3", "?", "?")
    assert find_scoring(tmp_path / "night.edf") == tmp_path / "night.txt"


def test_events_of_domino(tmp_path: Path) -> None:
    heading = "Signal ID: FlowD\\flow\nStart Time: 02.03.2021 23:59:00\nUnit: s\nSignal Type: Impuls\n\n"
    rows = "23:59:31,500-23:59:42,750; 11;Hypopnea\n23:59:55,000-00:00:15,000; 20;Obstructive Apnea\n"
    (tmp_path / "flow.txt").write_text(heading + rows)
    scoring = read_scoring(tmp_path / "flow.txt", START, 4)
    assert scoring.events == (Event("hypopnea", 31.5, 11.25), Event("obstructive_apnea", 55.0, 20.0))
    assert set(scoring.stages) == {"?"}


def test_a_signal_of_domino_that_is_no_profile_is_refused(tmp_path: Path) -> None:
    (tmp_path / "body.txt").write_text(PROFILE + "23:59:30,000; Supine\n00:00:00,000; Left\n")
    with pytest.raises(StudyError, match="without a sleep stage"):
        read_scoring(tmp_path / "body.txt")


@pytest.mark.parametrize(("name", "count"), [("mesa-sleep-0001-profusion.xml", 1), ("shhs1-200001.xml", 0)])
def test_unsure_is_a_hypopnea_in_mesa_alone(tmp_path: Path, name: str, count: int) -> None:
    event = "<ScoredEvent><Name>Unsure</Name><Start>12</Start><Duration>14</Duration></ScoredEvent>"
    stages = "<SleepStage>0</SleepStage><SleepStage>2</SleepStage>"
    (tmp_path / name).write_text(
        f"<CMPStudyConfig><ScoredEvents>{event}</ScoredEvents><SleepStages>{stages}</SleepStages></CMPStudyConfig>"
    )
    assert read_scoring(tmp_path / name).events == (Event("hypopnea", 12.0, 14.0),) * count
    nsrr = name.replace("-profusion", "").replace(".xml", "-nsrr.xml")
    (tmp_path / nsrr).write_text(
        "<PSGAnnotation><ScoredEvents><ScoredEvent><EventType>Stages|Stages</EventType><EventConcept>Wake|0</EventConcept>"
        "<Start>0</Start><Duration>60</Duration></ScoredEvent><ScoredEvent><EventType>Respiratory|Respiratory</EventType>"
        "<EventConcept>Unsure|Unsure</EventConcept><Start>12</Start><Duration>14</Duration></ScoredEvent></ScoredEvents>"
        "</PSGAnnotation>"
    )
    assert len(read_scoring(tmp_path / nsrr).events) == count


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        ("Obstruktive Apnoe", "obstructive_apnea"),
        ("Zentrale Apnoe", "central_apnea"),
        ("Gemischte Apnoe", "mixed_apnea"),
        ("Hypopnoe", "hypopnea"),
        ("Entsättigung", "desaturation"),
        ("Apnée centrale", "central_apnea"),
        ("Apnée mixte", "mixed_apnea"),
        ("Hypopnée", "hypopnea"),
        ("Désaturation", "desaturation"),
        ("Apnea mista", "mixed_apnea"),
        ("Apnea ostruttiva", "obstructive_apnea"),
        ("Desaturazione", "desaturation"),
        ("Apnea central", "central_apnea"),
        ("Beinbewegung", "limb_movement"),
    ],
)
def test_events_in_other_languages(tmp_path: Path, label: str, kind: str) -> None:
    rows = f"onset\tduration\ttrial_type\n0\t30\tSleep stage W\n5\t12\t{label}\n"
    (tmp_path / "night.tsv").write_text(rows, encoding="utf-8")
    assert read_scoring(tmp_path / "night.tsv").events == (Event(kind, 5.0, 12.0),)


def test_clock_times_in_any_order_count_from_the_earliest(tmp_path: Path) -> None:
    rows = "hypopnea\t.\t.\t00:00:10\t00:00:25\t.\nN2\t.\t.\t00:00:00\t00:00:30\t.\nW\t.\t.\t23:59:30\t00:00:00\t.\n"
    (tmp_path / "night.annot").write_text(rows)
    alone = read_scoring(tmp_path / "night.annot")
    assert (alone.stages, alone.events) == (("W", "N2"), (Event("hypopnea", 40.0, 15.0),))
    placed = read_scoring(tmp_path / "night.annot", START, 3)
    assert (placed.stages, placed.events) == (("?", "W", "N2"), (Event("hypopnea", 70.0, 15.0),))


def test_a_scoring_that_begins_at_midnight_has_a_clock(tmp_path: Path) -> None:
    (tmp_path / "night.csv").write_text("time,duration,stage\n00:00:00,30,N2\n00:00:30,30,R\n")
    assert read_scoring(tmp_path / "night.csv", START, 4).stages == ("?", "?", "N2", "R")
    rows = "<ScoredEvent><EventType>Stages|Stages</EventType><EventConcept>Wake|0</EventConcept><Start>0</Start>"
    clock = (
        "<ScoredEvent><EventConcept>Recording Start Time</EventConcept><ClockTime>00:00:00</ClockTime></ScoredEvent>"
    )
    xml = f"<PSGAnnotation>{clock}{rows}<Duration>60</Duration></ScoredEvent></PSGAnnotation>"
    (tmp_path / "night.xml").write_text(xml)
    assert read_scoring(tmp_path / "night.xml", START, 4).stages == ("?", "?", "W", "W")


def test_an_event_that_ends_before_it_begins_is_refused(tmp_path: Path) -> None:
    text = '{"stages": ["W"], "events": [{"type": "hypopnea", "onset": 5, "duration": -3}]}'
    (tmp_path / "night.json").write_text(text)
    with pytest.raises(StudyError, match="times that no recording has"):
        read_scoring(tmp_path / "night.json")
