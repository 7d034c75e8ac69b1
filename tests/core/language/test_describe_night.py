"""The night in paragraphs: true, readable, and silent about what is not known."""

import re
from dataclasses import replace

from core.language.describe_night import describe_night, minutes_text
from core.language.night import NightStatistics

FULL = NightStatistics(
    time_in_bed=480.0,
    lights_known=True,
    recording_time=500.0,
    scored_minutes=480.0,
    total_sleep_time=400.0,
    sleep_efficiency=83.3,
    sleep_latency=12.0,
    rem_latency=90.0,
    wake_after_sleep_onset=68.0,
    stage_minutes={"W": 80.0, "N1": 20.0, "N2": 220.0, "N3": 0.0, "R": 160.0},
    stage_shares={"N1": 5.0, "N2": 55.0, "N3": 0.0, "R": 40.0},
    rem_density=7.25,
    cycles=4,
    arousal_index=20.1,
    limb_movement_index=3.0,
    ahi=22.04,
    ahi3=21.0,
    ahi4=13.2,
    ahi_rem=40.0,
    ahi_nrem=15.0,
    ahi_by_position={"supine": 44.0, "left": 3.0},
    event_counts={"hypopnea": 1, "obstructive_apnea": 40, "central_apnea": 0},
    odi3=20.0,
    odi4=10.0,
    spo2_mean=93.24,
    spo2_min=78.0,
    below_90=23.4,
    below_90_share=6.0,
    heart_rate_by_stage={"W": 70.0, "N2": 60.0},
    heart_rate_mean=62.0,
    position_shares={"left": 40.0, "supine": 60.0},
)


def test_every_known_figure_is_told() -> None:
    for seed in range(20):
        text = describe_night(FULL, seed)
        for figure in ("8 h", "6 h 40 min", "83%", "12 min", "1 h 30 min", "22.0/h", "in the moderate range", "13.2/h"):
            assert figure in text
        for figure in (
            "40 obstructive apneas and 1 hypopnea",
            "7.2 rapid eye movements a minute",
            "93.2%",
            "78%",
            "23.4 min",
            "70 bpm in Wake",
            "44.0/h supine",
        ):
            assert figure in text
        assert "There was no Deep Sleep (N3)." in text
        assert "60% of the time supine" in text
        assert "None" not in text
        assert "nan" not in text
        assert len(text.split("\n\n")) == 7


def test_the_wording_follows_the_seed() -> None:
    assert describe_night(FULL, 3) == describe_night(FULL, 3)
    assert len({describe_night(FULL, seed) for seed in range(30)}) > 5


def test_events_are_told_by_who_found_them() -> None:
    assert "The scoring lists 40 obstructive apneas and 1 hypopnea." in describe_night(FULL, 0)
    measured = dict.fromkeys(("obstructive_apnea", "hypopnea"), "measurements")
    mixed = replace(FULL, event_counts={**FULL.event_counts, "rera": 2}, found_by={**measured, "rera": "model"})
    text = describe_night(replace(mixed, found_by={**mixed.found_by, "arousal": "model"}), 0)
    assert "The model found 2 respiratory effort-related arousals." in text
    assert "By rule, the measured signals show 40 obstructive apneas and 1 hypopnea." in text
    assert "in the moderate range (events found by rule on the measured signals)." in text
    assert "The arousal index is 20.1/h (events found by the model)." in text
    assert "Scored" not in text


def test_what_is_not_known_is_left_out() -> None:
    bare = NightStatistics(time_in_bed=480.0, lights_known=False, recording_time=480.0, scored_minutes=0.0)
    assert describe_night(bare, 0) == "The recording lasts 8 h; sleep is not scored."
    home = replace(bare, rei=31.0, spo2_mean=94.0)
    text = describe_night(home, 0)
    assert "31.0/h of recording, in the severe range; it counts by recording time, not sleep time." in text
    assert re.search(r"Oxygen saturation (averaged|was on average) 94\.0%\.", text)


def test_a_night_without_sleep() -> None:
    awake = NightStatistics(
        time_in_bed=60.0,
        lights_known=True,
        recording_time=60.0,
        scored_minutes=60.0,
        total_sleep_time=0.0,
        sleep_efficiency=0.0,
    )
    assert describe_night(awake, 0) == "No sleep was found in 1 h in bed."


def test_one_is_singular() -> None:
    assert "There was 1 sleep cycle." in describe_night(replace(FULL, cycles=1), 0)
    assert "There were no sleep cycles." in describe_night(replace(FULL, cycles=0), 0)


def test_hours_and_minutes() -> None:
    assert [minutes_text(value) for value in (0.0, 45.4, 60.0, 452.0, 59.6)] == [
        "0 min",
        "45 min",
        "1 h",
        "7 h 32 min",
        "1 h",
    ]
