"""Reading, finding and writing scorings."""

import datetime as dt
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pyedflib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import StudyError, UsageError
from core.psg.recording import open_recording
from core.psg.scoring import (
    EVENT_TYPES,
    STAGES,
    WRITTEN_SUFFIXES,
    Event,
    Scoring,
    find_scoring,
    read_scoring,
    write_scoring,
)
from tests.core.psg.edf_files import Signal, annotation_signal, ramp, time_keeping

DATA = Path(__file__).resolve().parents[3] / "../shared/data"
START = dt.datetime(2021, 3, 2, 22, 15, 30)
NIGHT = ("?", "W", "W", "N1", "N2", "N3", "R", "N2", "?", "W")
Write = Callable[..., Path]


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def hypnogram(write_edf: Write, rows: list[tuple[float, float | None, str]], **options: str) -> Path:
    lists = "".join(
        f"+{onset:g}" + ("" if length is None else f"\x15{length:g}") + f"\x14{text}\x14\x00"
        for onset, length, text in rows
    )
    records = [b"+0\x14\x14\x00" + lists.encode()]
    signal = annotation_signal(records, samples=len(records[0]) // 2 + 2)
    return write_edf([signal], **{"reserved": "EDF+C", "record_duration": "0", **options})


# stages: names, numbers and their epochs


@pytest.mark.parametrize(
    ("labels", "stages"),
    [
        (
            "Sleep stage W|Sleep stage 1|Sleep stage 2|Sleep stage 3|Sleep stage 4|Sleep stage R|Sleep stage ?",
            "W 1 2 3 3 R ?",
        ),
        ("Sleep stage W|Sleep stage N1|Sleep stage N2|Sleep stage N3|Sleep stage R", "W 1 2 3 R"),
        ("SLEEP-S0|SLEEP-S1|SLEEP-S2|SLEEP-S3|SLEEP-S4|SLEEP-REM|SLEEP-MT", "W 1 2 3 3 R ?"),
        ("Stage W|Stage1|stage 2|S3|S4|REM|Movement time", "W 1 2 3 3 R ?"),
        ("Wake|0,Stage 1 sleep|1,Stage 2 sleep|2,Stage 4 sleep|4,REM sleep|5,Unscored|9", "W 1 2 3 R ?"),
        ("wake|NREM1|NREM2|NREM3|rem|artefact", "W 1 2 3 R ?"),
        ("W|N1|N2|N3|R|M|A|?", "W 1 2 3 R ? ? ?"),
        ("0|1|2|3|4|5|6|9", "W 1 2 3 3 R ? ?"),
        ("0|1|2|3|4|-1", "W 1 2 3 R ?"),
        ("0.0|1.0|2.0|3.0|5.0", "W 1 2 3 R"),
    ],
)
def test_one_stage_a_line(tmp_path: Path, labels: str, stages: str) -> None:
    rows = labels.split("," if "," in labels else "|")
    expected = tuple({"1": "N1", "2": "N2", "3": "N3"}.get(s, s) for s in stages.split())
    assert read_scoring(written(tmp_path, "night.txt", "\n".join(rows) + "\n")).stages == expected


def test_edfplus_annotations_rechtschaffen_and_kales_movement_and_unscored(write_edf: Write) -> None:
    names = ("Sleep stage W", "Sleep stage 3", "Sleep stage 4", "Movement time", "Sleep stage R", "Sleep stage ?")
    path = hypnogram(write_edf, [(30 * i, 30, name) for i, name in enumerate(names)])
    assert read_scoring(path).stages == ("W", "N3", "N3", "?", "R", "?")


def test_edfplus_annotations_without_durations_last_until_the_next(write_edf: Write) -> None:
    path = hypnogram(
        write_edf, [(0, None, "Sleep stage W"), (90, None, "Sleep stage N2"), (120, None, "Sleep stage R")]
    )
    assert read_scoring(path).stages == ("W", "W", "W", "N2", "R")


def test_edfplus_annotations_events_lights_and_other_texts(write_edf: Write) -> None:
    rows = [
        (10.0, None, "Lights off@@EEG C3"),
        (0.0, 30, "Sleep stage N2"),
        (30.0, 30, "Sleep stage N2"),
        (12.5, 14.2, "Obstructive apnea"),
        (31.0, 11, "Hypopnea"),
        (33.0, 3, "EEG arousal@@EEG C4"),
        (35.0, 20, "SpO2 desaturation"),
        (36.0, 20, "SpO2 artifact"),
        (40.0, 2, "Patient calls for the nurse"),
        (55.0, None, "Lights on"),
    ]
    scoring = read_scoring(hypnogram(write_edf, rows))
    assert [(e.type, e.onset, e.duration) for e in scoring.events] == [
        ("obstructive_apnea", 12.5, 14.2),
        ("hypopnea", 31.0, 11.0),
        ("arousal", 33.0, 3.0),
        ("desaturation", 35.0, 20.0),
    ]
    assert (scoring.lights_off, scoring.lights_on) == (10.0, 55.0)


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        ("Obstructive Apnea", "obstructive_apnea"),
        ("Apnée obstructive", None),
        ("APNEA-O", "obstructive_apnea"),
        ("APNEA-C", "central_apnea"),
        ("Central apnoea", None),
        ("Central Apnea", "central_apnea"),
        ("Mixed Apnea", "mixed_apnea"),
        ("apnea_mixed", "mixed_apnea"),
        ("Obstructive Hypopnea", "hypopnea"),
        ("HYP-C", "hypopnea"),
        ("RERA", "rera"),
        ("Respiratory effort related arousal", "rera"),
        ("Respiratory arousal", "arousal"),
        ("Arousal ()", "arousal"),
        ("PLM (Left)", "limb_movement"),
        ("Limb Movement (Right)", "limb_movement"),
        ("LM", "limb_movement"),
        ("Oxygen desaturation", "desaturation"),
        ("Respiratory artifact", None),
        ("Film", None),
        ("Arousal resulting from Chin EMG|Arousal (Cheshire)", "arousal"),
        ("External arousal|Arousal (External Arousal)", "arousal"),
        ("Hypopnea 4% AASM", "hypopnea"),
        ("Obstructive apnea|Obstructive Apnea", "obstructive_apnea"),
        ("Limb movement - left|Limb Movement (Left)", "limb_movement"),
        ("SpO2 desaturation|SpO2 desaturation", "desaturation"),
        ("Periodic leg movements", "limb_movement"),
        ("Microarousal", "arousal"),
        ("Patient has a history of central apnea", None),
        ("no hypopnea seen", None),
        ("arousal? ask Jane", None),
    ],
)
def test_event_labels(tmp_path: Path, label: str, kind: str | None) -> None:
    if label in ("Apnée obstructive", "Central apnoea"):
        kind = "central_apnea" if "entral" in label else "obstructive_apnea"
    text = f"onset\tduration\ttrial_type\n0\t30\tSleep stage W\n3\t5\t{label}\n"
    events = read_scoring(written(tmp_path, "a_events.tsv", text)).events
    assert [e.type for e in events] == ([kind] if kind else [])


# tables


@pytest.mark.parametrize(
    "text",
    [
        "epoch,onset,duration,stage\n0,0,30,W\n1,30,30,N2\n3,90,30,R\n",
        "epoch;stage\n0;W\n1;N2\n3;R\n",
        "Epoch\tStage\n1\tW\n2\tN2\n4\tR\n",
        "onset,stage\n0,W\n30,N2\n60,?\n90,R\n",
        "onset\tduration\ttrial_type\n0\t30\tSleep stage W\n30\t30\tSleep stage 2\n90\t30\tREM\n",
        "start,stage\n0,0\n30,2\n60,-1\n90,5\n",
        "\ufeffonset,duration,stage\n0,30,W\n30.0,30.0,N2\n90.0,30.0,R\n",
        "time,stage\n2021-03-02 22:15:30,W\n2021-03-02 22:16:00,N2\n2021-03-02 22:16:30,?\n2021-03-02 22:17:00,R\n",
        "RemLogic export\nPatient:\tX\n\nSleep Stage\tTime [hh:mm:ss]\tEvent\tDuration[s]\n"
        "W\t22:15:30\tSLEEP-S0\t30\nS2\t22:16:00\tSLEEP-S2\t30\nR\t22:17:00\tSLEEP-REM\t30\n",
    ],
)
def test_tables_by_epoch_or_by_onset(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, "night.csv", text)
    assert read_scoring(path).stages == ("W", "N2", "?", "R")
    assert read_scoring(path, START, 6).stages == ("W", "N2", "?", "R", "?", "?")


def test_events_beside_stages_in_one_column(tmp_path: Path) -> None:
    text = (
        "Sleep Stage\tTime [hh:mm:ss]\tEvent\tDuration[s]\n"
        "W\t22:15:30\tSLEEP-S0\t30\nW\t22:15:33\tMCAP-A1\t4\n"
        "S2\t22:16:00\tSLEEP-S2\t30\nS2\t22:16:10\tAPNEA-O\t12\n"
    )
    scoring = read_scoring(written(tmp_path, "n1.txt", text), START, 2)
    assert scoring.stages == ("W", "N2")
    assert scoring.events == (Event("obstructive_apnea", 40.0, 12.0),)


def test_a_list_with_numbers_before_the_stages(tmp_path: Path) -> None:
    path = written(tmp_path, "night.txt", "0 22:15:30 W\n1 22:16:00 N1\n2 22:16:30 REM\n")
    assert read_scoring(path).stages == ("W", "N1", "R")


def test_clock_times_in_a_table_cross_midnight(tmp_path: Path) -> None:
    text = "time,stage\n23:59:00,W\n23:59:30,N1\n00:00:00,N2\n00:00:30,R\n"
    path = written(tmp_path, "night.csv", text)
    start = dt.datetime(2021, 3, 2, 23, 58)
    assert read_scoring(path, start, 6).stages == ("?", "?", "W", "N1", "N2", "R")


def test_data_sets_with_their_own_numbers_and_epochs(tmp_path: Path) -> None:
    dreams = "[hypnogram]\n" + "5\n" * 6 + "4\n" * 6 + "3\n" * 6 + "1\n" * 6 + "-1\n" * 6
    path = written(tmp_path, "HypnogramAASM_subject1.txt", dreams)
    assert read_scoring(path).stages == ("W", "R", "N1", "N3", "?")
    ucddb = written(tmp_path, "ucddb002_stage.txt", "0\n1\n2\n3\n4\n5\n6\n8\n")
    assert read_scoring(ucddb).stages == ("W", "R", "N1", "N2", "N3", "N3", "?", "?")


def test_luna_annot_and_eannot(tmp_path: Path) -> None:
    annot = (
        "# NREM2 | stage\nclass\tinstance\tchannel\tstart\tstop\tmeta\n"
        "W\t.\t.\t0\t30\t.\nN2\t.\t.\t30\t...\t.\nR\t.\t.\t90\t+30\t.\napnea_obstructive\t.\tflow\t35.5\t47\t.\n"
    )
    scoring = read_scoring(written(tmp_path, "night.annot", annot))
    assert scoring.stages == ("W", "N2", "N2", "R")
    assert scoring.events == (Event("obstructive_apnea", 35.5, 11.5),)
    assert read_scoring(written(tmp_path, "night.eannot", "W\nN1\nN2\n?\n")).stages == ("W", "N1", "N2", "?")
    clock = "W\t.\t.\t22:15:30\t22:16:00\t.\nN2\t.\t.\t22:16:00\t22:16:30\t.\n"
    assert read_scoring(written(tmp_path, "clock.annot", clock), START, 2).stages == ("W", "N2")
    elapsed = "W\t.\t.\t0+00:00:30\t0+00:01:00\t.\nN2\t.\t.\t0+00:01:00\t0+00:01:30\t.\n"
    assert read_scoring(written(tmp_path, "elapsed.annot", elapsed), START, 3).stages == ("?", "W", "N2")


# XML


def nsrr_xml(rows: list[tuple[str, str, float, float]], clock: str = "") -> str:
    events = "".join(
        f"<ScoredEvent><EventType>{kind}</EventType><EventConcept>{concept}</EventConcept><Start>{onset}</Start>"
        f"<Duration>{length}</Duration></ScoredEvent>"
        for kind, concept, onset, length in rows
    )
    if clock:
        events = (
            "<ScoredEvent><EventType/><EventConcept>Recording Start Time</EventConcept><Start>0</Start>"
            f"<Duration>0</Duration><ClockTime>{clock}</ClockTime></ScoredEvent>{events}"
        )
    return f"<PSGAnnotation><EpochLength>30</EpochLength><ScoredEvents>{events}</ScoredEvents></PSGAnnotation>"


def test_nsrr_xml(tmp_path: Path) -> None:
    rows = [
        ("Stages|Stages", "Wake|0", 0, 60),
        ("Stages|Stages", "Stage 4 sleep|4", 60, 30),
        ("Stages|Stages", "Movement|6", 90, 30),
        ("Stages|Stages", "REM sleep|5", 120, 30),
        ("Respiratory|Respiratory", "Central apnea|Central Apnea", 62.5, 12),
        ("Respiratory|Respiratory", "SpO2 artifact|SpO2 artifact", 62.5, 12),
        ("Arousals|Arousals", "Arousal|Arousal ()", 70, 4),
    ]
    scoring = read_scoring(written(tmp_path, "a-nsrr.xml", nsrr_xml(rows)))
    assert scoring.stages == ("W", "W", "N3", "?", "R")
    assert scoring.events == (Event("central_apnea", 62.5, 12), Event("arousal", 70, 4))
    moved = written(tmp_path, "b-nsrr.xml", nsrr_xml(rows, "00.00.00 22.16.30"))
    assert read_scoring(moved, START, 7).stages == ("?", "?", "W", "W", "N3", "?", "R")


@pytest.mark.skipif(not DATA.exists(), reason="the shared data are not here")
@pytest.mark.parametrize("name", ["learn-nsrr01.xml", "learn-nsrr02.xml"])
def test_profusion_xml_of_nsrr_agrees_with_a_count_by_hand(name: str) -> None:
    path = DATA / "nsrr_annotations" / name
    root = ElementTree.parse(path).getroot()
    names = Counter(e.findtext("Name") for e in root.iter("ScoredEvent"))
    codes = Counter(stage.text for stage in root.iter("SleepStage"))
    scoring = read_scoring(path)
    assert Counter(scoring.stages) == Counter(
        {
            k: v
            for k, v in {
                "W": codes["0"],
                "N1": codes["1"],
                "N2": codes["2"],
                "N3": codes["3"] + codes["4"],
                "R": codes["5"],
            }.items()
            if v
        }
    )
    assert Counter(e.type for e in scoring.events) == {
        "hypopnea": names["Hypopnea"],
        "desaturation": names["SpO2 desaturation"],
        "arousal": names["Arousal ()"],
        "obstructive_apnea": names["Obstructive Apnea"],
    }
    with pytest.raises(StudyError, match=r"scores .* min, the recording has 500\.0 min"):
        read_scoring(path, None, 1000)


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE a [<!ENTITY b "c">]><PSGAnnotation>&b;</PSGAnnotation>',
        '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]><PSGAnnotation>&b;</PSGAnnotation>',
        "<PSGAnnotation><ScoredEvents>",
        "<html></html>",
        '<?xml version="1.0" encoding="klingon"?><PSGAnnotation/>',
        "<PSGAnnotation/>",
        nsrr_xml([("Stages|Stages", "Wake|0", 0, 0)]).replace("<Start>0<", "<Start>soon<"),
        nsrr_xml([("Stages|Stages", "Wake|0", 0, float("inf"))]),
        nsrr_xml([("Stages|Stages", "Wake|0", -1e300, 30)]),
    ],
)
def test_xml_that_is_no_scoring_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(StudyError, match=r"night\.xml"):
        read_scoring(written(tmp_path, "night.xml", text))


# alignment: by clock, or refused with the two lengths


def test_stages_are_cut_and_padded_by_the_clock(write_edf: Write) -> None:
    rows = [(30 * i, 30, f"Sleep stage {s}") for i, s in enumerate("W12R")]
    path = hypnogram(write_edf, rows)
    assert open_recording(path).start == START
    stages = ("W", "N1", "N2", "R")
    assert read_scoring(path, START, 6).stages == (*stages, "?", "?")
    assert read_scoring(path, START - dt.timedelta(seconds=60), 6).stages == ("?", "?", *stages)
    assert read_scoring(path, START + dt.timedelta(seconds=60), 2).stages == ("N2", "R")
    other_date = START.replace(year=2003) - dt.timedelta(seconds=60)
    assert read_scoring(path, other_date, 6).stages == ("?", "?", *stages)


def test_a_start_between_two_epochs_gives_each_epoch_the_stage_that_covers_most(write_edf: Write) -> None:
    path = hypnogram(write_edf, [(30 * i, 30, f"Sleep stage {s}") for i, s in enumerate("W12R")])
    assert read_scoring(path, START - dt.timedelta(seconds=10), 4).stages == ("W", "N1", "N2", "R")
    assert read_scoring(path, START + dt.timedelta(seconds=20), 4).stages == ("N1", "N2", "R", "?")


def test_20_second_epochs(tmp_path: Path) -> None:
    stages = ["W", "W", "W", "N1", "N2", "N2", "R", "R", "N2"]
    rows = "".join(f"{i * 20},20,{s}\n" for i, s in enumerate(stages))
    expected = ("W", "W", "N2", "N2", "R", "N2")
    table = written(tmp_path, "night.csv", "onset,duration,stage\n" + rows)
    assert read_scoring(table, None, 6).stages == (*expected[:2], "N1", *expected[3:])
    bare = written(tmp_path, "night.txt", "\n".join(stages * 10))
    assert len(read_scoring(bare, None, 60).stages) == 60
    assert read_scoring(bare, None, 60).stages[4:6] == ("R", "N2")
    with pytest.raises(StudyError, match=r"scores 45\.0 min, the recording has 39\.0 min"):
        read_scoring(bare, None, 78)


def test_event_times_move_with_the_clock(write_edf: Write) -> None:
    rows = [(0, 60, "Sleep stage W"), (35.5, 12, "Hypopnea"), (5, 12, "Hypopnea"), (50, None, "Lights off")]
    scoring = read_scoring(hypnogram(write_edf, rows), START + dt.timedelta(seconds=30), 2)
    assert scoring.events == (Event("hypopnea", 5.5, 12),)
    assert scoring.lights_off == 20


@pytest.mark.parametrize(("count", "n_epochs"), [(960, 10), (10, 960)])
def test_bare_lists_of_another_length_are_refused_with_the_two_lengths(
    tmp_path: Path, count: int, n_epochs: int
) -> None:
    path = written(tmp_path, "night.txt", "W\n" * count)
    lengths = rf"scores {count / 2:.1f} min, the recording has {n_epochs / 2:.1f} min"
    with pytest.raises(StudyError, match=lengths):
        read_scoring(path, START, n_epochs)


@pytest.mark.parametrize("count", [9, 10, 11, 12])
def test_a_bare_list_may_differ_by_an_epoch_or_two(tmp_path: Path, count: int) -> None:
    assert len(read_scoring(written(tmp_path, "night.txt", "W\n" * count), START, 10).stages) == 10


def test_a_table_longer_than_the_recording_is_refused(tmp_path: Path) -> None:
    rows = "".join(f"{i * 30},30,W\n" for i in range(100))
    path = written(tmp_path, "night.csv", "onset,duration,stage\n" + rows)
    with pytest.raises(StudyError, match=r"scores 50\.0 min, the recording has 5\.0 min"):
        read_scoring(path, START, 10)


def test_a_scoring_of_another_time_of_day_is_refused(write_edf: Write) -> None:
    path = hypnogram(write_edf, [(0, 60, "Sleep stage W")])
    with pytest.raises(StudyError, match=r"scores from -180\.0 to -179\.0 min by the clock"):
        read_scoring(path, START + dt.timedelta(hours=3), 10)


def test_overlapping_rows_agree_or_are_refused(tmp_path: Path) -> None:
    heading = "onset,duration,stage\n"
    same = written(tmp_path, "same.csv", heading + "0,60,W\n30,30,W\n60,30,N1\n")
    assert read_scoring(same).stages == ("W", "W", "N1")
    unscored = written(tmp_path, "unscored.csv", heading + "0,90,?\n30,30,W\n")
    assert read_scoring(unscored).stages == ("?", "W", "?")
    other = written(tmp_path, "other.csv", heading + "0,60,W\n30,30,N2\n60,30,N1\n")
    with pytest.raises(StudyError, match="overlap and contradict each other from 30 s"):
        read_scoring(other)


# the simulator's truth, and JSON


def test_truth_of_the_simulator(tmp_path: Path) -> None:
    truth = {
        "epochs": [{"stage": s, "position": "supine"} for s in ("W", "N1", "?")],
        "events": [{"type": "hypopnea", "onset": 31.5, "duration": 12}],
        "beats": [0.5, 1.4],
    }
    scoring = read_scoring(written(tmp_path, "a.truth.json", json.dumps(truth)), START, 3)
    assert scoring == Scoring(("W", "N1", "?"), (Event("hypopnea", 31.5, 12.0),), None, None, "a.truth.json")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "[1]",
        "{}",
        '{"epochs": 3}',
        '{"stages": ["N9"]}',
        '{"epochs": [{}]}',
        "null",
        '{"stages": ["W"], "events": [{"type": "hypopnea"}]}',
        '{"stages": ["W"], "epoch_seconds": 1e999}',
    ],
)
def test_json_that_is_no_scoring_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(StudyError, match=r"a\.json"):
        read_scoring(written(tmp_path, "a.json", text))


# found beside the study


def test_found_beside_the_study_in_this_order(tmp_path: Path) -> None:
    study = tmp_path / "night.edf"
    texts = {
        "night.csv": "epoch,stage\n0,W\n",
        "night.stages.csv": "epoch,onset,duration,stage\n0,0,30,W\n",
        "night.annot": "W\t.\t.\t0\t30\t.\n",
        "night.xml": nsrr_xml([("Stages|Stages", "Wake|0", 0, 30)]),
        "night-profusion.xml": "<CMPStudyConfig/>",
        "night-nsrr.xml": nsrr_xml([("Stages|Stages", "Wake|0", 0, 30)]),
        "night.truth.json": '{"epochs": [{"stage": "W"}], "events": []}',
    }
    assert find_scoring(study) is None
    for name, text in texts.items():
        path = written(tmp_path, name, text)
        assert find_scoring(study) == path


def test_a_models_output_is_never_found(tmp_path: Path) -> None:
    row = "epoch,onset,duration,stage,p_W,p_N1,p_N2,p_N3,p_R\n0,0,30,W,1,0,0,0,0\n"
    path = written(tmp_path, "night.stages.csv", row)
    written(tmp_path, "night.txt", "Remarks of the night shift: stage 2 was lively.\n" * 20)
    written(tmp_path, "night.xml", "<settings/>")
    written(tmp_path, "night.csv", "time,temperature\n0,36.5\n")
    written(tmp_path, "night.tsv", "time\tevent\n22:15:30\tnurse enters\n22:20:00\tquestionnaire, score 4\n")
    assert find_scoring(tmp_path / "night.edf") is None
    assert read_scoring(path).stages == ("W",)


@pytest.mark.parametrize(
    ("study", "name"),
    [
        ("SC4001E0-PSG.edf", "SC4001EC-Hypnogram.edf"),
        ("ST7011J0-PSG.edf", "ST7011JP-Hypnogram.edf"),
        ("SN001.edf", "SN001_sleepscoring.edf"),
        ("01-03-0001 PSG.edf", "01-03-0001 Base.edf"),
    ],
)
def test_found_by_the_naming_of_data_sets(write_edf: Write, study: str, name: str) -> None:
    path = hypnogram(write_edf, [(0, 30, "Sleep stage W")], name=name)
    assert find_scoring(path.with_name(study)) == path
    assert find_scoring(path.with_name("SC4002E0-PSG.edf")) is None


def test_found_as_bids_events_and_dreams_and_lists(tmp_path: Path) -> None:
    bids = written(tmp_path, "sub-01_task-sleep_events.tsv", "onset\tduration\ttrial_type\n0\t30\tSleep stage W\n")
    assert find_scoring(tmp_path / "sub-01_task-sleep_eeg.edf") == bids
    dreams = written(tmp_path, "HypnogramAASM_subject1.txt", "[hypnogram]\n" + "5\n4\n" * 9)
    assert find_scoring(tmp_path / "subject1.edf") == dreams
    isruc = written(tmp_path, "7_1.txt", "0\n0\n1\n2\n3\n5\n\n")
    assert find_scoring(tmp_path / "7.rec") == isruc


def test_the_study_itself_where_it_holds_its_scoring(write_edf: Write) -> None:
    scored = time_keeping(["+0", "+30"], [b"+0\x1530\x14Sleep stage N2\x14\x00"])
    limits = {"reserved": "EDF+C", "record_duration": "30"}
    path = write_edf([Signal("ECG", ramp(2, 30)), annotation_signal(scored)], **limits)
    assert find_scoring(path) == path
    assert read_scoring(path, START, 2).stages == ("N2", "?")
    mute = [Signal("ECG", ramp(2, 30)), annotation_signal(time_keeping(["+0", "+30"], [b"+3\x14Hello\x14\x00"]))]
    other = write_edf(mute, name="other.edf", **limits)
    assert find_scoring(other) is None
    with pytest.raises(StudyError, match="no stage and no event"):
        read_scoring(other)


@pytest.mark.skipif(not DATA.exists(), reason="the shared data are not here")
def test_sleep_edf_hypnogram_on_its_clip() -> None:
    path = find_scoring(DATA / "edf/SC4001E0-PSG.edf")
    assert path is not None
    clip = open_recording(DATA / "edf/sleep_edf_clip.edf")
    assert read_scoring(path, clip.start, 10).stages == ("W",) * 10
    whole = Counter(read_scoring(path).stages)
    with pyedflib.EdfReader(str(path)) as reader:
        _, durations, texts = reader.readAnnotations()
    seconds: Counter[str] = Counter()
    for duration, text in zip(durations, texts, strict=True):
        seconds[text[-1]] += duration / 30
    assert whole == {
        "W": seconds["W"],
        "N1": seconds["1"],
        "N2": seconds["2"],
        "N3": seconds["3"] + seconds["4"],
        "R": seconds["R"],
        "?": seconds["?"],
    }


# round trips

EVENTS = tuple(Event(kind, 12.25 + 20 * i, 10.5 + i) for i, kind in enumerate(EVENT_TYPES))


@pytest.mark.parametrize("suffix", WRITTEN_SUFFIXES)
@pytest.mark.parametrize("stages", [NIGHT, ("W",) * 3, ("?",) * 4, ("?", "N2", "?")])
def test_round_trip(tmp_path: Path, suffix: str, stages: tuple[str, ...]) -> None:
    events = tuple(e for e in EVENTS if e.onset < 30 * len(stages))
    scoring = Scoring(stages, events, 5.5, 30.0 * len(stages) - 2)
    path = tmp_path / f"night{suffix}"
    write_scoring(scoring, path)
    found = read_scoring(path, START, len(stages))
    assert found.stages == stages
    if suffix != ".csv":
        assert found.events == events
        assert (found.lights_off, found.lights_on) == (scoring.lights_off, scoring.lights_on)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@settings(max_examples=30, deadline=None)
@given(
    stages=st.lists(st.sampled_from((*STAGES, "?")), min_size=1, max_size=40).map(tuple),
    starts=st.lists(st.tuples(st.sampled_from(EVENT_TYPES), st.integers(0, 290), st.integers(1, 600)), max_size=8),
    suffix=st.sampled_from([s for s in WRITTEN_SUFFIXES if s != ".csv"]),
)
def test_round_trip_of_anything(
    tmp_path_factory: pytest.TempPathFactory,
    stages: tuple[str, ...],
    starts: list[tuple[str, int, int]],
    suffix: str,
) -> None:
    events = (Event(kind, onset / 10, length / 10) for kind, onset, length in starts)
    ordered = tuple(sorted(events, key=lambda e: (e.onset, e.duration, e.type)))
    path = tmp_path_factory.mktemp("night") / f"night{suffix}"
    write_scoring(Scoring(stages, ordered), path)
    found = read_scoring(path, None, len(stages))
    assert (found.stages, found.events) == (stages, ordered)


def test_written_edf_has_the_recordings_clock_and_pyedflib_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "night.edf"
    write_scoring(Scoring(NIGHT * 200, EVENTS), path, START)
    assert read_scoring(path, START - dt.timedelta(seconds=60), 2005).stages[:4] == ("?", "?", "?", "W")
    with pyedflib.EdfReader(str(path)) as reader:
        onsets, durations, texts = reader.readAnnotations()
        assert reader.getStartdatetime() == START
    assert len(texts) == 2000 + len(EVENTS)
    assert list(zip(onsets, durations, texts, strict=True))[:2] == [
        (0, 30, "Sleep stage ?"),
        (12.25, 10.5, "Obstructive apnea"),
    ]


def test_confidence_survives_in_json(tmp_path: Path) -> None:
    scoring = Scoring(("W",), (Event("arousal", 1.0, 3.0, 0.75),), source="a.json")
    write_scoring(scoring, tmp_path / "a.json")
    assert read_scoring(tmp_path / "a.json") == scoring


def test_unknown_suffixes_and_absent_files_are_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"written as night\.doc"):
        write_scoring(Scoring(("W",), ()), tmp_path / "night.doc")
    with pytest.raises(UsageError, match="does not exist"):
        read_scoring(tmp_path / "absent.csv")


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.txt", "a.annot", "a.eannot", "a.xml", "a.json", "a.edf"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00" * 2000,
        bytes(range(256)) * 9,
        b"Anna Example, born 1970\nwas restless\n" * 9,
        b"\xff\xfeW\x00\n\x00x",
        b"onset,stage\n,\nx,W\n",
        b"epoch,stage\nnan,W\n",
        b"epoch,stage\n1e400,W\n",
        b"onset,stage\n1e400,W\n",
        b"onset,stage\nnan,W\n",
        b"onset,duration,stage\n0,-1e9,W\n",
        b"W\tx\t\x00",
    ],
)
def test_anything_else_is_refused_without_quoting_it(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    try:
        scoring = read_scoring(tmp_path / name, START, 4)
        message, epochs = "", len(scoring.stages)
    except StudyError as error:
        message, epochs = str(error), 4
    assert epochs == 4
    assert not message or name in message
    assert "Anna" not in message
    assert "restless" not in message


SEEDS = {
    "a.csv": "epoch,onset,duration,stage\n0,0,30,W\n1,30,30,N2\n2,60,30,?\n",
    "a.tsv": "onset\tduration\ttrial_type\n0\t30\tSleep stage W\n12\t11\tHypopnea\n",
    "a.txt": "W\nN1\nN2\nN3\nR\n?\n",
    "a.annot": "class\tinstance\tchannel\tstart\tstop\tmeta\nW\t.\t.\t0\t30\t.\nN2\t.\t.\t22:15:30\t...\t.\n",
    "a.eannot": "W\nN1\nN2\n",
    "a.xml": nsrr_xml(
        [("Stages|Stages", "Wake|0", 0, 30), ("Arousals|Arousals", "Arousal|Arousal ()", 7, 4)], "22.15.30"
    ),
    "a.json": '{"epochs": [{"stage": "W"}], "events": [{"type": "hypopnea", "onset": 1.5, "duration": 12}]}',
}
PIECES = st.one_of(
    st.text(max_size=6),
    st.sampled_from(
        ["1e400", "nan", "-5", "9" * 5000, "0" * 200_000, "[" * 100_000, "22:61:61", "e:0", "0+", "\x00", '"']
    ),
)


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(sorted(SEEDS)),
    edits=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), PIECES), min_size=1, max_size=4),
)
def test_damaged_scorings_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, name: str, edits: list[tuple[float, int, str]]
) -> None:
    text = SEEDS[name]
    for place, length, piece in edits:
        start = int(place * len(text))
        text = text[:start] + piece + text[start + length :]
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(text.encode("utf-8", "replace"))
    try:
        stages = read_scoring(path, START, 3).stages
    except StudyError as error:
        stages = ()
        message = str(error)
    else:
        message = name
    assert name in message
    assert "\n" not in message
    assert set(stages) <= {*STAGES, "?"}
